"""How long each attack on the web port held the event loop, and how long others waited for an answer meanwhile.

The web server runs with the shipped model, as `riskwire run` has it, and reads news all the time. Each line is one
attack: the longest time for which the event loop did nothing else, and how much of that it computed (the other part the
model and other processes took); the longest `GET /readyz` of somebody else meanwhile; and the sentences of news that
were read. The aim is at most 100 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import orjson
import uvloop
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from attacks.strangers import Stranger, head, watched_loop
from serving import FakeProcess, running_server

from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.score import score
from riskwire.records import ScoreRequest, ScoreResult
from riskwire.settings import InferenceSettings, Settings, WebSettings
from riskwire.store import Store
from riskwire.web import AppServices

TOKEN = "a-token-of-this-bench"
BEARER = f"Authorization: Bearer {TOKEN}"
CHUNKED = "Transfer-Encoding: chunked"
JSON = "Content-Type: application/json"


def analyse(texts: list[str], *lines: str) -> bytes:
    """Returns a request that scores texts."""
    body = orjson.dumps([{"id": number, "text": text} for number, text in enumerate(texts)])
    return head("/api/v1/analyse", BEARER, JSON, f"Content-Length: {len(body)}", *lines, method="POST") + body


def distinct(count: int, prefix: str) -> list[str]:
    """Returns distinct sentences about companies."""
    return [f"{prefix}{number} Holdings said profit fell {number} percent after a probe." for number in range(count)]


def attacks(stranger: Stranger) -> dict[str, Callable[[], Awaitable[object]]]:
    """Returns the attacks by name, each as a function that carries it out."""

    def send(data: bytes) -> Callable[[], Awaitable[object]]:
        return lambda: stranger.answer(data, 90)

    async def taken() -> None:
        """Waits until the server has taken what was sent before: it answers a later request."""
        with suppress(OSError):
            await Stranger(stranger.url).answer(head("/healthz", "Connection: close"), 90)

    async def many(data: bytes, count: int) -> None:
        for _ in range(count):
            with suppress(OSError):
                await stranger.connect(data)
        await taken()

    async def together(data: list[bytes]) -> None:
        await asyncio.gather(*(stranger.answer(part, 120) for part in data), return_exceptions=True)

    async def abandon(data: bytes) -> None:
        for _ in range(20):
            client = Stranger(stranger.url)
            await client.connect(data)
            await taken()
            client.close()
        await taken()

    end = "Connection: close"
    one_text = " ".join(distinct(12_000, "G"))[:786_000]
    nested = head("/api/v1/analyse", BEARER, JSON, "Content-Length: 900000", end, method="POST") + b"[" * 900_000
    half_pair = orjson.dumps([{"id": 1, "text": "x"}] * 1)[:-2] + b',"y":"\\ud800","z":[' + b"0," * 400_000 + b"0]}]"
    return {
        "nothing": lambda: asyncio.sleep(2),
        "cookie of 15,000 escapes": send(head("/", 'Cookie: a="' + "\\a" * 15_000 + '"', end)),
        "cookie of 30,000 escapes": send(head("/", 'Cookie: a="' + "\\a" * 30_000 + '"', end)),
        "6,000 headers": send(head("/", *(f"a{number}: b" for number in range(6_000)))),
        "600 kB of chunks of a byte, no token": send(
            head("/api/v1/analyse", CHUNKED, method="POST") + b"1\r\nx\r\n" * 100_000
        ),
        "300 kB of chunks of a byte, with token": send(
            head("/api/v1/analyse", CHUNKED, JSON, BEARER, end, method="POST") + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
        ),
        "2,000 half-sent requests": lambda: many(b"GET / HTTP/1.1\r\nHost: loc", 2_000),
        "2,000 requests without a token": lambda: many(head("/"), 2_000),
        "3,000 pipelined requests": send(head("/healthz") * 3_000 + head("/healthz", end)),
        "200 wrong tokens": lambda: many(head("/", "Authorization: Bearer wrong"), 200),
        "900 kB of open brackets": send(nested),
        "800 kB with half a surrogate pair": send(
            head("/api/v1/analyse", BEARER, JSON, f"Content-Length: {len(half_pair)}", end, method="POST") + half_pair
        ),
        "a text of 786 kB": send(analyse([one_text], end)),
        "a text of 786 kB without a space": send(analyse(["x" * 786_000], end)),
        "1,000 sentences": send(analyse([" ".join(distinct(1_000, "H"))], end)),
        "6 times 1,000 sentences": lambda: together(
            [analyse([" ".join(distinct(1_000, f"I{part}-"))], end) for part in range(6)]
        ),
        "20 times 1,000 sentences, abandoned": lambda: abandon(analyse([" ".join(distinct(1_000, "J"))])),
    }


@asynccontextmanager
async def others(url: str) -> AsyncIterator[list[float]]:
    """Asks `/readyz` all the time while the body runs. Yields the times that the answers took, in seconds."""
    times: list[float] = []

    async def ask(client: aiohttp.ClientSession) -> None:
        while True:
            begun = time.perf_counter()
            with suppress(aiohttp.ClientError):
                async with client.get("/readyz", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
                    await response.read()
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.01)

    async with aiohttp.ClientSession(url) as client:
        asking = asyncio.create_task(ask(client))
        try:
            yield times
        finally:
            asking.cancel()
            await asyncio.wait([asking])


async def read_news(engine: Engine, read: list[int]) -> None:
    """Reads articles of eight new sentences for ever; counts the sentences."""
    number = 0
    while True:
        texts = [" ".join(distinct(8, f"N{number + index}-")) for index in range(8)]
        number += 8
        predictions = await engine.predict([TextDocument(text) for text in texts])
        read[0] += sum(len(prediction.sentences) for prediction in predictions)


async def run(only: str | None) -> None:
    """Starts the server with the model, carries out each attack, and prints a line for it."""
    settings = Settings(web=WebSettings(port=0, token=SecretStr(TOKEN)))
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data=Path(folder) / "data")) as store:
        bundle = await asyncio.to_thread(Bundle.load, None)
        linker = await asyncio.to_thread(Linker)
        async with Engine(bundle, InferenceSettings()) as engine:

            async def answer(requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
                return await score(requests, engine, linker, max_sentences=settings.web.max_sentences)

            services = AppServices(score=answer, ready=FakeProcess(store).services().ready)
            async with running_server(settings, store, services) as url:
                read = [0]
                news = asyncio.create_task(read_news(engine, read))
                await _wait_for(lambda: read[0] > 0)
                settle_garbage_collector()  # as `riskwire run` does
                print(f"{'attack':38} {'held':>9} {'computed':>9} {'others':>9} {'news/s':>7} {'took':>7}")
                for name in attacks(Stranger(url)):
                    if only is None or only in name:
                        await _measure(name, url, read)
                news.cancel()
                await asyncio.wait([news])


async def _wait_for(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds, for at most two minutes."""
    async with asyncio.timeout(120):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def _measure(name: str, url: str, read: list[int]) -> None:
    """Carries out one attack from another process, and prints its line."""
    attacker = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--attack", name, "--url", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    await attacker.stdout.readline()  # it has imported its modules, and waits
    begun, before = time.perf_counter(), read[0]
    async with others(url) as times, watched_loop() as watch:
        attacker.stdin.close()
        await attacker.wait()
        answered = len(times)
        await _wait_for(lambda: len(times) >= answered + 2)  # the second was asked after the attack
    took = time.perf_counter() - begun
    worst, rate = max(times, default=float("nan")), (read[0] - before) / took
    milliseconds = [f"{seconds * 1000:6.0f} ms" for seconds in (watch.worst_s, watch.worst_cpu_s, worst)]
    print(f"{name:38} {' '.join(milliseconds)} {rate:7.0f} {took:5.1f} s", flush=True)


async def attack(name: str, url: str) -> None:
    """Carries out one attack, once standard input is closed."""
    carry_out = attacks(Stranger(url))[name]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    with suppress(TimeoutError):
        await carry_out()


def main() -> None:
    """Runs the bench, or one attack for it, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="only the attacks whose name has this text")
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    uvloop.run(attack(arguments.attack, arguments.url) if arguments.attack else run(arguments.only))


if __name__ == "__main__":
    main()
