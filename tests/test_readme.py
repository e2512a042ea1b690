from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream.operate import upgrade_database
from stream.settings import Settings
from tests.conftest import Broker
from tests.services import ROOT, run_apart
from tests.services_kafka import KafkaServer
from tests.workers import Worker

HEADINGS = {"README.md": "## Ten lines", "README.zh-CN.md": "## 十行代码"}
DEFAULT = '"127.0.0.1:9092"'
LONGEST_SECONDS = 60


def ten_lines(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.search(rf"^{HEADINGS[name]}$.*?^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found, f"{name} has no Python block under {HEADINGS[name]!r}"
    return found[1]


@pytest.fixture(scope="module")
def settings(_kafka_server: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A chat worker on the topics as a newcomer finds them, without a prefix."""
    folder = tmp_path_factory.mktemp("readme")
    broker = Broker("kafka", _kafka_server.bootstrap, _kafka_server)
    settings = broker.settings(topic_prefix="", database=f"sqlite:///{folder / 'tonewatch.sqlite3'}")
    run_apart(upgrade_database(settings))
    worker = Worker(settings, "chat", 0, folder)
    worker.start()
    run_apart(worker.until_ready())
    yield settings
    worker.stop()
    broker.forget(settings)


@pytest.mark.parametrize("name", HEADINGS)
def test_ten_lines_of_a_plain_client_get_a_verdict(settings: Settings, name: str) -> None:
    lines = ten_lines(name)
    assert len([line for line in lines.splitlines() if line.strip()]) <= 10
    assert lines.count(DEFAULT) == 1, f"the block must say once where Kafka is: {DEFAULT}"
    there = lines.replace(DEFAULT, f'"{settings.kafka}"')
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", there],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    # As JSON or as Python prints it.
    assert re.search(r"""["']action["']: ?["']block["']""", done.stdout), done.stdout
    assert re.search(r"""["']phrase_id["']: ?["']abuse\.zh\.""", done.stdout), "a blocked message says why"


def test_both_languages_show_the_same_code() -> None:
    code = {re.sub(r"#.*", "", ten_lines(name)) for name in HEADINGS}
    assert len(code) == 1
