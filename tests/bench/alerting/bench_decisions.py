"""Measures how soon decisions take effect, with the real API, bus and webhook.

    python tests/bench/alerting/bench_decisions.py [--bus embedded|kafka] [--rounds 5]

In each round, a page fires and is sent, the API is called with a decision, and the next record of the page must be
withheld. `obeyed` is the time from the call until every worker that must obey has read the decision. `told` is the time
until the receiver of a false alarm gets its closing record.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from broker import Broker, missing_prerequisite
from decision_trial import KINDS, TrialOfDecision, embedded_monitor, kafka_monitor


def trials(bus: str, rounds: int, folder: Path) -> list[TrialOfDecision]:
    """Returns the trial of each decision of all rounds on a bus; exits if Kafka is missing."""
    with ExitStack() as stack:
        if bus == "embedded":
            monitor = stack.enter_context(embedded_monitor(folder))
        else:
            missing = missing_prerequisite()
            if missing is not None:
                sys.exit(missing)
            broker = stack.enter_context(Broker(folder / "kafka").running())
            monitor = stack.enter_context(kafka_monitor(broker, "bench-", folder))
        return [monitor.try_decision(kind) for _ in range(rounds) for kind in KINDS if kind != "mute"] + [
            monitor.try_decision("mute")  # once: it stays in force
        ]


def main() -> None:
    """Prints median and maximum of the seconds of each kind of decision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", choices=("embedded", "kafka"), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for bus in arguments.bus or ("embedded", "kafka"):
        with tempfile.TemporaryDirectory() as name:
            all_trials = trials(bus, arguments.rounds, Path(name))
        print(f"{bus}: {len(all_trials)} decisions; load {os.getloadavg()[0]:.1f}")
        for kind in KINDS:
            seconds = [trial.taken_s for trial in all_trials if trial.kind == kind]
            print(f"  {kind:12} obeyed: median {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s")
        told_s = [trial.told_s for trial in all_trials if trial.told_s is not None]
        print(f"  {'false_alarm':12} told:   median {statistics.median(told_s):.2f} s, at most {max(told_s):.2f} s")


if __name__ == "__main__":
    main()
