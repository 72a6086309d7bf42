"""Each kind of bad input has tests. This table lists them; it fails if one is missing."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

TABLE = {
    "truncated or foreign JSON, to a replay": (
        "bad_input/test_requests.py::test_invalid_bayeux_messages_are_rejected_with_the_reason_in_the_log",
        "bad_input/test_requests.py::test_an_unmatched_request_names_the_nearest_exchange",
        "bad_input/test_requests.py::test_a_websocket_with_invalid_messages_is_closed_with_the_reason_in_the_log",
        "proxy/test_replay_bad_input.py::test_each_bad_request_gets_the_right_status",
        "unit/engine/test_any_request.py::test_any_request_is_answered_or_held_without_an_exception",
        "unit/bayeux/test_any_input.py",
    ),
    "truncated or foreign JSON, to a recording": (
        "bad_input/test_addons.py::test_invalid_bodies_are_forwarded_unchanged_and_the_recorder_still_distils",
        "proxy/test_record.py::test_a_body_that_cannot_be_decoded_is_forwarded_and_omitted",
        "unit/recording/test_recorder.py::test_any_traffic_is_recorded_without_an_exception",
    ),
    "arrays that are no Bayeux": (
        "bad_input/test_requests.py::test_invalid_bayeux_messages_are_rejected_with_the_reason_in_the_log",
        "unit/recording/test_recorder.py::test_bayeux_is_found_by_its_shape_on_any_path",
    ),
    "huge bodies": (
        "bad_input/test_requests.py::test_a_huge_body_is_rejected",
        "bad_input/test_addons.py::test_invalid_bodies_are_forwarded_unchanged_and_the_recorder_still_distils",
        "proxy/test_replay_bad_input.py::test_a_huge_body_gets_413",
        "proxy/test_websocket_listener.py::test_binary_and_too_long_messages_close_the_connection",
    ),
    "unknown paths, wrong methods": (
        "bad_input/test_requests.py::test_an_unmatched_request_names_the_nearest_exchange",
        "bad_input/test_requests.py::test_a_wrong_method_at_the_endpoint_is_rejected",
        "unit/engine/test_handler.py::test_unmatched_requests_get_an_error_that_names_the_cause",
        "proxy/test_replay_bad_input.py::test_each_bad_request_gets_the_right_status",
    ),
    "bad cookies": (
        "bad_input/test_requests.py::test_an_invalid_cookie_starts_a_new_session",
        "bad_input/test_requests.py::test_a_client_id_without_its_cookie_is_rejected",
        "proxy/test_replay_bad_input.py::test_an_invalid_cookie_creates_a_new_session",
        "unit/engine/test_sessions.py::test_an_unknown_cookie_starts_a_new_session",
    ),
    "a scenario that is missing, empty, not YAML, has a tag bomb or a recursive anchor": (
        "bad_input/test_addons.py::test_an_invalid_scenario_prevents_the_start_of_a_replay",
        "bad_input/test_addons.py::test_a_replay_continues_when_its_scenario_file_is_deleted",
        "proxy/test_replay_options.py::test_mitmdump_ends_with_the_problem_in_its_log",
        "unit/scenario/test_yaml_reader.py::test_invalid_yaml_is_refused_with_its_position",
        "unit/scenario/test_files.py::test_the_problems_of_all_files_are_reported_together",
        "unit/scenario/test_any_file.py::test_any_bytes",
        "unit/scenario/test_any_file.py::test_a_file_cut_anywhere",
        "unit/engine/test_file_watcher.py::test_a_broken_edit_is_reported_once_with_its_line_and_nothing_is_installed",
    ),
    "a policy that is missing, empty, not YAML, has a tag bomb or a recursive anchor": (
        "bad_input/test_command_line.py::test_an_invalid_policy_is_reported_in_one_line",
        "proxy/test_record_options.py::test_an_invalid_option_at_the_start_is_logged_as_one_error",
        "unit/recording/test_policy.py::test_an_invalid_policy_is_reported_with_its_position",
    ),
    "a journal cut in mid-line": (
        "bad_input/test_command_line.py::test_a_truncated_journal_loses_only_its_last_event",
        "unit/recording/test_recording_journal.py::test_a_journal_cut_at_any_byte_loses_at_most_its_last_event",
        "unit/recording/test_recording_journal.py::test_a_recorder_continues_a_journal_that_is_cut_at_any_byte",
        "proxy/test_record.py::test_kill_9_loses_no_forwarded_event_and_a_restart_appends",
    ),
    "a journal from another version, or none": (
        "bad_input/test_command_line.py::test_invalid_input_is_reported_in_one_line",
        "unit/recording/test_recording_journal.py::test_another_file_is_rejected_and_not_changed",
    ),
    "an unwritable folder": (
        "bad_input/test_command_line.py::test_a_path_that_cannot_be_written_is_reported_on_one_line",
        "unit/recording/test_recording_journal.py::test_a_path_that_cannot_be_written_is_reported_in_one_line",
        "proxy/test_record_options.py::test_an_invalid_option_at_the_start_is_logged_as_one_error",
    ),
    "a full disk": (
        "bad_input/test_command_line.py::test_on_a_full_disk_the_old_scenario_is_kept_and_no_partial_file_is_left",
        "bad_input/test_command_line.py::test_a_full_standard_output_is_reported_in_one_line",
        "unit/recording/test_recording_journal.py::test_on_a_full_disk_traffic_continues_and_lost_events_are_reported",
        "proxy/test_record.py::test_traffic_continues_on_a_full_disk",
    ),
    "a port in use": (
        "proxy/test_record.py::test_a_port_in_use_is_reported_by_mitmproxy_and_leaves_no_journal",
        "proxy/test_replay_options.py::test_a_port_in_use_ends_mitmdump",
    ),
    "an unknown option": (
        "bad_input/test_command_line.py::test_invalid_input_is_reported_in_one_line",
        "bad_input/test_addons.py::test_a_misspelt_option_of_the_recorder_prevents_its_start",
        "proxy/test_replay_options.py::test_a_misspelt_option_is_reported_with_a_suggestion",
        "unit/cli/test_main.py::test_a_usage_error_gives_a_line_and_exit_code_2",
    ),
    "an upstream that is down or resets in mid-poll": (
        "bad_input/test_addons.py::test_a_server_reset_during_a_poll_is_answered_and_recorded_and_the_recorder_continues",
        "proxy/test_record.py::test_a_server_that_is_down",
        "proxy/test_record.py::test_a_server_that_resets_a_request",
        "proxy/test_replay.py::test_a_forward_to_a_server_that_is_down_gets_502_and_the_replay_continues",
    ),
}


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the tests of a file without importing it."""
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("kind", TABLE)
def test_a_kind_of_bad_input_has_tests(kind: str) -> None:
    for node in TABLE[kind]:
        file, _, name = node.partition("::")
        assert names_in(file), node
        assert not name or name in names_in(file), node
