"""The demo's contact centre, what happens in it and when: an endless plan from a seed and scenes.toml."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import count
from typing import Any, Literal

import tomli

from stream.voices import Clip, clips

Json = Mapping[str, Any]
Side = Literal["agent", "customer"]

AGENT_GAIN_DB = -6.0
"""Agents speak at -32 dBov: a voice 12 dB above that still has its peaks below full scale."""
CUSTOMER_GAIN_DB = -2.0
GAP_SECONDS = (0.35, 0.9)
"""Between two turns; as in the shared calls' polite turn taking."""
ONE_TURN_SECONDS = 1.0
BETWEEN_CALLS_SECONDS = (6.0, 20.0)
BETWEEN_CHATS_SECONDS = (4.0, 25.0)
TALK_ON = 4
"""At most so many calm acts after the one a call is about."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A call begins, changes or ends: `data` is the record on `call.events`."""

    at_seconds: float
    conversation_id: str
    type: Literal["call.started", "call.updated", "call.ended"]
    data: Json


@dataclass(frozen=True, slots=True)
class Speech:
    """One side begins to say a clip."""

    at_seconds: float
    conversation_id: str
    side: Side
    clip: Clip
    gain_db: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A sentence has ended and a recogniser has its words: `data` is the record on `transcript.turns`."""

    at_seconds: float
    conversation_id: str
    data: Json


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A chat message is sent: `data` is the record on `chat.messages`, but for the time of day."""

    at_seconds: float
    conversation_id: str
    data: Json


Event = CallEvent | Speech | Turn | ChatLine


@cache
def scenes() -> Json:
    """The content of scenes.toml."""
    return tomli.loads(resources.files(__package__).joinpath("scenes.toml").read_text(encoding="utf-8"))


def roster(agents: int) -> list[Json]:
    """The first `agents` people of scenes.toml; when they run out, others who do the same, 20 s later."""
    people: list[Json] = scenes()["agent"]
    found = []
    for number in range(agents):
        again, index = divmod(number, len(people))
        person = people[index]
        if again:
            starts = person["starts_after_seconds"] + 20.0 * again
            name = f"{person['name']} {again + 1}"
            person = {**person, "id": f"a-{number + 1:02}", "name": name, "starts_after_seconds": starts}
        found.append(person)
    return found


def plan(seed: int, agents: int = 10, run: str = "") -> Iterator[Event]:
    """Everything that happens, endless, in order of time (seconds since the start).

    The same `seed`, `agents` and `run` give the same events. `run` stands before every conversation's id: another
    run on the same database must not go on with the last one's conversations.
    """
    streams: list[Iterator[Event]] = []
    for person in roster(agents):
        for slot in range(person.get("at_once", 1)):
            # A generator of its own: one agent more must not change what the others do.
            dice = random.Random(f"{seed}/{person['id']}/{slot}")
            name = f"{run}{person['id']}-{slot}" if "chats" in person else f"{run}{person['id']}"
            streams.append(_chats(person, slot, name, dice) if "chats" in person else _calls(person, name, dice))
    return heapq.merge(*streams, key=lambda event: event.at_seconds)


def _calls(person: Json, name: str, dice: random.Random) -> Iterator[Event]:
    at = person["starts_after_seconds"]
    for number, manner in zip(count(1), _order(person["manners"], dice), strict=False):
        voice = dice.choice(_customers_for(person, manner))
        # The first call comes to the point, so that whoever starts the demo sees an alert within a minute.
        acts = [_act(person, voice, kind, dice) for kind in _kinds(manner, 0 if number == 1 else 1, dice)]
        events = _Call(person, voice, f"{name}-{number}", at, dice).events([line for act in acts for line in act])
        yield from events
        at = events[-1].at_seconds + dice.uniform(*BETWEEN_CALLS_SECONDS)


def _kinds(manner: str, calm_before: int, dice: random.Random) -> list[str]:
    return ["opening", *["calm"] * calm_before, manner, *["calm"] * dice.randint(1, TALK_ON), "closing"]


def _order(choices: Sequence[str], dice: random.Random) -> Iterator[str]:
    """The first choice, the others shuffled, then all of them in ever new orders."""
    yield choices[0]
    rest = list(choices[1:])
    while True:
        dice.shuffle(rest)
        yield from rest
        rest = list(choices)


def _act(person: Json, customer: str, kind: str, dice: random.Random) -> list[Json]:
    """The lines of an act of that kind which these two voices can speak."""
    found = [act["lines"] for act in scenes()["act"] if act["kind"] == kind and act["language"] == person["language"]]
    fitting = [lines for lines in found if all(_clips_of(line, person["voice"], customer) for line in lines)]
    if not fitting:
        raise ValueError(
            f"stream/scenes.toml: no act of kind {kind!r} in {person['language']!r} that {person['voice']} and "
            f"{customer} can speak; write one, or add its sentences in scripts/voices.toml and make the voices anew"
        )
    return dice.choice(fitting)


def _customers_for(person: Json, manner: str) -> list[str]:
    """The customers' voices that can speak an act of that manner with this agent."""
    voices = sorted({c.voice for c in clips().values() if c.side == "customer" and c.language == person["language"]})
    acts = [act for act in scenes()["act"] if act["kind"] == manner and act["language"] == person["language"]]
    fitting = [v for v in voices if any(all(_clips_of(x, person["voice"], v) for x in act["lines"]) for act in acts)]
    return fitting or voices


