"""First start of a container stack: every password, token and key, one folder for each who may read it.

`python -m libs.common.provision FOLDER [GIVEN]` fills FOLDER and changes nothing that is there already; credentials of
venues are whatever files a person has put into GIVEN. Run by root it hands the files to the users of the images.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from pathlib import Path
from typing import Final

from libs.common import signing
from libs.common.keys import PRIVATE_NAME, PUBLIC_FOLDER, KeyProblem, make_keys
from libs.common.runtime import SERVICES, TOKEN_NAME

VENUE_READERS: Final = ("ingest", "execute")
"""Who alone talks to venues."""

OPERATOR: Final = "operator"
"""The people's user of the bus: makes streams, reads everything, commands."""

CONTAINER_UID: Final = 10_001
"""The user that the images of the services run as."""

GRAFANA_UID: Final = 472
"""The user of Grafana's image."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def provision(folder: Path, given: Path | None = None, *, own: bool = True) -> list[str]:
    """Make what is missing; returns what was made, as names without values.

    `<folder>/nats/` with passwords.conf for the server and CLUSTER_PASSWORD for servers among themselves;
    `<folder>/db/` with the passwords of the owner and of the reader;
    `<folder>/<service>/` with NATS_PASSWORD, CONCLAVE_ADMIN_TOKEN and, for features, DATABASE_PASSWORD;
    `<folder>/simulator/`; `<folder>/grafana/`; `<folder>/operator/`; `<folder>/risk-keys/` with the signing key;
    `<folder>/execute-keys/` with the public half alone; `<folder>/train-keys/`, `<folder>/predict-keys/`: the same for
    models. Files in `given` that are named like a variable (DERIV_TOKEN, BINANCE_API_KEY) go to the services that talk
    to venues, and go away there when they are gone from `given`.
    `own`: hand the files to the users of the images; False = whoever runs this keeps them.

    Raises:
        KeyProblem: a signing key is there and cannot be used. OSError: a folder cannot be read or written.
    """
    owner, grafana = (CONTAINER_UID, GRAFANA_UID) if own else (None, None)
    made: list[str] = []
    everybody = (*SERVICES, OPERATOR)
    for name in everybody:
        made += _secret(folder / name / "NATS_PASSWORD", owner)
    token = folder / OPERATOR / TOKEN_NAME
    made += _secret(token, owner)
    for name in SERVICES:
        made += _copy(token, folder / name / TOKEN_NAME, owner)
    made += _secret(folder / "nats" / "CLUSTER_PASSWORD", None)
    # The store's image reads them as a user whose id differs from image to image; no other container mounts the folder.
    database = folder / "db"
    made += _secret(database / "password", None, 0o444) + _secret(database / "reader_password", None, 0o444)
    for name in ("features", OPERATOR):
        made += _copy(database / "password", folder / name / "DATABASE_PASSWORD", owner)
    made += _secret(folder / "grafana" / "ADMIN_PASSWORD", grafana)
    made += _copy(database / "reader_password", folder / "grafana" / "DATABASE_PASSWORD", grafana)
    for name in ("TOKEN", "KEY", "SECRET"):
        made += _secret(folder / "simulator" / f"CV_SIM_{name}", owner)
        for reader in (*VENUE_READERS, OPERATOR):
            made += _copy(folder / "simulator" / f"CV_SIM_{name}", folder / reader / f"SIMULATOR_{name}", owner)
    for reader in VENUE_READERS:
        made += _hand_over(given, folder / reader, owner)
    made += _keys(folder, owner)
    lines = [f'{n.upper()}_PASSWORD: "{(folder / n / "NATS_PASSWORD").read_text()}"\n' for n in everybody]
    made += _write(folder / "nats" / "passwords.conf", "".join(lines), None)
    return made


def _hand_over(given: Path | None, folder: Path, owner: int | None) -> list[str]:
    """What a person gave for venues, and nothing that was taken back."""
    found = [path for path in given.iterdir() if _VARIABLE.fullmatch(path.name)] if given and given.is_dir() else []
    kept = {path.name for path in found} | {"NATS_PASSWORD", TOKEN_NAME}
    for path in folder.iterdir():
        if path.name not in kept and not path.name.startswith("SIMULATOR_"):
            path.unlink()
    return [name for path in found for name in _copy(path, folder / path.name, owner)]


def _keys(folder: Path, owner: int | None) -> list[str]:
    made = []
    for signer, reader, name in (("risk", "execute", PRIVATE_NAME), ("train", "predict", signing.PRIVATE_NAME)):
        private, public = folder / f"{signer}-keys", folder / f"{reader}-keys" / PUBLIC_FOLDER
        made += [] if (private / name).exists() else [f"{signer}-keys/{name}"]
        key_id = make_keys(private, name)
        _give(private / name, owner)
        public.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(private / PUBLIC_FOLDER / f"{key_id}.pub", public / f"{key_id}.pub")
    return made


def _secret(path: Path, owner: int | None, mode: int = 0o400) -> list[str]:
    return [] if path.exists() else _write(path, secrets.token_hex(24), owner, mode)


def _copy(source: Path, path: Path, owner: int | None) -> list[str]:
    return _write(path, source.read_text(), owner)


def _write(path: Path, text: str, owner: int | None, mode: int = 0o400) -> list[str]:
    if path.exists() and path.read_text() == text:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fchmod(out.fileno(), mode)
        os.fsync(out.fileno())
    _give(draft, owner)
    draft.replace(path)
    return [f"{path.parent.name}/{path.name}"]


def _give(path: Path, owner: int | None) -> None:
    if owner is not None:
        os.chown(path, owner, owner)


def main() -> None:
    """Fill the folder named on the command line; exit 1 with one line when that cannot be done."""
    try:
        made = provision(*(Path(argument) for argument in sys.argv[1:3]), own=os.geteuid() == 0)
    except (KeyProblem, OSError) as err:
        sys.exit(f"provision: {err}")
    sys.stdout.write(f"provision: {len(made)} made{': ' + ', '.join(made) if made else ', everything was there'}\n")


if __name__ == "__main__":
    main()
