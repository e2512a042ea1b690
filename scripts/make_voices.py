"""Makes the demo's voices: speaks every sentence of voices.toml with espeak-ng and writes 8 kHz µ-law clips.

A development tool, run once after voices.toml changed; nothing of it is installed with the product:

    uv run --with espeakng-loader python scripts/make_voices.py

espeakng-loader carries libespeak-ng, which is under the GPL: it must not become a dependency of Tonewatch.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import struct
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader  # type: ignore[import-not-found]  # never installed with the project, see above
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from detectors.decode import RATE, encode_mulaw
from detectors.volume import active_speech_level

HERE = Path(__file__).resolve().parent
ACTIVE_LEVEL_DBOV = -26.0
"""ITU-T P.56 active level of every clip: the nominal speech level of telephony, 26 dB below overload."""
MOST_BYTES = 2_000_000

PITCH_STEPS_PER_SEMITONE = 5.0
"""Steps of espeak's pitch parameter: 30 of them raised the median F0 of these voices by 5 to 6 semitones."""

Samples = NDArray[np.float64]

# From espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4
PHONEME_SEPARATOR = ord("_") << 8
VOWELS = "aeiouAEIOU03@V"
"""First letters of espeak's mnemonics of vowels; one such phoneme is one syllable."""

SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """libespeak-ng by ctypes: text in, samples at its own rate out."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self.lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.rate = self.lib.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0
        )
        if self.rate <= 0:
            raise SystemExit("libespeak-ng did not start: its data folder was not found")
        self._heard: list[NDArray[np.int16]] = []
        self._callback = SynthCallback(self._hear)  # held: ctypes frees a callback nobody keeps
        self.lib.espeak_SetSynthCallback(self._callback)

    def _hear(self, wav: Any, count: int, _events: object) -> int:
        if wav and count > 0:
            self._heard.append(np.ctypeslib.as_array(wav, shape=(count,)).copy())
        return 0

    def voice(self, name: str) -> None:
        """Choose a voice by its name, with a variant after a plus sign."""
        if self.lib.espeak_SetVoiceByName(name.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {name!r}")

    def speak(self, text: str, rate: float, pitch: float, range_: float) -> Samples:
        """One sentence, full scale 1.0, at `self.rate`; rate in espeak's words a minute, pitch and its range 0-100."""
        self.lib.espeak_SetParameter(PARAMETER_RATE, round(rate), 0)
        self.lib.espeak_SetParameter(PARAMETER_PITCH, round(pitch), 0)
        self.lib.espeak_SetParameter(PARAMETER_RANGE, round(range_), 0)
        self._heard.clear()
        data = text.encode()
        self.lib.espeak_Synth(data, len(data) + 1, 0, 0, 0, CHARS_UTF8, None, None)
        self.lib.espeak_Synchronize()
        return np.concatenate(self._heard).astype(np.float64) / 32768

    def syllables(self, text: str) -> int:
        """Vowel phonemes of the text in the chosen voice."""
        rest = ctypes.c_char_p(text.encode())
        count = 0
        while rest.value:
            clause = self.lib.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, PHONEME_SEPARATOR) or b""
            phonemes = clause.decode().replace(" ", "_").split("_")
            count += sum(phoneme.lstrip("',%=|").startswith(tuple(VOWELS)) for phoneme in phonemes)
        return count


@dataclass(frozen=True)
class Order:
    """One clip to be made."""

    speaker: dict[str, Any]
    sentence: str
    manner: str
    text: str
    units_per_minute: float
    semitones: float


def orders(book: dict[str, Any]) -> Iterator[Order]:
    """Every clip that voices.toml asks for."""
    for speaker in book["speaker"]:
        language = speaker["language"]
        for sentence in book["sentence"]:
            wanted = sentence["side"] == speaker["side"] and language in sentence
            if not wanted or speaker["id"] not in sentence.get("only", [speaker["id"]]):
                continue
            for name in ["normal", *sentence.get("also", [])]:
                manner = book["manner"][name]
                if speaker["id"] in manner.get("speakers", [speaker["id"]]):
                    yield Order(
                        speaker, sentence["id"], name, sentence[language], manner[language], manner["semitones"]
                    )


