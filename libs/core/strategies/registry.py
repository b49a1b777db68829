"""The strategies by name, their settings checked and described for forms."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from libs.core.features import FeatureSet
from libs.core.strategies.base import RuleParams, RuleStrategy, params_identity
from libs.core.strategies.ema_trend import EmaTrend
from libs.core.strategies.mean_revert import MeanRevert

STRATEGIES: Final[dict[str, type[RuleStrategy[Any]]]] = {kind.name: kind for kind in (EmaTrend, MeanRevert)}


class ParamsError(ValueError):
    """A strategy's name or settings are wrong; the text is one line per problem that says what is allowed."""


def check_params(name: str, params: Mapping[str, Any]) -> RuleParams:
    """The validated settings of a strategy, defaults filled in.

    Raises:
        ParamsError: there is no such strategy or setting, or a value is ill-typed or out of range.
    """
    kind = _kind(name)
    try:
        checked: RuleParams = kind.Params.model_validate(dict(params))
    except ValidationError as err:
        raise ParamsError("\n".join(_line(name, problem) for problem in err.errors())) from None
    return checked


def params_hash(name: str, params: Mapping[str, Any]) -> str:
    """Identity of a strategy's settings, as its signals carry it. Raises ParamsError."""
    return params_identity(name, check_params(name, params))


def make_strategy(name: str, params: Mapping[str, Any], features: FeatureSet, cost: float) -> RuleStrategy[Any]:
    """A strategy for one series; `cost` is a round trip in fractions of the price. Raises ParamsError."""
    return _kind(name)(check_params(name, params), features, cost)


def params_schema(name: str) -> dict[str, Any]:
    """JSON schema of a strategy's settings with ranges, defaults and descriptions. Raises ParamsError."""
    schema: dict[str, Any] = _kind(name).Params.model_json_schema()
    return schema


def _kind(name: str) -> type[RuleStrategy[Any]]:
    if name not in STRATEGIES:
        raise ParamsError(f"no strategy {name!r}{_near(name, list(STRATEGIES))}; there are {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def _line(name: str, problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    fields = list(STRATEGIES[name].Params.model_fields)
    if problem["type"] == "extra_forbidden":
        return f"{name}.{path}: unknown setting{_near(path, fields)}; allowed here: {', '.join(fields)}"
    said = problem["msg"].removeprefix("Value error, ")
    if not path:
        return f"{name}: {said}"
    return f"{name}.{path}: {said}, not {problem['input']!r}"


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
