"""What `tonewatch lexicon` does: phrases checked, tried, added, and brought from and to elsewhere."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.cells import cell_len
from sqlalchemy.ext.asyncio import AsyncEngine

from alerts.packs import shipped_packs
from alerts.policy_edit import add_phrase, put_packs, read_packs, remove_phrase
from alerts.policy_history import latest_version
from alerts.store.database import open_engine
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine, action_of
from detectors.phrases.lexicon import LexiconError, Phrase, lexicon_of, parse_pack
from detectors.phrases.lists import csv_of, jsonl_of, read_list
from detectors.phrases.near_misses import near_misses
from detectors.phrases.pack_text import pack_text
from detectors.phrases.wecom import rules_of
from detectors.values import Hit, Side
from stream.command import err, fail, out, read_settings, run
from stream.lexicon_try import print_trial, try_lexicon

T = TypeVar("T")


def _pack(path: Path, given: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Return (name, TOML text) of a file of phrases. Raises LexiconError with every mistake, OSError."""
    text = path.read_text("utf-8-sig")
    if path.suffix == ".toml":
        parse_pack(text, path.name)
        return path.name, text
    if path.suffix not in (".csv", ".jsonl"):
        raise LexiconError((f"{path}: neither a pack (.toml) nor a list (.csv, .jsonl); give it one of these names",))
    read = read_list(text, str(path), "csv" if path.suffix == ".csv" else "jsonl", given)
    if read.errors:
        raise LexiconError(read.errors)
    return f"{path.stem}.toml", pack_text(read.phrases, f"Imported from {path.name}.")


def _refused(error: LexiconError | OSError | UnicodeDecodeError, path: Path) -> str:
    if isinstance(error, LexiconError):
        return str(error)
    what = error.strerror if isinstance(error, OSError) else "it is not UTF-8; save it as UTF-8"
    return f"{path}: {what}"


def _read(paths: list[Path], given: Mapping[str, Any] | None = None) -> dict[str, str]:
    packs: dict[str, str] = {}
    for path in paths:
        try:
            name, text = _pack(path, given)
        except (LexiconError, OSError, UnicodeDecodeError) as error:
            fail(_refused(error, path))
        packs[name] = text
    return packs


