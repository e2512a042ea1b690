"""`tonewatch lexicon`: phrases checked, tried, added, and brought from and to elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Prohibited phrases: check, test, try, add, import, export.", no_args_is_help=True)

Who = Literal["agent", "customer"]
Why = Annotated[str, typer.Option(help="Why, for the history.")]
Files = Annotated[
    list[Path], typer.Option("--pack", help="A pack (TOML, CSV, JSONL) instead of the shipped ones; may repeat.")
]
InForce = Annotated[bool, typer.Option("--in-force", help="With the policy in force, from TONEWATCH_DATABASE.")]


@app.command()
def check(files: Annotated[list[Path], typer.Argument(help="Packs (TOML) or lists (CSV, JSONL).")]) -> None:
    """Check packs: every mistake with its file, line and what to write instead."""
    from stream import lexicon_work

    lexicon_work.check(files)


@app.command()
def test(
    text: Annotated[str, typer.Argument(help="A message as somebody might write it.")],
    side: Annotated[Who, typer.Option(help="Who writes it.")] = "agent",
    pack: Files = [],  # noqa: B006  (typer copies it)
    in_force: InForce = False,
) -> None:
    """Say what is found in a message and why, and what is not, though it looks like it."""
    from stream import lexicon_work

    lexicon_work.test(text, side, pack, in_force)


@app.command("try")
def try_(
    on: Annotated[Path, typer.Option(help="Messages that were really written: JSONL with text, and side or sender.")],
    pack: Files = [],  # noqa: B006  (typer copies it)
    in_force: InForce = False,
    side: Annotated[Who, typer.Option(help="Who wrote those that do not say it.")] = "agent",
    examples: Annotated[int, typer.Option(help="Examples a phrase.", min=0, max=100)] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there as well.")] = None,
) -> None:
    """Try phrases on messages that are known to be harmless, say: how many are hit, by which phrases, with examples."""
    from stream import lexicon_work

    lexicon_work.try_on(on, pack, in_force, side, examples, json_file)


@app.command()
def add(
    phrase: Annotated[str, typer.Argument(help="The phrase; * stands for some characters between.")],
    category: Annotated[str, typer.Option(help="abuse, threat, promise, privacy, off_platform, policy, …")],
    why: Why = "lexicon add",
    severity: Annotated[str | None, typer.Option(help="info, warning or critical.")] = None,
    action: Annotated[str | None, typer.Option(help="allow, mask, review or block.")] = None,
    speaker: Annotated[str | None, typer.Option(help="agent, customer or any.")] = None,
) -> None:
    """Add a phrase to the policy in force; every worker has it within two seconds."""
    from stream import lexicon_work

    lexicon_work.add(
        {"phrase": phrase, "category": category, "severity": severity, "action": action, "speaker": speaker}, why
    )


@app.command()
def remove(phrase_id: Annotated[str, typer.Argument(help="Its id.")], why: Why = "lexicon remove") -> None:
    """Take a phrase out of the policy in force."""
    from stream import lexicon_work

    lexicon_work.remove(phrase_id, why)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Packs (TOML) or lists (CSV, JSONL).")],
    why: Why = "lexicon import",
    category: Annotated[str | None, typer.Option(help="For every entry of a list that is not TOML.")] = None,
    severity: Annotated[str | None, typer.Option(help="The same.")] = None,
    action: Annotated[str | None, typer.Option(help="The same.")] = None,
) -> None:
    """Add packs to the policy in force, or replace those of the same name; refused whole where anything is wrong."""
    from stream import lexicon_work

    lexicon_work.import_files(files, why, {"category": category, "severity": severity, "action": action})


@app.command()
def export(
    to: Annotated[Literal["toml", "csv", "jsonl", "wecom"], typer.Option(help="In which form.")] = "toml",
    name: Annotated[str | None, typer.Option("--only", help="One pack, as general.zh.toml; by default all.")] = None,
    in_force: InForce = False,
    file: Annotated[Path | None, typer.Option("--out", help="Write there instead of to the screen.")] = None,
) -> None:
    """Write phrases for elsewhere: as a pack, a list, or WeCom's own rules (externalcontact/add_intercept_rule)."""
    from stream import lexicon_work

    lexicon_work.export(to, name, in_force, file)
