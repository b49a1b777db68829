"""The key pair and what an executor accepts: nothing unsigned, altered or foreign."""

import stat
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.keys import KeyProblem, Signer, Verifier, make_keys
from libs.core.types import Action, Check, Permit, Side, Verdict, decode, encode

VERDICT = Verdict(
    id="v",
    ts_event=1,
    signal_id="s",
    intent_id="i",
    account="paper",
    strategy="ema",
    venue="deriv",
    symbol="R_100",
    side=Side.BUY,
    action=Action.ENTER,
    approved=True,
    reasons=("up",),
    checks=(Check(rule="price", ok=True),),
    quantity=D("2.50"),
    limits_hash="l",
)
PERMIT = Permit(
    id="i",
    ts_event=1,
    venue="deriv",
    account="paper",
    symbol="R_100",
    strategy="ema",
    side=Side.BUY,
    action=Action.ENTER,
    quantity=D("2.50"),
    worst_price=D("101.20"),
    stop_price=D("99"),
    expires=5,
    verdict=VERDICT,
    limits_hash="l",
)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path)
    return tmp_path


def test_a_signed_permit_is_good_after_its_journey(keys: Path) -> None:
    signed = Signer.load(keys / "risk.key").sign(PERMIT)
    assert Verifier(keys / "public").refusal(decode(encode(signed))) is None


ALTERATIONS: list[dict[str, Any]] = [
    {"quantity": D("2.51")},
    {"quantity": D("2.500")},
    {"worst_price": D(200)},
    {"side": Side.SELL},
    {"action": Action.EXIT},
    {"account": "live"},
    {"symbol": "R_10"},
    {"venue": "binance"},
    {"stop_price": None},
    {"target_price": D(1)},
    {"expires": 10**18},
    {"id": "j"},
    {"position_id": "p"},
    {"limits_hash": "m"},
    {"verdict": msgspec.structs.replace(VERDICT, exploring=False)},
    {"signature": bytes(64)},
]


@pytest.mark.parametrize("change", ALTERATIONS, ids=[next(iter(change)) for change in ALTERATIONS])
def test_one_changed_field_breaks_the_signature(keys: Path, change: dict[str, Any]) -> None:
    signed = Signer.load(keys / "risk.key").sign(PERMIT)
    assert Verifier(keys / "public").refusal(msgspec.structs.replace(signed, **change)) == "altered"


def test_unsigned_and_foreign_permits_are_told_apart(keys: Path, tmp_path: Path) -> None:
    verifier = Verifier(keys / "public")
    assert verifier.refusal(PERMIT) == "unsigned"
    stranger = tmp_path / "stranger"
    make_keys(stranger)
    assert verifier.refusal(Signer.load(stranger / "risk.key").sign(PERMIT)) == "foreign"


def test_a_foreign_signature_under_our_key_id_is_an_alteration(keys: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    make_keys(stranger)
    ours = Signer.load(keys / "risk.key")
    forged = msgspec.structs.replace(Signer.load(stranger / "risk.key").sign(PERMIT), key_id=ours.key_id)
    assert Verifier(keys / "public").refusal(forged) == "altered"


def test_a_public_key_under_another_name_is_not_taken(keys: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    key_id = make_keys(stranger)
    ours = next((keys / "public").glob("*.pub"))
    ours.write_bytes((stranger / "public" / f"{key_id}.pub").read_bytes())
    assert Verifier(keys / "public").key_ids == ()


def test_a_new_public_key_is_found_without_a_restart(keys: Path, tmp_path: Path) -> None:
    verifier = Verifier(keys / "public")
    other = tmp_path / "other"
    key_id = make_keys(other)
    signed = Signer.load(other / "risk.key").sign(PERMIT)
    assert verifier.refusal(signed) == "foreign"
    (keys / "public" / f"{key_id}.pub").write_bytes((other / "public" / f"{key_id}.pub").read_bytes())
    assert verifier.refusal(signed) is None


def test_keys_are_made_once_and_only_the_owner_reads_the_private_one(tmp_path: Path) -> None:
    first = make_keys(tmp_path / "keys")
    before = (tmp_path / "keys" / "risk.key").read_bytes()
    assert make_keys(tmp_path / "keys") == first
    assert (tmp_path / "keys" / "risk.key").read_bytes() == before
    assert stat.S_IMODE((tmp_path / "keys" / "risk.key").stat().st_mode) == 0o600
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["public", "risk.key"]
    assert [p.name for p in (tmp_path / "keys" / "public").iterdir()] == [f"{first}.pub"]


def test_a_lost_public_key_is_made_again_from_the_private_one(keys: Path) -> None:
    public = next((keys / "public").glob("*.pub"))
    text = public.read_bytes()
    public.unlink()
    make_keys(keys)
    assert public.read_bytes() == text


def test_a_missing_key_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match=r"no signing key; run the set-up step"):
        Signer.load(tmp_path / "risk.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(keys: Path, mode: int) -> None:
    (keys / "risk.key").chmod(mode)
    with pytest.raises(KeyProblem, match=r"chmod 600"):
        Signer.load(keys / "risk.key")


def test_a_damaged_key_is_refused_and_never_replaced(keys: Path) -> None:
    (keys / "risk.key").write_bytes(b"nonsense")
    with pytest.raises(KeyProblem, match="not an Ed25519 private key"):
        make_keys(keys)
    assert (keys / "risk.key").read_bytes() == b"nonsense"
