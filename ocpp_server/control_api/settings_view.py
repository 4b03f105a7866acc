"""`GET /api/v1/settings`: what the server runs with. Of secrets only whether they are set is shown."""

import re
from typing import Final

import msgspec
from pydantic.fields import FieldInfo

from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.settings import SECRETS, Settings, variable_name
from ocpp_server.web_address import place_of

MASK: Final = "***"
_SECRET: Final = re.compile(r"(password|passphrase|token|secret)(?!.*_file$)", re.IGNORECASE)
"""In the name of a setting that nobody put among the secrets. A path is none: it tells where a secret lies."""


class SettingDocument(msgspec.Struct, kw_only=True):
    """One name of `.env` or the environment, its value and default as text."""

    name: str
    value: str
    """Blank: not set."""
    default: str
    is_default: bool
    description: str
    """With the unit."""


class SettingList(msgspec.Struct, kw_only=True):
    """In the order of .env.example."""

    settings: list[SettingDocument]


class SettingsView:
    """The routes of this resource."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[Route]:
        """For `ControlApi`."""
        return [
            Route(
                "GET",
                "/api/v1/settings",
                self.list_settings,
                "server",
                "What the server runs with",
                gives=SettingList,
                role="administrator",
            )
        ]

    async def list_settings(self, _request: Request) -> Answer:
        fields = type(self._settings).model_fields
        documents = [setting_document(name, getattr(self._settings, name), field) for name, field in fields.items()]
        return Answer(SettingList(settings=documents))


def setting_document(name: str, value: object, field: FieldInfo) -> SettingDocument:
    """One setting; the value of a secret is masked."""
    default = field.get_default(call_default_factory=True)
    is_secret = name in SECRETS or _SECRET.search(name) is not None
    return SettingDocument(
        name=variable_name(name),
        value=_masked(name, str(value)) if is_secret and value else _text(value),
        default=_text(default),
        is_default=value == default,
        description=field.description or "",
    )


def _masked(name: str, value: str) -> str:
    """Of an address, where it leads; the rest of it may be a secret."""
    place = place_of(value) if name.endswith("_url") else ""
    return f"{place}/{MASK}" if place else MASK


def _text(value: object) -> str:
    """As it would stand in .env."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
