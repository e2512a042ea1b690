"""Writes what the audio worker concluded, in a task of its own: scoring never waits for the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

import mode
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.alert import Change, fold
from alerts.keep_calls import Baseline, CallRow, ScoreRow, keep_calls
from alerts.policy import PolicyKeeper
from alerts.store.database import said
from stream.metrics import DATABASE_RETRIES

logger = logging.getLogger(__name__)

MOST_ROWS = 20_000
"""Score rows kept while the database is away: 1,000 calls for 100 s. The oldest go first, a chart has a hole."""
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 1.0
AlertKey = tuple[str, str]


class CallKeeper(mode.Service):
    """Holds what is to be written, the latest of each kind, and writes it until it is written."""

    def __init__(self, engine: AsyncEngine, policies: PolicyKeeper, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._engine = engine
        self._policies = policies
        self._calls: dict[str, CallRow] = {}
        self._changes: dict[AlertKey, list[Change]] = {}
        self._rows: deque[ScoreRow] = deque(maxlen=MOST_ROWS)
        self._learned: list[Baseline] = []
        self._something = asyncio.Event()

    def put_call(self, row: CallRow) -> None:
        """Keep what a call told of itself; later words add to earlier ones."""
        earlier = self._calls.get(row.conversation_id)
        if earlier is not None:
            told = {name: value for name, value in row.columns.items() if value is not None}
            row = CallRow(
                row.conversation_id,
                row.at,
                {**earlier.columns, **told},
                learned_agent=row.learned_agent or earlier.learned_agent,
            )
        self._calls[row.conversation_id] = row
        self._something.set()

    def put_changes(self, changes: list[Change]) -> None:
        """Keep changes of alerts, folded into the fewest that do the same."""
        for change in changes:
            held = self._changes.setdefault((change.conversation.conversation_id, change.rule_id), [])
            # Opened and ended again and again while the database was away: the last two episodes are told.
            held[:] = fold([*held, change])[-4:]
            self._something.set()

    def put_score(self, row: ScoreRow) -> None:
        """Keep a score row."""
        self._rows.append(row)
        self._something.set()

    def put_baselines(self, learned: list[Baseline]) -> None:
        """Keep what a call taught about its agent."""
        self._learned += learned
        self._something.set()

    async def on_stop(self) -> None:
        """Write what is left, if the database takes it at once."""
        try:
            async with asyncio.timeout(2.0):
                await self._write()
        except Exception as error:
            logger.warning("not everything was written before the stop: %s", said(error))

    @mode.Service.task
    async def _keep(self) -> None:
        """Write whenever there is something; what comes meanwhile is the next transaction."""
        tries = 0
        while not self.should_stop:
            await self._something.wait()
            try:
                await self._write()
                tries = 0
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:
                DATABASE_RETRIES.inc()
                tries += 1
                if tries in (1, 10) or tries % 60 == 0:
                    logger.warning("try %d to write failed, going on trying: %s", tries, said(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self) -> None:
        """Write everything that is held; on failure hold it again, behind nothing that came since."""
        self._something.clear()
        calls, changes, rows, learned = self._calls, self._changes, list(self._rows), self._learned
        if not (calls or changes or rows or learned):
            return
        self._calls, self._changes, self._learned = {}, {}, []
        self._rows.clear()
        try:
            await keep_calls(
                self._engine,
                self._policies.policy.version,
                calls=list(calls.values()),
                changes=[change for held in changes.values() for change in held],
                score_rows=rows,
                learned=learned,
                now=time.time(),
            )
        except BaseException:
            newer_calls, newer_changes = self._calls, self._changes
            self._calls, self._changes = calls, changes
            for row in newer_calls.values():
                self.put_call(row)
            for held in newer_changes.values():
                self.put_changes(held)
            self._rows.extendleft(
                reversed(rows[-max(0, MOST_ROWS - len(self._rows)) :] if len(self._rows) < MOST_ROWS else [])
            )
            self._learned = learned + self._learned
            self._something.set()
            raise
