"""The commands ``riskwire model …``, which train, export, measure and describe bundles."""

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
    help="Train, export, measure and describe model bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_stdout = Console(highlight=False, soft_wrap=True)
_stderr = Console(stderr=True, highlight=False, soft_wrap=True)

#: Modules that the train extra installs. A different module that cannot be imported is a bug.
_TRAIN_EXTRA_MODULES = frozenset(
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
Work = Annotated[Path, typer.Option("--work", help="Folder of the checkpoint; a run in it is resumed.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write the bundle to.")]
BundleFolder = Annotated[Path, typer.Argument(help="Folder of a bundle.", file_okay=False, exists=True)]
Threads = Annotated[int, typer.Option("--threads", help="Number of CPU threads.", min=1)]
Steps = Annotated[
    int | None, typer.Option("--steps", help="Steps of the training run (default: those of the recipe).", min=1)
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed (default: that of the recipe).", min=0)]

_WORK = Path.home() / ".cache" / "riskwire" / "train"


@contextmanager
def _errors_reported(command: str) -> Iterator[None]:
    """Prints an error of this package as one line, and exits with 1."""
    try:
        try:
            yield
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] not in _TRAIN_EXTRA_MODULES:
                raise
            raise MissingExtraError(command, error.name) from error
    except ModelError as error:
        _stderr.print(f"error: {error}", markup=False)
        raise typer.Exit(1) from error


def _set_library_environment() -> None:
    """Sets environment variables of torch and transformers, unless the user has set them, before their first import."""
    # torch and transformers read these variables when they are first imported. By default, waiting OpenMP threads spin,
    # which makes a step several times slower on a machine with other work. transformers would report that the pooler of
    # the base model is not used, which is intended.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _print_line(line: str) -> None:
    _stdout.print(line, markup=False)
    sys.stdout.flush()


def _train(data: Path, work: Path, threads: int, steps: int | None, seed: int | None) -> None:
    """Trains a model by the recipe and writes it to `work`.

    Args:
        data: the folder of the training data.
        steps: the number of training steps; None or 0 for that of the recipe.
        seed: the random seed; None for that of the recipe.
    """
    _set_library_environment()
    from riskwire_models.training.recipe import Recipe
    from riskwire_models.training.train import train as run_training

    recipe = Recipe()
    recipe = replace(recipe, steps=steps or recipe.steps, seed=recipe.seed if seed is None else seed)
    run_training(data, work, recipe, threads=threads, log=_print_line)


def _export(data: Path, work: Path, out: Path, threads: int) -> None:
    """Exports the trained model in `work` as a bundle to `out`, and prints its scores."""
    _set_library_environment()
    from riskwire_models.export.export import export as run_export

    manifest = run_export(data, work, out, threads=threads, log=_print_line)
    _print_scores(out)
    _print_line(f"bundle {manifest.name} {manifest.version} in {out}")


def _print_scores(folder: Path) -> None:
    """Prints a table of the scores in a bundle's manifest, for held-out data and for data sets not seen in training."""
    from riskwire_models.export.card import score_table
    from riskwire_models.export.manifest import read_manifest

    manifest = read_manifest(folder, verify=False)
    for part, title in (("held_out", "held out"), ("never_seen", "never seen")):
        header, rows = score_table(manifest, part)
        if rows:
            table = Table(*header, title=title)
            for row in rows:
                table.add_row(*row)
            _stdout.print(table)


@app.command()
def build(
    data: Data, out: Out, work: Work = _WORK, threads: Threads = 2, steps: Steps = None, seed: Seed = None
) -> None:
    """Build a bundle from data: train (or resume), export, measure, check the quality gate, write the card."""
    with _errors_reported("build"):
        _train(data, work, threads, steps, seed)
        _export(data, work, out, threads)


@app.command()
def train(data: Data, work: Work = _WORK, threads: Threads = 2, steps: Steps = None, seed: Seed = None) -> None:
    """Train to the last step of the recipe. Resumes from the checkpoint in --work."""
    with _errors_reported("train"):
        _train(data, work, threads, steps, seed)


@app.command()
def export(data: Data, out: Out, work: Work = _WORK, threads: Threads = 2) -> None:
    """Write the bundle of the checkpoint in --work, if it passes the quality gate.

    A bundle fails if a precision loses too much accuracy against fp32, or if results depend on the batch.
    """
    with _errors_reported("export"):
        _export(data, work, out, threads)


@app.command()
def evaluate(bundle: BundleFolder, data: Data, threads: Threads = 2) -> None:
    """Measure the ONNX files of a bundle on held-out splits and on sets that were never trained on."""
    with _errors_reported("evaluate"):
        from riskwire_models.evaluation.evaluate import evaluate_bundle

        table = Table("precision", "head", "set", "n", "scores", title=str(bundle))
        for row in evaluate_bundle(bundle, data, threads=threads):
            table.add_row(*row)
        _stdout.print(table)


@app.command()
def card(bundle: BundleFolder) -> None:
    """Write the card of a bundle from its bundle.json."""
    with _errors_reported("card"):
        from riskwire_models.export.card import write_card
        from riskwire_models.export.manifest import read_manifest

        _print_line(str(write_card(bundle, read_manifest(bundle))))


def main() -> None:
    """Runs the command line of ``python -m riskwire_models``."""
    app(prog_name="riskwire model")
