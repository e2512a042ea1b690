"""The form of a rule file: which keys a rule may have, and where in the file a wrong one stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alerts.conditions import Comparator, RuleSide, primary_language
from detectors.values import Severity

Path = tuple[str | int, ...]
"""Where in a rule: ("levels", 0, "above")."""
Report = Callable[[Path, str], None]
"""Takes where in a rule a mistake stands, and what to write instead."""

COMPARATORS: tuple[Comparator, ...] = ("above", "at_least", "below", "at_most")
KINDS_OF_CONDITION = ("metric", "hits", "no_reply_seconds", "all", "any", "not")
BELONGS_TO: dict[str, str] = {
    **dict.fromkeys((*COMPARATORS, "until"), "metric"),
    **dict.fromkeys(("severities", "categories", "phrases", "within_seconds", "delivered"), "hits"),
    "reply": "no_reply_seconds",
}
"""A key that only says more about one kind of condition -> that kind."""


def _check_limit(value: object) -> object:
    """Accept a number, or a table of one number a language."""
    for number in value.values() if isinstance(value, dict) and value else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError("write a number, or one a language like { zh = 280, en = 180, other = 200 }")
    for language in value if isinstance(value, dict) else ():
        if language != primary_language(language):
            raise ValueError(f"the language {language} would never be met; write {primary_language(language)}")
    return value


LimitShape = Annotated[Any, BeforeValidator(_check_limit)]
Seconds = Annotated[float, Field(ge=0, le=86400)]


class ConditionShape(BaseModel):
    """The keys of one condition."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    side: RuleSide | None = None
    metric: str | None = None
    above: LimitShape = None
    at_least: LimitShape = None
    below: LimitShape = None
    at_most: LimitShape = None
    until: LimitShape = None
    hits: Annotated[int, Field(ge=1, le=1000)] | None = None
    severities: list[Severity] | None = None
    categories: list[str] | None = None
    phrases: list[str] | None = None
    within_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    delivered: bool | None = None
    no_reply_seconds: Annotated[float, Field(gt=0, le=86400)] | None = None
    reply: Literal["first", "later", "any"] | None = None
    all: list[ConditionShape] | None = None
    any: list[ConditionShape] | None = None
    not_: ConditionShape | None = Field(None, alias="not")

    def given(self) -> dict[str, Any]:
        """Return the condition's keys that are written, as the file spells them."""
        names = {*KINDS_OF_CONDITION, *BELONGS_TO}
        return {k: v for k, v in ((k, getattr(self, "not_" if k == "not" else k)) for k in names) if v is not None}


class LevelShape(ConditionShape):
    """The keys of one level; what it leaves out is as in its rule."""

    severity: Severity
    for_seconds: Seconds | None = None


class NameShape(BaseModel):
    """A rule's name for people."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class RuleShape(ConditionShape):
    """The keys of one rule."""

    id: str = Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=80)
    name: NameShape
    category: Literal["manner", "content", "timeliness", "technical"]
    severity: Literal["info", "warning", "critical", "of_hit"] | None = None
    levels: list[LevelShape] | None = None
    for_seconds: Seconds = 0.0
    cooldown_seconds: Seconds | None = None
    teams: list[str] = []
    queues: list[str] = []
    languages: list[str] = []
    kinds: list[Literal["call", "chat"]] = []
    audience: list[Literal["supervisor", "agent"]] = Field(default=["supervisor"], min_length=1)
    enabled: bool = True
    dry_run: bool = False


_WANTED = {
    "string_type": "text in quotes",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list in [ ]",
    "model_type": "a table in { }",
    "string_pattern_mismatch": "small letters, digits and dots, like volume.raised",
}


def problems_of(error: ValidationError) -> Iterable[tuple[Path, str]]:
    """Yield where each error of a rule stands and what to write instead."""
    for found in error.errors(include_url=False):
        path, kind, context = found["loc"], found["type"], found.get("ctx", {})
        key = next((part for part in reversed(path) if isinstance(part, str)), "rule")
        is_, given = f"`{key}` is {found['input']!r}", found["msg"].removeprefix("Value error, ")
        if kind == "missing":
            yield path, f"`{key}` is missing; write {key} = ..."
        elif kind == "extra_forbidden":
            yield path, f"`{key}` is no key of a {_table(path)}; write one of {', '.join(_known(path))}"
        elif kind == "literal_error":
            yield path, f"{is_}; write {context['expected']}"
        elif kind in _WANTED:
            yield path, f"{is_}; write {_WANTED[kind]}"
        elif "ge" in context or "gt" in context or "le" in context:
            bound = {"ge": "from", "gt": "above", "le": "up to"}
            yield path, f"{is_}; write a number " + " ".join(f"{bound[k]} {v:g}" for k, v in context.items())
        else:
            yield path, f"{is_}; {given}"


def _table(path: Path) -> str:
    """Return what a person calls the table that a path leads into."""
    return "rule" if len(path) == 1 else "level" if path[0] == "levels" and len(path) == 3 else "condition"


def _known(path: Path) -> list[str]:
    """Return the keys of that table."""
    table = _table(path)
    shape: type[BaseModel] = RuleShape if table == "rule" else LevelShape if table == "level" else ConditionShape
    return sorted(field.alias or name for name, field in shape.model_fields.items())


def line_of(text: str, rule: int, path: Path = ()) -> int:
    """Return the line, counted from 1, where a key of the rule with index `rule` stands; else where the rule begins.

    The standard parser keeps no positions, so the text is searched: a key written twice in one rule gives
    the first line unless it stands in a level of its own.
    """
    lines = text.splitlines()
    first, last = _section(lines, r"rule", rule, 0, len(lines))
    if path[:1] == ("levels",) and len(path) > 1 and isinstance(path[1], int):
        first, last = _section(lines, r"rule\s*\.\s*levels", path[1], first, last)
    for key in reversed([part for part in path if isinstance(part, str)]):
        pattern = re.compile(rf"""(?:^|[\s{{,.\[])["']?{re.escape(key)}["']?\s*(?:=|\]\])""")
        for number in range(first, last):
            if pattern.search(lines[number].partition("#")[0]):
                return number + 1
    return first + 1


def _section(lines: list[str], table: str, index: int, first: int, last: int) -> tuple[int, int]:
    """Return the first line of the table with that index and the line after its last; (first, last) if not found."""
    header = re.compile(rf"^\s*\[\[\s*{table}\s*\]\]")
    starts = [number for number in range(first, last) if header.match(lines[number])]
    if index >= len(starts):
        return first, last
    return starts[index], starts[index + 1] if index + 1 < len(starts) else last
