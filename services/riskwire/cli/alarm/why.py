"""`riskwire why`: the alerts on a target, and the stories that came near and did not notify, each with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, Limit, settings_of
from riskwire.errors import SettingsError

if TYPE_CHECKING:
    from riskwire.records import Alert, Level, NearMiss
    from riskwire.store import Store

MinNovelty = Annotated[float, typer.Option(help="Only stories of at least this novelty.", min=0, max=1)]
MinRelevance = Annotated[float, typer.Option(help="Only stories of at least this relevance.", min=0, max=1)]
_AROUND = timedelta(days=1)
"""How long before and after `--at` decisions are listed."""


def why(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="For example `entity:aapl`, or only `aapl`.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Only a day before and after it, such as 2026-11-24T09:30."),
    ] = None,
    min_novelty: MinNovelty = 0.0,
    min_relevance: MinRelevance = 0.0,
    json: Json = False,
    limit: Limit = 100,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Explain why stories about a target did not notify.

    Lists the stories that came near an event alert, newest first, each with the reason why it did not notify, and the
    alerts of the same time.
    """
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, time_text
    from riskwire.store import NearMissQuery

    time = None if at is None else _time(at)
    since, until = (None, None) if time is None else (time - _AROUND, time + _AROUND)
    settings = settings_of(config, data=data)
    with open_existing_store(settings) as store:
        target = _existing(store, target)
        near_misses = store.near_misses(target, NearMissQuery(since, until, min_novelty, min_relevance, limit))
        records = [] if json else _records(store, target, since, until, limit)
    if json:
        print_json_lines(near_misses)
        return
    rows = [(miss.at, _miss_row(miss)) for miss in near_misses]
    rows += [(record.at, _alert_row(record)) for record in records]
    rows.sort(key=lambda row: row[0], reverse=True)
    print_table(
        (f"at, {settings.zone}", "what", "level", "events", "novelty", "relevance", "publisher", "title", "why"),
        [(time_text(moment, settings.zone), *row) for moment, row in rows],
        empty=f"Nothing about {target} came near an event alert.",
    )


def _time(text: str) -> datetime:
    """Returns a time of the command line; without a zone it is UTC.

    Raises:
        SettingsError: the text is not a time, or too far from the present.
    """
    from riskwire.records import EARLIEST, LATEST

    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        if not EARLIEST + _AROUND <= time <= LATEST - _AROUND:
            raise OverflowError
    except (ValueError, OverflowError):
        raise SettingsError("--at: not a time", value=text, do="Write for example 2026-11-24T09:30Z") from None
    return time


def _existing(store: Store, target: str) -> str:
    """Returns the id of a target, which may be given without `entity:`.

    Raises:
        SettingsError: there is no such target.
    """
    for candidate in (target, f"entity:{target}"):
        if candidate.isprintable() and store.target(candidate) is not None:
            return candidate
    do = "`riskwire targets` lists the targets; one without a watchlist entry appears with its first story"
    raise SettingsError("there is no such target", value=target, do=do)


def _records(store: Store, target: str, since: datetime | None, until: datetime | None, limit: int) -> list[Alert]:
    """Returns the records of the newest alerts of a target that were decided in a span of time."""
    records: list[Alert] = []
    for row in store.alerts(target=target, limit=limit):
        history = store.alert(row.id)
        records += history.records if history is not None else ()
    return [
        record for record in records if (since is None or record.at >= since) and (until is None or record.at < until)
    ]


def _miss_row(miss: NearMiss) -> tuple[str, ...]:
    return (
        miss.reason.replace("_", " "),
        _level(miss.level, miss.adverse),
        ", ".join(event.label for event in miss.events or ()),
        f"{miss.novelty:.2f}",
        f"{miss.relevance:.2f}",
        miss.publisher or miss.source,
        miss.title,
        miss.detail,
    )


def _alert_row(record: Alert) -> tuple[str, ...]:
    """Returns an alert record as a row; title and publisher are those of the story that decided."""
    first = record.evidence[0] if record.evidence and record.status != "resolved" else None
    return (
        f"{record.kind} {record.status}",
        _level(record.level, record.adverse),
        ", ".join(record.events),
        "" if record.novelty is None else f"{record.novelty:.2f}",
        "" if record.relevance is None else f"{record.relevance:.2f}",
        (first.publisher or first.source) if first else "",
        first.title if first else "",
        record.would_not_fire if record.status != "resolved" else record.summary,
    )


def _level(level: Level | None, adverse: float | None) -> str:
    if level is None or adverse is None:
        return ""
    return f"material {level.material:.2f}, adverse {adverse:.2f}"
