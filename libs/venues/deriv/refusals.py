"""Which of Deriv's error codes prove that a buy or a sale had no effect."""

from __future__ import annotations

from typing import Final

BEFORE_IT_IS_TRIED: Final = frozenset(
    {
        "AccountDisabled",
        "ClientUnwelcome",
        "DisabledClient",
        "InputValidationFailed",
        "InvalidAppID",
        "InvalidSymbol",
        "MarketIsClosed",
        "NoRealtimeQuotes",
        "OfferingsInvalidSymbol",
        "OfferingsValidationError",
        "PermissionDenied",
        "StreamingNotAllowed",
        "TradingDisabled",
        "UnrecognisedRequest",
    }
)

OF_A_BUY: Final = frozenset(
    {
        "ContractBuyValidationError",
        "DailyProfitLimitExceeded",
        "InsufficientBalance",
        "InvalidContractProposal",
        "InvalidPrice",
        "LimitOrderAmountTooHigh",
        "LimitOrderAmountTooLow",
        "OpenPositionLimitExceeded",
        "PriceMoved",
    }
)

OF_A_SALE: Final = frozenset(
    {
        "CancelIsBetter",
        "ContractAlreadySold",
        "ContractNotFound",
        "EntryTickMissing",
        "InvalidSellContractProposal",
        "NoOpenPosition",
        "PriceMoved",
        "ResaleNotOffered",
        "SellAtEntryTick",
        "SellPriceLowerThanStake",
        "WaitForContractSettlement",
    }
)

PROOFS: Final = {"buy": BEFORE_IT_IS_TRIED | OF_A_BUY, "sell": BEFORE_IT_IS_TRIED | OF_A_SALE}
"""By call that has an effect. A code that nobody has read about proves nothing: the books are searched instead."""
