"""The rules of the code's structure: who may import whom, and what no file may hold.

The map is in services/README.md. Rooms are the packages and modules directly under `riskwire`.
"""

from __future__ import annotations

import ast
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from riskwire.pipeline import STAGES

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services" / "riskwire"
MODELS = ROOT / "models" / "riskwire_models"
TESTS = ROOT / "tests"

STAGE_ROOMS = {stage.room for stage in STAGES} - {"store"}
LEVELS = [
    {
        "",
        "entities",
        "errors",
        "logs",
        "steady_clock",
        "metrics",
        "pipeline",
        "records",
        "settings",
        "story",
        "vocabulary",
        "weights",
        "worst_mention",
    },
    {"bus"},
    {"stage"},
    {"store"},
    STAGE_ROOMS | {"dead_letters", "web", "demo"},
    {"app", "backtest"},
    {"cli"},
]
"""The rooms from the ground up. A room imports rooms of lower levels; on the ground, also rooms of the same level."""
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

BESIDE = {
    ("watching", "inference"),  # history finds mentions of the past by the rules of linking
    ("web", "watching"),  # the page edits the watchlist
    ("web", "deciding"),  # the page publishes decisions
    ("dead_letters", "notify"),  # replaying a delivery delivers it
}
"""The imports between rooms of one level, above the ground."""

MAX_LINES = 400
MAX_FILES = 15

SKIPPED_DIRS = {"__pycache__", "node_modules", "dist", "build", "riskwire-data"}
KEPT_DOT_DIRS = {".ci", ".github"}


def sources(folder: Path) -> list[Path]:
    """Returns the Python files of a folder and below."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Yields each module that a file imports, by full name, and whether it is imported with the file itself.

    An import inside a function, or for type checking only, is not.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    late = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.unparse(outer.test))
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
            yield name, id(node) not in late


def room_of(module: str) -> str:
    """Returns the room of a module: `inference` for `riskwire.inference.stage`, "" for the package itself."""
    name = module.removeprefix("riskwire").removeprefix(".").partition(".")[0]
    return name if (SERVICES / name).is_dir() or (SERVICES / f"{name}.py").exists() else ""


def room_of_file(path: Path) -> str:
    """Returns the room that a file is in."""
    name = path.relative_to(SERVICES).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def imported_rooms(path: Path) -> set[str]:
    """Returns the other rooms that a file imports."""
    modules = (module for module, _ in imported(path) if module == "riskwire" or module.startswith("riskwire."))
    return {room_of(module) for module in modules} - {room_of_file(path)}


def module_name(path: Path) -> str:
    """Returns the dotted name of a file under `services/`."""
    parts = path.relative_to(SERVICES.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_classes(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields each public class that a file defines at its top level, with the file."""
    for path in sources(folder):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, str(path.relative_to(ROOT))


def texts() -> Iterator[tuple[Path, str]]:
    """Yields every text file of a clone, without build outputs: its path in the repository, and its content."""
    for folder, dirs, files in os.walk(ROOT):
        dirs[:] = [d for d in dirs if (d in KEPT_DOT_DIRS or not d.startswith(".")) and d not in SKIPPED_DIRS]
        for name in files:
            path = Path(folder, name)
            raw = path.read_bytes()
            if b"\0" not in raw[:8_192]:
                yield path.relative_to(ROOT), raw.decode("utf-8", "replace")


@pytest.mark.parametrize("path", sources(SERVICES), ids=lambda path: str(path.relative_to(SERVICES)))
def test_imports_point_one_way(path: Path) -> None:
    """A room imports rooms of lower levels, and of the same level only what `BESIDE` lists.

    The rooms of the ground level may import each other.
    """
    room = room_of_file(path)
    assert room in LEVEL_OF, f"{room} is a new room: add it to LEVELS in this test"
    allowed = {
        allowed_room
        for allowed_room in LEVEL_OF
        if LEVEL_OF[allowed_room] < LEVEL_OF[room] or (room, allowed_room) in BESIDE
    }
    if LEVEL_OF[room] == 0:
        allowed = LEVELS[0]
    assert imported_rooms(path) <= allowed


def test_no_modules_import_each_other_in_a_cycle() -> None:
    """Imports within functions and for type checking do not count. A failure prints the cycle."""
    known = {module_name(path): path for path in sources(SERVICES)}
    graph: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        for module, at_import in imported(path):
            target = module if module in known else module.rpartition(".")[0]
            if at_import and target in known and target != name:
                graph[name].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_room_of_a_stage_holds_its_class(stage) -> None:
    """A stage is declared in `pipeline.py` with its room; a file of the room must use the declaration."""
    spec = "SINKS" if stage.room == "store" else stage.name.upper()
    uses = [path for path in sources(SERVICES / stage.room) if re.search(rf"\b{spec}\b", path.read_text("utf-8"))]
    assert uses, f"riskwire/{stage.room} does not use pipeline.{spec}"


def test_the_running_system_never_imports_a_training_library() -> None:
    for path in sources(SERVICES):
        packages = {module.partition(".")[0] for module, _ in imported(path)}
        assert not packages & {"torch", "transformers", "peft", "seqeval", "tensorboard"}, path


def test_only_a_command_loads_the_model_package_and_only_when_asked() -> None:
    """Only `app` and `cli` import `riskwire_models`, and only within functions."""
    for path in sources(SERVICES):
        for module, at_import in imported(path):
            if module.partition(".")[0] == "riskwire_models":
                assert room_of_file(path) in ("app", "cli"), path
                assert not at_import, path


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    """The hosts are written in two parts, so that this file does not contain them."""
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs"]
    forbidden = re.compile("|".join([*map(re.escape, hosts), r"(?<![\w.~:/-])/(?:work|root|home)/\w"]))
    matches = [f"{path}: {match.group()}" for path, text in texts() for match in forbidden.finditer(text)]
    assert matches == []


def test_no_file_is_longer_than_one_subject_needs() -> None:
    lines = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*sources(SERVICES), *sources(MODELS)]
    }
    assert {str(path): count for path, count in lines.items() if count > MAX_LINES} == {}


def test_no_folder_holds_more_files_than_a_reader_can_overlook() -> None:
    files = [path for folder in (SERVICES, MODELS, TESTS) for path in sources(folder) if path.name != "__init__.py"]
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in files)
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_no_two_public_classes_share_a_name() -> None:
    files: dict[str, set[str]] = defaultdict(set)
    for folder in (SERVICES, MODELS, TESTS):
        for name, path in public_classes(folder):
            files[name].add(path)
    assert {name: sorted(paths) for name, paths in files.items() if len(paths) > 1} == {}
