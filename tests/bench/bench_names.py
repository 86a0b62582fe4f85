"""Measures how surely companies are found in headlines: precision and recall toward the 500 largest, by part.

    python tests/bench/bench_names.py [--part tune] [--faults]

The headlines and their labels are those of `tests/bench/names`, read by the shipped bundle.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from labelled_names import labelled_headlines, largest_companies, name_scores

from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[3] / "shared")) / "data"


async def predict(texts: list[str]) -> list[DocumentPrediction]:
    """Returns the predictions of the shipped bundle for titles."""
    async with Engine(Bundle.load(None), InferenceSettings()) as engine:
        return list(await engine.predict([TextDocument(text, len(text)) for text in texts]))


def main() -> None:
    """Prints precision and recall of each part, and with `--faults` the headlines that come out wrong."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--part", choices=["tune", "final"], help="only this part")
    options.add_argument("--faults", action="store_true", help="print the headlines that come out wrong")
    arguments = options.parse_args()
    linker = Linker(largest_companies(SHARED))
    for part in [arguments.part] if arguments.part else ["tune", "final"]:
        headlines = labelled_headlines(SHARED, part)
        scores = name_scores(linker, headlines, asyncio.run(predict([headline.text for headline in headlines])))
        print(
            f"{part}: {len(headlines)} headlines, {scores.meant} companies meant, {scores.reported} reported, "
            f"{scores.right} right: precision {scores.precision:.3f}, recall {scores.recall:.3f}"
        )
        for row, text, missing, wrong in scores.faults if arguments.faults else ():
            print(f"  {row}\t{text}\tmissing {' '.join(missing) or '-'}\twrong {' '.join(wrong) or '-'}")


if __name__ == "__main__":
    main()
