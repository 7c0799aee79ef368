//! What every database behind the store must do, one behaviour a function over an open [`Store`](postrider_store::Store).
//!
//! The functions know no database: `behaviours!` runs each on all, in its own [`World`]. What only SQLite's files can show
//! is in `sqlite_only`, what only a shared server can, in `postgres_only`.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests; the lint's own exception sees only what is marked as one"
)]

mod accept;
mod claim;
mod config;
mod connections;
mod history;
mod inboxes;
mod ledger;
mod pages;
mod postgres_only;
mod reap;
mod records;
mod retention;
mod runs;
mod sessions;
mod settle;
mod sqlite_only;
mod trouble;
mod world;

macro_rules! on {
    ($database:ident: $($group:ident { $($behaviour:ident),* $(,)? })*) => {
        mod $database {
            $(mod $group {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let world = crate::world::World::$database().await;
                    crate::$group::$behaviour(&world).await;
                    world.end().await;
                })*
            })*
        }
    };
}

macro_rules! behaviours {
    ($($all:tt)*) => {
        on! { sqlite: $($all)* }
        on! { postgres: $($all)* }
    };
}

behaviours! {
    records {
        a_record_is_written_with_the_event_that_it_causes_or_not_at_all,
        a_record_is_written_by_who_has_read_its_last_version,
        records_are_listed_by_kind_and_belong_to_their_tenant,
        due_times_and_marks_move_with_their_record,
        a_due_time_is_taken_once,
        a_move_is_one_commit_of_two_tenants,
        what_rules_could_not_decide_is_kept_once_for_a_record_and_rule,
        a_tick_of_the_scan_is_claimed_once,
        many_records_are_read_in_the_order_of_their_ids,
        marks_are_of_the_tenant_whose_record_it_was,
    }
    accept {
        a_commit_is_there_whole_when_it_is_acknowledged,
        a_commit_that_fails_leaves_nothing,
        the_same_id_with_the_same_content_is_the_same_event,
        the_same_id_with_other_content_is_refused_and_its_neighbours_are_not,
        a_given_time_is_part_of_the_content,
        an_id_belongs_to_its_tenant,
        ids_brought_twice_in_one_commit_make_one_event,
        an_idempotency_key_answers_again_and_does_nothing,
        an_idempotency_key_with_another_request_is_refused,
        an_idempotency_key_is_forgotten_after_a_day,
        commits_are_durable_in_the_order_of_the_queue,
        a_delivery_with_a_foreign_id_is_refused,
        a_replay_of_a_removed_event_is_not_made,
        a_job_moves_with_its_work,
        text_and_bytes_come_back_as_they_went_in,
    }
    claim {
        what_is_due_is_claimed_earliest_first_and_once,
        what_is_not_due_is_told_and_left,
        wants_are_answered_in_their_order,
        a_claim_of_another_tenant_finds_nothing,
        a_claim_handed_back_is_due_and_uses_no_attempt,
        a_claim_cannot_be_handed_back_twice,
        cancelling_takes_what_is_scheduled_and_nothing_else,
        cancelling_can_stop_at_a_moment,
        what_was_made_after_the_cause_is_not_cancelled,
        a_scan_makes_due_what_waits_for_it,
    }
    settle {
        a_result_is_written_with_its_attempt,
        a_retry_is_due_again_and_counts_on,
        a_result_under_an_older_claim_is_not_taken,
        a_final_state_never_changes,
        a_result_for_another_tenant_is_not_taken,
    }
    reap {
        a_lost_attempt_reads_unknown_and_is_sent_again,
        at_most_once_ends_with_the_outcome_unknown,
        a_lease_that_holds_is_left_alone,
        a_late_result_after_the_reaping_changes_nothing,
        more_than_a_batch_is_reaped_in_one_call,
        a_resend_is_marked_once,
    }
    ledger {
        the_ledger_balances_after_any_sequence,
        tests_and_replays_are_counted_apart,
        statistics_are_of_the_last_day_without_tests,
        latencies_fall_into_their_buckets,
    }
    history {
        pages_skip_nothing_and_repeat_nothing,
        events_are_polled_in_the_order_of_acceptance,
        events_are_filtered_by_type_and_time,
        deliveries_are_filtered_by_every_field,
        an_event_shows_all_its_deliveries,
        a_foreign_tenant_sees_nothing,
        what_is_due_is_listed_per_webhook,
        the_first_of_what_waits_is_found,
        a_webhook_is_seen_as_it_was_at_a_version,
    }
    pages {
        the_health_of_all_webhooks_is_one_answer,
        totals_are_of_all_tenants_without_tests,
        a_list_of_many_webhooks_is_in_the_order_of_its_deliveries,
        deliveries_are_found_by_what_their_last_attempt_came_to,
        a_rare_filter_looks_at_a_part_and_says_how_far_it_came,
        text_in_payloads_is_found_part_by_part,
        an_hour_is_seen_by_the_minute,
    }
    retention {
        what_is_old_goes_with_all_that_hangs_on_it,
        what_is_open_stays,
        a_young_replay_keeps_its_event,
        more_than_a_batch_goes_in_one_call,
        the_ledger_keeps_its_counts,
        a_webhook_remembers_when_it_fired_last,
        old_answers_are_forgotten,
        where_a_delivery_goes_is_written_with_it_and_goes_with_it,
    }
    config {
        a_cold_write_that_is_dropped_is_undone,
        null_is_not_read_into_a_plain_type,
        a_statement_with_too_few_values_is_refused,
        a_taken_key_is_told_as_such,
        cold_and_hot_writes_take_turns,
        a_sealed_secret_opens_after_a_restart,
    }
    runs {
        a_run_begins_with_what_it_was_given,
        the_same_key_starts_one_run_until_it_is_forgotten,
        many_with_one_key_in_one_moment_start_one_run,
        a_request_that_starts_nothing_is_written_down,
        a_moment_of_a_clock_is_decided_once,
        an_event_starts_its_runs_once,
        a_slot_takes_as_many_as_it_says,
        a_slot_passes_on_in_order_however_its_run_ends,
        a_later_run_takes_the_place_of_those_that_wait_too,
        never_are_more_active_than_a_slot_takes,
        what_a_step_made_and_how_far_its_run_has_come_is_one_commit,
        a_write_under_an_older_claim_changes_nothing,
        what_has_ended_never_changes,
        a_run_is_cancelled_wherever_it_stands,
        a_wait_ends_at_its_time_or_when_it_is_woken,
        a_run_that_went_on_to_another_wait_is_not_woken_from_the_first,
        who_waits_for_a_run_is_woken_by_its_end_and_by_nothing_else,
        an_emit_under_a_taken_id_fails_its_step_in_the_same_commit,
        due_runs_are_claimed_earliest_first_and_as_many_as_asked,
        a_claim_handed_back_is_due_at_once_under_a_new_one,
        a_run_whose_worker_is_gone_is_due_and_one_in_hand_stays,
        what_is_old_and_has_ended_goes,
        refused_requests_are_kept_up_to_a_number,
        what_triggers_took_long_ago_is_forgotten,
        runs_and_requests_are_listed_newest_first_by_every_field,
        runs_are_there_after_a_restart,
    }
    inboxes {
        an_inbox_keeps_its_newest_requests,
        an_inbox_answers_what_it_is_told_and_belongs_to_its_tenant,
        an_inbox_is_deleted_with_what_came_to_it,
        what_came_to_inboxes_goes_when_it_is_old,
    }
    connections {
        a_lease_is_taken_by_one_and_by_another_when_it_ends,
        a_connection_belongs_to_its_tenant_and_its_version,
        what_expires_soon_is_listed_the_first_to_expire_first,
        an_authorization_is_taken_once_and_the_oldest_make_room,
        a_secret_is_written_over_read_by_name_and_deleted,
    }
    sessions {
        a_session_is_found_until_it_ends_or_expires,
        a_session_ends_with_its_key_and_with_its_tenant,
        a_link_is_used_by_one_of_many,
        portal_sessions_are_listed_newest_first_and_belong_to_their_tenant,
        open_sessions_are_counted_by_tenant_and_by_key,
        what_expired_long_ago_goes,
    }
    trouble {
        one_bad_piece_does_not_fail_its_batch,
        a_panic_in_a_piece_is_that_pieces_failure,
        more_than_the_queue_holds_is_refused_and_results_are_not,
        what_is_queued_at_the_close_is_written,
        after_the_close_work_is_refused,
        everything_is_there_after_a_restart,
    }
}
