"""Which arms may trade live money: the verdicts on record, one JSON file each in `<var>/evidence`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from libs.common.settings import ConfigError, Settings
from libs.core.strategies import ParamsError, params_hash
from libs.core.types import Nanos

FOLDER: Final = "evidence"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy with its parameters on one symbol and bar length: what evidence speaks of. `interval` as 5s, 1m."""

    strategy: str
    params_hash: str
    venue: str
    symbol: str
    interval: str


class EvidenceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an arm has shown an edge. `made` and `expires` ns UTC; `reason` is one line for people."""

    arm: Arm
    passed: bool
    reason: str
    made: Nanos
    expires: Nanos


def configured_arms(settings: Settings) -> list[Arm]:
    """Every arm that the configuration switches on.

    Raises:
        ConfigError: the parameters of a strategy are wrong.
    """
    arms = []
    for i, strategy in enumerate(settings.trading.strategies):
        if not strategy.enabled:
            continue
        try:
            identity = params_hash(strategy.name, strategy.params)
        except ParamsError as err:
            raise ConfigError([f"trading.strategies[{i}].params: {line}" for line in str(err).splitlines()]) from None
        for venue in settings.data.venues:
            for symbol in venue.symbols:
                if strategy.symbols and symbol.symbol not in strategy.symbols:
                    continue
                for interval in symbol.trade_intervals:
                    if strategy.intervals and interval not in strategy.intervals:
                        continue
                    arms.append(
                        Arm(
                            strategy=strategy.name,
                            params_hash=identity,
                            venue=venue.name,
                            symbol=symbol.symbol,
                            interval=interval,
                        )
                    )
    return arms


def passing_arms(arms: Sequence[Arm], var: Path, now: Nanos) -> list[Arm]:
    """Those of `arms` whose newest verdict on record passed and has not expired; a file that is none proves nothing."""
    newest: dict[Arm, EvidenceVerdict] = {}
    for path in sorted((var / FOLDER).glob("*.json")):
        try:
            verdict = msgspec.json.decode(path.read_bytes(), type=EvidenceVerdict)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        if verdict.arm not in newest or verdict.made > newest[verdict.arm].made:
            newest[verdict.arm] = verdict
    return [
        arm for arm in arms if arm in newest and newest[arm].passed and newest[arm].made <= now < newest[arm].expires
    ]


def only_arms(settings: Settings, arms: Sequence[Arm]) -> Settings:
    """The same configuration with nothing but `arms` switched on."""
    enabled = [strategy for strategy in settings.trading.strategies if strategy.enabled]
    named = {(str(each.name), params_hash(each.name, each.params)): each for each in enabled}
    kept = tuple(
        named[arm.strategy, arm.params_hash].model_copy(update={"symbols": (arm.symbol,), "intervals": (arm.interval,)})
        for arm in arms
    )
    return settings.model_copy(update={"trading": settings.trading.model_copy(update={"strategies": kept})})
