"""Event alerts on cached signals, with other thresholds: what each event type tells, and all together.

    riskwire backtest ARCHIVE --events EVENTS --out DIR      # once: makes the signals
    python tests/bench/tune_events.py ARCHIVE --events EVENTS --labels risk/train.jsonl --year 2009 --fit 930 --write

For each event type the rules decide on the stories of this type alone, so a run takes a second. `told` are the listed
events of any type that these notifications tell. `outright` is the threshold of stories whose words state the fact.
With `--labels TEXTS` (a training set) it has a floor: the fewer of the adverse texts with such words are material, the
higher. With `--precision P` besides, the bundle reads these texts (minutes), and only thresholds count with which P of
the labelled texts that would be told are material; the bundle knows the texts, so it is an upper bound.

`--fit N` chooses thresholds for at most N notifications of the year, all types together. It lowers the type that tells
most further events a notification. Then it draws each type toward its thresholds in force, the more the fewer events
it tells, and keeps to floors, so that a type with three events of one year does not decide by them. A crisis is never
withheld for a number: thresholds of types that page do not rise. Run it once on the shipped thresholds, not again on
its own result, which would draw it nearer to the year. It prints the rules as a file for `--rules`; with `--write` it
puts them into the `types:` of the shipped families.yaml, whose other lines and comments stay as they are. A year that
was not fitted is printed besides.

The thresholds in force mean something else for another bundle. `--counts FILE` with the old bundle writes how often
each type notifies in the year. With the new bundle it reads the file, and moves the thresholds in force until each type
notifies as often; the fit draws toward these.

The settings are those of riskwire: RISKWIRE_INFERENCE__MAX_SENTENCES=1 reads titles only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
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
from event_fit import TypePoint, TypeThresholds, equivalent, fitted, shrunk
from event_labels import LabelledParty, outright_floors, parties_by_type, precision, read_labelled
from event_runs import event_alerts, sorted_for_events

MATERIAL = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85)
OUTRIGHT = (0.2, 0.35, 0.55, 0.7, 0.85, 1.0)
ROUNDS = 6
"""How often the fit is repeated until the notifications of all types together are near the number that is allowed."""

Timed = list[tuple[int, Signal]]


class EventBench:
    """The signals of an archive that come near an event alert, and the events that they should tell."""

    def __init__(self, signals: Sequence[Signal], matcher: Matcher, settings: AlertingSettings, base: EventRules):
        self.settings = settings
        self.matcher = matcher
        self.base = base
        self.signals: Timed = sorted_for_events(signals, settings)
        self._types: dict[tuple[str, int, str], frozenset[str]] = {}

    def matches(self, signals: Timed, rules: EventRules, year: int | None) -> Matches:
        """Returns what the notifications of a year tell, or all of them."""
        alerts = event_alerts(signals, self.settings, rules)
        notifications = [alert for alert in alerts if is_notification(alert) and year in (None, alert.at.year)]
        return self.matcher.match(map(notification_of, notifications))

    def thresholds(self, event_type: str) -> TypeThresholds:
        """Returns the thresholds in force of an event type."""
        rule = self.base.rule(event_type, "", ())
        return TypeThresholds(rule.threshold, rule.outright)

    def count(self, event_type: str, thresholds: TypeThresholds, year: int | None) -> int:
        """Returns how many notifications of a year an event type alone sends with these thresholds."""
        own = [entry for entry in self.of_year(year) if event_type in self._types_of(entry[1])]
        changed = self.rules({event_type: thresholds}, muted=[*self.base.places])
        return len(self.matches(own, changed, year).notifications)

    def _types_of(self, signal: Signal) -> frozenset[str]:
        """Returns the event types of a signal."""
        key = (signal.article, signal.version, signal.target)
        if key not in self._types:
            self._types[key] = frozenset(happening.type for happening in happenings(signal, self.base))
        return self._types[key]

    def of_year(self, year: int | None) -> Timed:
        """Returns the signals of a year, with the month before it, which decides what is new; without a year, all."""
        if year is None:
            return self.signals
        span = (f"{year - 1}-12", f"{year + 1}")
        return [entry for entry in self.signals if span[0] <= entry[1].seen_at.isoformat() < span[1]]

    def rules(self, thresholds: Mapping[str, TypeThresholds], muted: Sequence[str] = ()) -> EventRules:
        """Returns the rules with other thresholds; `muted` event types are not told, unless they have thresholds."""
        changed = {event_type: RuleOverride.model_validate(values.rule()) for event_type, values in thresholds.items()}
        changed |= {event_type: RuleOverride(tier="none") for event_type in muted if event_type not in thresholds}
        return self.base.with_types(changed)


def main() -> None:
    """Prints a table of event types and thresholds, fits thresholds, and prints the figures of each year."""
    options = _options()
    settings = load_settings()
    watchlist = configured_watchlist(settings)
    log = asyncio.run(read_archive(options.archive, settings, watchlist, options.cache))
    rules = load_rules(options.rules)
    families = {event_type: place.family for event_type, place in rules.places.items()}
    events = read_events(options.events)
    tested = Backtest.of(log, watchlist, events, families)
    assert tested.matcher is not None
    console = Console(width=130)
    records = (record for record in log.records() if not isinstance(record, Mark))
    signals = [record for record in records if record.target.startswith(PARTY_TARGET) and record.level is not None]
    bench = EventBench(signals, tested.matcher, settings.alerting, rules)
    if not options.whole:
        labelled, floors = {}, {}
        if options.labels:
            lines = options.labels.read_text(encoding="utf-8").splitlines()
            floors = outright_floors(lines, rules)
            if options.precision:
                labelled = parties_by_type(asyncio.run(read_labelled(lines, settings, options.cache)), rules)
        known = [name for name in rules.places if _typed(name) or options.types]
        prior = {name: bench.thresholds(name) for name in options.types or known}
        if options.counts and not options.counts.exists():
            write_counts(bench, prior, options.counts, options.year)
            return
        if options.counts:
            prior = counted_prior(bench, prior, options.counts, options.year)
        points, table = _points(bench, rules, options.types or known, options.year, labelled)
        console.print(table)
        if options.fit:
            thresholds = fit(bench, points, options.fit, options.precision, options.year, floors, prior)
            print(json.dumps({"types": {name: value.rule() for name, value in thresholds.items()}}))
            rules = bench.rules(thresholds)
            if options.write:
                path = Path(str(files("riskwire.alerting.events").joinpath("families.yaml")))
                path.write_text(written(path.read_text("utf-8"), thresholds), encoding="utf-8")
                print(f"written: {path}")
    figures = match_figures(bench.matches(bench.signals, rules, None))
    for name, part in (("all", figures.whole), *figures.by_year.items()):
        print(
            f"{name:5} told {part.told}/{part.events} {part.told_share:.3f}, crises {part.crises_told}/{part.crises} "
            f"{part.crises_share:.3f}, notifications {part.notifications}, on a listed event {part.on_list_share:.3f}, "
            f"by the first story {part.first_story_share:.2f}"
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
    parser.add_argument("--counts", type=Path, metavar="FILE", help="notifications of each type with the bundle before")
    parser.add_argument("--write", action="store_true", help="write fitted thresholds into the shipped families.yaml")
    parser.add_argument(
        "--precision", type=float, default=0.0, help="the least precision on --labels, which the bundle then reads"
    )
    return parser.parse_args()


def _typed(event_type: str) -> bool:
    """Returns whether the shipped rules have thresholds of an event type of its own, and not only of its family."""
    text = files("riskwire.alerting.events").joinpath("families.yaml").read_text("utf-8")
    return re.search(rf"(?m)^  {event_type}: \{{", text) is not None


def _points(
    bench: EventBench,
    rules: EventRules,
    types: Iterable[str],
    year: int | None,
    labelled: Mapping[str, Sequence[tuple[Happening, LabelledParty]]],
) -> tuple[list[TypePoint], Table]:
    """Returns what each event type tells with each pair of thresholds, and the table of them."""
    table = Table("type", "material", "outright", "notifications", "on list", "told", "crises", "precision", "labelled")
    points = []
    signals = bench.of_year(year)
    by_type: dict[str, Timed] = {}
    outright: set[str] = set()
    for entry in signals:
        for happening in happenings(entry[1], rules):
            by_type.setdefault(happening.type, []).append(entry)
            if happening.outright:
                outright.add(happening.type)
    for event_type in types:
        for least in OUTRIGHT if event_type in outright else (1.0,):
            for material in MATERIAL:
                thresholds = TypeThresholds(material, least)
                changed = bench.rules({event_type: thresholds}, muted=[*rules.places])
                matches = bench.matches(by_type.get(event_type, []), changed, year)
                share, number = precision(labelled.get(event_type, ()), material, least)
                told = frozenset(
                    index for index, telling in enumerate(matches.tellings) if telling.notification is not None
                )
                points.append(TypePoint(event_type, thresholds, len(matches.notifications), told, share, number))
                figures = match_figures(matches).whole
                table.add_row(
                    event_type, f"{material:.2f}", f"{least:.2f}", str(figures.notifications),
                    f"{figures.on_list_share:.2f}", str(figures.told), str(figures.crises_told),
                    "–" if share is None else f"{share:.2f}", str(number),
                )  # fmt: skip
        table.add_section()
    return points, table


def write_counts(bench: EventBench, prior: Mapping[str, TypeThresholds], path: Path, year: int | None) -> None:
    """Writes how often each type notifies in a year with the thresholds in force."""
    numbers = {name: bench.count(name, values, year) for name, values in prior.items()}
    path.write_text(json.dumps(numbers), encoding="utf-8")
    print(f"written: {path}")


def counted_prior(
    bench: EventBench, prior: Mapping[str, TypeThresholds], path: Path, year: int | None
) -> dict[str, TypeThresholds]:
    """Returns thresholds with which each type notifies as often as a file of `write_counts` says."""
    wanted = json.loads(path.read_text(encoding="utf-8"))
    moved: dict[str, TypeThresholds] = {}
    for name, values in prior.items():
        moved[name] = equivalent(values, wanted[name], partial(bench.count, name, year=year))
        print(f"{name}: {values} with the bundle before is about {moved[name]}")
    return moved


def fit(
    bench: EventBench,
    points: Sequence[TypePoint],
    most: int,
    least_precision: float,
    year: int | None,
    floors: Mapping[str, float],
    prior: Mapping[str, TypeThresholds],
) -> dict[str, TypeThresholds]:
    """Returns thresholds for at most `most` notifications of all types together, drawn toward the `prior` ones."""
    types = list(dict.fromkeys(point.event_type for point in points))
    crises = frozenset(index for index, event in enumerate(bench.matcher.events) if event.severity == CRISIS)
    signals = bench.of_year(year)

    def count(thresholds: Mapping[str, TypeThresholds]) -> int:
        return len(bench.matches(signals, bench.rules(thresholds), year).notifications)

    paged = {event_type for event_type in types if bench.base.rule(event_type, "", ()).tier == "page"}

    def choose(allowed: int) -> dict[str, TypeThresholds]:
        chosen = shrunk(fitted(points, allowed, least_precision, crises), prior, floors)
        return chosen | {event_type: chosen[event_type].at_most(prior[event_type]) for event_type in paged}

    allowed, best = float(most), choose(0)
    for _ in range(ROUNDS):
        thresholds = choose(round(allowed))
        number = count(thresholds)
        if number <= most:
            best = thresholds
            if number >= 0.97 * most:
                break
        allowed *= most / max(number, 1)
    return best


def written(text: str, thresholds: Mapping[str, TypeThresholds]) -> str:
    """Returns the text of families.yaml with other thresholds of event types; all else stays as it is.

    Raises:
        ValueError: an event type has no line in `types:`.
    """
    for event_type, values in thresholds.items():
        line = re.search(rf"(?m)^  {event_type}: \{{(.*)\}}$", text)
        if line is None:
            raise ValueError(f"families.yaml has no line for {event_type} in its types")
        rule = values.rule()
        kept = [part for part in line[1].split(", ") if part.partition(":")[0] not in rule]
        changed = [f"{name}: {value:g}" for name, value in rule.items() if name != "outright" or value < 1.0]
        text = f"{text[: line.start(1)]}{', '.join(kept + changed)}{text[line.end(1) :]}"
    return text


if __name__ == "__main__":
    main()
