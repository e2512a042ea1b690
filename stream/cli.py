"""What a person types: `tonewatch --help`."""

from __future__ import annotations

import getpass
import logging
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from stream import keys_cli, lexicon_cli, policy_cli, rejects_cli
from stream.command import fail, out, read_settings, run
from stream.memory import keep_large_buffers_apart, loading
from stream.settings import PREFIX, Settings

app = typer.Typer(
    name="tonewatch",
    help="Watches how customer-service agents talk, while they talk. Settings: `tonewatch config`.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold passwords and customers' texts
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_app = typer.Typer(help="The topics on Kafka.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
user_app = typer.Typer(help="Local accounts.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(db_app, name="db")
app.add_typer(user_app, name="user")
app.add_typer(policy_cli.app, name="policy")
app.add_typer(lexicon_cli.app, name="lexicon")
app.add_typer(keys_cli.app, name="key")
app.add_typer(rejects_cli.app, name="rejects")


def main() -> None:
    """Run the command line; a mistake of the user's is one line, not a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("aiokafka", "kafka", "faust", "alembic", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    app()


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the pages; 0 picks a free one.")] = 8400,
    data: Annotated[Path | None, typer.Option(help="Keep the database here instead of in a temporary folder.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses and login here as JSON once all is up.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which made-up contact centre talks.")] = 1,
    agents: Annotated[int, typer.Option(help="How many agents work in it.", min=2, max=60)] = 10,
) -> None:
    """Run everything at once on embedded defaults, with a made-up contact centre that talks."""
    from stream.demo import demo as run_demo

    raise typer.Exit(run_demo(port=port, data=data, ready_file=ready_file, seed=seed, agents=agents))


@app.command()
def worker(
    kind: Annotated[Literal["chat", "audio"], typer.Argument(help="Which worker.")],
    health_port: Annotated[int | None, typer.Option(help="Port of /livez, /readyz and /metrics; 0 picks one.")] = None,
) -> None:
    """Run a worker: `chat` judges messages and turns, `audio` scores calls."""
    with loading():
        from stream.app import WrongFaust
        from stream.worker import run_worker

    try:
        run_worker(kind, read_settings(health_port=health_port))
    except (WrongFaust, ValueError, ModuleNotFoundError) as error:
        fail(str(error), 2)


@app.command()
def web(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
) -> None:
    """Serve the pages, the API and the WebSocket, and relay alerts to Kafka's feeds."""
    keep_large_buffers_apart()  # before the libraries are loaded: what that leaves behind is holes as well
    from stream.serve import serve

    run(serve(read_settings(web_host=host, web_port=port)))


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="WAV or FLAC of calls, or JSONL of chat messages.")],
    sides: Annotated[str, typer.Option(help="Who is on which channel, in order.")] = "agent,customer",
    agent: Annotated[str, typer.Option(help="The agent's id.")] = "replay-agent",
    name: Annotated[str | None, typer.Option(help="The agent's name.")] = None,
    team: Annotated[str, typer.Option(help="The agent's team.")] = "replay",
    language: Annotated[str, typer.Option(help="Language of the call: zh, en, …")] = "zh",
    speed: Annotated[float, typer.Option(help="Times real time.", min=1, max=50)] = 1.0,
    conversation: Annotated[str | None, typer.Option(help="The call's id; by default a new one a file.")] = None,
    platform: Annotated[
        str | None,
        typer.Option("--from", help="The JSONL lines are this platform's own events: easemob, tencent-im, stream, …"),
    ] = None,
) -> None:
    """Send recordings or messages into the topics, as if they happened now."""
    from stream.replay import replay_with_progress

    run(
        replay_with_progress(
            read_settings(),
            files,
            sides=tuple(part.strip() for part in sides.split(",")),
            agent_id=agent,
            agent_name=name or agent,
            team=team,
            language=language,
            speed=speed,
            conversation_id=conversation,
            platform=platform,
        )
    )


