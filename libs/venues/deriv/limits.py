"""Deriv's rate limits as budgets: each bucket of calls has a limit a minute and one an hour, counted per user."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from libs.venues.budget import Budget, Priority
from libs.venues.errors import VenueUnavailable

MINUTE_S: Final = 61.0
"""A second more than the venue's minute: calls do not arrive as evenly as they leave."""

HOUR_S: Final = 3605.0
PATIENCE_S: Final = {Priority.EXIT: 60.0, Priority.ENTRY: 5.0, Priority.DATA: 60.0}
"""How long a call waits for its turn; what an entry was decided on is stale after a few seconds."""

BELIEVED: Final = 100_000
"""Calls; a venue that tells a higher limit is not believed."""

BLOCK_S: Final = 10.0
"""Silence of a bucket after the venue said that its limit is reached."""


class Bucket(StrEnum):
    """What the venue counts together."""

    GENERAL = "general"
    PRICING = "pricing"
    OUTCOME = "outcome"
    TRADING = "trading"
    ACCOUNT = "account"
    REST = "rest"


class Quota(NamedTuple):
    """Calls that the venue allows in a minute and in an hour."""

    minutely: int
    hourly: int


class Limits:
    """Every budget of one user."""

    def __init__(self, quotas: Mapping[Bucket, Quota], burst: int = 0) -> None:
        """`burst`: most calls in a second over all buckets; 0 = no such limit."""
        self._by_bucket = {
            bucket: (
                Budget(f"deriv {bucket} calls a minute", quota.minutely, MINUTE_S),
                Budget(f"deriv {bucket} calls an hour", quota.hourly, HOUR_S),
            )
            for bucket, quota in quotas.items()
        }
        self._burst = (Budget("deriv calls a second", burst, 1.0),) if burst else ()

    async def take(self, bucket: Bucket, priority: Priority) -> None:
        """Spend one call of `bucket` when it fits.

        Raises:
            VenueUnavailable: the limit is used up for longer than the priority can wait; nothing was spent.
        """
        spent: list[Budget] = []
        try:
            for budget in self._budgets_of(bucket):
                await budget.take(priority, patience_s=PATIENCE_S[priority])
                spent.append(budget)
        except VenueUnavailable:
            for budget in spent:
                budget.give_back(1)
            raise

    def _budgets_of(self, bucket: Bucket) -> tuple[Budget, ...]:
        # The hour first: whoever waits long must not hold a place in the minute meanwhile.
        minute, hour = self._by_bucket[bucket]
        return (hour, minute) if bucket is Bucket.REST else (hour, minute, *self._burst)

    def refused(self, bucket: Bucket) -> None:
        """The venue refused a call of `bucket` for its rate."""
        self._by_bucket[bucket][0].block(BLOCK_S)

    def resize(self, quotas: Mapping[Bucket, Quota]) -> None:
        """Take over what the venue tells; absurd sizes and buckets that it does not have here are left out."""
        for bucket, quota in quotas.items():
            if bucket in self._by_bucket and all(0 < size <= BELIEVED for size in quota):
                minute, hour = self._by_bucket[bucket]
                minute.resize(quota.minutely)
                hour.resize(quota.hourly)

    def budgets(self) -> tuple[Budget, ...]:
        """All of them, for display."""
        return (*(budget for pair in self._by_bucket.values() for budget in pair), *self._burst)
