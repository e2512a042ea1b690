"""Writes the reference in docs/ from the code: topics and WebSocket, REST, settings, metrics."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from alerts.config import DatabaseConfig, WebConfig
from alerts.store.database import open_engine
from alerts.web.app import create_app
from alerts.web.health import registry
from detectors.metrics import CATALOGUE
from stream import metrics
from stream.asyncapi import document
from stream.settings import PREFIX, Settings
from stream.topics import topics

DOCS = Path(__file__).parents[1] / "docs"
OPERATIONS = "operations.md"


def files(docs: Path = DOCS) -> dict[str, str]:
    """Return every file that is made from the code, by its name in `docs`; of operations.md only the tables are.

    Needs PyYAML, which only development has.
    """
    import yaml

    defaults = Settings.model_construct()  # not Settings(): what this shell sets is nobody else's default
    web = create_app(open_engine(DatabaseConfig("sqlite:///:memory:")), WebConfig())
    spec = yaml.safe_dump(document(defaults), sort_keys=False, allow_unicode=True, width=120)
    head = "# Made from the code by `make docs`; a test holds it to the code.\n"
    tables = {
        "settings": _settings(),
        "topics": _topics(defaults),
        "metrics": _catalogue(),
        "worker metrics": _prometheus(_worker_metrics()),
        "web metrics": _prometheus(registry(web.state.web).collect()),
    }
    return {
        "asyncapi.yaml": head + spec,
        "openapi.json": orjson.dumps(web.openapi(), option=orjson.OPT_INDENT_2).decode() + "\n",
        OPERATIONS: with_tables((docs / OPERATIONS).read_text(encoding="utf-8"), tables),
    }


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """Return `text` with every table set between its marks, `<!-- table: NAME -->` and `<!-- end -->`.

    Raises ValueError where a table has no place.
    """
    for name, table in tables.items():
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        if not (mark and end):
            raise ValueError(f"{OPERATIONS} has no lines `<!-- table: {name} -->` and `<!-- end -->`; write them")
        text = before + mark + table + end + after
    return text


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines += [["---"] * len(lines[0])]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _settings() -> str:
    """Return every setting with its default."""

    def default(value: Any) -> str:
        if isinstance(value, SecretStr) or value in ("", None, PydanticUndefined):
            return ""
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"

    return _table(
        ("variable", "default", "meaning"),
        (
            (
                f"`{PREFIX}{name.upper()}`",
                default(field.default),
                (field.description or "")
                + (f"; or a file: `{PREFIX}{name.upper()}_FILE`" if field.annotation is SecretStr else ""),
            )
            for name, field in Settings.model_fields.items()
        ),
    )


def _topics(settings: Settings) -> str:
    """Return every topic with its default width and retention."""

    def kept(seconds: int | None) -> str:
        if seconds is None:
            return "compacted"
        return f"{seconds // 86400} d" if seconds >= 86400 else f"{seconds // 3600} h"

    return _table(
        ("topic", "key", "partitions", "kept", "written by", "read by"),
        (
            (
                f"`{topic.noun}`",
                topic.key,
                str(topic.partitions),
                ("at least " if topic.at_least else "") + kept(topic.retention_seconds),
                ", ".join(topic.writers),
                ", ".join(topic.readers),
            )
            for topic in topics(settings)
        ),
    )


def _catalogue() -> str:
    """Return every metric that a rule may name."""
    return _table(
        ("metric", "unit", "range", "zh", "en", "source"),
        (
            (f"`{each.name}`", each.unit, f"{each.low:g} to {each.high:g}", each.zh, each.en, each.source)
            for each in CATALOGUE
        ),
    )


def _worker_metrics() -> Iterable[Metric]:
    """Return what a worker counts."""
    for each in vars(metrics).values():
        if isinstance(each, MetricWrapperBase):
            yield from each.describe()


def _prometheus(counted: Iterable[Metric]) -> str:
    """Return numbers of /metrics, by the names Prometheus shows."""
    return _table(
        ("name", "type", "what"),
        (
            (f"`{each.name}{'_total' if each.type == 'counter' else ''}`", each.type, each.documentation)
            for each in counted
        ),
    )


def main() -> None:
    """Write the files that differ, and name them."""
    for name, text in files().items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
