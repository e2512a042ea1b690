"""The nouns that detectors take and give: frozen values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # a chat worker starts a tenth of a second sooner without numpy
    import numpy as np
    from numpy.typing import NDArray

Side = Literal["agent", "customer", "bot"]
Severity = Literal["info", "warning", "critical"]
PhraseAction = Literal["allow", "mask", "block", "review"]

SIDES_OF_A_CALL: tuple[Side, ...] = ("agent", "customer")
"""The sides the Bank keeps a row for; a bot's audio is taken as the agent's by whoever publishes it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of call audio: 1-2 channels, 20 ms to 1 s."""

    conversation_id: str
    sides: tuple[Side, ...]
    """One side per row of `samples`, in channel order."""
    samples: NDArray[np.float32]
    """Shape (channels, n), full scale = 1.0, at `rate`."""
    rate: int
    """Samples per second: 8000, 16000, 32000 or 48000."""
    seq: int
    """Counts from 0 per (conversation, sides). A jump is loss."""
    offset_seconds: float
    """Time of the first sample since the call began. A jump with contiguous `seq` is silence not sent."""


@dataclass(frozen=True, slots=True)
class Score:
    """Every metric of one conversation at one whole second of its own time."""

    conversation_id: str
    at_seconds: float
    sides: Mapping[Side, Mapping[str, float | None]]
    """Metric name of `detectors.metrics` -> value in its unit, None where it is not yet known."""
    lost_seconds: float
    """Audio lost by gaps in `seq` since the call began, the larger of its sides."""


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message, or one turn of a transcript, as the phrase engine sees it."""

    platform: str
    conversation_id: str
    message_id: str
    side: Side
    text: str
    sender_id: str | None = None
    sent_at_seconds: float | None = None
    """Unix time the platform says it was written, None where it does not say."""


class Hit(NamedTuple):
    """A phrase of the lexicon found in a message."""

    phrase_id: str
    phrase: str
    """The phrase as the lexicon writes it."""
    category: str
    severity: Severity
    action: PhraseAction
    span: tuple[int, int]
    """[start, end) in code points of the ORIGINAL text; of the last message where it lies across several."""
    how: str
    """exact, folded, separated, repeated, leet, pinyin, across (messages) or near (to what was stopped before)."""
