"""`riskwire alerts …`: lists alerts, shows one, and records what a person decides about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from riskwire.cli import store as listing
from riskwire.cli.options import ConfigFile, Data, Json, Limit, run_to_end, settings_of
from riskwire.cli.watchlist import By
from riskwire.errors import SettingsError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.records import Command
    from riskwire.store import AlertHistory, Store

alerts_app = typer.Typer(help="List alerts, and decide about them: acknowledge, assign, snooze, mute, false alarm.")

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="Its id, or the start of it.")]
Comment = Annotated[str, typer.Option("--comment", help="Why.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long, such as 30m, 4h or 3d.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Until when, such as 2026-11-24T09:30Z.")]
Target = Annotated[str | None, typer.Option("--target", metavar="TARGET", help="Such as `entity:aapl`.")]
Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="An event type, `spike` or `slide`.")]
Publisher = Annotated[str | None, typer.Option("--publisher", metavar="NAME", help="Such as `Reuters`.")]
Events = Annotated[list[str] | None, typer.Option("--event", help="The right event type; repeatable.")]
Fields = dict[str, Any]
"""Fields of a `DecisionRequest`."""
Decide = Callable[..., Fields]


class Order(StrEnum):
    """The orders of the list of alerts."""

    NEWEST = "newest"
    PRIORITY = "priority"


_DURATION = re.compile(r"(\d{1,5})\s*([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LOOKED_AT = 100_000
"""Alerts among which one is looked for by the start of its id."""


@alerts_app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    order: Annotated[
        Order, typer.Option("--order", help="The newest first, or the largest exposure times severity.")
    ] = Order.NEWEST,
    open_only: Annotated[bool, typer.Option("--open", help="Only alerts that run.")] = False,
    json: Json = False,
    limit: Limit = 1_000,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """List the newest record of each alert."""
    if context.invoked_subcommand is None:
        settings = settings_of(config, data=data)
        listing.list_alerts(settings, order=order.value, open_only=open_only, json=json, limit=limit)


@alerts_app.command()
def show(alert: AlertId, json: Json = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show an alert: its stories, its records, and who decided what."""
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines

    settings = settings_of(config, data=data)
    with open_existing_store(settings) as store:
        history = _existing(store, alert)
    if json:
        print_json_lines([history])
    else:
        _print_alert(history, settings)


def _action(*, name: str | None = None, comments: bool = True) -> Callable[[Decide], Callable[..., None]]:
    """Returns a decorator that makes a command of a function which returns the fields of a `DecisionRequest`.

    The command also takes who decides, why, and where: the options that all decisions share.

    Args:
        name: the name of the command; by default that of the function.
        comments: whether it takes the option `--comment`.
    """
    shared: dict[str, tuple[object, object]] = {"by": (By, Parameter.empty)}
    shared |= {"comment": (Comment, "")} if comments else {}
    shared |= {"data": (Data, None), "config": (ConfigFile, None)}

    def decorate(decide: Decide) -> Callable[..., None]:
        def command(
            *, by: str, comment: str = "", data: Path | None = None, config: Path | None = None, **own: Any
        ) -> None:
            fields = {"comment": comment} | decide(**own)
            run_to_end(publish_decision(settings_of(config, data=data), by, fields.pop("alert", ""), fields))

        hints = get_type_hints(decide, include_extras=True)
        del hints["return"]
        own = [(name, hints[name], parameter.default) for name, parameter in signature(decide).parameters.items()]
        every = [*own, *((name, hint, default) for name, (hint, default) in shared.items())]
        parameters = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint) for name, hint, default in every
        ]
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {name: hint for name, hint, _ in every}
        command.__doc__ = decide.__doc__
        return alerts_app.command(name or decide.__name__)(command)

    return decorate


@_action()
def ack(alert: AlertId) -> Fields:
    """Acknowledge an alert. Nothing more is sent about it until it resolves, unless a notice becomes a page."""
    return {"kind": "acknowledge", "alert": alert}


@_action()
def assign(
    alert: AlertId, assignee: Annotated[str, typer.Argument(metavar="NAME", help="Who takes care of it.")]
) -> Fields:
    """Say who takes care of an alert."""
    return {"kind": "assign", "alert": alert, "assignee": assignee}


@_action()
def snooze(alert: AlertId, duration: For = None, until: Until = None) -> Fields:
    """Hold the notifications of an alert until a time."""
    end = _end(duration, until)
    if end is None:
        raise SettingsError("a snooze needs an end", do="Give --for or --until")
    return {"kind": "snooze", "alert": alert, "until": end}


