from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli import app

# Words that no shipped pack has.
GOOD = "phrase,category,severity,aliases\n瞎了你的眼,abuse,critical,瞎了狗眼|眼睛瞎了\n"
BAD = "phrase,category,severity\n蓝色大象,abuse,critical\n,abuse,critical\n青蛙王子,abuse,huge\n"


class Shell:
    """The command line on a database of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("TONEWATCH_DATABASE", f"sqlite:///{folder / 'tonewatch.sqlite3'}")
        monkeypatch.setenv("COLUMNS", "200")
        self.ok("db", "upgrade")

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return str(done.output)

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, "utf-8")
        return str(self.folder / name)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(tmp_path, monkeypatch)


def test_a_phrase_is_added_found_told_of_and_taken_out_again(shell: Shell) -> None:
    said = shell.ok("lexicon", "add", "青蛙*王子", "--category", "promise", "--why", "complaint 17")
    assert said.startswith("policy 2 is in force with promise.zh.9001 青蛙*王子 (critical, block)")
    told = shell.ok("lexicon", "test", "说青蛙是个王子呀", "--in-force").splitlines()
    # The marks stand under what was found: each Chinese character is two columns wide.
    assert told[1] == "  " + "^" * 12
    assert told[-1] == "verdict: block"
    history = shell.ok("policy", "history")
    assert "complaint 17" in history and getpass.getuser() in history
    assert shell.ok("policy", "diff", "2") == "added phrase promise.zh.9001 青蛙*王子\n"
    shell.ok("lexicon", "remove", "promise.zh.9001")
    assert "verdict: allow" in shell.ok("lexicon", "test", "说青蛙是个王子呀", "--in-force")


def test_what_is_in_force_already_is_not_added_twice(shell: Shell) -> None:
    shell.ok("lexicon", "add", "明天一定到账", "--category", "promise")
    again = shell.run("lexicon", "add", "明天一定到账", "--category", "promise")
    assert again.exit_code == 1 and "is in force already as promise.zh.9001" in again.output
    unknown = shell.run("lexicon", "remove", "promise.zh.7777")
    assert unknown.exit_code == 1 and "no phrase promise.zh.7777 is in force" in unknown.output


def test_what_was_added_one_by_one_stays_when_files_are_loaded(shell: Shell) -> None:
    shell.ok("lexicon", "add", "明天一定到账", "--category", "promise")
    shell.ok("policy", "load")
    assert "verdict: block" in shell.ok("lexicon", "test", "明天一定到账", "--in-force")


def test_a_list_with_a_mistake_is_refused_whole_with_line_and_cure(shell: Shell) -> None:
    bad = shell.file("bad.csv", BAD)
    for command in ("check", "import"):
        refused = shell.run("lexicon", command, bad)
        assert refused.exit_code == 1
        assert f'{bad}:3: the entry has no phrase; write phrase = "..."' in refused.output
        assert f"{bad}:4: severity = 'huge' is unknown; write \"info\"" in refused.output
    assert "verdict: allow" in shell.ok("lexicon", "test", "蓝色大象", "--in-force")
    absent = shell.run("lexicon", "check", "absent.toml")
    assert absent.exit_code == 1 and "absent.toml: No such file" in absent.output


def test_a_list_is_imported_and_comes_out_as_it_went_in(shell: Shell) -> None:
    shell.ok("lexicon", "import", shell.file("shop.csv", GOOD), "--why", "the shop's own")
    assert "verdict: block" in shell.ok("lexicon", "test", "你眼睛瞎了", "--in-force")
    for form in ("csv", "jsonl", "toml"):
        out = shell.folder / f"again.{form}"
        shell.ok("lexicon", "export", "--in-force", "--only", "shop.toml", "--to", form, "--out", str(out))
        assert "1 phrases (abuse)" in shell.ok("lexicon", "check", str(out))
        assert all(word in out.read_text("utf-8") for word in ("瞎了你的眼", "瞎了狗眼", "眼睛瞎了"))
    unknown = shell.run("lexicon", "export", "--only", "absent.toml")
    assert unknown.exit_code == 1 and "write one of ecommerce.en.toml" in unknown.output


def test_the_rules_for_wecom_are_within_its_limits(shell: Shell) -> None:
    out = shell.folder / "wecom.json"
    said = shell.ok("lexicon", "export", "--to", "wecom", "--out", str(out))
    rules = json.loads(out.read_text("utf-8"))
    assert rules and all(set(rule) >= {"rule_name", "word_list", "intercept_type"} for rule in rules)
    assert all(len(rule["rule_name"]) <= 20 and 0 < len(rule["word_list"]) <= 300 for rule in rules)
    assert all(len(word) <= 32 for rule in rules for word in rule["word_list"])
    assert "it has a gap, and WeCom finds words only as they are written" in said


def test_a_lexicon_is_tried_on_messages_and_says_where_it_hits(shell: Shell) -> None:
    turns = [
        {"text": "您好，请问有什么可以帮您？"},
        {"text": "您这个人就是骗子"},
        {"text": "你们是骗子吧", "side": "customer"},
        {"text": "骗", "conversation_id": "c", "sender": {"id": "a", "role": "agent"}},
        {"text": "子", "conversation_id": "c", "sender": {"id": "a", "role": "agent"}},
    ]
    messages = shell.file("turns.jsonl", "".join(json.dumps(turn, ensure_ascii=False) + "\n" for turn in turns))
    report = shell.folder / "report.json"
    said = shell.ok("lexicon", "try", "--on", messages, "--json", str(report))
    assert "您这个人就是【骗子】" in said
    told = json.loads(report.read_text("utf-8"))
    assert (told["messages"], told["hit"], told["actions"]) == (5, 2, {"block": 2})
    assert [example["line"] for example in told["phrases"][0]["examples"]] == [2, 5]
    broken = shell.run("lexicon", "try", "--on", shell.file("broken.jsonl", '{"text": "a"}\n{"txt": "b"}\n'))
    assert broken.exit_code == 1 and 'broken.jsonl:2: no text; write {"text": "…", "side": "agent"}' in broken.output


def test_what_is_nearly_found_says_what_keeps_it_from_being_one(shell: Shell) -> None:
    said = shell.ok("lexicon", "test", "你们是骗子吧", "--side", "customer")
    assert "verdict: allow" in said and "its speaker keeps it from being one" in said
