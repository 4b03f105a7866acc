"""An answer that has no end: chunk by chunk, as long as somebody reads it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

_LONGEST_WRITE_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy that gathers chunks would hold events back."""

Chunks = AsyncGenerator[bytes, None]


class SlowReaderError(Exception):
    """What was to be sent next is gone: the reader is dropped, and may ask again."""


async def stream(request: web.Request, chunks: Chunks, content_type: str) -> web.StreamResponse:
    """Send the chunks. Raises what the first one raises, as nothing was answered yet.

    Who does not take them in time is dropped, and who went away is noticed within a second.
    """
    async with aclosing(chunks):
        first = await anext(chunks)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": content_type})
        await response.prepare(request)
        sending = asyncio.create_task(_send(response, first, chunks))
        watching = asyncio.create_task(_until_gone(request))
        try:
            await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            watching.cancel()
            await asyncio.wait({sending, watching})
        if sending.cancelled() or not sending.result():
            _abort(request)
        else:
            await response.write_eof()
        return response


async def _send(response: web.StreamResponse, first: bytes, chunks: Chunks) -> bool:
    """Whether all of them were sent, the last one included."""
    try:
        await _write(response, first)
        async for chunk in chunks:
            await _write(response, chunk)
    except (SlowReaderError, TimeoutError, ConnectionError):
        return False
    return True


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(_LONGEST_WRITE_S):
        await response.write(chunk)


async def _until_gone(request: web.Request) -> None:
    """aiohttp tells nobody that a client has gone while there is nothing to be written."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(_LOOK_EVERY_S)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
