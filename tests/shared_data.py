from __future__ import annotations

from pathlib import Path

import pytest


def shared_data(*parts: str) -> Path:
    """A file or folder of the shared test data, which lie beside the project and are never part of it."""
    path = Path(__file__).parents[2].joinpath("shared", "data", *parts)
    if not path.exists():
        pytest.fail(f"the test data {'/'.join(parts) or 'folder'} is missing: put it at ../shared/data of the project")
    return path
