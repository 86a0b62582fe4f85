"""Spans of OpenTelemetry around the steps of stages. Without an SDK (extra `otel`) they cost and record nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry.trace import get_tracer
except ImportError:  # part of the extra `otel`, and of some versions of FastAPI
    get_tracer = None  # type: ignore[assignment]

_NAME = "riskwire"


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Runs a block as a span: a part of a trace, with its start, its end and an error that it raises.

    Args:
        attributes: what the span is about, under the keys `riskwire.…`.
    """
    if get_tracer is None:
        yield
        return
    named: dict[str, Any] = {f"riskwire.{key}": value for key, value in attributes.items()}
    with get_tracer(_NAME).start_as_current_span(name, attributes=named):
        yield
