"""What QA decides about an interception or a violation: upheld, mistaken or exempt, by whom and why."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.access import Scope, User
from alerts.masking import mask_text
from alerts.store import audit
from alerts.store.interception_log import Kind, read_finding
from alerts.store.outbox import OutboxRow, append
from alerts.store.tables import interceptions, violations

Decision = Literal["upheld", "mistaken", "exempt", "pending"]
"""`pending` takes a decision back."""

_NEEDS_REASON = ("mistaken", "exempt")
_TABLES = {"interception": interceptions, "violation": violations}


class FindingNotFoundError(LookupError):
    """There is no such row in the log, or it is not for this person to see."""


class ReviewError(ValueError):
    """This decision cannot be taken as asked; the message says why."""


async def decide(
    connection: AsyncConnection,
    user: User,
    scope: Scope,
    kind: Kind,
    id_: int,
    decision: Decision,
    *,
    reason: str | None,
    now: float,
    address: str | None = None,
) -> dict[str, Any]:
    """Write a decision, audited and told on, and return the row of the log as it stands then, not masked.

    Whether `user` may review at all the caller has checked. Raises FindingNotFoundError and ReviewError.
    """
    if decision in _NEEDS_REASON and not reason:
        raise ReviewError(f"{decision} needs a reason; write one")
    before = await read_finding(connection, scope, kind, id_)
    if before is None:
        raise FindingNotFoundError
    if user.agent_id is not None and user.agent_id == before["agent_id"]:
        raise ReviewError("nobody reviews what they wrote themselves")
    is_open = decision == "pending"
    table = _TABLES[kind]
    await connection.execute(
        update(table)
        .where(table.c.id == id_)
        .values(
            review=decision,
            review_reason=None if is_open else reason,
            reviewed_by=None if is_open else user.login,
            reviewed_at=None if is_open else now,
        )
    )
    after = await read_finding(connection, scope, kind, id_)
    if after is None:
        raise FindingNotFoundError
    key = f"{kind}:{id_}"
    detail = {"before": before["review"], "after": decision, "reason": reason}
    await audit.record(
        connection, who=user.login, what="review", object=key, detail=detail, now=now, address=address
    )  # fmt: skip
    # As moderation tells of a new one: the outbox holds texts masked.
    told = after | {"text": mask_text(after["text"])}
    await append(connection, [OutboxRow(kind, key, after["team"], after["agent_id"], told, now)])
    return after
