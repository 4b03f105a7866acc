"""Webhooks and RabbitMQ in .env: what is understood, and that what is wrong is told without telling a secret."""

import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from canaries import CANARY_SECRET, trace_in

from ocpp_server.control_api.settings_view import setting_document
from ocpp_server.core.events import EventType
from ocpp_server.env_file import SettingsError
from ocpp_server.settings import PROJECT_FOLDER, Settings, load_settings
from ocpp_server.webhook_settings import key_of, types_of

KEY = bytes(range(32))
SECRET = f"whsec_{b64encode(KEY).decode()}"
HOOK = "https://example.org/hook"
SECRET_LINES = {
    "EVQUOTA_WEBHOOK_SECRET": f"whsec_{b64encode(CANARY_SECRET.encode() * 2).decode()}",
    "EVQUOTA_RABBITMQ_URL": f"amqps://evquota:{CANARY_SECRET}@example.org/site",
}


def loaded(folder: Path, *lines: str) -> Settings:
    """With these lines in .env."""
    path = folder / ".env"
    path.write_text("".join(f"{line}\n" for line in lines))
    return load_settings(path)


def problem(folder: Path, *lines: str) -> str:
    """The one problem with these lines."""
    with pytest.raises(SettingsError) as caught:
        loaded(folder, *lines)
    (told,) = str(caught.value).splitlines()
    return told


def test_nothing_is_posted_anywhere_by_default() -> None:
    """Off until somebody wants it."""
    settings = load_settings(None)

    assert (settings.webhooks(), settings.rabbitmq_address()) == ([], "")


