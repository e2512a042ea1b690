"""What reading a message costs at 2,000 and 100,000 phrases, beside matchers that do less, and what a lexicon costs.

`python benchmarks/phrase_speed.py [--only 2k|100k|hostile] [--json FILE]`. One thread; the messages are ordinary
customer-service turns, each read with what its speaker said before, as in a chat. Times are CPU time, medians of
some runs. The 2,000 are the shipped packs filled up with public lists; the 100,000 are the public lists, which hit most
Chinese turns, so that what a hit costs is in that mean. A peer that is not installed is said to be missing. Returns 1
where a bar is missed.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import phrase_peers
from benchmarks.lines import Line, arguments, conclude
from benchmarks.phrase_texts import CLEAN, as_lexicon, list_phrases, rows_of, shipped_lexicon
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import MAX_CODE_POINTS, PhraseEngine
from detectors.phrases.lexicon import Lexicon
from detectors.phrases.memory import EMPTY, SpeakerMemory
from detectors.values import Side

RUNS = 5
MEAN_US = {"2k": 4.0, "100k": 20.0}
P99_US = 40.0
BUILD_SECONDS = 2.0
RELOAD_MS = 20.0
HOSTILE_US_A_CHARACTER = 2.0
SLOW_PEER_MESSAGES = 200
"""better_profanity takes tens of milliseconds a message, obscenity some."""

Message = tuple[str, SpeakerMemory]
Read = Callable[[str, Side, SpeakerMemory], object]


def lexicon_2k() -> Lexicon:
    shipped = shipped_lexicon()
    more = as_lexicon(list_phrases("ldnoobw_zh_en", "surge_profanity_en"))
    return Lexicon(tuple(islice((*shipped.phrases, *more.phrases), 2_000)))


def lexicon_100k() -> Lexicon:
    lists = ("ldnoobw_zh_en", "surge_profanity_en", "dsojevic_profanity_en", "houbb_zh", "konsheng_zh")
    return as_lexicon(islice(list_phrases(*lists), 100_000))


LEXICONS: dict[str, Callable[[], Lexicon]] = {"2k": lexicon_2k, "100k": lexicon_100k}


def messages_of(language: str, engine: PhraseEngine) -> list[Message]:
    """The turns of a language, each with what the engine remembers of its speaker: the turns of one id's beginning."""
    memories: dict[str, SpeakerMemory] = {}
    messages = []
    for row in rows_of(CLEAN[language]):
        dialogue, turn, side = [*str(row["id"]).rsplit("-", 2), "", ""][:3]
        speaker = f"{dialogue}-{side}" if side else f"{dialogue}-{turn}"
        memory = memories.get(speaker, EMPTY)
        messages.append((row["text"], memory))
        memories[speaker] = engine.read(row["text"], "agent", memory).memory
    return messages


