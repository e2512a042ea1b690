"""Packs as text: entries written as TOML, added to a pack and taken out of one, the rest of it left as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import tomli

from detectors.phrases.lexicon import Phrase, parse_pack

LINE_CODE_POINTS = 120
_ALWAYS = ("severity", "action", "speaker")
"""Written even where they are the usual: they are what somebody who reads the pack looks for."""
_HEAD = re.compile(r"^\s*\[")
_ENTRY = re.compile(r"^\s*\[\[\s*phrase\s*\]\]")


def _value(key: str, value: Any) -> str:
    """A value as TOML. JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    if not isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    items = [_value(key, item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(key) + len(" = ") + len(line) <= LINE_CODE_POINTS:
        return line
    return "[\n" + "".join(f"  {item},\n" for item in items) + "]"


def entry_text(phrase: Phrase, defaults: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """A phrase as `[[phrase]]` of a pack whose defaults by category are `defaults`; what they give is left out."""
    usual: dict[str, Any] = {field.name: field.default for field in fields(Phrase)}
    usual["category"] = phrase.id.partition(".")[0]
    for key, value in (defaults or {}).get(phrase.category, {}).items():
        usual[key] = tuple(value) if isinstance(value, list) else value
    lines = ["[[phrase]]\n"]
    for field in fields(Phrase):
        value = getattr(phrase, field.name)
        if value is None or (value == usual[field.name] and not (field.name in _ALWAYS and not defaults)):
            continue
        lines.append(f"{field.name} = {_value(field.name, value)}\n")
    return "".join(lines)


def pack_text(phrases: Iterable[Phrase], heading: str) -> str:
    """A whole pack of phrases under a comment."""
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    return "\n".join([comment, *(entry_text(phrase) for phrase in phrases)])


def with_entry(text: str, phrase: Phrase) -> str:
    """The pack with a phrase more, at its end. Raises LexiconError if the pack then has an error."""
    defaults = tomli.loads(text).get("defaults", {})
    changed = f"{text.rstrip()}\n\n{entry_text(phrase, defaults)}"
    if parse_pack(changed, "pack")[-1] != phrase:
        # A default that cannot be undone by an entry, such as a gap: written without any.
        changed = pack_text((*parse_pack(text, "pack"), phrase), "Written anew: a default had to go.")
    return changed


def without_entry(text: str, phrase_id: str) -> str:
    """The pack without one entry; comments before the next one stay. Raises KeyError if it is not there."""
    phrases = parse_pack(text, "pack")
    index = next((number for number, phrase in enumerate(phrases) if phrase.id == phrase_id), None)
    if index is None:
        raise KeyError(phrase_id)
    rest = phrases[:index] + phrases[index + 1 :]
    lines = text.splitlines(keepends=True)
    heads = [number for number, line in enumerate(lines) if _ENTRY.match(line)]
    if len(heads) == len(phrases):
        start = heads[index]
        end = next(
            (n for n in range(start + 1, len(lines)) if _HEAD.match(lines[n]) and _is_head(lines, n)), len(lines)
        )
        while end > start + 1 and end < len(lines) and lines[end - 1].lstrip().startswith("#"):
            end -= 1  # what stands right above the next entry belongs to it
        changed = "".join(lines[:start] + lines[end:]).rstrip() + "\n"
        if _reads_as(changed, rest):
            return changed
    # Entries in a form that lines do not show: written anew, which loses its comments and not its meaning.
    return pack_text(rest, "Written anew: an entry was taken out.")


def _is_head(lines: list[str], number: int) -> bool:
    """Whether a line that begins with a bracket begins a table, and is no line of a list."""
    return re.match(r"^\s*\[\[?\s*[\w\"'.\- ]+\s*\]\]?\s*(#.*)?$", lines[number]) is not None


def _reads_as(text: str, phrases: tuple[Phrase, ...]) -> bool:
    """Whether a pack is read as these phrases, and nothing of it is an error."""
    try:
        return parse_pack(text, "pack") == phrases
    except ValueError:
        return False
