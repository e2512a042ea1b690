"""Prints how near the audio detectors come to the truth, beside Praat in the same run; 1 where a bar is missed.

`python benchmarks/audio_accuracy.py [MANIFEST…] [--only rate|level|pitch] [--json FILE]`; without a manifest the shared
recordings are taken. A manifest has a JSON object a line: path (beside it), sr, channels, seconds, text, language,
syllables, source, and speaker where it is known.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import audio_level, audio_pitch, audio_rate
from benchmarks.audio_clips import SHARED
from benchmarks.lines import arguments, conclude

PARTS = {"rate": audio_rate, "level": audio_level, "pitch": audio_pitch}
"""Each has `lines(manifests)`."""


def main() -> int:
    parser = arguments((__doc__ or "").partition("\n")[0])
    parser.add_argument("manifests", nargs="*", type=Path, metavar="MANIFEST", default=[SHARED])
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    given = parser.parse_args()
    if missing := [str(path) for path in given.manifests if not path.exists()]:
        parser.error(f"no such manifest: {', '.join(missing)}")
    parts = [PARTS[given.only]] if given.only else PARTS.values()
    return conclude([line for part in parts for line in part.lines(given.manifests)], given.json)


if __name__ == "__main__":
    sys.exit(main())
