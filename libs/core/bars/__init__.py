"""Bars from prints, and how far a feed can be trusted."""

from libs.core.bars.book import DEPTH_BP, BookFlow, Depth, depth_within
from libs.core.bars.builder import BarBuilder
from libs.core.bars.clocks import ClockWatch, clock_words
from libs.core.bars.forming import LARGEST_SIZE, bar_id
from libs.core.bars.health import GRADES, Failure, FeedCheck, Grade, HealthScore, graded
from libs.core.bars.outliers import OutlierWatch
from libs.core.bars.quality import Plausibility, quote_fault, trainable
from libs.core.bars.reconcile import Disagreement, Reconciler
from libs.core.bars.sequence import Numbering, Order, SequenceWatch
from libs.core.bars.series import BarWatch
from libs.core.bars.ticking import TickBars

__all__ = [
    "DEPTH_BP",
    "GRADES",
    "LARGEST_SIZE",
    "BarBuilder",
    "BarWatch",
    "BookFlow",
    "ClockWatch",
    "Depth",
    "Disagreement",
    "Failure",
    "FeedCheck",
    "Grade",
    "HealthScore",
    "Numbering",
    "Order",
    "OutlierWatch",
    "Plausibility",
    "Reconciler",
    "SequenceWatch",
    "TickBars",
    "bar_id",
    "clock_words",
    "depth_within",
    "graded",
    "quote_fault",
    "trainable",
]
