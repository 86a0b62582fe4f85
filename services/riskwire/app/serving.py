"""Runs a process until it is stopped: the whole monitor, or one service on Kafka."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Collection, Sequence

import structlog

from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.app.inputs import configured_feeds
from riskwire.app.processes import open_process
from riskwire.bus import Bus
from riskwire.bus.open import require_kafka
from riskwire.errors import SettingsError
from riskwire.ingest.feeds.publication import publish_feeds, read_feed_list
from riskwire.logs import configure_logging
from riskwire.notify import receiver_warnings
from riskwire.pipeline import INGEST, NOTIFY, SERVE, STAGES, StageSpec, Topic, stages_of
from riskwire.records import Feed
from riskwire.settings import Settings
from riskwire.settings.permissions import open_to_others
from riskwire.web import bind, bind_probes

log = structlog.get_logger(__name__)


async def run_monitor(settings: Settings) -> int:
    """Runs every stage and serves the page, until stopped. Returns exit code 0.

    Raises:
        RiskwireError: the process cannot start or cannot continue.
    """
    return await _run_until_stopped(
        settings,
        STAGES,
        page=True,
        greeting=lambda url, feeds: (
            f"riskwire is at {url} and polls {'1 feed' if feeds == 1 else f'{feeds} feeds'}; data in {settings.data}"
        ),
    )


async def run_service(settings: Settings, name: str) -> int:
    """Runs one service on Kafka until it is stopped. Returns exit code 0.

    The service `serve` has the page and the API; the others have only probes.

    Args:
        name: one of `pipeline.SERVICES`.

    Raises:
        SettingsError: the settings name the embedded bus.
        RiskwireError: the service cannot start, cannot continue or makes no progress.
    """
    configure_logging(settings.log)
    if settings.bus.url == "embedded":
        raise SettingsError(
            f"`riskwire {name}` is one service of several on Kafka, and bus.url is `embedded`",
            do="Use `riskwire run`, which runs all in one process, or set RISKWIRE_BUS__URL=kafka://host:port",
        )
    require_kafka()
    return await _run_until_stopped(
        settings, stages_of(name), page=name == SERVE, greeting=lambda url, _: f"riskwire {name} is at {url}"
    )


async def _run_until_stopped(
    settings: Settings, specs: Collection[StageSpec], *, page: bool, greeting: Callable[[str, int], str]
) -> int:
    """Opens a process, publishes the feed list if it polls feeds, and runs it until it is stopped. Returns exit code 0.

    Args:
        specs: the stages of the process.
        page: whether it serves the page and the API, or only the probes.
        greeting: returns what to print when requests are answered, given the URL and the number of feeds polled.
    """
    configure_logging(settings.log)
    feeds = configured_feeds(settings) if INGEST in specs else ()
    receivers_at_risk = receiver_warnings(settings.notify) if NOTIFY in specs else []
    for warning in (*open_to_others(settings), *receivers_at_risk):
        log.warning(warning)
    listener, probes = bind(settings.web), None
    try:
        probes = bind_probes(settings.web)
        async with open_process(settings, specs, page=page, live=True) as process:
            polled = await _publish_feed_list(process.bus, settings, feeds) if INGEST in specs else 0
            settle_garbage_collector()
            await process.run(
                listener,
                lambda url: print(greeting(url, polled) + _listens_on(listener) + _probes_at(probes), file=sys.stderr),
                probes=probes,
            )
    finally:
        listener.close()
        if probes is not None:
            probes.close()
    return 0


def _listens_on(listener: socket.socket) -> str:
    """Returns the address of a socket that listens on all addresses, for the greeting; else nothing."""
    host, port = listener.getsockname()[:2]
    return f" (it listens on every address of this machine, port {port})" if host in ("0.0.0.0", "::") else ""  # noqa: S104


def _probes_at(probes: socket.socket | None) -> str:
    """Returns the address of the port of probes, for the greeting; nothing without one."""
    if probes is None:
        return ""
    host, port = probes.getsockname()[:2]
    return f"; probes and metrics are at http://{f'[{host}]' if ':' in host else host}:{port}"


async def _publish_feed_list(bus: Bus, settings: Settings, feeds: Sequence[Feed]) -> int:
    """Publishes the configured feed list, unless the shipped list would replace an operator's list on Kafka.

    Returns:
        the number of feeds that are polled then.
    """
    # On Kafka the list that ships is for a cluster without one: several ingesters start, and only a list that the
    # operator named may replace the list in use.
    named = settings.feeds is not None or settings.bus.url == "embedded"
    if named or not (await bus.records())[Topic.FEEDS]:
        await publish_feeds(bus, feeds)
    return (await read_feed_list(bus)).enabled_feeds
