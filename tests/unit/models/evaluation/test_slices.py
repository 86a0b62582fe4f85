"""Two bundles are compared on the same rows, of the sets that a user has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_models.libraries import missing_libraries, needs_metrics

from riskwire_models.data.catalogue import NEVER_SEEN, data_set_by_name

if not missing_libraries("seqeval", "sklearn"):
    from riskwire_models.evaluation.slices import comparison_examples, f1_of

pytestmark = needs_metrics


def test_sets_whose_files_are_missing_are_left_out(data_folder: Path) -> None:
    present = [name for name in NEVER_SEEN if data_set_by_name(name).is_in(data_folder)]
    assert 0 < len(present) < len(NEVER_SEEN)
    assert set(comparison_examples(data_folder)) & set(NEVER_SEEN) == set(present)


def test_the_f1_of_rows_with_one_label_each_is_the_accuracy() -> None:
    right = np.array([1, 1, 0, 1])
    assert f1_of(np.stack([right, 1 - right, 1 - right], axis=1)) == 0.75
