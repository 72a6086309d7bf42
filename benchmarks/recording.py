"""Measures the cost of recording: mitmdump with the record addon against mitmdump alone, with the same upstream."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import heading, in_turn
from benchmarks.http_load import post, requests_per_second
from benchmarks.server_processes import mitmdump, running

ROOT = Path(__file__).parents[1]


def bench(folder: Path) -> None:
    """Print the requests per second of both, and their ratio."""
    heading("Recording: RequestAgentStats through mitmdump, requests/s (goal: ratio at least 0.9)")
    request = post(
        "/api/v2/workbins",
        b'{"operationName":"RequestAgentStats","workbinType":"Place","workbinOwner":"Place1"}',
        Cookie="JSESSIONID=1x0kd8z7wq2n41bench",
        Accept="application/json",
    )
    upstream = [sys.executable, str(Path(__file__).with_name("record_upstream.py"))]
    with running(upstream, folder / "upstream.log", r"port (\d+)") as behind:
        mode = ("--mode", f"reverse:http://127.0.0.1:{behind.port}")
        record = ("-s", str(ROOT / "proxy_addons" / "record.py"), "--set", f"reel_out={folder / 'bench.jsonl'}")
        with mitmdump(folder / "record.log", *mode, *record) as ours, mitmdump(folder / "bare.log", *mode) as bare:
            in_turn(
                ("record addon", "mitmdump alone"),
                (lambda: requests_per_second(ours.port, request), lambda: requests_per_second(bare.port, request)),
                "requests/s",
            )
