"""Prints how often items of recorded feeds are read in spite of their language, or not read in English.

    .venv/bin/python tests/bench/bench_language.py [--feeds shared/data/feeds] [--show]

Each item passes ingest's detection and infer's decision, as in the running system. A foreign item that is read is an
error; so is an English item that is not read. Each is tried as published, without the declared language, and by its
title alone. The language of an item is that of its publisher, or what the sitemap of Bloomberg says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.vocabulary import Vocabulary

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from feeds.recorded_items import language_errors, recorded_items


def main() -> None:
    """Parses the command line and prints the error rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=Path, default=Path("../shared/data/feeds"), help="folder of recorded feeds")
    parser.add_argument("--show", action="store_true", help="print the titles of the errors")
    arguments = parser.parse_args()
    vocabulary = Vocabulary.load(Bundle.load().tokenizer_path)
    for errors in language_errors(list(recorded_items(arguments.feeds)), vocabulary):
        print(errors)
        if arguments.show:
            for title in (*errors.read, *errors.unread):
                print(f"  {title}")


if __name__ == "__main__":
    main()
