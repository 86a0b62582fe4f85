"""How a bundle labels a reference archive: the shares of labels and of confidence, to compare today's news with.

`deploy/grafana/measure_reference.py` measures them with the same SQL as the panels, and writes `reference.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from riskwire_dashboards.fragments import level_of, type_of

REFERENCE = Path(__file__).parents[1] / "reference.json"

_LEVELS = ("level_neutral", "level_mild", "level_material", "level_favourable")
LABELS = {
    "levels": level_of("articles"),
    "sentiments": (
        "CASE greatest(articles.negative, articles.neutral, articles.positive) WHEN articles.negative THEN 'negative'"
        " WHEN articles.positive THEN 'positive' ELSE 'neutral' END"
    ),
    "confidence": f"to_char(floor(least(greatest({', '.join(_LEVELS)}), 0.999) * 10) / 10, 'FM0.0')",
    "events": f"coalesce({type_of('articles')}, 'none')",
}
"""What is compared: by name, the SQL of the label of an article. `confidence` is that of the level, in tenths."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The shares of each label, measured on an archive.

    Attributes:
        bundle: the bundle that read the archive, as `name@version`.
        archive: what was read.
        articles: how many articles it has, without those in other languages.
        shares: by what is compared (`LABELS`), the share of each label.
    """

    bundle: str
    archive: str
    articles: int
    shares: Mapping[str, Mapping[str, float]]

    @classmethod
    def load(cls, path: Path = REFERENCE) -> Reference:
        """Reads the reference from its file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path = REFERENCE) -> None:
        """Writes the reference to its file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def shares_of(label: str, condition: str) -> str:
    """Returns SQL for the share of each label among the articles that satisfy a condition and have a label."""
    return (
        f"SELECT label, count(*)::float / sum(count(*)) OVER () AS share FROM (SELECT {label} AS label FROM articles"
        f" WHERE articles.status = 'ok' AND articles.adverse IS NOT NULL AND {condition}) AS labelled"
        " WHERE label IS NOT NULL GROUP BY label"
    )
