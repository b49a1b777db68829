"""A web server of lists: paths to what they answer, and everything that was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from libs.core.history import Columns, joined
from libs.venues.sources.base import Ask, Source

Answer = Callable[[dict[str, str]], Any]
"""The query to the body; (status, body) for anything but 200."""

KEY = "the-key-that-nobody-may-see"
DAY = 86_400 * 10**9
T0 = 1_722_816_000 * 10**9  # 2024-08-05 00:00 UTC


class Stub:
    """`answers`: path to answer; a path that ends in * stands for all that begin so."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        app = web.Application()
        app.add_routes([web.get("/{path:.*}", self._serve)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    @property
    def urls(self) -> dict[str, str]:
        return {"rest": f"http://127.0.0.1:{self._runner.addresses[0][1]}"}

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append((request.path, query, dict(request.headers)))
        answer = self.answers.get(request.path) or next(
            (made for path, made in self.answers.items() if path.endswith("*") and request.path.startswith(path[:-1])),
            None,
        )
        if answer is None:
            return web.json_response({"error": f"no such path {request.path}"}, status=404)
        body = answer(query)
        status, body = body if isinstance(body, tuple) else (200, body)
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), status=status)


async def rows(source: Source, ask: Ask) -> Columns:
    """Everything that the source has, and the same again taken up after each of its pages."""
    pages = [page async for page in source.pages(ask)]
    whole = joined(ask.kind, [page.columns for page in pages])
    for cut in range(len(pages)):
        rest = [page.columns async for page in source.pages(ask, pages[cut].after)]
        again = joined(ask.kind, [*(page.columns for page in pages[: cut + 1]), *rest])
        assert {name: values.tolist() for name, values in again.items()} == {
            name: values.tolist() for name, values in whole.items()
        }, f"taken up after page {cut}"
    return whole
