"""Which life a contract type leads."""

from __future__ import annotations

from services.simulator.deriv.accumulators import Accumulator
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.digitals import Digit, RiseFall
from services.simulator.deriv.multipliers import Multiplier
from services.simulator.deriv.terms import Terms


def make_contract(contract_id: int, buy_transaction_id: int, terms: Terms) -> Contract:
    """Return the contract that `terms` promise."""
    if terms.is_multiplier:
        return Multiplier(contract_id, buy_transaction_id, terms)
    if terms.is_accumulator:
        return Accumulator(contract_id, buy_transaction_id, terms)
    if terms.is_digit:
        return Digit(contract_id, buy_transaction_id, terms)
    return RiseFall(contract_id, buy_transaction_id, terms)
