from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def tone(path: Path, seconds: float, channels: int = 1, rate: int = 8000, size: float = 0.1) -> Path:
    sound = size * np.sin(2 * np.pi * 200 * np.arange(int(rate * seconds)) / rate)
    soundfile.write(path, np.stack([sound] * channels, axis=1), rate)
    return path
