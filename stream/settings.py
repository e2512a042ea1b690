"""Every setting of every process, read once from TONEWATCH_* and frozen."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TONEWATCH_"
FailPolicy = Literal["open", "closed"]
Milliseconds = Annotated[int, Field(ge=20, le=60_000)]


def _is_pattern(text: str) -> str:
    """Refuse what is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


class Settings(BaseSettings):
    """One value per setting; a secret may come from a file: TONEWATCH_<NAME>_FILE holds its path."""

    # Without hide_input_in_errors a wrong value prints the whole input beside it, passwords too.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    # Kafka
    kafka: str = Field("127.0.0.1:9092", description="bootstrap servers, comma separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to speak to Kafka"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="with SASL_*: which mechanism"
    )
    kafka_username: str = Field("", description="with SASL_*: who we are")
    kafka_password: SecretStr = Field(SecretStr(""), description="with SASL_*: our password")
    kafka_ca_file: Path | None = Field(None, description="with SSL: PEM file of the authority to trust")
    kafka_embedded: bool = Field(
        False, description="the broker is the demo's mock cluster: other waits, no topic settings"
    )
    replication_factor: int = Field(1, ge=1, description="copies of each topic; 3 advised")
    min_insync_replicas: int = Field(1, ge=1, description="copies that must have a record; 2 advised")
    partitions: int = Field(24, ge=1, le=200, description="partitions of the input topics, verdicts and scores")
    topic_prefix: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]*$", description="put before every topic and consumer group: two houses, one Kafka"
    )
    allow_other_faust: bool = Field(False, description="start with another version than the one whose losses are known")

    # Database
    database: str = Field(
        "sqlite:///tonewatch.sqlite3",
        description="sqlite:///FILE or postgresql://USER@HOST/NAME",
    )
    database_password: SecretStr = Field(SecretStr(""), description="for PostgreSQL, kept out of the URL")

    # Retention, in days; `tonewatch db purge --dry-run` says what would go
    # A message that came again after its row is gone would be judged anew: more than the 7 days of chat.messages.
    keep_messages_days: float = Field(180, ge=8, description="messages, turns, hits, violations and conversations")
    keep_interceptions_days: float = Field(730, ge=8, description="interceptions that were reviewed; others stay")
    keep_alerts_days: float = Field(365, ge=1, description="alerts that are closed; open ones stay")
    keep_outbox_days: float = Field(30, ge=1, description="changes that all feeds have told on")
    keep_scores_days: float = Field(90, ge=1, description="score rows of calls, unused baselines of agents")
    keep_audit_days: float = Field(1095, ge=1, description="who listened, unmasked, exported, decided")

    # Workers
    worker_id: str = Field("", description="stable name of this worker; by default <host>-<first free slot>")
    session_timeout_seconds: float = Field(10.0, ge=3, le=120, description="after that a dead worker is replaced")
    health_host: str = Field("127.0.0.1", description="address of a worker's health port")
    health_port: int = Field(0, ge=0, le=65535, description="/livez /readyz /metrics of a worker; 0 picks one")
    audio_staleness_seconds: float = Field(5.0, gt=0, description="audio older than this is skipped and counted")
    call_idle_seconds: float = Field(60.0, gt=0, description="a call silent on the topic this long has ended")

    # Web
    web_host: str = Field("127.0.0.1", description="address of the pages and the API")
    web_port: int = Field(8400, ge=0, le=65535, description="port of the pages and the API; 0 picks one")
    web_origin: str = Field("", description="public address of the pages, where a proxy stands before them")
    session_hours: float = Field(12.0, gt=0, description="a login ends after this long")

    # Verdicts over HTTP; each platform's own wait is in the documentation of its hook, and longer than our deadline
    moderate_deadline_ms: Milliseconds = Field(1000, description="POST /v1/moderate is answered within")
    moderate_fail_policy: FailPolicy = Field("open", description="what a late answer says: open allows, closed reviews")
    openim_deadline_ms: Milliseconds = Field(4000, description="OpenIM is answered within; it waits 5 s")
    openim_fail_policy: FailPolicy = Field(
        "open", description="what a late answer says: open lets through, closed refuses"
    )
    easemob_deadline_ms: Milliseconds = Field(
        150, description="Easemob is answered within; it waits 200 ms unless told"
    )
    easemob_fail_policy: FailPolicy = Field(
        "open", description="the same for Easemob; its console has a setting of its own"
    )
    easemob_secret: SecretStr = Field(SecretStr(""), description="secret of Easemob's callback rule; more with commas")
    tencent_im_deadline_ms: Milliseconds = Field(1500, description="Tencent IM is answered within; it waits 2 s")
    tencent_im_fail_policy: FailPolicy = Field("open", description="the same for Tencent IM")
    tencent_im_token: SecretStr = Field(SecretStr(""), description="token of Tencent IM's callbacks; more with commas")
    tencent_im_app_id: str = Field("", description="SDKAppID that alone may ask; empty takes any that is signed")
    stream_deadline_ms: Milliseconds = Field(1200, description="Stream is answered within; it waits 1.5 s unless told")
    stream_fail_policy: FailPolicy = Field("open", description="the same for Stream")
    stream_secret: SecretStr = Field(SecretStr(""), description="API secret of the Stream app; more with commas")
    hook_agent_ids: Annotated[str, AfterValidator(_is_pattern)] = Field(
        "", description="regular expression for the whole id of an agent on these platforms; empty: all who write are"
    )

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Read every secret whose *_FILE names a readable file."""
        for name, field in cls.model_fields.items():
            if field.annotation is not SecretStr:
                continue
            path = os.environ.get(f"{PREFIX}{name}_FILE".upper())
            if not path:
                continue
            try:
                values[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except OSError as error:
                raise ValueError(
                    f"{PREFIX}{name}_FILE".upper() + f" names {path}, which cannot be read: {error.strerror}"
                ) from None
        return values

    @model_validator(mode="after")
    def _kafka_login_is_whole(self) -> Settings:
        """Refuse SASL without a user: a broker would only say that the connection was closed."""
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_username:
            raise ValueError(
                f"TONEWATCH_KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol} and TONEWATCH_KAFKA_USERNAME "
                "is empty; write the user there and its password in the file TONEWATCH_KAFKA_PASSWORD_FILE names"
            )
        return self

    @model_validator(mode="after")
    def _database_is_known(self) -> Settings:
        """Refuse a database we cannot drive before any process starts."""
        if not self.database.startswith(("sqlite:///", "postgresql://")):
            raise ValueError(
                f"TONEWATCH_DATABASE is {self.database.split('@')[-1]!r}; "
                "write sqlite:///FILE or postgresql://USER@HOST/NAME"
            )
        return self
