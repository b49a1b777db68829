"""The error part of a Deriv answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request that is answered with `error: {code, message, details?, subcode?}` instead of a result."""

    def __init__(
        self, code: str, message: str, *, details: Mapping[str, str] | None = None, subcode: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details
        self.subcode = subcode

    def payload(self) -> dict[str, Any]:
        """Return the value of the answer's `error` key."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            body["details"] = dict(self.details)
        if self.subcode is not None:
            body["subcode"] = self.subcode
        return body


def contract_refused(message: str, subcode: str) -> ApiError:
    """Return the umbrella error of a contract that cannot be priced or bought."""
    return ApiError("ContractBuyValidationError", message, subcode=subcode)
