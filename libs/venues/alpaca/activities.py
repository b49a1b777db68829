"""The account's activities: executions of an order, and money that moved without one."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.core.types import SECOND, Nanos
from libs.venues.alpaca import codec
from libs.venues.alpaca.assets import parts_of
from libs.venues.alpaca.codec import Activity, OrderRow, instant, signed, told_at
from libs.venues.alpaca.rest import AlpacaRest
from libs.venues.budget import Priority
from libs.venues.checked import Absurd
from libs.venues.errors import VenueUnavailable

PAGE: Final = 100
MOST_PAGES: Final = 50
BEFORE_NS: Final = 60 * SECOND
"""How much earlier than its order an execution is looked for: clocks differ."""

MOVES: Final = "CSD,CSW,JNLC,JNLS,DIV,INT,FEE,CFEE,PTC"
"""Deposits, withdrawals, journals, dividends, interest and fees: Alpaca books fees apart from the executions."""


async def executions(rest: AlpacaRest, row: OrderRow, since: Nanos) -> list[Activity]:
    """Every execution of the order, oldest first, looked for from `since` (ns UTC). Raises VenueUnavailable."""
    params: dict[str, str | int] = {"after": told_at(since - BEFORE_NS), "direction": "asc", "page_size": PAGE}
    found: dict[str, Activity] = {}
    for _ in range(MOST_PAGES):
        page = await rest.get("/v2/account/activities/FILL", codec.activities, params, priority=Priority.EXIT)
        found |= {each.id: each for each in page if each.order_id == row.id}
        if len(page) < PAGE:
            return list(found.values())
        params["page_token"] = page[-1].id
    raise VenueUnavailable("Alpaca tells of more executions than can be looked through")


class Moves:
    """Money that moved without an order, each once, from the first look on."""

    def __init__(self, rest: AlpacaRest) -> None:
        self._rest = rest
        self._newest = ""

    async def new(self, currency: str) -> list[tuple[str, Decimal, str]]:
        """Asset, signed amount and Alpaca's id of each move since the last look; [] at the first.

        Raises VenueUnavailable.
        """
        params: dict[str, str | int] = {"activity_types": MOVES, "direction": "desc", "page_size": PAGE}
        page = await self._rest.get("/v2/account/activities", codec.activities, params)
        first, newest = not self._newest, page[0].id if page else self._newest
        fresh: list[Activity] = []
        for each in page:
            if each.id == self._newest:
                break
            fresh.append(each)
        self._newest = newest or "none"
        if first:
            return []
        try:
            return [move for each in reversed(fresh) if (move := _move(each, currency))[1]]
        except Absurd as err:
            raise VenueUnavailable(f"Alpaca's activities cannot be read: {err}") from err


def _move(each: Activity, currency: str) -> tuple[str, Decimal, str]:
    cash = signed(each.net_amount or "0", "net amount")
    if cash or not each.symbol:
        return currency, cash, each.id
    return parts_of(each.symbol)[0], signed(each.qty or "0", "quantity"), each.id


def at_of(row: OrderRow, otherwise: Nanos) -> Nanos:
    """When the order was submitted. Raises Absurd."""
    return instant(row.submitted_at) if row.submitted_at else otherwise
