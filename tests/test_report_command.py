from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.recordings import RecordingError
from stream.report.make import make_report, read_hold
from tests.builders_report import tone

# librosa loads audioread, which imports these on Python 3.11 and 3.12; neither is ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")


def test_holds_are_read_as_people_write_times() -> None:
    assert [read_hold(told) for told in ("65-100", "1:05-1:40", " 1:00:05 - 1:00:06.5")] == [
        (65.0, 100.0), (65.0, 100.0), (3605.0, 3606.5)
    ]  # fmt: skip
    for told in ("", "65", "2:00-1:00", "a-b", "1:5x-2"):
        with pytest.raises(RecordingError, match="write from and to, like 1:05-1:40"):
            read_hold(told)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.wav"], "absent.wav is not there; write the path of a WAV or FLAC file"),
        (["text.wav"], "text.wav is not audio"),
        (
            ["mono.wav", "--sides", "agent,customer"],
            "has 1 channel(s) and --sides names 2; write for example --sides agent",
        ),
        (["stereo.wav", "--sides", "agent"], "write for example --sides agent,customer"),
        (["stereo.wav", "--sides", "bot,customer"], "a report has agent and customer: write agent for a bot"),
        (["stereo.wav", "--sides", "left,right"], "write one of agent, customer, bot per channel"),
        (["three.wav"], "mix it down to two channels first"),
        (["mono.wav", "-o", "gone/page.html"], "the folder gone is not there; make it, or name another"),
        (["mono.wav", "-o", "mono.wav"], "mono.wav is the recording itself"),
        (["mono.wav", "--hold", "5"], "write from and to, like 1:05-1:40"),
        (["mono.wav", "--rules", "text.wav"], "not TOML"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_write(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tone(Path("mono.wav"), 1.0)
    tone(Path("stereo.wav"), 1.0, channels=2)
    tone(Path("three.wav"), 1.0, channels=3)
    Path("text.wav").write_text("this is no sound")
    before = sorted(tmp_path.iterdir())
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 1 and words in result.output
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_writes_beside_the_reader_and_tells_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "here").mkdir()
    tone(tmp_path / "calls" / "call.flac", 2.0, channels=2)
    monkeypatch.chdir(tmp_path / "here")
    result = CliRunner().invoke(app, ["report", "../calls/call.flac", "--png", "call.png"])
    assert result.exit_code == 0, result.output
    assert "call.html is written." in result.output and "call.png is written." in result.output
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["call.html", "call.png"]
    assert 'lang="zh-CN"' in Path("call.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("missing", ["soundfile", "librosa", "resvg_py"])
def test_without_the_extra_it_is_said_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tone(tmp_path / "call.wav", 1.0)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RecordingError, match=r"pip install 'tonewatch\[offline\]'"):
        make_report(path, output=tmp_path / "call.html", png=tmp_path / "call.png")
    assert not (tmp_path / "call.html").exists()
