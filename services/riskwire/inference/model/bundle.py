"""The model bundle: a folder with `bundle.json`, `tokenizer.json` and ONNX files, each checked by its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from riskwire.errors import BundleError
from riskwire.records import ADVERSE_FROM, EVENT_TYPES, Level

SHIPPED_BUNDLE = "finance-en"
SENTIMENT_LABELS = ("negative", "neutral", "positive")
LEVEL_LABELS = tuple(Level.model_fields)
EVENTS_FROM = 0.5
"""The probability from which an event type is given when the bundle states no threshold."""
MANIFEST_FILE = "bundle.json"


def _file_name(path: str) -> str:
    """Returns the name of a file of the bundle.

    Raises:
        ValueError: it is not the name of a file in the bundle's own folder.
    """
    if not path or "/" in path or "\\" in path or path in {".", ".."}:
        raise ValueError("must be the name of a file in the bundle's own folder")
    return path


def shipped_folder(name: str = SHIPPED_BUNDLE) -> Path:
    """Returns the folder of a bundle that ships with riskwire.

    Raises:
        BundleError: the package that carries it is not installed.
    """
    try:
        return Path(str(files("riskwire_models"))) / "bundles" / name
    except ModuleNotFoundError as error:
        raise BundleError(
            "the package riskwire_models, which carries the shipped bundle, is not installed",
            do="Reinstall riskwire, or set inference.bundle to a bundle's folder",
        ) from error


def bundle_folder(path: Path | None) -> Path:
    """Returns the folder that `inference.bundle` names: a folder, or a shipped bundle by its name; None is the default.

    A folder goes before a shipped bundle of the same name.

    Raises:
        BundleError: the package that carries the shipped bundles is not installed.
    """
    if path is None:
        return shipped_folder()
    if len(path.parts) == 1 and not path.exists():
        shipped = shipped_folder(path.name)
        return shipped if shipped.is_dir() else path
    return path


class BundleFile(BaseModel):
    """A file of the bundle and its SHA-256.

    Attributes:
        skeleton: the file from which this one is derived where it is needed; then it need not be there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: Annotated[str, AfterValidator(_file_name)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    device: Literal["cpu", "cuda"] | None = None
    skeleton: BundleFile | None = None


class BundleHead(BaseModel):
    """An output of the model: its labels, in the order of the logits, and its calibration.

    The probabilities are softmax(logits / temperature).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    labels: tuple[str, ...] = Field(min_length=2)
    temperature: float = Field(default=1.0, gt=0)


class LevelHead(BundleHead):
    """The output for the level of each mention: a distribution over neutral, mild, material and favourable.

    Attributes:
        threshold: the probability of mild or material from which a mention counts as adverse.
    """

    threshold: float | None = Field(default=None, gt=0, lt=1)

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the labels if they are the levels in their order, else raises a ValueError."""
        if labels != LEVEL_LABELS:
            raise ValueError(f"must be {', '.join(LEVEL_LABELS)}, not {', '.join(labels)}")
        return labels


class EventsHead(BundleHead):
    """The output for the event types of each mention. Each label is independent: sigmoid(logit / temperature).

    Attributes:
        threshold: the probability from which an event type is given.
    """

    threshold: float | None = Field(default=None, gt=0, lt=1)

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the labels if they are the event types in their order, else raises a ValueError.

        The message names the number of labels if it is wrong, otherwise the first label that is.
        """
        if len(labels) != len(EVENT_TYPES):
            raise ValueError(f"must be the {len(EVENT_TYPES)} event types, not {len(labels)} labels")
        for number, (label, expected) in enumerate(zip(labels, EVENT_TYPES, strict=True)):
            if label != expected:
                raise ValueError(f"label {number} must be {expected}, not {label}")
        return labels

    @property
    def events_from(self) -> float:
        """The probability from which an event type is given."""
        return EVENTS_FROM if self.threshold is None else self.threshold


class BundleHeads(BaseModel):
    """The outputs of a bundle. Without `target_sentiment`, a target gets the sentiment of its sentence.

    Without `level` or `events`, mentions have none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sentiment: BundleHead
    entities: BundleHead
    target_sentiment: BundleHead | None = None
    topics: BundleHead | None = None
    level: LevelHead | None = None
    events: EventsHead | None = None

    @property
    def adverse_from(self) -> float | None:
        """The probability of mild or material from which a mention counts as adverse; None without levels."""
        if self.level is None:
            return None
        return ADVERSE_FROM if self.level.threshold is None else self.level.threshold

    @model_validator(mode="after")
    def _check_sentiments_and_entities(self) -> BundleHeads:
        """Returns the heads if their labels are those that riskwire can decode.

        Raises:
            ValueError: sentiment labels other than negative, neutral, positive in this order; or entity labels that are
                not distinct BIO tags of PER, ORG, LOC and MISC with O (B-ORG, I-ORG, ..., O). I-X requires B-X.
        """
        for name in ("sentiment", "target_sentiment"):
            head: BundleHead | None = getattr(self, name)
            if head is not None and head.labels != SENTIMENT_LABELS:
                raise ValueError(f"{name}.labels must be {', '.join(SENTIMENT_LABELS)}, not {', '.join(head.labels)}")
        tags = set(self.entities.labels)
        for tag in tags - {"O"}:
            prefix, _, kind = tag.partition("-")
            if prefix not in {"B", "I"} or kind not in {"PER", "ORG", "LOC", "MISC"} or f"B-{kind}" not in tags:
                raise ValueError(f"entities.labels: {tag!r} is not a BIO tag of PER, ORG, LOC or MISC")
        if "O" not in tags or len(tags) != len(self.entities.labels):
            raise ValueError("entities.labels must be distinct and hold O")
        return self


class SentimentModel(BaseModel):
    """A second model of a bundle, with its own tokenizer: its only head is the sentiment of a sentence.

    `riskwire model export --sentiment DIR --ner DIR` makes such a bundle of two models that were trained apart.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_length: int = Field(ge=8, le=8_192)
    tokenizer: BundleFile
    files: dict[str, BundleFile] = Field(min_length=1)


class InferenceManifest(BaseModel):
    """The contents of `bundle.json`.

    Attributes:
        sentiment_model: the model that gives the sentiment of sentences; None if the first model does.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1]
    name: str = Field(min_length=1, max_length=100)
    version: str = Field(min_length=1, max_length=50)
    languages: tuple[str, ...] = Field(min_length=1)
    max_length: int = Field(ge=8, le=8_192)
    heads: BundleHeads
    tokenizer: BundleFile
    files: dict[str, BundleFile] = Field(min_length=1)
    sentiment_model: SentimentModel | None = None


