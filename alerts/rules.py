"""How rules read: a TOML file becomes frozen rules, or a list of what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tomli
from pydantic import ValidationError

from alerts.alert import Conversation, is_graver
from alerts.condition_reading import read_condition
from alerts.conditions import Compare, Condition, HitCount, NoReply, RuleSide, primary_language
from alerts.conditions import leaves as leaves_of
from alerts.rule_shapes import (
    COMPARATORS,
    KINDS_OF_CONDITION,
    LevelShape,
    Path,
    Report,
    RuleShape,
    line_of,
    problems_of,
)
from detectors.metrics import BY_NAME
from detectors.values import Severity

HIT_COOLDOWN_SECONDS = 600.0
"""How long an alert on hits stays by default: as long as a chain of evasions is followed."""


class RuleError(ValueError):
    """A rule file was refused; `problems` has one sentence a mistake, with file, line and remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Level:
    """One step of a rule: how bad, when, and for how long it must hold."""

    severity: Severity
    condition: Condition
    for_seconds: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition over scores, hits and waits, with what to ask when it holds."""

    id: str
    name: Mapping[str, str]
    category: str
    side: RuleSide
    levels: tuple[Level, ...]
    """From the mildest to the gravest; the alert rises through them and never falls."""
    severity_of_hit: bool
    """The gravest hit says how bad it is."""
    cooldown_seconds: float
    """The alert stays this long after its condition last held."""
    audience: tuple[str, ...]
    teams: frozenset[str]
    """Empty means everywhere; so for the next three."""
    queues: frozenset[str]
    languages: frozenset[str]
    kinds: frozenset[str]
    enabled: bool
    dry_run: bool

    @property
    def leaves(self) -> list[Compare | HitCount | NoReply]:
        """The comparisons, counts and waits of every level."""
        return [leaf for level in self.levels for leaf in leaves_of(level.condition)]

    @property
    def metrics(self) -> set[str]:
        """The metrics it names."""
        return {leaf.metric for leaf in self.leaves if isinstance(leaf, Compare)}

    @property
    def is_audio(self) -> bool:
        """Whether the audio worker judges it, second by second."""
        return any(BY_NAME[name].from_ == "audio" for name in self.metrics)

    @property
    def is_wait(self) -> bool:
        """Whether the sweep raises it."""
        return any(isinstance(leaf, NoReply) for leaf in self.leaves)

    def applies_to(self, conversation: Conversation) -> bool:
        """Whether the conversation is in its scope, as far as is known."""
        return (
            (not self.teams or conversation.team in self.teams)
            and (not self.queues or conversation.queue in self.queues)
            and (not self.languages or primary_language(conversation.language) in self.languages)
            and (not self.kinds or conversation.kind in self.kinds)
        )


class RuleSet:
    """The rules of one policy version, sorted by who judges them. Never changed after it is made."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.by_id = {rule.id: rule for rule in self.rules}
        enabled = [rule for rule in self.rules if rule.enabled]
        self.audio = tuple(rule for rule in enabled if rule.is_audio)
        self.waits = tuple(rule for rule in enabled if rule.is_wait)
        self.chat = tuple(rule for rule in enabled if not rule.is_audio and not rule.is_wait)
        # Properties would walk the conditions of every rule for every call and second.
        self.in_speech = frozenset(r.id for r in self.audio if any(BY_NAME[name].needs_speech for name in r.metrics))
        windows = [leaf.within_seconds for rule in enabled for leaf in rule.leaves if isinstance(leaf, HitCount)]
        self.longest_window_seconds = max((seconds for seconds in windows if seconds), default=0.0)


def parse_rules(text: str, source: str) -> RuleSet:
    """Return the rules of a TOML file. `source` is its name in messages.

    Raises RuleError with every mistake in it, each like "rules.toml:17: rule volume.raised: `above` is 200
    but volume.over_baseline_db ends at 60; write a number from -60 to 60".
    """
    try:
        tables = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise RuleError([f"{source}: not TOML: {error}"]) from None
    problems = [(1, f"`{key}` is no key of a rule file; write [[rule]]") for key in tables if key != "rule"]
    entries = tables.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RuleError([f"{source}:1: `rule` is not a list of tables; begin each rule with [[rule]]"])
    rules: list[Rule] = []
    for index, entry in enumerate(entries):

        def report(path: Path, problem: str, index: int = index, entry: Mapping[str, Any] = entry) -> None:
            named = f"rule {entry['id']}" if isinstance(entry.get("id"), str) else f"rule {index + 1}"
            problems.append((line_of(text, index, path), f"{named}: {problem}"))

        try:
            rule = _rule(RuleShape.model_validate(entry), report)
        except ValidationError as error:
            for path, problem in problems_of(error):
                report(path, problem)
            continue
        if any(rule.id == earlier.id for earlier in rules):
            report(("id",), f"`id` is {rule.id!r}, which an earlier rule has; write another one")
        rules.append(rule)
    if problems:
        raise RuleError(f"{source}:{line}: {problem}" for line, problem in sorted(problems))
    return RuleSet(rules)


