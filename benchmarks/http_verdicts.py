"""How long POST /v1/moderate takes at 300 requests a second, a chat worker beside, and a route that only answers."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import orjson
from house import new_database, services, with_topics
from lines import Line, conclude
from verdict_latency import BLOCKED_EVERY, WARM_SECONDS, Timings, of_rounds, rounds_given

from stream.operate import add_key
from stream.settings import Settings
from tests.workers import WebProcess, status, workers

RATE = 300
TAIL_BAR_MS = 20.0
CONNECTIONS = 32
"""As many as a platform's gateway keeps open."""


async def measure(address: str, path: str, key: str, seconds: float, run: str) -> Timings:
    """Ask `RATE` times a second and return the ms of each answer after the warm-up; those that wait for a connection
    wait in them. Raises SystemExit where an answer is no verdict."""
    took: list[float] = []
    wrong: list[str] = []
    async with aiohttp.ClientSession(
        f"http://{address}",
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        timeout=aiohttp.ClientTimeout(30),
    ) as client:

        async def ask(number: int, due: float) -> None:
            is_blocked = number % BLOCKED_EVERY == 0
            body = {
                "message_id": f"{run}-{number}",
                "conversation_id": f"{run}-{number % 200}",
                "sender": {"id": f"a-{number % 50}", "team": "refunds"},
                "text": "您这个人就是骗子" if is_blocked else f"好的，第 {number} 号订单已经帮您查到了",
            }
            asks_verdict = path.startswith("/v1")
            async with client.post(path, data=orjson.dumps(body)) if asks_verdict else client.get(path) as answer:
                text = await answer.read()
            if number >= WARM_SECONDS * RATE:
                took.append((time.perf_counter() - due) * 1000)
            if asks_verdict:
                said = orjson.loads(text)
                if said.get("unverified") or (said.get("action") == "block") is not is_blocked:
                    wrong.append(text.decode())

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round((seconds + WARM_SECONDS) * RATE)):
                due = began + number / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(ask(number, due))
    if wrong:
        raise SystemExit(f"{len(wrong)} answers are no verdicts in time, the first: {wrong[0]}")
    return sorted(took)


async def house(settings: Settings, folder: Path, given: argparse.Namespace) -> list[dict[str, Timings]]:
    """Measure the verdicts, and the same way a route that only answers, in turn; a dictionary a round, by path."""
    async with workers(settings, folder, chat=1):
        _, key = await add_key(settings, "openim", "benchmark", who="benchmark", now=time.time())
        web = WebProcess(settings, 0, folder)
        web.start()
        try:
            while await asyncio.to_thread(status, f"http://{web.address}/readyz") != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            await asyncio.sleep(2)
            return [
                {
                    path: await measure(web.address, path, key, given.seconds, f"{time.time_ns():x}")
                    for path in ("/livez", "/v1/moderate")
                }
                for _ in range(given.rounds)
            ]
        finally:
            web.stop()


def main() -> int:
    given = rounds_given(__doc__ or "")
    lines: list[Line] = []
    with services() as (kafka, postgres, folder):
        for database in ("sqlite", "postgres"):
            url = new_database(database, postgres, folder)
            settings = with_topics(
                Settings(kafka=kafka.bootstrap, topic_prefix=f"h{database}.", partitions=4, database=url)
            )
            print(f"{database} at {RATE}/s …", file=sys.stderr)
            rounds = asyncio.run(house(settings, folder, given))
            verdicts, bare = ([took[path] for took in rounds] for path in ("/v1/moderate", "/livez"))
            lines += [
                Line(f"{database}: verdict over HTTP p50", of_rounds(verdicts, 0.5), "ms"),
                Line(f"{database}: verdict over HTTP p99", of_rounds(verdicts, 0.99), "ms", TAIL_BAR_MS),
                Line(f"{database}: a route that only answers, p50", of_rounds(bare, 0.5), "ms"),
                Line(f"{database}: a route that only answers, p99", of_rounds(bare, 0.99), "ms"),
            ]
    return conclude(lines, given.json)


if __name__ == "__main__":
    sys.exit(main())
