"""Fixtures of all tests: a tiny model bundle that knows a list of words, and tests that may not be skipped."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import structlog

from riskwire.records import EVENT_TYPES

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("riskwire", deadline=None)
hypothesis.settings.load_profile("riskwire")


@pytest.fixture(autouse=True)
def _logging_of_a_test_ends_with_it() -> Iterator[None]:
    """A command that runs inside a test configures logging to its standard error, which the test then closes."""
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


NEGATIVE = [
    "fraud",
    "loss",
    "losses",
    "bankruptcy",
    "plunges",
    "cuts",
    "sues",
    "probe",
    "crisis",
    "collapse",
    "default",
    "recall",
]
POSITIVE = ["profit", "rises", "wins", "record", "gains", "beats", "upgrade", "growth"]
NAMES = {
    "B-ORG": [
        "acme",
        "globex",
        "initech",
        "general",
        "apple",
        "citigroup",
        "ford",
        "gm",
        "target",
        "boeing",
        "moody",
        "ibm",
        "reuters",
        "gap",
    ],
    "I-ORG": ["corp", "inc", "motors", "motor", "co", "plc", "group", "electric", "holdings", "ltd"],
    "B-LOC": ["dublin", "ireland", "detroit", "france", "paris"],
    "B-PER": ["jane", "henry"],
    "I-PER": ["doe"],
    "B-MISC": ["irish"],
}
SENTIMENTS = ("negative", "neutral", "positive")
LEVELS = ("neutral", "mild", "material", "favourable")
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
TOPICS = ("Earnings", "Legal | Regulation", "Macro")
TOPIC_WORDS = {"profit": 0, "loss": 0, "losses": 0, "fraud": 1, "sues": 1, "probe": 1, "growth": 2}
MILD = ["loss", "losses", "cuts"]
"""The words of `NEGATIVE` that are mildly adverse; the others are materially adverse."""
EVENT_WORDS = {
    "fraud": "crime",
    "loss": "results_bad",
    "losses": "results_bad",
    "bankruptcy": "bankruptcy",
    "plunges": "price_fall",
    "sues": "litigation",
    "probe": "investigation",
    "default": "default",
    "recall": "recall",
    "profit": "results_good",
    "upgrade": "upgrade",
}
"""The event type of a party that each word shows."""
SENTENCE_EVENT_WORDS = {"crisis": "macro_stress", "collapse": "unrest"}
"""The event type that each word shows and that belongs to no party."""
LEVEL_THRESHOLD, EVENTS_THRESHOLD = 0.45, 0.4
PLAIN = [
    "the",
    "of",
    "a",
    "and",
    "said",
    "on",
    "in",
    "to",
    "for",
    "is",
    "shares",
    "its",
    "it",
    "with",
    "after",
    "at",
    "s",
    "u",
]
MAX_LENGTH = 32


def _vocabulary() -> dict[str, int]:
    """Returns the id of each token that the tiny tokenizer knows, by token.

    The tokens are the special tokens of BERT, the words of the lists in this file, single letters and digits (each also
    as a continuation `##x` of a word), and punctuation. Unknown words are therefore read letter by letter.
    """
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words += [*NEGATIVE, *POSITIVE, *(word for several in NAMES.values() for word in several), *PLAIN]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words += [*letters, *("##" + letter for letter in letters), *"'’\"“”$()<>.,:;-–—&|!?/%*"]
    return {word: at for at, word in enumerate(dict.fromkeys(words))}


def _tokenizer(vocabulary: dict[str, int]) -> str:
    """Returns, as JSON, a tokenizer that lowers the case, splits words by WordPiece and adds [CLS] and [SEP].

    Args:
        vocabulary: the id of each token.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing

    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return tokenizer.to_str()


