"""Event alerts on cached signals, with other rules: what each event type tells at each threshold, and all together.

    riskwire backtest ARCHIVE --events EVENTS --out DIR      # once: makes the signals
    python tests/bench/tune_events.py ARCHIVE --events EVENTS [--labels OPEN.jsonl] [--rules RULES] [--year 2009]

For each event type the alert stage reads only the stories of this type, so a run takes a second. `told` are the listed
events of any type that these notifications tell; `own` those of this type. `precision` is the share of labelled titles
that are material, of those of the type at the threshold or above.

`--fit N` then chooses a threshold for each type: it lowers the one that tells most further events a notification, as
long as there are at most N notifications and the precision allows it, and prints the rules, ready for `--rules`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from riskwire.alerting.events import EventRules, load_rules
from riskwire.alerting.events.reading import happenings
from riskwire.app.inputs import configured_watchlist
from riskwire.backtest.alert_run import run_alerting
from riskwire.backtest.archive_signals import read_archive
from riskwire.backtest.event_list import read_events
from riskwire.backtest.figures import match_figures
from riskwire.backtest.matching import Matches, Notification, notification_of
from riskwire.backtest.run import Backtest
from riskwire.cli.alarm.archive import default_cache
from riskwire.records import PARTY_TARGET, Mark, Signal
from riskwire.settings import AlertingSettings, load_settings
from riskwire.settings.yaml_file import read_yaml

THRESHOLDS = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9)
ENOUGH_LABELLED = 20
"""Labelled titles from which the precision of an event type counts."""
LABELLED = "reuters0910:"
"""What the ids of labelled titles of the archive begin with; the number of the line follows."""


@dataclass(frozen=True, slots=True)
class LabelledStory:
    """A labelled title and what a signal says of the same party."""

    event_type: str
    material: float
    is_material: bool


@dataclass(frozen=True, slots=True)
class TypePoint:
    """What stories of one event type tell at one threshold.

    Attributes:
        told: the indexes of the events that it tells.
        precision: the share of the labelled titles above the threshold that are material; None without one.
    """

    event_type: str
    threshold: float
    notifications: int
    told: frozenset[int]
    precision: float | None
    labelled: int


def main() -> None:
    """Prints a table of event types and thresholds, and the figures with the rules as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--labels", type=Path, help="labelled titles of the archive, as JSON lines")
    parser.add_argument("--rules", type=Path)
    parser.add_argument("--year", type=int, help="count events and notifications of this year only")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--types", nargs="*", help="only these event types")
    parser.add_argument("--thresholds", nargs="*", type=float, default=THRESHOLDS)
    parser.add_argument("--whole", action="store_true", help="only the figures of all event types together")
    parser.add_argument("--fit", type=int, metavar="N", help="choose thresholds for at most N notifications")
    parser.add_argument(
        "--precision", type=float, default=0.8, help="the least precision on at least 20 labelled titles"
    )
    options = parser.parse_args()
    settings = load_settings(None, {})
    watchlist = configured_watchlist(settings)
    log = asyncio.run(read_archive(options.archive, settings, watchlist, options.cache))
    rules = load_rules(options.rules)
    events = [event for event in read_events(options.events) if options.year in (None, event.day.year)]
    families = {event_type: place.family for event_type, place in rules.places.items()}
    tested = Backtest.of(log, watchlist, events, families)
    assert tested.matcher is not None
    records = [record for record in log.records() if isinstance(record, Mark) or record.target.startswith(PARTY_TARGET)]
    console = Console(width=130)
    if not options.whole:
        labelled = _labelled(options.labels, records, log.summary.lines, rules) if options.labels else []
        table = Table("type", "threshold", "notifications", "on list", "told", "own", "crises", "precision", "labelled")
        points: list[TypePoint] = []
        for event_type in options.types or rules.places:
            own = [record for record in records if isinstance(record, Mark) or _is_of(record, event_type, rules)]
            for threshold in sorted(options.thresholds, reverse=True):
                changed = _with_thresholds(options.rules, {event_type: threshold}, muted=[*rules.places])
                matches = tested.matcher.match(_notifications(own, settings.alerting, changed, options.year))
                points.append(_point(event_type, threshold, matches, labelled))
                _add_row(table, points[-1], matches)
            table.add_section()
        console.print(table)
        if options.fit:
            thresholds = fitted(points, options.fit, options.precision)
            console.print(json.dumps({"types": {name: _rule(value) for name, value in thresholds.items()}}))
            rules = _with_thresholds(options.rules, thresholds)
    whole = _notifications(records, settings.alerting, rules, options.year)
    figures = match_figures(tested.matcher.match(whole)).whole
    console.print(f"told {figures.told}/{figures.events} {figures.told_share:.3f}, same family {figures.same_family}")
    console.print(f"crises told {figures.crises_told}/{figures.crises} {figures.crises_share:.3f}")
    console.print(f"notifications {figures.notifications}, on a listed event {figures.on_list_share:.3f}")
    console.print(f"of those told, by the first story {figures.first_story_share:.2f}")


