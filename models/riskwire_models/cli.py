"""The commands ``riskwire model …``, which train, export, measure and describe bundles."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from riskwire_models.errors import ExportError, GateError, MissingExtraError, ModelError

app = typer.Typer(
    name="model",
    help="Train, export, measure and describe model bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

#: Modules that the train extra installs. A different module that cannot be imported is a bug.
_TRAIN_EXTRA_MODULES = frozenset(
    {
        "torch",
        "peft",
        "tensorboard",
        "transformers",
        "matplotlib",
        "seqeval",
        "sklearn",
        "onnx",
        "onnxruntime",
        "onnxconverter_common",
        "tokenizers",
        "numpy",
    }
)

RecipeName = Annotated[str, typer.Argument(help="Name of a recipe that ships, or the path of a YAML file.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data sets.", file_okay=False, exists=True)]
Work = Annotated[Path, typer.Option("--work", help="Folder of the checkpoint; a run in it is resumed.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write the bundle to.")]
BundleFolder = Annotated[Path, typer.Argument(help="Folder of a bundle.", file_okay=False, exists=True)]
CheckpointFolder = Annotated[
    Path | None, typer.Option(help="Folder of a Hugging Face checkpoint.", file_okay=False, exists=True)
]
Threads = Annotated[int, typer.Option("--threads", help="Number of CPU threads.", min=1)]
Steps = Annotated[
    int | None, typer.Option("--steps", help="Steps of the training run (default: those of the recipe).", min=1)
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed (default: that of the recipe).", min=0)]

_WORK = Path.home() / ".cache" / "riskwire" / "train"


def _stdout() -> Console:
    """Returns the console of the results. A new one, because a console keeps the width that it had at first."""
    return Console(highlight=False, soft_wrap=True)


def _stderr() -> Console:
    """Returns the console of progress and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


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
        _stderr().print(f"error: {error}", markup=False)
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
    _stdout().print(line, markup=False)
    sys.stdout.flush()


def _print_progress(line: str) -> None:
    _stderr().print(line, markup=False)


def _train(name: str, data: Path, work: Path, threads: int, steps: int | None, seed: int | None) -> None:
    """Trains a model by a recipe and writes it to `work`.

    Args:
        name: name of the recipe, or path of its file.
        data: the folder of the training data.
        steps: the number of training steps; None for that of the recipe.
        seed: the random seed; None for that of the recipe.
    """
    _set_library_environment()
    from riskwire_models.training.recipe import read_recipe
    from riskwire_models.training.train import train as run_training

    recipe = read_recipe(name)
    changes = {"steps": steps, "seed": seed}
    recipe = recipe.model_copy(update={field: value for field, value in changes.items() if value is not None})
    run_training(data, work / recipe.name, recipe, threads=threads, log=_print_line)


def _export(name: str, data: Path, work: Path, out: Path, threads: int) -> None:
    """Exports the model that a recipe trained in `work` as a bundle to `out`, and prints its scores."""
    _set_library_environment()
    from riskwire_models.export.export import export as run_export
    from riskwire_models.training.recipe import read_recipe

    manifest = run_export(data, work / read_recipe(name).name, out, threads=threads, log=_print_line)
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
            _stdout().print(table)


@app.command()
def build(
    recipe: RecipeName,
    data: Data,
    out: Out,
    work: Work = _WORK,
    threads: Threads = 2,
    steps: Steps = None,
    seed: Seed = None,
) -> None:
    """Build a bundle from data: train (or resume), export, measure, check the quality gate, write the card."""
    with _errors_reported("build"):
        _train(recipe, data, work, threads, steps, seed)
        _export(recipe, data, work, out, threads)


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(help="Name of a recipe that ships, path of a YAML file, or with --from a file of labels.")
    ],
    data: Data,
    work: Work = _WORK,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Bundle whose training goes on with your own labels.", exists=True)
    ] = None,
    threads: Threads = 2,
    steps: Steps = None,
    seed: Seed = None,
) -> None:
    """Train to the last step of a recipe. Resumes from the checkpoint in --work, in the folder of the recipe's name.

    With --from, the first argument is a file of your own labels, JSON lines or CSV. A fifth measures the bundle before
    and after. The rest is trained on, together with four times as many texts of the old data.
    `tensorboard --logdir WORK` shows the losses and the figures of the dev split.
    """
    with _errors_reported("train"):
        if start_from is None:
            _train(recipe, data, work, threads, steps, seed)
        else:
            _train_on_own_labels(Path(recipe), start_from, data, work, threads, steps, seed)


