"""`tonewatch key`: the API keys with which platforms ask for verdicts over HTTP."""

from __future__ import annotations

import getpass
import time
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from stream.command import err, out, read_settings, run

app = typer.Typer(help="API keys with which platforms ask for verdicts over HTTP.", no_args_is_help=True)


@app.command()
def add(
    platform: Annotated[str, typer.Argument(help="What messages asked about with it are from: openim, my-shop, …")],
    note: Annotated[str, typer.Option(help="Who has it, for the list.")] = "",
) -> None:
    """Make a key and print it, this once: the database has only its hash."""
    from stream.operate import add_key

    number, key = run(add_key(read_settings(), platform, note, who=getpass.getuser(), now=time.time()))
    # Apart, so that `KEY=$(tonewatch key add my-shop)` has the key and nothing else.
    err.print(f"Key {number} of {platform}; it is not shown again:", markup=False, highlight=False, soft_wrap=True)
    out.print(key, markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_() -> None:
    """List the keys that were made: for which platform, when, by whom, and whether they may still be used."""
    from stream.operate import list_keys

    def day(at: float) -> str:
        return datetime.fromtimestamp(at).isoformat(sep=" ", timespec="seconds")

    table = Table("number", "platform", "note", "made", "by", "state")
    for key in run(list_keys(read_settings())):
        state = "in use" if key.revoked_at is None else f"revoked {day(key.revoked_at)}"
        table.add_row(str(key.id), key.platform, key.note, day(key.created_at), key.created_by, state)
    out.print(table)


@app.command()
def revoke(number: Annotated[int, typer.Argument(help="The key's number, as `list` tells it.", min=1)]) -> None:
    """End a key: within about a second nobody is let in with it."""
    from stream.operate import revoke_key

    key = run(revoke_key(read_settings(), number, who=getpass.getuser(), now=time.time()))
    out.print(f"Key {key.id} of {key.platform} is revoked.", markup=False, highlight=False, soft_wrap=True)
