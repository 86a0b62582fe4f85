"""An open alert, and what people decided about it. Part of the state of the notify stage on one partition."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

import orjson

from riskwire.bus import Message
from riskwire.records import Alert, AlertStatus, Decision, Tier, publishers_of

TIERS: Final[dict[Tier, int]] = {"digest": 0, "notice": 1, "page": 2}
"""The order of the tiers."""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An open alert, and what people decided about it. Times are epoch seconds; 0 for none.

    Attributes:
        at, status, tier: those of its newest record.
        target, kind, types, publishers: what a mute of it may name; of a publisher, the key.
        receivers: the names of the receivers that its records are for.
        sent: whether a record of it was sent to them.
        told: how many of its records were sent, by receiver; those that were withdrawn do not count.
        acknowledged: the tier that somebody acknowledged; None without an acknowledgement.
        snoozed_until: the end of its snooze.
        closed: whether it is a false alarm.
        held: whether the record below waits for the end of a snooze or a mute.
        missing: the receivers that the held record was withdrawn from, and is for; empty if it is for all.
        unanswered_since: since when a sent page has waited for an acknowledgement.
        passed_on: whether the second receivers got it.
        offset, key, value: the newest record, as it was read; of a closed alert that was sent, the closing record.
    """

    at: float
    status: AlertStatus
    tier: Tier
    target: str
    kind: str
    types: tuple[str, ...]
    publishers: tuple[str, ...]
    receivers: tuple[str, ...] = ()
    sent: bool = False
    told: Mapping[str, int] = field(default_factory=dict)
    acknowledged: Tier | None = None
    snoozed_until: float = 0.0
    closed: bool = False
    held: bool = False
    missing: tuple[str, ...] = ()
    unanswered_since: float = 0.0
    passed_on: bool = False
    offset: int = 0
    key: str | None = None
    value: bytes = b""

    @property
    def rises(self) -> bool:
        """Whether it is of a higher tier than was acknowledged."""
        return self.acknowledged is not None and TIERS[self.tier] > TIERS[self.acknowledged]

    @property
    def ends(self) -> bool:
        """Whether its newest record says that it is over, which concerns only those who were told of it."""
        return self.closed or self.status == "resolved"

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nothing is to be sent of it."""
        return self.status == "resolved" and not self.held

    def known_to(self, names: Iterable[str]) -> tuple[str, ...]:
        """Returns those of these receivers that were told of it, each once."""
        return tuple(name for name in dict.fromkeys(names) if name in self.told)

    def after_sending(self, names: Sequence[str], now: datetime) -> OpenAlert:
        """Returns it after its newest record is sent to receivers. A page starts to wait for an acknowledgement."""
        waits = self.tier == "page" and self.status != "resolved" and not self.closed
        is_new = not self.unanswered_since and (self.rises or not self.passed_on)
        return replace(
            self,
            sent=True,
            told=dict(Counter(self.told) + Counter(names)),
            held=False,
            missing=(),
            acknowledged=None if self.rises else self.acknowledged,
            unanswered_since=now.timestamp() if waits and is_new else self.unanswered_since if waits else 0.0,
        )

    def after_withdrawal(self, message: Message, receiver: str) -> OpenAlert:
        """Returns it after one of its records was withdrawn from a receiver before it arrived.

        Unless its newest record is held for all, the newest record that was withdrawn is held for those who miss it. A
        receiver that was told nothing else does not know of the alert, so it gets no end of it either.
        """
        told = dict(Counter(self.told) - Counter([receiver]))
        waits = self.unanswered_since if told else 0.0
        changed = replace(self, told=told, sent=bool(told), unanswered_since=waits)
        if (self.closed and message.offset != self.offset) or (self.held and not self.missing):
            return replace(changed, held=self.held and (bool(told) or not self.ends))
        if not self.held or message.offset > self.offset:
            changed = replace(changed, offset=message.offset, key=message.key, value=message.value)
        missing = tuple(dict.fromkeys([*self.missing, receiver]))
        if self.ends:
            missing = tuple(name for name in missing if name in told)
        return replace(changed, missing=missing, held=bool(missing))

    def closed_by(self, message: Message, decision: Decision) -> OpenAlert:
        """Returns it as a false alarm. If it was sent, its closing record is due.

        The closing record is the newest one, resolved at the time of the decision; its summary says who decided and
        why. An alert that has ended needs none.
        """
        if self.is_over:
            return replace(self, closed=True)
        record = Alert.model_validate_json(self.value)
        why = f" ({decision.reason.replace('_', ' ')})" if decision.reason else ""
        summary = f"False alarm{why}, says {decision.by}. It was: {record.summary}"
        closing = record.model_copy(update={"status": "resolved", "at": decision.at, "summary": summary})
        return replace(
            self,
            closed=True,
            snoozed_until=0.0,
            unanswered_since=0.0,
            held=self.sent,
            missing=(),
            offset=message.offset,
            value=closing.to_bytes(),
        )

    def encoded(self) -> bytes:
        """Returns it as bytes of the state."""
        return orjson.dumps(asdict(self) | {"value": base64.b64encode(self.value).decode()})

    @classmethod
    def decoded(cls, value: bytes) -> OpenAlert:
        """Returns it from the bytes of the state; those of an older riskwire do not say who was told of it."""
        fields = {name: item for name, item in orjson.loads(value).items() if name in cls.__dataclass_fields__}
        fields.setdefault("told", dict.fromkeys(fields["receivers"], 1) if fields["sent"] else {})
        fields |= {name: tuple(fields.get(name, ())) for name in ("types", "publishers", "receivers", "missing")}
        return cls(**fields | {"value": base64.b64decode(fields["value"])})


def with_record(
    before: OpenAlert | None, message: Message, alert: Alert, receivers: Sequence[str], *, replaces: bool
) -> OpenAlert:
    """Returns an alert as of its newest record.

    Args:
        replaces: whether the record takes the place of one that is held; the closing record of a false alarm stays.
    """
    newest = OpenAlert(
        at=alert.at.timestamp(),
        status=alert.status,
        tier=alert.tier,
        target=alert.target,
        kind=alert.kind,
        types=alert.events,
        publishers=publishers_of(alert),
        receivers=tuple(receivers),
        offset=message.offset,
        key=message.key,
        value=message.value,
    )
    if before is None:
        return newest
    is_replaced = not before.held or (replaces and not before.closed)
    record = newest if is_replaced else before
    return replace(
        newest,
        receivers=tuple(dict.fromkeys([*before.receivers, *receivers])),
        sent=before.sent,
        told=before.told,
        acknowledged=before.acknowledged,
        snoozed_until=before.snoozed_until,
        closed=before.closed,
        held=before.held,
        missing=() if is_replaced else before.missing,
        unanswered_since=before.unanswered_since,
        passed_on=before.passed_on,
        offset=record.offset,
        key=record.key,
        value=record.value,
    )
