"""First start of a container stack: who gets which secret, and what a second start leaves alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from libs.common.keys import Signer, Verifier
from libs.common.provision import SERVICES, VENUE_READERS, provision
from services.simulator.settings import SimulatorOptions


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    assert provision(tmp_path, own=False)
    first = _files(tmp_path)
    assert provision(tmp_path, own=False) == []
    assert _files(tmp_path) == first


def test_no_secret_is_readable_by_others_but_the_stores(tmp_path: Path) -> None:
    provision(tmp_path, own=False)
    open_to_others = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    }
    assert {name for name in open_to_others if not name.endswith(".pub")} == {"db/password", "db/reader_password"}


def test_risk_and_train_can_sign_each_its_own_and_execute_and_predict_can_check(tmp_path: Path) -> None:
    provision(tmp_path, own=False)
    holders = {path.parent.name for path in tmp_path.rglob("*") if b"PRIVATE KEY" in _bytes(path)}
    assert holders == {"risk-keys", "train-keys"}
    for signer, reader in (("risk", "execute"), ("train", "predict")):
        key_id = Signer.load(tmp_path / f"{signer}-keys" / f"{signer}.key").key_id
        assert Verifier(tmp_path / f"{reader}-keys" / "public").key_ids == (key_id,)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_every_user_of_the_bus_has_a_password_of_its_own_that_the_server_knows(tmp_path: Path) -> None:
    provision(tmp_path, own=False)
    passwords = [(tmp_path / name / "NATS_PASSWORD").read_text() for name in (*SERVICES, "operator")]
    known = (tmp_path / "nats" / "passwords.conf").read_text()
    assert len(set(passwords)) == len(passwords)
    assert all(password in known for password in passwords)


def test_credentials_of_venues_reach_who_talks_to_venues_and_go_when_they_are_taken_back(tmp_path: Path) -> None:
    given, made = tmp_path / "given", tmp_path / "made"
    given.mkdir()
    (given / "BINANCE_API_KEY").write_text("k")
    (given / ".gitignore").write_text("*")
    provision(made, given, own=False)
    assert {path.parent.name for path in made.rglob("BINANCE_API_KEY")} == set(VENUE_READERS)
    assert not list(made.rglob(".gitignore"))

    (given / "BINANCE_API_KEY").unlink()
    before = {name for name in _files(made) if not name.endswith("BINANCE_API_KEY")}
    provision(made, given, own=False)
    assert set(_files(made)) == before


def test_the_simulator_takes_its_secrets_from_files(tmp_path: Path) -> None:
    provision(tmp_path, own=False)
    folder = tmp_path / "simulator"
    options = SimulatorOptions.from_environment(
        {f"CV_SIM_{n}_FILE": str(folder / f"CV_SIM_{n}") for n in ("TOKEN", "KEY")}
    )
    assert (options.token, options.key) == (
        (folder / "CV_SIM_TOKEN").read_text(),
        (folder / "CV_SIM_KEY").read_text(),
    )
    assert options.secret is None
    with pytest.raises(FileNotFoundError):
        SimulatorOptions.from_environment({"CV_SIM_TOKEN_FILE": str(folder / "absent")})