def test_three_webhooks_each_with_a_secret_and_events_of_its_own(tmp_path: Path) -> None:
    """Their names stay what they are when another one is taken out."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    settings = loaded(
        tmp_path,
        f"EVQUOTA_WEBHOOK_URL={HOOK}",
        f"EVQUOTA_WEBHOOK_SECRET={SECRET}",
        "EVQUOTA_WEBHOOK_3_URL=http://192.168.1.7:8123/api/webhook/x",
        f"EVQUOTA_WEBHOOK_3_SECRET_FILE={file}",
        "EVQUOTA_WEBHOOK_3_EVENTS=quota.*, session.stopped",
    )

    first, third = settings.webhooks()
    assert (first.name, first.url, first.key, first.types) == ("webhook-1", HOOK, KEY, tuple(EventType))
    assert (third.name, third.key) == ("webhook-3", KEY)
    assert third.types == (EventType.SESSION_STOPPED, EventType.QUOTA_WARNING, EventType.QUOTA_REACHED)


@pytest.mark.parametrize("word", ["session", "session.begun", "Session.*", "", "quota.*x"])
def test_an_event_that_does_not_exist_is_named(word: str) -> None:
    """A misspelt one would never come."""
    with pytest.raises(ValueError, match="is no event"):
        types_of(("quota.*", word))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "secret",
        b64encode(KEY).decode(),
        f"whsec_{b64encode(KEY[:23]).decode()}",
        f"whsec_{b64encode(KEY * 3).decode()}",
        f"whsec_{b64encode(KEY).decode()[:-1]}",
        "whsec_ü",
    ],
    ids=["blank", "word", "no prefix", "short", "long", "cut off", "no base64"],
)
def test_a_secret_that_is_none_is_refused_with_how_to_make_one(secret: str) -> None:
    """24 to 64 bytes (Standard Webhooks)."""
    with pytest.raises(ValueError, match="openssl rand -base64 32"):
        key_of(secret)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((f"EVQUOTA_WEBHOOK_URL={HOOK}",), "EVQUOTA_WEBHOOK_SECRET expected whsec_"),
        (
            (f"EVQUOTA_WEBHOOK_2_URL={HOOK}", "EVQUOTA_WEBHOOK_2_SECRET_FILE=/nowhere/at/all"),
            "EVQUOTA_WEBHOOK_2_SECRET_FILE /nowhere/at/all cannot be read: No such file",
        ),
        (
            (
                f"EVQUOTA_WEBHOOK_URL={HOOK}",
                f"EVQUOTA_WEBHOOK_SECRET={SECRET}",
                "EVQUOTA_WEBHOOK_SECRET_FILE=/nowhere",
            ),
            "EVQUOTA_WEBHOOK_SECRET_FILE is set twice",
        ),
        ((f"EVQUOTA_WEBHOOK_SECRET={SECRET}",), "EVQUOTA_WEBHOOK_SECRET needs EVQUOTA_WEBHOOK_URL"),
        (("EVQUOTA_WEBHOOK_EVENTS=sessions.*",), 'EVQUOTA_WEBHOOK_EVENTS: "sessions.*" is no event'),
        (
            ("EVQUOTA_WEBHOOK_URL=http://example.org/hook", f"EVQUOTA_WEBHOOK_SECRET={SECRET}"),
            "EVQUOTA_WEBHOOK_URL is not encrypted",
        ),
        (("EVQUOTA_RABBITMQ_URL=amqp://u:p@example.org/",), "EVQUOTA_RABBITMQ_URL is not encrypted"),
        (("EVQUOTA_RABBITMQ_URL=https://example.org/",), "EVQUOTA_RABBITMQ_URL is no address of a RabbitMQ"),
        (("EVQUOTA_RABBITMQ_URL=amqps://[/",), "EVQUOTA_RABBITMQ_URL is no URL"),
        (("EVQUOTA_RABBITMQ_URL_FILE=/dev/null",), "EVQUOTA_RABBITMQ_URL_FILE: the file is empty"),
        (("EVQUOTA_RABBITMQ_URL_FILE=/nowhere",), "EVQUOTA_RABBITMQ_URL_FILE /nowhere cannot be read"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_one_sentence(lines: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """With the name of the setting to mend."""
    assert problem(tmp_path, *lines).startswith(expected)


def test_a_missing_package_is_named_with_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """aio-pika is an extra; `check` prints the same sentence."""
    monkeypatch.setattr("ocpp_server.settings.find_spec", lambda _name: None)

    told = problem(tmp_path, "EVQUOTA_RABBITMQ_URL=amqps://u:p@example.org/")

    assert told.endswith("pip install -r requirements-rabbitmq.txt")


def test_who_has_no_rabbitmq_loads_nothing_of_it() -> None:
    """Its package need not be there."""
    look = "import sys; import ocpp_server.app; sys.exit('aio_pika' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], cwd=PROJECT_FOLDER, check=False).returncode == 0


@pytest.mark.parametrize("wrong", ["EVQUOTA_OCPP_PORT=x", "EVQUOTA_WEBHOOK_EVENTS=x", "EVQUOTA_WEBHOOK_URL=ftp://x"])
def test_no_secret_is_told_by_a_problem(wrong: str, tmp_path: Path) -> None:
    """It goes to the terminal and to var/server.log."""
    lines = [f"{name}={value}" for name, value in SECRET_LINES.items()]
    lines += [] if "WEBHOOK_URL" in wrong else [f"EVQUOTA_WEBHOOK_URL={HOOK}"]

    told = problem(tmp_path, *lines, wrong)

    assert trace_in(told) is None


def test_no_secret_is_shown_by_the_api_or_by_repr(tmp_path: Path) -> None:
    """Only that it is set, and where an address leads."""
    lines = [f"{name}={value}" for name, value in SECRET_LINES.items()]
    settings = loaded(tmp_path, *lines, f"EVQUOTA_WEBHOOK_URL=https://example.org/{CANARY_SECRET}")

    fields = type(settings).model_fields
    shown = {name: setting_document(name, getattr(settings, name), field).value for name, field in fields.items()}
    assert trace_in(repr(shown)) is None
    assert trace_in(repr(settings)) is None
    assert trace_in(repr(settings.webhooks())) is None
    assert shown["webhook_url"] == "https://example.org/***"
    assert shown["rabbitmq_url"] == "amqps://example.org/***"
