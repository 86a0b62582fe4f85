"""Which receivers an alert goes to, by the routes of the settings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final

from riskwire.errors import SettingsError
from riskwire.notify.receivers import Receiver
from riskwire.records import Alert, Severity
from riskwire.settings import NotifySettings, RouteSettings

SEVERITY_RANK: Final[dict[Severity, int]] = {"warning": 0, "high": 1, "critical": 2}
"""The order of the severities."""


class Routing:
    """The routes between alerts and receivers.

    An alert goes to the receivers of every route whose conditions it meets, and to each receiver that no route names.

    Attributes:
        second: the names of the receivers of pages without an acknowledgement.
    """

    def __init__(self, settings: NotifySettings, receivers: Sequence[Receiver]) -> None:
        """Connects the routes of the settings with the receivers.

        Raises:
            SettingsError: a route names a receiver that the settings do not have, or one that takes no alerts.
        """
        by_setting = {receiver.setting: receiver.name for receiver in receivers}
        digest_only = {name for name, receiver in settings.receivers.items() if not receiver.alerts}
        named = [(f"notify.routes[{position}].to", route.to) for position, route in enumerate(settings.routes)]
        for where, names in [*named, ("notify.escalate_to", settings.escalate_to)]:
            for name in names:
                if name not in by_setting:
                    raise _unknown_receiver(name, where, by_setting)
                if name in digest_only:
                    raise SettingsError("this receiver takes only the digest", value=name, where=where)
        self._routes = [(route, [by_setting[name] for name in route.to]) for route in settings.routes]
        self.second = [by_setting[name] for name in settings.escalate_to]
        routed = {name for _, names in self._routes for name in names} | set(self.second)
        self._always = [
            receiver.name
            for receiver in receivers
            if receiver.name not in routed and receiver.setting not in digest_only
        ]

    def receivers_of(self, alert: Alert) -> list[str]:
        """Returns the names of the receivers that an alert is routed to, each once."""
        routed = [name for route, names in self._routes if _meets(alert, route) for name in names]
        return list(dict.fromkeys([*self._always, *routed]))


def _meets(alert: Alert, route: RouteSettings) -> bool:
    """Returns whether an alert meets every condition that a route gives."""
    return (
        (not route.groups or not set(route.groups).isdisjoint(alert.groups))
        and (not route.tiers or alert.tier in route.tiers)
        and (not route.kinds or alert.kind in route.kinds)
        and (not route.types or not set(route.types).isdisjoint(alert.events))
        and SEVERITY_RANK[alert.severity] >= SEVERITY_RANK[route.min_severity]
    )


def _unknown_receiver(name: str, where: str, known: Collection[str]) -> SettingsError:
    """Returns the error of a setting that names no receiver."""
    similar = get_close_matches(name, known, n=1)
    names = ", ".join(sorted(filter(None, known))) or "none"
    return SettingsError(
        "there is no receiver of this name",
        value=name,
        where=where,
        do=f"Did you mean {similar[0]}?" if similar else f"notify.receivers has: {names}",
    )
