"""Every table, once: SQLAlchemy Core, the same on SQLite and PostgreSQL.

Times are Unix seconds as double precision, so that both databases order, subtract and bucket them alike.
A conversation is named by (platform, conversation_id): two platforms may count from the same number.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows only in a column called INTEGER; PostgreSQL needs eight bytes for years of messages.
Serial = BigInteger().with_variant(Integer, "sqlite")
LARGEST_SERIAL = 2**63 - 1
Json = JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def _subject() -> list[Column[object]]:
    """Columns that say whose conversation a row belongs to; every scoped query reads `team`."""
    return [
        Column("platform", Text, nullable=False),
        Column("conversation_id", Text, nullable=False),
        Column("agent_id", Text),
        Column("agent_name", Text),
        Column("team", Text, nullable=False),
    ]


def _finding() -> list[Column[object]]:
    """Columns that an interception and a violation share."""
    return [
        Column("id", Serial, primary_key=True, autoincrement=True),
        Column("message", Serial, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
        *_subject(),
        Column("category", Text, nullable=False),
        Column("severity", Text, nullable=False),
        Column("phrases", Json, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("policy_version", Integer),
        Column("at", Double, nullable=False),
        Column("review", Text, nullable=False, server_default="pending"),
        Column("review_reason", Text),
        Column("reviewed_by", Text),
        Column("reviewed_at", Double),
    ]


policies = Table(
    "policies",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("sha256", Text, nullable=False, unique=True),
    Column("body", Json, nullable=False),  # {"rules": TOML, "packs": {name: TOML}}
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,
)

conversations = Table(
    "conversations",
    metadata,
    Column("platform", Text, primary_key=True),
    Column("conversation_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # call | chat
    Column("agent_id", Text),
    Column("agent_name", Text),
    Column("team", Text, nullable=False),
    Column("queue", Text),
    Column("channel", Text),
    Column("customer_id", Text),
    Column("language", Text),
    Column("direction", Text),
    Column("started_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("ended_at", Double),
    # What the chat path remembers between messages: read and written in the transaction that judges them.
    Column("memory", Json, nullable=False),
    # When the next wait is over ("no reply in 60 s"); the sweep looks only here.
    Column("due_at", Double),
)
Index("ix_conversations_due_at", conversations.c.due_at, sqlite_where=text("due_at IS NOT NULL"),
      postgresql_where=text("due_at IS NOT NULL"))  # fmt: skip
Index("ix_conversations_team_last_at", conversations.c.team, conversations.c.last_at)

messages = Table(
    "messages",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("platform", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("text_sha256", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),  # message | turn
    Column("side", Text, nullable=False),
    Column("sender_id", Text),
    Column("sender_name", Text),
    Column("text", Text, nullable=False),
    Column("delivered_text", Text),
    Column("sent_at", Double),
    Column("arrived_at", Double, nullable=False),
    Column("start_seconds", Double),  # of a turn, in the call's own time
    Column("end_seconds", Double),
    Column("delivery", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("spans", Json, nullable=False),  # [[start, end, phrase_id], ...] of the text, to be marked
    Column("policy_version", Integer, nullable=False),
    # The verdict's exact bytes: a redelivery is answered with these, whatever the policy says by then.
    Column("verdict", LargeBinary, nullable=False),
    UniqueConstraint("platform", "conversation_id", "message_id", "text_sha256"),
    sqlite_autoincrement=True,
)
Index("ix_messages_arrived_at", messages.c.arrived_at)
Index("ix_messages_conversation", messages.c.platform, messages.c.conversation_id, messages.c.arrived_at)

interceptions = Table(
    "interceptions",
    metadata,
    *_finding(),
    Column("intercepted_by", Text, nullable=False),  # us | platform
    Column("action", Text, nullable=False),  # mask | block | review
    # Set when the platform says it delivered the text all the same: it is then a violation as well.
    Column("delivered_at", Double),
    UniqueConstraint("message", "intercepted_by"),
    sqlite_autoincrement=True,
)
Index("ix_interceptions_team_at", interceptions.c.team, interceptions.c.at)
Index("ix_interceptions_agent_id_at", interceptions.c.agent_id, interceptions.c.at)

violations = Table(
    "violations",
    metadata,
    *_finding(),
    UniqueConstraint("message"),
    sqlite_autoincrement=True,
)
Index("ix_violations_team_at", violations.c.team, violations.c.at)
Index("ix_violations_agent_id_at", violations.c.agent_id, violations.c.at)

hits = Table(
    "hits",
    metadata,
    Column("message", Serial, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("phrase_id", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("agent_id", Text),
    Column("at", Double, nullable=False),
)
Index("ix_hits_phrase_id_at", hits.c.phrase_id, hits.c.at)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    *_subject(),
    Column("kind", Text, nullable=False),  # call | chat
    Column("rule_id", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("audience", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("policy_version", Integer),
    Column("opened_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),  # last time its condition was seen to hold
    Column("ends_at", Double),  # an alert on hits: cooldown after the last one
    Column("closed_at", Double),
    Column("owner", Text),
    Column("note", Text),
    Column("evidence", Json, nullable=False),
    Index("ix_alerts_conversation", "platform", "conversation_id", "rule_id"),
    sqlite_autoincrement=True,
)
# One alert per (conversation, rule) while it lasts, whoever writes: a zombie and its successor cannot both open one.
Index(
    "uq_alerts_while_open",
    alerts.c.platform,
    alerts.c.conversation_id,
    alerts.c.rule_id,
    unique=True,
    sqlite_where=text("closed_at IS NULL"),
    postgresql_where=text("closed_at IS NULL"),
)
Index("ix_alerts_team_changed_at", alerts.c.team, alerts.c.changed_at)
Index("ix_alerts_ends_at", alerts.c.ends_at, sqlite_where=text("closed_at IS NULL"),
      postgresql_where=text("closed_at IS NULL"))  # fmt: skip

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),  # alert | interception | violation | reminder
    Column("key", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("agent_id", Text),
    Column("body", Json, nullable=False),
    Column("at", Double, nullable=False),
    Index(
        "ix_outbox_reminders",
        "agent_id",
        "at",
        sqlite_where=text("kind = 'reminder'"),
        postgresql_where=text("kind = 'reminder'"),
    ),
    sqlite_autoincrement=True,
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", Double),
)

scores = Table(
    "scores",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("at_seconds", Double, primary_key=True),
    Column("agent_id", Text),
    Column("team", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("sides", Json, nullable=False),
    Column("slow", Json, nullable=False),
)
Index("ix_scores_at", scores.c.at)

baselines = Table(
    "baselines",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("value", Double, nullable=False),
    Column("seconds", Double, nullable=False),  # speech it stands on
    Column("at", Double, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("login", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),  # argon2 hash
    Column("roles", Json, nullable=False),
    Column("teams", Json, nullable=False),
    Column("agent_id", Text),  # the agent this person is, for role `agent`
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Double, nullable=False),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("user", Serial, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("key_sha256", LargeBinary, nullable=False, unique=True),
    Column("platform", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", Double),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("address", Text),
    sqlite_autoincrement=True,
)

holds = Table(
    "holds",
    metadata,
    Column("topic", Text, primary_key=True),  # as it is called on Kafka
    Column("worker", Text, primary_key=True),
    Column("since", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("sample", Text, nullable=False),  # topic:partition:offset of the record that was one too many
    Column("sample_error", Text, nullable=False),
    Column("seen_at", Double, nullable=False),  # a worker that is gone for good no longer says that it holds
    Column("released_at", Double),  # NULL while it holds
    Column("released_by", Text),
    Column("allowance", Integer, nullable=False, server_default=text("0")),  # bad records it may still set aside
)
