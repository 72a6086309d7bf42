"""Runs a server for an hour at half of its load, over every transport, and plots its memory and file descriptors.

`python -m benchmarks.soak [--minutes M]` raises the rate until the server uses half of a processor; if the clients are
not fast enough for that, it halves their rate. It keeps this rate and samples the server. The slopes of memory and
descriptors after the first quarter must be zero within their noise. The samples and the plot are in `build/soak`. A
client that gets a wrong reply, or none in 20 seconds, ends the run with an error. In the end, each client plays one
more exchange, so that a server that has just fallen silent is noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, linear_regression, median
from typing import NamedTuple

import uvloop

from benchmarks.engine import scenario
from benchmarks.engine_forms import ROOT
from benchmarks.loads.soak_clients import ClientFailed, SoakClients
from benchmarks.server_processes import ServerProcess, on_client_core
from benchmarks.servers import serve

MINUTES = 60.0
HALF = 0.5  # of one processor
FIRST_RATE = 50.0  # exchanges per second; the lowest rate, too
CLIENTS = 300
SAMPLES = 360  # in all
RAMP = 0.1
"""The part of the time in which the rate is adapted."""
KEPT = 0.8
"""The clients are not faster if they play less than this part of the exchanges that are due."""
WARM = 0.25
"""The part of the time before slopes are measured: caches, the request journal and the idle sessions fill up."""
BLOCKS = 20
"""The samples of a slope are replaced by so many medians: neighbours are not independent of each other."""
NOISE = 2.5  # standard errors
MOST_REPEATED = 0.9  # the largest autocorrelation that is assumed: more can't be told from so few blocks
IDLE = "20s"
"""How long the session of a client that has left stays open."""


class Sample(NamedTuple):
    """The state of the server. `rate` and `processor` are exchanges and seconds of processor time per second."""

    seconds: float
    memory: float
    """Resident MB."""
    descriptors: int
    rate: float
    processor: float


@dataclass(frozen=True, slots=True)
class Slope:
    """A growth per hour and its standard error."""

    per_hour: float
    error: float

    @property
    def is_zero(self) -> bool:
        """True if the growth is not more than noise."""
        return self.per_hour <= NOISE * self.error

    def __str__(self) -> str:
        return f"{self.per_hour:+.3g} ± {self.error:.2g} per hour"


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the slope of values over seconds, of the medians of blocks, by least squares.

    Memory changes in steps of the allocator, so neighbouring blocks depend on each other. The standard error takes that
    into account by the autocorrelation of the deviations, as is usual for trends of the climate (Santer et al. 2000,
    doi:10.1029/1999JD901105): of n blocks, n(1 - r)/(1 + r) are independent.
    """
    size = max(1, len(points) // BLOCKS)
    blocks = [points[start : start + size] for start in range(0, len(points) - size + 1, size)]
    times = [fmean(at for at, _ in block) / 3600 for block in blocks]
    values = [median(value for _, value in block) for block in blocks]
    mean_time = fmean(times)
    spread = sum((at - mean_time) ** 2 for at in times)
    if len(blocks) < 3 or not spread:
        return Slope(0.0, math.inf)
    found, start = linear_regression(times, values)
    left = [value - start - found * at for at, value in zip(times, values, strict=True)]
    squares = sum(each * each for each in left)
    repeated = min(max(sum(one * other for one, other in pairwise(left)) / (squares or 1), 0.0), MOST_REPEATED)
    return Slope(found, math.sqrt(squares / (len(blocks) - 2) / spread * (1 + repeated) / (1 - repeated)))


async def soak(server: ServerProcess, seconds: float) -> tuple[list[Sample], SoakClients]:
    """Run the clients, and sample the server. In the end, each client must complete one more exchange.

    :raises ClientFailed: if one of them fails.
    """
    clients = SoakClients(server.port, CLIENTS, FIRST_RATE)
    running = [asyncio.ensure_future(clients.run(number)) for number in range(clients.number)]
    begin, samples, pause = time.monotonic(), list[Sample](), seconds / SAMPLES
    done, cpu, at, is_limited = 0, server.cpu(), begin, False
    try:
        while at - begin < seconds:
            finished, _ = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_EXCEPTION)
            for failed in finished:
                failed.result()
            now, total, spent = time.monotonic(), sum(clients.exchanges.values()), server.cpu()
            rate, used = (total - done) / (now - at), (spent - cpu) / (now - at)
            samples.append(Sample(now - begin, server.memory() / 1e6, server.descriptors(), rate, used))
            if now - begin < RAMP * seconds and not is_limited and len(samples) > 1:
                is_limited = rate < KEPT * clients.rate
                faster = clients.rate * min(2.0, max(0.5, HALF / max(used, 0.01)))
                clients.rate = max(FIRST_RATE, HALF * rate if is_limited else faster)  # a sample may have no exchange
            done, cpu, at = total, spent, now
        clients.ending.set()
        await asyncio.gather(*running)
    finally:
        for each in running:
            each.cancel()
        with suppress(Exception):
            await asyncio.gather(*running, return_exceptions=True)
    return samples, clients