@_action()
def mute(
    target: Target = None,
    event_type: Type = None,
    publisher: Publisher = None,
    duration: For = None,
    until: Until = None,
) -> Fields:
    """Withhold alerts on a target, a type or a publisher, until a time or until it is unmuted."""
    return {"kind": "mute", "subject": _subject(target, event_type, publisher), "until": _end(duration, until)}


@_action(comments=False)
def unmute(target: Target = None, event_type: Type = None, publisher: Publisher = None) -> Fields:
    """Lift a mute. Alerts that it held and that are still open are then sent."""
    return {"kind": "unmute", "subject": _subject(target, event_type, publisher)}


@_action(name="false-alarm")
def false_alarm(
    alert: AlertId,
    reason: Annotated[
        str | None,
        typer.Option(
            "--reason", help="not_adverse, not_material, wrong_party, wrong_type, old_news, duplicate or other."
        ),
    ] = None,
    level: Annotated[str | None, typer.Option("--level", help="The right level, for `riskwire label export`.")] = None,
    event: Events = None,
) -> Fields:
    """Close an alert that was none, and say why. `riskwire label export` makes training data of it."""
    return {"kind": "false_alarm", "alert": alert, "reason": reason, "level": level, "events": event or ()}


@_action()
def correct(
    alert: AlertId,
    level: Annotated[str | None, typer.Option("--level", help="neutral, mild, material or favourable.")] = None,
    event: Events = None,
) -> Fields:
    """Correct the labels of the stories of an alert, for `riskwire label export`."""
    return {"kind": "correct", "alert": alert, "level": level, "events": event or ()}


@_action(comments=False)
def comment(alert: AlertId, text: Annotated[str, typer.Argument(metavar="TEXT")]) -> Fields:
    """Comment on an alert."""
    return {"kind": "comment", "alert": alert, "comment": text}


@alerts_app.command()
def mutes(json: Json = False, data: Data = None, config: ConfigFile = None) -> None:
    """List the mutes in force."""
    from riskwire.cli.data import open_existing_store
    from riskwire.store.reads.decisions import mutes_in_force

    settings = settings_of(config, data=data)
    with open_existing_store(settings) as store:
        in_force = list(store.read(mutes_in_force, datetime.now(UTC)).values())
    _print_decisions(in_force, settings, json=json, empty="Nothing is muted.")


@alerts_app.command()
def log(json: Json = False, limit: Limit = 1_000, data: Data = None, config: ConfigFile = None) -> None:
    """List who decided what and when, newest first; also about alerts that are deleted by now."""
    from riskwire.cli.data import open_existing_store
    from riskwire.store.reads.decisions import list_decisions

    settings = settings_of(config, data=data)
    with open_existing_store(settings) as store:
        rows = store.read(list_decisions, limit)
    _print_decisions(rows, settings, json=json, empty="Nobody has decided anything yet.")


async def publish_decision(settings: Settings, by: str, alert: str, fields: dict[str, Any]) -> int:
    """Publishes a decision, and prints it with what it replaces. Returns exit code 0.

    Args:
        by: who decides.
        alert: the start of the id of the alert; empty for a mute.
        fields: those of `DecisionRequest`.

    Raises:
        SettingsError: the decision lacks something, or there is no such alert, or it cannot be decided any more.
    """
    from pydantic import ValidationError

    from riskwire.cli.data import open_existing_bus, open_existing_store
    from riskwire.cli.terminal import printable, time_text
    from riskwire.deciding import Decider, DecisionRequest, decision_command
    from riskwire.records import schema_error

    if not 1 <= len(by.strip()) <= len(by) <= 100 or not by.isprintable():
        raise SettingsError("--by: 1 to 100 printable characters", value=by)
    history = None
    if alert:
        with open_existing_store(settings) as store:
            history = _existing(store, alert)
    try:
        request = DecisionRequest.model_validate({**fields, "alert": history.id if history else None})
    except ValidationError as error:
        fault = schema_error(error, f"riskwire alerts {str(fields['kind']).replace('_', '-')}")
        raise SettingsError(fault.what.removeprefix("record: "), value=fault.value, where=fault.where) from None
    command = decision_command(request, history, by, datetime.now(UTC))
    async with open_existing_bus(settings) as bus:
        replaced = await Decider(bus).publish(command)
    subject = history.name if history else request.subject
    print(printable(f"{_words(command)}: {subject}"))
    if replaced is not None:
        at = time_text(replaced.at, settings.zone)
        print(printable(f"This replaces what {replaced.by} decided at {at}: {_words(replaced)}"))
    return 0


