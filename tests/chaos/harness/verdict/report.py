"""The report of a run, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.outcome import RunOptions, RunOutcome


def report_lines(options: RunOptions, outcome: RunOutcome) -> Iterator[str]:
    """Yields the lines of the report: what was injected, how processes exited, and what differs from the reference."""
    yield f"seed {options.seed}, {options.articles} articles"
    yield (
        f"wall time {outcome.wall_s:.0f} s: faults {outcome.faults_s:.0f} s,"
        f" then {outcome.drained_after_s:.0f} s until everything was read"
    )
    yield f"CPU time {outcome.cpu_s:.0f} s"
    yield f"faults: {options.faults}, {outcome.faults_while_publishing} of them while news was published"
    for kind, count in sorted(outcome.faults.items()):
        yield f"  {count:4}  {kind}"
    yield f"  {outcome.missed_traps:4}  aimed at a transaction that did not come, and injected at an arbitrary moment"
    yield f"  added to articles: {outcome.added[0]} duplicates, {outcome.added[1]} records that cannot be read"
    fenced = ", ".join(f"{count} at {request}" for request, count in sorted(outcome.fenced.items()))
    yield f"requests of fenced producers: {sum(outcome.fenced.values())}{f' ({fenced})' if fenced else ''}"
    if outcome.aborted:
        positions = ", ".join(f"{hanging.topic}[{hanging.partition}]@{hanging.start}" for hanging in outcome.aborted)
        yield f"transactions that Kafka left hanging, aborted with its tools: {positions}"
    yield from outcome.logs.report_lines()
    yield "exits by role and code (-9: killed by the run; 0: stopped, or work finished):"
    for role_and_code, count in outcome.exits.items():
        yield f"  {count:4}  {role_and_code}"
    if outcome.did_not_stop:
        yield f"  {outcome.did_not_stop:4}  did not stop after SIGTERM and were killed"
    yield f"notifications that arrived, repetitions included: {outcome.arrived}"
    if options.decisions:
        yield f"decisions in the log: {_listed(outcome.decisions)}"
        yield f"notifications that did not arrive, by the reason in the log: {_listed(outcome.absences)}"
    yield from _table(outcome)
    for comparison in outcome.comparisons:
        if comparison.by_next_version:
            share = f"{comparison.by_next_version} of {comparison.checked}"
            yield f"{comparison.topic}: {share} records by the next version"
        yield from comparison.report_lines()
    yield from outcome.store_differences[:5]
    if outcome.supervision_error:
        yield f"WORKERS WERE NOT RESTARTED until the end: {outcome.supervision_error}"
    if not outcome.drained:
        yield f"NOT EVERYTHING WAS READ in {options.drain_s:.0f} s: {outcome.undrained}"


def _listed(counts: Mapping[str, int]) -> str:
    """Returns counts by name in one line, with their sum."""
    return f"{sum(counts.values())} ({', '.join(f'{name} {count}' for name, count in sorted(counts.items()))})"


def _table(outcome: RunOutcome) -> Iterator[str]:
    """Yields a table of how each topic, and the store, differ from what is expected, and a line with the totals."""
    comparisons = outcome.comparisons
    yield f"{'':17}{'checked':>9}{'lost':>7}{'doubled':>9}{'differing':>11}"
    for comparison in comparisons:
        lost, doubled, differing = map(len, (comparison.lost, comparison.doubled, comparison.differing))
        yield f"{comparison.topic:17}{comparison.checked:9}{lost:7}{doubled:9}{differing:11}"
    yield f"{'store':17}{outcome.store_checked:9}{'':7}{'':9}{len(outcome.store_differences):11}"
    checked = sum(comparison.checked for comparison in comparisons) + outcome.store_checked
    differing = sum(len(comparison.differing) for comparison in comparisons) + len(outcome.store_differences)
    yield (
        f"total: checked {checked}, "
        f"lost {sum(len(comparison.lost) for comparison in comparisons)}, "
        f"doubled {sum(len(comparison.doubled) for comparison in comparisons)}, "
        f"differing {differing}; "
        f"unexplained exits {len(outcome.logs.unexplained)}, tracebacks {len(outcome.logs.tracebacks)}, "
        f"did not stop {outcome.did_not_stop}"
    )
