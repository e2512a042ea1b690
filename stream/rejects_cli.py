"""`tonewatch rejects`: what could not be used, and how to go on after a topic was held."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from stream.command import out, progress_bar, read_settings, run
from stream.settings import Settings
from stream.topics import INPUTS, topic_name

app = typer.Typer(help="Records that could not be used.", no_args_is_help=True)

Topic = Annotated[str, typer.Argument(help=f"One of {', '.join(INPUTS)}.")]


def _name(settings: Settings, topic: str) -> str:
    """Return an input topic's name on Kafka from its name with or without the prefix."""
    names = {topic_name(settings, noun): topic_name(settings, noun) for noun in INPUTS}
    names |= {noun: topic_name(settings, noun) for noun in INPUTS}
    if topic not in names:
        raise typer.BadParameter(f"{topic} has no rejects; write one of {', '.join(INPUTS)}")
    return names[topic]


@app.command("list")
def list_(topic: Annotated[str | None, typer.Argument(help="Only of this topic.")] = None) -> None:
    """Count what was set aside, by topic and reason, and say what is held."""
    from alerts.store.holds import advice
    from stream.rejects import held, reasons

    settings = read_settings()
    names = [_name(settings, each) for each in ([topic] if topic else INPUTS)]
    table = Table("topic", "reason", "count", "newest", "partition, offset", "what is wrong with it")
    for found in run(reasons(settings, names)):
        when = datetime.fromtimestamp(found.newest_at).isoformat(sep=" ", timespec="seconds")
        place = f"{found.newest[0]} {found.newest[1]}"
        table.add_row(found.topic, found.reason, str(found.count), when, place, found.error)
    out.print(table)
    for line in advice([hold for hold in run(held(settings)) if hold.topic in names]):
        out.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


@app.command()
def show(
    topic: Topic,
    partition: Annotated[int, typer.Argument(help="Partition among the rejects, as `list` tells it.", min=0)],
    offset: Annotated[int, typer.Argument(help="Offset among the rejects, as `list` tells it.", min=0)],
    unmask: Annotated[bool, typer.Option("--unmask", help="Show it as it came; this is written into the log.")] = False,
) -> None:
    """Show one reject: its headers and its value, phone numbers and the like starred."""
    from stream.rejects import note_unmasking, one, shown

    settings = read_settings()
    name = _name(settings, topic)
    record = run(one(settings, name, partition, offset))
    if unmask:
        run(note_unmasking(settings, getpass.getuser(), name, partition, offset))
    headers, value = shown(record, unmask=unmask)
    for header, words in headers.items():
        out.print(f"{header}: {words}", markup=False, highlight=False, soft_wrap=True)
    out.print()
    out.print(value, markup=False, highlight=False, soft_wrap=True)


@app.command()
def release(topic: Topic) -> None:
    """Go on with a topic that is held: the next 1,000 bad records of it are set aside."""
    from stream.rejects import release as let_go

    settings = read_settings()
    found = run(let_go(settings, _name(settings, topic), getpass.getuser()))
    out.print(f"{', '.join(hold.worker for hold in found)} will go on within two seconds.", highlight=False)


@app.command()
def replay(
    topic: Topic,
    since: Annotated[
        datetime | None, typer.Option(help="Only what was set aside from then on, in the time zone of this machine.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only what has this reason, as `list` tells it.")] = None,
) -> None:
    """Send rejects to their topic again, as they came, with a header `replayed` that says from where."""
    from stream.rejects import replay as send

    settings = read_settings()
    name = _name(settings, topic)
    with progress_bar() as progressed:
        count = run(
            send(settings, name, since=since, reason=reason, progress=lambda share: progressed(name, share, 1.0))
        )
    out.print(f"{count} records of {name} were sent again.", highlight=False)
