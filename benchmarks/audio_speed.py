"""How many channels one core scores in real time, beside librosa, a call at a time, silence, and a Faust agent."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# One core means one: numpy's own threads would borrow the other for nothing but this figure.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
import soundfile
from audio_worker_speed import worker_lines
from lines import Line, arguments, conclude

from detectors.arrays import FloatArray
from detectors.bank import Bank
from detectors.decode import RATE
from detectors.values import Chunk, Side

SIDES: tuple[Side, ...] = ("agent", "customer")
ROWS = (1, 10, 100, 1000)
CHUNK_SECONDS = 0.5
"""What calls send: records of 200 to 500 ms."""
REPEATS = 5
WARM_SECONDS = 4.0
MOST_PAUSE_SECONDS = 3.0
"""A recording with a longer silence of both is no ordinary talk; it is left out."""
LIBROSA_SHARE = 10.0
SILENCE_PERCENT = 10.0
GROWTH_PERCENT = 5.0
HOUR_SECONDS = 3600
LINE_NOISE_DBOV = -60.0


def talk(folder: Path) -> FloatArray:
    """(2, n) at 8 kHz: the two-channel calls of `folder` one after the other, without those that stand still."""
    calls = []
    for file in sorted(folder.glob("*.flac")):
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        if rate == RATE and samples.shape[1] == len(SIDES) and _longest_pause(samples) < MOST_PAUSE_SECONDS:
            calls.append(samples.T)
    if not calls:
        raise SystemExit(f"{folder} has no two-channel 8 kHz recordings of ordinary talk")
    return np.concatenate(calls, axis=1)


def _longest_pause(samples: FloatArray) -> float:
    """Seconds for which both channels stay 30 dB under the loudest tenth of a second."""
    tenth = RATE // 10
    whole = len(samples) // tenth * tenth
    level = np.sqrt((samples[:whole].reshape(-1, tenth, samples.shape[1]) ** 2).mean(axis=1)).max(axis=1)
    longest = running = 0
    for quiet in level < level.max() / 30:
        running = running + 1 if quiet else 0
        longest = max(longest, running)
    return longest / 10


def pieces(sound: FloatArray, rows: int, seconds: float, sides: tuple[Side, ...] = SIDES) -> Iterator[list[Chunk]]:
    """Batches of one chunk a call: `rows` channels in all, each call from another place of `sound` (2, n)."""
    size = round(CHUNK_SECONDS * RATE)
    if rows == 1:
        sides = sides[:1]
    calls = rows // len(sides)
    length = sound.shape[1]
    places = np.random.default_rng(1).integers(0, length, calls)
    for seq in range(round(seconds / CHUNK_SECONDS)):
        batch = []
        for call, place in enumerate(places.tolist()):
            at = (place + seq * size) % (length - size)
            samples = sound[: len(sides), at : at + size]
            batch.append(Chunk(f"c-{call}", sides, samples, RATE, seq, seq * CHUNK_SECONDS))
        yield batch


def cost(push: Callable[[list[Chunk]], object], batches: Sequence[list[Chunk]]) -> list[float]:
    """CPU seconds per second of one channel, of each stretch of the batches after the warm beginning."""
    warm = round(WARM_SECONDS / CHUNK_SECONDS)
    for batch in batches[:warm]:
        push(batch)
    gc.collect()
    gc.freeze()  # the batches that wait here are no work of the bank's, whatever it costs to look through them
    took = []
    for stretch in np.array_split(np.arange(warm, len(batches)), REPEATS):
        heard = sum(len(chunk.sides) for i in stretch for chunk in batches[i]) * CHUNK_SECONDS
        began = time.process_time()
        for i in stretch:
            push(batches[i])
        took.append((time.process_time() - began) / heard)
    gc.unfreeze()
    return took


def seconds_for(rows: int) -> float:
    """Of sound, so that a stretch takes long enough to be timed and short enough to be repeated."""
    return WARM_SECONDS + REPEATS * (2.0 if rows >= 1000 else 4.0 if rows >= 100 else 20.0)


def speech_percent(sound: FloatArray) -> float:
    """How much of each side's time is speech, as the bank hears it."""
    bank = Bank()
    scores = [score for batch in pieces(sound, 20, 60) for score in bank.push(batch)]
    active = [metrics["speech.active"] for score in scores for metrics in score.sides.values()]
    return 100 * statistics.fmean(share for share in active if share is not None)


