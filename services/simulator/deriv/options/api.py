"""The calls of the Options API: those of v3 asked in its words, and the list of contract categories."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from services.simulator.deriv import offerings
from services.simulator.deriv.dispatch import V3, Api, Handler
from services.simulator.deriv.options.requests import RULES, as_v3
from services.simulator.deriv.options.shown import names, show
from services.simulator.deriv.session import Request, Session
from services.simulator.deriv.venue import Venue

_PUBLIC: Final = names(
    "active_symbols contracts_for contracts_list forget forget_all ping proposal ticks ticks_history time trading_times"
)


def contracts_list(venue: Venue, session: Session, request: Request) -> None:
    """Answer the categories of contracts offered on any symbol, with the types of each."""
    categories: dict[str, dict[str, Any]] = {}
    for feed in venue.market.feeds.values():
        offered = offerings.contracts_for(feed)
        named = {row["contract_category"]: row["contract_category_display"] for row in offered["available"]}
        for row in show("", "contracts_for", {"contracts_for": offered})["contracts_for"]["available"]:
            category = row["contract_category"]
            found = categories.setdefault(
                category, {"contract_category": category, "contract_types": [], "display_name": named[category]}
            )
            if row["contract_type"] not in found["contract_types"]:
                found["contract_types"].append(row["contract_type"])
    session.answer(request.envelope, "contracts_list", {"contracts_list": list(categories.values())})


def _asked_as_v3(handler: Handler) -> Handler:
    def asked(venue: Venue, session: Session, request: Request) -> None:
        arguments = as_v3(request.call, request.arguments)
        handler(venue, session, dataclasses.replace(request, arguments=arguments))

    return asked


def _handlers() -> dict[str, Handler]:
    of_v3 = {**V3.public, **V3.private}
    return {name: contracts_list if name == "contracts_list" else _asked_as_v3(of_v3[name]) for name in RULES}


OPTIONS: Final = Api(
    RULES,
    public={name: handler for name, handler in _handlers().items() if name in _PUBLIC},
    private={name: handler for name, handler in _handlers().items() if name not in _PUBLIC},
)
