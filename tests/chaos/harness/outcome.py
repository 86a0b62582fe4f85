"""The options of a chaos run, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker import HangingTransaction

from harness.faults.plan import FAULT_KINDS, FaultKind
from harness.processes.process_logs import LogSummary
from harness.verdict.comparison import TopicComparison

WORKERS: Mapping[str, int] = {"infer": 2, "alert": 2, "sink": 2, "notify": 2}
WORKERS_WITH_KNOWN_BUG: Mapping[str, int] = {"infer": 2, "alert": 2, "sink": 1, "notify": 1}
"""Fewer workers, since only infer and alert have the bug."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a run.

    Attributes:
        articles: lines of the archive.
        faults: number of faults.
        every_s: average time between faults.
        partitions: partitions of each topic.
        folder: folder of logs and data.
        drain_s: longest wait, after the faults, until everything has been read.
        known_bug: name of the bug that the stages have, or None.
        feeds: number of feeds that ingesters poll; 0 for no live news.
        kinds: kinds of faults.
        workers: number of workers of each role at the start.
        store: the kind of the store of the sinks, `sqlite` or `postgresql`.
        decisions: whether people decide about the alerts meanwhile.
    """

    seed: int
    articles: int
    faults: int
    every_s: float
    partitions: int
    folder: Path
    drain_s: float = 300.0
    known_bug: str | None = None
    feeds: int = 6
    kinds: tuple[FaultKind, ...] = FAULT_KINDS
    workers: Mapping[str, int] = field(default_factory=lambda: WORKERS)
    store: str = "sqlite"
    decisions: bool = False


@dataclass(slots=True)
class RunOutcome:
    """The outcome of a run.

    Attributes:
        comparisons: comparison of each topic, and of the notifications.
        store_differences: descriptions of entries of the store that differ.
        store_checked: number of entries of the store.
        faults: number of faults by kind.
        missed_traps: traps that caught no request of a transaction.
        faults_while_publishing: faults that were injected while the replayer published news.
        exits: number of exits by role and code.
        fenced: requests of fenced producers, by name.
        did_not_stop: workers that did not stop after SIGTERM.
        supervision_error: the error with which supervision of the workers ended; empty if there was none.
        drained: whether everything was read in time.
        undrained: what had not been read in time.
        aborted: transactions that Kafka left hanging, and that the operator aborted.
        arrived: notifications that arrived, repetitions included.
        decisions: decisions in the log, by kind.
        absences: notifications that did not arrive, by the reason that the log gives.
        logs: summary of the logs and exits.
        cpu_s: CPU time of all processes that the run started, including the reference run.
        faults_s: time in which faults were injected.
        drained_after_s: time from the last fault until everything was read.
        added: number of duplicates and of malformed records that were written to the topic articles.
    """

    comparisons: list[TopicComparison] = field(default_factory=list)
    store_differences: list[str] = field(default_factory=list)
    store_checked: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    missed_traps: int = 0
    faults_while_publishing: int = 0
    exits: dict[str, int] = field(default_factory=dict)
    fenced: dict[str, int] = field(default_factory=dict)
    did_not_stop: int = 0
    supervision_error: str = ""
    drained: bool = False
    undrained: str = ""
    aborted: list[HangingTransaction] = field(default_factory=list)
    arrived: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    absences: dict[str, int] = field(default_factory=dict)
    logs: LogSummary = field(default_factory=LogSummary)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    faults_s: float = 0.0
    drained_after_s: float = 0.0
    added: tuple[int, int] = (0, 0)

    @property
    def successful(self) -> bool:
        """Whether no check has failed.

        All records and the store equal those of the reference run, each exit is explained, no log has a traceback, the
        workers were supervised until the end, and each worker stopped after SIGTERM.
        """
        equal = self.drained and not self.store_differences and all(comparison.equal for comparison in self.comparisons)
        return equal and self.logs.good and not self.did_not_stop and not self.supervision_error
