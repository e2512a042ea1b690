from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alerts.alert import SEVERITIES
from alerts.policy import read_files
from alerts.web.app import PAGES
from detectors.metrics import CATALOGUE
from detectors.phrases.lexicon import lexicon_of

MODULES = sorted(PAGES.glob("*.js"))
SOURCES = [*MODULES, *sorted(PAGES.glob("*.css")), PAGES / "index.html", *sorted((PAGES / "i18n").glob("*.json"))]
ZH, EN = (json.loads((PAGES / "i18n" / f"{name}.json").read_text(encoding="utf-8")) for name in ("zh", "en"))
ROOT = PAGES.parents[2]


def test_both_languages_say_the_same_things() -> None:
    assert ZH.keys() == EN.keys()
    placeholders = re.compile(r"\{\w+\}")
    for key, words in ZH.items():
        assert set(placeholders.findall(words)) == set(placeholders.findall(EN[key])), key
        assert words or key == "unit.share"


def test_every_key_that_a_module_asks_for_has_words() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES)
    asked = set(re.findall(r"""\bt\(\s*["']([\w.]+)["']""", code)) | set(re.findall(r'words: "([\w.]+)"', code))
    asked |= {key for pair in re.findall(r't\([\w. >]+ \? "([\w.]+)" : "([\w.]+)"', code) for key in pair}
    assert len(asked) > 80
    assert asked - ZH.keys() == set()
    # Keys that are put together: their beginning is enough, and both verbs of an alert have the same set.
    prefixes = set(re.findall(r"\bt\(`([\w.]+)\$\{", code)) | {
        f"{name}." for name in re.findall(r'named\("(\w+)"', code)
    }
    for prefix in prefixes - {"platform."}:
        assert any(key.startswith(prefix) for key in ZH), prefix
    of_verbs = {
        f"{verb}.{what}"
        for verb in ("resolve", "dismiss")
        for what in ("title", *(f"suggestion{n}" for n in (1, 2, 3)))
    }
    assert of_verbs <= ZH.keys()
    quoted = set(re.findall(r'"([a-z_]+(?:\.[\w.]+)?)"', code))
    assert {key for key in ZH.keys() - asked - quoted - of_verbs if not key.startswith(tuple(prefixes))} == set()


def test_what_the_data_can_say_has_words() -> None:
    for name, words in (("zh", ZH), ("en", EN)):
        for unit in {metric.unit for metric in CATALOGUE}:
            assert f"unit.{unit}" in words, (name, unit)
        for category in {phrase.category for phrase in lexicon_of(read_files()["packs"]).phrases}:
            assert f"category.{category}" in words, (name, category)
        for severity in SEVERITIES:
            assert f"severity.{severity}" in words, (name, severity)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_short_says_what_it_is_and_imports_what_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// ") and len(text.splitlines()) < 300
    for specifier in re.findall(r"""\b(?:from|import)\s+["']([^"']+)["']""", text):
        # There is no build step and no import map: a bare name would fail in the browser.
        assert specifier.startswith("./") and (PAGES / specifier).is_file(), specifier


def test_the_pages_need_nothing_that_their_security_policy_forbids() -> None:
    document = (PAGES / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", document)
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text and "https://" not in text, path.name
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySetInnerHTML", text), path.name
        assert 'style="' not in text, path.name


def test_the_pages_name_acoustic_facts_only() -> None:
    # The EU AI Act, Art. 5(1)(f), forbids inferring these of staff from their voice.
    forbidden = re.compile(r"emotion|sentiment|\bmood|anger|angry|情绪|愤怒|生气", re.IGNORECASE)
    for path in SOURCES:
        assert not forbidden.search(path.read_text(encoding="utf-8")), path.name


def test_vendored_libraries_are_what_was_fetched() -> None:
    script = ROOT / "scripts" / "vendor.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = json.loads((PAGES / "vendor" / "vendor.json").read_text(encoding="utf-8"))
    assert {entry["licence"] for entry in listed} <= {"MIT", "Apache-2.0"}
    assert all(f"{entry['name'].rpartition('/')[2]}@{entry['version']}/LICENSE" in entry["files"] for entry in listed)
