"""What a call is: one row of the table that both REST and the WebSocket API are served from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from services.simulator.binance.calls.params import Param, Params

if TYPE_CHECKING:
    from services.simulator.binance.venue import Venue


class Security(Enum):
    """Who may call: anybody, or the owner of a key (signed)."""

    NONE = "NONE"
    TRADE = "TRADE"
    USER_DATA = "USER_DATA"


Weight = int | Callable[[Params], int]
Handler = Callable[["Venue", int, Params], Any]
"""(venue, account, parameters) -> the answer or an awaitable of it; account 0 for public calls. Raises ApiError."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """`ws` is the method of the WebSocket API, `rest` the HTTP method and path; either may be "" where there is none.

    `free`: costs no weight when it succeeds (orders, since 2026-04-02). `orders`: its answer shows the order counts.
    """

    ws: str = ""
    rest: str = ""
    security: Security = Security.NONE
    weight: Weight = 1
    params: Sequence[Param] = ()
    exclusive: Sequence[Sequence[str]] = ()
    answer: Handler
    free: bool = False
    orders: bool = False

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.rest.partition(" ")[0]

    @property
    def path(self) -> str:
        """The HTTP path."""
        return self.rest.partition(" ")[2]

    def cost(self, params: Params) -> int:
        """The request weight with these parameters."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)
