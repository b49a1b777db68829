"""One client connection: who it is, which streams it follows, how its answers are framed."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from services.simulator.deriv.accounts import Account
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.limits import CallMeter
from services.simulator.deriv.terms import Terms
from services.simulator.faults.base import Cut, Send

KEPT_PROPOSALS: Final = 200
TOKEN_MASK: Final = "<not shown>"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A decoded request: `arguments` are its properties, `envelope` the parts every answer to it repeats."""

    call: str
    arguments: Mapping[str, Any]
    envelope: Body

    @property
    def answer_type(self) -> str:
        """The msg_type of a refusal."""
        return "tick" if self.call == "ticks" else self.call


@dataclass(slots=True)
class Stream:
    """A subscription; `render` gives the body of its next update, or None when there is nothing to say.

    `kind` is its name for forget_all, `key` what makes a second one AlreadySubscribed, `msg_type` that of its
    updates. `symbol` is the index whose ticks drive it, `contract_id` the contract it follows.
    """

    kind: str
    key: tuple[object, ...]
    msg_type: str
    envelope: Body
    render: Callable[[], Body | None]
    symbol: str | None = None
    contract_id: int | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class Quoted:
    """What a proposal id stands for: its parameters, the terms last told, and the second they were first told.

    `streamed` ids live as long as their stream, the others for a while.
    """

    parameters: Mapping[str, Any]
    terms: Terms
    at: int
    streamed: bool


def envelope_of(request: Mapping[str, Any]) -> Body:
    """Return echo_req (tokens masked), req_id and passthrough of a request."""
    echo = dict(request)
    if "authorize" in echo:
        echo["authorize"] = TOKEN_MASK
    if "tokens" in echo:
        echo["tokens"] = TOKEN_MASK
    envelope: Body = {"echo_req": echo}
    for name in ("req_id", "passthrough"):
        if name in request:
            envelope[name] = request[name]
    return envelope


Show = Callable[[str, Body], Body]
"""How one of the venue's APIs shows an answer: from msg_type and the body as v3 has it, to its own body."""


def as_it_is(msg_type: str, body: Body) -> Body:
    """Show an answer as v3 does."""
    return body


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Ends:
    """How a connection may end: `cut` at once, `cut_within` in the middle of a frame, `close` after what waits."""

    cut: Cut = _nothing
    cut_within: Send = _nothing
    close: Cut = _nothing


class Session:
    """State of one connection; it ends with it: ids of streams and proposals mean nothing to another."""

    def __init__(self, line: Callable[[str], Send], ends: Ends, meter: CallMeter, account: Account, show: Show) -> None:
        """`line` gives the way out of a channel ("data", "trade"): it queues a text frame, in order, not blocking.

        `account` is whose contracts the connection may see once it is logged in.
        """
        self._line = line
        self.send = line("data")
        self.ends = ends
        self.meter = meter
        self.account = account
        self._show = show
        self._encode = msgspec.json.Encoder().encode
        self._held: tuple[Body, list[bytes]] | None = None
        self.loginid: str | None = None
        self.may_log_in = True  # over this connection; where it came in by a password of its own, it may not
        self.streams: dict[str, Stream] = {}
        self.proposals: OrderedDict[str, Quoted] = OrderedDict()
        self.follows_all_contracts: Body | None = None

    def log_in(self, meter: CallMeter) -> None:
        """Act for the account from here on; calls count with all others of its user."""
        self.loginid = self.account.loginid
        self.meter = meter
        self.send = self._line("trade")

    def log_out(self, meter: CallMeter) -> None:
        """Be anonymous again: private streams end, the connection stays."""
        self.forget_all(PRIVATE_STREAMS)
        self.loginid = None
        self.meter = meter

    # --- answers -----------------------------------------------------------------------------------------------

    def answer(self, envelope: Body, msg_type: str, body: Body, stream: Stream | None = None) -> None:
        """Send a result, with the id of its stream when it starts or continues one."""
        message = {**self._show(msg_type, body), **envelope, "msg_type": msg_type}
        if stream is not None:
            message["subscription"] = {"id": stream.id}
        self._deliver(envelope, message)

    def refuse(self, envelope: Body, msg_type: str, error: ApiError) -> None:
        """Send an error answer."""
        self._deliver(envelope, {"error": error.payload(), **envelope, "msg_type": msg_type})

    def _deliver(self, envelope: Body, message: Body) -> None:
        frame = self._encode(message)
        if self._held is not None and self._held[0] is envelope:
            self._held[1].append(frame)
        else:
            self.send(frame)

    @contextmanager
    def holding(self, envelope: Body) -> Iterator[list[bytes]]:
        """Collect the answers to one request instead of sending them; all else goes out as ever."""
        frames: list[bytes] = []
        self._held = (envelope, frames)
        try:
            yield frames
        finally:
            self._held = None

    def update(self, stream: Stream) -> None:
        """Send the next update of a stream if it has one; a stream that fails says why and ends."""
        try:
            body = stream.render()
        except ApiError as error:
            self.forget(stream.id)
            self.refuse(stream.envelope, stream.msg_type, error)
            return
        if body is not None:
            self.answer(stream.envelope, stream.msg_type, body, stream)

    # --- streams -----------------------------------------------------------------------------------------------

    def follow(self, stream: Stream, call: str) -> Stream:
        """Keep a stream. Raises AlreadySubscribed (ApiError) when one with the same key is kept."""
        if any(kept.key == stream.key for kept in self.streams.values()):
            raise ApiError("AlreadySubscribed", f"You are already subscribed to {call}.")
        self.streams[stream.id] = stream
        return stream

    def follows(self, contract_id: int) -> bool:
        """Whether a stream of this contract is kept."""
        return any(stream.contract_id == contract_id for stream in self.streams.values())

    def forget(self, stream_id: str) -> bool:
        """Drop one stream; returns whether there was one."""
        stream = self.streams.pop(stream_id, None)
        if stream is not None and stream.key == ALL_CONTRACTS:
            self.follows_all_contracts = None
        return stream is not None

    def forget_all(self, kinds: frozenset[str]) -> list[str]:
        """Drop every stream of the given kinds and return their ids."""
        dropped = [stream.id for stream in self.streams.values() if stream.kind in kinds]
        for stream_id in dropped:
            self.forget(stream_id)
        return dropped

    def keep_proposal(self, proposal_id: str, quoted: Quoted) -> None:
        """Remember what a proposal id stands for; the oldest are dropped."""
        self.proposals[proposal_id] = quoted
        if len(self.proposals) > KEPT_PROPOSALS:
            self.proposals.popitem(last=False)


PRIVATE_STREAMS: Final = frozenset({"proposal_open_contract", "balance", "transaction"})
ALL_CONTRACTS: Final = ("proposal_open_contract", "all")
