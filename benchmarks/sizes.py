"""Measures large inputs: memory of an import, a distillation and a load as multiples of the input, and a miss.

Each measurement is a process of its own. Times are CPU times, so that other processes don't affect them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import heading, row
from cometreel.recording import Recorder, load_policy
from cometreel.scenario import profile
from cometreel.wire import Headers

MEGABYTE = 1_000_000
INPUT = 50 * MEGABYTE
JOURNAL_LINES = 200_000
EXCHANGES = 60_000

_PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
_COMMAND = f"import sys; from cometreel.cli import run; assert run(sys.argv[1:]) == 0; {_PEAK}"
_LOAD = """
import sys, time
from cometreel.scenario import load
started = time.process_time()
scenario = load(sys.argv[1])
print(time.process_time() - started)
import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
_MISS = """
import sys, time
from itertools import count
from cometreel.engine import Backend
from cometreel.engine.replay_settings import ReplaySettings
from cometreel.scenario import load
from cometreel.wire import Headers, Request
backend, samples = Backend(load(sys.argv[1]), ReplaySettings(seed="bench")), []
for number in range(30):
    body = b'{"operationName":"RequestAgentStats","workbinOwner":"Nobody%d"}' % number
    request = Request(number + 1, "POST", "/api/v2/workbins", "", Headers([("Cookie", "JSESSIONID=x")]), body)
    started = time.process_time()
    backend.receive(request, number * 1.0)
    samples.append(time.process_time() - started)
print(*(1000 * each for each in sorted(samples)))
"""


def bench(folder: Path) -> None:
    """Print the figures, those that take the least time first."""
    scenario = _written(folder / "large.yaml", _scenario)
    heading(f"A scenario of 50 MB with {EXCHANGES:,} exchanges (goals: loads in 12 s, a miss takes at most 5 ms)")
    seconds, peak = (float(line) for line in _output(_LOAD, str(scenario)).split())
    row("load", [seconds], "s")
    row("miss", [float(each) for each in _output(_MISS, str(scenario)).split()], "ms")
    heading("Large inputs: peak memory as a multiple of the input (goal: at most 4)")
    row("load of a scenario of 50 MB", [peak / scenario.stat().st_size])
    har = _written(folder / "bench.har", _har)
    row("import of a HAR file of 50 MB", [_peak(har, _COMMAND, "import", str(har))])
    journal = _written(folder / "bench.jsonl", _journal)
    row(f"distill of {JOURNAL_LINES:,} journal lines", [_peak(journal, _COMMAND, "distill", str(journal))])


def _written(path: Path, parts: Callable[[], Iterator[str]]) -> Path:
    with path.open("w") as file:
        file.writelines(parts())
    return path


def _output(program: str, *arguments: str) -> str:
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"a benchmark failed: {ended.stderr[-2000:]}")
    return ended.stdout


def _peak(source: Path, program: str, *arguments: str) -> float:
    return float(_output(program, *arguments).split()[-1]) / source.stat().st_size


def _stats(number: int) -> dict[str, object]:
    """Return a body of about 500 bytes."""
    stats = {
        f"workbin-{number}-{each}": {"Count": each, "Owner": f"Place{number}", "Type": "Place"} for each in range(8)
    }
    return {"statusCode": 0, "referenceId": number + 1, "workbinStats": stats}


def _har() -> Iterator[str]:
    size, number = 0, 0
    yield '{"log": {"version": "1.2", "entries": ['
    while size < INPUT:
        entry = json.dumps(_har_entry(number))
        yield f"{',' if number else ''}{entry}"
        size, number = size + len(entry), number + 1
    yield "]}}"


def _har_entry(number: int) -> dict[str, object]:
    asked = json.dumps({"operationName": "RequestAgentStats", "workbinOwner": f"Place{number}"})
    headers = [{"name": f"X-Field-{each}", "value": "v" * 40} for each in range(8)]
    kind = {"name": "Content-Type", "value": "application/json"}
    hour, minute, second, tenth = 10 + number // 36000, number // 600 % 60, number // 10 % 60, number % 10
    return {
        "startedDateTime": f"2026-11-23T{hour:02}:{minute:02}:{second:02}.{tenth}Z",
        "time": 20,
        "request": {
            "method": "POST",
            "url": "https://gws.example/api/v2/workbins",
            "httpVersion": "HTTP/1.1",
            "headers": [*headers, kind, {"name": "Cookie", "value": "JSESSIONID=0123456789abcdef"}],
            "cookies": [],
            "queryString": [],
            "postData": {"mimeType": "application/json", "text": asked},
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": [*headers, kind],
            "cookies": [],
            "content": {"mimeType": "application/json", "text": json.dumps(_stats(number))},
        },
        "timings": {"send": 0, "wait": 20, "receive": 0},
    }


def _journal() -> Iterator[str]:
    """Yield the lines of one recorded call again and again, each time with another owner."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.jsonl")
        recorder = Recorder(path, policy=load_policy("default"), profile=profile("gws-v2"), clock=lambda: 0.0)
        fields = Headers([("Content-Type", "application/json"), ("Cookie", "JSESSIONID=0123456789abcdef")])
        asked = {"operationName": "RequestAgentStats", "workbinOwner": "Place0"}
        recorder.request(
            "1", "POST", "https://gws.example/api/v2/workbins", fields, json.dumps(asked).encode(), wanted=True
        )
        recorder.reply("1", 200, Headers([("Content-Type", "application/json")]), json.dumps(_stats(0)).encode())
        recorder.close()
        head, *lines = path.read_text().splitlines(keepends=True)
    yield head
    for number in range(JOURNAL_LINES // len(lines)):
        for line in lines:
            yield line.replace('"f1"', f'"f{number}"').replace("Place0", f"Place{number}")


def _scenario() -> Iterator[str]:
    yield "cometreel: 1\ncorrelation: gws-v2\nexchanges:\n"
    for number in range(EXCHANGES):
        yield f"""
  - name: stats of place {number}
    request:
      method: POST
      path: /api/v2/workbins
      body:
        operationName: RequestAgentStats
        workbinType: Place
        workbinOwner: Place{number}
    reply:
      after: 34ms
      status: 200
      headers:
        Content-Type: application/json
        X-Request: request-{number}
      body:
        statusCode: 0
        referenceId: {number + 1}
    events:
      - after: 120ms
        channel: /v2/me/workbins
        data:
          messageType: WorkbinStatsMessage
          referenceId: {number + 1}
          workbinStats:
            861640a2-{number}:
              Count: 1
              Owner: Place{number}
              Type: Place
              Description: {"a workbin of the bench " * 8}
"""
