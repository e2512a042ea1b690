// How each metric is written: its unit, its digits, and the three that get a strip.
import { figure } from "./format.js";
import { named, t } from "./i18n.js";

// band: half the width of the grey band around the agent's own baseline (a fraction of it for the rate);
// floor and ceiling: what the axis shows at least, so that a calm strip is not blown up into a wild one.
export const STRIPS = [
  { metric: "speech_rate.spm", column: "rate", digits: 0, signed: false, band: (base) => base * 0.1,
    base: (row) => row.baseline["speech_rate.spm"] ?? null, floor: 120, ceiling: 330 },
  { metric: "volume.over_baseline_db", column: "level", digits: 1, signed: true, band: () => 3,
    base: () => 0, floor: -10, ceiling: 12 },
  { metric: "intonation.f0_shift_semitones", column: "pitch", digits: 1, signed: true, band: () => 1.5,
    base: () => 0, floor: -5, ceiling: 5.5 },
];

const DIGITS = {
  "speech_rate.spm": 0, "speech_rate.from_words_spm": 0, "turns.interruptions": 0, "phrases.attempts": 0,
  "turns.dead_air_seconds": 0, "timing.first_reply_seconds": 0, "timing.reply_seconds": 0, "signal.lag_ms": 0,
};
const SIGNED = new Set(["volume.over_baseline_db", "intonation.f0_shift_semitones"]);

export const short = (metric, value) => figure(value, DIGITS[metric] ?? 1, SIGNED.has(metric));

export function written(metric, value, unit) {
  if (value === null || value === undefined) return "";
  const word = named("unit", unit);
  return `${short(metric, value)}${word ? ` ${word}` : ""}`;
}

export function limitSentence(evidence) {
  if (evidence.limit === null || evidence.limit === undefined) return "";
  return t(evidence.extra?.lower ? "limit.lower" : "limit.upper", { limit: written(evidence.metric, evidence.limit, evidence.unit).replace(/\.0(?!\d)/, "") });
}
