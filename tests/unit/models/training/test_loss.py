"""What each head learns from a batch: a known label, what a teacher said, a mixture of both, or nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.data.encoding import EncodedExample, EncodedTarget
from riskwire_models.data.labels import (
    EVENT_TYPES,
    HEADS,
    IGNORED,
    LEVELS,
    SENTIMENTS,
    TOPICS,
    MentionReading,
    SentenceReading,
)

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    from riskwire_models.training.loss import (
        BatchTensors,
        Labelling,
        LossWeights,
        batch_tensors,
        expected_counts,
        head_logits,
        label_weights,
        weighted_loss,
    )

pytestmark = needs_training

LEVEL = (0.1, 0.2, 0.6, 0.1)
MENTION = MentionReading((0.7, 0.2, 0.1), LEVEL, (0.25,) * len(EVENT_TYPES))
SENTENCE = SentenceReading((0.5, 0.3, 0.2), (0.05,) * len(TOPICS), (0.5,) * len(EVENT_TYPES))
#: Every head counts alike, and a loss is a sum.
SUMS = dict.fromkeys(HEADS, 1.0)
MATERIAL, DEFAULT, UNREST = LEVELS.index("material"), EVENT_TYPES.index("default"), EVENT_TYPES.index("unrest")


def labels_of(rows: list[EncodedExample], head: str, **labelling: float) -> list[tuple[int, list[float]]]:
    """Returns the rows of a head's logits that have a label, with the expected probabilities."""
    labels = batch_tensors(rows, labelling=Labelling(**labelling)).labels[head]
    return list(zip(labels.index.tolist(), labels.distribution.tolist(), strict=True))


def random_outputs(batch: BatchTensors, seed: int = 5) -> tuple[torch.Tensor, ...]:
    """Returns random logits of all heads for a batch."""
    generator = torch.Generator().manual_seed(seed)
    rows, tokens = batch.ids.shape
    return tuple(
        torch.randn(
            (rows, len(labels)) if head in ("sentiment", "topics") else (rows, tokens, len(labels)), generator=generator
        )
        for head, labels in HEADS.items()
    )


def test_a_known_label_has_all_probability_but_the_smoothing() -> None:
    row = EncodedExample((1, 2, 3), sentiment=2)
    ((number, distribution),) = labels_of([row], "sentiment", smoothing=0.06)
    assert number == 0
    assert distribution == pytest.approx([0.02, 0.02, 0.96])
    assert labels_of([row], "sentiment", smoothing=0.0) == [(0, [0.0, 0.0, 1.0])]


def test_a_teacher_alone_is_learned_from_as_it_is() -> None:
    row = EncodedExample((1, 2, 3), targets=(EncodedTarget((1,), teacher=MENTION),), teacher=SENTENCE)
    for weight in (0.0, 0.5, 1.0):
        labels = {head: labels_of([row], head, teacher_weight=weight) for head in HEADS if head != "entities"}
        assert labels["level"] == [(0, pytest.approx(LEVEL))]
        assert labels["target_sentiment"] == [(0, pytest.approx(MENTION.target_sentiment))]
        assert labels["sentiment"] == [(0, pytest.approx(SENTENCE.sentiment))]
        assert labels["topics"] == [(0, pytest.approx(SENTENCE.topics))]
        assert labels["events"] == [(0, pytest.approx(MENTION.events)), (1, pytest.approx(SENTENCE.events))]


def test_a_known_label_and_a_teacher_are_mixed_by_the_weight() -> None:
    row = EncodedExample((1, 2, 3), targets=(EncodedTarget((1,), level=MATERIAL, teacher=MENTION),))
    ((_, distribution),) = labels_of([row], "level", smoothing=0.0, teacher_weight=0.25)
    known = [0.0, 0.0, 1.0, 0.0]
    assert distribution == pytest.approx(
        [0.75 * first + 0.25 * second for first, second in zip(known, LEVEL, strict=True)]
    )
    assert sum(distribution) == pytest.approx(1.0)


def test_known_events_are_certain_but_for_the_smoothing_and_no_events_are_a_label_too() -> None:
    rows = [EncodedExample((1, 2), targets=(EncodedTarget((1,), events=(DEFAULT,)), EncodedTarget((1,), events=())))]
    (_, with_events), (_, without) = labels_of(rows, "events", smoothing=0.1)
    assert with_events[DEFAULT] == pytest.approx(0.95)
    assert without == pytest.approx([0.1 / len(EVENT_TYPES)] * len(EVENT_TYPES))
    assert {round(value, 6) for number, value in enumerate(with_events) if number != DEFAULT} == {round(without[0], 6)}


