"""The chaos run: `python tests/chaos/run.py --seed 7 --articles 2000 --faults 60`. Exits with 1 unless nothing is
lost, nothing doubled and nothing differs from a calm run, every exit is explained, nobody left a traceback, and all
stopped who were told to. `--help` tells the rest; tests/chaos/README.md what it does.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.chaos import Outcome, Run

HERE = Path(__file__).resolve().parent
BROKEN = ("position", "state")


def main() -> int:
    """Do a run and tell of it."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    from broker import how_to_get_it
    from harness.plan import KINDS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="of the news, the faults and their moments; random when not given")
    parser.add_argument("--articles", type=int, default=2_000, help="lines of news")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument(
        "--every", type=float, default=7.0, metavar="S", help="seconds from fault to fault, in the mean"
    )
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--only", action="append", choices=KINDS, help="only faults of this kind; may be repeated")
    parser.add_argument("--broken", choices=BROKEN, help="run a build with a known mistake: it must be caught")
    parser.add_argument("--feeds", type=int, default=6, help="feeds that ingesters poll meanwhile; 0: no live news")
    parser.add_argument("--drain", type=float, default=300.0, metavar="S", help="longest wait until all is read")
    parser.add_argument("--folder", type=Path, help="where logs and data go; must not exist")
    parser.add_argument("--keep", action="store_true", help="keep the folder also where all is well")
    words = parser.parse_args()
    missing = how_to_get_it()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    seed = words.seed if words.seed is not None else random.randrange(1, 1_000_000)
    folder: Path = words.folder or Path(tempfile.mkdtemp(prefix="riskwire-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    return _run(words, seed, folder.resolve())


def _run(words: argparse.Namespace, seed: int, folder: Path) -> int:
    from harness.snapshot import taken

    code = taken(folder / "code")
    sys.path[:0] = map(str, code.folders)  # before anything of riskwire is imported
    from harness.chaos import FEWER, WORKERS, Options, Run
    from harness.plan import KINDS
    from harness.report import told, verdict

    options = Options(
        seed=seed,
        articles=words.articles,
        faults=words.faults,
        every_s=words.every,
        partitions=words.partitions,
        folder=folder,
        drain_s=words.drain,
        broken=words.broken,
        feeds=words.feeds,
        workers=WORKERS if words.broken is None else FEWER,
        kinds=tuple(words.only) if words.only else KINDS,
    )
    began = time.monotonic()
    with (folder / "chaos.log").open("a", encoding="utf-8") as log:

        def say(what: str) -> None:
            line = f"{time.monotonic() - began:7.1f} s  {what}"
            print(line, file=log, flush=True)
            print(line, flush=True)

        say(f"seed {seed}; logs and data are in {folder}")
        try:
            outcome = asyncio.run(_until_told(Run(options, code, say)))
        except asyncio.CancelledError:
            say("interrupted; nothing was left running")
            return 130
        except BaseException:
            say(f"the run itself failed; logs and data are left in {folder}")
            raise
        report = list(told(options, outcome))
        print("\n".join(report), file=log)
    print("\n".join(["", *report]))
    if verdict(outcome):
        if not words.keep:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    again = f"python tests/chaos/run.py --seed {seed} --articles {words.articles} --faults {words.faults}"
    again += f" --every {words.every:g} --partitions {words.partitions} --feeds {words.feeds} --drain {words.drain:g}"
    again += "".join(f' --only "{kind}"' for kind in words.only or ())
    print(f"Logs and data are left in {folder}. To see it again:\n  {again}{_broken(words)}")
    return 1


async def _until_told(run: Run) -> Outcome:
    """SIGTERM and Ctrl-C end a run in good order: nothing is left running."""
    task = asyncio.current_task()
    assert task is not None
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, task.cancel)
    return await run.run()


def _broken(words: argparse.Namespace) -> str:
    return f" --broken {words.broken}" if words.broken else ""


if __name__ == "__main__":
    sys.exit(main())
