"""Headlines to scores, beside the bar path: a worker process reads them, and what it says is published as an event."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from libs.common.bus import Bus, BusError, Received, Subscription
from libs.common.settings.learning import SentimentSettings
from libs.core.types import Headline, Nanos, Scored, stable_id
from services.predict import metrics

log = structlog.get_logger(__name__)

ROOT: Final = Path(__file__).resolve().parents[2]
CLASSIFIER: Final = "SENTIMENT_MODEL_DIR"
"""Names the folder of a local classifier such as FinBERT, which comes before the trained stack."""
START_S: Final = 60.0
"""Opening a large model takes this long at most."""
HANG_BUDGETS: Final = 10.0
"""A worker that is silent for so many budgets hangs, and is replaced."""
TRIES: Final = 2
BACK_OFF_S: Final = (0.2, 30.0)
MOST_WAITING: Final = 2_000
MOST_SCORED: Final = 20_000
READ_AGAIN_S: Final = 1.0


class WorkerGone(Exception):
    """The worker ended, hangs, or says what cannot be understood; one line."""


class HeadlineDesk:
    """Takes news.headline.*, gives news.score.*; one headline at a time, in their order.

    Nothing here touches the bar path: while there is no worker headlines wait, and the agent, which hears of each
    headline before its score, abstains. A headline on which the worker fails twice is published as not scored.
    """

    def __init__(
        self,
        bus: Bus,
        settings: SentimentSettings,
        *,
        command: Sequence[str] | None = None,
        hang_s: float | None = None,
    ) -> None:
        """`command`: starts the worker; `hang_s`: silence after which it is replaced."""
        self._bus, self._settings = bus, settings
        worker = [
            sys.executable,
            "-m",
            "services.predict.headline_worker",
            str(settings.model or ""),
            os.environ.get(CLASSIFIER, ""),
        ]
        self._command = list(command or worker)
        self._hang_s = hang_s or settings.budget_ms / 1000 * HANG_BUDGETS
        self._queue: asyncio.Queue[tuple[Headline, Nanos]] = asyncio.Queue(MOST_WAITING)
        self._scored: OrderedDict[str, None] = OrderedDict()
        self._worker: asyncio.subprocess.Process | None = None
        self._model_id = ""
        self._asked = self._starts = 0
        self._back_off = BACK_OFF_S[0]
        self._task: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None

    async def start(self, since_ns: Nanos) -> None:
        """Score every headline that the stream captured from `since_ns` on and nobody has scored."""
        self._task = asyncio.create_task(self._run(since_ns), name="headlines")

    async def close(self) -> None:
        """Stop reading and end the worker."""
        if self._subscription:
            await self._subscription.close()
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=2)
        await self._end()

    def info(self) -> dict[str, Any]:
        """Which model serves ("" while none does), how many headlines wait, how often a worker was started."""
        return {"model": self._model_id, "waiting": self._queue.qsize(), "starts": self._starts}

    async def _run(self, since_ns: Nanos) -> None:
        while self._subscription is None:
            try:
                self._subscription = await self._subscribe(since_ns)
            except BusError as err:
                log.warning("headlines cannot be read yet", reason=str(err))
                await asyncio.sleep(READ_AGAIN_S)
        with contextlib.suppress(WorkerGone):
            await self._open()  # the first headline shall not wait for a model to be opened
        while True:
            headline, recv_ns = await self._queue.get()
            scored = await self._score(headline)
            await self._bus.publish(scored)
            metrics.HEADLINES.labels("scored" if scored.score is not None else "failed").inc()
            metrics.HEADLINE.observe(max(0.0, (time.time_ns() - recv_ns) / 1e9))

    async def _subscribe(self, since_ns: Nanos) -> Subscription:
        async for received in self._bus.read(["news.score.>"], since_ns):
            if isinstance(received.event, Scored):
                self._mark(received.event.headline)
        return await self._bus.subscribe(["news.headline.>"], self._on_headline, since_ns)

    async def _on_headline(self, received: Received) -> None:
        if isinstance(received.event, Headline) and self._mark(received.event.id):
            await self._queue.put((received.event, received.recv_ns))

    def _mark(self, headline: str) -> bool:
        """True the first time."""
        if headline in self._scored:
            return False
        self._scored[headline] = None
        if len(self._scored) > MOST_SCORED:
            self._scored.popitem(last=False)
        return True

    async def _score(self, headline: Headline) -> Scored:
        failed = 0
        why = ""
        while failed < TRIES:
            try:
                if self._worker is None:
                    await self._open()
            except WorkerGone as err:
                # Nobody was asked: that is not the headline's fault, so it waits.
                log.warning("no headline worker", reason=str(err), again_in_s=self._back_off)
                await asyncio.sleep(self._back_off)
                self._back_off = min(2 * self._back_off, BACK_OFF_S[1])
                continue
            try:
                said = await self._ask(headline.title)
                self._back_off = BACK_OFF_S[0]
                return self._scored_event(headline, said)
            except WorkerGone as err:
                failed, why = failed + 1, str(err)
                log.warning("headline worker replaced", reason=why, headline=headline.id)
                await self._end()
        return self._event(headline, "", detail=f"could not be scored: {why}")

    def _scored_event(self, headline: Headline, said: dict[str, Any]) -> Scored:
        try:
            numbers = {name: float(said[name]) for name in ("score", "p_down", "p_neutral", "p_up")}
            latency = float(said["us"])
            if not all(math.isfinite(number) and abs(number) <= 1.0 for number in numbers.values()):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise WorkerGone("the worker's answer has no score") from None
        if latency > self._settings.budget_ms * 1000:
            metrics.HEADLINES_LATE.inc()
        return self._event(headline, self._model_id, latency_us=latency, **numbers)

    def _event(self, headline: Headline, model_id: str, **fields: Any) -> Scored:
        return Scored(
            id=stable_id("scored", headline.id, model_id),
            cause=(headline.id,),
            ts_event=headline.ts_event,
            ts_init=time.time_ns(),
            headline=headline.id,
            source=headline.source,
            symbols=headline.symbols,
            model_id=model_id,
            **fields,
        )

    # the worker ------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Start the worker and hear which model it has. Raises WorkerGone."""
        self._starts += 1
        try:
            self._worker = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            hello = await self._hear(START_S)
        except OSError as err:
            raise WorkerGone(f"cannot be started: {err.strerror or err}") from None
        except WorkerGone:
            await self._end()
            raise
        self._model_id = str(hello.get("model_id", ""))
        for note in hello.get("notes", ()):
            log.warning("a better sentiment model is not used", reason=note)
        log.info("headlines are read", model=self._model_id)

    async def _ask(self, title: str) -> dict[str, Any]:
        assert self._worker is not None
        assert self._worker.stdin is not None
        self._asked += 1
        try:
            self._worker.stdin.write(json.dumps({"n": self._asked, "text": title}).encode() + b"\n")
            async with asyncio.timeout(self._hang_s):
                await self._worker.stdin.drain()
        except (OSError, TimeoutError):
            raise WorkerGone("the worker takes nothing") from None
        said = await self._hear(self._hang_s)
        if said.get("n") != self._asked:
            raise WorkerGone("the worker answers another question")
        return said

    async def _hear(self, within_s: float) -> dict[str, Any]:
        assert self._worker is not None
        assert self._worker.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self._worker.stdout.readline()
            said = json.loads(line) if line else None
        except TimeoutError:
            raise WorkerGone(f"silent for {within_s:g} s") from None
        except ValueError:
            raise WorkerGone("the worker's answer cannot be read") from None
        if not isinstance(said, dict):
            raise WorkerGone("the worker ended")
        return said

    async def _end(self) -> None:
        worker, self._worker = self._worker, None
        self._model_id = ""
        if worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
