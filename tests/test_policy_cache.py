"""Compiled phrases are kept in a file and read back as they were; what is amiss there is compiled anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts import policy_cache
from alerts.policy import read_files
from alerts.policy_cache import phrases_of
from detectors.phrases import automaton
from detectors.phrases.boundaries import chinese_words
from detectors.phrases.engine import PhraseEngine
from detectors.phrases.lexicon import LexiconError, lexicon_of
from tests.builders_phrases import chat_texts, engine_of_case, evasion_cases, read_in_turn

PACKS = {
    "a.zh.toml": '[[phrase]]\nid = "abuse.zh.001"\nphrase = "骗子"\n',
    "b.en.toml": '[[phrase]]\nid = "abuse.en.001"\nphrase = "you * liar"\nallow = ["you are no liar"]\n',
}
SAID = "他说你是骗 子", "You big LIAR", "you are no liar", "您好"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(packs: object) -> None:
        raise AssertionError("it is compiled again")

    monkeypatch.setattr(policy_cache, "lexicon_of", refused)


def hits_of(engine: PhraseEngine) -> list[object]:
    return [engine.read(text, "agent").hits for text in SAID]


def test_the_second_process_reads_what_the_first_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    first = hits_of(phrases_of(PACKS, folder))
    assert [len(hits) for hits in first] == [1, 1, 0, 0]
    monkeypatch.setattr(policy_cache, "lexicon_of", None)
    # A database gives the packs in another order than a folder.
    assert hits_of(phrases_of(dict(reversed(PACKS.items())), folder)) == first
    assert folder.stat().st_mode & 0o077 == 0, "only we can write or read it"


def test_what_is_restored_finds_the_same_in_every_case_of_evasion() -> None:
    for case in evasion_cases():
        engine = engine_of_case(case)
        kept = PhraseEngine.restored(engine.saved() or b"", chinese_words)
        assert kept.lexicon == engine.lexicon
        texts = *case.get("context", ()), case["text"]
        assert read_in_turn(kept, *texts) == read_in_turn(engine, *texts), case


def test_the_shipped_packs_find_the_same_in_ordinary_turns_and_in_what_agents_must_not_say() -> None:
    engine = PhraseEngine(lexicon_of(read_files()["packs"]))
    kept = PhraseEngine.restored(engine.saved() or b"")
    found = 0
    for text in chat_texts("cold_dev.jsonl")[:2000]:
        reading = engine.read(text, "agent")
        assert kept.read(text, "agent") == reading
        found += bool(reading.hits)
    assert found, "some of them are found"


@pytest.mark.parametrize("matcher", ["ahocorasick_rs", "pyahocorasick"])
def test_a_library_that_cannot_say_what_it_compiled_keeps_nothing(matcher: str) -> None:
    assert PhraseEngine(lexicon_of(PACKS), matcher=matcher).saved() is None


def test_without_the_library_that_can_say_it_packs_are_compiled_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    first = hits_of(phrases_of(PACKS, folder))
    monkeypatch.setattr(automaton, "_LADDER", automaton._LADDER[1:])
    policy_cache._compiler.cache_clear()
    try:
        engine = phrases_of(PACKS, folder)
    finally:
        policy_cache._compiler.cache_clear()
    # Nor is what the other library made taken up, which nobody could read.
    assert engine.matcher == "ahocorasick_rs" and hits_of(engine) == first
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(
    "broken",
    [lambda data: data[:-1], lambda data: b"", lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:]],
    ids=["cut short", "empty", "a bit wrong"],
)
def test_a_broken_file_is_compiled_anew_and_mended(tmp_path: Path, broken: object) -> None:
    folder = tmp_path / "kept"
    first = hits_of(phrases_of(PACKS, folder))
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(broken(whole))  # type: ignore[operator]
    assert hits_of(phrases_of(PACKS, folder)) == first
    assert file.read_bytes() == whole


@pytest.mark.usefixtures("no_compiler")
def test_a_folder_that_others_can_write_is_neither_read_nor_written(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(AssertionError, match="compiled again"):
        phrases_of(PACKS, folder)
    assert not list(folder.iterdir())


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "mine"
    elsewhere.mkdir(mode=0o700)
    for number in range(9):
        (elsewhere / f"dear {number}").touch()
    (tmp_path / "kept").symlink_to(elsewhere)
    assert phrases_of(PACKS, tmp_path / "kept")
    assert len(list(elsewhere.iterdir())) == 9, "nothing was written there and nothing deleted"


def test_the_packs_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    phrases_of(PACKS, folder)
    for number in range(6):
        phrases_of({"a.zh.toml": PACKS["a.zh.toml"].replace("001", f"10{number}")}, folder)
        phrases_of(PACKS, folder)
    assert len(list(folder.iterdir())) == policy_cache.MOST_FILES
    monkeypatch.setattr(policy_cache, "lexicon_of", None)
    assert phrases_of(PACKS, folder), "it is in use"


def test_nothing_is_kept_of_packs_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(LexiconError):
        phrases_of({"a.zh.toml": "[[phrase]]\n"}, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_where_nothing_can_be_kept_phrases_are_compiled(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    assert hits_of(phrases_of(PACKS, tmp_path / "kept"))[0]
