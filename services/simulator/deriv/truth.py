"""What the truth record says of accounts: every movement of money and every change of a limit order, once."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv.accounts import Account, Transaction
from services.simulator.deriv.contracts import Closing, Contract, LimitChange, Reason
from services.simulator.record import Record

VENUE = "deriv"
_DEEDS = {Reason.SOLD: "sell", Reason.CANCELLED: "cancel"}


def write_entry(record: Record, entry: Transaction) -> None:
    """Write a movement of money: buy, sell, cancel, settle, or cash when no contract is behind it."""
    contract = entry.contract
    if contract is None:
        kind, fields = "cash", {"action": entry.action}
    elif entry.action == "buy":
        kind, fields = "buy", {"contract_type": contract.terms.contract_type, "shortcode": contract.terms.shortcode()}
    else:
        kind, fields = _ending(contract.closing)
    record.write(
        VENUE,
        kind,
        "" if contract is None else contract.terms.symbol,
        entry.transaction_id,
        entry.time * NANOSECONDS,
        **({} if contract is None else {"contract_id": contract.contract_id}),
        amount=str(entry.amount),
        balance=str(entry.balance),
        account=entry.loginid,
        **fields,
    )


def _ending(closing: Closing | None) -> tuple[str, dict[str, str]]:
    if closing is None:  # an entry that sells has a closing
        return "settle", {}
    # Journals from before reasons were kept tell a sale by its status alone.
    reason = closing.reason or (Reason.SOLD if closing.status == "sold" else Reason.EXPIRED)
    return _DEEDS.get(Reason(reason), "settle"), {"status": closing.status, "reason": reason}


def write_change(record: Record, account: Account, contract: Contract, change: LimitChange) -> None:
    """Write the amounts of a contract's limit orders after a change of them."""
    record.write(
        VENUE,
        "limits",
        contract.terms.symbol,
        change.id,
        change.time * NANOSECONDS,
        contract_id=contract.contract_id,
        account=account.loginid,
        take_profit=_text(change.take_profit),
        stop_loss=_text(change.stop_loss),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def write_missing(record: Record, accounts: Iterable[Account]) -> None:
    """Write what the journals kept and a killed process took to its grave unwritten; what is there stays as it is."""
    for account in accounts:
        changes = [
            (change.id, contract, change) for contract in account.contracts.values() for change in contract.changes[1:]
        ]
        entries = [(entry.transaction_id, entry, None) for entry in account.statement]
        for _, what, change in sorted([*changes, *entries], key=lambda row: row[0]):
            if isinstance(what, Contract) and change is not None:
                write_change(record, account, what, change)
            elif isinstance(what, Transaction):
                write_entry(record, what)
