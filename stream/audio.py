"""The audio worker: pieces of calls in, scores of every second out, alerts and score rows kept beside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import mode
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.engine import hear_turn, judge_end, judge_score, over_limits
from alerts.intake.schema import CallEvent, Turn
from alerts.keep_calls import Baseline, CallRow, ScoreRow, read_baselines
from alerts.policy import PolicyKeeper
from detectors.bank import Bank
from detectors.values import Chunk, Score
from detectors.words_rate import rate_from_words
from stream.app import App, raw_topic
from stream.audio_records import parse_audio
from stream.call_keeper import CallKeeper
from stream.calls import DEGRADED_SECONDS, Call, Calls, learn
from stream.holds import Holds
from stream.inbox import Inbox, Item, Stopping
from stream.metrics import CALLS, EVENTS, LOST_SECONDS, SCORE_LAG_SECONDS, STALE_CHUNKS
from stream.rebuild import Rebuilder
from stream.records import BadRecord, parse_call_event, parse_turn
from stream.rejected import Rejects
from stream.score_feed import ScoreFeed, score_record

logger = logging.getLogger(__name__)

MOST_PER_BATCH = 2000
"""Only a backlog fills it: a third of a second's work, of which each record costs an eighth less than among 500."""
SCORE_ROW_SECONDS = 5.0
LOOK_SECONDS = 0.5