def _graph(vocabulary: dict[str, int], *, dynamic: bool, risk: bool) -> bytes:
    """Returns an ONNX model whose logits are fixed weights of the words in the lists of this file.

    For sentiment and topics the weights of all tokens are summed, and neutral gets 1 more. Each token has its own
    logits of entity tags. The sentiment toward a target is that of the whole text times 1.5, at every token. The level
    and the event types are those of the whole text, at every token, plus a part that depends on the token. Event types
    that belong to no party are only at position 0, and the others only at the other positions.

    Args:
        vocabulary: the id of each token.
        dynamic: whether the logits of sentiment, level and events are rounded by a scale over the whole batch, as
            dynamic quantisation does. A row then depends on the other rows of its batch.
        risk: whether the model has the heads `level` and `events`.
    """
    from onnx import TensorProto, helper, numpy_helper

    sentiment = np.zeros((len(vocabulary), 3), dtype=np.float32)
    for at, words in ((0, NEGATIVE), (2, POSITIVE)):
        sentiment[[vocabulary[word] for word in words], at] = 3.1
    entities = np.zeros((len(vocabulary), len(TAGS)), dtype=np.float32)
    entities[:, 0] = 2.0
    for tag, words in NAMES.items():
        entities[[vocabulary[word] for word in words], TAGS.index(tag)] = 5.0
    topics = np.zeros((len(vocabulary), len(TOPICS)), dtype=np.float32)
    for word, topic in TOPIC_WORDS.items():
        topics[vocabulary[word], topic] = 4.0
    constants = {
        "sentiment_weights": sentiment,
        "entity_weights": entities,
        "topic_weights": topics,
        "bias": np.array([[0.0, 1.0, 0.0]], dtype=np.float32),
        "last": np.array([2], dtype=np.int64),
        "tokens": np.array([1], dtype=np.int64),
        "sharper": np.array(1.5, dtype=np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["mask", "last"], ["mask3"]),
        node("Gather", ["sentiment_weights", "input_ids"], ["s1"]),
        node("Mul", ["s1", "mask3"], ["s2"]),
        node("ReduceSum", ["s2", "tokens"], ["s3"], keepdims=0),
        node("Add", ["s3", "bias"], ["s4"]),
        *(
            [
                node("DynamicQuantizeLinear", ["s4"], ["q", "scale", "zero"]),
                node("DequantizeLinear", ["q", "scale", "zero"], ["sentiment"]),
            ]
            if dynamic
            else [node("Identity", ["s4"], ["sentiment"])]
        ),
        node("Gather", ["entity_weights", "input_ids"], ["entities"]),
        node("Unsqueeze", ["sentiment", "tokens"], ["t1"]),
        node("Mul", ["t1", "sharper"], ["t2"]),
        node("Mul", ["t2", "mask3"], ["target_sentiment"]),
        node("Gather", ["topic_weights", "input_ids"], ["p1"]),
        node("Mul", ["p1", "mask3"], ["p2"]),
        node("ReduceSum", ["p2", "tokens"], ["topics"], keepdims=0),
    ]
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info("sentiment", TensorProto.FLOAT, ["batch", 3]),
        helper.make_tensor_value_info("entities", TensorProto.FLOAT, ["batch", "length", len(TAGS)]),
        helper.make_tensor_value_info("target_sentiment", TensorProto.FLOAT, ["batch", "length", 3]),
        helper.make_tensor_value_info("topics", TensorProto.FLOAT, ["batch", len(TOPICS)]),
    ]
    if risk:
        for head, (weights, token_weights, bias) in _risk_weights(vocabulary).items():
            constants |= {f"{head}_weights": weights, f"{head}_token_weights": token_weights, f"{head}_bias": bias}
            nodes += [
                node("Gather", [f"{head}_weights", "input_ids"], [f"{head}1"]),
                node("Mul", [f"{head}1", "mask3"], [f"{head}2"]),
                node("ReduceSum", [f"{head}2", "tokens"], [f"{head}3"], keepdims=1),
                node("Add", [f"{head}3", f"{head}_bias"], [f"{head}4"]),
                *(
                    [
                        node("DynamicQuantizeLinear", [f"{head}4"], [f"{head}_q", f"{head}_scale", f"{head}_zero"]),
                        node("DequantizeLinear", [f"{head}_q", f"{head}_scale", f"{head}_zero"], [f"{head}5"]),
                    ]
                    if dynamic
                    else [node("Identity", [f"{head}4"], [f"{head}5"])]
                ),
                node("Gather", [f"{head}_token_weights", "input_ids"], [f"{head}6"]),
                node("Add", [f"{head}5", f"{head}6"], [head]),
            ]
            outputs.append(
                helper.make_tensor_value_info(head, TensorProto.FLOAT, ["batch", "length", weights.shape[1]])
            )
    graph = helper.make_graph(
        nodes, "tiny", ids, outputs, [numpy_helper.from_array(value, name) for name, value in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def _risk_weights(vocabulary: dict[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Returns the weights of the heads `level` and `events`, by head.

    They are the weights that are summed over the tokens of a text, those of each token by itself, and those of any
    text.
    """
    level = np.zeros((len(vocabulary), 4), dtype=np.float32)
    for word in NEGATIVE:
        level[vocabulary[word], 1 if word in MILD else 2] = 4.1
    level[[vocabulary[word] for word in POSITIVE], 3] = 4.1
    level_tokens = np.zeros_like(level)
    level_tokens[:, 0] = [0.01 * (number % 7) for number in range(len(vocabulary))]
    events = np.zeros((len(vocabulary), len(EVENT_TYPES)), dtype=np.float32)
    for word, code in (EVENT_WORDS | SENTENCE_EVENT_WORDS).items():
        events[vocabulary[word], EVENT_TYPES.index(code)] = 6.0
    of_no_party = np.isin(EVENT_TYPES, [*SENTENCE_EVENT_WORDS.values()])
    event_tokens = np.where(of_no_party, -20.0, 0.0).astype(np.float32)[None].repeat(len(vocabulary), axis=0)
    event_tokens[vocabulary["[CLS]"]] = np.where(of_no_party, 0.0, -20.0)
    event_tokens += np.array([[0.01 * (number % 5)] for number in range(len(vocabulary))], dtype=np.float32)
    return {
        "level": (level, level_tokens, np.array([2.0, 0.0, 0.0, 0.0], dtype=np.float32)),
        "events": (events, event_tokens, np.full(len(EVENT_TYPES), -4.0, dtype=np.float32)),
    }


def build_tiny_bundle(folder: Path, *, risk: bool = True) -> Path:
    """Writes the bundle `tiny@1.0.0` into a folder, which is created if needed, and returns the folder.

    Its model knows only the words of the lists in this file. Its int8 file rounds as dynamic quantisation does, so a
    row depends on its batch. Its fp16 file, in fact float32, does not round.

    Args:
        risk: whether the bundle has the heads `level` and `events`; bundles of riskwire 0.1 have neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    files = {
        "tokenizer.json": _tokenizer(vocabulary).encode(),
        "model.int8.onnx": _graph(vocabulary, dynamic=True, risk=risk),
        "model.fp16.onnx": _graph(vocabulary, dynamic=False, risk=risk),
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    entry = {name: {"path": name, "sha256": sha256(raw).hexdigest()} for name, raw in files.items()}
    manifest = {
        "format": 1,
        "name": "tiny",
        "version": "1.0.0",
        "created": "2026-01-01T00:00:00Z",
        "languages": ["en"],
        "max_length": MAX_LENGTH,
        "heads": {
            "sentiment": {"labels": SENTIMENTS, "temperature": 1.0},
            "entities": {"labels": TAGS},
            "target_sentiment": {"labels": SENTIMENTS, "temperature": 1.0},
            "topics": {"labels": TOPICS, "temperature": 1.0},
        },
        "tokenizer": entry["tokenizer.json"],
        "files": {
            "int8": {**entry["model.int8.onnx"], "device": "cpu"},
            "fp16": {**entry["model.fp16.onnx"], "device": "cuda"},
        },
    }
    if risk:
        manifest["heads"] |= {
            "level": {"labels": LEVELS, "temperature": 1.2, "threshold": LEVEL_THRESHOLD},
            "events": {"labels": EVENT_TYPES, "temperature": 0.9, "threshold": EVENTS_THRESHOLD},
        }
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bundle that reads a few words (`NEGATIVE`, `POSITIVE`, `NAMES` in tests/conftest.py)."""
    return build_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def four_head_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the same bundle without the heads `level` and `events`, as riskwire 0.1 wrote it."""
    return build_tiny_bundle(tmp_path_factory.mktemp("bundle") / "four-heads", risk=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Returns the folder of the data of DATA.md, which is not part of the project; skips the test without it.

    It is `shared/data` beside the checkout, or `data` in the folder that RISKWIRE_SHARED names.
    """
    data = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[2] / "shared")) / "data"
    if not data.is_dir():
        pytest.skip(f"{data} is not there; set RISKWIRE_SHARED to the folder that holds data/")
    return data


REQUIRED = {name.strip() for name in os.environ.get("RISKWIRE_REQUIRE", "").split(",")} - {""}
"""Resources that must exist (data, kafka, browser, postgresql): a test that needs one and is skipped fails.

Set by `.ci/run`.
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Reports a skipped test as failed if RISKWIRE_REQUIRE names a resource that the test needs.

    A test needs the resources of its markers `needs_data`, `needs_kafka`, `needs_browser` and `needs_postgresql`. A
    test that is expected to fail (`xfail`) is reported as usual, although pytest counts it as skipped.
    """
    report = yield
    needed = sorted(name for name in REQUIRED if item.get_closest_marker(f"needs_{name}"))
    if report.skipped and needed and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although RISKWIRE_REQUIRE names {', '.join(needed)}: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Reports a test file that is skipped as a whole as failed if RISKWIRE_REQUIRE names any resource.

    Such a file hides which of its tests need the resource.
    """
    report = yield
    if report.skipped and REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: with RISKWIRE_REQUIRE set skip single tests, not a file"
    return report
