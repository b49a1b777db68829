"""The HTTP side of every service: health, readiness, metrics, info without secrets, admin behind a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from httpx2 import ASGITransport, AsyncClient

from libs.common.bus import MemoryBus
from libs.common.chassis import Chassis
from libs.common.http import make_api, make_server
from libs.common.secrets import SecretError, read_secret, write_private
from libs.common.settings import load_settings

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
TOKEN = {"Authorization": "Bearer right-token"}


class Toy:
    """An app whose readiness the test decides."""

    reasons: list[str] = []

    async def start(self) -> None:
        return None

    def not_ready(self) -> list[str]:
        return self.reasons

    async def drain(self) -> None:
        return None

    def routes(self) -> APIRouter:
        router = APIRouter()

        @router.get("/own")
        async def own() -> dict[str, int]:
            return {"own": 1}

        return router

    def info(self) -> dict[str, Any]:
        return {"toy": True}


@pytest.fixture
async def chassis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Chassis]:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path))
    monkeypatch.setenv("CONFIG_PATH", str(EXAMPLE))
    monkeypatch.setenv("CONCLAVE_ADMIN_TOKEN", "right-token")
    made = Chassis("toy", load_settings(), MemoryBus())
    yield made
    await made.close()
    await made.bus.close()


@pytest.fixture
async def client(chassis: Chassis) -> AsyncIterator[AsyncClient]:
    app = Toy()
    chassis.attach(app)
    async with AsyncClient(transport=ASGITransport(app=make_api(chassis, app)), base_url="http://toy") as made:
        yield made


async def test_it_is_alive_at_once_and_ready_when_it_has_started(chassis: Chassis, client: AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    early = await client.get("/readyz")
    assert early.status_code == 503
    assert "starting" in early.json()["reasons"]
    await chassis.start()
    assert (await client.get("/readyz")).status_code == 200


async def test_readiness_gives_every_reason(
    chassis: Chassis, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chassis.start()
    monkeypatch.setattr(Toy, "reasons", ["store: away"])
    chassis.bus.connected = False  # type: ignore[misc]  # the in-memory bus lets a test unplug it
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["bus: not connected", "store: away"]


async def test_metrics_and_info_are_open_and_hold_no_secret(chassis: Chassis, client: AsyncClient) -> None:
    await chassis.start()
    await client.get("/readyz")
    assert 'conclave_service_ready{service="toy"} 1.0' in (await client.get("/metrics")).text
    info = await client.get("/info")
    assert info.json()["toy"] is True
    assert info.json()["settings"]["risk"]["max_trades_per_day"] == 20
    assert "right-token" not in info.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right-token"}])
@pytest.mark.parametrize("path", ["/admin/pause", "/admin/resume", "/admin/reload", "/admin/loglevel"])
async def test_admin_needs_the_token(client: AsyncClient, path: str, headers: dict[str, str]) -> None:
    assert (await client.post(path, headers=headers, json={"level": "info"})).status_code == 401
    assert (await client.get("/admin/own", headers=headers)).status_code == 401


async def test_without_a_token_nobody_passes(chassis: Chassis) -> None:
    chassis.admin_token = None
    app = Toy()
    async with AsyncClient(transport=ASGITransport(app=make_api(chassis, app)), base_url="http://toy") as client:
        for header in ("Bearer ", "Bearer None", "Bearer right-token"):
            assert (await client.post("/admin/pause", headers={"Authorization": header})).status_code == 401


async def test_pausing_is_recorded_and_reaches_the_service(chassis: Chassis, client: AsyncClient, until) -> None:
    seen: list[bool] = []
    chassis.on_pause.append(seen.append)
    await chassis.start()
    assert (await client.post("/admin/pause", headers=TOKEN)).json() == {"status": "paused"}
    await until(lambda: chassis.paused.is_set(), "paused")
    await client.post("/admin/resume", headers=TOKEN)
    await until(lambda: not chassis.paused.is_set(), "resumed")
    assert seen == [True, False]
    kinds = [item.event.kind.value async for item in chassis.bus.read(["ctl.>"])]
    assert kinds == ["pause", "resume"]


async def test_the_log_level_changes_and_a_wrong_one_is_refused(client: AsyncClient) -> None:
    assert (await client.post("/admin/loglevel", headers=TOKEN, json={"level": "warning"})).status_code == 200
    refused = await client.post("/admin/loglevel", headers=TOKEN, json={"level": "loud"})
    assert refused.status_code == 422
    assert "debug, info, warning, error" in refused.text


async def test_reload_says_what_needs_a_restart_or_what_is_wrong(
    chassis: Chassis, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(EXAMPLE.read_text().replace("max_trades_per_day: 20", "max_trades_per_day: 30"))
    monkeypatch.setenv("CONFIG_PATH", str(changed))
    assert (await client.post("/admin/reload", headers=TOKEN)).json()["needs_restart"] == ["risk"]
    changed.write_text("nonsense")
    assert (await client.post("/admin/reload", headers=TOKEN)).json()["status"] == "refused"


async def test_own_admin_routes_are_behind_the_same_token(client: AsyncClient) -> None:
    assert (await client.get("/admin/own", headers=TOKEN)).json() == {"own": 1}


async def test_a_taken_port_is_an_os_error(chassis: Chassis) -> None:
    _, listener = make_server(make_api(chassis, Toy()), "127.0.0.1", 0)
    listener.listen()
    with pytest.raises(OSError, match="in use"):
        make_server(make_api(chassis, Toy()), "127.0.0.1", listener.getsockname()[1])
    listener.close()


def test_a_secret_comes_from_the_environment_a_named_file_or_var(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_secret("DERIV_TOKEN", tmp_path) is None
    write_private(tmp_path / "secrets" / "DERIV_TOKEN", "from var\n")
    assert (tmp_path / "secrets" / "DERIV_TOKEN").stat().st_mode & 0o077 == 0
    assert read_secret("DERIV_TOKEN", tmp_path) == "from var"
    named = tmp_path / "named"
    named.write_text("from file")
    monkeypatch.setenv("DERIV_TOKEN_FILE", str(named))
    assert read_secret("DERIV_TOKEN", tmp_path) == "from file"
    monkeypatch.setenv("DERIV_TOKEN", "from environment")
    assert read_secret("DERIV_TOKEN", tmp_path) == "from environment"
    monkeypatch.delenv("DERIV_TOKEN")
    monkeypatch.setenv("DERIV_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(SecretError, match="does not exist"):
        read_secret("DERIV_TOKEN", tmp_path)