def _with_database(work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Run something on the database of the settings."""
    from stream.worker import database_config

    async def opened() -> T:
        engine = open_engine(database_config(read_settings()))
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return run(opened())


def _chosen(files: list[Path], in_force: bool) -> dict[str, str]:
    """Return the packs that a command is about."""
    if files:
        return _read(files)
    return dict(_with_database(latest_version)[1]["packs"]) if in_force else shipped_packs()


def check(files: list[Path]) -> None:
    """Check packs: every mistake with its file, line and what to write instead."""
    bad = False
    for path in files:
        try:
            name, text = _pack(path)
        except (LexiconError, OSError, UnicodeDecodeError) as error:
            err.print(_refused(error, path), style="red", markup=False, highlight=False, soft_wrap=True)
            bad = True
            continue
        phrases = parse_pack(text, name)
        categories = sorted({phrase.category for phrase in phrases})
        out.print(f"{path}: {len(phrases)} phrases ({', '.join(categories)})", highlight=False, soft_wrap=True)
    try:
        if not bad:
            lexicon_of(_read(files))
    except LexiconError as error:
        fail(str(error))
    if bad:
        raise typer.Exit(1)


def test(text: str, side: Side, pack: list[Path], in_force: bool) -> None:
    """Say what is found in a message and why, and what is not, though it looks like it."""
    engine = PhraseEngine(lexicon_of(_chosen(pack, in_force)), chinese_words)
    reading = engine.read(text, side)
    by_id = {phrase.id: phrase for phrase in engine.lexicon.phrases}
    for hit in reading.hits:
        _underlined(text, hit)
        out.print(_told(hit, by_id[hit.phrase_id]), markup=False, highlight=False, soft_wrap=True)
    out.print(f"verdict: {action_of(reading.hits)}", highlight=False)
    for miss in near_misses(engine, chinese_words, text, side):
        words = f" ({', '.join(miss.words)})" if miss.words else ""
        out.print(
            f"not {miss.phrase.id} {miss.phrase.phrase}: its {miss.why}{words} keeps it from being one",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _underlined(text: str, hit: Hit) -> None:
    start, end = hit.span
    shown = text.replace("\n", " ").replace("\t", " ")
    out.print(shown, markup=False, highlight=False, soft_wrap=True)
    marks = " " * cell_len(shown[:start]) + "^" * max(1, cell_len(shown[start:end]))
    out.print(marks, markup=False, highlight=False, soft_wrap=True)


def _told(hit: Hit, phrase: Phrase) -> str:
    return f"{phrase.action}: {phrase.id} {phrase.phrase} ({phrase.category}, {phrase.severity}), found {hit.how}"


def try_on(on: Path, pack: list[Path], in_force: bool, side: Side, examples: int, json_file: Path | None) -> None:
    """Try phrases on messages that are known to be harmless, say: how many are hit, by which phrases, with examples."""
    engine = PhraseEngine(lexicon_of(_chosen(pack, in_force)), chinese_words)
    try:
        trial = try_lexicon(engine, on, side, examples)
    except (OSError, ValueError) as error:
        fail(f"{on}: {error.strerror}" if isinstance(error, OSError) else str(error))
    print_trial(trial, json_file)


def add(given: Mapping[str, Any], why: str) -> None:
    """Add a phrase to the policy in force; every worker has it within two seconds."""
    version, added = _with_database(
        lambda engine: add_phrase(engine, given, who=getpass.getuser(), why=why, now=time.time())
    )
    what = f"{added.id} {added.phrase} ({added.severity}, {added.action})"
    out.print(f"policy {version} is in force with {what}", markup=False, highlight=False, soft_wrap=True)


def remove(phrase_id: str, why: str) -> None:
    """Take a phrase out of the policy in force."""
    version, gone = _with_database(
        lambda engine: remove_phrase(engine, phrase_id, who=getpass.getuser(), why=why, now=time.time())
    )
    what = f"{gone.id} {gone.phrase}"
    out.print(f"policy {version} is in force without {what}", markup=False, highlight=False, soft_wrap=True)


def import_files(files: list[Path], why: str, values: Mapping[str, Any]) -> None:
    """Add packs to the policy in force, or replace those of the same name; refused whole where anything is wrong."""
    packs = _read(files, {key: value for key, value in values.items() if value is not None})
    version, is_new = _with_database(
        lambda engine: put_packs(engine, packs, who=getpass.getuser(), why=why, now=time.time())
    )
    out.print(f"policy {version} is in force" + ("" if is_new else " already: nothing differs"), highlight=False)


def export(to: str, name: str | None, in_force: bool, file: Path | None) -> None:
    """Write phrases for elsewhere: as a pack, a list, or WeCom's own rules (externalcontact/add_intercept_rule)."""
    packs = read_packs(_chosen([], in_force))
    if name is not None and name not in packs:
        fail(f"there is no pack {name}; write one of {', '.join(packs)}")
    phrases = [phrase for each, found in packs.items() if name in (None, each) for phrase in found]
    if to == "wecom":
        rules = rules_of(phrases)
        written = json.dumps(rules.bodies, ensure_ascii=False, indent=2) + "\n"
        _say_what_wecom_lacks(rules.left_out, len(rules.coarser))
    else:
        written = {
            "toml": lambda: pack_text(phrases, "Exported."),
            "csv": lambda: csv_of(phrases),
            "jsonl": lambda: jsonl_of(phrases),
        }[to]()
    if file is None:
        out.out(written, end="", highlight=False)
    else:
        file.write_text(written, "utf-8")
        err.print(f"{len(phrases)} phrases are in {file}", highlight=False, soft_wrap=True)


def _say_what_wecom_lacks(left_out: tuple[tuple[Phrase, str, str], ...], coarser: int) -> None:
    for phrase, spelling, why in left_out:
        err.print(f"left out: {phrase.id} {spelling}: {why}", markup=False, highlight=False, soft_wrap=True)
    if coarser:
        err.print(f"{coarser} phrases have exceptions that WeCom does not know; it will find them too often there")