@dataclass(frozen=True, slots=True)
class BundleModel:
    """A model of a bundle, with its own tokens.

    Attributes:
        heads: the outputs that are read of it, with the labels of each.
        tokenizer_path: the file of its tokenizer, whose hash has been checked.
        max_length: the most tokens of a window, with the special tokens.
        files: its ONNX file in each precision.
    """

    heads: dict[str, tuple[str, ...]]
    tokenizer_path: Path
    max_length: int
    files: dict[str, BundleFile]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest and tokenizers have been checked. `model_path` checks a model file."""

    folder: Path
    manifest: InferenceManifest

    @classmethod
    def load(cls, path: Path | None = None) -> Bundle:
        """Reads and checks the manifest of a bundle, and the hash of each tokenizer. `model_path` checks a model file.

        Args:
            path: the folder of the bundle, or the name of one that ships with riskwire; None for the default one.

        Raises:
            BundleError: the bundle cannot be used. The message names the file and what was expected.
        """
        folder = bundle_folder(path)
        file = folder / MANIFEST_FILE
        try:
            raw = file.read_bytes()
        except FileNotFoundError:
            raise BundleError(
                "the folder has no bundle.json, so it is not a model bundle",
                where=str(folder),
                do="Set inference.bundle to a bundle's folder, reinstall riskwire, or make one with `riskwire model`",
            ) from None
        except OSError as error:
            raise BundleError("the bundle cannot be read", where=str(file)) from error
        try:
            manifest = InferenceManifest.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "bundle.json"
            raise BundleError(f"{field}: {first['msg']}", value=first.get("input"), where=str(file)) from None
        bundle = cls(folder, manifest)
        for model in (manifest, manifest.sentiment_model):
            if model is not None:
                bundle._checked(model.tokenizer)
        return bundle

    @property
    def label(self) -> str:
        """Name and version as they appear in records: `finance-en@1.0.0`."""
        return f"{self.manifest.name}@{self.manifest.version}"

    @property
    def languages(self) -> tuple[str, ...]:
        """The language codes that the bundle supports."""
        return self.manifest.languages

    @property
    def tokenizer_path(self) -> Path:
        """The path of the tokenizer file of the first model, which finds names."""
        return self.folder / self.manifest.tokenizer.path

    @property
    def models(self) -> tuple[BundleModel, ...]:
        """The models that read each sentence: one, or one that finds names and then one for the sentiment."""
        manifest = self.manifest
        heads = {name: head.labels for name, head in manifest.heads if head is not None}
        second = manifest.sentiment_model
        if second is None:
            return (BundleModel(heads, self.tokenizer_path, manifest.max_length, manifest.files),)
        of_sentence = {"sentiment": heads.pop("sentiment")}
        return (
            BundleModel(heads, self.tokenizer_path, manifest.max_length, manifest.files),
            BundleModel(of_sentence, self.folder / second.tokenizer.path, second.max_length, second.files),
        )

    def model_path(self, precision: str, model: BundleModel | None = None) -> Path:
        """Returns the path of the ONNX file of a precision, after checking its hash.

        Args:
            model: one of `models`; None for the first.

        Raises:
            BundleError: the bundle has no file of that precision, or the file is missing or damaged.
        """
        files = self.manifest.files if model is None else model.files
        file = files.get(precision)
        if file is None:
            raise BundleError(
                f"the bundle has no {precision} file; it has {', '.join(sorted(files))}",
                where=str(self.folder / MANIFEST_FILE),
                do="Set inference.precision to one of those",
            )
        return self._checked(file)

    def _checked(self, file: BundleFile) -> Path:
        """Returns the path of a file of the bundle after comparing its SHA-256 with `bundle.json`.

        Raises:
            BundleError: the file cannot be read, or has another hash.
        """
        path = self.folder / file.path
        try:
            with path.open("rb") as stream:
                digest = file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError as error:
            if file.skeleton is None:
                raise BundleError("a file of the bundle is missing", where=str(path)) from error
            raise BundleError(
                "a file of the bundle is missing: it does not ship, since it can be derived",
                where=str(path),
                do=f"Run `riskwire model derive {self.folder}` (package onnx), or set inference.device to cpu",
            ) from error
        except OSError as error:
            raise BundleError("a file of the bundle cannot be read", where=str(path)) from error
        if digest != file.sha256:
            raise BundleError(
                f"the file does not match bundle.json: its SHA-256 is {digest}, not {file.sha256}",
                where=str(path),
                do="Download the bundle again",
            )
        return path
