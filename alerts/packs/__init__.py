"""The lexicon packs that are shipped, and jieba's dictionary, as text for the phrase engine, which reads no files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from detectors.phrases.boundaries import Segment, segmenter


def shipped_packs() -> dict[str, str]:
    """File name -> TOML text of every pack beside this file, by name."""
    found = (entry for entry in files(__package__).iterdir() if entry.name.endswith(".toml"))
    return {entry.name: entry.read_text("utf-8") for entry in sorted(found, key=lambda entry: entry.name)}


def chinese_words(text: str) -> Sequence[tuple[int, int]]:
    """Return the words of a text by the dictionary of the installed jieba.

    It takes a moment the first time in a process: a worker asks once beside its work, so that no message waits.
    """
    with _loading:
        segment = _dictionary()
    return segment(text)


_loading = Lock()


@cache
def _dictionary() -> Segment:
    """Read jieba's dictionary."""
    # Found without importing: jieba warns when Python compiles it, which `segmenter` keeps quiet.
    spec = find_spec("jieba")
    if spec is None or spec.origin is None:
        raise RuntimeError("jieba is not installed; install tonewatch with its dependencies.")
    return segmenter(Path(spec.origin).with_name("dict.txt").read_text("utf-8"))