def test_the_events_of_no_party_are_read_at_the_first_token_and_those_of_a_party_at_its_pieces() -> None:
    rows = [
        EncodedExample((1, 2, 3, 4), targets=(EncodedTarget((1, 2), events=(DEFAULT,)),), events=(UNREST,)),
        EncodedExample((1, 2), events=()),
    ]
    batch = batch_tensors(rows, labelling=Labelling(smoothing=0.0))
    outputs = random_outputs(batch)
    events = outputs[5]
    logits = head_logits(outputs, batch)["events"]
    assert torch.allclose(logits, torch.stack([events[0, 1:3].mean(0), events[0, 0], events[1, 0]]), atol=1e-6)
    labels = batch.labels["events"]
    assert labels.index.tolist() == [0, 1, 2]
    assert [row.nonzero().flatten().tolist() for row in labels.distribution] == [[DEFAULT], [UNREST], []]


def test_the_logits_of_a_mention_are_the_mean_over_its_pieces() -> None:
    rows = [EncodedExample((1, 2, 3)), EncodedExample((4, 5, 6, 7), targets=(EncodedTarget((1, 2), level=0),))]
    batch = batch_tensors(rows)
    outputs = random_outputs(batch)
    assert torch.allclose(head_logits(outputs, batch)["level"][0], outputs[4][1, 1:3].mean(0), atol=1e-6)


def test_the_loss_of_each_head_is_the_cross_entropy_over_its_expected_count() -> None:
    row = EncodedExample(
        (1, 2, 3),
        sentiment=1,
        topic=4,
        tags=(IGNORED, 3, IGNORED),
        targets=(EncodedTarget((1, 2), 0, MATERIAL, (DEFAULT,)),),
    )
    batch = batch_tensors([row], labelling=Labelling(smoothing=0.0))
    outputs = random_outputs(batch)
    weights = {head: float(number) for number, head in enumerate(HEADS, 1)}
    expected = {head: 2.0 for head in HEADS}
    total, parts = weighted_loss(outputs, batch, LossWeights(weights, expected))

    def entropy(logits: torch.Tensor, label: int) -> float:
        return -float(logits.log_softmax(-1)[label])

    chances = outputs[5][0, 1:3].mean(0).sigmoid().tolist()
    losses = {
        "sentiment": entropy(outputs[0][0], 1),
        "entities": entropy(outputs[1][0, 1], 3),
        "target_sentiment": entropy(outputs[2][0, 1:3].mean(0), 0),
        "topics": entropy(outputs[3][0], 4),
        "level": entropy(outputs[4][0, 1:3].mean(0), MATERIAL),
        "events": -sum(math.log(p if number == DEFAULT else 1 - p) for number, p in enumerate(chances)),
    }
    assert parts == {head: pytest.approx(loss / 2, rel=1e-4) for head, loss in losses.items()}
    assert float(total) == pytest.approx(sum(weights[head] * loss / 2 for head, loss in losses.items()), rel=1e-4)


def test_rare_labels_weigh_more_by_the_exponent_and_all_rows_one_on_average() -> None:
    rows = [EncodedExample((1, 2), topic=4)] * 9 + [EncodedExample((1, 2), topic=7)] + [EncodedExample((1, 2))] * 5
    factors = label_weights(rows, {"topics": 0.5})["topics"]
    assert float(factors[7] / factors[4]) == pytest.approx(3.0)
    assert float((9 * factors[4] + factors[7]) / 10) == pytest.approx(1.0)
    assert label_weights(rows, {"sentiment": 0.5}) == {}


def test_a_label_that_weighs_three_times_as_much_has_three_times_the_loss() -> None:
    batch = batch_tensors([EncodedExample((1, 2, 3), topic=4)], labelling=Labelling(smoothing=0.0))
    outputs = random_outputs(batch)
    factors = torch.ones(len(HEADS["topics"]))
    factors[4] = 3.0
    unweighted = weighted_loss(outputs, batch, LossWeights(SUMS, SUMS))[1]
    balanced = weighted_loss(outputs, batch, LossWeights(SUMS, SUMS, {"topics": factors}))[1]
    assert balanced["topics"] == pytest.approx(3 * unweighted["topics"], rel=1e-5)


def test_a_head_of_weight_zero_does_not_change_the_total() -> None:
    row = EncodedExample((1, 2, 3), sentiment=1, topic=4)
    batch = batch_tensors([row])
    total, parts = weighted_loss(random_outputs(batch), batch, LossWeights({**SUMS, "topics": 0.0}, SUMS))
    assert float(total) == pytest.approx(parts["sentiment"])
    assert parts["topics"] > 0


