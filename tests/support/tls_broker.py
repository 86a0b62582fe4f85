"""Brokers that speak TLS only, with certificates of the test's own, and settings to reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from broker import Broker
from certificates import STORE, make_certificates

from riskwire.settings import KafkaSettings


@contextmanager
def tls_broker(
    folder: Path,
    protocol: str,
    properties: Mapping[str, str],
    client: Mapping[str, str],
    format_with: Sequence[str] = (),
) -> Iterator[Broker]:
    """A started broker on one listener; the certificates (`make_certificates`) lie in `folder/tls`.

    Args:
        protocol: SSL or SASL_SSL.
        properties: what it has besides.
        client: what a client of librdkafka needs besides the protocol and the authority.
    """
    make_certificates(folder / "tls")
    listener = {
        "listeners": f"{protocol}://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}}",
        "advertised.listeners": f"{protocol}://127.0.0.1:{{port}}",
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocol}:{protocol}",
        "inter.broker.listener.name": protocol,
        "ssl.keystore.location": "{folder}/tls/broker.p12",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": STORE,
        "ssl.key.password": STORE,
        "ssl.truststore.location": "{folder}/tls/ca.pem",
        "ssl.truststore.type": "PEM",
    }
    authority = {"security.protocol": protocol, "ssl.ca.location": str(folder / "tls" / "ca.pem")}
    broker = Broker(
        folder, listener | dict(properties), client=authority | dict(client), format_with=tuple(format_with)
    )
    with broker.running():
        yield broker


def tls_settings(broker: Broker, **given: object) -> KafkaSettings:
    """Settings that know the broker's authority; a file is named as it is called in `folder/tls`, or by its path."""
    tls = broker.folder / "tls"
    plain = {"security": "ssl", "ca_file": "ca.pem", "partitions": 2, "deadline_s": 8} | given
    files = {key: value and tls / str(value) for key, value in plain.items() if key.endswith("_file")}
    return KafkaSettings.model_validate(plain | files)
