"""The audit log, for those who may read it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from alerts.store import audit as audit_store
from alerts.store.database import reading
from alerts.web.bodies import AuditPage, RowId, refusals
from alerts.web.context import Here
from alerts.web.login import Who

router = APIRouter()


@router.get("/api/audit", response_model=AuditPage, tags=["audit"], responses=refusals(401, 403))
async def audit(
    web: Here, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 100, before: RowId | None = None
) -> dict[str, object]:
    """Return who did what, newest first."""
    who.need("read_audit")
    async with reading(web.engine) as connection:
        rows = [dict(row) for row in await audit_store.latest(connection, limit, before)]
    return {"items": rows, "next": rows[-1]["id"] if len(rows) == limit else None}
