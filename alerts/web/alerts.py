"""What somebody does about an alert: see, own, resolve, dismiss."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException

from alerts.store.alert_log import AlertClosedError, AlertNotFoundError, move_alert
from alerts.store.database import writing
from alerts.web.bodies import AlertBody, AlertChange, RowId, refusals
from alerts.web.context import Here
from alerts.web.login import Who

router = APIRouter(prefix="/api/alerts", tags=["alerts"])


@router.post("/{alert_id}/{verb}", response_model=AlertBody, responses=refusals(400, 401, 403, 404, 409))
async def change(
    alert_id: RowId,
    verb: Literal["seen", "own", "resolve", "dismiss"],
    web: Here,
    who: Who,
    wanted: AlertChange | None = None,
) -> dict[str, Any]:
    """Move an alert on; `resolve` and `dismiss` need a note."""
    who.need("own_alerts")
    wanted = wanted or AlertChange()
    if verb in ("resolve", "dismiss") and not wanted.note:
        raise HTTPException(422, f"{verb} needs a note: what was done, or why nothing has to be")
    try:
        async with writing(web.engine) as connection:
            body = await move_alert(
                connection,
                who.scope,
                alert_id,
                verb,
                who=who.user.login,
                now=web.now(),
                note=wanted.note,
                version=wanted.version,
                address=who.address,
            )
            return (await web.presenter.alerts(connection, [body]))[0]
    except AlertNotFoundError:
        raise HTTPException(404, "No such alert") from None
    except AlertClosedError as error:
        raise HTTPException(409, str(error)) from None
