"""Archives and settings for the back-test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from back_test import Archive, at

from riskwire.settings import InferenceSettings, Settings


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Returns a function that writes titles as an archive, one an hour, and returns its path."""

    def write(*titles: str, name: str = "news.jsonl") -> Path:
        lines = [
            json.dumps(
                {
                    "published_at": at(hour).isoformat(),
                    "title": title,
                    "url": f"https://wire.example/{hour}",
                    "summary": "It said so in a statement.",
                }
            )
            for hour, title in enumerate(titles)
        ]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def settings(tiny_bundle: Path) -> Settings:
    """Returns settings with the tiny bundle."""
    return Settings(inference=InferenceSettings(bundle=tiny_bundle, threads=1))
