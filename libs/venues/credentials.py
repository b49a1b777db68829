"""What a venue asks for at its door. Values never appear in a log, an error or a repr."""

from __future__ import annotations

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Of one account; "" = not given.

    Attributes:
        token: Deriv's token (v3), or its personal access token or OAuth token (Options API).
        app_id: Deriv's application; needed with a personal access token.
        account_id: which of the user's accounts (Options API); "" = the only one, demo before real.
        key, secret: of an API key (HMAC). private_key: PEM of an Ed25519 key, in place of `secret`.
    """

    token: str = ""
    app_id: str = ""
    account_id: str = ""
    key: str = ""
    secret: str = ""
    private_key: str = ""

    def __repr__(self) -> str:
        given = ", ".join(name for name in self.__struct_fields__ if getattr(self, name))
        return f"Credentials({given or 'none'})"

    __str__ = __repr__
