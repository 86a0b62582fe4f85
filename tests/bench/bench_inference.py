"""Measures the engine, beside onnxruntime alone on the same batches.

    python tests/bench/bench_inference.py [--bundle DIR] [--precision int8|fp16] [--articles N] [--threads N]

Prints articles and sentences a second of the engine (texts in, predictions out, nothing cached), of a bare loop that
runs the same batches of tokens without decoding, their ratio, and of linking. The texts are the Reuters stream of
../shared/data, or synthetic news when it is missing.
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
WORDS = (
    *("the", "company", "said", "profit", "fell", "in", "Ireland", "after", "Acme", "Corp", "cut", "its", "forecast"),
    *("for", "sales", "of", "cars", "by", "a", "third"),
)


def documents_of(count: int) -> list[TextDocument]:
    """Returns the first `count` items of the Reuters stream, or as many synthetic ones if it is missing."""
    if STREAM.exists():
        with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
        return [TextDocument.of_article(row["title"], row["summary"]) for row in rows]
    rng = random.Random(1)
    return [
        TextDocument.of_article(
            " ".join(rng.choices(WORDS, k=8)),
            ". ".join(" ".join(rng.choices(WORDS, k=rng.randrange(8, 40))).capitalize() for _ in range(4)) + ".",
        )
        for _ in range(count)
    ]


def bare_seconds(session: ModelSession, windows: list[TokenWindow], budget: int) -> float:
    """Returns the seconds to run the packed batches, as many in parallel as the session has workers.

    Args:
        windows: the tokens of sentences, which are packed into batches of similar length.
        budget: the most tokens of a batch.
    """
    batches = pack([len(window) for window in windows], budget, session.workers)
    started = time.perf_counter()
    with ThreadPoolExecutor(session.workers) as pool:
        futures = [
            pool.submit(run_batch, session, [windows[row] for row in batch.rows], batch.length) for batch in batches
        ]
        for future in futures:
            future.result()
    return time.perf_counter() - started


async def main() -> None:
    """Prints the speed of the inference engine beside the bare ONNX session, and of linking."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--articles", type=int, default=500)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    settings = InferenceSettings(precision=options.precision, threads=options.threads, cache=0)
    documents = documents_of(options.articles)
    async with Engine(bundle, settings) as engine:
        await engine.predict(documents[:8])
        started = time.perf_counter()
        predictions = await engine.predict(documents)
        engine_s = time.perf_counter() - started
        sentences = sum(len(prediction.sentences) for prediction in predictions)
        texts = {
            prediction.document.content[sentence.start : sentence.end]
            for prediction in predictions
            for sentence in prediction.sentences
        }
        encoder = TokenEncoder(bundle.tokenizer_path, bundle.manifest.max_length)
        windows = [window for tokenized in encoder.encode(list(texts)) for window in tokenized.windows]
        budget = max_tokens_per_run(engine.session, settings.token_budget)
        bare_s = await asyncio.to_thread(bare_seconds, engine.session, windows, budget)
    linker = Linker()
    started = time.perf_counter()
    mentions = sum(len(linker.link(prediction)) for prediction in predictions)
    linking_s = time.perf_counter() - started
    count = len(documents)
    print(f"{bundle.label} {engine.session.precision}, {engine.session.workers} workers, {sentences} sentences")
    print(f"engine   {engine_s:8.2f} s  {count / engine_s:8.1f} articles/s  {sentences / engine_s:8.1f} sentences/s")
    print(f"bare     {bare_s:8.2f} s  {count / bare_s:8.1f} articles/s  {sentences / bare_s:8.1f} sentences/s")
    print(f"ratio    {bare_s / engine_s:8.2f}")
    print(f"linking  {linking_s:8.2f} s  {count / linking_s:8.1f} articles/s  {mentions} mentions")


if __name__ == "__main__":
    asyncio.run(main())
