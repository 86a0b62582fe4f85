"""The table of deploy/README.md on failures of the store: each row has tests, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TESTS = {
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
"""The tests of each row, by its first cell."""


@pytest.fixture(scope="module")
def existing_tests() -> set[str]:
    """The names of all tests."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py"))
    functions = (node for tree in trees for node in tree.body)
    return {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_has_these_rows() -> None:
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^### When the store fails\n.*?^\|---.*?\n(.*?)\n\n", text, re.M | re.S)
    assert found is not None
    assert [row.split("|")[1].strip() for row in found[1].splitlines()] == list(TESTS)


@pytest.mark.parametrize("row", TESTS)
def test_the_tests_of_a_row_exist(row: str, existing_tests: set[str]) -> None:
    assert set(TESTS[row]) <= existing_tests