def _existing(store: Store, start: str) -> AlertHistory:
    """Returns the alert with an id, or the only one whose id starts so.

    Raises:
        SettingsError: there is none, or several.
    """
    history = store.alert(start)
    if history is None:
        ids = [row.id for row in store.alerts(limit=_LOOKED_AT) if row.id.startswith(start)] if start else []
        if len(ids) > 1:
            raise SettingsError(f"{len(ids)} alerts have an id that starts so", value=start, do="Write more of it")
        history = store.alert(ids[0]) if ids else None
    if history is None:
        raise SettingsError("there is no such alert", value=start, do="`riskwire alerts` lists the alerts")
    return history


def _subject(target: str | None, event_type: str | None, publisher: str | None) -> str:
    """Returns the subject of a mute. Raises a `SettingsError` unless exactly one option was given."""
    options = [("target", target), ("type", event_type), ("publisher", publisher)]
    subjects = [f"{scope}:{name}" for scope, name in options if name is not None]
    if len(subjects) != 1:
        raise SettingsError("a mute is of one thing", do="Give one of --target, --type and --publisher")
    return subjects[0]


def _end(duration: str | None, until: str | None) -> datetime | None:
    """Returns the time that `--for` or `--until` names, or None without either.

    Raises:
        SettingsError: it is not a time, or both are given.
    """
    if duration is not None and until is not None:
        raise SettingsError("--for and --until", do="Give one of them")
    if duration is not None:
        match = _DURATION.fullmatch(duration.strip())
        if match is None:
            raise SettingsError("--for: not a duration", value=duration, do="Write for example 30m, 4h or 3d")
        return datetime.now(UTC) + int(match[1]) * _UNITS[match[2]]
    if until is None:
        return None
    try:
        time = datetime.fromisoformat(until)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError("--until: not a time", value=until, do="Write for example 2026-11-24T09:30Z") from None


def _words(command: Command) -> str:
    """Returns a decision in a few words."""
    value = command.value
    words = {"acknowledge": "acknowledged", "snooze": "snoozed", "comment": "comment", "mute": "muted"}
    words |= {"assign": f"assigned to {value.get('assignee')}", "false_alarm": "false alarm", "unmute": "unmuted"}
    text = words.get(command.kind, command.kind)
    details = [str(value[name]).replace("_", " ") for name in ("reason", "level") if value.get(name)]
    details += [str(event) for event in value.get("events") or ()]
    text += f" ({', '.join(details)})" if details else ""
    return f"{text} until {command.until:%Y-%m-%d %H:%M} UTC" if command.until else text


def _print_decisions(rows: list[Any], settings: Settings, *, json: bool, empty: str) -> None:
    """Prints decisions as a table or as JSON lines."""
    from riskwire.cli.terminal import print_json_lines, print_table, time_text

    if json:
        print_json_lines(rows)
        return
    print_table(
        (f"at, {settings.zone}", "by", "what", "about", "comment"),
        [
            (
                time_text(row.at, settings.zone, seconds=True),
                row.by,
                _words(row),
                str(row.value.get("subject") or f"{row.value.get('name') or row.target or ''} {(row.alert or '')[:8]}"),
                row.comment,
            )
            for row in rows
        ],
        empty=empty,
    )


def _print_alert(alert: AlertHistory, settings: Settings) -> None:
    """Prints an alert with its stories, records and decisions."""
    from riskwire.cli.terminal import print_table, printable, time_text

    handled = alert.handling.replace("_", " ") + f" by {alert.handled_by}" if alert.handling else "not handled"
    facts = [handled, f"assigned to {alert.assigned_to}" if alert.assigned_to else ""]
    facts += [f"muted ({alert.muted})" if alert.muted else ""]
    lines = [
        f"{alert.name}: {', '.join(alert.events) or alert.kind} ({alert.tier}, {alert.severity}, {alert.status})",
        f"{alert.target} · opened {time_text(alert.opened_at, settings.zone)} · {alert.id}",
        "; ".join(filter(None, facts)),
        alert.summary,
        alert.would_not_fire,
    ]
    for line in filter(None, lines):
        print(printable(line))
    zone = settings.zone
    print_table(
        (f"published, {zone}", f"seen, {zone}", "level", "events", "publisher", "title"),
        [
            (
                time_text(story.published_at, zone),
                time_text(story.seen_at, zone),
                story.level.label(story.adverse_from) if story.level else "",
                ", ".join(event.label for event in story.events or ()),
                story.publisher or story.source,
                story.title,
            )
            for story in alert.evidence
        ],
    )
    rows: list[tuple[datetime, str, str, str]] = [
        (record.at, "", record.status, record.summary) for record in alert.records
    ]
    rows += [(command.at, command.by, _words(command), command.comment) for command in alert.commands]
    rows.sort(key=lambda row: row[0])
    print_table((f"at, {zone}", "by", "what", ""), [(time_text(at, zone, seconds=True), *row) for at, *row in rows])
