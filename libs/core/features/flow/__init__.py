"""What prints, books, a leader and outside series leave behind for the next bar: the extra inputs of `inputs`."""

from libs.core.features.flow.gather import EVERYTHING, OUTSIDE, TAPED, Flow, FlowConfig, rows
from libs.core.features.flow.tape import FlowTape

__all__ = ["EVERYTHING", "OUTSIDE", "TAPED", "Flow", "FlowConfig", "FlowTape", "rows"]