def _clips_of(line: Json, agent: str, customer: str) -> list[Clip] | bool:
    """The clips to choose from for a line; True for a stretch without speech, an empty list where none is there."""
    side = _side_of(line)
    if side is None:
        return True
    sentences = line[side] if isinstance(line[side], list) else [line[side]]
    keys = ((agent if side == "agent" else customer, sentence, line.get("manner", "normal")) for sentence in sentences)
    return [clips()[key] for key in keys if key in clips()]


def _side_of(line: Json) -> Side | None:
    return "agent" if "agent" in line else "customer" if "customer" in line else None


class _Call:
    """Lays the lines of one call on its time line."""

    def __init__(self, person: Json, customer: str, conversation_id: str, at: float, dice: random.Random) -> None:
        self._person, self._customer, self._id, self._at, self._dice = person, customer, conversation_id, at, dice
        self._clock = 0.8  # seconds since the call began; nobody speaks into the first ring
        self._turns = 0
        self._events: list[Event] = []

    def events(self, lines: Sequence[Json]) -> list[Event]:
        """The call from its first event to its last, in order of time."""
        person = self._person
        self._tell(
            0.0,
            "call.started",
            agent={"id": person["id"], "name": person["name"]},
            team=person["team"],
            queue=person["queue"],
            customer={"id": f"u-{self._dice.randint(1000, 9999)}"},
            direction="inbound",
            language=person["language"],
        )
        for line in lines:
            if "hold_seconds" in line:
                self._tell(self._clock, "call.updated", hold=True)
                self._clock += line["hold_seconds"]
                self._tell(self._clock, "call.updated", hold=False)
            elif "silence_seconds" in line:
                self._clock += line["silence_seconds"]
            else:
                self._say(line)
        self._tell(self._clock + 0.6, "call.ended")
        return sorted(self._events, key=lambda event: event.at_seconds)

    def _say(self, line: Json) -> None:
        side: Side = "agent" if "agent" in line else "customer"
        found = _clips_of(line, self._person["voice"], self._customer)
        assert isinstance(found, list)  # _act has let through only what these two can speak
        clip = self._dice.choice(found)
        gap = line.get("gap_seconds", self._dice.uniform(*GAP_SECONDS))
        if "before_end_seconds" in line:
            gap = -line["before_end_seconds"]
        start = self._clock + gap
        end = start + clip.seconds
        gain = (AGENT_GAIN_DB if side == "agent" else CUSTOMER_GAIN_DB) + line.get("louder_db", 0.0)
        self._events.append(Speech(self._at + start, self._id, side, clip, gain))
        self._events.append(Turn(self._at + end, self._id, self._turn(side, clip, start, end)))
        self._clock = max(self._clock, end)

    def _turn(self, side: Side, clip: Clip, start: float, end: float) -> Json:
        """The turn that this sentence ends; a recogniser hears sentences of one side, one after the other, as one."""
        last = self._events[-2] if len(self._events) > 1 else None
        text = clip.text
        if (
            isinstance(last, Turn)
            and last.data["side"] == side
            and start - last.data["end_ms"] / 1000 < ONE_TURN_SECONDS
        ):
            del self._events[-2]
            start = last.data["start_ms"] / 1000
            text = last.data["text"] + ("" if clip.language == "zh" else " ") + text
        else:
            self._turns += 1
        return {
            "conversation_id": self._id,
            "turn_id": f"{self._id}-t{self._turns}",
            "side": side,
            "start_ms": round(start * 1000),
            "end_ms": round(end * 1000),
            "text": text,
            "language": clip.language,
            "agent": {"id": self._person["id"]},
        }

    def _tell(
        self, offset_seconds: float, type: Literal["call.started", "call.updated", "call.ended"], **data: object
    ) -> None:
        body = {**data, "offset_ms": round(offset_seconds * 1000)}
        self._events.append(CallEvent(self._at + offset_seconds, self._id, type, body))


def _chats(person: Json, slot: int, name: str, dice: random.Random) -> Iterator[Event]:
    by_id: dict[str, Json] = {chat["id"]: chat for chat in scenes()["chat"]}
    # The second slot begins in the middle of the list: an agent's two chats are never the same one.
    turned = person["chats"][slot * 2 :] + person["chats"][: slot * 2]
    at = person["starts_after_seconds"] + slot * 7.0
    for number, chosen in zip(count(1), _order(turned, dice), strict=False):
        events = _chat(person, by_id[chosen], f"{name}-{number}", at, dice)
        yield from events
        at = events[-1].at_seconds + dice.uniform(*BETWEEN_CHATS_SECONDS)


def _chat(person: Json, chat: Json, conversation_id: str, at: float, dice: random.Random) -> list[ChatLine]:
    customer = f"u-{dice.randint(1000, 9999)}"
    events = []
    for number, line in enumerate(chat["lines"], start=1):
        at += line["after_seconds"] * dice.uniform(1.0, 1.25)
        mine = "agent" in line
        agent = {"id": person["id"], "role": "agent", "name": person["name"], "team": person["team"]}
        data = {
            "message_id": f"{conversation_id}-m{number}",
            "conversation_id": conversation_id,
            "platform": "demo",
            "channel": "app" if person["language"] == "zh" else "web",
            "language": person["language"],
            "queue": person["queue"],
            "sender": agent if mine else {"id": customer, "role": "customer"},
            "customer": {"id": customer},
            "text": line["agent" if mine else "customer"],
            "delivery": line.get("delivery", "pending" if mine else "delivered"),
        }
        if data["delivery"] == "intercepted":
            data |= {"intercepted_by": "platform", "matched": line["matched"]}
        events.append(ChatLine(at, conversation_id, data))
    return events