def librosa_cost(sound: FloatArray, seconds: int = 20) -> list[float]:
    """The plain way: once a second and channel RMS, onset strength and YIN."""
    import librosa

    took = []
    for number in range(seconds + 1):
        second = np.ascontiguousarray(sound[number % 2, number * 2 * RATE : (number * 2 + 1) * RATE])
        began = time.process_time()
        librosa.feature.rms(y=second, frame_length=320, hop_length=80)
        librosa.onset.onset_strength(y=second, sr=RATE, hop_length=80)
        librosa.yin(second, fmin=70, fmax=480, sr=RATE, frame_length=512, hop_length=80)
        took.append(time.process_time() - began)
    return took[1:]  # the first compiles


def one_call_a_push(bank: Bank) -> Callable[[list[Chunk]], object]:
    """The same bank, one row a push: what an agent that scores each record as it comes would do."""

    def push(batch: list[Chunk]) -> None:
        for chunk in batch:
            for side, samples in zip(chunk.sides, chunk.samples, strict=True):
                bank.push([Chunk(chunk.conversation_id, (side,), samples[None], RATE, chunk.seq, chunk.offset_seconds)])

    return push


def speed_lines(sound: FloatArray) -> list[Line]:
    lines = [Line("a side's time that is speech", speech_percent(sound), "%")]
    costs: dict[int, float] = {}
    for rows in ROWS:
        costs[rows] = statistics.median(cost(Bank(rows).push, list(pieces(sound, rows, seconds_for(rows)))))
        lines.append(Line(f"bank, {rows} rows: channels in real time on one core", 1 / costs[rows], "channels"))
    alone = statistics.median(cost(one_call_a_push(Bank(100)), list(pieces(sound, 100, WARM_SECONDS + 4))))
    peer = statistics.median(librosa_cost(sound))
    most = ROWS[-1]
    noise = np.random.default_rng(2).standard_normal(sound.shape).astype(np.float32)
    quiet = noise * np.float32(10 ** (LINE_NOISE_DBOV / 20))
    silent = statistics.median(cost(Bank(most).push, list(pieces(quiet, most, seconds_for(most)))))
    return [
        *lines,
        Line("one row a push: channels", 1 / alone, "channels"),
        Line("librosa (rms, onset strength, yin): channels", 1 / peer, "channels"),
        Line(f"bank at {most} rows / one row a push", alone / costs[most], "×"),
        Line(f"bank at {most} rows / librosa, channels", peer / costs[most], "×"),
        Line(f"cost of the bank at {most} rows, librosa = 100", 100 * costs[most] / peer, "%", 100 / LIBROSA_SHARE),
        Line(f"cost of {most} silent rows, talk = 100", 100 * silent / costs[most], "%", SILENCE_PERCENT),
    ]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _an_hour(folder: Path) -> float:
    """Growth in per cent of a process's memory between the 3rd minute and the end of an hour of two calls."""
    sound, bank = talk(folder), Bank(4)
    after_3_minutes = 0.0
    for seq, batch in enumerate(pieces(sound, 4, HOUR_SECONDS)):
        bank.push(batch)
        if seq * CHUNK_SECONDS >= 180 and not after_3_minutes:
            after_3_minutes = _resident_mb()
    return 100 * abs(_resident_mb() / after_3_minutes - 1)


def hour_line(folder: Path) -> Line:
    # In a process of its own: what librosa left behind here would hide any growth.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        growth = pool.apply(_an_hour, (folder,))
    return Line("memory after 1 h against 3 min", growth, "%", GROWTH_PERCENT)


def main() -> int:
    parser = arguments(__doc__ or "")
    shared = Path(__file__).parents[2] / "shared/data/speech/calls"
    parser.add_argument("--calls", type=Path, default=shared, help="folder of two-channel 8 kHz recordings")
    parser.add_argument("--only-bank", action="store_true", help="without Kafka and the workers")
    given = parser.parse_args()
    sound = talk(given.calls)
    lines = [*speed_lines(sound), hour_line(given.calls)]
    if not given.only_bank:
        lines += worker_lines(sound)
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
