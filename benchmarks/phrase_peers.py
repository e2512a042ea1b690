"""What else one would find phrases with: a plain Aho-Corasick automaton, flashtext, better_profanity, obscenity."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import ahocorasick_rs

NODE_PEERS = Path(__file__).parent / "peers"

Find = Callable[[str], Any]


def plain_spelling(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


class PlainLexicon:
    """The usual way: NFKC, case folding, ahocorasick_rs; words of Latin letters only whole."""

    def __init__(self, phrases: Sequence[str], allow: Sequence[str] = ()) -> None:
        spellings = dict.fromkeys(plain for phrase in phrases if (plain := plain_spelling(phrase.strip("*"))))
        self._automaton = ahocorasick_rs.AhoCorasick(list(spellings))
        self._allow = [plain_spelling(text) for text in allow]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """[start, end) in the text as normalised, for the automaton knows no other."""
        plain = plain_spelling(text).encode("utf-8", "replace").decode()
        found = self._automaton.find_matches_as_indexes(plain, overlapping=True)
        return [
            (start, end)
            for _, start, end in found
            if not _cuts_a_word(plain, start, start - 1) and not _cuts_a_word(plain, end - 1, end)
            if not any(_covered(plain, allowed, start, end) for allowed in self._allow)
        ]


def _cuts_a_word(text: str, inner: int, outer: int) -> bool:
    return 0 <= outer < len(text) and all(text[place].isascii() and text[place].isalnum() for place in (inner, outer))


def _covered(text: str, allowed: str, start: int, end: int) -> bool:
    place = text.find(allowed, max(0, end - len(allowed)))
    return 0 <= place <= start


def raw_automaton(phrases: Sequence[str]) -> Find:
    """ahocorasick_rs on the text as it is: no folding, no boundary, no span in the original."""
    return ahocorasick_rs.AhoCorasick(list(phrases)).find_matches_as_indexes


def flashtext(phrases: Sequence[str]) -> Find:
    """Raises ImportError where it is not installed."""
    processor = import_module("flashtext").KeywordProcessor()
    processor.add_keywords_from_list(list(phrases))

    def find(text: str) -> Any:
        return processor.extract_keywords(text, span_info=True)

    return find


def better_profanity(phrases: Sequence[str]) -> Find:
    """Raises ImportError where it is not installed. It only says whether there is something."""
    profanity = import_module("better_profanity").Profanity()
    profanity.load_censor_words(list(phrases))
    contains: Find = profanity.contains_profanity
    return contains


def obscenity(phrases: Sequence[str], messages: Sequence[str], runs: int) -> tuple[float, float]:
    """(mean, p99) in µs a message, timed by Node itself. Raises ImportError where Node or obscenity is missing."""
    node = shutil.which("node")
    if node is None or not (NODE_PEERS / "node_modules" / "obscenity").is_dir():
        raise ImportError("no Node, or no obscenity: `make setup` fetches it where Node is")
    # A lone surrogate has no UTF-8; JSON escapes it.
    given = json.dumps({"phrases": list(phrases), "messages": list(messages), "runs": runs})
    done = subprocess.run(
        [node, str(NODE_PEERS / "obscenity.mjs")], input=given, text=True, stdout=subprocess.PIPE, check=True
    )
    told = json.loads(done.stdout)
    return told["mean"], told["p99"]
