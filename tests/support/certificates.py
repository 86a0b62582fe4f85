"""Certificates for tests of TLS: a certificate authority, certificates that it signed, and those of a stranger."""

from __future__ import annotations

import subprocess
from pathlib import Path

STORE_PASSWORD = "changeit-of-this-test"
"""The password of the broker's key store."""
PASSPHRASE = "a-passphrase-nobody-types"
"""The passphrase of `locked.key`."""
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


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