def _train_on_own_labels(
    labels: Path, bundle: Path, data: Path, work: Path, threads: int, steps: int | None, seed: int | None
) -> None:
    """Goes on with the training of a bundle on own labels, and prints its figures before and after."""
    _set_library_environment()
    from riskwire_models.training.own import train_on_own_labels

    before, after = train_on_own_labels(
        labels, bundle, data, work, threads=threads, steps=steps, seed=seed, log=_print_line
    )
    table = Table("measured on", "figure", "before", "after", title=f"{bundle} with {labels}")
    for name, figures in before.items():
        for figure, value in figures.items():
            table.add_row(name, figure, f"{value:.3f}", f"{after[name][figure]:.3f}")
    _stdout().print(table)


@app.command()
def tune(
    recipe: RecipeName,
    data: Data,
    work: Work = _WORK,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the texts with risk labels.", min=1)] = 6,
    threads: Threads = 2,
) -> None:
    """Train the heads for level and events of a finished run further, while its encoder stays as it is.

    The checkpoint is changed only if the figures of the dev split rise; `export` then writes the bundle.
    """
    with _errors_reported("tune"):
        _set_library_environment()
        from riskwire_models.training.recipe import read_recipe
        from riskwire_models.training.risk_heads import tune_risk_heads

        tune_risk_heads(data, work / read_recipe(recipe).name, epochs=epochs, threads=threads, log=_print_line)


@app.command()
def read(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles that read; their mean is written.", exists=True)],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File to write the readings to (.npz).")],
    names: Annotated[
        Path | None, typer.Option("--names", help="Bundle that finds the names; without it the first bundle does.")
    ] = None,
    threads: Threads = 2,
) -> None:
    """Let bundles read all training texts, so that a smaller model can learn from what they say (distillation)."""
    with _errors_reported("read"):
        from riskwire_models.evaluation.readings import read_training_texts

        count = read_training_texts(bundles, names or bundles[0], data, out, threads=threads, log=_print_line)
        _print_line(f"readings of {count} texts in {out}")


@app.command()
def export(
    out: Out,
    recipe: Annotated[str | None, typer.Argument(help="Name of a recipe that ships, or path of a YAML file.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets.", exists=True)] = None,
    work: Work = _WORK,
    sentiment: CheckpointFolder = None,
    ner: CheckpointFolder = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the bundle of --sentiment and --ner.")] = None,
    threads: Threads = 2,
) -> None:
    """Write the bundle of the run of a recipe in --work, if it passes the quality gate.

    A bundle fails if a precision loses too much accuracy against fp32, or if results depend on the batch.

    With --sentiment and --ner in place of a recipe: write a bundle of two Hugging Face checkpoints in your folders.
    It has no level, events and topics, and the sentiment toward a mention is that of its sentence.
    """
    with _errors_reported("export"):
        if sentiment is not None and ner is not None and recipe is None:
            _set_library_environment()
            from riskwire_models.export.checkpoints import export_checkpoints

            manifest = export_checkpoints(sentiment, ner, out, name=name, threads=threads, log=_print_line)
            _print_line(f"bundle {manifest.name} {manifest.version} in {out}")
        elif recipe is not None and data is not None and sentiment is None and ner is None:
            _export(recipe, data, work, out, threads)
        else:
            raise ExportError("name a recipe and --data, or --sentiment and --ner, two folders of checkpoints")


