from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.judge import Incoming, incoming_message
from alerts.moderate import moderate
from alerts.policy import compiled, read_files
from alerts.store.database import reading, writing
from alerts.store.many import Step, inserting
from alerts.store.round_trip import Rows, Writer, together
from alerts.store.tables import alerts, audit, conversations, holds, interceptions
from stream.records import parse_chat
from tests.builders_alerts import START, database

ENTRIES = [{"at": START + n, "who": "lin", "what": "tried", "object": f"o-{n}", "detail": {"n": n}} for n in range(3)]
HOLDS = [
    {"topic": "t", "worker": "w", "since": START, "reason": "r", "sample": "s", "sample_error": "e", "seen_at": START}
]
CALL = {"platform": "call", "conversation_id": "k-1", "kind": "call", "started_at": START, "last_at": START}
CALLS = [{**CALL, "team": "refunds", "memory": {}}]


def returning_all(statement: Any) -> Any:
    return statement.returning(audit.c.id, audit.c.object, audit.c.detail)


def asking(*steps: Step) -> Writer[Sequence[Rows]]:
    """A writer with one question, which returns the answer."""
    return (yield steps)


@contextmanager
def counted(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements that are executed, one by one."""
    executed: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield executed
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_what_writers_ask_for_at_the_same_time_is_done_at_once(database_url: str) -> None:
    async with database(database_url) as engine:
        async with writing(engine) as connection:
            await connection.execute(*inserting(connection, holds, HOLDS))

        async with writing(engine) as connection:

            def two_rounds() -> Writer[list[Any]]:
                added, none = yield [
                    inserting(connection, audit, ENTRIES, returning_all),
                    inserting(connection, conversations, CALLS),
                ]
                assert list(none) == []
                [held] = yield [Step(select(holds.c.topic, holds.c.since), {})]
                return [*added, *held]

            with counted(engine) as executed:
                both, [found, empty], nothing = await together(
                    connection,
                    two_rounds(),
                    asking(Step(select(holds), {}), Step(select(alerts), {})),
                    (row for row in ()),
                )
        assert len(executed) == (2 if engine.dialect.name == "postgresql" else 5)
        assert sorted((row.object, row.detail) for row in both[:3]) == [(f"o-{n}", {"n": n}) for n in range(3)]
        assert [tuple(row) for row in both[3:]] == [("t", START)]
        assert [(row.worker, row.since, row.released_at, row.allowance) for row in found] == [("w", START, None, 0)]
        assert list(empty) == [] and nothing is None
        async with reading(engine) as connection:
            assert len((await connection.execute(select(audit))).all()) == 3
            assert len((await connection.execute(select(conversations))).all()) == 1


async def test_steps_that_return_nothing_are_done_all_the_same(database_url: str) -> None:
    async with database(database_url) as engine:
        async with writing(engine) as connection:
            steps = [inserting(connection, holds, HOLDS), inserting(connection, conversations, CALLS)]
            [answers] = await together(connection, asking(*steps))
        assert [list(rows) for rows in answers] == [[], []]
        async with reading(engine) as connection:
            for table in (holds, conversations):
                assert len((await connection.execute(select(table))).all()) == 1


async def test_two_steps_with_a_parameter_of_one_name_are_refused(postgres_url: str) -> None:
    async with database(postgres_url) as engine, writing(engine) as connection:
        step = inserting(connection, holds, HOLDS)
        with pytest.raises(ValueError, match="a parameter of the same name"):
            await together(connection, asking(step), asking(step))


async def test_a_batch_with_a_stopped_message_takes_postgresql_four_statements(postgres_url: str) -> None:
    policy = compiled(1, read_files())
    async with database(postgres_url) as engine:
        for name in "abc":
            with counted(engine) as executed:
                await moderate(engine, policy, _two_messages(name), lambda: START)
        # The conversations locked; messages beside what is known of alerts; findings beside alerts; the outbox.
        assert [statement.count("INSERT INTO") for statement in executed] == [0, 1, 3, 1], executed
        async with reading(engine) as connection:
            assert len((await connection.execute(select(interceptions))).all()) == 3
            # One on the hits, carried on twice, and one on the attempts, carried on once.
            assert [row.version for row in await connection.execute(select(alerts))] == [3, 2]


def _two_messages(name: str) -> list[Incoming]:
    texts = {"hello": "你好，请问有什么可以帮您？", "stopped": "你这个骗子，别来烦我"}
    return [
        incoming_message(
            parse_chat(
                orjson.dumps(
                    {
                        "platform": "openim",
                        "conversation_id": "c-1",
                        "message_id": f"{name}-{number}",
                        "sender": {"role": "agent", "id": "a-1", "name": "Lin", "team": "refunds"},
                        "text": text,
                        "sent_at": START,
                    }
                ),
                (),
            ),
            source="",
            arrived_at=START + ord(name),
        )
        for number, text in texts.items()
    ]
