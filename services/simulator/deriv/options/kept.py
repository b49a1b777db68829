"""The accounts of the venue's one user, each with a journal of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from services.simulator.deriv.accounts import Account, Event, Ids
from services.simulator.deriv.market import Market
from services.simulator.deriv.options.accounts import real_id
from services.simulator.journal import Journal
from services.simulator.state import SimulatorStateError

JOURNAL_FILE: Final = "deriv-journal.jsonl"
REAL_JOURNAL_FILE: Final = "deriv-journal-real.jsonl"


class Accounts:
    """The demo account, which both APIs share, and the real one of the Options API once it was opened."""

    def __init__(self, loginid: str, market: Market, state_dir: Path | None) -> None:
        """Rebuild what `state_dir` holds. Raises SimulatorStateError when a journal is damaged, OSError."""
        self._loginid = loginid
        self._market = market
        self._folder = state_dir
        self._ids = Ids()
        self._journals: list[Journal[Event]] = []
        self.demo = self._load(loginid, JOURNAL_FILE)
        opened_before = state_dir is not None and (state_dir / REAL_JOURNAL_FILE).exists()
        self.real: Account | None = self._load(real_id(loginid), REAL_JOURNAL_FILE) if opened_before else None

    def open_real(self) -> Account:
        """Open the real account; with a folder it is there again after a restart. Raises OSError."""
        self.real = self._load(real_id(self._loginid), REAL_JOURNAL_FILE)
        return self.real

    def close(self) -> None:
        """Close the journals; safe to call twice."""
        for journal in self._journals:
            journal.close()

    def _load(self, loginid: str, file: str) -> Account:
        journal: Journal[Event] = Journal(self._folder / file if self._folder else None, Event)
        self._journals.append(journal)
        try:
            return Account(loginid, self._market, journal, self._ids)
        except msgspec.DecodeError as error:
            raise SimulatorStateError(f"{file} is damaged ({error}): remove the folder to start anew") from None
