"""What fixes a simulated market across restarts: seed, anchor of the price paths, account and credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from services.simulator.binance.keys import new_key_pair
from services.simulator.settings import SimulatorOptions, new_secret

STATE_FILE: Final = "state.json"
LOGINID: Final = "VRTC1859315"


class SimulatorStateError(Exception):
    """The kept state cannot be used; the message says what to do."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`anchor_epoch` is the epoch second at which the market began; clients log in with token, or key and secret.

    `ed25519_key` names a second key of the same Binance account, which signs with the private key `ed25519_secret`.
    """

    seed: int
    anchor_epoch: int
    loginid: str
    token: str
    key: str
    secret: str
    ed25519_key: str = ""
    ed25519_secret: str = ""


def load_state(options: SimulatorOptions, now: int) -> State:
    """Read the state kept in `options.state_dir`, or make one anchored at epoch second `now` and keep it.

    Credentials given in the options win over kept ones. Raises SimulatorStateError when the folder belongs to
    another seed or its file is damaged, OSError when it cannot be written.
    """
    state = State(
        seed=options.seed,
        anchor_epoch=now,
        loginid=LOGINID,
        token=options.token or new_secret("demo-"),
        key=options.key or new_secret("key"),
        secret=options.secret or new_secret("secret"),
        ed25519_key=new_secret("ed25519"),
        ed25519_secret=new_key_pair(),
    )
    if options.state_dir is None:
        return state
    path = options.state_dir / STATE_FILE
    if path.exists():
        kept = _read(path)
        if kept.seed != options.seed:
            raise SimulatorStateError(
                f"{options.state_dir} holds a market of seed {kept.seed}, not {options.seed}: "
                "use that seed or another folder"
            )
        state = msgspec.structs.replace(
            kept,
            token=options.token or kept.token,
            key=options.key or kept.key,
            secret=options.secret or kept.secret,
            ed25519_key=kept.ed25519_key or state.ed25519_key,
            ed25519_secret=kept.ed25519_secret or state.ed25519_secret,
        )
    write_private(path, msgspec.json.encode(state))
    return state


def _read(path: Path) -> State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except msgspec.DecodeError as error:
        raise SimulatorStateError(f"{path} is damaged ({error}): remove the folder to start a new market") from None


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable by its owner alone. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    beside.replace(path)
