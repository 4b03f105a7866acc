"""The settings: every `EVQUOTA_…` name, its unit, its default and its range. Read once at start.

They come from the environment and then from `.env` in the project's folder. What cannot be understood stops
the start (`SettingsError`); nothing falls back to a default silently.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ocpp_server.core.site import UnknownChargePoints
from ocpp_server.env_file import PREFIX, SettingsError, problems_of
from ocpp_server.web_address import amqp_problem, is_header_value, url_problem
from ocpp_server.webhook_settings import WebhookSettings, secret_in, webhook_of
from ocpp_server.webhook_settings import problems_of as webhook_problems_of

PROJECT_FOLDER: Final = Path(__file__).resolve().parent.parent
ENV_FILE: Final = PROJECT_FOLDER / ".env"
WEBHOOK_FIELDS: Final = {
    number: (f"{webhook}_url", f"{webhook}_secret", f"{webhook}_secret_file", f"{webhook}_events")
    for number, webhook in enumerate(("webhook", "webhook_2", "webhook_3"), start=1)
}
"""The settings of each webhook."""

SECRETS: Final = frozenset(
    {"forward_url", "forward_api_key", "rabbitmq_url"}
    | {name for names in WEBHOOK_FIELDS.values() for name in names[:2]}
)
"""Fields that hold a secret, or may: an address can have one in its path. Nobody is shown them."""

LOCAL_NETWORKS: Final = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10"


def _split(value: object) -> object:
    """The parts of a comma separated text; anything else goes on to pydantic as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value)
    except ValueError as error:
        message = f"expected networks such as 192.168.1.0/24, separated by commas ({error})"
        raise ValueError(message) from error


