"""Bars from prints, and how far a feed can be trusted."""

from libs.core.bars.book import BookFlow
from libs.core.bars.builder import BarBuilder
from libs.core.bars.forming import bar_id
from libs.core.bars.health import FeedCheck, HealthScore
from libs.core.bars.quality import Plausibility, quote_fault
from libs.core.bars.sequence import Numbering, Order, SequenceWatch

__all__ = [
    "BarBuilder",
    "BookFlow",
    "FeedCheck",
    "HealthScore",
    "Numbering",
    "Order",
    "Plausibility",
    "SequenceWatch",
    "bar_id",
    "quote_fault",
]
