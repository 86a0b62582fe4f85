"""The receivers that the settings name."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from riskwire.errors import SettingsError
from riskwire.notify.receivers.alertmanager import AlertmanagerReceiver
from riskwire.notify.receivers.receiver import Place, Receiver
from riskwire.notify.receivers.service import AppriseReceiver
from riskwire.notify.receivers.webhook import WebhookReceiver
from riskwire.settings import NotifySettings


def configured_receivers(settings: NotifySettings) -> list[Receiver]:
    """Returns the receivers of the settings, without connecting to them; those without a name first, webhooks first.

    Raises:
        SettingsError: the key of webhooks is empty, a named receiver has no URL or several, or a URL occurs twice or
            cannot be used. The message names its setting and never shows the URL.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else None
    if secret == "":
        raise SettingsError("the key is empty", where="notify.webhook_secret", do="Set a key, or leave the setting out")
    webhooks = [(Place(f"notify.webhooks[{position}]"), url) for position, url in enumerate(settings.webhooks)]
    services = [(Place(f"notify.apprise[{position}]"), url) for position, url in enumerate(settings.apprise)]
    alertmanagers: list[tuple[Place, SecretStr]] = []
    for name, named in settings.receivers.items():
        place = Place(f"notify.receivers.{name}", name)
        if sum(url is not None for url in (named.webhook, named.apprise, named.alertmanager)) != 1:
            raise SettingsError("a receiver needs one of `webhook`, `apprise` and `alertmanager`", where=place.key)
        if named.digest != "never" and named.apprise is None:
            raise SettingsError(
                "a digest is text for people", where=f"{place.key}.digest", do="Give it to a receiver with `apprise`"
            )
        if not named.alerts and named.digest == "never":
            raise SettingsError("this receiver would get nothing", where=f"{place.key}.alerts", do="Set `digest`")
        if named.webhook is not None:
            webhooks.append((place, named.webhook))
        if named.apprise is not None:
            services.append((place, named.apprise))
        if named.alertmanager is not None:
            alertmanagers.append((place, named.alertmanager))
            if named.quiet_hours:
                raise SettingsError(
                    "Alertmanager has quiet hours of its own",
                    where=f"{place.key}.quiet_hours",
                    do="Write them as `time_intervals` of its configuration",
                )
    receivers: list[Receiver] = [
        WebhookReceiver(place, url.get_secret_value(), secret, settings.timeout_s, settings.concurrency)
        for place, url in webhooks
    ]
    receivers += [AppriseReceiver(place, url.get_secret_value(), settings.timeout_s) for place, url in services]
    receivers += [
        AlertmanagerReceiver(place, url.get_secret_value(), settings.timeout_s) for place, url in alertmanagers
    ]
    labels: dict[str, str] = {}
    for (_, url), receiver in zip([*webhooks, *services, *alertmanagers], receivers, strict=True):
        key = f"{receiver.channel}:{url.get_secret_value()}"
        if key in labels:
            raise SettingsError(f"the same URL as {labels[key]}", where=receiver.label, do="Remove one")
        labels[key] = receiver.label
    return receivers


def has_alertmanager(settings: NotifySettings) -> bool:
    """Returns whether a receiver is an Alertmanager."""
    return any(receiver.alertmanager is not None for receiver in settings.receivers.values())


def receiver_warnings(settings: NotifySettings) -> list[str]:
    """Returns a warning for each receiver over plain http beyond this machine, and for webhooks without a signature.

    Raises:
        SettingsError: a receiver cannot be used.
    """
    webhooks = {f"notify.webhooks[{position}]": url for position, url in enumerate(settings.webhooks)}
    alertmanagers: dict[str, SecretStr] = {}
    for name, named in settings.receivers.items():
        if named.webhook is not None:
            webhooks[f"notify.receivers.{name}"] = named.webhook
        if named.alertmanager is not None:
            alertmanagers[f"notify.receivers.{name}"] = named.alertmanager
    warnings = [
        f"{key}: plain http: others on the way can read and change alerts. Use https"
        for key, url in (webhooks | alertmanagers).items()
        if _is_plain(url.get_secret_value())
    ]
    if settings.webhook_secret is None and settings.webhook_secret_file is None:
        warnings += [
            f"{key}: not signed: its receiver cannot know that an alert is ours. Set notify.webhook_secret_file"
            for key in webhooks
        ]
    return warnings


def _is_plain(url: str) -> bool:
    """Returns whether a URL is of plain http to another machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname in (None, "localhost"):
        return False
    try:
        return not ip_address(parts.hostname).is_loopback
    except ValueError:
        return True