def _rule(shape: RuleShape, report: Report) -> Rule:
    """Return the rule, having reported what is wrong with it."""
    rule = Rule(
        id=shape.id,
        name=shape.name.model_dump(),
        category=shape.category,
        side=shape.side or "agent",
        levels=tuple(_levels(shape, report)),
        severity_of_hit=shape.severity == "of_hit",
        cooldown_seconds=shape.cooldown_seconds or 0.0,
        audience=tuple(dict.fromkeys(shape.audience)),
        teams=frozenset(shape.teams),
        queues=frozenset(shape.queues),
        languages=frozenset(primary_language(language) for language in shape.languages),
        kinds=frozenset(shape.kinds),
        enabled=shape.enabled,
        dry_run=shape.dry_run,
    )
    if rule.is_wait:
        _check_wait(rule, shape, report)
        return rule if rule.kinds else replace(rule, kinds=frozenset({"chat"}))
    if rule.is_audio:
        _check_audio(rule, report)
        return rule
    if rule.leaves:
        _check_chat(rule, shape, report)
    return rule if shape.cooldown_seconds else replace(rule, cooldown_seconds=HIT_COOLDOWN_SECONDS)


def _levels(shape: RuleShape, report: Report) -> Iterator[Level]:
    """Yield the levels of a rule: its own condition, or what each level makes of it."""
    if shape.levels is None:
        if shape.severity is None:
            report(("severity",), "`severity` is missing; write info, warning, critical or of_hit, or [[rule.levels]]")
        severity: Severity = shape.severity if shape.severity and shape.severity != "of_hit" else "info"
        condition = read_condition(shape.given(), shape.side or "agent", (), report)
        yield Level(severity, condition, shape.for_seconds)
        return
    if shape.severity is not None or not shape.levels:
        report(
            ("severity",), "a rule has either one `severity` or [[rule.levels]], each with its own; keep one of them"
        )
    for index, level in enumerate(shape.levels):
        if index and not is_graver(level.severity, shape.levels[index - 1].severity):
            report(
                ("levels", index, "severity"),
                f"`severity` {level.severity} does not stand above {shape.levels[index - 1].severity} before it; "
                "write the levels from info to critical, each once",
            )
        condition = read_condition(
            _merged(shape, level), level.side or shape.side or "agent", ("levels", index), report
        )
        yield Level(level.severity, condition, shape.for_seconds if level.for_seconds is None else level.for_seconds)


def _merged(shape: RuleShape, level: LevelShape) -> dict[str, Any]:
    """Return the condition's keys of a level: its own, and those of its rule that it does not replace."""
    own, of_rule = level.given(), shape.given()
    if any(kind in own for kind in KINDS_OF_CONDITION if kind not in of_rule):
        return own
    if any(name in own for name in COMPARATORS):
        of_rule = {key: value for key, value in of_rule.items() if key not in COMPARATORS}
    return of_rule | own


def _check_wait(rule: Rule, shape: RuleShape, report: Report) -> None:
    """Report what a rule over waits cannot have: no message arrives with which anything else could be judged."""
    if any(not isinstance(level.condition, NoReply) for level in rule.levels):
        report(
            ("no_reply_seconds",),
            "`no_reply_seconds` cannot be joined with other conditions; give it a rule of its own",
        )
    if shape.for_seconds or shape.cooldown_seconds:
        key = "for_seconds" if shape.for_seconds else "cooldown_seconds"
        report((key,), f"`{key}` says nothing beside `no_reply_seconds`, which ends with the reply; leave it out")


def _check_audio(rule: Rule, report: Report) -> None:
    """Report what a rule over the sound of a call cannot have."""
    audio = sorted(name for name in rule.metrics if BY_NAME[name].from_ == "audio")[0]
    for name in sorted(rule.metrics):
        if name != "speech_rate.from_words_spm" and BY_NAME[name].from_ != "audio":
            report(("metric",), f"{name} is known with a message and {audio} is not; write two rules")
    if any(isinstance(leaf, HitCount) and leaf.within_seconds is None for leaf in rule.leaves):
        report(("hits",), f"`hits` beside {audio} needs a time; write within_seconds = 60")
    if rule.severity_of_hit:
        report(("severity",), "`severity` is of_hit in a rule over sound; write info, warning or critical")


def _check_chat(rule: Rule, shape: RuleShape, report: Report) -> None:
    """Report what a rule that is judged message by message cannot have."""
    if shape.for_seconds or any(level.for_seconds for level in rule.levels):
        report(("for_seconds",), "`for_seconds` says nothing in a rule that is judged by the message; leave it out")
    if any(isinstance(leaf, Compare) and leaf.until is not None for leaf in rule.leaves):
        report(("until",), "`until` says nothing in a rule that is judged by the message; write cooldown_seconds")
    if rule.severity_of_hit and not any(isinstance(leaf, HitCount) for leaf in rule.leaves):
        report(("severity",), "`severity` is of_hit but the rule counts no hits; write info, warning or critical")
