"""`tonewatch policy`: rules and phrases in force, and how they came to be."""

from __future__ import annotations

import getpass
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stream.command import out, read_settings, run

app = typer.Typer(help="Rules and phrases in force.", no_args_is_help=True)


@app.command("load")
def load(
    rules: Annotated[Path | None, typer.Option(help="Rules as TOML; by default the shipped ones.")] = None,
    packs: Annotated[Path | None, typer.Option(help="Folder of phrase packs; by default the shipped ones.")] = None,
    why: Annotated[str, typer.Option(help="Why, for the history.")] = "policy load",
) -> None:
    """Make files the policy in force: checked whole, then taken over by every worker within a few seconds."""
    from stream.operate import load_policy

    version, is_new = run(load_policy(read_settings(), rules, packs, who=getpass.getuser(), why=why, now=time.time()))
    out.print(f"policy {version} is in force" + ("" if is_new else " already: nothing differs"), highlight=False)


@app.command("history")
def versions(
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1, max=200)] = 20,
) -> None:
    """List the versions: when, by whom, why, and how many entries each changed."""
    from stream.operate import policy_history

    table = Table("version", "when", "who", "why", "added", "removed", "changed")
    for each in run(policy_history(read_settings(), limit)):
        when = datetime.fromtimestamp(each.at).isoformat(sep=" ", timespec="seconds")
        counts = (str(each.added), str(each.removed), str(each.changed))
        table.add_row(str(each.version), when, each.who, each.why, *counts)
    out.print(table, markup=False)


@app.command("diff")
def diff(
    version: Annotated[int, typer.Argument(help="A version, as `history` tells it.", min=1)],
    before: Annotated[int | None, typer.Argument(help="Against which; by default the one before it.", min=1)] = None,
) -> None:
    """Show entry by entry what a version changed."""
    from stream.operate import policy_changes

    changes = run(policy_changes(read_settings(), version, before))
    for change in changes:
        out.print(f"{change.how} {change.what} {change.id} {change.name}", markup=False, highlight=False)
        for field, old, new in change.fields if change.how == "changed" else ():
            out.print(f"    {field}: {old!r} → {new!r}", markup=False, highlight=False, soft_wrap=True)
    if not changes:
        out.print("nothing differs")
