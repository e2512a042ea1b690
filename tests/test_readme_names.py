"""The READMEs name every metric, and both say the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detectors.metrics import BY_NAME
from stream.topics import INPUTS

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-CN.md")


@pytest.mark.parametrize("name", READMES)
def test_every_metric_and_input_topic_is_named(name: str) -> None:
    said = set(re.findall(r"`([a-z0-9_.]+)`", (ROOT / name).read_text(encoding="utf-8")))
    assert set(BY_NAME) <= said, f"{name} lacks {sorted(set(BY_NAME) - said)}"
    assert set(INPUTS) <= said


def test_both_languages_show_the_same_code() -> None:
    blocks = [re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.S) for name in READMES]
    assert blocks[0] == blocks[1] != []
    assert len(blocks[0][0].splitlines()) == 10
