"""The HTTP side of every service: health, readiness, metrics, info and admin behind a bearer token."""

from __future__ import annotations

import contextlib
import hmac
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from libs.common.logs import LEVELS, set_level

if TYPE_CHECKING:
    from libs.common.chassis import App, Chassis


class LogLevel(BaseModel):
    """Body of POST /admin/loglevel."""

    level: str


def bearer(token: str | None) -> Callable[..., None]:
    """A dependency that lets only `token` pass; without a token nobody passes."""

    def check(authorization: Annotated[str, Header()] = "") -> None:
        scheme, _, given = authorization.partition(" ")
        good = token is not None and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
        if not good:
            raise HTTPException(401, "admin needs the bearer token of this stack")

    return check


def make_api(chassis: Chassis, app: App) -> FastAPI:
    """The service's routes."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    api = FastAPI(title=f"conclave {chassis.name}", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @api.get("/readyz")
    async def readyz() -> JSONResponse:
        reasons = chassis.not_ready()
        status = "ready" if not reasons else "not ready"
        body = {"status": status, "reasons": reasons, "idle": chassis.idle()}
        return JSONResponse(body, status_code=200 if not reasons else 503)

    @api.get("/metrics")
    async def metrics() -> Response:
        chassis.not_ready()  # sets the gauge, which would else be as old as the last question to /readyz
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @api.get("/info")
    async def info() -> dict[str, Any]:
        return chassis.info()

    admin = APIRouter(prefix="/admin", dependencies=[Depends(bearer(chassis.admin_token))])

    @admin.post("/pause")
    async def pause() -> dict[str, str]:
        await chassis.control_self("pause")
        return {"status": "paused"}

    @admin.post("/resume")
    async def resume() -> dict[str, str]:
        await chassis.control_self("resume")
        return {"status": "running"}

    @admin.post("/loglevel")
    async def loglevel(body: LogLevel) -> dict[str, str]:
        if body.level not in LEVELS:
            raise HTTPException(422, f"level must be one of {', '.join(LEVELS)}")
        set_level(body.level)
        return {"level": body.level}

    @admin.post("/reload")
    async def reload() -> dict[str, Any]:
        return chassis.reload()

    if (routes := app.routes()) is not None:
        admin.include_router(routes)
    api.include_router(admin)
    return api


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the chassis, which drains before the HTTP side goes."""
        yield


def make_server(api: FastAPI, host: str, port: int) -> tuple[_Server, socket.socket]:
    """A server and its bound socket. Raises OSError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    config = uvicorn.Config(api, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    return _Server(config), listener