def _at_least_one(value: tuple[IPv4Network | IPv6Network, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    if not value:
        message = "expected at least one network, such as 192.168.1.0/24"
        raise ValueError(message)
    return value


def _path_prefix(value: str) -> str:
    if not value.startswith("/") or value.strip("/") == "":
        message = f'expected paths such as /ocpp, separated by commas, not "{value}"'
        raise ValueError(message)
    return value.rstrip("/")


def _project_path(value: Path) -> Path:
    return PROJECT_FOLDER / value.expanduser()


def _optional_project_path(value: Path | None) -> Path | None:
    return None if value is None or str(value) in ("", ".") else _project_path(value)


def _separator(value: str) -> str:
    if len(value) > 3 or any(sign.isalnum() for sign in value):
        message = "expected at most three signs that are neither letters nor digits"
        raise ValueError(message)
    return value


def _upper_case(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _zone_name(value: str) -> str:
    if not _is_zone(value):
        message = "expected the name of a time zone such as Europe/Istanbul"
        raise ValueError(message)
    return value


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; no name at all; a folder such as "Europe"
        return False
    return True


def system_zone_name(
    *, timezone_file: Path = Path("/etc/timezone"), localtime_link: Path = Path("/etc/localtime")
) -> str:
    """The IANA name of the machine's time zone: from TZ, /etc/timezone or the link /etc/localtime, or UTC."""
    candidates = [os.environ.get("TZ", "").removeprefix(":")]
    if timezone_file.is_file():
        candidates.append(timezone_file.read_text(encoding="utf-8", errors="replace").strip())
    if localtime_link.is_symlink():
        candidates.append(str(localtime_link.readlink()))
    names = [candidate.rpartition("zoneinfo/")[2] for candidate in candidates]
    return next((name for name in names if _is_zone(name)), "UTC")


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split), AfterValidator(_at_least_one)]
OptionalNetworks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_split)]
PathPrefixes = Annotated[tuple[Annotated[str, AfterValidator(_path_prefix)], ...], NoDecode, BeforeValidator(_split)]
EventWords = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
OptionalPath = Annotated[Path | None, AfterValidator(_optional_project_path)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]
SecondsOrOff = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings of one site. The description of a field is its documentation, with the unit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file_encoding="utf-8-sig", extra="forbid", frozen=True, validate_default=False
    )

    data_dir: Annotated[Path, AfterValidator(_project_path)] = Field(
        default=PROJECT_FOLDER / "data",
        description="Folder of users1.csv and of all that the server stores; "
        "a relative path starts at the project's folder.",
    )
    ocpp_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - charge points are other machines
        min_length=1,
        description="Address that charge points connect to; 0.0.0.0 is every address of this machine.",
    )
    ocpp_port: Port = Field(
        default=9000, description="Port of the charge points (WebSocket); 0 takes any free one, for tests."
    )
    api_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address of the control API; keep it on this machine."
    )
    api_port: Port = Field(default=9001, description="Port of the control API; 0 takes any free one, for tests.")
    dashboard_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address of the dashboard; 0.0.0.0 opens its login to the whole network, without encryption.",
    )
    dashboard_port: Annotated[int, Field(ge=1, le=65535)] = Field(default=8501, description="Port of the dashboard.")
    dashboard_idle_logout_s: Annotated[int, Field(ge=60, le=30 * 86400)] = Field(
        default=43_200, description="Seconds without use after which somebody is signed out of the dashboard."
    )
    site_name: str = Field(
        default="evquota",
        min_length=1,
        max_length=100,
        description="Name of the site, shown on every page and report.",
    )
    timezone: Annotated[str, AfterValidator(_zone_name)] = Field(
        default_factory=system_zone_name,
        description="Time zone in which a month begins, e.g. Europe/Istanbul; not set: the machine's own.",
    )
    charger_networks: Networks = Field(
        default=tuple(ip_network(part) for part in LOCAL_NETWORKS.split(",")),
        description="Networks (CIDR, separated by commas) that belong to the site; not set: this machine and all "
        "private ranges. A charge point from elsewhere must prove itself with a key or a certificate.",
    )
    charger_admission: UnknownChargePoints = Field(
        default=UnknownChargePoints.PENDING,
        description="What becomes of an unknown charge point of these networks: pending (it waits for your approval), "
        "locked (it is refused) or open (it is let in).",
    )
    max_charge_points: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=200, description="Charge points that the site can have; further unknown ones are refused."
    )
    min_security_profile: Annotated[int, Field(ge=0, le=3)] = Field(
        default=0,
        description="Least OCPP security profile that is let in: 0 none, 1 key, 2 key over TLS, 3 certificate. "
        "From 2 on the port without TLS is closed, unless trusted proxies do the TLS.",
    )
    trusted_proxies: OptionalNetworks = Field(
        default=(),
        description="Addresses or networks (separated by commas) of your reverse proxies; they must set "
        "X-Forwarded-For and X-Forwarded-Proto, which are believed from nobody else.",
    )
    allow_internet_without_tls: bool = Field(
        default=False,
        description="true: a charge point may send its key unencrypted over the internet, where anybody on the way "
        "can read it.",
    )
    tls_certificate: OptionalPath = Field(
        default=None,
        description="File with the server's certificate and its chain (PEM): charge points can then connect with wss; "
        "a renewed one is taken up while the server runs.",
    )
    tls_key: OptionalPath = Field(default=None, description="File with the private key of that certificate (PEM).")
    tls_client_ca: OptionalPath = Field(
        default=None,
        description="File with the certificate authorities (PEM) of your charge points' own certificates, for security "
        "profile 3.",
    )
    ocpp_tls_port: Port = Field(
        default=9443, description="Port of the charge points that use TLS, with a certificate; 0 takes any free one."
    )
    tls_compat: bool = Field(
        default=False,
        description="true: also the two TLS_RSA cipher suites of the OCPP security white paper, for old charge points.",
    )
    max_connections: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=500, description="Connections at most; charge points that are approved are never refused by it."
    )
    max_message_rate: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] = Field(
        default=20.0,
        description="Messages per second that are read from one charge point, after a burst of ten times as many; "
        "what comes faster waits. 0: no limit.",
    )
    ocpp_path_prefixes: PathPrefixes = Field(
        default=("/ws/ocpp/16", "/ocpp"),
        description="Paths (separated by commas) that may stand before the charge point's id in its address.",
    )
    allow_missing_subprotocol: bool = Field(
        default=True,
        description="true: a charge point that offers no WebSocket subprotocol is taken to speak OCPP 1.6.",
    )
    heartbeat_interval_s: Annotated[int, Field(ge=1, le=86400)] = Field(
        default=60, description="Seconds between heartbeats, told to charge points in BootNotification."
    )
    meter_interval_s: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=60, description="Seconds between meter values during a session, asked for at boot."
    )
    charger_ping_interval_s: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=30,
        description="Seconds between the charge point's own pings (WebSocketPingInterval), asked for at boot; 0: none.",
    )
    configure_charge_points: bool = Field(
        default=True, description="false: no charge point's configuration is ever changed at boot."
    )
    ping_interval_s: SecondsOrOff = Field(
        default=20.0, description="Seconds between the server's pings on a connection; 0 switches them off."
    )
    ping_timeout_s: Seconds = Field(
        default=20.0, description="Seconds without an answer to a ping after which a connection is given up."
    )
    call_timeout_s: Seconds = Field(
        default=30.0, description="Seconds to wait for a charge point's answer to a request of ours."
    )
    max_sessions_per_account: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Sessions that one account may have at the same time; 0: no limit."
    )
    tag_suffix_separator: Annotated[str, AfterValidator(_separator)] = Field(
        default="_",
        description="Sign after which charge points append something of their own to a tag; blank: off.",
    )
    max_power_kw: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = Field(
        default=50.0,
        description="Power in kW that a connector can give at most, where chargers.csv says nothing.",
    )
    stop_escalation: Literal["none", "profile", "reset"] = Field(
        default="profile",
        description="What follows when a charge point does not obey a stop: none, profile (charging limit 0) "
        "or reset (after that, a soft reset).",
    )
    stale_close_after_s: Seconds = Field(
        default=3600.0,
        description="Seconds of silence after which a session without its end is closed at its last reading.",
    )
    clock_factor: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = Field(
        default=1.0, description="Speed of the clock as a factor, for the demo and tests; 1 is real time."
    )
    clock_origin: Annotated[float, Field(ge=0, le=4_102_444_800, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Moment (seconds since 1970, UTC) from which a faster clock counts; only for the demo.",
    )
    message_log: bool = Field(
        default=True,
        description="true: the last OCPP messages of each charge point are kept in data/messages, with cards, without "
        "secrets; false: they are not, and what is there is removed at the start.",
    )
    forward_url: str = Field(
        default="",
        description="Address (https) of an API that every reading is posted to; blank: none.",
        repr=False,
    )
    forward_api_key: str = Field(default="", description="Key of that API; blank: it needs none.", repr=False)
    forward_api_key_file: OptionalPath = Field(
        default=None, description="File whose first line is this key instead; a new one is taken up after a refusal."
    )
    forward_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = Field(
        default="Authorization", description="Header that the key stands in."
    )
    forward_scheme: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = Field(
        default="Bearer", description="Word before the key in that header; blank: the key alone."
    )
    forward_batch: Annotated[int, Field(ge=1, le=500)] = Field(
        default=1, description="Readings in one post at most; 1: each is posted by itself, more: as a JSON array."
    )
    forward_lanes: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="Charge points whose readings are posted at the same time."
    )
    forward_allow_http: bool = Field(
        default=False, description="true: readings and the key may be sent unencrypted, for all to read on the way."
    )
    outbox_mb: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=64,
        description="MiB that readings may take while they wait for other systems; beyond it the oldest are dropped.",
    )
    webhook_url: str = Field(
        default="", description="Address (https) that events are posted to; blank: none.", repr=False
    )
    webhook_secret: str = Field(
        default="",
        description="Secret that these posts are signed with: whsec_ and 24 to 64 random bytes in base64.",
        repr=False,
    )
    webhook_secret_file: OptionalPath = Field(default=None, description="File that holds this secret instead.")
    webhook_events: EventWords = Field(
        default=("*",),
        description="Events that it gets: names or families such as session.*,quota.*, separated by commas; * is all.",
    )
    webhook_2_url: str = Field(default="", description="Address of webhook 2.", repr=False)
    webhook_2_secret: str = Field(
        default="",
        description="Secret of webhook 2.",
        repr=False,
    )
    webhook_2_secret_file: OptionalPath = Field(default=None, description="File that holds the secret of webhook 2.")
    webhook_2_events: EventWords = Field(
        default=("*",),
        description="Events that webhook 2 gets.",
    )
    webhook_3_url: str = Field(default="", description="Address of webhook 3.", repr=False)
    webhook_3_secret: str = Field(
        default="",
        description="Secret of webhook 3.",
        repr=False,
    )
    webhook_3_secret_file: OptionalPath = Field(default=None, description="File that holds the secret of webhook 3.")
    webhook_3_events: EventWords = Field(
        default=("*",),
        description="Events that webhook 3 gets.",
    )
    rabbitmq_url: str = Field(
        default="",
        description="Address of a RabbitMQ that gets all events and readings, such as "
        "amqps://user:password@example.org/vhost; blank: none.",
        repr=False,
    )
    rabbitmq_url_file: OptionalPath = Field(default=None, description="File that holds this address instead.")
    rabbitmq_exchange: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,127}$")] = Field(
        default="evquota", description="Name of the topic exchange there; it is made if it is not there."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper_case)] = Field(
        default="INFO", description="Least level of a line in the log: DEBUG, INFO, WARNING or ERROR."
    )

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        problems = "\n".join([*_tls_problems(self), *_destination_problems(self)])
        if problems:
            raise ValueError(problems)
        return self

    @property
    def has_plain_port(self) -> bool:
        """Whether the port without TLS is open: no more where all must use TLS (OCPP-J §6), but for a proxy's sake."""
        return self.min_security_profile < 2 or bool(self.trusted_proxies)

    def webhooks(self) -> list[WebhookSettings]:
        """Those that are configured, with their secrets."""
        return [
            webhook_of(number, *values)
            for number, names in WEBHOOK_FIELDS.items()
            if (values := _webhook_values(self, names))[0]
        ]

    def rabbitmq_address(self) -> str:
        """The URL of the RabbitMQ, with its password; blank: there is none."""
        return secret_in(self.rabbitmq_url, self.rabbitmq_url_file)

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)

    def as_environment(self) -> dict[str, str]:
        """Every setting that is set, by its name in the environment: for a process of the same site."""
        values = ((variable_name(field), getattr(self, field)) for field in type(self).model_fields)
        return {name: _text(value) for name, value in values if value is not None}


