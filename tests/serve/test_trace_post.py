"""The number of files that one request passes through is limited."""

from __future__ import annotations

from benchmarks.trace_post import trace

MOST_FILES = 16


def test_one_warm_post_passes_through_few_files() -> None:
    traced = trace()
    assert len(traced.files) <= MOST_FILES, traced.files
    assert {"serve/server_connections.py", "engine/player.py", "engine/request_journal.py"} <= {*traced.files}
