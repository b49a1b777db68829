"""A Deriv venue without sockets or waiting: frames go in, answers come out, seconds pass when told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.simulator.clock import NANOSECONDS, ReplayClock
from services.simulator.deriv.accounts import Account, Event
from services.simulator.deriv.dispatch import handle
from services.simulator.deriv.market import Market
from services.simulator.deriv.session import Session
from services.simulator.deriv.venue import Venue
from services.simulator.journal import Journal
from services.simulator.record import Record

ANCHOR = 1_795_000_000
TOKEN = "demo-token"
Message = dict[str, Any]


class Client:
    """One connection; `ask` returns what came back at once, `received` is everything so far."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.received: list[Message] = []
        self.session: Session = venue.connect(lambda frame: self.received.append(json.loads(frame)))

    def send(self, frame: bytes | str) -> list[Message]:
        before = len(self.received)
        handle(self.venue, self.session, frame)
        return self.received[before:]

    def ask(self, **request: Any) -> Message:
        answers = self.send(json.dumps(request))
        assert answers, f"{request} was not answered"
        return answers[0]

    def ask_all(self, **request: Any) -> list[Message]:
        return self.send(json.dumps(request))

    def log_in(self) -> Client:
        assert self.ask(authorize=TOKEN)["msg_type"] == "authorize"
        return self


class Desk:
    """A venue, its clock, and a way to kill and restart it on the same journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ReplayClock(ANCHOR * NANOSECONDS)
        self._journal: Journal[Event] | None = None
        self.record: Record
        self.venue: Venue
        self.restart()

    def restart(self, seconds_away: int = 0) -> None:
        """Come back `seconds_away` later as after a kill: nothing is flushed or closed in an orderly way."""
        self.clock.advance(self.clock.now_ns() + seconds_away * NANOSECONDS)
        market = Market(7, ANCHOR)
        market.advance(self.clock.now_ns() // NANOSECONDS)
        self.record = Record(self.folder / "record.jsonl")
        self._journal = Journal(self.folder / "journal.jsonl", Event)
        self.venue = Venue(market, Account("VRTC1859315", market, self._journal), self.record, self.clock, TOKEN)

    def client(self) -> Client:
        return Client(self.venue)

    def trader(self) -> Client:
        return Client(self.venue).log_in()

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(self.clock.now_ns() + NANOSECONDS)
            self.venue.advance_to(self.venue.now())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def desk_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Desk]:
    """Make as many venues as a test wants, each in a folder of its own."""
    return lambda: Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="session")
def schema_folder() -> Path:
    folder = Path(__file__).parents[3].parent / "shared" / "protocols" / "deriv-schemas" / "v3"
    if not folder.is_dir():
        pytest.skip("the official Deriv schemas are not on this machine")
    return folder


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Any]:
    folder = Path(__file__).parents[3].parent / "shared" / "protocols" / "deriv-samples"

    def read(name: str) -> Any:
        if not folder.is_dir():
            pytest.skip("the recorded Deriv messages are not on this machine")
        return json.loads((folder / f"{name}.json").read_text())

    return read


@pytest.fixture
def orders() -> dict[str, Message]:
    """Parameters of one contract of each kind."""
    return {
        "multiplier": {
            "contract_type": "MULTUP",
            "currency": "USD",
            "symbol": "1HZ100V",
            "amount": 10,
            "basis": "stake",
            "multiplier": 100,
            "limit_order": {"take_profit": 5, "stop_loss": 4},
        },
        "ticks": {
            "contract_type": "CALL",
            "currency": "USD",
            "symbol": "R_100",
            "amount": 1,
            "basis": "stake",
            "duration": 1,
            "duration_unit": "t",
        },
        "time": {
            "contract_type": "PUT",
            "currency": "USD",
            "symbol": "R_25",
            "amount": 2,
            "basis": "payout",
            "duration": 20,
            "duration_unit": "s",
        },
        "barrier": {
            "contract_type": "CALL",
            "currency": "USD",
            "symbol": "R_100",
            "amount": 10,
            "basis": "payout",
            "duration": 1,
            "duration_unit": "m",
            "barrier": "+0.10",
        },
    }