def test_rows_without_labels_have_no_loss_and_no_gradient() -> None:
    model = small_model()
    rows = [
        EncodedExample((1, 2, 3), targets=(EncodedTarget((1,)),)),
        EncodedExample((1, 2), tags=(IGNORED, IGNORED)),
    ]
    batch = batch_tensors(rows)
    total, parts = weighted_loss(model(batch.ids, batch.mask), batch, LossWeights(SUMS, SUMS))
    total.backward()
    assert float(total.detach()) == 0.0
    assert parts == dict.fromkeys(HEADS, 0.0)
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.parameters())


def test_a_row_without_a_label_does_not_change_what_another_row_teaches() -> None:
    known = EncodedExample((1, 2, 3), sentiment=0, targets=(EncodedTarget((1,), level=MATERIAL),))
    unknown = EncodedExample((4, 5), targets=(EncodedTarget((1,)),))
    model = small_model()
    losses = []
    for rows in ([known], [unknown, known, unknown]):
        batch = batch_tensors(rows, multiple=8)
        losses.append(weighted_loss(model(batch.ids, batch.mask), batch, LossWeights(SUMS, SUMS))[1])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_loss_of_a_teacher_is_least_where_the_model_says_what_the_teacher_says() -> None:
    row = EncodedExample((1, 2), targets=(EncodedTarget((1,), teacher=MENTION),), teacher=SENTENCE)
    batch = batch_tensors([row])
    exact = list(random_outputs(batch))
    exact[0], exact[3] = torch.tensor([SENTENCE.sentiment]).log(), torch.tensor([SENTENCE.topics]).log()
    exact[2][0, 1], exact[4][0, 1] = torch.tensor(MENTION.target_sentiment).log(), torch.tensor(LEVEL).log()
    exact[5][0, 1], exact[5][0, 0] = torch.tensor(MENTION.events).logit(), torch.tensor(SENTENCE.events).logit()
    least = weighted_loss(tuple(exact), batch, LossWeights(SUMS, SUMS))[1]
    for seed in range(5):
        changed = [logits + 0.3 * noise for logits, noise in zip(exact, random_outputs(batch, seed), strict=True)]
        losses = weighted_loss(tuple(changed), batch, LossWeights(SUMS, SUMS))[1]
        assert all(losses[head] > least[head] for head in HEADS if head != "entities")


def test_a_masked_reading_teaches_its_head_nothing() -> None:
    mention, sentence = replace(MENTION, level=()), replace(SENTENCE, topics=(), events=())
    row = EncodedExample((1, 2), targets=(EncodedTarget((1,), teacher=mention),), teacher=sentence)
    labels = batch_tensors([row]).labels
    counts = {head: len(labels[head].index) for head in labels}
    assert counts == {"sentiment": 1, "target_sentiment": 1, "topics": 0, "level": 0, "events": 1}
    expected = expected_counts([row] * 10, 1)
    assert expected == {**{head: 10.0 * count for head, count in counts.items() if count}, "entities": 1.0} | {
        "topics": 1.0,
        "level": 1.0,
    }


def test_batches_are_padded_to_a_multiple_and_masked() -> None:
    batch = batch_tensors([EncodedExample((5, 6, 7), tags=(IGNORED, 1, 2)), EncodedExample((8, 9))], multiple=8)
    assert batch.ids.tolist() == [[5, 6, 7, 0, 0, 0, 0, 0], [8, 9, 0, 0, 0, 0, 0, 0]]
    assert batch.mask.sum(1).tolist() == [3, 2]
    assert batch.tags.tolist() == [[IGNORED, 1, 2, *[IGNORED] * 5], [IGNORED] * 8]


def test_the_expected_counts_are_those_of_an_average_batch_and_at_least_one() -> None:
    rows = [
        EncodedExample(
            (1, 2, 3), sentiment=0, tags=(IGNORED, 0, 3), events=(), targets=(EncodedTarget((1,), 1, 2, ()),)
        ),
        EncodedExample(
            (1, 2, 3), teacher=SENTENCE, targets=(EncodedTarget((1,)), EncodedTarget((1,), teacher=MENTION))
        ),
    ] * 10
    counts = expected_counts(rows, 5)
    assert counts == {
        "sentiment": 4.0,
        "entities": 4.0,
        "target_sentiment": 4.0,
        "topics": 2.0,
        "level": 4.0,
        "events": 8.0,
    }
    batch = batch_tensors(rows)
    for head in ("sentiment", "target_sentiment", "topics", "level", "events"):
        assert len(batch.labels[head].index) == 5 * counts[head]
    assert set(expected_counts(rows[:1], 5).values()) == {1.0}
    assert len(SENTIMENTS) == batch.labels["sentiment"].distribution.shape[1]
