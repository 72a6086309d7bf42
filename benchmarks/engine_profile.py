"""Prints where the engine spends its time: for one workbin POST and for one complete exchange, by step and by function.

The engine is called in memory, so the socket and the HTTP parser are not included; `serving` measures those. The
profile slows down short functions more than long ones, so a step is printed as its share of the profile, and as that
share of the time without profile. Compiled functions are invisible to the profiler, so only their times are printed.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from benchmarks.engine import EngineRun, bytes_per_session, collect_garbage_less_often
from benchmarks.engine_forms import ROOT, EngineForm, engine_forms
from benchmarks.figures import heading, row

PACKAGE: Final = ROOT / "cometreel"
TURNS: Final = 3
SESSIONS: Final = 1000
ROUNDS: Final = 5000
FUNCTIONS: Final = 25
STEPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "session (header fields, cookie, idle time)": (
            "wire.py",
            "identity.py",
            "engine/sessions.py",
            "engine/session_finder.py",
        ),
        "Bayeux (messages, queue, held poll)": ("bayeux/", "engine/bayeux_application.py"),
        "match (normalised request, index, guards)": ("scenario/", "engine/matching.py", "engine/handler.py"),
        "render (reply, notifications, JSON)": (
            "engine/player.py",
            "engine/rendering.py",
            "engine/static_responses.py",
            "jsonvalue.py",
        ),
        "schedule (timers, due actions, routing)": (
            "engine/scheduling.py",
            "engine/actions.py",
            "engine/notification_router.py",
            "engine/backend.py",
        ),
        "request journal": ("engine/request_journal.py",),
    }
)
"""The steps, with the files and folders of each; other functions belong to the step that calls them."""

_ProfiledFunction: TypeAlias = "tuple[str, int, str]"
_ProfileTiming: TypeAlias = "tuple[int, int, float, float, dict[_ProfiledFunction, tuple[int, int, float, float]]]"


def bench() -> None:
    """Print the times of a POST and of an exchange, their steps, and the functions with the most time."""
    run = EngineRun(10, SESSIONS)
    run.play(ROUNDS)
    collect_garbage_less_often()
    _print("One POST: reply, one notification scheduled, known session, held poll", run.post_seconds)
    _print("One exchange: POST, acknowledgement, notification, next poll", run.exchange_seconds)
    _compare_with_compiled()


def _compare_with_compiled() -> None:
    heading("The engine in pure Python and compiled (`COMETREEL_OPTIMIZE=3 make compiled`), in turn")
    forms = engine_forms()
    turns = [{form.name: _measured(form) for form in forms} for _ in range(TURNS)]
    for place, (name, unit) in enumerate((("POST", "/s"), ("exchange", "/s"), ("idle session", "bytes"))):
        for form in forms:
            row(f"{name}, {form.name}", [turn[form.name][place] for turn in turns], unit)
        for form in forms[1:]:
            row(f"ratio {form.name} : pure", [turn[form.name][place] / turn["pure"][place] for turn in turns])


def _measured(form: EngineForm) -> list[float]:
    """Measure one form of the engine, in a process of its own."""
    command = [sys.executable, "-P", "-m", "benchmarks.engine_profile"]
    environment = {**os.environ, **form.environment()}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [*map(float, done.stdout.split())]


def main() -> None:
    """Print POSTs and exchanges per second of processor time, and the bytes of an idle session."""
    run = EngineRun(10, SESSIONS)
    run.play(ROUNDS)
    collect_garbage_less_often()
    rates = [1 / min(seconds(ROUNDS) for _ in range(5)) for seconds in (run.post_seconds, run.exchange_seconds)]
    print(*rates, bytes_per_session())


def _print(title: str, seconds: Callable[[int, cProfile.Profile | None], float]) -> None:
    best = min(seconds(ROUNDS, None) for _ in range(5)) * 1e6
    print(f"\n{title}\n{'-' * len(title)}\n{best:.1f} µs, {1e6 / best:,.0f} per second of processor time", flush=True)
    profile = cProfile.Profile()
    seconds(ROUNDS, profile)
    timings = cast("Mapping[_ProfiledFunction, _ProfileTiming]", vars(pstats.Stats(profile))["stats"])
    steps, total = _by_step(timings)
    if not total:
        print("(the engine is compiled, so the profiler sees none of its functions)")
        return
    for step, spent in steps.items():
        print(f"{step:<48}{spent / total:6.0%}  {spent / total * best:5.1f} µs")
    print(f"\n{'calls':>7}  {'own time':>8}  function")
    own = sorted(timings.items(), key=lambda item: item[1][2], reverse=True)
    shown = [(where, timing) for where, timing in own if _is_engine(where[0]) or where[0] == "~"]
    for (file, line, name), (calls, _, spent, _, _) in shown[:FUNCTIONS]:
        place = name if file == "~" else f"{Path(file).relative_to(PACKAGE)}:{line} {name}"
        print(f"{calls / ROUNDS:7.2f}  {spent / ROUNDS * 1e6:5.2f} µs  {place}")


def _is_engine(file: str) -> bool:
    return file.startswith(str(PACKAGE))


def _by_step(timings: Mapping[_ProfiledFunction, _ProfileTiming]) -> tuple[dict[str, float], float]:
    """Return the profiled seconds of each step, with those of the functions outside of the package that it calls."""
    spent = dict.fromkeys(STEPS, 0.0)
    for (file, _, _), (_, _, own, _, callers) in timings.items():
        if (step := _step_of(file)) is not None:
            spent[step] += own
            continue
        for (caller, _, _), (_, _, own_there, _) in callers.items():
            if (step := _step_of(caller)) is not None:
                spent[step] += own_there
    return spent, sum(spent.values())


def _step_of(file: str) -> str | None:
    if not _is_engine(file):
        return None
    name = Path(file).relative_to(PACKAGE).as_posix()
    return next((step for step, places in STEPS.items() if name.startswith(places)), None)


if __name__ == "__main__":
    main()