def timed(read: Read, messages: Sequence[Message]) -> tuple[float, float, float]:
    """(mean, p50, p99) in µs a message."""
    means, halves, late = [], [], []
    for _ in range(RUNS):
        gc.collect()
        began = time.process_time()
        for text, memory in messages:
            read(text, "agent", memory)
        means.append((time.process_time() - began) / len(messages) * 1e6)
        each = []
        for text, memory in messages:
            start = time.perf_counter_ns()
            read(text, "agent", memory)
            each.append(time.perf_counter_ns() - start)
        each.sort()
        halves.append(each[len(each) // 2] / 1e3)
        late.append(each[len(each) * 99 // 100] / 1e3)
    return statistics.median(means), statistics.median(halves), statistics.median(late)


def reading_lines(size: str, engine: PhraseEngine) -> list[Line]:
    everything: list[Message] = []
    lines = []
    spellings = [spelling for phrase in engine.lexicon.phrases for spelling in phrase.spellings]
    raw = phrase_peers.raw_automaton(spellings)
    for language in CLEAN:
        messages = messages_of(language, engine)
        everything += messages
        hit = sum(bool(engine.read(text, "agent", memory).hits) for text, memory in messages)
        ours, peer = timed(engine.read, messages), timed(_of_text(raw), messages)
        what = f"{size} phrases, {language}: a message"
        note = f"hit {hit} of {len(messages)}; ours {engine.matcher}, beside raw ahocorasick_rs"
        lines.append(Line(f"{what}, mean", ours[0], "µs", note=f"{note} {peer[0]:.2f}"))
        lines.append(Line(f"{what}, p50", ours[1], "µs", note=f"beside {peer[1]:.2f}"))
        lines.append(Line(f"{what}, p99", ours[2], "µs", note=f"beside {peer[2]:.2f}"))
    mean, half, late = timed(engine.read, everything)
    megabytes = sum(len(text.encode("utf-8", "replace")) for text, _ in everything) / 1e6
    return [
        *lines,
        Line(f"{size} phrases, all: a message, mean", mean, "µs", MEAN_US[size]),
        Line(f"{size} phrases, all: a message, p50", half, "µs"),
        Line(f"{size} phrases, all: a message, p99", late, "µs", P99_US if size == "2k" else None),
        Line(f"{size} phrases, all: text", megabytes / (mean * len(everything) / 1e6), "MB/s"),
        *_peer_lines(size, spellings, everything),
    ]


def _of_text(find: phrase_peers.Find) -> Read:
    return lambda text, _side, _memory: find(text)


def _peer_lines(size: str, spellings: Sequence[str], messages: Sequence[Message]) -> list[Line]:
    lines = []
    for name, make, most in (
        ("raw ahocorasick_rs", phrase_peers.raw_automaton, None),
        ("flashtext", phrase_peers.flashtext, None),
        ("better_profanity", phrase_peers.better_profanity, SLOW_PEER_MESSAGES),
    ):
        if size != "2k" and most:
            continue
        try:
            find = make(spellings)
        except ImportError:
            print(f"{name} is not installed; it is left out")
            continue
        some = messages if most is None else messages[:: len(messages) // most]
        mean, _, late = timed(_of_text(find), some)
        lines.append(Line(f"{size} phrases, all: {name}, mean", mean, "µs", note=f"p99 {late:.1f}"))
    if size == "2k":
        some = messages[:: len(messages) // SLOW_PEER_MESSAGES]
        try:
            mean, late = phrase_peers.obscenity(spellings, [text for text, _ in some], RUNS)
            lines.append(Line(f"{size} phrases, all: obscenity on Node, mean", mean, "µs", note=f"p99 {late:.1f}"))
        except ImportError as error:
            print(f"obscenity is left out: {error}")
    return lines


def build_lines(size: str) -> list[Line]:
    """In a process of its own, so that nothing else is in its memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, resident, peak, stall = pool.apply(_built, (size,))
    bar = size == "100k"
    return [
        Line(f"{size} phrases: build", seconds, "s", BUILD_SECONDS if bar else None),
        Line(f"{size} phrases: messages stand still at a reload", stall, "ms", RELOAD_MS if bar else None),
        Line(f"{size} phrases: memory", resident, "MB", note=f"at most {peak:.0f} while it is built"),
    ]


def _built(size: str) -> tuple[float, float, float, float]:
    """Seconds to build, MB more memory after and at most, longest stall in ms while another is built beside."""
    chinese_words("客服")
    lexicon = LEXICONS[size]()
    small = PhraseEngine(shipped_lexicon(), chinese_words)
    texts = [row["text"] for row in rows_of(CLEAN["zh"])[:1_000]]
    gc.collect()
    before = _resident_mb()
    began = time.process_time()
    engine = PhraseEngine(lexicon, chinese_words)
    seconds = time.process_time() - began
    gc.collect()
    after, peak = _resident_mb() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    stalls = [_stall(small, lexicon, texts) for _ in range(3)]
    del engine
    return seconds, after, peak, statistics.median(stalls)


def _stall(engine: PhraseEngine, lexicon: Lexicon, texts: Sequence[str]) -> float:
    """Longest time in ms that one message takes while another lexicon is compiled in a thread and then swapped in."""
    ready: list[PhraseEngine] = []
    beside = threading.Thread(target=lambda: ready.append(PhraseEngine(lexicon, chinese_words)))
    longest = 0.0
    began = last = time.perf_counter()
    beside.start()
    while True:
        for text in texts:
            engine.read(text, "agent")
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        if ready and ready[0] is engine:
            break
        if ready:
            engine = ready[0]  # the swap; one more round by the new one
        if now - began > 60:
            raise SystemExit("the lexicon is not compiled after a minute")
    beside.join()
    return longest * 1e3


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


HOSTILE: dict[str, str] = {
    "one phrase after the other": "骗子",
    "a phrase pulled apart": "骗 . 子 ",
    "one letter": "o",
    "half a phrase": "shut ",
    "letters apart": "s h u t u p ",
    "leet": "1d1o7 5h17 ",
    "marks": "i\u0301\u0301\u0301",
    "invisible": "傻\u200b\u200b瓜",
    "look-alikes": "ѕһіtсоm",
    "emoji": "👩‍👩‍👧‍👦傻🇮🇩",
    "gaps": "保证保证保证退款",
    "astral": "𝓼𝓽𝓾𝓹𝓲𝓭 ",
    "lone surrogates": "\ud83d骗\udc00",
    "other letters": "кот ελα שלום ",
}


def hostile_lines(engine: PhraseEngine) -> list[Line]:
    """100,000 characters of what costs most, in µs a character, and beside a tenth of it."""
    chinese_words("客服")
    lines, steepest = [], 0.0
    for name, piece in HOSTILE.items():
        spent = {}
        for length in (MAX_CODE_POINTS // 10, MAX_CODE_POINTS):
            text = (piece * (length // len(piece) + 1))[:length]
            took = []
            for _ in range(3):
                gc.collect()
                began = time.process_time()
                engine.read(text, "agent")
                took.append(time.process_time() - began)
            spent[length] = min(took)
        short, long = spent.values()
        steepest = max(steepest, long / short / 10)
        lines.append(Line(f"100,000 characters, {name}: a character", long * 10, "µs", HOSTILE_US_A_CHARACTER))
    # 1 is linear, 10 square; the caches of the processor are the rest.
    return [*lines, Line("a character of 100,000 against one of 10,000, at most", steepest, "×", 2.5)]


def main() -> int:
    parser = arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=(*LEXICONS, "hostile"), help="one part instead of all")
    given = parser.parse_args()
    lines: list[Line] = []
    for size, make in LEXICONS.items():
        if given.only in (None, size):
            lines += reading_lines(size, PhraseEngine(make(), chinese_words))
            lines += build_lines(size)
    if given.only in (None, "hostile"):
        lines += hostile_lines(PhraseEngine(lexicon_2k(), chinese_words))
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
