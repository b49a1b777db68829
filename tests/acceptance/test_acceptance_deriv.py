"""The acceptance cases at Deriv, over both of its APIs."""

from __future__ import annotations

from acceptance_cases import AcceptanceCases
from deriv_house import DerivHouse, DerivOptionsHouse


class TestDerivV3(AcceptanceCases):
    """Version 3."""

    house_type = DerivHouse


class TestDerivOptions(AcceptanceCases):
    """The Options API."""

    house_type = DerivOptionsHouse
