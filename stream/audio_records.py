"""A record of call audio: how it is made, and the sound that one that came in holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import ValidationError

from alerts.intake.schema import checked_name, explain
from detectors.decode import Encoding, decode
from detectors.values import Chunk, Side
from stream.records import SOURCE, BadRecord, Record, header_map

LONGEST_CHUNK_SECONDS = 1.0
_DECIMAL = re.compile(rb"[0-9]{1,15}")
_ENCODINGS: Mapping[str, Encoding] = {"audio/l16": "s16be", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


def audio_record(
    conversation_id: str, payload: bytes, *, content_type: str, seq: int, offset_ms: int, sides: Iterable[str]
) -> Record:
    """Return the record of a piece of audio: the value is the samples, all else stands in headers."""
    headers = [
        # By hand and without an id of its own: five records a second and call, and `seq` names it already.
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{conversation_id}:{seq}".encode()),
        ("ce_type", b"audio.frames"),
        ("ce_source", SOURCE.encode()),
        ("content-type", content_type.encode()),
        ("seq", b"%d" % seq),
        ("offset_ms", b"%d" % offset_ms),
        ("sides", ",".join(sides).encode()),
    ]
    return Record("audio.frames", conversation_id.encode(), payload, headers)


def parse_audio(key: bytes | None, value: bytes | None, headers: Any) -> Chunk:
    """Return the chunk of an audio record. Raises BadRecord."""
    names = header_map(headers)
    if not key:
        raise BadRecord("key", "no key; the key of audio.frames is the conversation_id")
    if not value:
        raise BadRecord("empty", "no audio in the value")
    encoding, rate, channels = _audio_format(names.get("content-type", b""))
    seq, offset_ms = _number(names, "seq"), _number(names, "offset_ms")
    sides = _sides(names.get("sides", b""), channels)
    try:
        conversation_id = checked_name(key.decode("utf-8"))
        samples = decode(value, encoding, rate, channels)
    except UnicodeDecodeError:
        raise BadRecord("encoding", "the key is not UTF-8") from None
    except ValidationError as error:
        raise BadRecord("key", f"the key, which is the conversation_id: {explain(error)}") from None
    except ValueError as error:
        raise BadRecord("audio", str(error)) from None
    if samples.shape[1] > LONGEST_CHUNK_SECONDS * rate:
        raise BadRecord("audio", f"{samples.shape[1] / rate:.2f} s in one record; send 20 ms to 1 s, 200 ms advised")
    return Chunk(conversation_id, sides, samples, rate, seq, offset_ms / 1000)


@lru_cache(maxsize=64)
def _audio_format(content_type: bytes) -> tuple[Encoding, int, int]:
    """Return (encoding, rate, channels). Raises BadRecord."""
    text = content_type.decode("ascii", "replace").lower()
    kind, _, rest = text.partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";") if "=" in part)
    kind = kind.strip()
    encoding = _ENCODINGS.get(kind)
    if kind == "audio/pcm":
        if parameters.get("encoding", "s16le") != "s16le":
            raise BadRecord("audio", f"encoding {parameters['encoding']!r} of audio/pcm; write encoding=s16le")
        encoding = "s16le"
    if encoding is None:
        raise BadRecord(
            "audio",
            f"content-type {text[:80]!r}; write audio/pcm;encoding=s16le;rate=8000;channels=2, "
            "or audio/L16, audio/PCMU, audio/PCMA",
        )
    rate, channels = parameters.get("rate", "8000"), parameters.get("channels", "1")
    # At most six digits: Python refuses to read a number of thousands of them, which would end the worker.
    if not (re.fullmatch("[0-9]{1,6}", rate) and channels in ("1", "2")):
        raise BadRecord("audio", f"rate={rate[:20]}, channels={channels[:20]}; rate is in Hz, channels 1 or 2")
    return encoding, int(rate), int(channels)


def _number(headers: Mapping[str, bytes], name: str) -> int:
    """Return a header that is an ASCII decimal."""
    text = headers.get(name)
    if text is None:
        raise BadRecord("header", f"no header {name!r}")
    if not _DECIMAL.fullmatch(text):
        raise BadRecord("header", f"header {name!r} is {text[:40]!r}; write an ASCII decimal")
    return int(text)


@lru_cache(maxsize=64)
def _sides(header: bytes, channels: int) -> tuple[Side, ...]:
    """Return the side of each channel. Raises BadRecord."""
    text = header.decode("ascii", "replace")
    sides = tuple(part.strip() for part in text.split(",")) if text else ()
    known = get_args(Side)
    if len(sides) != channels or len(set(sides)) != channels or any(side not in known for side in sides):
        raise BadRecord(
            "sides",
            f"header 'sides' is {text[:60]!r} for {channels} channel(s); write one of {', '.join(known)} per channel",
        )
    return sides  # type: ignore[return-value]  # each was found in get_args(Side) above
