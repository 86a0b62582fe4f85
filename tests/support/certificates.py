"""Certificates for tests of TLS: an authority of the test's own, what it signed, and a stranger."""

from __future__ import annotations

import subprocess
from pathlib import Path

STORE = "changeit-of-this-test"
"""Password of the broker's key store."""
PASSPHRASE = "a-passphrase-nobody-types"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_certificates(folder: Path) -> None:
    """For 127.0.0.1: `ca.pem`, `broker.p12` and `client.pem` (with `client.key`), signed by it; `stranger.pem` is an
    authority that signed nothing but `impostor.pem`; `locked.key` is `client.key` behind a passphrase."""
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
        "-certfile", folder / "ca.pem", "-out", folder / "broker.p12", "-passout", f"pass:{STORE}",
    )  # fmt: skip
    _openssl(
        "pkcs8", "-topk8", "-in", folder / "client.key", "-out", folder / "locked.key", "-passout", f"pass:{PASSPHRASE}"
    )


def _sign(folder: Path, name: str, authority: str) -> None:
    _openssl(
        "req", *_CURVE, "-subj", "/CN=127.0.0.1", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"
    )
    names = folder / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(
        "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{authority}.pem",
        "-CAkey", folder / f"{authority}.key", "-CAcreateserial", "-days", 2, "-extfile", names,
        "-out", folder / f"{name}.pem",
    )  # fmt: skip


def _openssl(*words: object) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
