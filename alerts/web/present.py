"""Turns what the database holds into what a person is shown: named, and with personal numbers hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from alerts.masking import mask_alert, mask_finding
from alerts.store.outbox_tail import OutboxItem
from alerts.store.people import names_of


class Presenter:
    """Knows what people are called; a name is read once and kept."""

    def __init__(self) -> None:
        self._people: dict[str, str] = {}

    async def alerts(self, connection: AsyncConnection, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return alerts as pages and the API show them; `bodies` as `alerts.store.alerts.alert_body` gives them."""
        await self._learn_people(connection, {body["owner"] for body in bodies if body["owner"]})
        return [self._alert(body) for body in bodies]

    def _alert(self, body: Mapping[str, Any]) -> dict[str, Any]:
        names = body["rule_name"]
        return mask_alert(body) | {
            # A rule that is written in one language only is called that in both, one without a name by its id.
            "rule_name": {
                "zh": names.get("zh") or names.get("en") or body["rule_id"],
                "en": names.get("en") or names.get("zh") or body["rule_id"],
            },
            "owner_name": self._people.get(body["owner"] or ""),
        }

    async def pushes(self, connection: AsyncConnection, items: Sequence[OutboxItem]) -> list[dict[str, Any] | None]:
        """Return the WebSocket's message for each change; None for one that pages are not told of."""
        alerts = iter(await self.alerts(connection, [item.body for item in items if item.kind == "alert"]))
        messages: list[dict[str, Any] | None] = []
        for item in items:
            if item.kind == "alert":
                messages.append({"type": "alert", "seq": item.seq, "alert": next(alerts)})
            elif item.kind in ("interception", "violation"):
                messages.append({"type": item.kind, "seq": item.seq, "item": mask_finding(item.body)})
            else:
                messages.append(None)
        return messages

    async def _learn_people(self, connection: AsyncConnection, logins: Iterable[str]) -> None:
        """Read the names of people who were not seen yet."""
        missing = [login for login in logins if login not in self._people]
        self._people |= await names_of(connection, missing)
