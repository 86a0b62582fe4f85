"""Licences decide what may train."""

from __future__ import annotations

import pytest

from riskwire_models.data.catalogue import CATALOGUE, DEFAULT_TRAINING, NEVER_SEEN, data_set, training_sets
from riskwire_models.errors import LicenceError


@pytest.mark.parametrize("name", NEVER_SEEN)
def test_a_set_without_commercial_licence_is_refused_for_training(name: str) -> None:
    with pytest.raises(LicenceError, match=f"{name}.*must not train") as caught:
        training_sets([*DEFAULT_TRAINING, name])
    assert data_set(name).licence in str(caught.value)


def test_the_default_recipe_uses_only_commercial_sets_and_names_whom_to_thank() -> None:
    for one in training_sets():
        assert one.commercial
        assert one.licence
        assert one.attribution


def test_what_may_not_train_is_what_is_never_seen() -> None:
    assert {one.name for one in CATALOGUE if not one.commercial} == set(NEVER_SEEN)
    assert not set(DEFAULT_TRAINING) & set(NEVER_SEEN)


def test_no_file_belongs_to_two_sets() -> None:
    files = [file for one in CATALOGUE for file in one.files]
    assert len(files) == len(set(files))


def test_an_unknown_set_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no data set 'tfnz'; known: tfns"):
        data_set("tfnz")
