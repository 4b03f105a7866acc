"""`GET /api/v1/settings`: what the server runs with. Values of secrets are not shown; there is none today."""

import re
from typing import Final

import msgspec
from pydantic.fields import FieldInfo

from ocpp_server.control_api.routing import Answer, Request, Route
from ocpp_server.settings import Settings, variable_name

MASK: Final = "***"
_SECRET: Final = re.compile(r"password|passphrase|token|secret", re.IGNORECASE)
"""In the name of a setting. A path of a key is none: it tells where a secret lies, not what it is."""


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
    is_masked = _SECRET.search(name) is not None and value not in (None, "")
    return SettingDocument(
        name=variable_name(name),
        value=MASK if is_masked else _text(value),
        default=_text(default),
        is_default=value == default,
        description=field.description or "",
    )


def _text(value: object) -> str:
    """As it would stand in .env."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
