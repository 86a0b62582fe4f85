"""Padding of batches, and comparison of logits bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from riskwire_models.data.encoding import first_pieces
from riskwire_models.evaluation.onnx_runner import HeadLogits, padded_batch, padded_length
from riskwire_models.export.manifest import PADDING_MULTIPLE


@pytest.mark.parametrize(("pieces", "length"), [(1, 16), (16, 16), (17, 32), (128, 128)])
def test_a_sentence_is_padded_to_the_next_multiple(pieces: int, length: int) -> None:
    assert padded_length(pieces) == length
    assert length % PADDING_MULTIPLE == 0


def test_a_single_row_is_duplicated_and_padding_is_masked() -> None:
    ids, mask = padded_batch([[5, 6, 7]], 16)
    assert ids.shape == mask.shape == (2, 16)
    assert ids[0].tolist() == ids[1].tolist() == [5, 6, 7, *[0] * 13]
    assert mask.sum() == 6


def test_logits_are_compared_bit_by_bit() -> None:
    def head_logits(value: float) -> HeadLogits:
        return HeadLogits({"sentiment": np.zeros(3, np.float32), "topics": np.array([value, 1.0], np.float32)})

    assert head_logits(0.0).same_bits(head_logits(0.0))
    assert not head_logits(0.0).same_bits(head_logits(-0.0))
    assert not head_logits(0.0).same_bits(HeadLogits({"sentiment": np.zeros(3, np.float32)}))


def test_the_first_piece_of_a_word_follows_a_space() -> None:
    #       [CLS]   u      .       s       .       fell    [SEP]
    pieces = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (5, 9), (0, 0)]
    assert first_pieces("U.S. fell", pieces) == [1, 5]
