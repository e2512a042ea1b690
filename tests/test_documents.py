from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import yaml
from fastapi.routing import APIRoute

from alerts.web import alerts, audit, conversations, floor, health, interceptions, login
from detectors.metrics import CATALOGUE
from stream import asyncapi
from stream.documents import DOCS, files, with_tables
from stream.settings import PREFIX, Settings
from stream.topics import INPUTS, topics

DEFAULTS = Settings.model_construct()


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def spec() -> Any:
    return yaml.safe_load(text_of("asyncapi.yaml"))


@pytest.mark.parametrize("name", ["asyncapi.yaml", "openapi.json", "operations.md"])
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert text_of(name) == files()[name], "run: make docs"


def test_every_topic_is_a_channel_as_it_is_made(spec: Any) -> None:
    assert set(spec["channels"]) == {topic.noun for topic in topics(DEFAULTS)} | {"live"}
    for topic in topics(DEFAULTS):
        said = spec["channels"][topic.noun]["bindings"]["kafka"]
        assert (said["topic"], said["partitions"], said["replicas"]) == (
            topic.name,
            topic.partitions,
            topic.replication_factor,
        )
        told = {
            name: value[0] if isinstance(value, list) else str(value)
            for name, value in said["topicConfiguration"].items()
        }
        assert told == dict(topic.configs)
        assert f"| `{topic.noun}` |" in text_of("operations.md")


def test_whoever_reads_a_topic_is_an_operation_under_its_consumer_group(spec: Any) -> None:
    groups = {
        (operation["channel"]["$ref"].rsplit("/", 1)[1], operation["bindings"]["kafka"]["groupId"]["const"])
        for operation in spec["operations"].values()
        if operation["action"] == "receive"
    }
    assert groups == {
        ("audio.frames", "tonewatch-audio"),
        ("call.events", "tonewatch-audio"),
        ("transcript.turns", "tonewatch-audio"),
        ("transcript.turns", "tonewatch-chat"),
        ("chat.messages", "tonewatch-chat"),
    }


def test_a_prefix_of_the_house_is_in_addresses_and_groups() -> None:
    made = asyncapi.document(Settings.model_construct(topic_prefix="north."))
    assert made["channels"]["chat.messages"]["address"] == "north.chat.messages"
    assert "north.tonewatch-chat" in orjson.dumps(made["operations"]).decode()


def test_every_json_topic_has_a_schema() -> None:
    json_topics = {
        topic.noun
        for topic in topics(DEFAULTS)
        if topic.noun != "audio.frames" and not topic.noun.endswith(".rejected")
    }  # fmt: skip
    assert set(asyncapi.TAKEN) == json_topics & set(INPUTS)
    assert set(asyncapi.TOLD) == json_topics - set(INPUTS)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere(spec: Any) -> None:
    found = set(references(spec))
    assert "#/components/schemas/VerdictBody" in found
    for reference in found:
        node = spec
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_score_metric_is_in_the_schema_of_scores_and_every_metric_is_explained(spec: Any) -> None:
    metrics = spec["components"]["schemas"]["ScoreBody"]["properties"]["sides"]["additionalProperties"]["properties"]
    assert set(metrics) == {metric.name for metric in CATALOGUE if metric.from_ == "audio"}
    operations = text_of("operations.md")
    for metric in CATALOGUE:
        (row,) = (line for line in operations.splitlines() if line.startswith(f"| `{metric.name}` |"))
        assert metric.unit in row and metric.zh in row and metric.source in row


def test_every_setting_is_explained_and_no_secret_is_shown() -> None:
    operations = text_of("operations.md")
    for name, field in Settings.model_fields.items():
        (row,) = (line for line in operations.splitlines() if line.startswith(f"| `{PREFIX}{name.upper()}` |"))
        assert field.description and field.description in row
    assert "****" not in operations


def test_every_rest_route_is_in_openapi() -> None:
    paths = orjson.loads(text_of("openapi.json"))["paths"]
    for module in (login, floor, alerts, conversations, interceptions, audit, health):
        routes = [route for route in module.router.routes if isinstance(route, APIRoute)]
        assert routes
        for route in routes:
            assert {method.lower() for method in route.methods or ()} <= set(paths[route.path_format]), route.path


def test_a_table_without_its_marks_is_refused_by_name() -> None:
    assert with_tables("a\n<!-- table: x -->\nold\n<!-- end -->\nb\n", {"x": "new\n"}) == (
        "a\n<!-- table: x -->\nnew\n<!-- end -->\nb\n"
    )
    with pytest.raises(ValueError, match="table: y"):
        with_tables("<!-- table: x -->\n<!-- end -->\n", {"y": "new\n"})
