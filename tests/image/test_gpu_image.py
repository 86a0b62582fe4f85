"""The image for GPUs, on a machine without one. Its runtime has gigabytes, so it is only built when asked for:
`RISKWIRE_TEST_GPU_IMAGE=1 make image-test ARGS="-k gpu"`.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from containers.engine import ContainerEngine
from containers.tools import ROOT

pytestmark = pytest.mark.timeout(3_600)

IMAGE = "riskwire-test/riskwire:gpu"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:size=256m")
TEXTS = '{"id": "a", "text": "Acme Corp files for bankruptcy after fraud."}\n'


@pytest.fixture(scope="module")
def gpu_image(engine: ContainerEngine, bases: dict[str, str]) -> str:
    """The name of the image, built from this tree; prints how long that took and how large it is."""
    if not os.environ.get("RISKWIRE_TEST_GPU_IMAGE"):
        pytest.skip("RISKWIRE_TEST_GPU_IMAGE is not set: the image for GPUs takes gigabytes")
    arguments = {**bases, "VERSION": "test", "REVISION": "none"}
    seconds = engine.build(IMAGE, ROOT / "deploy" / "Dockerfile", ROOT, target="gpu", **arguments)
    print(f"\nbuilt {IMAGE} in {seconds:.0f} s: {engine.inspect(IMAGE)['Size'] / 1e6:.0f} MB")
    return IMAGE


def score(engine: ContainerEngine, image: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs `riskwire score` in a container without network, on one text."""
    command = [engine.client, "run", "--rm", "--interactive", "--network", "none", *HARDENED, *options, image, "score"]
    return subprocess.run(
        command, input=TEXTS, capture_output=True, text=True, check=False, env=engine.environment, timeout=300
    )


def test_the_gpu_image_refuses_to_score_where_there_is_no_gpu(engine: ContainerEngine, gpu_image: str) -> None:
    done = score(engine, gpu_image)
    print(done.stderr)
    assert done.returncode == 2, done.stdout
    assert "device cuda was requested, but" in done.stderr
    assert "nvidia-smi" in done.stderr, "it says what to check"
    assert "Traceback" not in done.stderr


def test_the_gpu_image_scores_on_a_processor_when_told_to(engine: ContainerEngine, gpu_image: str) -> None:
    done = score(engine, gpu_image, "--env", "RISKWIRE_INFERENCE__DEVICE=cpu")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sentiment"]["negative"] > 0.5


def test_the_gpu_image_has_the_model_file_that_a_gpu_reads(engine: ContainerEngine, gpu_image: str) -> None:
    """It does not ship: the build derives it, and its checksum is compared when it is opened."""
    code = "from riskwire.inference.model.bundle import Bundle; print(Bundle.load().model_path('fp16').name)"
    assert engine.run("run", "--rm", "--entrypoint", "python", gpu_image, "-c", code) == "model.fp16.onnx"
