"""The progress bar: on a terminal it counts up to the size of the file, elsewhere there is none."""

from __future__ import annotations

import sys
from pathlib import Path

from cometreel.recording import load_policy
from cometreel.scenario import profile
from cometreel.traffic.import_traffic import import_traffic
from tests.terminal import seen_on_a_terminal
from tests.unit.traffic.har_entries import conversation, entry, har


def test_it_is_told_how_much_has_been_read_and_never_less_than_before(tmp_path: Path):
    script = entry(3, "GET", "/app.js", None, "x" * 300_000, kind="text/javascript")
    path = har(tmp_path / "a.har", [*conversation(), script, *conversation()])
    told: list[int] = []
    import_traffic(
        path, tmp_path / "a.jsonl", policy=load_policy("default"), profile=profile("gws-v2"), progress=told.append
    )
    assert told == sorted(told)
    assert len(told) == 7
    assert told[-1] == path.stat().st_size


def test_a_terminal_sees_a_bar(tmp_path: Path):
    path = har(tmp_path / "a.har", conversation())
    seen = seen_on_a_terminal([sys.executable, "-m", "cometreel", "import", str(path)], tmp_path)
    assert "reading" in seen
    assert "1 exchange" in seen
