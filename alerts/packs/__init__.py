"""The lexicon packs that are shipped, as text for the phrase engine, which reads no files."""

from __future__ import annotations

from importlib.resources import files


def shipped_packs() -> dict[str, str]:
    """File name -> TOML text of every pack beside this file, by name."""
    found = (entry for entry in files(__package__).iterdir() if entry.name.endswith(".toml"))
    return {entry.name: entry.read_text("utf-8") for entry in sorted(found, key=lambda entry: entry.name)}
