"""Topics that workers hold: written by the worker, shown to people, released by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.store.database import insert
from alerts.store.tables import holds

GONE_SECONDS = 60.0
"""A worker that has not renewed its row for this long has ended; whoever has its partitions now holds by itself."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One topic that one worker holds, or was told to go on with."""

    topic: str
    """As it is called on Kafka."""
    worker: str
    since: float
    """Unix time."""
    reason: str
    sample: str
    """topic:partition:offset of the record that was one too many."""
    sample_error: str
    """What is wrong with that record."""
    seen_at: float
    """Unix time at which the worker last said so."""
    released_at: float | None = None
    released_by: str | None = None
    allowance: int = 0
    """Bad records that may still go to `<topic>.rejected` before it holds again."""

    @property
    def is_released(self) -> bool:
        """Whether somebody said to go on."""
        return self.released_at is not None


async def put(connection: AsyncConnection, hold: Hold) -> None:
    """Write a worker's row, whatever it was before."""
    values = asdict(hold)
    statement = insert(connection, holds).values(values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["topic", "worker"], set_=values))


async def renew(connection: AsyncConnection, worker: str, now: float) -> None:
    """Note that `worker` is alive."""
    await connection.execute(update(holds).where(holds.c.worker == worker).values(seen_at=now))


async def of_worker(connection: AsyncConnection, worker: str) -> list[Hold]:
    """Return the rows of a worker."""
    return await _read(connection, holds.c.worker == worker)


async def spend(connection: AsyncConnection, topic: str, worker: str, allowance: int) -> None:
    """Write how many bad records a released topic may still set aside; a new release meanwhile stays."""
    row = (holds.c.topic == topic) & (holds.c.worker == worker) & (holds.c.allowance > allowance)
    await connection.execute(update(holds).where(row).values(allowance=allowance))


async def drop(connection: AsyncConnection, topic: str, worker: str) -> None:
    """Forget a hold that is over."""
    await connection.execute(delete(holds).where(holds.c.topic == topic, holds.c.worker == worker))


async def held(connection: AsyncConnection, now: float, topic: str | None = None) -> list[Hold]:
    """Return what living workers hold now, the oldest first; of one topic where it is given."""
    conditions = [holds.c.released_at.is_(None), holds.c.seen_at >= now - GONE_SECONDS]
    if topic is not None:
        conditions.append(holds.c.topic == topic)
    return await _read(connection, *conditions)


async def release(connection: AsyncConnection, topic: str, records: int, who: str, now: float) -> list[Hold]:
    """Let `records` bad records of a topic go to its rejects, shared among the workers that hold it; return those."""
    found = await held(connection, now, topic)
    for number, hold in enumerate(found):
        share = records // len(found) + (number < records % len(found))
        await connection.execute(
            update(holds)
            .where(holds.c.topic == topic, holds.c.worker == hold.worker)
            .values(released_at=now, released_by=who, allowance=share)
        )
    return found


async def _read(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Hold]:
    """Return rows, the oldest first."""
    rows = await connection.execute(select(holds).where(*conditions).order_by(holds.c.since))
    return [Hold(**row) for row in rows.mappings()]


def what_came(hold: Hold) -> str:
    """Return in a clause what a worker holds, and why."""
    return f"{hold.worker} holds {hold.topic}: {hold.reason}, at last {hold.sample} ({hold.sample_error})"


def advice(holds_now: Sequence[Hold]) -> list[str]:
    """Return a line a hold: what came, and how to go on."""
    return [
        f"{what_came(hold)}. Mend what publishes them, then: tonewatch rejects release {hold.topic}"
        for hold in holds_now
    ]
