"""What a run tells at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.chaos import Options, Outcome


def verdict(outcome: Outcome) -> bool:
    """Whether all of it is as the calm run left it, every exit is explained, nobody left a traceback, and everyone
    stopped who was told to."""
    same = outcome.drained and not outcome.store and all(one.good for one in outcome.compared)
    return same and outcome.said.good and not outcome.unstoppable and not outcome.unkept


def told(options: Options, outcome: Outcome) -> Iterator[str]:
    """The report, line by line."""
    yield f"seed {options.seed}, {options.articles} articles"
    yield f"wall time {outcome.wall_s:.0f} s: faults {outcome.faults_s:.0f} s, then {outcome.drain_s:.0f} s to the end"
    yield f"processor time {outcome.processor_s:.0f} s"
    yield f"faults: {options.faults}, {outcome.while_flowing} of them while news was flowing"
    for kind, count in sorted(outcome.faults.items()):
        yield f"  {count:4}  {kind}"
    yield f"  {outcome.missed:4}  aimed at a transaction that did not come: struck at any moment instead"
    yield f"  added to articles: {outcome.added[0]} repeats, {outcome.added[1]} records that cannot be read"
    fenced = ", ".join(f"{count} at {request}" for request, count in sorted(outcome.fenced.items()))
    yield f"fenced producers seen on the wire: {sum(outcome.fenced.values())}{f' ({fenced})' if fenced else ''}"
    if outcome.aborted:
        where = ", ".join(f"{one.topic}[{one.partition}]@{one.start}" for one in outcome.aborted)
        yield f"transactions that Kafka itself left hanging, aborted with its tools: {where}"
    yield from outcome.said.told()
    yield "processes that ended, by role and code (-9: killed by the run; 0: told to stop, or done):"
    for ended, count in outcome.exits.items():
        yield f"  {count:4}  {ended}"
    if outcome.unstoppable:
        yield f"  {outcome.unstoppable:4}  did not stop when told and were killed"
    yield f"notifications that arrived, repeats included: {outcome.arrived}"
    yield f"{'':17}{'checked':>9}{'lost':>7}{'doubled':>9}{'differing':>11}"
    for one in outcome.compared:
        yield f"{one.topic:17}{one.checked:9}{len(one.lost):7}{len(one.doubled):9}{len(one.differing):11}"
    yield f"{'store':17}{outcome.store_checked:9}{'':7}{'':9}{len(outcome.store):11}"
    records = outcome.compared
    yield (
        f"in all: checked {sum(one.checked for one in records) + outcome.store_checked}, "
        f"lost {sum(len(one.lost) for one in records)}, doubled {sum(len(one.doubled) for one in records)}, "
        f"differing {sum(len(one.differing) for one in records) + len(outcome.store)}; "
        f"unexplained exits {len(outcome.said.unexplained)}, tracebacks {len(outcome.said.traces)}, "
        f"did not stop {outcome.unstoppable}"
    )
    for one in outcome.compared:
        yield from one.told()
    yield from outcome.store[:5]
    if outcome.unkept:
        yield f"NOBODY STARTED WORKERS AGAIN to the end: {outcome.unkept}"
    if not outcome.drained:
        yield f"NOT ALL WAS READ in {options.drain_s:.0f} s: {outcome.behind}"
