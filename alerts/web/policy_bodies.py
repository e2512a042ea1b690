"""What REST answers and takes about the policy: the models behind openapi.json."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from alerts.web.bodies import WITHOUT_NUL, PolicyVersion
from detectors.phrases.lexicon import MAX_PHRASE_CODE_POINTS, Boundary, Match, Pinyin, Speaker
from detectors.values import PhraseAction, Severity

Words = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PHRASE_CODE_POINTS, pattern=WITHOUT_NUL)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500, pattern=WITHOUT_NUL)]
PhraseId = Annotated[str, StringConstraints(max_length=100, pattern=WITHOUT_NUL)]


class PhraseBody(BaseModel):
    """One entry of the lexicon."""

    id: str
    phrase: str
    category: str
    severity: Severity
    action: PhraseAction
    speaker: Speaker
    match: Match
    boundary: Boundary
    pinyin: Pinyin
    gap: int | None
    aliases: list[str]
    allow: list[str] = Field(description="harmless expressions that contain it")
    negation: list[str] = Field(description="words that void it shortly before it")
    note: str


class PackedPhrase(PhraseBody):
    """One entry, and where it stands."""

    pack: str


class PackBody(BaseModel):
    """One pack."""

    name: str
    phrases: int


class PolicyBody(BaseModel):
    """The policy in force."""

    version: int
    at: float
    who: str
    why: str
    packs: list[PackBody]
    total: int = Field(description="phrases that are asked for, on all pages")
    phrases: list[PackedPhrase]


class VersionBody(BaseModel):
    """One version, and how many entries differ from the one before."""

    version: int
    at: float
    who: str
    why: str
    added: int
    removed: int
    changed: int


class HistoryPage(BaseModel):
    """The newest versions; `next` goes into `before`."""

    items: list[VersionBody]
    next: int | None


class NewPhrase(BaseModel):
    """A phrase to add; what is left out is as in the other phrases of its category and language."""

    phrase: Words
    category: Annotated[str, StringConstraints(max_length=40, pattern="^[a-z_]+$")]
    why: Reason = Field(description="for the history")
    version: PolicyVersion | None = Field(
        None, description="the version that was looked at; 409 if it has changed since"
    )
    id: PhraseId | None = None
    severity: Severity | None = None
    action: PhraseAction | None = None
    speaker: Speaker | None = None
    match: Match | None = None
    boundary: Boundary | None = None
    pinyin: Pinyin | None = None
    gap: Annotated[int, Field(ge=0, le=32)] | None = None
    aliases: Annotated[list[Words], Field(max_length=100)] | None = None
    allow: Annotated[list[Words], Field(max_length=100)] | None = None
    negation: Annotated[list[Words], Field(max_length=100)] | None = None
    note: Annotated[str, StringConstraints(max_length=500, pattern=WITHOUT_NUL)] | None = None


class PhraseChange(BaseModel):
    """A phrase that was added or taken out."""

    version: int = Field(description="of the policy that is now in force, everywhere within two seconds")
    phrase: PhraseBody
