"""Single changes to the policy in force: a phrase added, one taken out, a pack replaced, each a new version."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import tomli
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.policy import Act, Body, PolicyChangedError, import_policy
from alerts.policy_history import latest_version
from detectors.phrases.fold import fold, run_on_view
from detectors.phrases.lexicon import Phrase, parse_pack, read_entry
from detectors.phrases.lists import language_of
from detectors.phrases.pack_text import pack_text, with_entry, without_entry

OWN_PACK = "own.toml"
"""The house's own phrases; `policy load` leaves it in force."""
OWN_HEADING = "The house's own phrases, added one by one; each change is in the policy's history."
FIRST_OWN_NUMBER = 9000
"""Of ids that are given here: no shipped pack gets there."""
TRIES = 20
"""Each time somebody else was faster."""
USUAL = ("severity", "action", "speaker", "negation")
"""What a new phrase takes from the defaults of its category where nothing is said."""


class PhraseError(ValueError):
    """A phrase that cannot be added, and what to write instead."""


class PhraseExistsError(ValueError):
    """The phrase is in force already."""


class PhraseNotFoundError(LookupError):
    """No phrase of that id is in force."""


def read_packs(packs: Mapping[str, str]) -> dict[str, tuple[Phrase, ...]]:
    """Return the phrases of each pack, by its name."""
    return {name: parse_pack(text, name) for name, text in packs.items()}


async def edit_policy(
    engine: AsyncEngine,
    edit: Callable[[Body, int], Body],
    *,
    who: str,
    why: str,
    now: float,
    based_on: int | None = None,
    act: Act | None = None,
) -> tuple[int, bool]:
    """Change the policy in force by `edit` of (body, its version); return (the new version, whether there is one).

    Where somebody else made a version meanwhile it is done again on theirs, so nobody's change is lost; with
    `based_on` it raises PolicyChangedError instead. Raises what `edit` raises, LexiconError and RuleError.
    """
    for _ in range(TRIES):
        version, body = await latest_version(engine)
        if based_on is not None and version != based_on:
            raise PolicyChangedError(f"policy {version} is in force and no longer {based_on}; look at it and try again")
        changed = await asyncio.to_thread(edit, body, version)
        try:
            return await import_policy(engine, changed, who=who, why=why, now=now, based_on=version, act=act)
        except PolicyChangedError:
            continue
    raise PolicyChangedError(f"the policy was changed {TRIES} times meanwhile; try again")


async def add_phrase(
    engine: AsyncEngine,
    entry: Mapping[str, Any],
    *,
    who: str,
    why: str,
    now: float,
    based_on: int | None = None,
    address: str | None = None,
) -> tuple[int, Phrase]:
    """Add a phrase to the house's own pack and return (the new version, the phrase as it is in force).

    `entry` has the fields of the lexicon; `id` may be left out, and what is not said is as in the category's other
    phrases. Raises PhraseError, PhraseExistsError, PolicyChangedError.
    """
    added: list[Phrase] = []

    def edit(body: Body, version: int) -> Body:
        phrase = _checked(entry, read_packs(body["packs"]), body["packs"], version)
        packs = dict(body["packs"])
        packs[OWN_PACK] = with_entry(packs.get(OWN_PACK) or pack_text((), OWN_HEADING), phrase)
        added[:] = [phrase]
        return {**body, "packs": packs}

    act = Act("phrase.add", f"phrase:{entry.get('phrase', '')}", address)
    version, _ = await edit_policy(engine, edit, who=who, why=why, now=now, based_on=based_on, act=act)
    return version, added[0]