def variable_name(field: str) -> str:
    """`ocpp_port` -> `EVQUOTA_OCPP_PORT`."""
    return PREFIX + field.upper()


def load_settings(env_file: Path | None) -> Settings:
    """The settings from the environment and, where that says nothing, from `env_file` (which may be absent).

    Raises SettingsError, which names every wrong name and value at once.
    """
    problems = problems_of(env_file, {variable_name(field) for field in Settings.model_fields})
    if problems:
        raise SettingsError("\n".join(problems))
    try:
        return Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings hides it from checkers
    except ValidationError as error:
        raise SettingsError("\n".join(_sentence(detail, env_file) for detail in error.errors())) from error


def _webhook_values(
    settings: Settings, names: tuple[str, str, str, str]
) -> tuple[str, str, Path | None, tuple[str, ...]]:
    url, secret, file, events = (getattr(settings, name) for name in names)
    return url, secret, file, events


def _forward_problems(settings: Settings) -> Iterator[str]:
    url, key, file = (variable_name(f"forward_{part}") for part in ("url", "api_key", "api_key_file"))
    problem = ""
    if settings.forward_url:
        problem = url_problem(settings.forward_url, is_http_allowed=settings.forward_allow_http)
    if problem:
        yield f"{url} {problem}"
    if settings.forward_api_key and settings.forward_api_key_file is not None:
        yield f"{key} and {file} are the same thing: set only one of them"
    if not is_header_value(settings.forward_api_key):
        yield f"{key} holds signs that no header may have: expected one line of ASCII"


