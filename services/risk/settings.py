"""Risk's part of the configuration, as the stage's own config."""

from __future__ import annotations

import msgspec

from libs.common.settings import Settings
from libs.core.portfolio.costs import Costs
from libs.core.portfolio.limits import AccountSpec, Limits
from libs.core.stages.risk import RiskConfig
from libs.core.types import SMOKE


def risk_config(settings: Settings) -> RiskConfig:
    """What the stage is built from."""
    trading, paper = settings.trading, settings.trading.paper
    return RiskConfig(
        accounts=tuple(AccountSpec(id=a.id, venue=a.venue, currency=a.currency) for a in trading.accounts),
        limits=Limits(**{name: getattr(settings.risk, name) for name in Limits.__struct_fields__}),
        costs=Costs(fee_bps=dict(paper.fee_bps), spread_bps=paper.spread_bps, slippage_bps=paper.slippage_bps),
        real_money=settings.spends_real_money,
        permit_ttl_s=trading.permit_ttl_s,
    )


def encoded(config: RiskConfig) -> bytes:
    """The config as the JSON that `libs.core.stages.risk.build` reads."""
    return msgspec.json.encode(config)


def known_scopes(settings: Settings) -> tuple[str, ...]:
    """Every scope that a halt may name: all, accounts, strategies (connectivity trades among them), symbols."""
    names = [a.id for a in settings.trading.accounts] + [s.name for s in settings.trading.strategies] + [SMOKE]
    names += [symbol.symbol for venue in settings.data.venues for symbol in venue.symbols]
    return ("*", *dict.fromkeys(names))
