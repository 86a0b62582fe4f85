"""An open alert and the decisions about it. Part of the state of the notify stage on one partition."""

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

_TIER_RANK: Final[dict[Tier, int]] = {"digest": 0, "notice": 1, "page": 2}
"""The tiers, from the least to the most urgent."""


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An open alert and the decisions about it. Times are epoch seconds; 0 means none.

    Attributes:
        at, status, tier: those of its newest record.
        target, kind, types, publishers: the properties that a mute may name; publishers are given by their keys.
        receivers: the names of the receivers of its records.
        sent: whether a record of it was sent to them.
        told: how many of its records were sent, by receiver; withdrawn records do not count.
        acknowledged: the tier that was acknowledged; None without an acknowledgement.
        snoozed_until: the end of its snooze.
        closed: whether it is a false alarm.
        held: whether the record below waits for the end of a snooze or a mute.
        missing: the receivers from which the held record was withdrawn, and to which it will be sent; empty for all.
        unanswered_since: since when a sent page has waited for an acknowledgement.
        passed_on: whether it was passed on to the second receivers.
        offset, key, value: the newest record, as it was read; if a closed alert was sent, its closing record.
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
    def exceeds_acknowledged_tier(self) -> bool:
        """Whether its tier is higher than the tier that was acknowledged."""
        return self.acknowledged is not None and _TIER_RANK[self.tier] > _TIER_RANK[self.acknowledged]

    @property
    def newest_is_final(self) -> bool:
        """Whether its newest record says that it is over. Only receivers that got an earlier record need that one."""
        return self.closed or self.status == "resolved"

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, and no record of it is held."""
        return self.status == "resolved" and not self.held

    def informed_among(self, receivers: Iterable[str]) -> tuple[str, ...]:
        """Returns those of these receivers to which a record of it was sent, each once."""
        return tuple(receiver for receiver in dict.fromkeys(receivers) if receiver in self.told)

    def after_sending(self, receivers: Sequence[str], now: datetime) -> OpenAlert:
        """Returns the alert after its newest record is sent. A page starts to wait for an acknowledgement."""
        needs_answer = self.tier == "page" and self.status != "resolved" and not self.closed
        starts_wait = not self.unanswered_since and (self.exceeds_acknowledged_tier or not self.passed_on)
        unanswered_since = 0.0
        if needs_answer:
            unanswered_since = now.timestamp() if starts_wait else self.unanswered_since
        return replace(
            self,
            sent=True,
            told=dict(Counter(self.told) + Counter(receivers)),
            held=False,
            missing=(),
            acknowledged=None if self.exceeds_acknowledged_tier else self.acknowledged,
            unanswered_since=unanswered_since,
        )

    def after_withdrawal(self, message: Message, receiver: str) -> OpenAlert:
        """Returns the alert after one of its records was withdrawn from a receiver before it arrived.

        Unless its newest record is held for all receivers, the newest record that was withdrawn is held for the
        receivers that miss it. A receiver that got no other record of the alert does not get its final record either.
        """
        sent_counts = dict(Counter(self.told) - Counter([receiver]))
        changed = replace(
            self,
            told=sent_counts,
            sent=bool(sent_counts),
            unanswered_since=self.unanswered_since if sent_counts else 0.0,
        )
        if (self.closed and message.offset != self.offset) or (self.held and not self.missing):
            return replace(changed, held=self.held and (bool(sent_counts) or not self.newest_is_final))
        if not self.held or message.offset > self.offset:
            changed = replace(changed, offset=message.offset, key=message.key, value=message.value)
        missing = tuple(dict.fromkeys([*self.missing, receiver]))
        if self.newest_is_final:
            missing = changed.informed_among(missing)
        return replace(changed, missing=missing, held=bool(missing))

    def as_false_alarm(self, message: Message, decision: Decision) -> OpenAlert:
        """Returns the alert as a false alarm. If it was sent, its closing record is due.

        The closing record is the newest record with the status `resolved` and the time of the decision. Its summary
        says who decided and why. An alert that has ended needs no closing record.
        """
        if self.is_finished:
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
        """Returns the bytes that the state holds."""
        return orjson.dumps(asdict(self) | {"value": base64.b64encode(self.value).decode()})

    @classmethod
    def decoded(cls, value: bytes) -> OpenAlert:
        """Returns the alert from the bytes of the state. The state of an older riskwire lacks `told`."""
        stored = orjson.loads(value)
        fields = {name: stored[name] for name in stored if name in cls.__dataclass_fields__}
        fields.setdefault("told", dict.fromkeys(fields["receivers"], 1) if fields["sent"] else {})
        fields |= {name: tuple(fields.get(name, ())) for name in ("types", "publishers", "receivers", "missing")}
        return cls(**fields | {"value": base64.b64decode(fields["value"])})


def update_alert(
    previous: OpenAlert | None, message: Message, alert: Alert, receivers: Sequence[str], *, replaces_held: bool
) -> OpenAlert:
    """Returns an alert as of its newest record.

    Args:
        previous: the alert before this record; None if it is the first one.
        message: the record as it was read.
        replaces_held: whether the record replaces a held record. It never replaces the closing record of a false alarm.
    """
    current = OpenAlert(
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
    if previous is None:
        return current
    is_replaced = not previous.held or (replaces_held and not previous.closed)
    record = current if is_replaced else previous
    return replace(
        current,
        receivers=tuple(dict.fromkeys([*previous.receivers, *receivers])),
        sent=previous.sent,
        told=previous.told,
        acknowledged=previous.acknowledged,
        snoozed_until=previous.snoozed_until,
        closed=previous.closed,
        held=previous.held,
        missing=() if is_replaced else previous.missing,
        unanswered_since=previous.unanswered_since,
        passed_on=previous.passed_on,
        offset=record.offset,
        key=record.key,
        value=record.value,
    )
