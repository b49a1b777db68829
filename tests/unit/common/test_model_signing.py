"""A model is believed when a known key signed it as it stands."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from libs.common.keys import Verifier, keys_folder, make_keys
from libs.common.signing import ModelVerifier, make_signer, signing_folder
from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest, make_artifact, pack, unpack


def an_artifact() -> Artifact:
    manifest = Manifest(
        agent="boosting",
        kind="lightgbm",
        venue="binance",
        symbol="BTCUSDT",
        interval_s=60,
        set_hash="s",
        trained_from=1,
        trained_to=2,
        data_hash="d",
        samples=3,
    )
    return make_artifact(manifest, {"heads": b"1234"})


def test_what_was_signed_here_is_accepted_after_a_journey(tmp_path: Path) -> None:
    signed = make_signer(tmp_path)(an_artifact())

    ModelVerifier.of(tmp_path)(unpack(pack(signed)))


def test_the_same_key_is_used_again_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first, second = make_signer(tmp_path), make_signer(tmp_path)

    assert first.key_id == second.key_id
    assert (signing_folder(tmp_path) / "train.key").stat().st_mode & 0o077 == 0


def test_unsigned_foreign_and_altered_models_are_refused_in_one_line(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    signed = make_signer(own)(an_artifact())
    foreign = make_signer(other)(an_artifact())
    altered = msgspec.structs.replace(signed, manifest=msgspec.structs.replace(signed.manifest, symbol="ETHUSDT"))
    verify = ModelVerifier.of(own)

    for artifact, why in ((an_artifact(), "not signed"), (foreign, "foreign"), (altered, "altered")):
        with pytest.raises(ArtifactRefused, match=why) as refusal:
            verify(artifact)
        assert "\n" not in str(refusal.value)


def test_the_key_of_models_signs_no_permit(tmp_path: Path) -> None:
    make_keys(keys_folder(tmp_path))
    signer = make_signer(tmp_path)

    assert signer.key_id not in Verifier(keys_folder(tmp_path) / "public").key_ids
