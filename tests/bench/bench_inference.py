"""How fast the engine is, beside onnxruntime alone on the same batches.

    python tests/bench/bench_inference.py [--bundle DIR] [--precision int8|fp16] [--articles N] [--threads N]

Prints articles and sentences a second of the engine (texts in, readings out, nothing kept from before), of a bare
loop that runs the very same batches of word pieces and decodes nothing, their ratio, and of linking. Texts are the
Reuters stream of ../shared/data where it is there, else made here.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from riskwire.inference.linking import Linker
from riskwire.inference.model.batches import max_tokens_per_run, pack, run_batch
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.sentences import TextDocument
from riskwire.inference.model.session import ModelSession
from riskwire.inference.model.tokens import TokenEncoder, TokenWindow
from riskwire.settings import InferenceSettings

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[3] / "shared")) / "data"
STREAM = SHARED / "streams" / "reuters_2009_2010.jsonl.gz"


def articles(count: int) -> list[TextDocument]:
    """News, real where it is there."""
    if STREAM.exists():
        with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
        return [TextDocument.of_article(row["title"], row["summary"]) for row in rows]
    pick = random.Random(1)
    words = [
        "the",
        "company",
        "said",
        "profit",
        "fell",
        "in",
        "Ireland",
        "after",
        "Acme",
        "Corp",
        "cut",
        "its",
        "forecast",
        "for",
        "sales",
        "of",
        "cars",
        "by",
        "a",
        "third",
    ]
    return [
        TextDocument.of_article(
            " ".join(pick.choices(words, k=8)),
            ". ".join(" ".join(pick.choices(words, k=pick.randrange(8, 40))).capitalize() for _ in range(4)) + ".",
        )
        for _ in range(count)
    ]


def bare(session: ModelSession, windows: list[TokenWindow], budget: int) -> float:
    """Seconds to run the packed batches, as many at once as the session has workers."""
    batches = pack([len(window) for window in windows], budget, session.workers)
    started = time.perf_counter()
    with ThreadPoolExecutor(session.workers) as pool:
        for future in [
            pool.submit(run_batch, session, [windows[row] for row in batch.rows], batch.length) for batch in batches
        ]:
            future.result()
    return time.perf_counter() - started


async def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--bundle", type=Path)
    options.add_argument("--precision", default="auto")
    options.add_argument("--articles", type=int, default=500)
    options.add_argument("--threads", type=int, default=0)
    given = options.parse_args()
    bundle = Bundle.load(given.bundle)
    settings = InferenceSettings(precision=given.precision, threads=given.threads, cache=0)
    documents = articles(given.articles)
    async with Engine(bundle, settings) as engine:
        await engine.predict(documents[:8])
        started = time.perf_counter()
        readings = await engine.predict(documents)
        whole = time.perf_counter() - started
        sentences = sum(len(reading.sentences) for reading in readings)
        texts = list({one.document.content[s.start : s.end] for one in readings for s in one.sentences})
        encoder = TokenEncoder(bundle.tokenizer_path, bundle.manifest.max_length)
        windows = [window for one in encoder.encode(texts) for window in one.windows]
        alone = await asyncio.to_thread(
            bare, engine.session, windows, max_tokens_per_run(engine.session, settings.token_budget)
        )
    linker = Linker()
    started = time.perf_counter()
    mentions = sum(len(linker.link(reading)) for reading in readings)
    linked = time.perf_counter() - started
    print(f"{bundle.label} {engine.session.precision}, {engine.session.workers} workers, {sentences} sentences")
    print(f"engine   {whole:8.2f} s  {len(documents) / whole:8.1f} articles/s  {sentences / whole:8.1f} sentences/s")
    print(f"bare     {alone:8.2f} s  {len(documents) / alone:8.1f} articles/s  {sentences / alone:8.1f} sentences/s")
    print(f"ratio    {alone / whole:8.2f}")
    print(f"linking  {linked:8.2f} s  {len(documents) / linked:8.1f} articles/s  {mentions} mentions")


if __name__ == "__main__":
    asyncio.run(main())
