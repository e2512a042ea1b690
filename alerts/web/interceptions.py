"""The interception log: list, numbers, export, and QA's decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import FiniteFloat

from alerts.masking import mask_finding
from alerts.review import FindingNotFoundError, ReviewError, decide
from alerts.store import audit
from alerts.store.database import reading, writing
from alerts.store.interception_log import (
    Cursor,
    CursorError,
    LogFilter,
    SearchError,
    count_findings,
    find_findings,
    without_masked,
)
from alerts.store.interception_numbers import numbers as count_numbers
from alerts.web.bodies import RowId, Word, refusals
from alerts.web.context import Here, Web
from alerts.web.log_bodies import LogNumbers, LogPage, LogRow, ReviewChange
from alerts.web.login import SignedIn, Who

router = APIRouter(prefix="/api", tags=["interceptions"])

EXPORT_PAGE = 500
EXPORT_COLUMNS = (
    "at", "kind", "id", "platform", "conversation_id", "message_id", "agent_id", "agent_name", "team", "text",
    "category", "severity", "phrases", "outcome", "intercepted_by", "attempt", "policy_version", "review",
    "review_reason", "reviewed_by", "latency_ms",
)  # fmt: skip
_ASKED = tuple(name for name in LogFilter.__slots__ if name != "hidden")
_REFUSALS = refusals(401, 403)
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


async def wanted_of(
    since: Annotated[FiniteFloat | None, Query(alias="from", description="Unix seconds, included")] = None,
    until: Annotated[FiniteFloat | None, Query(alias="to", description="Unix seconds, not included")] = None,
    team: Word | None = None,
    agent: Word | None = None,
    category: Word | None = None,
    phrase: Word | None = None,
    outcome: Literal["blocked", "replaced", "held", "delivered", "platform"] | None = None,
    review: Literal["pending", "upheld", "mistaken", "exempt"] | None = None,
    platform: Word | None = None,
    q: Annotated[Word | None, Query(max_length=200, description="words of the text")] = None,
) -> LogFilter:
    """Return the filter of a query string; an empty field counts as left out."""
    return LogFilter(
        since=since,
        until=until,
        team=team or None,
        agent=agent or None,
        category=category or None,
        phrase=phrase or None,
        outcome=outcome,
        review=review,
        platform=platform or None,
        q=q.strip() if q else None,
    )


async def seen_of(wanted: Annotated[LogFilter, Depends(wanted_of)], web: Here, who: Who) -> LogFilter:
    """Return the filter of a query string, so that it finds nothing in what is masked for who asks."""
    try:
        async with reading(web.engine) as connection:
            return await without_masked(connection, who.scope, wanted)
    except SearchError as error:
        raise HTTPException(422, str(error)) from None


Wanted = Annotated[LogFilter, Depends(seen_of)]


@router.get("/interceptions", response_model=LogPage, responses=_REFUSALS)
async def log(
    wanted: Wanted, web: Here, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 100, before: str | None = None
) -> dict[str, Any]:
    """Return one page of the log, newest first."""
    try:
        cursor = Cursor.parse(before) if before else None
    except CursorError as error:
        raise HTTPException(422, str(error)) from None
    async with reading(web.engine) as connection:
        items, after = await find_findings(connection, who.scope, wanted, limit, cursor)
        total = await count_findings(connection, who.scope, wanted)
    return {
        "items": [mask_finding(item) for item in items],
        "total": total,
        "next": None if after is None else str(after),
    }  # fmt: skip


@router.get("/interceptions/numbers", response_model=LogNumbers, responses=_REFUSALS)
async def numbers(wanted: Wanted, web: Here, who: Who) -> dict[str, Any]:
    """Return the counts of the same list."""
    async with reading(web.engine) as connection:
        return await count_numbers(connection, who.scope, wanted, web.now())


@router.post("/interceptions/{kind}/{finding_id}/review", response_model=LogRow, responses=refusals(400, 401, 403, 404))
async def review(
    kind: Literal["interception", "violation"], finding_id: RowId, wanted: ReviewChange, web: Here, who: Who
) -> dict[str, Any]:
    """Decide; `mistaken` and `exempt` need a reason, `pending` takes a decision back."""
    who.need("review")
    try:
        async with writing(web.engine) as connection:
            row = await decide(
                connection,
                who.user,
                who.scope,
                kind,
                finding_id,
                wanted.decision,
                reason=wanted.reason,
                now=web.now(),
                address=who.address,
            )
    except FindingNotFoundError:
        raise HTTPException(404, "No such row in the log") from None
    except ReviewError as error:
        raise HTTPException(422, str(error)) from None
    return mask_finding(row)


@router.get("/interceptions.csv", response_class=StreamingResponse, responses=_REFUSALS | _CSV)
async def export(wanted: Wanted, web: Here, who: Who) -> StreamingResponse:
    """Return the same list as CSV, masked; who exported what stands in the audit log before the first line goes."""
    who.need("export")
    now = web.now()
    detail = {name: getattr(wanted, name) for name in _ASKED if getattr(wanted, name) is not None}
    async with writing(web.engine) as connection:
        detail["rows"] = await count_findings(connection, who.scope, wanted)
        await audit.record(
            connection,
            who=who.user.login,
            what="export",
            object="interceptions.csv",
            detail=detail,
            now=now,
            address=who.address,
        )
    name = datetime.fromtimestamp(now, UTC).strftime("interceptions-%Y%m%d-%H%M%S.csv")
    return StreamingResponse(
        _lines(web, who, wanted),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _lines(web: Web, who: SignedIn, wanted: LogFilter) -> AsyncIterator[str]:
    """Give the file page by page: a year of the log must not stand in memory."""
    out = io.StringIO()
    writer = csv.writer(out)
    # Without the mark a spreadsheet reads the Chinese as Latin-1.
    out.write("\ufeff")
    writer.writerow(EXPORT_COLUMNS)
    before: Cursor | None = None
    while True:
        async with reading(web.engine) as connection:
            items, before = await find_findings(connection, who.scope, wanted, EXPORT_PAGE, before)
        writer.writerows([_cell(name, value) for name, value in _columns(mask_finding(item))] for item in items)
        yield out.getvalue()
        out.seek(0)
        out.truncate()
        if before is None:
            return


def _columns(row: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, row[name]) for name in EXPORT_COLUMNS]


def _cell(name: str, value: Any) -> Any:
    """Return one cell; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if name == "at":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
    if name == "phrases":
        value = " ".join(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
