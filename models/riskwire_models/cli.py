"""``riskwire model …``: from data to bundle in one command, or step by step."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from riskwire_models.errors import MissingExtraError, ModelError

app = typer.Typer(
    name="model",
    help="Train, export, measure and describe bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)

#: What the train extra brings; a missing one of these is a missing extra, any other a fault of ours.
_EXTRA = frozenset(
    {
        "torch",
        "transformers",
        "seqeval",
        "sklearn",
        "onnx",
        "onnxruntime",
        "onnxconverter_common",
        "tokenizers",
        "numpy",
    }
)

Data = Annotated[Path, typer.Option("--data", help="Folder of the data sets.", file_okay=False, exists=True)]
Work = Annotated[Path, typer.Option("--work", help="Folder of the checkpoint; a run found there is resumed.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the bundle.")]
BundleFolder = Annotated[Path, typer.Argument(help="Folder of a bundle.", file_okay=False, exists=True)]
Threads = Annotated[int, typer.Option("--threads", help="Threads of the CPU to use.", min=1)]
Steps = Annotated[int | None, typer.Option("--steps", help="Steps of the whole run (the recipe's by default).", min=1)]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed (the recipe's by default).", min=0)]

_WORK = Path.home() / ".cache" / "riskwire" / "train"


@contextmanager
def _faults(command: str) -> Iterator[None]:
    """Faults as one line and exit code 1."""
    try:
        try:
            yield
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] not in _EXTRA:
                raise
            raise MissingExtraError(command, error.name) from error
    except ModelError as error:
        _err.print(f"error: {error}", markup=False)
        raise typer.Exit(1) from error


def _quiet() -> None:
    # All are read when torch and transformers are first imported. OpenMP's threads spin while they wait; on a machine
    # that is busy otherwise this costs several times the work. The base's unused pooler is not worth a report.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _say(line: str) -> None:
    _out.print(line, markup=False)
    sys.stdout.flush()


def _train(data: Path, work: Path, threads: int, steps: int | None, seed: int | None) -> None:
    _quiet()
    from riskwire_models.training.loop import train as run
    from riskwire_models.training.recipe import Recipe

    recipe = Recipe()
    recipe = replace(recipe, steps=steps or recipe.steps, seed=recipe.seed if seed is None else seed)
    run(data, work, recipe, threads=threads, say=_say)


def _export(data: Path, work: Path, out: Path, threads: int) -> None:
    _quiet()
    from riskwire_models.export.pipeline import export as run

    bundle = run(data, work, out, threads=threads, say=_say)
    _show(out)
    _say(f"bundle {bundle.name} {bundle.version} in {out}")


def _show(folder: Path) -> None:
    from riskwire_models.export.bundle import read_bundle
    from riskwire_models.export.card import score_rows

    bundle = read_bundle(folder, verify=False)
    for part, title in (("held_out", "held out"), ("never_seen", "never seen")):
        head, rows = score_rows(bundle, part)
        if rows:
            table = Table(*head, title=title)
            for row in rows:
                table.add_row(*row)
            _out.print(table)


@app.command()
def build(
    data: Data, out: Out, work: Work = _WORK, threads: Threads = 2, steps: Steps = None, seed: Seed = None
) -> None:
    """From data to bundle: train (or go on), export, measure, gate, describe."""
    with _faults("build"):
        _train(data, work, threads, steps, seed)
        _export(data, work, out, threads)


@app.command()
def train(data: Data, work: Work = _WORK, threads: Threads = 2, steps: Steps = None, seed: Seed = None) -> None:
    """Train to the end of the recipe; resumes from the checkpoint in --work."""
    with _faults("train"):
        _train(data, work, threads, steps, seed)


@app.command()
def export(data: Data, out: Out, work: Work = _WORK, threads: Threads = 2) -> None:
    """Write the bundle of the checkpoint in --work; refuses one that loses too much or depends on the batch."""
    with _faults("export"):
        _export(data, work, out, threads)


@app.command()
def evaluate(bundle: BundleFolder, data: Data, threads: Threads = 2) -> None:
    """Measure the files of a bundle anew, on held-out splits and never-seen sets."""
    with _faults("evaluate"):
        from riskwire_models.evaluation.measure import measure_bundle

        table = Table("precision", "head", "set", "n", "figures", title=str(bundle))
        for row in measure_bundle(bundle, data, threads=threads):
            table.add_row(*row)
        _out.print(table)


@app.command()
def card(bundle: BundleFolder) -> None:
    """Write a bundle's card again from its bundle.json."""
    with _faults("card"):
        from riskwire_models.export.bundle import read_bundle
        from riskwire_models.export.card import write_card

        _say(str(write_card(bundle, read_bundle(bundle))))


def main() -> None:
    """Entry of ``python -m riskwire_models``."""
    app(prog_name="riskwire model")