def units_of(text: str, language: str) -> int:
    """Chinese characters, or English words."""
    if language == "zh":
        return sum("\u4e00" <= character <= "\u9fff" for character in text)
    return len(text.split())


def trimmed(samples: Samples, rate: int) -> Samples:
    """The clip without the silence before and after it (10 ms frames within 40 dB of the loudest, 20 ms kept)."""
    frame = rate // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-40 / 20))
    return samples[max(0, loud[0] - 2) * frame : (loud[-1] + 3) * frame]


def wav(payload: bytes) -> bytes:
    """A WAV file of format 7 (µ-law), mono, 8 kHz."""
    payload += b"\xff" * (len(payload) % 2)  # RIFF pads to even; 0xFF is µ-law silence
    form = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    body = b"WAVE"
    for name, data in ((b"fmt ", form), (b"fact", struct.pack("<I", len(payload))), (b"data", payload)):
        body += name + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def spoken(espeak: Espeak, order: Order) -> Samples:
    """The sentence at the rate it should have, 8 kHz: espeak is asked again until the clip is as long as it should."""
    units = units_of(order.text, order.speaker["language"])
    wanted_seconds = units * 60 / order.units_per_minute
    rate = 175.0
    pitch = order.speaker["pitch"] + PITCH_STEPS_PER_SEMITONE * order.semitones
    for _ in range(6):
        samples = trimmed(espeak.speak(order.text, rate, pitch, order.speaker["range"]), espeak.rate)
        seconds = len(samples) / espeak.rate
        if abs(seconds / wanted_seconds - 1) < 0.02:
            break
        rate = float(np.clip(rate * seconds / wanted_seconds, 80, 450))
    ratio = np.gcd(RATE, espeak.rate)
    return np.asarray(resample_poly(samples, RATE // ratio, espeak.rate // ratio), np.float64)


def main() -> None:
    """Make every clip, voices.json and nothing else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE.parent / "stream" / "voices")
    out: Path = parser.parse_args().out
    book = tomllib.loads((HERE / "voices.toml").read_text(encoding="utf-8"))
    espeak = Espeak()
    for old in out.glob("*.wav"):
        old.unlink()
    clips = []
    for order in orders(book):
        language = order.speaker["language"]
        espeak.voice(order.speaker["voice"])
        samples = spoken(espeak, order)
        samples *= 10 ** ((ACTIVE_LEVEL_DBOV - active_speech_level(samples, RATE)[0]) / 20)
        name = f"{order.speaker['id']}_{order.sentence}_{order.manner}.wav"
        (out / name).write_bytes(wav(encode_mulaw(samples)))
        units = units_of(order.text, language)
        seconds = round(len(samples) / RATE, 3)
        clips.append(
            {
                "file": name,
                "speaker": order.speaker["id"],
                "side": order.speaker["side"],
                "language": language,
                "sentence": order.sentence,
                "manner": order.manner,
                "text": order.text,
                "seconds": seconds,
                "units": units,
                "syllables": units if language == "zh" else espeak.syllables(order.text),
                "peak_dbfs": round(20 * float(np.log10(np.abs(samples).max())), 1),
            }
        )
        print(f"{name:44} {seconds:6.2f} s {units * 60 / seconds:5.0f} units/min")
    note = {"active_level_dbov": ACTIVE_LEVEL_DBOV, "rate": RATE, "encoding": "mulaw"}
    lines = ",\n  ".join(json.dumps(clip, ensure_ascii=False) for clip in clips)
    head = json.dumps(note)[1:-1]
    (out / "voices.json").write_text(f'{{{head}, "clips": [\n  {lines}\n]}}\n', encoding="utf-8")
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    print(f"{len(clips)} clips, {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"more than {MOST_BYTES:,} bytes: shorten a sentence or drop a speaker in voices.toml")


if __name__ == "__main__":
    main()