def _destination_problems(settings: Settings) -> Iterator[str]:
    yield from _forward_problems(settings)
    for names in WEBHOOK_FIELDS.values():
        url, secret, file, events = (variable_name(name) for name in names)
        yield from webhook_problems_of((url, secret, file, events), *_webhook_values(settings, names))
        problem = url_problem(getattr(settings, names[0]), is_http_allowed=False) if getattr(settings, names[0]) else ""
        if problem:
            yield f"{url} {problem}"
    yield from _rabbitmq_problems(settings)


def _rabbitmq_problems(settings: Settings) -> Iterator[str]:
    name = variable_name("rabbitmq_url" if settings.rabbitmq_url_file is None else "rabbitmq_url_file")
    try:
        url = settings.rabbitmq_address()
    except ValueError as error:
        yield f"{name} {error}"
        return
    if settings.rabbitmq_url_file is not None and not url:
        yield f"{name}: the file is empty"
    problem = amqp_problem(url) if url else ""
    if problem:
        yield f"{name} {problem}"
    if url and find_spec("aio_pika") is None:
        yield f"{name} needs a package more: .venv/bin/python -m pip install -r requirements-rabbitmq.txt"


def _tls_problems(settings: Settings) -> Iterator[str]:
    certificate, key = variable_name("tls_certificate"), variable_name("tls_key")
    client_ca, least = variable_name("tls_client_ca"), variable_name("min_security_profile")
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        yield f"{certificate} and {key} go together: set both, or neither"
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        yield f"{client_ca} needs the server's own certificate: set {certificate} and {key}, too"
    if not settings.has_plain_port and settings.tls_certificate is None:
        yield (
            f"{least}={settings.min_security_profile} lets nobody in without TLS: set {certificate} and {key}, "
            f"or {variable_name('trusted_proxies')} if a reverse proxy does it"
        )
    if settings.min_security_profile == 3 and settings.tls_client_ca is None:
        yield f"{least}=3 lets in only charge points with a certificate: set {client_ca} to who signs them"


def _sentence(detail: ErrorDetails, env_file: Path | None) -> str:
    if not detail["loc"]:  # of several settings together
        return detail["msg"].removeprefix("Value error, ")
    name = variable_name(str(detail["loc"][0]))
    from_environment = any(key.upper() == name for key in os.environ)
    place = "the environment" if from_environment else str(env_file)
    expected = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f'{name} (in {place}) is "{detail["input"]}": {expected}'


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
