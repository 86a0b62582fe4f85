"""The log of looks at the open test set: in bundle.json, and as a table in the card.

The open test set says something about a bundle only as long as nothing was chosen on it. So each time that a bundle is
scored on it, the time and the figures are written down.
"""

from __future__ import annotations

from pathlib import Path

from riskwire_models.export.card import write_card
from riskwire_models.export.manifest import BundleManifest, LookEntry, read_manifest, write_manifest


def record_look(folder: Path, look: LookEntry) -> BundleManifest:
    """Appends a look to bundle.json, writes the card again, and returns the new manifest.

    Raises:
        BundleFolderError: the bundle cannot be read.
    """
    manifest = read_manifest(folder)
    manifest = manifest.model_copy(update={"looks": (*manifest.looks, look)})
    write_manifest(folder, manifest)
    write_card(folder, manifest)
    return manifest
