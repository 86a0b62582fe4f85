"""Searches thresholds of event alerts on cached signals: what each event type reports, and all types together.

    riskwire backtest ARCHIVE --events EVENTS --out DIR      # once: makes the signals
    python tests/bench/tune_events.py ARCHIVE --events EVENTS --labels risk/train.jsonl --year 2009 --fit 930 --write

For each event type, the rules run only on the stories of that type, so one run takes a second. The column `told` counts
the listed events of any type that these notifications report. `outright` is the threshold for stories whose words state
the fact. With `--labels TEXTS` (a training set) it has a floor, which is higher if fewer of the adverse texts with such
words are material. With `--precision P`, the bundle also reads these texts (minutes). Then only those thresholds count
with which at least the share P of the reported texts is material. The bundle was trained on these texts, so the
measured precision is an upper bound.

`--fit N` chooses thresholds for at most N notifications of the year, for all types together. It lowers the thresholds
of the type that reports the most additional events for one notification. Then it moves the thresholds of each type
toward those in force; a type that reports few events moves further. Floors also apply. So a type with three events in
the year does not depend on them alone. Thresholds of types that page do not rise, so that no crisis is withheld to save
notifications. Run the fit once on the shipped thresholds. A second run on its own output would fit the year more
closely. It prints the rules as a file for `--rules`. With `--write` it replaces them under `types:` in the shipped
families.yaml and keeps all other lines and comments. It also prints the figures of the years that were not fitted.

`--trim N` only raises thresholds, until the year has at most N notifications: each step raises the type that loses the
fewest events for one notification. Thresholds of types that page stay. It prints and writes like `--fit`.

The same thresholds notify more or less often with another bundle. Run `--counts FILE` with the old bundle to write how
often each type notifies in the year. Run it with the new bundle to read the file: the thresholds in force then move
until each type notifies as often as before, and the fit moves toward the moved thresholds.

The settings are those of riskwire: RISKWIRE_INFERENCE__MAX_SENTENCES=1 reads titles only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.alerting.events import EventRules, load_rules
from riskwire.alerting.events.reading import Happening, happenings
from riskwire.alerting.events.rules import RuleOverride
from riskwire.app.inputs import configured_watchlist
from riskwire.backtest.alert_run import is_notification
from riskwire.backtest.archive_signals import read_archive
from riskwire.backtest.event_list import CRISIS, read_events
from riskwire.backtest.figures import match_figures
from riskwire.backtest.matching import Matcher, Matches, notification_of
from riskwire.backtest.run import Backtest
from riskwire.cli.alarm.archive import default_cache
from riskwire.records import PARTY_TARGET, Mark, Signal
from riskwire.settings import AlertingSettings, load_settings

sys.path.insert(0, str(Path(__file__).parent / "alerting"))
from event_fit import TypePoint, TypeThresholds, choose_points, equivalent_thresholds, shrink, trim
from event_labels import LabelledParty, outright_floors, parties_by_type, precision, read_labelled
from event_runs import event_alerts, sorted_for_events

MATERIAL = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85)
OUTRIGHT = (0.2, 0.35, 0.55, 0.7, 0.85, 1.0)
ROUNDS = 6
"""The most repetitions of the fit. They stop when all types together send nearly the allowed notifications."""

TimedSignals = list[tuple[int, Signal]]
"""Signals, each with the end of its bucket in epoch milliseconds."""


@dataclass(slots=True)
class TypeSignals:
    """The signals that report one event type.

    Attributes:
        has_outright: whether the words of at least one story state the event outright.
    """

    signals: TimedSignals = field(default_factory=list)
    has_outright: bool = False


class EventBench:
    """The signals of an archive that come near an event alert, and the events that they should report."""

    def __init__(self, signals: Sequence[Signal], matcher: Matcher, settings: AlertingSettings, base_rules: EventRules):
        self.settings = settings
        self.matcher = matcher
        self.base_rules = base_rules
        self.signals: TimedSignals = sorted_for_events(signals, settings)
        self._by_type: dict[int | None, dict[str, TypeSignals]] = {}

    def matches(self, signals: TimedSignals, rules: EventRules, year: int | None) -> Matches:
        """Returns the events that the notifications of a year report; without a year, those of all notifications."""
        alerts = event_alerts(signals, self.settings, rules)
        notifications = [alert for alert in alerts if is_notification(alert) and year in (None, alert.at.year)]
        return self.matcher.match(map(notification_of, notifications))

    def thresholds(self, event_type: str) -> TypeThresholds:
        """Returns the thresholds in force of an event type."""
        rule = self.base_rules.rule(event_type, "", ())
        return TypeThresholds(rule.threshold, rule.outright)

    def type_matches(self, event_type: str, thresholds: TypeThresholds, year: int | None) -> Matches:
        """Returns the events that the notifications of an event type alone report with these thresholds."""
        signals = self.by_type(year).get(event_type, TypeSignals()).signals
        return self.matches(signals, self.rules({event_type: thresholds}, muted=[*self.base_rules.places]), year)

    def count(self, event_type: str, thresholds: TypeThresholds, year: int | None) -> int:
        """Returns how many notifications of a year an event type alone sends with these thresholds."""
        return len(self.type_matches(event_type, thresholds, year).notifications)

    def by_type(self, year: int | None) -> dict[str, TypeSignals]:
        """Returns the signals of a year by their event types; see `signals_of`."""
        if year not in self._by_type:
            by_type: dict[str, TypeSignals] = {}
            for entry in self.signals_of(year):
                for happening in happenings(entry[1].as_in_title(), self.base_rules):
                    type_signals = by_type.setdefault(happening.type, TypeSignals())
                    type_signals.signals.append(entry)
                    type_signals.has_outright |= happening.outright
            self._by_type[year] = by_type
        return self._by_type[year]

    def signals_of(self, year: int | None) -> TimedSignals:
        """Returns the signals of a year and of the month before, which decides what is new; without a year, all."""
        if year is None:
            return self.signals
        start, end = f"{year - 1}-12", f"{year + 1}"
        return [entry for entry in self.signals if start <= entry[1].seen_at.isoformat() < end]

    def rules(self, thresholds: Mapping[str, TypeThresholds], muted: Sequence[str] = ()) -> EventRules:
        """Returns the rules with other thresholds. `muted` event types do not notify, unless they have thresholds."""
        overrides = {
            event_type: RuleOverride.model_validate(type_thresholds.rule_values())
            for event_type, type_thresholds in thresholds.items()
        }
        overrides |= {event_type: RuleOverride(tier="none") for event_type in muted if event_type not in thresholds}
        return self.base_rules.with_types(overrides)


def main() -> None:
    """Prints a table of event types and thresholds, fits thresholds, and prints the figures of each year."""
    options = _options()
    settings = load_settings()
    watchlist = configured_watchlist(settings)
    log = asyncio.run(read_archive(options.archive, settings, watchlist, options.cache))
    rules = load_rules(options.rules)
    families = {event_type: place.family for event_type, place in rules.places.items()}
    events = read_events(options.events)
    backtest = Backtest.of(log, watchlist, events, families)
    assert backtest.matcher is not None
    console = Console(width=130)
    records = (record for record in log.records() if not isinstance(record, Mark))
    signals = [record for record in records if record.target.startswith(PARTY_TARGET) and record.level is not None]
    bench = EventBench(signals, backtest.matcher, settings.alerting, rules)
    if not options.whole:
        labelled, floors = {}, {}
        if options.labels:
            lines = options.labels.read_text(encoding="utf-8").splitlines()
            floors = outright_floors(lines, rules)
            if options.precision:
                labelled = parties_by_type(asyncio.run(read_labelled(lines, settings, options.cache)), rules)
        event_types = options.types or [name for name in rules.places if _has_own_thresholds(name)]
        prior = {name: bench.thresholds(name) for name in event_types}
        if options.counts and not options.counts.exists():
            write_counts(bench, prior, options.counts, options.year)
            return
        if options.counts:
            prior = counted_prior(bench, prior, options.counts, options.year)
        thresholds: dict[str, TypeThresholds] = {}
        if options.trim:
            thresholds = trim_types(bench, prior, options.trim, options.year)
        else:
            points, table = tabulate_points(bench, event_types, options.year, labelled)
            console.print(table)
            if options.fit:
                thresholds = fit(bench, points, options.fit, options.precision, options.year, floors, prior)
        if thresholds:
            print(
                json.dumps({"types": {event_type: chosen.rule_values() for event_type, chosen in thresholds.items()}})
            )
            rules = bench.rules(thresholds)
            if options.write:
                path = Path(str(files("riskwire.alerting.events").joinpath("families.yaml")))
                path.write_text(replace_thresholds(path.read_text("utf-8"), thresholds), encoding="utf-8")
                print(f"written: {path}")
    figures = match_figures(bench.matches(bench.signals, rules, None))
    for name, figures_slice in (("all", figures.whole), *figures.by_year.items()):
        print(
            f"{name:5} told {figures_slice.told}/{figures_slice.events} {figures_slice.told_share:.3f}, "
            f"crises {figures_slice.crises_told}/{figures_slice.crises} {figures_slice.crises_share:.3f}, "
            f"notifications {figures_slice.notifications}, on a listed event {figures_slice.on_list_share:.3f}, "
            f"by the first story {figures_slice.first_story_share:.2f}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--labels", type=Path, help="labelled texts of a training set, as JSON lines")
    parser.add_argument("--rules", type=Path, help="rules that override the shipped ones")
    parser.add_argument("--year", type=int, help="tabulate and fit on this year only")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--types", nargs="*", help="only these event types")
    parser.add_argument("--whole", action="store_true", help="only the figures of all event types together")
    parser.add_argument("--fit", type=int, metavar="N", help="choose thresholds for at most N notifications")
    parser.add_argument(
        "--trim", type=int, metavar="N", help="raise thresholds until there are at most N notifications"
    )
    parser.add_argument("--counts", type=Path, metavar="FILE", help="notifications of each type with the bundle before")
    parser.add_argument("--write", action="store_true", help="write fitted thresholds into the shipped families.yaml")
    parser.add_argument(
        "--precision", type=float, default=0.0, help="the least precision on --labels, which the bundle then reads"
    )
    return parser.parse_args()


def _has_own_thresholds(event_type: str) -> bool:
    """Returns whether the shipped rules have thresholds for an event type itself, and not only for its family."""
    text = files("riskwire.alerting.events").joinpath("families.yaml").read_text("utf-8")
    return re.search(rf"(?m)^  {event_type}: \{{", text) is not None


def tabulate_points(
    bench: EventBench,
    event_types: Iterable[str],
    year: int | None,
    labelled: Mapping[str, Sequence[tuple[Happening, LabelledParty]]],
) -> tuple[list[TypePoint], Table]:
    """Returns what each event type reports with each pair of thresholds, and a table of the figures."""
    table = Table("type", "material", "outright", "notifications", "on list", "told", "crises", "precision", "labelled")
    points = []
    for event_type in event_types:
        has_outright = bench.by_type(year).get(event_type, TypeSignals()).has_outright
        for outright in OUTRIGHT if has_outright else (1.0,):
            for material in MATERIAL:
                thresholds = TypeThresholds(material, outright)
                matches = bench.type_matches(event_type, thresholds, year)
                share, labelled_count = precision(labelled.get(event_type, ()), material, outright)
                notifications, reported = len(matches.notifications), reported_events(matches)
                points.append(TypePoint(event_type, thresholds, notifications, reported, share, labelled_count))
                figures = match_figures(matches).whole
                table.add_row(
                    event_type, f"{material:.2f}", f"{outright:.2f}", str(figures.notifications),
                    f"{figures.on_list_share:.2f}", str(figures.told), str(figures.crises_told),
                    "–" if share is None else f"{share:.2f}", str(labelled_count),
                )  # fmt: skip
        table.add_section()
    return points, table


def write_counts(bench: EventBench, prior: Mapping[str, TypeThresholds], path: Path, year: int | None) -> None:
    """Writes how often each type notifies in a year with the thresholds in force."""
    counts = {name: bench.count(name, thresholds, year) for name, thresholds in prior.items()}
    path.write_text(json.dumps(counts), encoding="utf-8")
    print(f"written: {path}")


def counted_prior(
    bench: EventBench, prior: Mapping[str, TypeThresholds], path: Path, year: int | None
) -> dict[str, TypeThresholds]:
    """Returns thresholds with which each type notifies as often as a file of `write_counts` says."""
    old_counts = json.loads(path.read_text(encoding="utf-8"))
    moved: dict[str, TypeThresholds] = {}
    for name, thresholds in prior.items():
        moved[name] = equivalent_thresholds(thresholds, old_counts[name], partial(bench.count, name, year=year))
        print(f"{name}: {thresholds} with the bundle before is about {moved[name]}")
    return moved


def fit(
    bench: EventBench,
    points: Sequence[TypePoint],
    max_notifications: int,
    least_precision: float,
    year: int | None,
    floors: Mapping[str, float],
    prior: Mapping[str, TypeThresholds],
) -> dict[str, TypeThresholds]:
    """Returns thresholds for at most `max_notifications` of all types together, moved toward the `prior` ones."""
    types = list(dict.fromkeys(point.event_type for point in points))
    crises = frozenset(index for index, event in enumerate(bench.matcher.events) if event.severity == CRISIS)
    signals = bench.signals_of(year)

    def count(thresholds: Mapping[str, TypeThresholds]) -> int:
        return len(bench.matches(signals, bench.rules(thresholds), year).notifications)

    paging_types = {event_type for event_type in types if bench.base_rules.rule(event_type, "", ()).tier == "page"}

    def choose(allowed: int) -> dict[str, TypeThresholds]:
        chosen = shrink(choose_points(points, allowed, least_precision, crises), prior, floors)
        return chosen | {event_type: chosen[event_type].at_most(prior[event_type]) for event_type in paging_types}

    allowed, best = float(max_notifications), choose(0)
    for _ in range(ROUNDS):
        thresholds = choose(round(allowed))
        notifications = count(thresholds)
        if notifications <= max_notifications:
            best = thresholds
            if notifications >= 0.97 * max_notifications:
                break
        allowed *= max_notifications / max(notifications, 1)
    return best


def trim_types(
    bench: EventBench, prior: Mapping[str, TypeThresholds], max_notifications: int, year: int | None
) -> dict[str, TypeThresholds]:
    """Returns the thresholds in force, raised until the year has `max_notifications`; those of paging types stay."""
    crises = frozenset(index for index, event in enumerate(bench.matcher.events) if event.severity == CRISIS)
    signals = bench.signals_of(year)
    raisable = {
        name: thresholds for name, thresholds in prior.items() if bench.base_rules.rule(name, "", ()).tier != "page"
    }

    def point_of(event_type: str, thresholds: TypeThresholds) -> TypePoint:
        matches = bench.type_matches(event_type, thresholds, year)
        return TypePoint(event_type, thresholds, len(matches.notifications), reported_events(matches))

    def count(thresholds: Mapping[str, TypeThresholds]) -> int:
        return len(bench.matches(signals, bench.rules(thresholds), year).notifications)

    return trim(raisable, point_of, count, max_notifications, crises)


def reported_events(matches: Matches) -> frozenset[int]:
    """Returns the indexes of the events that notifications report."""
    return frozenset(index for index, telling in enumerate(matches.tellings) if telling.notification is not None)


def replace_thresholds(text: str, thresholds: Mapping[str, TypeThresholds]) -> str:
    """Returns the text of families.yaml with other thresholds of event types. The other text stays unchanged.

    Raises:
        ValueError: an event type has no line in `types:`.
    """
    for event_type, type_thresholds in thresholds.items():
        line = re.search(rf"(?m)^  {event_type}: \{{(.*)\}}$", text)
        if line is None:
            raise ValueError(f"families.yaml has no line for {event_type} in its types")
        rule = type_thresholds.rule_values()
        unchanged = [part for part in line[1].split(", ") if part.partition(":")[0] not in rule]
        changed = [f"{name}: {value:g}" for name, value in rule.items() if name != "outright" or value < 1.0]
        text = f"{text[: line.start(1)]}{', '.join(unchanged + changed)}{text[line.end(1) :]}"
    return text


if __name__ == "__main__":
    main()