def plot(samples: Sequence[Sample], found: dict[str, Slope]) -> str:
    """Return an SVG image: memory, descriptors and rate over time, each from zero to its maximum."""
    rows = (
        ("memory, MB", [each.memory for each in samples]),
        ("file descriptors", [float(each.descriptors) for each in samples]),
        ("exchanges per second", [each.rate for each in samples]),
    )
    parts = [*_plot_rows([each.seconds for each in samples], rows, found)]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 620" font-family="sans-serif" font-size="14">'
        f'<rect width="900" height="620" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _plot_rows(
    times: Sequence[float], rows: Sequence[tuple[str, list[float]]], found: dict[str, Slope]
) -> Iterator[str]:
    end = times[-1]
    for number, (name, values) in enumerate(rows):
        top, highest = 40 + 200 * number, max(*values, 1.0) * 1.1
        points = " ".join(
            f"{20 + 860 * at / end:.1f},{top + 140 - 140 * value / highest:.1f}"
            for at, value in zip(times, values, strict=True)
        )
        measured = f"; slope {found[name]}" if name in found else ""
        yield f'<text x="20" y="{top - 12}">{name}: {min(values):,.1f} to {max(values):,.1f}{measured}</text>'
        yield f'<path d="M20 {top}V{top + 140}H880" fill="none" stroke="#888"/>'
        yield f'<polyline points="{points}" fill="none" stroke="#1965b0" stroke-width="1.5"/>'
        yield f'<text x="880" y="{top + 156}" text-anchor="end" font-size="11">{end / 60:.1f} min</text>'


def main() -> int:
    """Run the soak, print the slopes and write the plot; return 1 if a client failed, or memory or descriptors grow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Look for growth under load.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="the duration (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak", help="the folder of samples and plot")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    on_client_core()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "soak.yaml")
        file.write_text(json.dumps({**json.loads(scenario(10, after="5ms")), "session": {"max_idle": IDLE}}))
        with serve(Path(folder), file) as server:
            log = Path(folder, "serve-soak-pure.log")
            try:
                samples, clients = uvloop.run(soak(server, options.minutes * 60))
            except ClientFailed as error:
                print(f"{error}\nthe end of the server's log:\n{log.read_text()[-3000:]}")
                return 1
            messages = log.read_text()
    measured = [each for each in samples if each.seconds >= WARM * options.minutes * 60]
    found = {
        "memory, MB": slope([(each.seconds, each.memory) for each in measured]),
        "file descriptors": slope([(each.seconds, each.descriptors) for each in measured]),
    }
    for transport, exchanges in clients.exchanges.items():
        print(f"{transport:<18}{exchanges:>10,} exchanges, {clients.sessions[transport]:,} sessions")
    print(f"{'processor':<18}{fmean(each.processor for each in measured):>10.0%} used by the server")
    for name, growth in found.items():
        print(f"{name:<18}{'no growth' if growth.is_zero else 'GROWS'}: {growth}")
    (options.out / "samples.tsv").write_text(
        "\n".join(["\t".join(Sample._fields), *("\t".join(f"{value:.6g}" for value in each) for each in samples)])
        + "\n"
    )
    (options.out / "soak.svg").write_text(plot(samples, found), "utf-8")
    print(options.out / "soak.svg")
    if "Traceback" in messages:
        print(f"the server logged a traceback:\n{messages[-3000:]}")
    return int("Traceback" in messages or not all(growth.is_zero for growth in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
