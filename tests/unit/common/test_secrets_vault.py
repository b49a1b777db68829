"""The encrypted store: what goes in comes out with the same key only, and nothing of it can be read or swapped."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from console.app import app
from libs.common.secrets import SecretError, read_secret
from libs.common.vault import KEY_NAME, VAULT_NAME, Vault, VaultError, names_in, new_key

NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{1,20}", fullmatch=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(secrets=st.dictionaries(NAMES, st.text(min_size=1, max_size=200), max_size=6))
def test_what_was_kept_is_found_again_and_stands_nowhere_in_the_file(secrets: dict[str, str], tmp_path: Path) -> None:
    path, key = tmp_path / VAULT_NAME, new_key()
    path.unlink(missing_ok=True)
    vault = Vault(path, key)
    for name, value in secrets.items():
        vault.put(name, value)
    assert names_in(path) == sorted(secrets)
    assert {name: Vault(path, key).get(name) for name in secrets} == secrets
    content = path.read_text() if path.exists() else ""
    assert not any(len(value) > 6 and value in content for value in secrets.values())


def test_another_key_opens_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / VAULT_NAME
    Vault(path, new_key()).put("DERIV_TOKEN", "a1-secret")
    with pytest.raises(VaultError, match="is another key's"):
        Vault(path, new_key()).get("DERIV_TOKEN")


def test_a_value_cannot_be_moved_to_another_name(tmp_path: Path) -> None:
    path, key = tmp_path / VAULT_NAME, new_key()
    vault = Vault(path, key)
    vault.put("DEMO_KEY", "harmless")
    vault.put("LIVE_KEY", "costly")
    held = json.loads(path.read_text())
    held["secrets"]["DEMO_KEY"] = held["secrets"]["LIVE_KEY"]
    path.write_text(json.dumps(held))
    with pytest.raises(VaultError):
        vault.get("DEMO_KEY")


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / VAULT_NAME
    Vault(path, new_key()).put("DERIV_TOKEN", "a1-secret")
    assert path.stat().st_mode & 0o077 == 0
    assert os.listdir(tmp_path) == [VAULT_NAME]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"version":9,"secrets":{}}', b'{"version":1,"secrets":[]}'])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / VAULT_NAME
    path.write_bytes(content)
    with pytest.raises(VaultError, match=VAULT_NAME) as caught:
        names_in(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "short", "!" * 44])
def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(VaultError, match="new-key"):
        Vault(tmp_path / VAULT_NAME, key)


def test_a_secret_is_read_from_the_store_only_where_nothing_plainer_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DERIV_TOKEN", raising=False)
    key = new_key()
    Vault(tmp_path / VAULT_NAME, key).put("DERIV_TOKEN", "from-the-store")
    monkeypatch.delenv(KEY_NAME, raising=False)
    assert read_secret("BINANCE_API_KEY", tmp_path) is None
    with pytest.raises(SecretError, match=f"set {KEY_NAME}"):
        read_secret("DERIV_TOKEN", tmp_path)
    (tmp_path / "the.key").write_text(key + "\n")
    monkeypatch.setenv(f"{KEY_NAME}_FILE", str(tmp_path / "the.key"))
    assert read_secret("DERIV_TOKEN", tmp_path) == "from-the-store"
    monkeypatch.setenv("DERIV_TOKEN", "from-the-environment")
    assert read_secret("DERIV_TOKEN", tmp_path) == "from-the-environment"


def test_the_commands_keep_list_and_forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path))
    monkeypatch.delenv(KEY_NAME, raising=False)
    cli = CliRunner()
    missing = cli.invoke(app, ["secrets", "set", "DERIV_TOKEN"], input="a1-secret\n")
    assert missing.exit_code == 1
    assert "new-key" in missing.stderr
    key_file = tmp_path / "the.key"
    assert cli.invoke(app, ["secrets", "new-key", "--out", str(key_file)]).exit_code == 0
    assert key_file.stat().st_mode & 0o077 == 0
    again = cli.invoke(app, ["secrets", "new-key", "--out", str(key_file)])
    assert again.exit_code == 1
    assert "is lost" in again.stderr
    monkeypatch.setenv(f"{KEY_NAME}_FILE", str(key_file))
    kept = cli.invoke(app, ["secrets", "set", "DERIV_TOKEN"], input="a1-secret\n")
    assert kept.exit_code == 0, kept.output
    assert "a1-secret" not in kept.output
    assert cli.invoke(app, ["secrets", "list"]).stdout == "DERIV_TOKEN\n"
    assert read_secret("DERIV_TOKEN", tmp_path) == "a1-secret"
    assert cli.invoke(app, ["secrets", "set", "no name"], input="x\n").exit_code == 1
    assert cli.invoke(app, ["secrets", "remove", "DERIV_TOKEN"]).exit_code == 0
    assert cli.invoke(app, ["secrets", "remove", "DERIV_TOKEN"]).exit_code == 1
    assert cli.invoke(app, ["secrets", "list"]).stdout == ""


def test_an_empty_value_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path))
    monkeypatch.setenv(KEY_NAME, new_key())
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert CliRunner().invoke(app, ["secrets", "set", "DERIV_TOKEN"], input="\n").exit_code == 1
    assert not (tmp_path / VAULT_NAME).exists()
