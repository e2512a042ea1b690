"""Fetches the few JavaScript libraries of the pages with `npm pack` and keeps them, with licence and checksum.

    python scripts/vendor.py            fetch what PACKAGES names and write alerts/web/pages/vendor/
    python scripts/vendor.py --check    only compare the committed files with vendor.json (no network)

The pages have no build step and no inline script (their content security policy forbids it), so there can be no
import map: bare specifiers (`from "preact"`) are rewritten to relative paths here, and `vendor/index.js` is the one
door through which the pages take everything. A new version is one line below and a run of this script.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parents[1] / "alerts" / "web" / "pages" / "vendor"


@dataclass(frozen=True)
class Package:
    """One npm package: exactly this version, only these files, renamed as given."""

    name: str
    version: str
    licence: str
    files: dict[str, str]
    """Path in the package -> file name here."""

    @property
    def folder(self) -> str:
        """Folder under vendor/: the name without its scope, and the version."""
        return f"{self.name.rpartition('/')[2]}@{self.version}"


PACKAGES = (
    Package("preact", "11.2.0", "MIT", {"dist/preact.mjs": "preact.js", "hooks/dist/hooks.mjs": "hooks.js"}),
    Package("@preact/signals-core", "1.14.5", "MIT", {"dist/signals-core.mjs": "signals-core.js"}),
    Package("@preact/signals", "2.11.4", "MIT", {"dist/signals.mjs": "signals.js"}),
    Package("htm", "3.1.1", "Apache-2.0", {"dist/htm.mjs": "htm.js"}),
    Package("uplot", "1.6.32", "MIT", {"dist/uPlot.esm.js": "uplot.js", "dist/uPlot.min.css": "uplot.css"}),
)
# Bare specifier -> (package, file): what an import in one of the files above may name.
SPECIFIERS = {
    "preact": ("preact", "preact.js"),
    "preact/hooks": ("preact", "hooks.js"),
    "@preact/signals-core": ("@preact/signals-core", "signals-core.js"),
}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _folder_of(name: str) -> str:
    return next(package.folder for package in PACKAGES if package.name == name)


def _rewritten(package: Package, source: str) -> str:
    """Return the module with relative imports and without the link to a source map that is not kept."""

    def relative(found: re.Match[str]) -> str:
        if found["what"] not in SPECIFIERS:
            sys.exit(f"{package.name}@{package.version} imports {found['what']!r}; add it to PACKAGES and SPECIFIERS")
        owner, file = SPECIFIERS[found["what"]]
        folder = "." if owner == package.name else f"../{_folder_of(owner)}"
        return f'{found["from"]}"{folder}/{file}"'

    source = re.sub(r"^//# sourceMappingURL=.*\n?", "", source, flags=re.MULTILINE)
    source = re.sub(r'(?P<from>\b(?:from|import)\s*)["\'](?P<what>[a-z@][\w@/-]*)["\']', relative, source)
    return source.rstrip() + "\n"


def _pack(package: Package, folder: Path) -> Path:
    """Download the package's tarball from the registry that npm is configured with."""
    done = subprocess.run(
        ["npm", "pack", "--json", f"{package.name}@{package.version}"],
        cwd=folder, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return folder / str(json.loads(done.stdout)[0]["filename"])


def _fetch(package: Package, folder: Path, before: dict[str, Any] | None) -> dict[str, Any]:
    """Write the package's files and return its entry of vendor.json; refuses a tarball that changed under a version."""
    tarball = _pack(package, folder)
    digest = _sha256(tarball.read_bytes())
    if before and before["version"] == package.version and before["tarball_sha256"] != digest:
        sys.exit(
            f"{package.name}@{package.version}: the tarball has SHA-256 {digest}, vendor.json says "
            f"{before['tarball_sha256']}; a published version must never change, do not use it"
        )
    target = VENDOR / package.folder
    target.mkdir(parents=True)
    files = {}
    with tarfile.open(tarball) as archive:
        for path, name in {**package.files, "LICENSE": "LICENSE"}.items():
            member = archive.extractfile(f"package/{path}")
            if member is None:
                sys.exit(
                    f"{package.name}@{package.version} has no file {path}; look into the package and mend PACKAGES"
                )
            content = member.read()
            if name.endswith(".js"):
                content = _rewritten(package, content.decode()).encode()
            (target / name).write_bytes(content)
            files[f"{package.folder}/{name}"] = _sha256(content)
    return {
        "name": package.name,
        "version": package.version,
        "licence": package.licence,
        "tarball_sha256": digest,
        "files": files,
    }


def _doors() -> dict[str, str]:
    """Return index.js and index.css, the only files that name versions."""
    preact, signals, htm, uplot = (_folder_of(name) for name in ("preact", "@preact/signals", "htm", "uplot"))
    return {
        "index.js": (
            "// Written by scripts/vendor.py.\n"
            f'export * from "./{preact}/preact.js";\n'
            f'export * from "./{preact}/hooks.js";\n'
            f'export * from "./{signals}/signals.js";\n'
            f'export {{ default as htm }} from "./{htm}/htm.js";\n'
            f'export {{ default as uPlot }} from "./{uplot}/uplot.js";\n'
        ),
        "index.css": f'/* Written by scripts/vendor.py. */\n@import "./{uplot}/uplot.css";\n',
    }


def fetch() -> None:
    """Replace vendor/ by a fresh copy of what PACKAGES names."""
    listing = VENDOR / "vendor.json"
    known = json.loads(listing.read_text()) if listing.exists() else []
    before = {entry["name"]: entry for entry in known}
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        entries = [_fetch(package, Path(folder), before.get(package.name)) for package in PACKAGES]
    for name, content in _doors().items():
        (VENDOR / name).write_text(content)
    listing.write_text(json.dumps(entries, indent=2) + "\n")


def problems() -> list[str]:
    """Return what differs between vendor/ and vendor.json, as sentences; needs no network."""
    entries = json.loads((VENDOR / "vendor.json").read_text())
    said = [(entry["name"], entry["version"]) for entry in entries]
    wanted = [(package.name, package.version) for package in PACKAGES]
    found = [] if said == wanted else [f"vendor.json lists {said}, PACKAGES {wanted}; run scripts/vendor.py"]
    expected = {path: digest for entry in entries for path, digest in entry["files"].items()}
    expected |= {name: _sha256(content.encode()) for name, content in _doors().items()}
    present = {str(path.relative_to(VENDOR)): path for path in VENDOR.rglob("*") if path.is_file()}
    del present["vendor.json"]
    for path in sorted(expected.keys() | present.keys()):
        if path not in present:
            found.append(f"vendor/{path} is missing; run scripts/vendor.py")
        elif path not in expected:
            found.append(f"vendor/{path} is not listed in vendor.json; run scripts/vendor.py")
        elif _sha256(present[path].read_bytes()) != expected[path]:
            found.append(f"vendor/{path} was changed by hand; run scripts/vendor.py and mend what uses it instead")
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the committed files with vendor.json")
    if not parser.parse_args().check:
        fetch()
    if found := problems():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
