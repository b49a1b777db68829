"""Every feature of the set `full` against its oracle, on a seeded series and on real hours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from libs.core.features.kit import REGISTRY
from libs.core.features.sets import FULL
from tests.unit.features.oracles import registry
from tests.unit.features.oracles.registry import EXCUSED, ORACLES, Oracle

registry.load_all()


@pytest.mark.parametrize("name", ["seeded", "real"])
@pytest.mark.parametrize("one", ORACLES, ids=lambda one: f"{one.kernel}-{one.by}")
def test_a_feature_agrees_with_its_oracle(one: Oracle, name: str) -> None:
    if one.given is not None and name == "real":
        pytest.skip("its oracle brings a history of its own")
    if one.given is None and registry.series(name) is None:
        pytest.skip("the real hourly bars are not on this machine")
    compared = list(registry.agreements(one, name))
    assert compared
    wrong = [f"{each.feature} {each.problem}" for each in compared if each.problem]
    assert not wrong, "; ".join(wrong)


@pytest.mark.parametrize("kernel", sorted({feature.kernel for feature in FULL.features}))
def test_every_output_of_the_catalogue_has_an_oracle_or_a_reason(kernel: str) -> None:
    spoken = {name for one in ORACLES if one.kernel == kernel for name in registry.covered(one)}
    outputs = {output.name for output in REGISTRY[kernel].outputs}
    if kernel in EXCUSED:
        assert EXCUSED[kernel]
        return
    assert outputs <= spoken, f"no oracle speaks for {', '.join(sorted(outputs - spoken))} of {kernel}"
    assert spoken <= outputs, f"{kernel} has no output {', '.join(sorted(spoken - outputs))}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values: values * (1.0 + 1e-6),
        lambda values: np.roll(values, 1),
        lambda values: np.where(np.arange(len(values)) == 4_000, np.nan, values),
        lambda values: values[:-1],
    ],
    ids=["a millionth off", "one bar late", "one value missing", "too short"],
)
def test_a_kernel_that_disagrees_is_found(spoil: Callable[[registry.Floats], registry.Floats]) -> None:
    honest = next(one for one in ORACLES if one.kernel == "sma")

    def spoiled(columns: registry.Columns, **params: float) -> registry.Values:
        return {name: spoil(values) for name, values in honest.function(columns, **params).items()}

    assert all(each.problem for each in registry.agreements(honest._replace(function=spoiled), "seeded"))