class AudioWorker:
    """Reads `audio.frames`, `call.events` and `transcript.turns`; writes `qa.scores`."""

    def __init__(self, app: App, engine: AsyncEngine, policies: PolicyKeeper) -> None:
        self._app = app
        self._engine = engine
        self._policies = policies
        self._bank = Bank()
        self._calls = Calls()
        self._one_at_a_time = asyncio.Lock()  # the bank's rows: a batch, a call's end and a rebuild exclude each other
        self._feed = ScoreFeed(app)
        self._rejects = Rejects(app)
        self._rebuilder = Rebuilder(app, engine)
        self._keeper = CallKeeper(engine, policies)
        app.run_beside(self._keeper)
        app.run_beside(Ends(self))
        self.inbox = app.inbox = Inbox(self.handle, most_per_batch=MOST_PER_BATCH, most_waiting=MOST_PER_BATCH)
        self.holds = Holds(app, engine, self.inbox)
        app.run_beside(self.holds)
        app.run_beside(self.inbox)
        self._parsers: dict[str, Any] = {}
        for noun, take in (
            ("audio.frames", self._take_audio),
            ("call.events", self._take_event),
            ("transcript.turns", self._take_turn),
        ):
            topic = raw_topic(app, noun)
            self._parsers[topic.get_topic_name()] = take
            app.agent(topic, name=noun)(self._queue)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_partitions_assigned.connect(self._assigned)

    async def _queue(self, stream: Any) -> None:
        """Queue what comes: no exception may leave an agent, and nothing is acknowledged here."""
        async for event in stream.noack().events():
            await self.inbox.put(stream, event)

    async def handle(self, batch: Sequence[Item]) -> None:
        """Take a batch: events and turns first, then all audio in one push."""
        await self._until_there_is_a_policy()
        async with self._one_at_a_time:
            batch = self.inbox.ours(batch)  # a call that moved away must not be taken up again
            await self._rebuilder.rebuild(batch, self._policies.policy, self._bank, self._calls)
            chunks: list[Chunk] = []
            bad: list[tuple[Item, BadRecord]] = []
            taken: Counter[str] = Counter()
            for item in batch:
                if self.holds.keeps(item):
                    continue
                try:
                    chunks += await self._parsers[item.topic](item)
                    self.holds.good(item)
                except BadRecord as error:
                    self._degrade(item)
                    if self.holds.bad(item, error):
                        bad.append((item, error))
                taken[item.topic] += 1
            for topic, count in taken.items():
                EVENTS.labels(topic=topic).inc(count)
            if chunks:
                # In a thread: a blocked event loop would hold up rebalances and the health port.
                await self._conclude(await asyncio.to_thread(self._bank.push, chunks))
        await self._rejects.send(bad)
        CALLS.set(len(self._calls))

    async def _until_there_is_a_policy(self) -> None:
        """Wait for the database at the start: nothing can be judged before. Raises Stopping."""
        while not self._policies.is_loaded:
            if self._app.should_stop:
                raise Stopping
            self.inbox.touch()
            await asyncio.sleep(0.05)

    # What comes in -----------------------------------------------------------------------------------------

    async def _take_audio(self, item: Item) -> list[Chunk]:
        """Return the chunk of an audio record, none if it is too old to matter."""
        message = item.event.message
        chunk = parse_audio(message.key, message.value, message.headers)
        now = time.time()
        call = self._calls.open(chunk.conversation_id, message.partition, now)
        if now - item.arrived_at > self._app.tonewatch.audio_staleness_seconds:
            STALE_CHUNKS.inc()
            return []
        call.arrived_at = item.arrived_at
        return [chunk]

    async def _take_event(self, item: Item) -> list[Chunk]:
        """Take over what an event tells of its call."""
        message = item.event.message
        event = parse_call_event(message.value, message.headers)
        if event.type == "call.ended" and event.conversation_id not in self._calls:
            return []
        call = self._calls.open(event.conversation_id, message.partition, time.time())
        before = call.conversation.agent_id
        self._keeper.put_call(learn(call, event, time.time()))
        if event.hold is not None:
            self._hold(event, call)
        if call.conversation.agent_id is not None and call.conversation.agent_id != before:
            await self._stand_on_earlier_calls(call)
        return []

    async def _take_turn(self, item: Item) -> list[Chunk]:
        """Take a turn's rate in words and its hits to the rules that name an audio metric."""
        message = item.event.message
        turn: Turn = parse_turn(message.value, message.headers)
        call = self._calls.get(turn.conversation_id)
        if call is None:
            return []  # a call without audio here: the chat worker logs its hits
        policy = self._policies.policy
        reading = policy.phrases.read(turn.text, turn.side, call.tail(turn.side))
        call.tails[turn.side] = reading.memory
        rate = rate_from_words(turn.text, turn.start_ms / 1000, turn.end_ms / 1000)
        call.rules = hear_turn(policy.rules, call.rules, turn.side, reading.hits, rate, item.arrived_at)
        return []

    def _hold(self, event: CallEvent, call: Call) -> None:
        """Tell the bank from when on the call is on hold, or no longer: by its own time, else from now on."""
        at_seconds = event.offset_ms / 1000 if event.offset_ms is not None else call.at_seconds
        self._bank.hold(event.conversation_id, at_seconds, bool(event.hold))

    async def _stand_on_earlier_calls(self, call: Call) -> None:
        """Give the bank the agent's own baselines, if the database answers at once."""
        try:
            async with asyncio.timeout(1.0):
                kept = await read_baselines(self._engine, call.conversation.agent_id or "")
        except Exception as error:
            logger.warning("the baselines of an agent cannot be read; the call makes its own: %s", error)
            return
        if kept:
            self._bank.set_baselines(call.conversation.conversation_id, "agent", kept)

    def _degrade(self, item: Item) -> None:
        """Mark the call of a record that could not be used."""
        key = item.event.message.key
        call = self._calls.get(key.decode("utf-8", "replace")) if key else None
        if call is not None:
            call.degraded_until = time.time() + DEGRADED_SECONDS

    # What comes out ----------------------------------------------------------------------------------------

    async def _conclude(self, scores: Sequence[Score]) -> None:
        """Judge scores, tell them, and keep what is to be kept."""
        policy = self._policies.policy
        told = []
        for score in scores:
            call = self._calls.get(score.conversation_id)
            if call is None:
                continue
            score = self._with_lag(call, score)
            call.rules, changes = judge_score(
                policy.rules, call.rules, call.conversation, score, call.arrived_at or time.time()
            )
            self._keeper.put_changes(changes)
            over = over_limits(policy.rules, call.rules, call.conversation, score)
            for side, metric in over ^ call.over:
                self._bank.over_limit(score.conversation_id, side, metric, (side, metric) in over)
            call.over = over
            LOST_SECONDS.inc(max(0.0, score.lost_seconds - call.lost_seconds))
            call.lost_seconds = score.lost_seconds
            call.at_seconds = score.at_seconds
            told.append((score.conversation_id, score_record(call, score, self._bank.baselines(score.conversation_id))))
            if score.at_seconds - call.row_at_seconds >= SCORE_ROW_SECONDS:
                self._keep_score(call, score)
        await self._feed.tell(told)

    def _with_lag(self, call: Call, score: Score) -> Score:
        """Return the score with how late it is; only here are both clocks known."""
        if not call.arrived_at:
            return score
        seconds = max(0.0, time.time() - call.arrived_at)
        SCORE_LAG_SECONDS.observe(seconds)
        lag = {"signal.lag_ms": float(round(seconds * 1000))}
        return replace(score, sides={side: {**metrics, **lag} for side, metrics in score.sides.items()})

    def _keep_score(self, call: Call, score: Score) -> None:
        """Keep a score row with the slow fields, from which another worker may go on."""
        call.row_at_seconds = score.at_seconds
        who, now = call.conversation, time.time()
        slow = self._bank.slow_fields(score.conversation_id)
        self._keeper.put_score(
            ScoreRow(score.conversation_id, score.at_seconds, who.agent_id, who.team, now, score.sides, slow)
        )
        self._keeper.put_call(CallRow(score.conversation_id, now))

    # How calls end -----------------------------------------------------------------------------------------

    async def end_calls(self) -> None:
        """Finish the calls that are over: last scores, alerts ended, baselines kept."""
        now = time.time()
        over = self._calls.over(now, self._app.tonewatch.call_idle_seconds)
        if not over:
            return
        async with self._one_at_a_time:
            for name in over:
                call = self._calls.get(name)
                if call is None:
                    continue
                if name in self._bank:
                    await self._conclude(await asyncio.to_thread(self._bank.finish, name))
                    self._keep_baselines(call)
                # Not before its last audio: late frames count, and the broker's clock may be ahead of ours.
                ended_at = max(call.ended_at or call.heard_at, call.arrived_at)
                self._keeper.put_changes(
                    judge_end(self._policies.policy.rules, call.rules, call.conversation, ended_at)
                )
                self._keeper.put_call(CallRow(name, ended_at, {"ended_at": ended_at}))
                self._drop(name)
            CALLS.set(len(self._calls))

    def _keep_baselines(self, call: Call) -> None:
        """Keep what the call taught about its agent's own level, rate and pitch."""
        name, agent_id = call.conversation.conversation_id, call.conversation.agent_id
        if agent_id is None:
            return
        slow = self._bank.slow_fields(name).get("agent", {})
        learned = [
            Baseline(agent_id, metric, value, slow.get(f"{metric.partition('.')[0]}.baseline.seconds", 0.0))
            for metric, (value, _) in self._bank.baselines(name).get("agent", {}).items()
        ]
        self._keeper.put_baselines([baseline for baseline in learned if baseline.seconds > 0])

    def _drop(self, name: str) -> None:
        self._bank.forget(name)
        self._calls.forget(name)

    async def _revoked(self, *arguments: Any, **_: Any) -> None:
        """Forget the calls of partitions that another worker has now."""
        numbers = {tp.partition for tp in arguments[-1]}
        self.inbox.lose(arguments[-1])
        async with self._one_at_a_time:
            self._rebuilder.gave_up(numbers)
            for name in self._calls.of_partitions(numbers):
                self._drop(name)
            CALLS.set(len(self._calls))

    async def _assigned(self, *arguments: Any, **_: Any) -> None:
        """Take what comes on these partitions."""
        self.inbox.regain(arguments[-1])


class Ends(mode.Service):
    """Looks twice a second which calls are over: no record comes to say that none will come."""

    def __init__(self, worker: AudioWorker, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._worker = worker

    @mode.Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._worker.end_calls()
            except Exception:
                logger.exception("a call could not be ended; it is tried again")
