"""From which weight of its target a notice is a page, and below which a page is a notice."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from riskwire.errors import SettingsError
from riskwire.records import Alert

_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WeightRule(BaseModel):
    """The part of the rules that looks at the exposure to a target. It applies to alerts of every kind.

    An alert has its own tier as long as it runs; the rule decides the tier of each of its records from the weight that
    the record has. A line of the digest stays one.

    Attributes:
        page_from: the weight from which a notice is a page; None for never.
        notice_below: the weight below which a page is a notice; None for never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    page_from: _Weight | None = None
    notice_below: _Weight | None = None

    def check(self, where: str) -> None:
        """Refuses limits of which both would apply to one weight.

        Raises:
            SettingsError: a page of some weight would be a notice, and a notice of it a page.
        """
        if self.page_from is not None and self.notice_below is not None and self.notice_below > self.page_from:
            what = f"weights.notice_below: above weights.page_from, which is {self.page_from:g}"
            raise SettingsError(what, value=self.notice_below, where=where)

    def applied(self, alert: Alert) -> Alert:
        """Returns an alert record with the tier of its weight. What it would have taken to be otherwise is told."""
        if alert.tier == "notice" and self.page_from is not None and alert.weight >= self.page_from:
            why = f"Its weight, {alert.weight:g}, makes it a page; below {self.page_from:g} it would be a notice."
            severity = "high" if alert.severity == "warning" else alert.severity
            return _changed(alert, tier="page", severity=severity, why=why)
        if alert.tier == "page" and self.notice_below is not None and alert.weight < self.notice_below:
            why = f"Its weight, {alert.weight:g}, makes it a notice; from {self.notice_below:g} on it would be a page."
            return _changed(alert, tier="notice", severity="warning", why=why)
        return alert


def _changed(alert: Alert, *, tier: str, severity: str, why: str) -> Alert:
    told = f"{alert.would_not_fire} {why}".strip()
    return alert.model_copy(update={"tier": tier, "severity": severity, "would_not_fire": told})
