"""One client connection: who it is, which streams it follows, how its answers are framed."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.limits import CallMeter

KEPT_PROPOSALS: Final = 200
TOKEN_MASK: Final = "<not shown>"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A decoded request: `arguments` are its properties, `envelope` the parts every answer to it repeats."""

    call: str
    arguments: Mapping[str, Any]
    envelope: Body


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


class Session:
    """State of one connection; it ends with it: ids of streams and proposals mean nothing to another."""

    def __init__(self, send: Callable[[bytes], None], meter: CallMeter) -> None:
        """`send` queues one text frame, in order, without blocking."""
        self._send = send
        self._encode = msgspec.json.Encoder().encode
        self.meter = meter
        self.loginid: str | None = None
        self.streams: dict[str, Stream] = {}
        self.proposals: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self.follows_all_contracts: Body | None = None

    # --- answers -----------------------------------------------------------------------------------------------

    def answer(self, envelope: Body, msg_type: str, body: Body, stream: Stream | None = None) -> None:
        """Send a result, with the id of its stream when it starts or continues one."""
        message = {**body, **envelope, "msg_type": msg_type}
        if stream is not None:
            message["subscription"] = {"id": stream.id}
        self._send(self._encode(message))

    def refuse(self, envelope: Body, msg_type: str, error: ApiError) -> None:
        """Send an error answer."""
        self._send(self._encode({"error": error.payload(), **envelope, "msg_type": msg_type}))

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

    def keep_proposal(self, proposal_id: str, parameters: Mapping[str, Any]) -> None:
        """Remember what a proposal id stands for; the oldest are dropped."""
        self.proposals[proposal_id] = parameters
        if len(self.proposals) > KEPT_PROPOSALS:
            self.proposals.popitem(last=False)


ALL_CONTRACTS: Final = ("proposal_open_contract", "all")
