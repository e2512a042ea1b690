"""Phrase lists of others: CSV and JSON Lines in the fields of an entry, read whole with line and cure, and written."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Literal, NamedTuple

from detectors.phrases.fold import fold, has_unspaced, run_on_view
from detectors.phrases.lexicon import Phrase, meant, read_entry

ListKind = Literal["csv", "jsonl"]

FIRST_NUMBER = 1001
"""Of phrases that come without an id: those of the shipped packs have three digits, and more may be shipped."""
KEYS = tuple(field.name for field in fields(Phrase))
LISTS = ("aliases", "allow", "negation")
BETWEEN = "|"
"""Stands between the items of a list in one cell of a CSV file."""
_CATEGORY = re.compile(r"[a-z_]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_ALWAYS = ("id", "phrase", "category", "severity", "action", "speaker")


class Read(NamedTuple):
    """What a list holds."""

    phrases: tuple[Phrase, ...]
    errors: tuple[str, ...]
    """One a thing wrong, with file, line and what to write; the lines they are about are not among `phrases`."""


def language_of(phrase: str) -> str:
    """The language that an id names where nobody says it: `zh` for what is written without blanks, else `en`."""
    return "zh" if has_unspaced(phrase) else "en"


def read_list(
    text: str,
    source: str,
    kind: ListKind,
    given: Mapping[str, Any] | None = None,
    *,
    taken: Collection[str] = (),
    first_number: int = FIRST_NUMBER,
) -> Read:
    """The phrases of a CSV file with the fields' names above its columns, or of JSON Lines.

    `given` are values that every entry gets, whatever the file says. A line without an id gets
    `category.language.number`, its language from the field `lang` or from its writing, its number the next from
    `first_number` on that is not in `taken`.
    """
    errors: list[str] = []
    rows = _csv_rows(text, source, errors) if kind == "csv" else _json_rows(text, source, errors)
    phrases: list[Phrase] = []
    numbers: Counter[str] = Counter()
    seen: dict[tuple[str, str], int] = {}
    ids: dict[str, int] = {}
    for line, row in rows:
        entry = {**row, **(given or {})}
        language = entry.pop("lang", None)
        wrong = []
        if "id" not in entry and isinstance(entry.get("phrase"), str):
            wrong += _give_id(entry, language, numbers, taken, first_number)
        phrase, found = (None, []) if wrong else read_entry(entry, {})
        wrong += [what for _, what in found]
        if phrase is not None:
            key = (run_on_view(fold(phrase.phrase)), phrase.speaker)
            if key in seen:
                wrong.append(f'"{phrase.phrase}" stands in line {seen[key]} already; take one of them out')
            elif phrase.id in ids:
                wrong.append(f"id {phrase.id} stands in line {ids[phrase.id]} already; write another number")
            else:
                seen[key] = ids[phrase.id] = line
                phrases.append(phrase)
        errors += [f"{source}:{line}: {what}" for what in wrong]
    return Read(tuple(phrases), tuple(errors))


def _give_id(
    entry: dict[str, Any], language: Any, numbers: Counter[str], taken: Collection[str], first: int
) -> list[str]:
    """Give an entry the next id of its category and language; return what stands against it."""
    category = entry.get("category")
    if not isinstance(category, str) or not _CATEGORY.fullmatch(category):
        what = f'category "{category}" makes no id' if category else "the entry has no category"
        return [f'{what}; write one of small letters, as "abuse", or give one for all of them']
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        language = language_of(entry["phrase"])
    stem = f"{category}.{language}"
    while True:
        number = first + numbers[stem]
        numbers[stem] += 1
        entry["id"] = f"{stem}.{number:03d}"
        if entry["id"] not in taken:
            return []


def _csv_rows(text: str, source: str, errors: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of each row; what is wrong with the file itself goes to `errors`."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # splitlines() would cut a cell at U+2028 as well
    head = lines[0] if lines else ""
    # A German or French spreadsheet writes semicolons, one that was copied from has tabs.
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        unknown = [column for column in columns if column and column not in (*KEYS, "lang")]
        errors += [
            f'{source}:1: unknown column "{column}"; did you mean {meant(column, KEYS)}? Or take the column out'
            for column in unknown
        ]
        if "phrase" not in columns:
            errors.append(f'{source}:1: no column is called "phrase"; write above the columns: {",".join(KEYS[:6])}')
            return
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) > len(columns) and any(cells[len(columns) :]):
                    what = f"{len(cells)} cells under {len(columns)} columns"
                    errors.append(f"{source}:{line}: {what}; put quotes around a cell that has a {delimiter!r} in it")
                else:
                    pairs = zip(columns, cells, strict=False)
                    filled = ((key, cell.strip()) for key, cell in pairs if cell.strip() and key in (*KEYS, "lang"))
                    yield line, {key: _cell(key, cell) for key, cell in filled}
            line = reader.line_num + 1
    except csv.Error as error:
        errors.append(f"{source}:{reader.line_num}: not CSV: {error}; put quotes in a cell twice and around it")


def _cell(key: str, cell: str) -> Any:
    """The value of a cell."""
    if key in LISTS:
        return [item.strip() for item in cell.split(BETWEEN) if item.strip()]
    return int(cell) if key == "gap" and cell.isdecimal() and len(cell) < 4 else cell


def _json_rows(text: str, source: str, errors: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else "too deep"
            errors.append(f'{source}:{number}: not JSON: {what}; write {{"phrase": "...", "category": "abuse"}}')
            continue
        if isinstance(row, dict):
            yield number, {key: value for key, value in row.items() if value is not None}
        else:
            errors.append(f'{source}:{number}: no JSON object; write {{"phrase": "...", "category": "abuse"}}')


def _written(phrase: Phrase) -> dict[str, Any]:
    """The fields of a phrase that say something, in order."""
    usual = {field.name: field.default for field in fields(Phrase)}
    values = ((key, getattr(phrase, key)) for key in KEYS)
    return {key: value for key, value in values if key in _ALWAYS or value != usual[key]}


def csv_of(phrases: Iterable[Phrase]) -> str:
    """The phrases as CSV, which `read_list` takes back."""
    lines: list[str] = []

    class _Lines:
        write = staticmethod(lines.append)

    writer = csv.DictWriter(_Lines(), KEYS, restval="", lineterminator="\n")
    writer.writeheader()
    for phrase in phrases:
        row = _written(phrase)
        writer.writerow({key: BETWEEN.join(value) if key in LISTS else value for key, value in row.items()})
    return "".join(lines)


def jsonl_of(phrases: Iterable[Phrase]) -> str:
    """The phrases as JSON Lines, which `read_list` takes back."""
    return "".join(json.dumps(_written(phrase), ensure_ascii=False) + "\n" for phrase in phrases)
