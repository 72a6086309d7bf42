"""Measures the cost of recording: mitmdump with the record addon against mitmdump alone, with the same upstream.

Throughput, the latency of a client that sends 50 requests/s, and the time to the first event of an event stream.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import heading, in_turn, row
from benchmarks.http_load import SECONDS, MeasuredExchange, first_event_seconds, p99_seconds, post, requests_per_second
from benchmarks.server_processes import ServerProcess, mitmdump, running

ROOT = Path(__file__).parents[1]
RATE = 50  # requests/s
TURNS = 5


def bench(folder: Path) -> None:
    """Print the figures of both, and their differences."""
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
            _latency(ours, bare, request)
            _first_event(ours.port, behind.port)


def _latency(ours: ServerProcess, bare: ServerProcess, request: MeasuredExchange) -> None:
    heading(f"Recording: p99 latency at {RATE} requests/s (goal: the difference is at most 2 ms)")
    used = ours.cpu(), bare.cpu()
    pairs = [p99_seconds((ours.port, bare.port), request, RATE) for _ in range(TURNS)]
    used = ours.cpu() - used[0], bare.cpu() - used[1]
    row("record addon", [one * 1000 for one, _ in pairs], "ms")
    row("mitmdump alone", [other * 1000 for _, other in pairs], "ms")
    row("difference", [(one - other) * 1000 for one, other in pairs], "ms")
    row("processor time of the addon per request", [(used[0] - used[1]) * 1000 / (TURNS * SECONDS * RATE)], "ms")


def _first_event(ours: int, upstream: int) -> None:
    heading("Recording: time to the first event of an event stream (goal: at most 5 ms; mitmdump alone never sends it)")
    for name, port in (("record addon", ours), ("without a proxy", upstream)):
        row(name, [seconds * 1000 for seconds in first_event_seconds(port, "/events")], "ms")
