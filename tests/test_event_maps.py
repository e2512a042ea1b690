"""The maps of platforms' own events: each as documented becomes its record, from the wire as from a file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from alerts.config import HookConfig
from alerts.hooks.hook import BadHook
from alerts.intake.maps import MAPS
from alerts.intake.schema import ChatMessage
from stream.replay import ReplayError, read_events, replay
from stream.settings import Settings
from tests.builders_events import EASEMOB_MODERATION, TOLD, WHOLE

EVERYONE = HookConfig()


def dumped(message: ChatMessage | None) -> dict[str, Any] | None:
    return None if message is None else message.model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("name", TOLD)
def test_each_event_becomes_exactly_its_record(name: str) -> None:
    told = TOLD[name]
    reported = MAPS[told.platform].read(told.event, EVERYONE)
    assert dumped(reported.message) == told.record
    assert bool(reported.because) == (told.record is None), "who is told nothing is taken is told why"


@pytest.mark.parametrize("name", TOLD)
def test_unknown_fields_change_nothing(name: str) -> None:
    told = TOLD[name]
    newer = {"newer": {"than": ["we", 1, None]}}
    inner = {field: {**value, **newer} if isinstance(value, dict) else value for field, value in told.event.items()}
    assert dumped(MAPS[told.platform].read({**inner, **newer}, EVERYONE).message) == told.record


def _cut(event: Any, at: list[Any]) -> Any:
    """The event without one of its fields, wherever that is."""
    if not at:
        return None
    if isinstance(event, dict):
        if len(at) == 1:
            return {name: value for name, value in event.items() if name != at[0]}
        return {name: _cut(value, at[1:]) if name == at[0] else value for name, value in event.items()}
    return [_cut(value, at[1:]) if number == at[0] else value for number, value in enumerate(event)]


def _fields(event: Any, at: tuple[Any, ...] = ()) -> list[list[Any]]:
    inner = event.items() if isinstance(event, dict) else enumerate(event) if isinstance(event, list) else ()
    here = [[*at, name] for name, _ in inner if isinstance(event, dict)]
    return here + [deep for name, value in inner for deep in _fields(value, (*at, name))]


@pytest.mark.parametrize("wrong", [None, 7, [], {}, "x" * 300, "\0", [None], [{}], {"a": 1}])
@pytest.mark.parametrize("platform", tuple(MAPS))
def test_whatever_is_missing_or_wrong_is_said_and_breaks_nothing(platform: str, wrong: Any) -> None:
    event = orjson.loads(orjson.dumps(WHOLE[platform]))
    for at in _fields(event):
        for changed in (_cut(event, at), _with(event, at, wrong)):
            with contextlib.suppress(BadHook):
                MAPS[platform].read(changed, EVERYONE)


def _with(event: Any, at: list[Any], value: Any) -> Any:
    if not at:
        return value
    copy = dict(event) if isinstance(event, dict) else list(event)
    copy[at[0]] = _with(event[at[0]], at[1:], value)
    return copy


def test_a_file_of_events_is_read_like_the_door(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(each.event) for each in TOLD.values() if each.platform == "easemob"))
    records = read_events(path, "easemob", EVERYONE)
    assert [orjson.loads(record.value) for record in records] == [
        each.record for each in TOLD.values() if each.platform == "easemob" and each.record
    ]
    assert {(record.topic, record.key) for record in records} == {
        ("chat.messages", b"test1_test2"), ("chat.messages", b"qa1_qa2"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("platform", "lines", "said"),
    [
        ("easemob", [EASEMOB_MODERATION, {**EASEMOB_MODERATION, "from": ""}], "day.jsonl:2: it is not said who"),
        ("easemob", [{"eventType": "userStatus"}], "tells of no message (the last of its lines: eventType"),
        ("easemob", [], "it has no line"),
        ("icq", [EASEMOB_MODERATION], "platform is 'icq'; write one of easemob, tencent-im"),
    ],
)
async def test_a_file_that_cannot_be_sent_is_explained(
    tmp_path: Path, platform: str, lines: list[Any], said: str
) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    with pytest.raises(ReplayError) as error:
        await replay(Settings(kafka="127.0.0.1:1"), [path], platform=platform)
    assert said in str(error.value)
