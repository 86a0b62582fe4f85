"""Spans: one for each batch and each commit of a stage, with their place in the log; none of it changes a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from riskwire.stage import spans


class RecordingTracer:
    """Notes the spans that are started, and the errors that leave them."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[Exception] = []

    @contextmanager
    def start_as_current_span(self, name: str, attributes: dict[str, Any]) -> Iterator[None]:
        """Notes a span."""
        self.spans.append((name, attributes))
        try:
            yield
        except Exception as error:
            self.errors.append(error)
            raise


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> RecordingTracer:
    """The tracer that an SDK would provide."""
    tracer = RecordingTracer()
    monkeypatch.setattr(spans, "get_tracer", lambda name: tracer)
    return tracer


def test_a_span_has_its_attributes_under_the_name_of_riskwire(tracer: RecordingTracer) -> None:
    with spans.span("infer batch", partition=3, records=12):
        pass
    assert tracer.spans == [("infer batch", {"riskwire.partition": 3, "riskwire.records": 12})]


def test_an_error_passes_through_a_span(tracer: RecordingTracer) -> None:
    error = ValueError("of the block")
    with pytest.raises(ValueError, match="of the block"), spans.span("infer batch"):
        raise error
    assert tracer.errors == [error]


def test_without_opentelemetry_the_block_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "get_tracer", None)
    ran = []
    with spans.span("infer batch", partition=3):
        ran.append(True)
    assert ran == [True]
