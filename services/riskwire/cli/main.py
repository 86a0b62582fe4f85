"""`riskwire …`: the root of the command line. A command imports the rooms it needs when it runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated

import typer

from riskwire import __version__
from riskwire.cli import run as services
from riskwire.cli.alarm.alerts import alerts_app
from riskwire.cli.alarm.backtest import backtest
from riskwire.cli.alarm.calibrate import calibrate
from riskwire.cli.alarm.label import label_app
from riskwire.cli.alarm.why import why
from riskwire.cli.config import config_app
from riskwire.cli.dead_letters import dead_letters_app
from riskwire.cli.demo import demo
from riskwire.cli.feeds import feeds_app
from riskwire.cli.replay import replay
from riskwire.cli.score import score
from riskwire.cli.status import status
from riskwire.cli.storage.backup import backup, restore
from riskwire.cli.storage.db import db_app
from riskwire.cli.storage.export import export
from riskwire.cli.store import stories, targets
from riskwire.cli.topics import topics_app
from riskwire.cli.watch.notify import notify_app
from riskwire.cli.watch.trace import trace
from riskwire.cli.watchlist import watchlist_app
from riskwire.errors import RiskwireError, lacks_thread, leaves

_PURPOSE = "Reads financial news as it is published, follows the mood about each company, and explains every alert."

app = typer.Typer(
    help=_PURPOSE,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog="New here? `riskwire demo` shows a fictional crisis in two minutes, without network.",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True, help=_PURPOSE)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Prints the version if asked; the command follows."""
    if version:
        typer.echo(f"riskwire {__version__}")
        raise typer.Exit


for command in (services.run, demo, replay, backtest, calibrate, score, targets, stories, why, status):
    app.command()(command)
app.command()(services.repair)
for name, stored in (("export", export), ("backup", backup), ("restore", restore)):
    app.command(name)(stored)
app.command()(trace)
for service in (services.ingest, services.infer, services.alert, services.sink, services.serve):
    app.command(rich_help_panel="Services on Kafka")(service)
app.add_typer(notify_app, name="notify", rich_help_panel="Services on Kafka")
for name, group in (
    ("alerts", alerts_app),
    ("config", config_app),
    ("topics", topics_app),
    ("feeds", feeds_app),
    ("dead-letters", dead_letters_app),
    ("label", label_app),
    ("watchlist", watchlist_app),
    ("db", db_app),
):
    app.add_typer(group, name=name)


def main() -> None:
    """Runs the command line. Every failure that a person can act on is one clear message and a non-zero exit code."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal whose encoding lacks a character shows an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    if len(sys.argv) == 1 or sys.argv[1] in ("model", "--help"):
        _mount_model_commands()
    try:
        code = _exit_code()
    finally:
        flushed = _flush_output()
    sys.exit(code or (0 if flushed else 1))


def _mount_model_commands() -> None:
    """Adds `riskwire model …`. The recipes import without torch, and name the missing extra when they need it."""
    from riskwire_models.cli import app as model_app

    app.add_typer(model_app, name="model", help="Train, evaluate and export model bundles (extra `train`).")


def _open_closed_streams() -> None:
    """Opens the null device for each standard stream that is closed.

    Otherwise the next file that is opened would get the number of the stream, and what a library prints would end up
    in the database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _exit_code() -> int | str | None:
    """Runs the command, and returns its exit code. It may be None (for 0) or a message, as `sys.exit` accepts it."""
    try:
        _run_command()
    except SystemExit as exit_request:
        return exit_request.code
    return 0


def _run_command() -> None:
    """Runs the command of the arguments. Prints errors that a person can act on, and exits with code 2.

    Exits with code 1 if the output cannot be written since the disk is full. Other errors pass through.
    """
    try:
        app()
    except* RiskwireError as group:
        from riskwire.cli.terminal import printable

        for error in leaves(group):
            typer.echo(f"riskwire: {printable(str(error), lines=True)}", err=True)
        sys.exit(2)
    except* RuntimeError as group:
        if not all(map(lacks_thread, leaves(group))):
            raise
        typer.echo(
            "riskwire: the operating system gives no further thread; nothing is lost. Raise the limit of threads or "
            "processes (ulimit -u, pids.max of a container) and start again.",
            err=True,
        )
        sys.exit(2)
    except* OSError as group:
        full = [error for error in leaves(group) if isinstance(error, OSError) and error.errno == errno.ENOSPC]
        if not full:
            raise
        _discard_output(full[0])
        sys.exit(1)


def _flush_output() -> bool:
    """Flushes standard output here rather than at exit of the interpreter, where a failure would print a traceback.

    Returns:
        False if the output could not be written: its reader has gone, or a disk is full.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard_output(error)
        return False
    return True


def _discard_output(error: OSError) -> None:
    """Discards what is still buffered, and prints why, unless the reader of a pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"riskwire: the output cannot be written: {error}", err=True)