async def remove_phrase(
    engine: AsyncEngine,
    phrase_id: str,
    *,
    who: str,
    why: str,
    now: float,
    based_on: int | None = None,
    address: str | None = None,
) -> tuple[int, Phrase]:
    """Take a phrase out of whichever pack has it; return (the new version, the phrase as it was).

    Raises PhraseNotFoundError, PolicyChangedError.
    """
    removed: list[Phrase] = []

    def edit(body: Body, _: int) -> Body:
        for name, phrases in read_packs(body["packs"]).items():
            for phrase in phrases:
                if phrase.id == phrase_id:
                    removed[:] = [phrase]
                    text = without_entry(body["packs"][name], phrase_id)
                    packs = {**body["packs"], name: text}
                    if name == OWN_PACK and len(phrases) == 1:
                        del packs[name]
                    return {**body, "packs": packs}
        raise PhraseNotFoundError(f"no phrase {phrase_id} is in force")

    act = Act("phrase.remove", f"phrase:{phrase_id}", address)
    version, _ = await edit_policy(engine, edit, who=who, why=why, now=now, based_on=based_on, act=act)
    return version, removed[0]


async def put_packs(
    engine: AsyncEngine, packs: Mapping[str, str], *, who: str, why: str, now: float
) -> tuple[int, bool]:
    """Add packs, or replace those of the same name; rules and other packs stay. Returns (version, whether new)."""
    return await edit_policy(
        engine, lambda body, _: {**body, "packs": {**body["packs"], **packs}}, who=who, why=why, now=now
    )


def _checked(
    entry: Mapping[str, Any], packs: Mapping[str, tuple[Phrase, ...]], texts: Mapping[str, str], version: int
) -> Phrase:
    """Return the phrase of an entry, complete. Raises PhraseError, PhraseExistsError."""
    wanted = {key: value for key, value in entry.items() if value is not None}
    every = [phrase for phrases in packs.values() for phrase in phrases]
    text = wanted.get("phrase")
    if not isinstance(text, str):
        raise PhraseError("the entry has no phrase")
    category = wanted.get("category") or str(wanted.get("id", "")).partition(".")[0]
    known = sorted({phrase.category for phrase in every})
    if not re.fullmatch("[a-z_]+", str(category)):
        what = f'category "{category}" is none' if category else "the entry has no category"
        raise PhraseError(f"{what}; write one of {', '.join(known)}, or a new one of small letters")
    language = wanted["id"].split(".")[1] if str(wanted.get("id", "")).count(".") == 2 else language_of(text)
    if "id" not in wanted:
        taken = {phrase.id for phrase in every}
        # Of the version: an id that was taken out does not come back as another phrase, which old verdicts would name.
        number = FIRST_OWN_NUMBER + version
        while f"{category}.{language}.{number}" in taken:
            number += 1
        wanted["id"] = f"{category}.{language}.{number}"
    usual = {"speaker": "agent", **_usual(category, language, packs, texts)}
    phrase, wrong = read_entry(wanted, {category: usual})
    if phrase is None:
        raise PhraseError("; ".join(what for _, what in wrong))
    for other in every:
        if other.id == phrase.id:
            raise PhraseExistsError(f"id {phrase.id} is in force already, for {other.phrase}")
        same = _folded(other) & _folded(phrase)
        if same and (other.speaker == phrase.speaker or "any" in (other.speaker, phrase.speaker)):
            raise PhraseExistsError(f"{phrase.phrase} is in force already as {other.id} {other.phrase}")
    return phrase


def _folded(phrase: Phrase) -> set[str]:
    return {run_on_view(fold(text)) if "*" not in text else text for text in phrase.spellings}


def _usual(
    category: str, language: str, packs: Mapping[str, tuple[Phrase, ...]], texts: Mapping[str, str]
) -> dict[str, Any]:
    """Return the defaults of a category in the pack with most phrases of it in that language."""
    counts = Counter(
        name
        for name, phrases in packs.items()
        for phrase in phrases
        if phrase.category == category and phrase.id.split(".")[1] == language
    )
    for name, _ in counts.most_common():
        defaults = tomli.loads(texts[name]).get("defaults", {}).get(category)
        if defaults:
            return {key: value for key, value in defaults.items() if key in USUAL}
    return {}


def as_entry(phrase: Phrase) -> dict[str, Any]:
    """Return a phrase's fields as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(phrase).items()}
