"""The policy over REST: what is in force and since when, and single phrases added and taken out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from alerts.policy import PolicyChangedError
from alerts.policy_edit import (
    PhraseError,
    PhraseExistsError,
    PhraseNotFoundError,
    add_phrase,
    as_entry,
    remove_phrase,
)
from alerts.policy_history import history, policy_row
from alerts.web.bodies import PolicyVersion, Word, refusals
from alerts.web.context import Here, Web
from alerts.web.login import Who
from alerts.web.policy_bodies import HistoryPage, NewPhrase, PhraseChange, PhraseId, PolicyBody, Reason
from detectors.phrases.lexicon import LexiconError, Phrase, parse_pack

router = APIRouter(prefix="/v1", tags=["policy"])

MOST_PHRASES = 10_000


@router.get("/policy", response_model=PolicyBody, responses=refusals(401, 403, 503))
async def policy(
    web: Here,
    who: Who,
    pack: Word | None = None,
    category: Word | None = None,
    q: Annotated[Word | None, Query(max_length=200, description="a part of the phrase, an alias or the id")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PHRASES)] = 1000,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> dict[str, Any]:
    """Return the version in force, its packs and its phrases."""
    who.need("read_policy")
    try:
        row = await policy_row(web.engine)
        packs = await asyncio.to_thread(_packs, row.body["packs"])
    except LookupError as error:
        raise HTTPException(503, str(error)) from None
    wanted = [
        (name, phrase)
        for name, phrases in packs.items()
        if not pack or name == pack
        for phrase in phrases
        if (not category or phrase.category == category) and _is_asked_for(phrase, q)
    ]
    return {
        "version": row.version,
        "at": row.at,
        "who": row.who,
        "why": row.why,
        "packs": [{"name": name, "phrases": len(phrases)} for name, phrases in packs.items()],
        "total": len(wanted),
        "phrases": [{**as_entry(phrase), "pack": name} for name, phrase in wanted[offset : offset + limit]],
    }


@router.get("/policy/history", response_model=HistoryPage, responses=refusals(401, 403))
async def versions(
    web: Here, who: Who, limit: Annotated[int, Query(ge=1, le=200)] = 50, before: PolicyVersion | None = None
) -> dict[str, Any]:
    """Return who made which version, when and why, newest first."""
    who.need("read_policy")
    found = await history(web.engine, limit, before)
    more = found[-1].version if len(found) == limit else None
    return {"items": [asdict(version) for version in found], "next": more}


@router.post(
    "/lexicon/phrases",
    response_model=PhraseChange,
    status_code=201,
    responses=refusals(400, 401, 403, 409, 503),
)
async def add(wanted: NewPhrase, web: Here, who: Who) -> dict[str, Any]:
    """Add a phrase: a new version, in force in every process within two seconds."""
    who.need("change_policy")
    entry = wanted.model_dump(exclude={"why", "version"}, exclude_none=True)
    return await _change(
        web,
        lambda: add_phrase(
            web.engine,
            entry,
            who=who.user.login,
            why=wanted.why,
            now=web.now(),
            based_on=wanted.version,
            address=who.address,
        ),
    )


@router.delete("/lexicon/phrases/{phrase_id}", response_model=PhraseChange, responses=refusals(401, 403, 404, 409, 503))
async def remove(
    phrase_id: PhraseId,
    web: Here,
    who: Who,
    why: Annotated[Reason, Query(description="for the history")],
    version: Annotated[PolicyVersion | None, Query(description="the version that was looked at")] = None,
) -> dict[str, Any]:
    """Take a phrase out, whichever pack it stands in: a new version."""
    who.need("change_policy")
    return await _change(
        web,
        lambda: remove_phrase(
            web.engine,
            phrase_id,
            who=who.user.login,
            why=why,
            now=web.now(),
            based_on=version,
            address=who.address,
        ),
    )


async def _change(web: Web, change: Callable[[], Coroutine[Any, Any, tuple[int, Phrase]]]) -> dict[str, Any]:
    """Make a change, and say what stands against it."""
    try:
        version, phrase = await change()
    except PhraseNotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except (PhraseExistsError, PolicyChangedError) as error:
        raise HTTPException(409, str(error)) from None
    except (PhraseError, LexiconError) as error:
        raise HTTPException(422, str(error)) from None
    except LookupError as error:
        raise HTTPException(503, str(error)) from None
    if web.links.policies is not None:
        web.links.policies.changed()
    return {"version": version, "phrase": as_entry(phrase)}


def _packs(packs: Mapping[str, str]) -> dict[str, Sequence[Phrase]]:
    return {name: _phrases(text, name) for name, text in packs.items()}


@lru_cache(maxsize=32)
def _phrases(text: str, name: str) -> tuple[Phrase, ...]:
    """Return the phrases of a pack, read once however often it is asked for."""
    return parse_pack(text, name)


def _is_asked_for(phrase: Phrase, q: str | None) -> bool:
    return not q or any(q.lower() in text.lower() for text in (phrase.id, *phrase.spellings))
