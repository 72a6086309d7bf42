"""Progress of an import: a bar on a terminal that counts to the size of the file, nothing elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

from cometreel.recording import load_policy
from cometreel.scenario import profile
from cometreel.traffic.import_traffic import import_traffic
from tests.terminal import seen_on_a_terminal
from tests.unit.traffic.har_entries import conversation, entry, har


def test_the_number_of_bytes_read_never_decreases(tmp_path: Path):
    script = entry(3, "GET", "/app.js", None, "x" * 300_000, kind="text/javascript")
    path = har(tmp_path / "a.har", [*conversation(), script, *conversation()])
    reported: list[int] = []
    import_traffic(
        path, tmp_path / "a.jsonl", policy=load_policy("default"), profile=profile("gws-v2"), progress=reported.append
    )
    assert reported == sorted(reported)
    assert len(reported) == 7
    assert reported[-1] == path.stat().st_size


def test_a_terminal_sees_a_bar(tmp_path: Path):
    path = har(tmp_path / "a.har", conversation())
    seen = seen_on_a_terminal([sys.executable, "-m", "cometreel", "import", str(path)], tmp_path)
    assert "reading" in seen
    assert "1 exchange" in seen
