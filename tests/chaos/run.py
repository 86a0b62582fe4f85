"""The command of the chaos run: `python tests/chaos/run.py --seed 7 --articles 2000 --faults 60`.

Exits with 0 if no record is lost, doubled or different from the reference run, each exit of a service is explained, no
log has a traceback, and each service stopped after SIGTERM. Otherwise exits with 1. See tests/chaos/README.md.
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
    from harness.chaos_run import ChaosRun
    from harness.outcome import RunOutcome

HERE = Path(__file__).resolve().parent
KNOWN_BUGS = ("position", "state")


def main() -> int:
    """Parses the options, does a run, and prints its report.

    Returns:
        the exit code: 2 if Kafka is missing, else that of the run. A run without a seed gets a random one, and prints
        it.
    """
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    from broker import missing_prerequisite
    from harness.faults.plan import FAULT_KINDS, POSTGRESQL_FAULT_KINDS, UPGRADE_FAULT_KINDS
    from stores.postgresql import missing_postgresql

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="seed of the news, the faults and their times (default: random)")
    parser.add_argument("--articles", type=int, default=2_000, help="lines of the archive")
    parser.add_argument("--faults", type=int, default=60, help="number of faults")
    parser.add_argument("--every", type=float, default=7.0, metavar="S", help="average seconds between faults")
    parser.add_argument("--partitions", type=int, default=4, help="partitions of each topic")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*FAULT_KINDS, *POSTGRESQL_FAULT_KINDS, *UPGRADE_FAULT_KINDS),
        help="inject only this kind; may be repeated",
    )
    parser.add_argument(
        "--upgrade-from",
        metavar="REVISION",
        help="upgrade from the code of this commit (default: from the checkout to a made-up next version)",
    )
    parser.add_argument("--broken", choices=KNOWN_BUGS, help="run services with a known bug, which must be detected")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="store of the sinks")
    parser.add_argument("--feeds", type=int, default=6, help="feeds that ingesters poll meanwhile; 0: no live news")
    parser.add_argument("--decisions", action="store_true", help="people decide about alerts meanwhile, by the API")
    parser.add_argument(
        "--drain", type=float, default=300.0, metavar="S", help="longest wait until everything has been read"
    )
    parser.add_argument("--folder", type=Path, help="folder for logs and data; must not exist")
    parser.add_argument("--keep", action="store_true", help="keep the folder after a successful run")
    arguments = parser.parse_args()
    missing = missing_prerequisite() or (missing_postgresql() if arguments.store == "postgresql" else None)
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    seed = arguments.seed if arguments.seed is not None else random.randrange(1, 1_000_000)
    folder: Path = arguments.folder or Path(tempfile.mkdtemp(prefix="riskwire-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    return _run(arguments, seed, folder.resolve())


def _run(arguments: argparse.Namespace, seed: int, folder: Path) -> int:
    """Does one chaos run in `folder`, and prints and logs its course.

    Returns:
        0 if no check failed, and then deletes the folder (unless `--keep`); 1 if one did; 130 if it was interrupted.
    """
    from harness.processes.snapshot import take_snapshot

    code = take_snapshot(folder / "code")
    revision: str | None = arguments.upgrade_from
    before = None if revision is None else take_snapshot(folder / "code-before", revision)
    sys.path[:0] = map(str, code.folders)  # before anything of riskwire is imported
    from harness.chaos_run import ChaosRun
    from harness.faults.plan import FAULT_KINDS, POSTGRESQL_FAULT_KINDS
    from harness.outcome import WORKERS, WORKERS_WITH_KNOWN_BUG, RunOptions
    from harness.verdict.report import report_lines

    options = RunOptions(
        seed=seed,
        articles=arguments.articles,
        faults=arguments.faults,
        every_s=arguments.every,
        partitions=arguments.partitions,
        folder=folder,
        drain_s=arguments.drain,
        known_bug=arguments.broken,
        feeds=arguments.feeds,
        workers=WORKERS if arguments.broken is None else WORKERS_WITH_KNOWN_BUG,
        kinds=tuple(arguments.only)
        if arguments.only
        else FAULT_KINDS + (POSTGRESQL_FAULT_KINDS if arguments.store == "postgresql" else ()),
        store=arguments.store,
        decisions=arguments.decisions,
    )
    started_at = time.monotonic()
    with (folder / "chaos.log").open("a", encoding="utf-8") as log_file:

        def log(message: str) -> None:
            line = f"{time.monotonic() - started_at:7.1f} s  {message}"
            print(line, file=log_file, flush=True)
            print(line, flush=True)

        log(f"seed {seed}; logs and data are in {folder}")
        try:
            outcome = asyncio.run(_run_until_signal(ChaosRun(options, code, log, before)))
        except asyncio.CancelledError:
            log("interrupted; all processes have been killed")
            return 130
        except BaseException:
            log(f"the run itself failed; logs and data remain in {folder}")
            raise
        report = list(report_lines(options, outcome))
        print("\n".join(report), file=log_file)
    print("\n".join(["", *report]))
    if outcome.successful:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"Logs and data remain in {folder}. To repeat the run:\n  {_command_line(arguments, seed)}")
    return 1


async def _run_until_signal(run: ChaosRun) -> RunOutcome:
    """Does a run. SIGTERM and Ctrl-C cancel it, so that it kills its processes and raises CancelledError."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await run.run()


def _command_line(arguments: argparse.Namespace, seed: int) -> str:
    """Returns the command that repeats a run."""
    command = f"python tests/chaos/run.py --seed {seed} --articles {arguments.articles} --faults {arguments.faults}"
    command += f" --every {arguments.every:g} --partitions {arguments.partitions}"
    command += f" --feeds {arguments.feeds} --drain {arguments.drain:g} --store {arguments.store}"
    command += " --decisions" if arguments.decisions else ""
    command += "".join(f' --only "{kind}"' for kind in arguments.only or ())
    command += f" --upgrade-from {arguments.upgrade_from}" if arguments.upgrade_from else ""
    return f"{command} --broken {arguments.broken}" if arguments.broken else command


if __name__ == "__main__":
    sys.exit(main())
