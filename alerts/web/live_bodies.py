"""What `/ws/live` sends to a page: one model a kind of message."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from alerts.bodies import ScoreBody
from alerts.web.bodies import AlertBody
from alerts.web.log_bodies import LogRow


class Hello(BaseModel):
    """The first message: what is open now; everything after `seq` follows."""

    type: Literal["hello"]
    seq: int = Field(description="to be sent as `after` when connecting again")
    alerts: list[AlertBody]
    server_time: float
    lag_seconds: float
    resync: bool = Field(description="too much was missed to be sent: read the page's data anew")


class Tick(BaseModel):
    """Once a second: the time, and how late the newest is."""

    type: Literal["tick"]
    server_time: float
    lag_seconds: float
    seq: int


class Scores(BaseModel):
    """Four times a second: the newest score of each call that had one since."""

    type: Literal["scores"]
    items: list[ScoreBody]


class AlertPush(BaseModel):
    """An alert that was opened or has changed."""

    type: Literal["alert"]
    seq: int
    alert: AlertBody


class LogPush(BaseModel):
    """A line of the interception log that is new or was reviewed."""

    type: Literal["interception", "violation"]
    seq: int
    item: LogRow


MESSAGES: tuple[type[BaseModel], ...] = (Hello, Tick, Scores, AlertPush, LogPush)
