"""The private stream of each live account: what the venue tells unasked goes into the ledger as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import structlog

from libs.core.types import Event, Nanos, Reconciliation, ReconciliationKind, VenueReport, stable_id
from libs.venues.base import Trading, VenueError
from services.execute import metrics

log = structlog.get_logger("execute")

AGAIN_S = 30.0


class PrivateDesk:
    """Implements `PrivateSink` for one account.

    Args:
        record: hands an event to the stage; returns once the ledger has what it led to.
        resume: asks the venue after every open order and position; then the account is compared.
    """

    def __init__(
        self,
        venue: str,
        account: str,
        record: Callable[[Event], Awaitable[None]],
        resume: Callable[[str], Awaitable[None]],
    ) -> None:
        self._venue, self._account = venue, account
        self._record, self._resume = record, resume
        self.state = "connecting"

    async def follow(self, trading: Trading) -> None:
        """Listen until cancelled. A stream that the venue refuses is tried again: orders are resolved without it."""
        while True:
            try:
                await trading.listen(self)
                self._say("ended")
            except VenueError as err:
                self._say(f"refused: {err}")
                log.error("the private stream is refused", account=self._account, error=str(err))
            await asyncio.sleep(AGAIN_S)

    async def report(self, report: VenueReport) -> None:
        """See `PrivateSink`."""
        metrics.PRIVATE.labels(self._account, report.kind.value).inc()
        await self._record(report)

    async def transfer(self, asset: str, amount: Decimal, ts_event: Nanos, identity: str) -> None:
        """See `PrivateSink`."""
        metrics.PRIVATE.labels(self._account, "transfer").inc()
        way = "came in" if amount > 0 else "went out"
        log.warning("money moved without an order", account=self._account, asset=asset, amount=str(amount))
        await self._record(
            Reconciliation(
                id=stable_id("transfer", self._venue, self._account, asset, identity),
                ts_event=ts_event,
                kind=ReconciliationKind.TRANSFER,
                venue=self._venue,
                account=self._account,
                assets={asset: amount},
                detail=f"{abs(amount).normalize():f} {asset} {way} without an order",
            )
        )

    async def resumed(self, detail: str) -> None:
        """See `PrivateSink`."""
        self._say("open")
        log.info("private stream open", account=self._account, detail=detail)
        metrics.RESUMED.labels(self._account).inc()
        await self._resume(self._account)

    def _say(self, state: str) -> None:
        self.state = state
        metrics.PRIVATE_OPEN.labels(self._account).set(state == "open")
