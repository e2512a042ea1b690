"""The house rules, executed: imports go one way, the pure part is pure, files stay small, and no forbidden word."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

ROOT = Path(__file__).parents[1]
PACKAGES = ("detectors", "alerts", "stream")
MAY_IMPORT = {
    "detectors": {"detectors"},
    "alerts": {"alerts", "detectors"},
    "stream": {"stream", "alerts", "detectors"},
}
KAFKA = {"faust", "aiokafka", "mode", "confluent_kafka"}
PURE_LIBRARIES = {"numpy", "scipy", "webrtcvad", "ahocorasick_rs", "daachorse", "ahocorasick", "rjieba", "tomli"}
"""What detectors/ may use beside the standard library."""
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "datetime", "glob", "http", "io", "logging", "multiprocessing"),
    *("os", "pathlib", "queue", "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
"""Standard modules that know a clock, a file, a network, a thread or chance."""
PURE_ALERTS = (
    *("alert", "rules", "engine", "access", "conditions", "condition_reading", "rule_shapes", "call_engine"),
    *("message_engine", "evidence", "masking"),
)
MOST_LINES = 300
SHADOWS = {"types.py", "signal.py", "queue.py", "logging.py"}
LONG_BY_NATURE = {
    "alerts/store/tables.py": "one table after the other; every query reads them together",
}


def files(*folders: str) -> list[Path]:
    return [
        path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "/versions/" not in str(path)
    ]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)} has a relative import; write the whole name"
            found.add(node.module or "")
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    for path in files(package):
        ours = roots(path) & {*PACKAGES, "tests", "benchmarks"}
        assert ours <= MAY_IMPORT[package], f"{relative(path)} imports {ours - MAY_IMPORT[package]}"


def test_kafka_stays_in_stream() -> None:
    for path in files("detectors", "alerts"):
        assert not roots(path) & KAFKA, f"{relative(path)} knows Kafka; have it handed in by stream/"


def test_detectors_are_pure() -> None:
    standard = set(__import__("sys").stdlib_module_names) | {"__future__"}
    for path in files("detectors"):
        used = roots(path) - {"detectors"}
        assert used <= standard | PURE_LIBRARIES, f"{relative(path)} uses {used - standard - PURE_LIBRARIES}"
        assert not used & IMPURE, f"{relative(path)} is not pure: {used & IMPURE}"
        assert "rjieba" not in used or path.name == "boundaries.py"
        assert "open(" not in re.sub(r"#.*|\w+open\(|\.open\(", "", path.read_text()), f"{relative(path)} opens a file"


@pytest.mark.parametrize("name", PURE_ALERTS)
def test_what_judges_is_pure(name: str) -> None:
    path = ROOT / "alerts" / f"{name}.py"
    assert not roots(path) & (IMPURE | KAFKA | {"sqlalchemy", "fastapi", "httpx"}), relative(path)
    assert not any(module.startswith(("alerts.store", "alerts.web")) for module in imports_of(path)), relative(path)
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)], f"{relative(path)} waits"


def test_files_are_small_and_shadow_nothing() -> None:
    pages = (path for path in (ROOT / "alerts/web/pages").rglob("*.js") if "vendor" not in path.parts)
    for path in [*files(*PACKAGES, "tests", "benchmarks", "scripts"), *pages]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert path.name not in SHADOWS, f"{relative(path)} shadows the standard library"
        if relative(path) not in LONG_BY_NATURE and not path.name.startswith(("test_", "builders_")):
            assert lines <= MOST_LINES, f"{relative(path)} has {lines} lines; one concept a file, at most {MOST_LINES}"


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    for path in files(*PACKAGES):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = said.split("\n\n")[0]
        assert first.endswith("."), f"{relative(path)} needs a docstring whose first paragraph is a sentence"


def test_architecture_page_lists_every_file() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in files(*PACKAGES):
        if path.name != "__init__.py" and "migrations" not in path.parts:
            assert path.name in page, f"ARCHITECTURE.md does not know {relative(path)}"
    for name in re.findall(r"\b[a-z_]+\.py\b", page):
        assert any(path.name == name for path in files(*PACKAGES, "tests", "benchmarks", "scripts")), (
            f"ARCHITECTURE.md names {name}, which is gone"
        )


def test_nothing_about_an_agents_voice_is_more_than_acoustic() -> None:
    # EU AI Act, Art. 5(1)(f): no inference of emotions at work. The lexicon's phrases are what people said.
    forbidden = re.compile(r"emotion|\bmood|\banger|\bangry|情绪", re.IGNORECASE)
    allowed = re.compile(r"never|\bnot?\b|prohibit|forbid|ban|不", re.IGNORECASE)
    suffixes = {".py", ".js", ".json", ".toml", ".md", ".html", ".css", ".yaml", ".yml"}
    folders = [*PACKAGES, "docs", "scripts", "benchmarks"]
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    for path in [*found, *ROOT.glob("*.md")]:
        if "vendor" in path.parts or "packs" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if forbidden.search(line):
                assert allowed.search(line), f"{relative(path)}:{number}: {line.strip()[:80]}"


def test_no_request_is_handed_to_a_thread() -> None:
    # FastAPI runs a plain function in one: each of a request's hands its answer back through two locks and a pipe.
    modules = [importlib.import_module(f"alerts.web.{path.stem}") for path in files("alerts/web")]
    routes = [
        route
        for module in modules
        for route in getattr(getattr(module, "router", None), "routes", ())
        if isinstance(route, APIRoute)
    ]
    assert len(routes) > 20
    for route in routes:
        waiting = [route.dependant]
        while waiting:
            asked = waiting.pop()
            waiting += asked.dependencies
            call: Any = asked.call
            runs = call if inspect.isroutine(call) else call.__call__
            assert inspect.iscoroutinefunction(runs), f"{route.path}: {call} is no async def"


def test_the_chat_worker_loads_nothing_of_sound() -> None:
    code = "import sys, stream.chat, stream.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    sound = {"numpy", "scipy", "webrtcvad", "librosa", "detectors.bank", "detectors.decode", "stream.audio"}
    assert not sound & set(loaded.split()), "a killed worker comes back the later for it"
