"""Records of the topic `feeds`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from riskwire.records.codec import Record


class Feed(Record):
    """A feed to poll.

    Attributes:
        headers_file: the path, on the machine that polls, of a file with request headers; "" for none.
    """

    v: int = 1
    id: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    url: str
    format: Literal["auto", "rss", "atom", "rdf", "json", "sitemap"] = "auto"
    every_s: int = Field(default=300, ge=10, le=86_400)
    enabled: bool = True
    note: str = ""
    headers_file: str = Field(default="", max_length=4_096)
