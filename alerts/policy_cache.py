"""Keeps compiled phrases in a file, so that a worker that is started again, or told of a new policy, need not compile.

To compile takes up to seconds of CPU, and a killed worker's customers wait for it. What is kept is found by a hash over
the packs and over the code and the libraries that compiled them; whatever is amiss with it, the packs are compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import orjson

import detectors.phrases
from detectors.phrases.automaton import installed_matchers
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.lexicon import lexicon_of

logger = logging.getLogger(__name__)

MOST_FILES = 4
"""The policy in force, the one before, and as many of somebody who tries one out."""
_HASH_BYTES = hashlib.sha256().digest_size


def phrases_of(packs: Mapping[str, str], folder: Path | None = None) -> PhraseEngine:
    """The compiled phrases of some packs: name -> TOML text. Raises LexiconError where they must be compiled.

    Kept in `folder`, or else in `tonewatch` where this user's programs keep what can be made again.
    """
    packs = dict(sorted(packs.items()))  # a database may give them in another order
    file = (folder or _caches() / "tonewatch") / hashlib.sha256(_compiler() + orjson.dumps(packs)).hexdigest()
    engine = _read(file)
    if engine is None:
        engine = PhraseEngine(lexicon_of(packs), chinese_words)
        if (data := engine.saved()) is not None:
            _write(file, data)
    return engine


@cache
def _compiler() -> bytes:
    """What compiles: other code or another library makes other automata of the same packs."""
    source = Path(detectors.phrases.__file__).parent
    matcher = installed_matchers()[0]
    code = hashlib.sha256(f"{sys.version} {matcher} {version(matcher)}".encode())
    for path in sorted(source.glob("*.py")):
        code.update(path.read_bytes())
    return code.digest()


def _caches() -> Path:
    """As the XDG Base Directory Specification says; for a user without a home the folder of temporary files."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return Path(tempfile.gettempdir())


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can write there: what is in it is loaded without a look, and old files are deleted."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _read(file: Path) -> PhraseEngine | None:
    try:
        if not _is_ours(file.parent):
            return None
        data = file.read_bytes()
        os.utime(file)  # in use: others are deleted first
    except OSError:
        return None
    digest, rest = data[:_HASH_BYTES], data[_HASH_BYTES:]
    return PhraseEngine.restored(rest, chinese_words) if hashlib.sha256(rest).digest() == digest else None


def _write(file: Path, data: bytes) -> None:
    """Put it there whole or not at all; without it the next start compiles."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(file.parent):
            return
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(hashlib.sha256(data).digest() + data)
        Path(new.name).replace(file)
        for old in sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-MOST_FILES]:
            old.unlink()
    except OSError as error:
        with contextlib.suppress(NameError, OSError):
            Path(new.name).unlink()
        logger.info("compiled phrases are not kept: %s", error)
