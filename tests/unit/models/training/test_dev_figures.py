"""The figures of a model on the dev split, compared with values computed by hand."""

from __future__ import annotations

import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.data.encoding import EncodedExample, EncodedTarget
from riskwire_models.data.labels import HEADS, IGNORED, LEVELS, TOKEN_HEADS
from riskwire_models.training.recipe import FIGURES

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    from riskwire_models.training.measure import dev_figures

pytestmark = needs_training

NEUTRAL, MILD, MATERIAL, FAVOURABLE = range(len(LEVELS))


class ScriptedModel(torch.nn.Module if CAN_TRAIN else object):  # type: ignore[misc]
    """Gives the same logits, whatever it reads."""

    def __init__(self, outputs: dict[str, torch.Tensor]) -> None:
        """Takes the logits of the heads for one batch."""
        super().__init__()
        self._outputs = outputs

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns the given logits, and zeros for the other heads."""
        shapes = {
            head: (*ids.shape, len(labels)) if head in TOKEN_HEADS else (len(ids), len(labels))
            for head, labels in HEADS.items()
        }
        return tuple(self._outputs.get(head, torch.zeros(shape)) for head, shape in shapes.items())


def token_logits(head: str, tokens: int, labels: dict[tuple[int, int], dict[int, float]], rows: int) -> torch.Tensor:
    """Returns logits of a head of word pieces: by (row, position), the logits of some labels; the others are 0."""
    logits = torch.zeros(rows, tokens, len(HEADS[head]))
    for (row, position), values in labels.items():
        for label, value in values.items():
            logits[row, position, label] = value
    return logits


def test_accuracy_counts_known_labels_only() -> None:
    rows = [EncodedExample((1, 2, 3), sentiment=label, topic=IGNORED) for label in (0, 1, 2, IGNORED)]
    says = torch.tensor([[3.0, 0, 0], [0, 0, 3.0], [0, 0, 3.0], [3.0, 0, 0]])
    assert dev_figures(ScriptedModel({"sentiment": says}), rows, torch.device("cpu")) == {
        "sentiment.accuracy": pytest.approx(2 / 3)
    }


def test_entities_count_word_pieces_that_are_or_are_said_to_be_names() -> None:
    """Of five known pieces: a name that is found, one that is missed, one of another type, one too many, no name."""
    rows = [EncodedExample((1, 2, 3, 4, 5, 6), tags=(IGNORED, 3, 3, 3, 0, 0))]
    says = token_logits("entities", 6, {(0, 0): {5: 9.0}, (0, 1): {3: 9.0}, (0, 3): {5: 9.0}, (0, 4): {3: 9.0}}, 1)
    figures = dev_figures(ScriptedModel({"entities": says}), rows, torch.device("cpu"))
    assert figures == {"entities.accuracy": pytest.approx(1 / 4)}


def test_average_precision_ranks_mentions_by_the_probability_of_material() -> None:
    """In the order of their probability: material, neutral, material. A mention without a level does not count."""
    levels = (MATERIAL, NEUTRAL, MATERIAL, IGNORED)
    rows = [EncodedExample((1, 2, 3), targets=(EncodedTarget((1,), level=level),)) for level in levels]
    values = (3.0, 2.0, 1.0, 9.0)
    says = token_logits("level", 3, {(row, 1): {MATERIAL: value} for row, value in enumerate(values)}, 4)
    figures = dev_figures(ScriptedModel({"level": says}), rows, torch.device("cpu"))
    assert figures["level.average_precision"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert figures["level.accuracy"] == pytest.approx(2 / 3)


def test_events_of_mentions_and_of_sentences_count_together() -> None:
    """Three types are true. Two true types are predicted, and one that is false."""
    rows = [EncodedExample((1, 2, 3), targets=(EncodedTarget((1, 2), events=(4, 5)),), events=(9,))]
    pieces = {(0, 0): {9: 5.0}, (0, 1): {4: 5.0, 7: 1.0}, (0, 2): {4: 1.0, 7: 1.0}}
    says = token_logits("events", 3, pieces, 1) - 0.5
    figures = dev_figures(ScriptedModel({"events": says}), rows, torch.device("cpu"))
    assert figures == {"events.f1": pytest.approx(2 * 2 / (2 * 2 + 1 + 1))}


def test_every_figure_that_early_stopping_may_watch_is_measured() -> None:
    row = EncodedExample(
        (1, 2, 3, 4),
        sentiment=0,
        topic=1,
        tags=(IGNORED, 3, 0, IGNORED),
        targets=(EncodedTarget((1,), 0, MATERIAL, (1,)),),
        events=(),
    )
    model = small_model().train()
    figures = dev_figures(model, [row] * 40, torch.device("cpu"))
    assert figures.keys() == set(FIGURES)
    assert all(0.0 <= figure <= 1.0 for figure in figures.values())
    assert model.training


def test_without_labels_nothing_is_measured() -> None:
    assert dev_figures(small_model(), [EncodedExample((1, 2), tags=(IGNORED, IGNORED))], torch.device("cpu")) == {}
    assert dev_figures(small_model(), [], torch.device("cpu")) == {}
