"""The catalogue: every metric that a score may carry and a rule may name, with its unit and its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called in records, rules, the API and the README."""

    name: str
    unit: str
    low: float
    """The smallest value that can come (for axes and for checking a rule's limit)."""
    high: float
    zh: str
    en: str
    source: str
    """Where the definition or the number comes from."""
    from_: Literal["audio", "words", "timing"] = "audio"
    """audio: judged by the audio worker; the others on the chat path."""

    @property
    def needs_speech(self) -> bool:
        """Whether it moves only while its side speaks: a rule's `for_seconds` then counts seconds of speech."""
        return self.from_ == "audio" and self.name.split(".")[0] in ("volume", "speech_rate", "intonation")


CATALOGUE: tuple[Metric, ...] = (
    Metric("speech.active", "share", 0, 1, "说话占比", "speech share",
           "webrtcvad mode 3 and a level gate, share of the last second"),
    Metric("volume.level_dbov", "dBov", -90, 0, "音量", "level",
           "RMS over speech frames of 1 s, live stand-in for ITU-T P.56"),
    Metric("volume.level_3s_dbov", "dBov", -90, 0, "音量(3 秒)", "level, 3 s",
           "RMS over speech frames of 3 s"),
    Metric("volume.score", "points", 0, 100, "音量分", "level score",
           "clip((level + 60) * 100 / 60), 0 to 100"),
    Metric("volume.over_baseline_db", "dB", -60, 60, "音量高于基线", "level over own baseline",
           "3-s level minus the speaker's own baseline"),
    Metric("speech_rate.syllables_per_second", "syl/s", 0, 12, "语速(音节/秒)", "articulation rate",
           "syllable nuclei / speech seconds, after de Jong & Wempe 2009, own streaming form"),
    Metric("speech_rate.spm", "syl/min", 0, 720, "语速", "speech rate",
           "the same per minute; for Mandarin 字/分"),
    Metric("speech_rate.heard_seconds", "s", 0, 12, "语速依据", "speech behind the rate",
           "speech seconds that the rate stands on"),
    Metric("speech_rate.from_words_spm", "words/min", 0, 1200, "文字语速", "rate from words",
           "characters (Chinese) or words / sentence seconds of transcript turns", "words"),
    Metric("intonation.f0_hz", "Hz", 70, 480, "基频", "pitch",
           "median F0 of 5 s, autocorrelation after Boersma 1993"),
    Metric("intonation.f0_shift_semitones", "st", -36, 36, "语调偏移", "pitch over own baseline",
           "median F0 against the speaker's own baseline"),
    Metric("intonation.spread_semitones", "st", 0, 24, "语调起伏", "pitch spread",
           "1.4826 * MAD of F0 in semitones over 10 s of voiced speech"),
    Metric("turns.dead_air_seconds", "s", 0, 86400, "静默", "dead air",
           "both sides silent, hold excluded, running"),
    Metric("turns.overtalk_seconds", "s", 0, 60, "抢话时长", "overtalk",
           "both speak for at least 0.5 s, sum over 60 s"),
    Metric("turns.interruptions", "count", 0, 120, "打断次数", "interruptions",
           "onsets at least 1.0 s into the other's talk with at least 0.5 s overlap, in 60 s"),
    Metric("turns.turn_seconds", "s", 0, 3600, "句长", "turn length",
           "end minus start of a transcript turn", "words"),
    Metric("turns.talk_share", "share", 0, 1, "说话比例", "talk share",
           "own speech / all speech of the call"),
    Metric("signal.lost_seconds", "s", 0, 10, "丢失音频", "audio lost",
           "gaps in seq within 10 s"),
    Metric("signal.clipped_share", "share", 0, 1, "削波", "clipped share",
           "samples at full scale within 10 s"),
    Metric("signal.snr_db", "dB", -20, 90, "信噪比", "signal-to-noise ratio",
           "power of the speech over that of the quietest second between words, 10 s"),
    Metric("signal.lag_ms", "ms", 0, 600000, "延迟", "lag",
           "broker's time of the record to the moment it was scored"),
    Metric("timing.first_reply_seconds", "s", 0, 86400, "首次响应", "first reply",
           "customer's first message to the agent's first delivered one", "timing"),
    Metric("timing.reply_seconds", "s", 0, 86400, "响应时长", "reply",
           "customer's oldest unanswered message to the agent's next delivered one", "timing"),
    Metric("phrases.attempts", "count", 0, 1000, "尝试次数", "attempts",
           "messages of one agent in one conversation that were stopped, should have been, or vary what was stopped",
           "words"),
)  # fmt: skip

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in CATALOGUE}
