"""Brokers that accept TLS only, their certificates, and the settings to reach them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from broker import Broker

from riskwire.settings import KafkaSettings

STORE_PASSWORD = "changeit-of-this-test"
"""The password of the broker's key store."""
PASSPHRASE = "a-passphrase-nobody-types"
"""The passphrase of `locked.key`."""
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


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


def make_certificates(folder: Path) -> None:
    """Creates keys and certificates for 127.0.0.1 in a new folder.

    - `ca.pem` is the authority that signed `broker.p12` and `client.pem` (with `client.key`).
    - `stranger.pem` is another authority, which signed `impostor.pem` (with `impostor.key`).
    - `locked.key` is `client.key`, encrypted with `PASSPHRASE`.
    """
    folder.mkdir(parents=True)
    for name in ("ca", "stranger"):
        _openssl(
            "req", "-x509", *_CURVE, "-days", 2, "-subj", f"/CN={name} of a test",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
        )  # fmt: skip
    _sign(folder, "broker", "ca")
    _sign(folder, "client", "ca")
    _sign(folder, "impostor", "stranger")
    _openssl(
        "pkcs12", "-export", "-in", folder / "broker.pem", "-inkey", folder / "broker.key",
        "-certfile", folder / "ca.pem", "-out", folder / "broker.p12", "-passout", f"pass:{STORE_PASSWORD}",
    )  # fmt: skip
    _openssl(
        "pkcs8", "-topk8", "-in", folder / "client.key", "-out", folder / "locked.key", "-passout", f"pass:{PASSPHRASE}"
    )


def _sign(folder: Path, name: str, authority: str) -> None:
    """Creates `NAME.key` and `NAME.pem`, a certificate for 127.0.0.1 that `AUTHORITY.pem` has signed, in the folder."""
    _openssl(
        "req", *_CURVE, "-subj", "/CN=127.0.0.1", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"
    )
    extensions = folder / "names"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(
        "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{authority}.pem",
        "-CAkey", folder / f"{authority}.key", "-CAcreateserial", "-days", 2, "-extfile", extensions,
        "-out", folder / f"{name}.pem",
    )  # fmt: skip


def _openssl(*words: object) -> None:
    completed = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert completed.returncode == 0, completed.stderr
