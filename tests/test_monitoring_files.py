"""deploy/grafana-dashboard.json and deploy/prometheus-alerts.yml ask only for what /metrics tells."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ocpp_server.clock import Clock
from ocpp_server.core import commands as cmd
from ocpp_server.core.decide import decide
from ocpp_server.core.site import Policy, Site, apply
from ocpp_server.monitoring.metrics import Metrics
from ocpp_server.monitoring.report import MetricsReport
from ocpp_server.settings import PROJECT_FOLDER

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DASHBOARD = PROJECT_FOLDER / "deploy" / "grafana-dashboard.json"
ALERTS = PROJECT_FOLDER / "deploy" / "prometheus-alerts.yml"
ALERT_TESTS = PROJECT_FOLDER / "deploy" / "prometheus-alerts-test.yml"
PAGE = PROJECT_FOLDER / "docs" / "monitoring.md"
OF_PROMETHEUS = {"up"}
SELECTOR = re.compile(r"\b([a-z_:]+)(?=\{)|\b(evquota_[a-z_]+)")
LABELS_OF_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Names of the samples that /metrics tells for a site on which everything happened, with their labels."""
    return {sample.name: set(sample.labels) for family in _families() for sample in family.samples}


def _families() -> list[Any]:
    site = Site(Policy(ZoneInfo("Europe/Istanbul")))
    metrics = Metrics(site)
    for command in (
        cmd.Connect("CP1", NOON),
        cmd.BootNotification("CP1", NOON, "Generic", "AC22"),
        cmd.StatusNotification("CP1", NOON, 1, "Faulted", "GroundFailure"),
    ):
        for change in decide(site, command).changes:
            apply(site, change)
    metrics.answered("Heartbeat", {}, 0.001)
    metrics.called("Reset", "Accepted", 0.1)
    metrics.refused(404)
    metrics.api_answered("GET", "/metrics", 200, 0.01)
    report = MetricsReport(
        metrics,
        SimpleNamespace(site=site, is_writable=True),
        Clock(),
        PROJECT_FOLDER,
        SimpleNamespace(failures=0, lag_s=lambda: 0.0),
        connections=lambda: 1,
        tables=lambda: (cmd.TableState("users1.csv"), cmd.TableState("chargers.csv")),
        deliveries=lambda: (
            SimpleNamespace(
                name="forwarder", state="ok", backlog=1, delivered=2, failures=3, set_aside=4,
                loss=SimpleNamespace(lost=5),
            ),
        ),
    )  # fmt: skip
    body, _ = asyncio.run(report.text(""))
    return list(text_string_to_metric_families(body.decode()))


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def queries() -> Iterator[str]:
    """Every expression of both files, and the queries of the dashboard's variables."""
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in dashboard()["templating"]["list"]:
        yield variable["query"]["query"]
    yield from (rule["expr"] for rule in rules())


def test_every_metric_that_is_asked_for_exists(told: dict[str, set[str]]) -> None:
    """A panel or a rule on a name that nobody tells stays blank for ever, and nobody notices."""
    asked = {name for query in queries() for pair in SELECTOR.findall(query) for name in pair if name}

    assert len(asked) > 25
    assert asked - told.keys() - OF_PROMETHEUS == set()


def test_every_label_that_is_asked_for_exists(told: dict[str, set[str]]) -> None:
    """The same for a label: a selector on one that is not there finds nothing."""
    unknown = [
        (name, label)
        for query in queries()
        for name, labels in re.findall(r"\b([a-z_]+)\{([^}]*)\}", query)
        for label in re.findall(r"(\w+)(?==|!)", re.sub(r'"[^"]*"', "", labels))
        if name not in OF_PROMETHEUS and label not in told[name] | LABELS_OF_PROMETHEUS
    ]

    assert unknown == []


@pytest.mark.parametrize("query", sorted(set(queries())), ids=lambda query: re.sub(r"\W+", "-", query)[:60])
def test_brackets_of_a_query_close(query: str) -> None:
    """No parser of PromQL is at hand; a bracket that was forgotten is the usual slip."""
    bare = re.sub(r'"[^"]*"', "", query)

    assert [bare.count(one) for one in "([{"] == [bare.count(one) for one in ")]}"]


def test_the_dashboard_can_be_imported() -> None:
    """Grafana asks for the data source; no panel names one of somebody's machine, none lies on another."""
    document = dashboard()
    panels = document["panels"]
    places = [(place["x"] + dx, place["y"] + dy) for place in (one["gridPos"] for one in panels)
              for dx in range(place["w"]) for dy in range(place["h"])]  # fmt: skip

    assert [one["name"] for one in document["__inputs"]] == ["DS_PROMETHEUS"]
    assert document["id"] is None
    assert {one["datasource"]["uid"] for one in panels if one["type"] != "row"} == {"${DS_PROMETHEUS}"}
    assert len({one["id"] for one in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) == 23


def test_there_are_four_alert_rules() -> None:
    """Server down, charge point silent, charge point faulted, files behind; each says what to do."""
    assert [rule["alert"] for rule in rules()] == [
        "EvquotaServerDown",
        "EvquotaChargerSilent",
        "EvquotaChargerFaulted",
        "EvquotaFilesBehind",
    ]
    for rule in rules():
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_every_alert_rule_is_played_through(told: dict[str, set[str]]) -> None:
    """In the file for `promtool`: each rule fires once and is silent once, on series that exist."""
    cases = yaml.safe_load(ALERT_TESTS.read_text(encoding="utf-8"))
    looks = [look for case in cases["tests"] for look in case["alert_rule_test"]]
    series = {one["series"] for case in cases["tests"] for one in case["input_series"]}
    names = {text.partition("{")[0]: set(re.findall(r"(\w+)=", text)) for text in series}

    assert cases["rule_files"] == [ALERTS.name]
    for rule in rules():
        fires = {bool(look["exp_alerts"]) for look in looks if look["alertname"] == rule["alert"]}
        assert fires == {True, False}, rule["alert"]
    for name, labels in names.items():
        assert name in told.keys() | OF_PROMETHEUS
        assert labels <= told.get(name, set()) | LABELS_OF_PROMETHEUS, name


def test_the_page_names_every_metric_and_no_other(told: dict[str, set[str]]) -> None:
    """docs/monitoring.md lists what can be asked for."""
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(evquota_[a-z_]+)`", page))
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told if not name.endswith("_created")}
    families = {name for name in names if not name.startswith("evquota_process_")}

    assert families - named == set()
    assert named - names == {"evquota_process_"}


def test_no_metric_tells_of_a_person(told: dict[str, set[str]]) -> None:
    """Neither tag nor name nor account: what is scraped is kept elsewhere, and for long."""
    assert set().union(*told.values()) == {
        *("action", "admission", "charger", "connector", "destination", "direction", "file", "kind", "le", "method"),
        *("reason", "result", "route", "severity", "status", "version"),
    }


def test_every_metric_has_a_sentence() -> None:
    """Grafana and Prometheus show it beside the name."""
    assert [family.name for family in _families() if not family.documentation or family.type == "unknown"] == []


def test_the_files_are_where_the_page_says() -> None:
    """A path in the page is typed by somebody."""
    page = PAGE.read_text(encoding="utf-8")

    for path in (DASHBOARD, ALERTS):
        assert Path(path).relative_to(PROJECT_FOLDER).as_posix() in page
