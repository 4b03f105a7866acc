"""An operator with the token, on the running site's control API. The clock is turned until the answer is there."""

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
from running_site import RunningSite

from ocpp_server.control_api.token import read_token

_STEP_S = 5.0
_MOST_STEPS = 200


class Operator:
    """Status and JSON of each answer."""

    def __init__(self, site: RunningSite) -> None:
        self._site = site

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """`path` below /api/v1."""
        url = f"http://127.0.0.1:{self._site.server.api_port}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {read_token(self._site.data_dir)}", "X-Requested-By": "Ann"}
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body, headers=headers) as got:
            return got.status, await got.json(content_type=None)

    async def post(self, charge_point_id: str, what: str, body: Any = None) -> tuple[int, Any]:
        """What is asked of one charge point."""
        return await self.ask("POST", f"charge-points/{quote(charge_point_id, safe='')}/{what}", body)

    async def command(self, charge_point_id: str, action: str, payload: Any = None) -> tuple[int, Any]:
        """Through the generic door."""
        return await self.post(charge_point_id, f"commands/{action}", payload or {})

    async def patiently(self, asking: Any) -> Any:
        """Turn the clock until this is answered."""
        task = asyncio.ensure_future(asking)
        for _ in range(_MOST_STEPS):
            if task.done():
                break
            await self._site.advance(_STEP_S)
        return await task
