"""What cannot work ends with one line that says what to do, a non-zero exit, no traceback and nothing left running."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from chaos_house import ROOT

from console.demo import demo_config
from libs.common.bus import BusError, NatsBus
from libs.common.embedded import nats, stack
from libs.common.embedded.ports import free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.embedded.process import Child, StackError
from libs.common.embedded.stack import Stack, StackOptions
from libs.common.settings import load_settings

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(120)]
FORGOTTEN = ("CONFIG_PATH", "NATS_URL", "DATABASE_URL", "HTTP_PORT", "CONCLAVE_VAR")
WRONG = "not-the-password"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
    return {**kept, **more}


def end_of(argv: list[str], env: dict[str, str], timeout: float = 60) -> tuple[int, str]:
    """Exit code and the only line on stderr; what `up` says of its progress goes to stdout."""
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=ROOT, timeout=timeout, check=False)
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stderr.strip()


def conclave(var: Path, *arguments: str, **env: str) -> tuple[int, str]:
    said = end_of([sys.executable, "cli.py", *arguments], environment(**{"CONCLAVE_VAR": str(var), **env}))
    assert not left_running(var)
    return said


def service(name: str, var: Path, **env: str) -> tuple[int, str]:
    said = end_of([sys.executable, "-m", f"services.{name}"], environment(**{"CONCLAVE_VAR": str(var), **env}))
    assert not left_running(var)
    return said


def left_running(var: Path) -> list[str]:
    """Command lines of processes of this folder, after a moment for those that are just being reaped."""
    deadline = time.monotonic() + 5
    while (left := list(_commands(str(var).encode()))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _commands(needle: bytes) -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if int(folder.name) != os.getpid() and (needle in command or needle in (folder / "environ").read_bytes()):
                yield command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def config_with(folder: Path, **platform: Any) -> str:
    raw = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    raw["platform"].update(platform)
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(raw))
    return str(path)


# ports ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nats", "postgres", "simulator_deriv", "risk"])
def test_a_taken_port_of_the_stack(name: str, var: Path, tmp_path: Path, taken: int) -> None:
    code, line = conclave(var, "up", "--config", config_with(tmp_path, http_ports={name: taken}))
    assert (code, line) == (
        1,
        f"port {taken} for {name} is taken; free it or change platform.http_ports.{name}",
    )


def test_a_taken_port_of_a_service(nats_server: Any, var: Path, taken: int) -> None:
    code, line = service("risk", var, NATS_URL=nats_server.url, HTTP_PORT=str(taken))
    assert code == 1
    assert line.startswith(f"risk: port {taken} cannot be used: ")


def test_a_taken_port_of_the_simulator(var: Path, taken: int) -> None:
    code, line = conclave(var, "simulate", "--deriv-port", str(taken))
    assert code == 1
    assert f"port {taken} cannot be used" in line


# folders and disks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("demo",), ("up",), ("simulate", "--state", "BELOW")])
def test_a_folder_that_cannot_be_written(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    below = tmp_path / "file" / "var"
    code, line = conclave(below, *(str(below) if word == "BELOW" else word for word in command))
    assert code == 1
    assert str(tmp_path / "file") in line
    assert "not a directory" in line.lower()


def test_a_service_without_a_folder_for_its_logs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    code, line = service("execute", tmp_path / "file" / "var")
    assert code == 1
    assert "not a directory" in line.lower()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    code, line = conclave(tmp_path / "var", "up")
    assert code == 1
    assert "Permission denied" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_all_but_full(var: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=755", "small", str(var)], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        code, line = conclave(var, "demo")
        assert code == 1
        assert "MB free in" in line
        assert "the stack wants 300 MB at least" in line
        fill_up(var)
        code, line = conclave(var, "up")
        assert code == 1
        assert "space" in line.lower() or "MB free" in line
        code, line = conclave(var, "simulate", "--state", str(var / "market"))
        assert code == 1
        assert "No space left" in line
    finally:
        subprocess.run(["umount", str(var)], check=True)


def fill_up(folder: Path) -> None:
    """Write until nothing more goes in."""
    descriptor = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"\0" * 65536):
            pass
    except OSError:
        return
    finally:
        os.close(descriptor)


async def test_a_disk_with_too_little_room_starts_nothing(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = SimpleNamespace(f_bavail=10, f_frsize=1024 * 1024)
    monkeypatch.setattr(stack.os, "statvfs", lambda _: full)
    house = house_in(var)
    with pytest.raises(StackError, match=r"^only 10 MB free in .*; the stack wants 300 MB at least$"):
        await house.start()
    assert not house.children


# missing parts -------------------------------------------------------------------------------------------------------


def house_in(var: Path) -> Stack:
    config = demo_config(ROOT / "config.example.yaml", var, None)
    return Stack(load_settings(config), StackOptions(config, var, ROOT, simulator={}))


async def test_a_missing_nats_server_stops_what_was_starting_beside_it(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats, "sys", SimpleNamespace(executable="/nowhere/python"))
    monkeypatch.setenv("PATH", "/nowhere")
    begun: list[str] = []
    start = Child.start

    async def noted(child: Child) -> None:
        begun.append(child.spec.name)
        await start(child)

    monkeypatch.setattr(Child, "start", noted)
    with pytest.raises(StackError, match=r"^nats-server is missing; run `make setup`"):
        await house_in(var).start()
    known = list(begun)
    await asyncio.sleep(0)
    assert begun == known
    assert not left_running(var)


# logins --------------------------------------------------------------------------------------------------------------


def test_a_login_that_the_bus_refuses(nats_server: Any, var: Path) -> None:
    url = nats_server.url.replace("test:test@", f"test:{WRONG}@")
    code, line = service("risk", var, NATS_URL=url)
    assert code == 1
    assert "refused the login" in line
    assert WRONG not in line


async def test_a_bus_that_does_not_answer() -> None:
    with pytest.raises(BusError, match=r"^bus at nats://127.0.0.1:1 does not answer; start it \(conclave up\)"):
        await NatsBus.connect(f"nats://test:{WRONG}@127.0.0.1:1", "probe", timeout_s=0.5)


def test_a_stack_on_a_bus_that_refuses_its_login(nats_server: Any, var: Path) -> None:
    url = nats_server.url.replace("test:test@", f"test:{WRONG}@")
    code, line = conclave(var, "up", NATS_URL=url)
    assert code == 1
    assert "does not start" in line
    assert "refused the login" in line
    assert WRONG not in line


@pytest.fixture
def database(var: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, outside the stack's processes."""
    folder = Path(tempfile.mkdtemp(prefix="conclave-database-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, free_port(), "right")
    spec = server.spec()
    process = subprocess.Popen(  # type: ignore[call-overload]
        spec.argv, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **spec.popen
    )
    yield server
    process.send_signal(signal.SIGINT)
    process.wait(20)
    shutil.rmtree(folder)


def test_a_login_that_the_database_refuses(nats_server: Any, database: EmbeddedPostgres, var: Path) -> None:
    url = database.url.replace(":right@", f":{WRONG}@")
    code, line = service("features", var, NATS_URL=nats_server.url, DATABASE_URL=url)
    assert code == 1
    assert "refused the login of user conclave" in line
    assert WRONG not in line
    code, line = conclave(var, "up", DATABASE_URL=url)
    assert code == 1
    assert "features does not start" in line
    assert "refused the login of user conclave" in line


# what is given -------------------------------------------------------------------------------------------------------


def test_data_that_cannot_be_played(var: Path, tmp_path: Path) -> None:
    broken = tmp_path / "binance_BTCUSDT_1m.parquet"
    broken.write_bytes(b"PAR1 is not enough")
    for command in ("demo", "simulate"):
        code, line = conclave(var, command, "--data", str(broken))
        assert code == 1
        assert broken.name in line
        code, line = conclave(var, command, "--data", str(tmp_path / "nowhere"))
        assert code == 1
        assert "does not exist" in line


def test_a_typo_in_the_configuration(var: Path, tmp_path: Path) -> None:
    path = config_with(tmp_path, log_levle="info")
    for command in (("up", "--config", path), ("demo", "--config", path), ("validate-config", path)):
        code, line = conclave(var, *command)
        assert code == 2
        assert "log_levle" in line
        assert "log_level" in line.replace("log_levle", "")
    code, line = service("predict", var, CONFIG_PATH=path)
    assert code == 2
    assert line.startswith("predict: ")
    assert not list(var.glob("postgres"))