def _notifications(
    records: Iterable[Signal | Mark], settings: AlertingSettings, rules: EventRules, year: int | None
) -> list[Notification]:
    """Returns the notifications of a year, or all."""
    run = run_alerting(records, settings, rules)
    return [notification_of(alert) for alert in run.notifications if year in (None, alert.at.year)]


def _is_of(signal: Signal, event_type: str, rules: EventRules) -> bool:
    """Returns whether an event type is among what a story says happened."""
    return any(happening.type == event_type for happening in happenings(signal, rules))


def _rule(threshold: float) -> dict[str, float]:
    """Returns the rule of a threshold: the probability of `material` alone decides, also once it is corroborated."""
    return {"threshold": threshold, "doubtful": threshold, "adverse": min(0.5, threshold)}


def _with_thresholds(path: Path | None, thresholds: Mapping[str, float], muted: Sequence[str] = ()) -> EventRules:
    """Returns the rules with other thresholds of some event types.

    Args:
        muted: event types that are not told, unless they have a threshold.
    """
    own = (read_yaml(path, "the file of rules", 1_000_000) if path else None) or {}
    assert isinstance(own, dict)
    types = own.setdefault("types", {})
    for event_type in muted:
        if event_type not in thresholds:
            types.setdefault(event_type, {})["tier"] = "none"
    for event_type, threshold in thresholds.items():
        types.setdefault(event_type, {}).update(_rule(threshold))
    with TemporaryDirectory() as folder:
        changed = Path(folder) / "rules.yaml"
        changed.write_text(json.dumps(own), encoding="utf-8")
        return load_rules(changed)


def _labelled(
    path: Path, records: Sequence[Signal | Mark], lines: dict[str, int], rules: EventRules
) -> list[LabelledStory]:
    """Returns the labelled titles of the archive that have a signal on the same party."""
    levels: dict[int, dict[str, str]] = {}
    for raw in path.read_text(encoding="utf-8").splitlines():
        text = json.loads(raw)
        if text["id"].startswith(LABELLED):
            levels[int(text["id"].removeprefix(LABELLED))] = {
                target["text"]: target["level"] for target in text["targets"]
            }
    stories = []
    for record in records:
        if isinstance(record, Mark) or record.level is None:
            continue
        evidence = record.evidence
        label = levels.get(lines.get(record.article, -1), {}).get(evidence.text[evidence.start : evidence.end])
        if label is not None:
            stories += [
                LabelledStory(happening.type, record.level.material, label == "2")
                for happening in happenings(record, rules)
            ]
    return stories


def _point(event_type: str, threshold: float, matches: Matches, labelled: Sequence[LabelledStory]) -> TypePoint:
    """Returns what an event type tells at a threshold, and how precise it is on labelled titles."""
    above = [story for story in labelled if story.event_type == event_type and story.material >= threshold]
    return TypePoint(
        event_type,
        threshold,
        len(matches.notifications),
        frozenset(index for index, telling in enumerate(matches.tellings) if telling.notification is not None),
        sum(story.is_material for story in above) / len(above) if above else None,
        len(above),
    )


def fitted(points: Sequence[TypePoint], most: int, least_precision: float) -> dict[str, float]:
    """Returns a threshold for each event type, so that most events are told with at most `most` notifications.

    Each type begins at its highest threshold. Then, again and again, the type is lowered whose further events a
    further notification are the most, counting only events that no other type tells.
    """
    by_type: dict[str, list[TypePoint]] = {}
    for point in points:
        steps = by_type.setdefault(point.event_type, [])
        if not steps or point.labelled < ENOUGH_LABELLED or (point.precision or 0.0) >= least_precision:
            steps.append(point)
    chosen = dict.fromkeys(by_type, 0)
    while True:
        told = {event_type: by_type[event_type][step].told for event_type, step in chosen.items()}
        number = sum(by_type[event_type][step].notifications for event_type, step in chosen.items())
        best: tuple[float, str, int] | None = None
        for event_type, step in chosen.items():
            others: set[int] = set().union(*(events for other, events in told.items() if other != event_type))
            before = by_type[event_type][step]
            for lower, after in enumerate(by_type[event_type][step + 1 :], start=step + 1):
                more = after.notifications - before.notifications
                gain = (len(after.told - others) - len(before.told - others)) / max(more, 1)
                if number + more <= most and gain > (best[0] if best else 0.0):
                    best = (gain, event_type, lower)
        if best is None:
            return {event_type: by_type[event_type][step].threshold for event_type, step in chosen.items()}
        chosen[best[1]] = best[2]


def _add_row(table: Table, point: TypePoint, matches: Matches) -> None:
    """Adds what an event type tells at a threshold to the table."""
    figures = match_figures(matches).whole
    own = [telling for telling in matches.tellings if telling.event.type == point.event_type]
    table.add_row(
        point.event_type,
        f"{point.threshold:.2f}",
        str(figures.notifications),
        f"{figures.on_list_share:.2f}",
        str(figures.told),
        f"{sum(telling.notification is not None for telling in own)}/{len(own)}",
        str(figures.crises_told),
        "–" if point.precision is None else f"{point.precision:.2f}",
        str(point.labelled),
    )


if __name__ == "__main__":
    main()
