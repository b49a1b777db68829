"""The calls of the exchange: each is checked whole, then carried out as one step."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.simulator.binance.exchange import amending, answers, entry, lists, placing
from services.simulator.binance.exchange.accounts import Account
from services.simulator.binance.exchange.api import Answer, ApiError, NewList, NewOrder, OrderKey
from services.simulator.binance.exchange.asking import Asking
from services.simulator.binance.exchange.composition import amount, compose, new_client_id
from services.simulator.binance.exchange.orders import Order, OrderList
from services.simulator.binance.exchange.running import TRADING
from services.simulator.binance.exchange.step import Step

UNKNOWN_ORDER: Final = "Unknown order sent."
_RESTRICTIONS: Final = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_REJECT_REASONS: Final = {
    "Account has insufficient balance for requested action.": "INSUFFICIENT_BALANCES",
    "Order would trigger immediately.": "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY",
    "Order would immediately match and take.": "WOULD_MATCH_IMMEDIATELY",
}


class SpotExchange(Asking):
    """The matching engine of one venue; see Exchange for what every call means."""

    # --- new orders --------------------------------------------------------------------------------------------

    def place(self, account: int, order: NewOrder) -> Answer:
        """Place one order."""
        owner = self._trader(account)
        self.on_book(self._listed(order.symbol))
        with self._step(account) as step:
            draft = self._draft(owner, order)
            self._core.counts.check(account, step.now)
            self._enter(step, draft)
        return self._placed(step, draft, order.new_order_resp_type)

    def test(self, account: int, order: NewOrder, *, compute_commission: bool) -> Answer:
        """Check an order up to the door of the engine."""
        owner = self._trader(account)
        self._draft(owner, order)
        return self._queries.order_commission(owner) if compute_commission else {}

    def _draft(self, owner: Account, new: NewOrder) -> Order:
        """Build an order and pass it through everything that stands before the engine. Raises ApiError."""
        draft = self._compose(owner, new)
        self._check(owner, [draft])
        return draft

    def _compose(self, owner: Account, new: NewOrder) -> Order:
        pair = self._feed.symbols[self._listed(new.symbol)]
        return compose(owner.uid, new, stp=pair.stp_default)

    def _trader(self, account: int) -> Account:
        self._outbox.called(account)
        owner = self._account(account)
        if not owner.terms.may_trade:
            raise ApiError(-2010, "This account may not place or cancel orders.")
        return owner

    def _check(self, owner: Account, drafts: list[Order]) -> None:
        core, symbol = self._core, drafts[0].symbol
        pair = self._feed.symbols[symbol]
        if core.symbol_status(symbol) != TRADING:
            raise ApiError(-2010, "Market is closed.")
        rules, open_orders = core.rules[symbol], core.state.open[owner.uid]
        here = [order for order in open_orders.values() if order.symbol == symbol]
        for draft in drafts:
            if draft.stp != pair.stp_default and draft.stp not in pair.stp_modes:
                raise ApiError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
            entry.check_filters(core, draft)
            rules.check_asset(draft, pair.base, pair.quote, owner.terms.limits)
            balance = owner.balance(pair.base)
            rules.check_position(draft, balance.free + balance.locked, here)
        open_lists = core.state.open_lists[owner.uid].values()
        rules.check_counts(drafts, here, sum(row.symbol == symbol for row in open_lists))
        self._exchange_rules.check_counts(drafts, open_orders.values(), len(open_lists), "EXCHANGE_")
        names = [draft.client_id for draft in drafts]
        taken = (self._core.state.by_client.get((owner.uid, symbol, name)) for name in names)
        if len(set(names)) < len(names) or any(order is not None and order.open for order in taken):
            raise ApiError(-2010, "Duplicate order sent.")

    def _enter(self, step: Step, draft: Order) -> None:
        core = self._core
        entry.admit(core, [draft])
        core.counts.add(draft.account, step.now)
        core.register(step, draft)
        entry.begin(core, step, draft)

    def _placed(self, step: Step, order: Order, kind: str | None) -> Answer:
        group = self._core.state.accounts[order.account].terms.trade_group
        return answers.placed(order, kind, step.fills_of(order), step.prevented_of(order), group)

    # --- cancels and changes -----------------------------------------------------------------------------------

    def cancel(
        self, account: int, key: OrderKey, *, new_client_order_id: str | None, restrictions: str | None
    ) -> Answer:
        """Cancel one order, or the whole list that it belongs to."""
        self._outbox.called(account)
        with self._step(account) as step:
            return self._cancel(step, account, key, new_client_order_id, restrictions)

    def _cancel(
        self, step: Step, account: int, key: OrderKey, client_id: str | None, restrictions: str | None
    ) -> Answer:
        if restrictions not in (None, *_RESTRICTIONS):
            raise ApiError(-1145, "Invalid cancelRestrictions")
        self._listed(key.symbol)
        order = self._queries.find(account, key)
        if order is None or not order.open or key.orig_client_order_id not in (None, order.client_id):
            raise ApiError(-2011, UNKNOWN_ORDER)
        if restrictions is not None and order.status != _RESTRICTIONS[restrictions]:
            raise ApiError(-2011, "Order was not canceled due to cancel restrictions.")
        client_id = client_id or new_client_id()
        order_list = lists.list_of(self._core, order)
        if order_list is not None:
            return self._cancel_list(step, order_list, client_id)
        self._core.end(step, order, "CANCELED", client_id=client_id)
        return answers.canceled(order, client_id)

    def _cancel_list(self, step: Step, order_list: OrderList, client_id: str) -> Answer:
        gone = lists.cancel(self._core, step, order_list, client_id)
        order_list.ms = step.now
        reports = [answers.canceled(order, client_id) for order in gone]
        return answers.order_list(order_list, self._core.legs(order_list), reports=reports)

    def cancel_all(self, account: int, symbol: str) -> list[Answer]:
        """Cancel everything open on a symbol; lists stand last."""
        self._outbox.called(account)
        self._listed(symbol)
        with self._step(account) as step:
            found = [order for order in self._core.state.open[account].values() if order.symbol == symbol]
            if not found:
                raise ApiError(-2011, UNKNOWN_ORDER)
            client_id = new_client_id()
            singles, whole = [], []
            for order in found:
                order_list = lists.list_of(self._core, order)
                if order_list is None:
                    self._core.end(step, order, "CANCELED", client_id=client_id)
                    singles.append(answers.canceled(order, client_id))
                elif order.open:
                    whole.append(self._cancel_list(step, order_list, client_id))
        return singles + whole

    def cancel_replace(
        self,
        account: int,
        mode: str,
        key: OrderKey,
        order: NewOrder,
        *,
        cancel_new_client_order_id: str | None,
        restrictions: str | None,
        rate_limit_mode: str | None,
    ) -> Answer:
        """Cancel one order and place another. Raises ApiError, with both results in `data` when one has failed."""
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise ApiError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        crowded: ApiError | None = None
        owner = self._trader(account)
        with self._step(account) as step:  # filters and counts come before both halves
            draft = self._compose(owner, order)
            replaced = self._queries.find(account, key)
            self._check_replacement(owner, draft, replaced)
            try:
                self._core.counts.check(account, step.now)
            except ApiError as error:
                if rate_limit_mode != "CANCEL_ONLY":
                    raise
                crowded = error
        canceled: Answer | ApiError
        try:
            canceled = self.cancel(
                account, key, new_client_order_id=cancel_new_client_order_id, restrictions=restrictions
            )
        except ApiError as error:
            canceled = error
        placed: Answer | ApiError | None = None
        if crowded is not None:
            placed = crowded
        elif isinstance(canceled, ApiError) and mode == "STOP_ON_FAILURE":
            self._core.counts.add(account, step.now)
        else:
            placed = self._replace(draft, order.new_order_resp_type)
        return _both(canceled, placed)

    def _check_replacement(self, owner: Account, draft: Order, replaced: Order | None) -> None:
        """Check the new order as if the one that it replaces were gone already."""
        open_orders = self._core.state.open[owner.uid]
        if replaced is None or not replaced.open:
            self._check(owner, [draft])
            return
        place, status = (replaced.symbol, replaced.id), replaced.status
        del open_orders[place]
        replaced.status = "CANCELED"
        try:
            self._check(owner, [draft])
        finally:
            replaced.status = status
            open_orders[place] = replaced

    def _replace(self, draft: Order, kind: str | None) -> Answer | ApiError:
        try:
            with self._step(draft.account) as step:
                self._enter(step, draft)
        except ApiError as error:
            with self._step(draft.account) as step:
                self._reject(step, draft, error)
            return error
        return self._placed(step, draft, kind)

    def _reject(self, step: Step, draft: Order, error: ApiError) -> None:
        """Tell of an order that the engine has refused after the cancel before it had succeeded."""
        self._core.register(step, draft)
        draft.status = "REJECTED"
        step.report(draft, "REJECTED", reject=_REJECT_REASONS.get(str(error), "NONE"))

    def amend(self, account: int, key: OrderKey, new_qty: Decimal, new_client_order_id: str | None) -> Answer:
        """Reduce an open order, which keeps its place in the queue."""
        self._outbox.called(account)
        self._listed(key.symbol)
        with self._step(account) as step:
            order = self._queries.find(account, key)
            if order is None or not order.open or key.orig_client_order_id not in (None, order.client_id):
                raise ApiError(-2038, UNKNOWN_ORDER)
            return amending.amend(
                self._core, step, order, amount(new_qty, "newQty"), new_client_order_id or new_client_id()
            )

    # --- lists -------------------------------------------------------------------------------------------------

    def place_list(self, account: int, new: NewList) -> Answer:
        """Place an order list."""
        owner = self._trader(account)
        pair = self._feed.symbols[self._listed(new.symbol)]
        self.on_book(new.symbol)
        with self._step(account) as step:
            drafts = placing.compose_legs(account, new, pair.stp_default)
            self._check(owner, drafts)
            name = new.list_client_order_id
            known = self._core.state.list_by_client.get((account, name)) if name else None
            if known is not None and not known.done:
                raise ApiError(-2010, "Duplicate order sent.")
            self._core.counts.check(account, step.now, len(drafts))
            order_list = placing.start(self._core, step, new, drafts)
            self._core.counts.add(account, step.now, len(drafts))
            reports = [self._placed(step, draft, new.new_order_resp_type or "RESULT") for draft in drafts]
        return answers.order_list(order_list, drafts, "EXEC_STARTED", reports)

    def cancel_list(
        self,
        account: int,
        symbol: str,
        list_id: int | None,
        list_client_order_id: str | None,
        new_client_order_id: str | None = None,
    ) -> Answer:
        """Cancel all that is open of a list."""
        self._outbox.called(account)
        self._listed(symbol)
        try:
            found = self._queries.order_list(account, list_id, list_client_order_id)
        except ApiError as error:
            if error.code == -1102:
                raise
            raise ApiError(-2011, UNKNOWN_ORDER) from None
        if found.done or found.symbol != symbol:
            raise ApiError(-2011, UNKNOWN_ORDER)
        with self._step(account) as step:
            return self._cancel_list(step, found, new_client_order_id or new_client_id())


def _both(canceled: Answer | ApiError, placed: Answer | ApiError | None) -> Answer:
    """The answer to cancelReplace. Raises ApiError unless both halves have succeeded; `placed` None: not attempted."""
    failed = isinstance(canceled, ApiError), isinstance(placed, ApiError)
    results = ["FAILURE" if each else "SUCCESS" for each in failed]
    answer: Answer = {
        "cancelResult": results[0],
        "newOrderResult": results[1] if placed is not None else "NOT_ATTEMPTED",
        "cancelResponse": _told(canceled),
        "newOrderResponse": _told(placed),
    }
    if not any(failed):
        return answer
    if all(failed) or placed is None:
        raise ApiError(-2022, "Order cancel-replace failed.", 400, data=answer)
    raise ApiError(-2021, "Order cancel-replace partially failed.", 409, data=answer)


def _told(result: Answer | ApiError | None) -> Answer | None:
    return {"code": result.code, "msg": str(result)} if isinstance(result, ApiError) else result
