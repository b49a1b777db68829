"""docs/features.md: its generated parts are up to date, and its example is what it says it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libs.core.features.kit import PLAIN
from libs.core.features.sets import FULL
from libs.research.leak.own import assert_clean
from tests.unit.features.oracles.table import DOCUMENT, FEATURES, ORACLE_TABLE, feature_list, inside, placed

PAGE = DOCUMENT.read_text(encoding="utf-8")


def test_the_list_of_features_is_the_one_of_the_code() -> None:
    assert inside(PAGE, FEATURES) == feature_list(), "docs/features.md is behind: make features-table"


def test_every_feature_stands_in_the_oracle_table_or_among_the_exceptions() -> None:
    table = inside(PAGE, ORACLE_TABLE)
    shown = set(re.findall(r"^\| (\S+) \|", table, re.MULTILINE))
    excused = set(re.findall(r"^- `(\w+)` has no oracle", table, re.MULTILINE))
    missing = [each.name for each in FULL.features if each.name not in shown and each.kernel not in excused]
    assert not missing, f"make features-table; not there: {', '.join(missing)}"
    assert "**" not in table, "an oracle disagreed when the table was made"


def test_a_page_without_markers_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="no markers"):
        placed("# Features", FEATURES, "text")


@pytest.mark.skipif(PLAIN, reason="thousands of bars are too many for plain Python")
def test_the_example_on_the_page_withstands_the_attack(tmp_path: Path) -> None:
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "@feature(" in code)
    file = tmp_path / "distance.py"
    file.write_text(example)
    assert_clean(file, moments=3)
