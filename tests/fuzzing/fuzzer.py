"""Runs a target on generated inputs, and makes the first input that fails as small as Hypothesis can.

A check fails by any exception, by taking more processor time than `MOST_SECONDS` or more real time than `LONGEST_WAIT`,
or by needing more memory than `MORE_MEMORY`.
"""

from __future__ import annotations

import hashlib
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing.mutations import edited
from tests.fuzzing.targets import FAILING, TARGETS

__all__ = ["FuzzResult", "Hang", "fuzz", "fuzz_target", "guarded", "save"]

MOST_SECONDS = 5.0
"""Processor time of one input. Each takes milliseconds; pauses of a busy machine don't count."""
LONGEST_WAIT = 60.0
"""Seconds of real time of one input: a wait takes no processor time."""
MORE_MEMORY = 1 << 30
"""Bytes that an input may need."""
BATCH = 500
"""Inputs that Hypothesis generates from one seed. It remembers them, so its memory would grow with larger batches."""

GROWTH = 64
"""MB that a process may grow after its first inputs."""
SHOWN = 2000
"""Bytes of an input that are printed."""
AGAIN = "to check it again: python -m pytest tests/fuzzing -k"


class Hang(AssertionError):
    """The check of an input took too long."""


@dataclass(slots=True)
class FuzzResult:
    """The number of inputs that were checked, and the smallest one that failed, with its exception, if there is one."""

    inputs: int = 0
    failing: bytes | None = None
    error: BaseException | None = None
    seed: int = 0
    """The seed of the batch that failed, or of the next one."""


def fuzz(
    check: Callable[[bytes], None],
    corpus: Sequence[bytes],
    *,
    first_seed: int,
    inputs: int | None = None,
    seconds: float | None = None,
) -> FuzzResult:
    """Check edited inputs until one fails, or until so many were checked, or so many seconds have passed."""
    result = FuzzResult(seed=first_seed)
    end = None if seconds is None else time.monotonic() + seconds

    def counted(data: bytes) -> None:
        result.inputs += 1
        try:
            guarded(check, data)
        except BaseException as error:
            result.failing, result.error = data, error  # the last one that Hypothesis tries is the smallest
            raise

    while (inputs is None or result.inputs < inputs) and (end is None or time.monotonic() < end):
        left = BATCH if inputs is None else min(BATCH, inputs - result.inputs)
        try:
            _batch(counted, corpus, result.seed, left)
        except BaseException:
            if result.error is None:
                raise
            return result
        result.seed += 1
    return result


def _batch(check: Callable[[bytes], None], corpus: Sequence[bytes], number: int, inputs: int) -> None:
    """Check inputs from one seed; raise what the smallest failing one raises."""

    @seed(number)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(edited(corpus))
    def run(data: bytes) -> None:
        check(data)

    run()


def guarded(check: Callable[[bytes], None], data: bytes) -> None:
    """Check one input.

    :raises Hang: if it takes more than `MOST_SECONDS` of processor time, or `LONGEST_WAIT`.
    :raises MemoryError: if it needs more than `MORE_MEMORY`.
    """
    with _time_limit(signal.SIGPROF, MOST_SECONDS), _time_limit(signal.SIGALRM, LONGEST_WAIT), _memory_limit():
        check(data)


_TIMERS = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}


@contextmanager
def _time_limit(kind: signal.Signals, seconds: float) -> Iterator[None]:
    handler = signal.signal(kind, _on_time_out)
    timer = signal.setitimer(_TIMERS[kind], seconds)
    try:
        yield
    finally:
        signal.setitimer(_TIMERS[kind], 0)
        signal.signal(kind, handler)
        signal.setitimer(_TIMERS[kind], *timer)  # pytest may have one


def _on_time_out(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGPROF:
        raise Hang(f"an input took more than {MOST_SECONDS:g} s of processor time")
    raise Hang(f"an input took more than {LONGEST_WAIT:g} s")


@contextmanager
def _memory_limit() -> Iterator[None]:
    """Let this process get only `MORE_MEMORY` more than it has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit if soft == resource.RLIM_INFINITY else min(soft, limit), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def save(data: bytes, folder: Path) -> Path:
    """Write a failing input into a folder, under the hash of its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def fuzz_target(name: str, first_seed: int, inputs: int | None, seconds: float | None) -> int:
    """Fuzz one target and print the result; return 1 if an input failed or the memory grew."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        corpus = target.corpus(Path(folder))
    begin = time.monotonic()
    warm = fuzz(target.check, corpus, first_seed=first_seed, inputs=min(inputs or 1000, 1000))
    before = _memory()
    result = warm
    if warm.failing is None:
        left = None if inputs is None else inputs - warm.inputs
        result = fuzz(target.check, corpus, first_seed=warm.seed, inputs=left, seconds=seconds)
        result.inputs += warm.inputs
    took, growth = time.monotonic() - begin, _memory() - before
    if result.failing is None or result.error is None:
        grown = f"; the memory grew by {growth:.0f} MB, more than {GROWTH} MB" if growth > GROWTH else ""
        print(f"{name:<18}{result.inputs:>9,} inputs, {result.inputs / took:,.0f}/s{grown}", flush=True)
        return int(bool(grown))
    path = save(result.failing, FAILING / name)
    shown = repr(result.failing[:SHOWN]) + ("…" if len(result.failing) > SHOWN else "")
    print(f"{name:<18}an input fails after {result.inputs:,}:\n{shown}\nsaved in {path}; {AGAIN} {name}")
    print("".join(traceback.format_exception(result.error)), flush=True)
    return 1


def _memory() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
