"""The engine's inner circle: books, money and the life of an order, shared by matching, triggers and lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal

from services.simulator.binance.decimals import ONE, text8
from services.simulator.binance.exchange import lists
from services.simulator.binance.exchange.accounts import DISCOUNT, DISCOUNT_ASSET, Account, Terms, commission
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.counts import Counts
from services.simulator.binance.exchange.filters import Rules
from services.simulator.binance.exchange.market import Liquidity
from services.simulator.binance.exchange.orders import NONE, Fill, Order, OrderList, Prevented
from services.simulator.binance.exchange.resting import Resting
from services.simulator.binance.exchange.state import State
from services.simulator.binance.exchange.step import Step
from services.simulator.binance.feed import Feed


class Core:
    """What every part of the engine works on. `listened` tells whether anybody hears an account's events."""

    def __init__(
        self, feed: Feed, rules: Mapping[str, Rules], opening: Mapping[str, Decimal], terms: Terms, counts: Counts
    ) -> None:
        self.feed = feed
        self.rules = rules
        self.state = State()
        self.terms = terms
        self.opening = opening
        self.counts = counts
        self.status: dict[str, str] = {}
        self.resting: defaultdict[str, Resting] = defaultdict(Resting)
        self.waiting: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self.listened: Callable[[int], bool] = lambda _: False
        self._markets: dict[str, Liquidity] = {}

    # --- markets -----------------------------------------------------------------------------------------------

    def market(self, symbol: str) -> Liquidity:
        """The market of a listed symbol."""
        found = self._markets.get(symbol)
        if found is None:
            found = self._markets[symbol] = Liquidity(self.feed, symbol)
        return found

    def symbol_status(self, symbol: str) -> str:
        """TRADING, HALT, BREAK, END_OF_DAY or CANCEL_ONLY."""
        return self.status.get(symbol) or self.feed.symbols[symbol].status

    def assets(self, symbol: str) -> tuple[str, str]:
        """Base and quote asset."""
        pair = self.feed.symbols[symbol]
        return pair.base, pair.quote

    def account(self, step: Step, uid: int) -> Account:
        """An account; a new one is opened with the opening balances."""
        found = self.state.accounts.get(uid)
        if found is None:
            found = self.state.account(uid, self.terms)
            for asset, amount in self.opening.items():
                count = int(amount * ONE)
                found.add(asset, count)
                step.money(uid, asset)
                step.transfer(uid, asset, count, "opening")
        return found

    # --- money -------------------------------------------------------------------------------------------------

    def lock_asset(self, order: Order) -> str:
        """The asset that an order pays with."""
        base, quote = self.assets(order.symbol)
        return quote if order.buy else base

    def hold(self, step: Step, order: Order) -> None:
        """Lock what an order needs now, no more: the two legs of an OCO share one lock, since one alone can trade."""
        partner = lists.open_partner(self, order)
        if partner is None:
            self._set_hold(step, order, order.need)
            return
        large, small = (order, partner) if order.need >= partner.need else (partner, order)
        self._set_hold(step, small, 0)
        self._set_hold(step, large, large.need)

    def _set_hold(self, step: Step, order: Order, amount: int) -> None:
        if order.held == amount:
            return
        asset = self.lock_asset(order)
        self.state.accounts[order.account].lock(asset, amount - order.held)
        order.held = amount
        step.money(order.account, asset)
        step.touch(order)

    def afford(self, order: Order, amount: int) -> None:
        """Raises ApiError unless the owner has `amount` of the paying asset free."""
        if self.state.accounts[order.account].free(self.lock_asset(order)) < amount:
            raise ApiError(-2010, "Account has insufficient balance for requested action.")

    # --- the life of an order ----------------------------------------------------------------------------------

    def register(self, step: Step, order: Order) -> None:
        """Give an order its id and put it on record."""
        order.id = self.state.next_order_id(order.symbol)
        order.created = order.updated = step.now
        self.state.keep_order(order)
        step.touch(order)
        step.fact(
            "order",
            order.symbol,
            order.id,
            account=order.account,
            client_id=order.client_id,
            side=order.side,
            type=order.type,
            tif=order.tif,
            qty=text8(order.qty),
            price=text8(order.price),
            stop=text8(order.stop),
            list=order.list_id,
        )

    def rest(self, step: Step, order: Order) -> None:
        """Queue an order on the book, behind what the market shows at its price."""
        order.seq = self.state.next_seq()
        order.since = order.since or step.feed_ms
        order.visible = min(order.iceberg or order.left, order.left)
        order.ahead = self.market(order.symbol).left(order.buy, order.limit)
        self.resting[order.symbol].side(order.buy).add(order)
        step.touch(order)

    def fill(
        self, step: Step, order: Order, price: int, qty: int, trade: int, *, maker: bool, counter: int = NONE
    ) -> None:
        """Execute `qty` of an order at `price`: status, money, commission, report."""
        lists.activated(self, step, order)
        account = self.state.accounts[order.account]
        base, quote = self.assets(order.symbol)
        cost = price * qty // ONE
        if order.executed == 0:
            self.counts.give_back(order.account, step.now, maker=maker)
        rests = order.seq > 0
        order.executed += qty
        order.spent += cost
        order.updated = step.now
        order.status = "PARTIALLY_FILLED" if order.left else "FILLED"
        self.hold(step, order)
        paid, received = (cost, qty) if order.buy else (qty, cost)
        earned = base if order.buy else quote
        account.add(quote if order.buy else base, -paid)
        account.add(earned, received)
        fee, fee_asset = self._fee(account, order, price, qty, cost, maker=maker)
        account.add(fee_asset, -fee)
        for asset in dict.fromkeys((base, quote, fee_asset)):
            step.money(order.account, asset)
        fill = Fill(
            account=order.account,
            symbol=order.symbol,
            order=order.id,
            list_id=order.list_id,
            trade=trade,
            execution=step.next_execution(order.symbol),
            buyer=order.buy,
            maker=maker,
            price=price,
            qty=qty,
            quote=cost,
            fee=fee,
            fee_asset=fee_asset,
            ms=step.now,
            counter=counter,
        )
        step.line.fills.append(fill)
        self.state.keep_fill(fill)
        step.report(order, "TRADE", fill=fill, execution=fill.execution)
        if rests:
            self._after_maker_fill(step, order, qty)
        lists.after_fill(self, step, order, received, fee if fee_asset == earned else 0)

    def _after_maker_fill(self, step: Step, order: Order, qty: int) -> None:
        side = self.resting[order.symbol].side(order.buy)
        order.visible -= qty
        if not order.left:
            side.remove(order)
        elif order.visible <= 0:  # the next part of an iceberg queues anew
            side.remove(order)
            self.rest(step, order)

    def _fee(self, account: Account, order: Order, price: int, qty: int, cost: int, *, maker: bool) -> tuple[int, str]:
        """The commission and its asset: the received one, or BNB where the account pays so and can."""
        base, quote = self.assets(order.symbol)
        rate = account.terms.maker if maker else account.terms.taker
        if account.terms.discounted:
            worth = self._in_discount_asset(price, commission(cost, rate), quote)
            fee = worth * DISCOUNT // ONE
            if worth and fee <= account.free(DISCOUNT_ASSET):
                return fee, DISCOUNT_ASSET
        return (commission(qty, rate), base) if order.buy else (commission(cost, rate), quote)

    def _in_discount_asset(self, price: int, amount: int, quote: str) -> int:
        if quote == DISCOUNT_ASSET:
            return amount
        pair = DISCOUNT_ASSET + quote
        if pair not in self.feed.symbols:
            return 0
        market = self.market(pair)
        market.catch_up()
        return amount * ONE // market.prices.last if market.prices.last else 0

    def end(
        self,
        step: Step,
        order: Order,
        status: str,
        reason: str = "",
        *,
        kind: str = "",
        client_id: str = "",
        prevented: Prevented | None = None,
        follow: bool = True,
    ) -> int:
        """Close an order that is not filled: off the book, its lock released, told and on record.

        `follow` lets that have its consequences for the list it belongs to. Returns the execution id.
        """
        if order.seq > 0 and order.status in ("NEW", "PARTIALLY_FILLED"):
            self.resting[order.symbol].side(order.buy).remove(order)
        self.waiting[order.symbol].pop(order.id, None)
        partner = lists.open_partner(self, order)
        order.status, order.reason, order.updated = status, reason, step.now
        self._set_hold(step, order, 0)
        if partner is not None:
            self.hold(step, partner)
        step.touch(order)
        execution = step.report(order, kind or status, client_id=client_id, prevented=prevented)
        step.fact(
            "cancel",
            order.symbol,
            execution,
            account=order.account,
            order=order.id,
            status=status,
            reason=reason,
            executed=text8(order.executed),
        )
        if follow:
            lists.after_end(self, step, order)
        return execution

    def legs(self, order_list: OrderList) -> list[Order]:
        """The orders of a list."""
        found = (self.state.order(order_list.symbol, leg) for leg in order_list.legs)
        return [order for order in found if order is not None]
