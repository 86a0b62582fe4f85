"""The catalogue allows training only on data sets whose licence permits commercial use."""

from __future__ import annotations

import pytest

from riskwire_models.data.catalogue import CATALOGUE, DEFAULT_TRAINING, NEVER_SEEN, data_set_by_name, training_sets
from riskwire_models.errors import LicenceError


@pytest.mark.parametrize("name", [*NEVER_SEEN, "risk_open"])
def test_a_set_without_commercial_licence_is_refused_for_training(name: str) -> None:
    with pytest.raises(LicenceError, match=f"{name}.*must not be trained on") as error:
        training_sets([*DEFAULT_TRAINING, name])
    assert data_set_by_name(name).licence in str(error.value)


def test_the_default_recipe_uses_only_commercial_sets_with_licence_and_attribution() -> None:
    for training_set in training_sets():
        assert training_set.commercial
        assert training_set.licence
        assert training_set.attribution


def test_the_sets_without_commercial_licence_only_measure() -> None:
    without_licence = {entry.name for entry in CATALOGUE if not entry.commercial}
    assert without_licence == {*NEVER_SEEN, "risk_open"}
    assert not set(DEFAULT_TRAINING) & without_licence


def test_no_text_belongs_to_two_sets() -> None:
    """The table of company names holds no texts, and labels by id name texts of other sets on purpose."""
    files = [
        file
        for entry in CATALOGUE
        for file in entry.files
        if not file.startswith("tables/") and entry.kind != "risk by id"
    ]
    assert len(files) == len(set(files))


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    with pytest.raises(KeyError, match="unknown data set 'tfnz'; known: tfns"):
        data_set_by_name("tfnz")
