"""What opens the door of a venue: from the environment, files, or the running simulator; never from the config."""

from __future__ import annotations

from pathlib import Path

from libs.common import runtime
from libs.common.secrets import read_secret
from libs.common.settings import VenueSettings

FIELDS = {"key": "API_KEY", "secret": "SECRET_KEY", "private_key": "PRIVATE_KEY"}
"""Field of the credentials to the end of its variable's name; BROKER_<end> stands in where a venue has none."""

ANY_APP_ID = "1089"
"""The simulator's Options API asks for some application, as Deriv's does."""


def credentials_for(venue: VenueSettings, var: Path) -> dict[str, str]:
    """Token, app_id, account_id, key, secret and private_key of `venue`, without those that nobody gave.

    A simulator that runs under `var` gives its own: what opens a real account is never sent to it.

    Raises:
        SecretError: a file is named and cannot be read.
    """
    if venue.endpoint == "simulator" and not venue.urls and (own := runtime.simulator_credentials(var)):
        return own | ({"app_id": venue.app_id or ANY_APP_ID} if venue.name == "deriv" else {})
    prefix = venue.name.removeprefix("ccxt:").upper()
    found = {field: read_secret(f"{prefix}_{end}", var) for field, end in FIELDS.items()}
    if not found["key"]:
        found = {field: read_secret(f"BROKER_{end}", var) for field, end in FIELDS.items() if field != "private_key"}
    if venue.name == "deriv":
        found = {
            "token": read_secret("DERIV_TOKEN", var) or found["key"],
            "app_id": read_secret("DERIV_APP_ID", var) or venue.app_id,
            "account_id": read_secret("DERIV_ACCOUNT_ID", var),
        }
    return {field: value for field, value in found.items() if value}
