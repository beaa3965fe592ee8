"""The store's contract, checked on the deployed StateTable; the unit tests check it in memory and on moto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.state.dynamodb import DynamoStore
from tests.unit.test_persons import (
    test_a_record_that_is_about_to_be_written_is_marked_too,
    test_an_id_shared_by_all_customers_does_not_exceed_the_item_size,
    test_an_opt_out_of_one_customer_applies_to_the_others_and_the_guest,
    test_marking_a_record_keeps_its_data_and_raises_its_version,
    test_the_newest_opt_out_and_all_ties_are_kept,
    test_ties_are_added_and_removed,
)
from tests.unit.test_store import (
    test_a_bookmark_is_where_the_newest_run_left_it,
    test_a_conflict_delays_no_other_record,
    test_a_full_record_comes_back_as_it_was,
    test_a_record_read_at_another_version_is_not_written,
    test_a_record_that_is_gone_is_not_written_over,
    test_accounts_and_modes_never_mix,
    test_an_empty_record_comes_back_as_it_was,
    test_an_unknown_item_is_absent,
    test_asking_for_nothing_gives_nothing,
    test_each_write_is_a_version,
    test_learnt_facts_are_found_under_their_kind,
    test_more_than_a_hundred_records_are_read_and_written_at_once,
    test_of_two_first_writers_one_wins,
    test_of_two_names_of_one_second_the_later_wins,
    test_of_two_writers_of_one_version_one_wins_and_the_other_can_come_again,
    test_the_ledger_remembers_forty_days,
    test_the_newest_name_wins_in_whatever_order_it_comes,
)

if TYPE_CHECKING:
    from tests.stack.conftest import Local

__all__ = [
    "test_a_bookmark_is_where_the_newest_run_left_it",
    "test_a_conflict_delays_no_other_record",
    "test_a_full_record_comes_back_as_it_was",
    "test_a_record_read_at_another_version_is_not_written",
    "test_a_record_that_is_about_to_be_written_is_marked_too",
    "test_a_record_that_is_gone_is_not_written_over",
    "test_accounts_and_modes_never_mix",
    "test_an_empty_record_comes_back_as_it_was",
    "test_an_id_shared_by_all_customers_does_not_exceed_the_item_size",
    "test_an_opt_out_of_one_customer_applies_to_the_others_and_the_guest",
    "test_an_unknown_item_is_absent",
    "test_asking_for_nothing_gives_nothing",
    "test_each_write_is_a_version",
    "test_learnt_facts_are_found_under_their_kind",
    "test_marking_a_record_keeps_its_data_and_raises_its_version",
    "test_more_than_a_hundred_records_are_read_and_written_at_once",
    "test_of_two_first_writers_one_wins",
    "test_of_two_names_of_one_second_the_later_wins",
    "test_of_two_writers_of_one_version_one_wins_and_the_other_can_come_again",
    "test_the_ledger_remembers_forty_days",
    "test_the_newest_name_wins_in_whatever_order_it_comes",
    "test_the_newest_opt_out_and_all_ties_are_kept",
    "test_ties_are_added_and_removed",
]

pytestmark = pytest.mark.stack


@pytest.fixture
def store(local: Local) -> DynamoStore:
    store = DynamoStore(local.stack.clients.dynamodb, local.stack.state_table)
    for kept in store.everything():
        store.delete(kept.kind, kept.key)
    return store
