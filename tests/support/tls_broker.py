"""Brokers that accept TLS only, and the settings to reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from broker import Broker
from certificates import STORE_PASSWORD, make_certificates

from riskwire.settings import KafkaSettings


@contextmanager
def tls_broker(
    folder: Path,
    protocol: str,
    properties: Mapping[str, str],
    client: Mapping[str, str],
    format_with: Sequence[str] = (),
) -> Iterator[Broker]:
    """Runs a broker with one listener. Its certificates (`make_certificates`) are in `folder/tls`.

    Args:
        protocol: SSL or SASL_SSL.
        properties: further properties of the broker.
        client: what a client of librdkafka needs besides the protocol and the authority.
        format_with: further options of the command that formats the data folder.
    """
    make_certificates(folder / "tls")
    listener = {
        "listeners": f"{protocol}://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}",
        "advertised.listeners": f"{protocol}://127.0.0.1:{{port}}",
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocol}:{protocol}",
        "inter.broker.listener.name": protocol,
        "ssl.keystore.location": "{folder}/tls/broker.p12",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": STORE_PASSWORD,
        "ssl.key.password": STORE_PASSWORD,
        "ssl.truststore.location": "{folder}/tls/ca.pem",
        "ssl.truststore.type": "PEM",
    }
    authority = {"security.protocol": protocol, "ssl.ca.location": str(folder / "tls" / "ca.pem")}
    broker = Broker(
        folder, listener | dict(properties), client=authority | dict(client), format_with=tuple(format_with)
    )
    with broker.running():
        yield broker


def tls_settings(broker: Broker, **overrides: object) -> KafkaSettings:
    """Returns settings that trust the authority of the broker.

    Args:
        overrides: further settings. A file is a name in `folder/tls`, or an absolute path.
    """
    tls = broker.folder / "tls"
    settings = {"security": "ssl", "ca_file": "ca.pem", "partitions": 2, "deadline_s": 8} | overrides
    files = {key: value and tls / str(value) for key, value in settings.items() if key.endswith("_file")}
    return KafkaSettings.model_validate(settings | files)
