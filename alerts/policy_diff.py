"""What differs between two policies, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import tomli

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that differs."""

    what: Literal["phrase", "rule", "defaults"]
    how: Literal["added", "removed", "changed"]
    id: str
    """Of the phrase or rule; of defaults `pack category`."""
    name: str
    """The phrase as written, the rule's name."""
    fields: tuple[tuple[str, Any, Any], ...] = ()
    """(field, before, after) of what changed; None where it was or is not given."""


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the changes that make the policy body `after` of `before`: phrases, defaults, then rules.

    Only the texts are read, so an older policy may have what this version no longer takes.
    """
    if before == after:
        return ()
    same = {name for name, text in before["packs"].items() if after["packs"].get(name) == text}
    old, new = (
        {name: text for name, text in body["packs"].items() if name not in same}
        for body in (before, after)
    )  # fmt: skip
    changes = list(_compare("phrase", _phrases(old), _phrases(new)))
    changes += _compare("defaults", _defaults(old), _defaults(new))
    if before["rules"] != after["rules"]:
        changes += _compare("rule", _rules(before["rules"]), _rules(after["rules"]))
    return tuple(changes)


@lru_cache(maxsize=64)
def _read(text: str) -> Table:
    """Read a TOML text; versions have most of theirs in common."""
    return tomli.loads(text)


def _phrases(packs: Mapping[str, str]) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for name, text in packs.items():
        for entry in _read(text).get("phrase", []):
            found[entry["id"]] = {**entry, "pack": name}
    return found


def _defaults(packs: Mapping[str, str]) -> dict[str, Table]:
    return {
        f"{name} {category}": values
        for name, text in packs.items()
        for category, values in _read(text).get("defaults", {}).items()
    }


def _rules(text: str) -> dict[str, Table]:
    return {rule["id"]: rule for rule in _read(text).get("rule", [])}


def _compare(
    what: Literal["phrase", "rule", "defaults"], before: Mapping[str, Table], after: Mapping[str, Table]
) -> Iterator[Change]:
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        entry = new if new is not None else old
        assert entry is not None
        name = _name(what, entry)
        if old is None:
            # Whole packs' defaults come and go with their phrases, which say it.
            yield Change(what, "added", key, name, _fields({}, new or {}))
        elif new is None:
            yield Change(what, "removed", key, name)
        elif old != new:
            yield Change(what, "changed", key, name, _fields(old, new))


def _name(what: str, entry: Table) -> str:
    if what == "phrase":
        return str(entry.get("phrase", ""))
    name = entry.get("name", "")
    return str(name.get("zh") or name.get("en") or "") if isinstance(name, dict) else str(name)


def _fields(old: Table, new: Table) -> tuple[tuple[str, Any, Any], ...]:
    keys = dict.fromkeys([*old, *new])
    hidden = {"id", "phrase", "name"} if not old else set()
    return tuple(
        (key, old.get(key), new.get(key)) for key in keys if key not in hidden and old.get(key) != new.get(key)
    )