@app.command()
def evaluate(
    bundle: BundleFolder,
    data: Data,
    report: Annotated[
        Path | None, typer.Option("--report", help="HTML file to write the report to.", dir_okay=False)
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            "--cases", help="Folder with averted.jsonl and credit_events.jsonl.", file_okay=False, exists=True
        ),
    ] = None,
    threads: Threads = 2,
) -> None:
    """Measure the ONNX files of a bundle on held-out splits and on sets that were never trained on.

    The level and the events of mentions are measured with the engine of the services: with spans given and end to end,
    how robust the verdicts are, on pairs of texts, and over many names. The open test set is not read.
    """
    with _errors_reported("evaluate"):
        from riskwire_models.evaluation.evaluate import evaluate_bundle
        from riskwire_models.evaluation.report.findings import WITHOUT_LEVEL
        from riskwire_models.evaluation.report.printed import risk_tables

        if report is not None:
            from riskwire_models.evaluation.report.content import render_report
            from riskwire_models.evaluation.report.plots import draw_plots

            report.parent.mkdir(parents=True, exist_ok=True)
        evaluation = evaluate_bundle(bundle, data, cases=cases, threads=threads, log=_print_progress)
        table = Table("precision", "head", "set", "n", "scores", title=str(bundle))
        for row in evaluation.rows:
            table.add_row(row.precision, row.head, row.data_set, str(row.rows), row.scores)
        _stdout().print(table)
        if evaluation.risk is None:
            _print_line(WITHOUT_LEVEL)
        else:
            for table in risk_tables(evaluation.risk):
                _stdout().print(table)
        if report is not None:
            report.write_text(render_report(evaluation, draw_plots(evaluation)), encoding="utf-8")
            _print_line(f"report in {report}")


@app.command()
def look(bundle: BundleFolder, data: Data, threads: Threads = 2) -> None:
    """Score a bundle on the open test set, and write the look with its time into bundle.json and the card.

    No other command scores that set. Choose nothing on it: use `evaluate` for that.
    """
    with _errors_reported("look"):
        from riskwire_models.evaluation.look import look_at_open_set
        from riskwire_models.export.card import look_table

        entry = look_at_open_set(bundle, data, threads=threads)
        header, rows = look_table([entry])
        table = Table("figure", *(row[2] for row in rows), title=f"{bundle} on the open test set, {entry.at}")
        for number, title in enumerate(header[3:], 3):
            table.add_row(title, *(row[number] for row in rows))
        _stdout().print(table)
        _print_line(
            f"{entry.figures['mentions']} mentions, {100 * entry.figures['found']:.1f} % found by the engine; "
            f"this look is written in {bundle}"
        )


@app.command()
def derive(bundle: BundleFolder) -> None:
    """Write the fp16 file of a bundle, for GPUs, from its int8 file."""
    with _errors_reported("derive"):
        from riskwire_models.export.derive import derive_fp16

        _print_line(str(derive_fp16(bundle)))


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="Bundle in use.", file_okay=False, exists=True)],
    new: Annotated[Path, typer.Argument(help="Bundle that is to replace it.", file_okay=False, exists=True)],
    data: Data,
    margin: Annotated[float, typer.Option("--margin", help="Points that a slice may lose.", min=0)] = 1.0,
    threads: Threads = 2,
) -> None:
    """Compare two bundles on the same rows. Exits with 1 if the new one is worse on any slice by more than the margin.

    A slice is a head on a data set. It counts as worse if it loses more than the margin and the 95 % interval of the
    difference lies below 0.
    """
    with _errors_reported("compare"):
        from riskwire_models.evaluation.compare import compare_bundles

        table = Table("slice", "rows", "old", "new", "difference", "95 %", "McNemar p", title=f"{old} and {new}")
        worse: list[str] = []
        for comparison in compare_bundles(old, new, data, threads=threads):
            interval = f"{100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"
            points = f"{100 * (comparison.new - comparison.old):+.1f}"
            scores = (f"{comparison.old:.3f}", f"{comparison.new:.3f}")
            table.add_row(
                comparison.slice_name, str(comparison.rows), *scores, points, interval, f"{comparison.p_value:.3f}"
            )
            if comparison.is_worse(margin):
                worse.append(comparison.slice_name)
        _stdout().print(table)
        if worse:
            raise GateError(f"{new} is worse by more than {margin:g} points on: {'; '.join(worse)}")


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
