"""The catalogue of data sets: their files, licences, attributions, and whether they may be trained on.

Licences are those recorded when the files were collected. A set whose licence excludes commercial use may only be used
to measure a bundle: `training_sets` refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from riskwire_models.errors import LicenceError

Kind = Literal[
    "sentiment", "target", "topic", "ner", "names", "risk", "risk by id", "risk statements", "risk headlines"
]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A public data set. ``files`` are relative to the data folder; only ``commercial`` sets may be trained on."""

    name: str
    title: str
    kind: Kind
    files: tuple[str, ...]
    licence: str
    attribution: str
    commercial: bool
    note: str = ""

    def is_in(self, data: Path) -> bool:
        """Returns whether the data folder has all files of the set."""
        return all((data / file).is_file() for file in self.files)


CATALOGUE: tuple[DataSet, ...] = (
    DataSet(
        "tfns",
        "Twitter Financial News Sentiment",
        "sentiment",
        ("sentiment/tfns_train.jsonl",),
        "MIT (data card)",
        "zeroshot/twitter-financial-news-sentiment",
        True,
    ),
    DataSet(
        "sentfin",
        "SEntFiN 1.0",
        "target",
        ("entity_sentiment/sentfin_train.jsonl",),
        "MIT",
        "Sinha, Kedas, Kumar, Malo (2022), SEntFiN 1.0, JASIST",
        True,
        "headlines of the Indian market",
    ),
    DataSet(
        "finentity",
        "FinEntity",
        "target",
        ("entity_sentiment/finentity_train.jsonl",),
        "ODC-BY 1.0",
        "Tang et al. (2023), FinEntity, EMNLP",
        True,
    ),
    DataSet(
        "topic",
        "Twitter Financial News Topic",
        "topic",
        ("topic/tfn_topic_train.jsonl",),
        "MIT (data card)",
        "zeroshot/twitter-financial-news-topic",
        True,
    ),
    DataSet(
        "wikigold",
        "Wikigold",
        "ner",
        ("ner/wikigold.bio",),
        "CC BY 4.0",
        "Balasuriya, Ringland, Nothman, Murphy, Curran (2009), Wikigold",
        True,
    ),
    DataSet(
        "wnut",
        "WNUT-2017 emerging entities",
        "ner",
        ("ner/wnut2017_train.bio", "ner/wnut2017_dev.bio"),
        "CC BY 4.0",
        "Derczynski, Nichols, van Erp, Limsopatham (2017), WNUT-2017",
        True,
    ),
    DataSet(
        "btc",
        "Broad Twitter Corpus",
        "ner",
        tuple(f"ner/btc_{section}.bio" for section in "abefgh"),
        "CC BY 4.0",
        "Derczynski, Bontcheva, Roberts (2016), Broad Twitter Corpus",
        True,
        "handles are masked, tweets that are mostly handles are left out",
    ),
    DataSet(
        "crossner",
        "CrossNER politics",
        "ner",
        tuple(f"ner/crossner_politics_{part}.bio" for part in ("train", "dev", "test")),
        "MIT; text CC BY-SA (Wikipedia)",
        "Liu et al. (2021), CrossNER, AAAI",
        True,
    ),
    DataSet(
        "gmb",
        "Groningen Meaning Bank, annotated corpus for NER",
        "ner",
        ("ner/gmb.bio",),
        "texts public domain; the package's own licence is unclear",
        "Bos, Basile, Evang, Venhuizen, Bjerva (2017), The Groningen Meaning Bank",
        True,
        "silver tags; a sub-sample, titles cut from persons, nationalities as MISC",
    ),
    DataSet(
        "sec",
        "SEC company tickers",
        "names",
        ("tables/sec_company_tickers_exchange.json",),
        "public domain",
        "U.S. Securities and Exchange Commission",
        True,
        "company names to fill our own sentence templates",
    ),
    DataSet(
        "risk",
        "riskwire risk labels",
        "risk",
        ("risk/train.jsonl",),
        "labels our own; texts MIT",
        "texts of Twitter Financial News, SEntFiN and FinEntity, labelled by reading",
        True,
        "level and event types toward each named party",
    ),
    DataSet(
        "risk_disagreements",
        "riskwire risk labels, where models disagreed",
        "risk by id",
        (
            "sentiment/tfns_train.jsonl",
            "topic/tfn_topic_train.jsonl",
            "entity_sentiment/sentfin_train.jsonl",
            "entity_sentiment/finentity_train.jsonl",
        ),
        "labels our own; texts MIT",
        "texts of the same sets, chosen where a teacher was unsure or contradicted a label, labelled by reading",
        True,
        "ids, spans and labels are in `labels/`",
    ),
    DataSet(
        "risk_statements",
        "riskwire risk statements",
        "risk statements",
        ("risk/statements.jsonl", "tables/sec_company_tickers_exchange.json"),
        "our own",
        "written for riskwire",
        True,
        "sentences with placeholders, filled with names of the SEC's table",
    ),
    DataSet(
        "risk_headlines",
        "riskwire risk headlines",
        "risk headlines",
        ("tables/sec_company_tickers_exchange.json",),
        "our own",
        "written for riskwire, in the style of a news wire",
        True,
        "headlines with placeholders are in `labels/`, filled with names of the SEC's table",
    ),
    DataSet(
        "risk_open",
        "riskwire risk labels, open test set",
        "risk",
        ("risk/open.jsonl",),
        "labels our own; text Reuters, research only",
        "titles of the 2009-10 news stream, labelled by reading",
        False,
    ),
    DataSet(
        "phrasebank",
        "Financial PhraseBank 1.0",
        "sentiment",
        ("sentiment/phrasebank_train.jsonl",),
        "CC BY-NC-SA 3.0",
        "Malo, Sinha, Korhonen, Wallenius, Takala (2014), JASIST 65(4)",
        False,
    ),
    DataSet(
        "conllpp",
        "CoNLL++ (dev)",
        "ner",
        ("ner/conllpp_dev.bio",),
        "corrections Apache-2.0; text RCV1, research only",
        "Wang, Shang, Liu, Lu, Liu, Han (2019), CrossWeigh",
        False,
    ),
    DataSet(
        "finer_ord",
        "FiNER-ORD (validation)",
        "ner",
        ("ner/finer_ord_val.bio",),
        "CC BY-NC 4.0",
        "Shah et al. (2023), FiNER-ORD",
        False,
    ),
)

_BY_NAME = {data_set.name: data_set for data_set in CATALOGUE}

DEFAULT_TRAINING = (
    "tfns",
    "sentfin",
    "finentity",
    "topic",
    "wikigold",
    "wnut",
    "btc",
    "crossner",
    "gmb",
    "sec",
    "risk",
    "risk_statements",
)
NEVER_SEEN = ("phrasebank", "conllpp", "finer_ord")


def data_set_by_name(name: str) -> DataSet:
    """Returns the data set of that name. Raises KeyError, with the known names, for an unknown one."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise KeyError(f"unknown data set {name!r}; known: {', '.join(_BY_NAME)}") from None


def training_sets(names: Iterable[str] = DEFAULT_TRAINING) -> list[DataSet]:
    """Returns the named data sets for training. Raises LicenceError for one that excludes commercial use."""
    chosen = [data_set_by_name(name) for name in names]
    for chosen_set in chosen:
        if not chosen_set.commercial:
            raise LicenceError(
                f"{chosen_set.name} ({chosen_set.licence}) must not be trained on: it may only be used to evaluate"
            )
    return chosen
