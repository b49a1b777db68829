"""Faults over HTTP: what happened so far, more of it, and an end to it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import PlanError, plan_of


def fault_routes(faults: PlannedFaults) -> list[web.RouteDef]:
    """GET /faults tells rules and strikes, POST adds a rule, a list of rules or {seed, rules}, DELETE heals."""

    async def show(_: web.Request) -> web.Response:
        return _answer(faults)

    async def add(request: web.Request) -> web.Response:
        try:
            faults.add(plan_of(msgspec.json.decode(await request.read()), "faults"))
        except (PlanError, msgspec.DecodeError) as err:
            return web.json_response({"error": str(err)}, status=400)
        return _answer(faults)

    async def heal(_: web.Request) -> web.Response:
        faults.heal()
        return _answer(faults)

    return [web.get("/faults", show), web.post("/faults", add), web.delete("/faults", heal)]


def _answer(faults: PlannedFaults) -> web.Response:
    return web.Response(body=msgspec.json.encode(faults.state()), content_type="application/json")
