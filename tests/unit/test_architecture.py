"""The walls of the house: who may import whom, and what no file may hold. The picture is in services/README.md."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services" / "riskwire"
MODELS = ROOT / "models" / "riskwire_models"

GROUND = {"", "entities", "errors", "logs", "metrics", "pipeline", "records", "settings", "story", "weights"}
"""Records, settings, errors and plain words about them: everyone may import these, and they import only each other."""
CARRIERS = {"bus", "stage", "store"}
ROOMS = {"ingest", "inference", "alerting", "notify", "watching", "dead_letters", "web", "demo"}
ASSEMBLY = {"app"}
TOP = {"cli", "__main__"}
LEVELS = {room: level for level, rooms in enumerate((GROUND, CARRIERS, ROOMS, ASSEMBLY, TOP)) for room in rooms}

MOST_LINES = 400
LONG_FOR_A_REASON: dict[str, str] = {}

SKIPPED_DIRS = {"__pycache__", "node_modules", "dist", "build", "riskwire-data"}
KEPT_DOT_DIRS = {".ci", ".github"}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, by full name, and whether that happens when the file itself is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    lazy = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) not in lazy


def room_of(module: str) -> str:
    """`inference` for `riskwire.inference.model.engine`, "" for the package itself."""
    name = module.removeprefix("riskwire").removeprefix(".").partition(".")[0]
    return name if (SERVICES / name).is_dir() or (SERVICES / f"{name}.py").exists() else ""


def room_of_file(path: Path) -> str:
    name = path.relative_to(SERVICES).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def own_imports(path: Path) -> set[str]:
    return {
        room_of(module) for module, _ in imported(path) if module == "riskwire" or module.startswith("riskwire.")
    } - {room_of_file(path)}


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project: what a clone holds, less what is built."""
    for folder, dirs, files in os.walk(ROOT):
        dirs[:] = [d for d in dirs if (d in KEPT_DOT_DIRS or not d.startswith(".")) and d not in SKIPPED_DIRS]
        for name in files:
            path = Path(folder, name)
            raw = path.read_bytes()
            if b"\0" not in raw[:8_192]:
                yield path.relative_to(ROOT), raw.decode("utf-8", "replace")


@pytest.mark.parametrize("path", sources(SERVICES), ids=lambda path: str(path.relative_to(SERVICES)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of_file(path)
    assert room in LEVELS, f"{room} is a new room: say in this test which level it is on"
    upwards = {other for other in own_imports(path) if LEVELS[other] > LEVELS[room]}
    assert not upwards, f"{path.relative_to(ROOT)} may not import {sorted(upwards)}"


@pytest.mark.parametrize(
    ("room", "others"), [("inference", {"ingest", "alerting"}), ("ingest", {"inference", "alerting"})]
)
def test_reading_and_judging_meet_only_in_the_records(room: str, others: set[str]) -> None:
    for path in sources(SERVICES / room):
        assert not own_imports(path) & others, path


def test_alerting_does_not_know_how_news_is_read() -> None:
    for path in sources(SERVICES / "alerting"):
        assert not own_imports(path) & {"inference", "ingest"}, path


def test_the_running_system_never_imports_a_training_library() -> None:
    for path in sources(SERVICES):
        packages = {module.partition(".")[0] for module, _ in imported(path)}
        assert not packages & {"torch", "transformers", "peft", "seqeval", "tensorboard"}, path


def test_the_running_system_loads_the_model_recipes_only_when_a_command_asks() -> None:
    for path in sources(SERVICES):
        for module, at_import in imported(path):
            if module.partition(".")[0] == "riskwire_models":
                assert room_of_file(path) in TOP, path
                assert not at_import, path


def test_no_file_names_a_package_registry_or_a_place_on_somebodys_machine() -> None:
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs"]
    forbidden = re.compile("|".join([*map(re.escape, hosts), r"(?<![\w.~:/-])/(?:work|root|home)/\w"]))
    found = [f"{path}: {match.group()}" for path, text in texts() for match in forbidden.finditer(text)]
    assert found == []


def test_a_long_file_has_a_reason() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*sources(SERVICES), *sources(MODELS)]
    }
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in LONG_FOR_A_REASON}
    assert long == {}, "is each of these two rooms?"
