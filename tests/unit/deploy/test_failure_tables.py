"""The tables of deploy/README.md on failures of the store and of notifications: each row has tests, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STORE = {
    "PostgreSQL is away, killed, restarted, or connections are cut": (
        "test_a_store_that_is_away_for_ten_minutes_is_waited_for",
        "test_a_write_waits_while_the_server_is_away_and_reads_fail_at_once",
        "test_news_that_comes_while_postgresql_is_away_is_stored_when_it_is_back",
        "test_a_process_ends_with_code_2_when_postgresql_is_away_for_longer_than_wait_s",
        "test_two_sinks_of_the_same_partitions_survive_the_faults_of_the_server",
    ),
    "it is killed within a batch": ("test_a_server_that_is_killed_in_a_transaction_keeps_nothing_of_it",),
    "its disk is full": ("test_a_full_disk_of_the_server_is_waited_for",),
    "its schema is older or newer": (
        "test_a_database_that_is_no_store_of_this_version_is_refused",
        "test_no_process_starts_on_a_database_of_another_version_and_nothing_is_changed",
    ),
    "the database holds something else": (
        "test_a_database_that_is_no_store_of_this_version_is_refused",
        "test_no_process_starts_on_a_database_of_another_version_and_nothing_is_changed",
    ),
    "two sinks write the same partition": ("test_writers_of_the_same_records_take_turns",),
    "a sink is suspended within a transaction": (
        "test_a_writer_that_is_suspended_in_a_transaction_does_not_stop_the_others",
    ),
    "another session holds the lock for ever": ("test_a_writer_gives_up_after_wait_s",),
    "clocks of ingesters are an hour apart": (
        "test_clocks_an_hour_apart_at_the_turn_of_a_month_lose_and_double_nothing",
    ),
    "a reader does not let go of a table": ("test_retention_drops_partitions_and_deletes_rows_where_it_cannot",),
    "the disk fills under SQLite": (
        "test_a_disk_that_fills_under_sqlite_loses_nothing",
        "test_a_full_disk_fails_the_whole_step_and_the_bus_continues_once_there_is_space",
    ),
    "another process writes SQLite for longer than 15 s": (
        "test_a_process_that_writes_sqlite_for_long_is_waited_for",
        "test_the_metrics_of_a_stage_that_waits_show_its_lag",
    ),
    "a service hangs while it is scraped": (
        "test_prometheus_reads_metrics_rules_and_a_process_that_hangs",
        "test_a_scrape_is_answered_while_the_bus_never_answers",
    ),
    "a backup is incomplete, changed, or of another version; or something is there already": (
        "test_a_backup_that_is_incomplete_changed_or_of_another_version_is_refused",
        "test_nothing_is_overwritten",
    ),
}
NOTIFICATIONS = {
    "a receiver hangs, answers 500, or asks to wait for a year": (
        "test_nothing_is_lost_while_a_receiver_is_down_and_nothing_comes_twice_when_it_is_back",
        "test_a_receiver_that_hangs_does_not_delay_the_others",
        "test_429_and_5xx_are_retried_with_the_same_idempotency_key",
    ),
    "it is away for longer than `notify.give_up_after_s`, or answers 4xx": (
        "test_a_delivery_is_given_up_at_its_deadline",
        "test_a_delivery_that_fails_becomes_a_dead_letter",
        "test_a_notification_that_was_given_up_is_delivered_once_by_a_replay_of_its_dead_letter",
    ),
    "notify is killed": (
        "test_only_deliveries_not_known_to_have_arrived_are_repeated_after_a_restart",
        "test_a_delivery_interrupted_by_a_kill_is_repeated_with_the_same_idempotency_key",
        "test_a_decision_is_obeyed_if_the_process_ends_before_it_withdraws_anything",
    ),
    "Alertmanager is away or slow": ("test_an_alertmanager_that_was_away_gets_the_newest_state_once",),
    "Alertmanager is restarted, or has lost everything": (
        "test_no_restart_of_either_side_loses_or_doubles_an_alert",
        "test_an_alertmanager_that_lost_everything_gets_the_running_alerts_again",
        "test_a_mute_is_one_silence_over_restarts_until_it_is_taken_back",
    ),
    "an alert is snoozed, muted or marked as a false alarm while it waits for a receiver": (
        "test_a_decision_withdraws_what_waits_between_two_attempts_and_the_log_says_so",
        "test_a_decision_withdraws_what_waits_for_the_end_of_quiet_hours",
        "test_what_a_snooze_withdrew_is_sent_when_it_ends_to_those_who_miss_it",
        "test_an_attempt_that_is_being_made_ends_and_counts",
        "test_an_alertmanager_that_was_away_never_gets_what_was_silenced_meanwhile",
    ),
    "somebody decides about an alert that has ended": (
        "test_an_alert_that_has_ended_takes_no_such_decision",
        "test_an_alert_that_has_ended_cannot_be_acknowledged_and_can_be_a_false_alarm",
        "test_a_decision_about_an_ended_or_unknown_alert_has_no_effect",
        "test_a_false_alarm_of_an_alert_that_has_ended_withdraws_it_from_those_who_heard_of_nothing",
    ),
    "somebody decides about an alert that does not exist": (
        "test_a_command_about_an_unknown_alert_is_a_404",
        "test_what_cannot_be_decided_is_refused",
        "test_a_decision_about_an_ended_or_unknown_alert_has_no_effect",
    ),
    "two people decide at once": (
        "test_two_people_who_decide_at_once_are_both_published_and_one_learns_what_it_replaces",
        "test_if_two_decisions_have_the_same_time_the_later_in_the_log_counts",
    ),
    "a mute ends while alerts that it covers run": (
        "test_the_newest_record_of_a_running_alert_is_sent_when_its_mute_ends",
        "test_a_mute_without_end_lasts_until_it_is_lifted",
    ),
    "a command cannot be read": ("test_a_command_that_cannot_be_obeyed_is_a_dead_letter_and_the_next_one_counts",),
}
TABLES = {"When the store fails": STORE, "When people are not reached, or decide late": NOTIFICATIONS}
"""The tests of each row, by heading and first cell."""


@pytest.fixture(scope="module")
def existing_tests() -> set[str]:
    """The names of all tests."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py"))
    functions = (node for tree in trees for node in tree.body)
    return {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("heading", TABLES)
def test_the_table_has_these_rows(heading: str) -> None:
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    table = re.search(rf"^### {heading}\n.*?^\|---.*?\n(.*?)\n\n", text, re.M | re.S)
    assert table is not None
    assert [row.split("|")[1].strip() for row in table[1].splitlines()] == list(TABLES[heading])


@pytest.mark.parametrize(("heading", "row"), [(heading, row) for heading, rows in TABLES.items() for row in rows])
def test_the_tests_of_a_row_exist(heading: str, row: str, existing_tests: set[str]) -> None:
    assert set(TABLES[heading][row]) <= existing_tests