@app.command()
def report(
    file: Annotated[Path, typer.Argument(help="A recording of one call: WAV, FLAC, or what else libsndfile reads.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; by default FILE's name with .html, in this folder.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Draw it as a picture into this file as well.")] = None,
    language: Annotated[
        Literal["zh", "en"], typer.Option(help="Language of the page, and of the call if nothing else is said.")
    ] = "zh",
    call_language: Annotated[
        str | None, typer.Option(help="Language that is spoken, which the limits depend on: zh, en, …")
    ] = None,
    sides: Annotated[
        str | None,
        typer.Option(help="Who is on which channel, in order; by default agent,customer, or agent where it is one."),
    ] = None,
    hold: Annotated[
        list[str] | None, typer.Option(help="The call was on hold, like 1:05-1:40; may be given more than once.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules as TOML; by default the shipped ones.")] = None,
) -> None:
    """Make one HTML page of a recording: what the live floor would have shown, and what the rules say.

    Waveform, turns, level, rate, pitch and alerts, with a word on each; the page needs nothing else and prints on A4.

    For example: tonewatch report call.flac --language en --png call.png

    Needs no Kafka and no database; of the package it needs the extra `offline`.
    """
    from stream.report.make import make_report

    try:
        written = make_report(
            file,
            output=output,
            png=png,
            language=language,
            call_language=call_language,
            sides=None if sides is None else tuple(part.strip() for part in sides.split(",")),
            holds=hold or (),
            rules=rules,
        )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        fail(str(error))
    for path in written:
        out.print(f"{path} is written.", markup=False, highlight=False, soft_wrap=True)


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="Which made-up contact centre talks.")] = 1,
    agents: Annotated[int, typer.Option(help="How many agents work in it.", min=2, max=60)] = 10,
    speed: Annotated[float, typer.Option(help="Times real time.", min=0.1, max=10)] = 1.0,
) -> None:
    """Let a made-up contact centre talk into the topics, until stopped."""
    from stream.simulate import simulate_until_stopped

    run(simulate_until_stopped(read_settings(), seed=seed, agents=agents, speed=speed))


@topics_app.command("apply")
def topics_apply(
    dry_run: Annotated[bool, typer.Option(help="Only show what would change.")] = False,
) -> None:
    """Create what is missing and mend what differs; nothing is ever deleted."""
    from stream.kafka_admin import apply, plan

    settings = read_settings()
    differences = run(plan(settings) if dry_run else apply(settings))
    if not differences:
        out.print("All topics are as they should be.")
        return
    table = Table("topic", "what", "found", "wanted", "remedy")
    for difference in differences:
        remedy = "done" if difference.done else difference.remedy
        table.add_row(difference.topic, difference.name, difference.found, difference.wanted, remedy)
    out.print(table)


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to this version; an empty database also gets the shipped rules and phrases."""
    from stream.operate import upgrade_database

    for line in run(upgrade_database(read_settings())):
        out.print(line, highlight=False)


@db_app.command("purge")
def db_purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Delete what is older than TONEWATCH_KEEP_MESSAGES_DAYS and its like; the web process does so once a day."""
    from stream.operate import purge_database

    table = Table("kind", "rows to be deleted" if dry_run else "rows deleted", "older than")
    for purged in run(purge_database(read_settings(), dry_run=dry_run, now=time.time())):
        when = datetime.fromtimestamp(purged.before).isoformat(sep=" ", timespec="seconds")
        table.add_row(purged.kind, str(purged.rows), when)
    out.print(table)


@user_app.command("add")
def user_add(
    login: Annotated[str, typer.Argument(help="What the person types to log in.")],
    role: Annotated[list[str], typer.Option(help="agent, supervisor, qa, qa_lead, admin or auditor; may repeat.")],
    team: Annotated[list[str], typer.Option(help="A team the person may see; may repeat.")] = [],  # noqa: B006  (typer copies it)
    name: Annotated[str, typer.Option(help="The person's name.")] = "",
    agent_id: Annotated[str | None, typer.Option(help="For the role agent: which agent this person is.")] = None,
) -> None:
    """Add a local account; the password is asked for, or read from standard input."""
    from stream.operate import add_person

    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    run(add_person(read_settings(), login, name or login, password, role, team, agent_id))
    out.print(f"{login} may log in.", highlight=False)


@app.command()
def config() -> None:
    """Show every setting with its value; secrets are hidden."""
    settings = read_settings()
    table = Table("variable", "value", "meaning")
    for name, field in Settings.model_fields.items():
        table.add_row(f"{PREFIX}{name.upper()}", str(getattr(settings, name)), field.description or "")
    out.print(table)


@app.command()
def doctor() -> None:
    """Check Kafka, topics, database, versions, clock and disk, and say what to do."""
    from stream.doctor import examine

    logging.disable(logging.CRITICAL)  # the clients' own complaints say less than the lines below
    checks = run(examine(read_settings()))
    for check in checks:
        mark = "[green]ok[/]  " if check.ok else "[red]FAIL[/]"
        out.print(f"{mark} {check.name}: ", end="")
        out.print(
            check.found + ("" if check.ok else f"; {check.remedy}"), markup=False, highlight=False, soft_wrap=True
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
