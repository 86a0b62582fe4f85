"""`riskwire model derive` where nothing can be trained, such as in the image for GPUs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from riskwire.inference.model.bundle import bundle_folder
from riskwire_models.export.manifest import read_manifest, sha256_of

COMMAND = """
import sys
sys.modules |= dict.fromkeys(("torch", "transformers", "peft", "sklearn"))
from riskwire.cli.main import main
main()
"""


def test_the_file_for_gpus_is_derived_with_onnx_alone(tmp_path: Path) -> None:
    """The bundle that ships; libraries of the extra `train` cannot be imported."""
    folder = shutil.copytree(bundle_folder(None), tmp_path / "bundle")
    fp16 = read_manifest(folder).files["fp16"]
    (folder / fp16.path).unlink(missing_ok=True)
    command = [sys.executable, "-c", COMMAND, "model", "derive", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sha256_of(folder / fp16.path) == fp16.sha256
