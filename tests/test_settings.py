"""Settings: defaults, ranges, and that nothing wrong is passed over in silence."""

import os
from ipaddress import ip_address
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError

from ocpp_server.env_file import SettingsError
from ocpp_server.settings import (
    LOCAL_NETWORKS,
    PROJECT_FOLDER,
    Settings,
    load_settings,
    system_zone_name,
    variable_name,
)

DEFAULTS: dict[str, object] = {
    "data_dir": PROJECT_FOLDER / "data",
    "ocpp_host": "0.0.0.0",
    "ocpp_port": 9000,
    "api_host": "127.0.0.1",
    "api_port": 9001,
    "dashboard_host": "127.0.0.1",
    "dashboard_port": 8501,
    "dashboard_idle_logout_s": 43200,
    "site_name": "evquota",
    "timezone": system_zone_name(),
    "charger_networks": LOCAL_NETWORKS,
    "charger_admission": "pending",
    "max_charge_points": 200,
    "min_security_profile": 0,
    "trusted_proxies": (),
    "allow_internet_without_tls": False,
    "tls_certificate": None,
    "tls_key": None,
    "tls_client_ca": None,
    "ocpp_tls_port": 9443,
    "tls_compat": False,
    "max_connections": 500,
    "max_message_rate": 20,
    "ocpp_path_prefixes": ("/ws/ocpp/16", "/ocpp"),
    "allow_missing_subprotocol": True,
    "heartbeat_interval_s": 60,
    "meter_interval_s": 60,
    "charger_ping_interval_s": 30,
    "configure_charge_points": True,
    "ping_interval_s": 20,
    "ping_timeout_s": 20,
    "call_timeout_s": 30,
    "max_sessions_per_account": 0,
    "tag_suffix_separator": "_",
    "max_power_kw": 50,
    "stop_escalation": "profile",
    "stale_close_after_s": 3600,
    "clock_factor": 1,
    "clock_origin": None,
    "message_log": True,
    "forward_url": "",
    "forward_api_key": "",
    "forward_api_key_file": None,
    "forward_header": "Authorization",
    "forward_scheme": "Bearer",
    "forward_batch": 1,
    "forward_lanes": 8,
    "forward_allow_http": False,
    "outbox_mb": 64,
    "webhook_url": "",
    "webhook_secret": "",
    "webhook_secret_file": None,
    "webhook_events": ("*",),
    "webhook_2_url": "",
    "webhook_2_secret": "",
    "webhook_2_secret_file": None,
    "webhook_2_events": ("*",),
    "webhook_3_url": "",
    "webhook_3_secret": "",
    "webhook_3_secret_file": None,
    "webhook_3_events": ("*",),
    "rabbitmq_url": "",
    "rabbitmq_url_file": None,
    "rabbitmq_exchange": "evquota",
    "log_level": "INFO",
}
WITHOUT_A_FIXED_DEFAULT = {"timezone", "clock_origin"}
"""What .env.example can only give an example of."""


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("EVQUOTA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def problems_of(env_file: Path | None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file)
    return str(caught.value).splitlines()


def test_every_setting_has_the_default_that_is_promised() -> None:
    """A laptop needs no settings at all."""
    settings = load_settings(None)

    found = {field: getattr(settings, field) for field in Settings.model_fields}
    found["charger_networks"] = ",".join(str(network) for network in settings.charger_networks)
    assert found == DEFAULTS


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_has_a_description(field: str) -> None:
    """The description is the documentation, and a number in seconds says so."""
    description = Settings.model_fields[field].description or ""

    assert description.endswith(".")
    assert not field.endswith("_s") or "econds" in description


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_stands_in_the_example_with_its_default(field: str, tmp_path: Path) -> None:
    """.env.example shows each setting, commented, with the value that holds anyway."""
    uncommented = tmp_path / "example"
    lines = (PROJECT_FOLDER / ".env.example").read_text().splitlines()
    uncommented.write_text("\n".join(line.removeprefix("#") for line in lines if line.startswith("#EVQUOTA_")))

    shown = dotenv_values(uncommented)
    assert list(shown) == [variable_name(name) for name in Settings.model_fields]
    if field not in WITHOUT_A_FIXED_DEFAULT:
        assert getattr(load_settings(uncommented), field) == getattr(load_settings(None), field)


def test_the_example_itself_sets_nothing() -> None:
    """./run copies it to .env; that alone changes nothing."""
    assert dotenv_values(PROJECT_FOLDER / ".env.example") == {}


def test_the_environment_wins_over_the_file(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment first, then .env, then the default."""
    env_file.write_text("EVQUOTA_OCPP_PORT=9100\nEVQUOTA_API_PORT=9101\n")
    monkeypatch.setenv("EVQUOTA_OCPP_PORT", "9200")

    settings = load_settings(env_file)

    assert (settings.ocpp_port, settings.api_port, settings.dashboard_port) == (9200, 9101, 8501)


def test_a_missing_file_is_no_problem(env_file: Path) -> None:
    """The defaults hold."""
    assert load_settings(env_file) == load_settings(None)


def test_a_file_saved_by_a_windows_editor_is_read(env_file: Path) -> None:
    """Byte order mark and CRLF."""
    env_file.write_bytes("\ufeffEVQUOTA_SITE_NAME=Çankaya\r\nEVQUOTA_OCPP_PORT=9100\r\n".encode())

    assert (load_settings(env_file).site_name, load_settings(env_file).ocpp_port) == ("Çankaya", 9100)


def test_an_unknown_name_in_the_environment_is_named_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting must not be ignored."""
    monkeypatch.setenv("EVQUOTA_OCPP_PROT", "9100")

    assert problems_of(None) == [
        "EVQUOTA_OCPP_PROT (in the environment) is not a setting: did you mean EVQUOTA_OCPP_PORT?"
    ]


@pytest.mark.parametrize("name", ["EVQUOTA_TIME_ZONE", "TIMEZONE", "evquota_timezones"])
def test_an_unknown_name_in_the_file_is_named_with_the_nearest_one(name: str, env_file: Path) -> None:
    """Also where only the prefix was forgotten."""
    env_file.write_text(f"{name}=Europe/Istanbul\n")

    assert problems_of(env_file) == [f"{name} (in {env_file}) is not a setting: did you mean EVQUOTA_TIMEZONE?"]


def test_names_of_the_tools_are_no_unknown_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """./run and CI use them."""
    monkeypatch.setenv("EVQUOTA_VENV", "elsewhere/venv")
    monkeypatch.setenv("EVQUOTA_NO_SKIPS", "1")

    assert load_settings(None).ocpp_port == 9000


def test_a_line_that_is_no_setting_is_named_by_its_number(env_file: Path) -> None:
    """python-dotenv alone would pass over it with a warning."""
    env_file.write_text("# comment\n\nEVQUOTA_OCPP_PORT=9100\n\nEVQUOTA_OCPP_PORT: 9100\nEVQUOTA_SITE_NAME\n")

    assert problems_of(env_file) == [
        f'{env_file} line 5: expected NAME=value, not "EVQUOTA_OCPP_PORT: 9100"',
        f'{env_file} line 6: expected NAME=value, not "EVQUOTA_SITE_NAME"',
    ]


def test_a_file_that_cannot_be_read_is_one_sentence(env_file: Path) -> None:
    """Not UTF-8, or a folder in its place."""
    env_file.write_bytes(b"EVQUOTA_SITE_NAME=\xfe\n")
    assert "cannot be read" in problems_of(env_file)[0]

    env_file.unlink()
    env_file.mkdir()
    assert "cannot be read" in problems_of(env_file)[0]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("ocpp_port", "abc", "expected a valid integer"),
        ("ocpp_port", "70000", "expected less than or equal to 65535"),
        ("api_port", "", "expected a valid integer"),
        ("dashboard_port", "0", "expected greater than or equal to 1"),
        ("ocpp_host", "", "at least 1 character"),
        ("timezone", "Europe/Nowhere", "expected the name of a time zone such as Europe/Istanbul"),
        ("timezone", "Europe", "expected the name of a time zone"),
        ("timezone", "", "expected the name of a time zone"),
        ("charger_networks", "10.0.0.1/8", "expected networks such as 192.168.1.0/24"),
        ("charger_networks", "", "expected at least one network"),
        ("ocpp_path_prefixes", "ocpp", "expected paths such as /ocpp"),
        ("ocpp_path_prefixes", "/", "expected paths such as /ocpp"),
        ("allow_missing_subprotocol", "maybe", "expected a valid boolean"),
        ("heartbeat_interval_s", "0", "expected greater than or equal to 1"),
        ("meter_interval_s", "1.5", "expected a valid integer"),
        ("ping_interval_s", "-1", "expected greater than or equal to 0"),
        ("ping_timeout_s", "inf", "expected a finite number"),
        ("call_timeout_s", "0", "expected greater than 0"),
        ("max_sessions_per_account", "-1", "expected greater than or equal to 0"),
        ("tag_suffix_separator", "x", "expected at most three signs"),
        ("tag_suffix_separator", "____", "expected at most three signs"),
        ("max_power_kw", "nan", "expected a finite number"),
        ("stop_escalation", "hard", "expected 'none', 'profile' or 'reset'"),
        ("clock_factor", "0", "expected greater than 0"),
        ("clock_origin", "today", "expected a valid number"),
        ("log_level", "loud", "expected 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(field: str, value: str, expected: str, env_file: Path) -> None:
    """Variable, place, what came, what was expected."""
    env_file.write_text(f"{variable_name(field)}={value}\n")

    (problem,) = problems_of(env_file)
    assert problem.startswith(f"{variable_name(field)} (in {env_file}) is ")
    assert expected in problem


def test_all_wrong_values_are_named_at_once(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody likes to mend one, start, and learn of the next."""
    env_file.write_text("EVQUOTA_OCPP_PORT=abc\n")
    monkeypatch.setenv("EVQUOTA_LOG_LEVEL", "loud")

    assert [problem.split('"')[0] for problem in problems_of(env_file)] == [
        f"EVQUOTA_OCPP_PORT (in {env_file}) is ",
        "EVQUOTA_LOG_LEVEL (in the environment) is ",
    ]


def test_values_are_read_as_their_types(env_file: Path) -> None:
    """Lists are separated by commas; a trailing slash of a path and the case of a level do not matter."""
    env_file.write_text(
        "EVQUOTA_CHARGER_NETWORKS=10.1.0.0/16, fd00::/8\nEVQUOTA_OCPP_PATH_PREFIXES=/a/b/,\nEVQUOTA_LOG_LEVEL=debug\n"
        "EVQUOTA_CONFIGURE_CHARGE_POINTS=false\nEVQUOTA_TAG_SUFFIX_SEPARATOR=\nEVQUOTA_CLOCK_ORIGIN=1767225600\n"
    )

    settings = load_settings(env_file)

    assert [ip_address("10.1.2.3") in network for network in settings.charger_networks] == [True, False]
    assert settings.ocpp_path_prefixes == ("/a/b",)
    assert (settings.log_level, settings.configure_charge_points) == ("DEBUG", False)
    assert (settings.tag_suffix_separator, settings.clock_origin) == ("", 1767225600)


def test_a_relative_data_folder_starts_at_the_project(env_file: Path) -> None:
    """Whatever folder the program was started in."""
    env_file.write_text("EVQUOTA_DATA_DIR=elsewhere\n")

    assert load_settings(env_file).data_dir == PROJECT_FOLDER / "elsewhere"


def test_settings_cannot_be_changed_and_take_no_unknown_argument() -> None:
    """They are read once and handed down."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().ocpp_port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(ocpp_prot=1)  # type: ignore[call-arg]


def test_another_process_reads_the_same_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard gets them so."""
    settings = Settings(site_name="x", timezone="Europe/Istanbul", configure_charge_points=False, clock_factor=60)
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)

    assert load_settings(None) == settings


def test_the_zone_of_the_site_is_a_time_zone() -> None:
    """Months begin in it."""
    assert Settings(timezone="Europe/Istanbul").zone.key == "Europe/Istanbul"


@pytest.mark.parametrize(
    ("variable", "timezone_file", "link", "expected"),
    [
        ("Europe/Paris", "Europe/Berlin", "Europe/Rome", "Europe/Paris"),
        (":/usr/share/zoneinfo/Europe/Paris", None, None, "Europe/Paris"),
        ("CET-1CEST", "Europe/Berlin\n", "Europe/Rome", "Europe/Berlin"),
        (None, None, "Europe/Rome", "Europe/Rome"),
        (None, "nonsense", None, "UTC"),
    ],
)
def test_the_zone_of_the_machine_is_found(
    variable: str | None,
    timezone_file: str | None,
    link: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TZ, then /etc/timezone, then the link /etc/localtime, then UTC."""
    monkeypatch.delenv("TZ", raising=False)
    if variable is not None:
        monkeypatch.setenv("TZ", variable)
    if timezone_file is not None:
        (tmp_path / "timezone").write_text(timezone_file)
    if link is not None:
        (tmp_path / "localtime").symlink_to(f"/usr/share/zoneinfo/{link}")

    found = system_zone_name(timezone_file=tmp_path / "timezone", localtime_link=tmp_path / "localtime")

    assert found == expected


# --- settings that go together ---


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("TLS_CERTIFICATE=c.pem", "EVQUOTA_TLS_CERTIFICATE and EVQUOTA_TLS_KEY go together: set both, or neither"),
        ("TLS_KEY=c.key", "EVQUOTA_TLS_CERTIFICATE and EVQUOTA_TLS_KEY go together: set both, or neither"),
        ("TLS_CLIENT_CA=ca.pem", "EVQUOTA_TLS_CLIENT_CA needs the server's own certificate"),
        ("MIN_SECURITY_PROFILE=2", "EVQUOTA_MIN_SECURITY_PROFILE=2 lets nobody in without TLS"),
        ("MIN_SECURITY_PROFILE=3 TLS_CERTIFICATE=c.pem TLS_KEY=c.key", "set EVQUOTA_TLS_CLIENT_CA to who signs them"),
        ("MIN_SECURITY_PROFILE=3 TRUSTED_PROXIES=10.0.0.1", "set EVQUOTA_TLS_CLIENT_CA to who signs them"),
    ],
)
def test_tls_that_is_not_whole_is_a_problem(env_file: Path, lines: str, problem: str) -> None:
    """One sentence that names the settings and says what is missing."""
    env_file.write_text("".join(f"EVQUOTA_{line}\n" for line in lines.split()))

    (said,) = problems_of(env_file)
    assert problem in said


@pytest.mark.parametrize(
    ("lines", "has_plain_port"),
    [
        ("", True),
        ("TLS_CERTIFICATE= TLS_KEY= TLS_CLIENT_CA=", True),
        ("TLS_CERTIFICATE=c.pem TLS_KEY=c.key TLS_CLIENT_CA=ca.pem MIN_SECURITY_PROFILE=1", True),
        ("TLS_CERTIFICATE=c.pem TLS_KEY=c.key MIN_SECURITY_PROFILE=2", False),
        ("TLS_CERTIFICATE=c.pem TLS_KEY=c.key TLS_CLIENT_CA=ca.pem MIN_SECURITY_PROFILE=3", False),
        ("TRUSTED_PROXIES=10.0.0.1 MIN_SECURITY_PROFILE=2", True),
    ],
)
def test_the_port_without_tls_is_closed_where_all_must_use_tls(
    env_file: Path, lines: str, has_plain_port: bool
) -> None:
    """OCPP-J §6; a proxy that does the TLS comes to this very port."""
    env_file.write_text("".join(f"EVQUOTA_{line}\n" for line in lines.split()))

    assert load_settings(env_file).has_plain_port is has_plain_port
