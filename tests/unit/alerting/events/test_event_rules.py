"""The rules of event alerts: what a user's file overrides, and how a wrong value is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from timeline import Timeline, event, mark

from riskwire.alerting import AlertStage
from riskwire.alerting.events import load_rules
from riskwire.alerting.events.rules import RuleOverride
from riskwire.errors import SettingsError
from riskwire.records import EVENT_TYPES
from riskwire.settings import AlertingSettings

FAVOURABLE = {
    "results_good",
    "guidance_up",
    "upgrade",
    "deal",
    "contract",
    "product",
    "capital_return",
    "financing",
    "price_rise",
    "appointment",
    "relief",
}


def rules_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return path


def test_every_adverse_event_type_has_a_rule_and_no_favourable_one_has() -> None:
    rules = load_rules()
    assert set(rules.places) == set(EVENT_TYPES) - FAVOURABLE
    for event_type in rules.places:
        rule = rules.rule(event_type, "entity:acme", ())
        assert 0 < rule.doubtful <= rule.threshold <= 1
        assert rule.rearm_days > 0


def test_a_more_specific_rule_overrides_a_more_general_one(tmp_path: Path) -> None:
    path = rules_file(
        tmp_path,
        """
        defaults: {threshold: 0.61}
        families: {cyber: {rearm_days: 3}}
        types: {penalty: {threshold: 0.62}}
        groups: {tech: {threshold: 0.63, tier: page}}
        targets: {"entity:acme": {tier: digest}}
        """,
    )
    rules = load_rules(path)
    assert rules.rule("cyber", "entity:b", ()).threshold == 0.61
    assert rules.rule("cyber", "entity:b", ()).rearm_days == 3
    assert rules.rule("penalty", "entity:b", ()).threshold == 0.62
    assert rules.rule("penalty", "entity:b", ("tech",)).threshold == 0.63
    acme = rules.rule("penalty", "entity:acme", ("tech", "other"))
    assert (acme.threshold, acme.tier) == (0.63, "digest")
    assert rules.rule("bankruptcy", "entity:b", ()).threshold == load_rules().rule("bankruptcy", "", ()).threshold


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = rules_file(tmp_path, "# nothing\n")
    for event_type in load_rules().places:
        assert load_rules(path).rule(event_type, "a", ()) == load_rules().rule(event_type, "a", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "families: {litigation: {threshold: 1.5}}",
            r"litigation\.threshold: .*less than or equal.*got 1\.5",
        ),
        (
            "families: {litigation: {treshold: 0.5}}",
            r"litigation\.treshold: there is no such rule.*threshold",
        ),
        ("types: {bankrupcy: {tier: page}}", r"types: there is no such event type.*got 'bankrupcy'.*bankruptcy"),
        ("types: {upgrade: {tier: page}}", r"types: this event type is in no family.*got 'upgrade'"),
        ("families: {mine: {tier: page}}", r"families\.mine\.steps: a new family needs its event types"),
        ("families: {mine: {steps: [[recall]]}}", r"mine\.steps: .*also in the family safety.*got 'recall'"),
        ("families: {litigation: {tier: loud}}", r"families\.litigation\.tier: .*got 'loud'"),
        ("targets: {a: {least_sources: 0}}", r"targets\.a\.least_sources: .*got 0"),
        ("defaults: {rearm_days: 90}", r"defaults\.rearm_days: longer than memory_days, which is 60.*got 90"),
        ("families: {insolvency: {settled_days: 90}}", r"insolvency\.settled_days: longer than memory_days.*got 90"),
        ("groups: {a: {spares: [bankrupcy]}}", r"groups\.a\.spares: there is no such event type.*bankruptcy"),
        ("groups: {a: {members: entity:acme}}", r"groups\.a\.members: .*got 'entity:acme'"),
        ("words: {done: {upgrade: [rises]}}", r"words\.done: this event type is in no family.*got 'upgrade'"),
        ("familys: {}", r"familys: there is no such rule.*families"),
        ("[1, 2]", "must be a mapping, and is a list"),
        ("a: b: c", "line 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = rules_file(tmp_path, text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_rules(path)
    assert str(path) in str(caught.value)


def test_the_stage_refuses_wrong_rules_before_it_reads_anything(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.yaml"):
        AlertStage(AlertingSettings(rules=tmp_path / "missing.yaml"), article_partitions=1)


@pytest.mark.parametrize(
    ("title", "feared"),
    [
        ("Chrysler may file for bankruptcy", True),
        ("Chrysler warns of bankruptcy risk", True),
        ("Chrysler nears default", True),
        ("Chrysler in talks on rescue", True),
        ("Potential GM bankruptcy plan includes company split", True),
        ("Chrysler files for bankruptcy", False),
        ("Chrysler to file for bankruptcy", False),
        ("Maytag files for bankruptcy", False),
    ],
)
def test_the_words_of_a_title_tell_what_is_feared_from_what_happened(title: str, feared: bool) -> None:
    assert load_rules().words.is_feared(title) is feared


@pytest.mark.parametrize(
    ("title", "denied"),
    [
        ("Chrysler denies bankruptcy", True),
        ("Citi CEO rules out capital hike", True),
        ("GM says Opel not preparing for insolvency", True),
        ("GM CEO says bankruptcy not inevitable", True),
        ("Judge denied bail for Stanford", False),
        ("FDA denies approval of drug", False),
        ("Chrysler files for bankruptcy", False),
    ],
)
def test_the_words_of_a_title_tell_a_denial_by_the_party(title: str, denied: bool) -> None:
    assert load_rules().words.is_denied(title) is denied


def test_rules_of_a_user_decide_what_is_told(tmp_path: Path) -> None:
    """Lay-offs never notify, a lawsuit needs two publishers, and the threshold of one party is 0.3."""
    path = rules_file(
        tmp_path,
        """
        families: {people: {tier: none}, litigation: {least_sources: 2}}
        targets: {"entity:weak": {threshold: 0.3, doubtful: 0.2, adverse: 0.5}}
        """,
    )
    timeline = Timeline(AlertingSettings(rules=path))
    timeline.quiet(0, 24)
    timeline.feed(
        event(33, "Acme cuts jobs", "layoffs"),
        event(33.01, "Acme sued", "litigation", publisher="a.example"),
        event(33.02, "Weak is weak", "operations", target="entity:weak", material=0.31, mild=0.3),
        mark(34, (33.0,)),
    )
    assert [alert.target for alert in timeline.alerts] == ["entity:weak"]
    assert [miss.reason for miss in timeline.near_misses] == ["muted", "corroboration"]
    timeline.feed(event(35, "Lawsuit against Acme", "litigation", publisher="b.example"), mark(36, (35.0,)))
    assert (timeline.alerts[-1].events, timeline.alerts[-1].sources) == (("litigation",), 2)


@pytest.mark.parametrize(
    ("sentence", "event_type"),
    [
        ("Goody's Family Clothing to liquidate stores", "bankruptcy"),
        ("Regulators close Colonial Bank; assets sold to BB&T", "bankruptcy"),
        ("Midway files Chapter 11 protection for U.S. operations", "bankruptcy"),
        ("S&P cuts Greece rating to junk", "credit_downgrade"),
        ("Honda cuts forecasts again on global sales slump", "profit_warning"),
        ("Eaton says to cut 5,200 jobs to cut costs", "layoffs"),
        ("Robert Rubin quits Citigroup amid criticism", "management_exit"),
        ("Citi sees growth", None),
        ("Acme opens a shop in Bankside", None),
    ],
)
def test_the_words_of_a_sentence_state_an_event_type(sentence: str, event_type: str | None) -> None:
    stated = load_rules().words.stated(sentence)
    assert (stated and stated.type) == event_type


def test_a_stated_type_decides_before_that_of_the_model() -> None:
    """The model says results; the sentence says Chapter 11."""
    timeline = Timeline()
    timeline.feed(event(9, "Acme files for Chapter 11", "results_bad"), mark(10))
    (alert,) = timeline.alerts
    assert alert.events == ("bankruptcy",)


def test_a_title_of_relief_never_fires() -> None:
    timeline = Timeline()
    timeline.feed(event(9, "Acme emerges from bankruptcy", "bankruptcy"), mark(10))
    assert timeline.alerts == []


@pytest.mark.parametrize(
    ("title", "fires"),
    [
        ("Acme wins debt reprieve, warns of liquidation", True),
        ("Acme denies bankruptcy, shares fall", True),
        ("Acme wins creditor protection", True),
        ("Acme wins order but cuts 4,000 jobs", True),
        ("Acme wins debt reprieve, thanks lenders", False),
        ("Acme emerges from bankruptcy, wins time", False),
    ],
)
def test_a_relief_or_a_denial_counts_for_its_clause_alone(title: str, fires: bool) -> None:
    timeline = Timeline()
    timeline.feed(event(9, title, "distress"), mark(10))
    assert bool(timeline.alerts) is fires


@pytest.mark.parametrize(
    ("sentence", "event_type", "outright"),
    [
        ("Acme files for Chapter 11", "bankruptcy", True),
        ("Acme seeks bankruptcy option", "bankruptcy", False),
        ("Acme to cut 4,000 jobs", "layoffs", True),
        ("Acme to cut 400 jobs", "layoffs", False),
        ("Acme has $2.3 billion loss", "results_bad", True),
        ("Acme loss narrower than in 2008", "results_bad", False),
        ("Acme defers interest payment, shares fall", "default", True),
        ("Acme CEO steps down", "management_exit", True),
    ],
)
def test_some_words_state_a_severe_fact_outright(sentence: str, event_type: str, outright: bool) -> None:
    stated = load_rules().words.stated(sentence)
    assert stated is not None
    assert (stated.type, stated.outright) == (event_type, outright)


def test_a_fact_stated_outright_fires_if_it_is_surely_adverse_for_the_target(tmp_path: Path) -> None:
    """The level is mild. The same words about a party that they hardly concern fire nothing; nor do weaker words."""
    path = rules_file(
        tmp_path, "types: {management_exit: {threshold: 0.6, doubtful: 0.5, adverse: 0.5, outright: 0.6}}"
    )
    timeline = Timeline(AlertingSettings(rules=path))
    timeline.feed(
        event(9, "Acme CEO steps down", "management_exit", material=0.1, mild=0.6),
        event(10, "Bolt CEO steps down", "management_exit", target="entity:bolt", material=0.1, mild=0.4),
        event(11, "Core loses its head", "management_exit", target="entity:core", material=0.1, mild=0.6),
        mark(12),
    )
    (alert,) = timeline.alerts
    assert (alert.target, alert.tier) == ("entity:acme", "notice")
    assert "below 0.60 that it concerns the target, where it is 0.70" in alert.would_not_fire
    assert {miss.target: miss.reason for miss in timeline.near_misses} == {
        "entity:bolt": "level",
        "entity:core": "level",
    }


def test_a_rescue_is_bad_news_for_who_needs_it_however_glad_the_words_are() -> None:
    """A party in need of a rescue is failing. A neutral party of the same title is the rescuer."""
    timeline = Timeline()
    timeline.feed(
        event(9, "Acme gets new rescue from state", "financing", material=0.05, mild=0.05, favourable=0.6),
        event(9, "Acme gets new rescue from Bolt", target="entity:bolt", material=0.05, mild=0.1, favourable=0.05),
        event(10, "Core wins order", "contract", target="entity:core", material=0.05, mild=0.05, favourable=0.6),
        mark(11),
    )
    (alert,) = timeline.alerts
    assert (alert.target, alert.events, alert.tier) == ("entity:acme", ("distress",), "page")


def test_what_happens_in_a_large_country_is_told_of_it_only_where_a_rule_says_so(tmp_path: Path) -> None:
    """A cut of its own rating notifies. A user's rule for the country or its group overrides the shipped rule."""
    country = "entity:name:united-states"
    crime = event(9, "Banker charged in U.S. fraud", "crime", target=country)
    rating = event(9, "S&P cuts U.S. to junk", "credit_downgrade", target=country)
    for rules, story, notifies in (
        ("{}", crime, False),
        ("{}", rating, True),
        ("groups: {large_countries: {tier: notice}}", crime, True),
        (f'targets: {{"{country}": {{tier: notice}}}}', crime, True),
        ("groups: {large_countries: {members: []}}", crime, True),
    ):
        timeline = Timeline(AlertingSettings(rules=rules_file(tmp_path, rules)))
        timeline.feed(story, mark(10))
        assert bool(timeline.alerts) is notifies, rules
        assert bool(timeline.near_misses) is not notifies, rules


def test_rules_with_other_types_keep_all_else(tmp_path: Path) -> None:
    rules = load_rules(rules_file(tmp_path, "types: {cyber: {rearm_days: 3}}"))
    changed = rules.with_types({"cyber": RuleOverride(threshold=0.31)})
    assert changed.rule("cyber", "a", ()).threshold == 0.31
    assert changed.rule("cyber", "a", ()).rearm_days == 3
    assert changed.rule("crime", "a", ()) == rules.rule("crime", "a", ())
    assert rules.rule("cyber", "a", ()).threshold != 0.31


def test_a_lower_threshold_alone_is_enough(tmp_path: Path) -> None:
    """A story is never doubtful above the threshold of its rule."""
    rule = load_rules(rules_file(tmp_path, "types: {crime: {threshold: 0.75}}")).rule("crime", "entity:acme", ())
    assert (rule.threshold, rule.doubtful) == (0.75, 0.75)
