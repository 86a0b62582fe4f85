"""Shows the silences of Alertmanager on the page: connects `notify`, which reads them, with `web`."""

from __future__ import annotations

from collections.abc import Sequence

from riskwire.notify import SilenceList
from riskwire.records import Alert
from riskwire.web import SilenceRow


class ShownSilences:
    """The silences in force, with the open alerts that they cover."""

    def __init__(self, silences: SilenceList) -> None:
        """Reads from a list of silences."""
        self._silences = silences

    async def rows(self, alerts: Sequence[Alert]) -> list[SilenceRow]:
        """Returns the silences that are for alerts of riskwire or cover one of these, the next to end first.

        Raises:
            NotifyError: an Alertmanager does not answer, or not with silences.
        """
        rows: list[SilenceRow] = []
        for silence in sorted(await self._silences.read(), key=lambda silence: silence.until):
            covered = [alert for alert in alerts if silence.covers(alert)]
            if covered or any(matcher.matches({"alertname": "riskwire"}) for matcher in silence.matchers):
                rows.append(
                    SilenceRow(
                        receiver=silence.receiver,
                        id=silence.id,
                        by=silence.by,
                        comment=silence.comment,
                        until=silence.until,
                        matchers=tuple(map(str, silence.matchers)),
                        alerts=tuple(alert.id for alert in covered),
                        names=tuple(dict.fromkeys(alert.name for alert in covered)),
                    )
                )
        return rows
