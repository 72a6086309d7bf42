"""Equal log lines: the first is written at once, its repetitions as one line a second."""

from __future__ import annotations

import pytest

from cometreel.engine.log_limiter import LogLimiter
from cometreel.wire import Log

MISS = Log("warning", "no exchange answers GET /a")


@pytest.fixture
def written() -> list[str]:
    return []


@pytest.fixture
def limiter(written: list[str]) -> LogLimiter:
    return LogLimiter(lambda log: written.append(f"{log.level}: {log.text}"))


def test_repetitions_within_a_second_are_one_line_with_their_number(limiter: LogLimiter, written: list[str]):
    for number in range(2028):
        limiter.add(MISS, 5.0 + number / 4000)
    assert written == ["warning: no exchange answers GET /a"]
    assert limiter.deadline == 6.0
    limiter.advance(6.0)
    assert written == ["warning: no exchange answers GET /a", "warning: 2027 times more: no exchange answers GET /a"]
    assert limiter.deadline is None


def test_a_line_is_written_at_most_once_a_second_also_after_its_number(limiter: LogLimiter, written: list[str]):
    times = []
    for tenth in range(35):
        before = len(written)
        if limiter.deadline is not None and limiter.deadline <= tenth / 10:
            limiter.advance(tenth / 10)
        limiter.add(MISS, tenth / 10)
        times += [tenth / 10] * (len(written) - before)
    assert times == [0.0, 1.0, 2.0, 3.0]
    limiter.flush(3.5)
    assert [line.partition(" more")[0] for line in written] == [
        "warning: no exchange answers GET /a",
        "warning: 9 times",
        "warning: 10 times",
        "warning: 10 times",
        "warning: 5 times",
    ]


def test_a_line_that_comes_again_later_is_written_again(limiter: LogLimiter, written: list[str]):
    limiter.add(MISS, 0.0)
    limiter.add(MISS, 1.0)
    assert (written, limiter.deadline) == (["warning: no exchange answers GET /a"] * 2, None)


def test_different_lines_are_written_each(limiter: LogLimiter, written: list[str]):
    other = Log("error", "a responder failed")
    for log in (MISS, other, MISS, other, other):
        limiter.add(log, 0.0)
    limiter.flush(0.1)
    assert written == [
        "warning: no exchange answers GET /a",
        "error: a responder failed",
        "warning: once more: no exchange answers GET /a",
        "error: 2 times more: a responder failed",
    ]


def test_more_than_100_different_lines_a_second_are_counted(limiter: LogLimiter, written: list[str]):
    for number in range(150):
        limiter.add(Log("warning", f"no exchange answers GET /{number}"), 0.0)
    limiter.advance(1.0)
    assert written[99:] == [
        "warning: no exchange answers GET /99",
        "warning: a log line is left out: more than 100 different ones within a second",
        "warning: 49 times more: a log line is left out: more than 100 different ones within a second",
    ]
    limiter.add(Log("warning", "no exchange answers GET /later"), 1.0)
    assert written[-1] == "warning: no exchange answers GET /later"


def test_the_deadline_is_that_of_the_line_that_was_written_first(limiter: LogLimiter, written: list[str]):
    other = Log("error", "a responder failed")
    limiter.add(MISS, 0.0)
    limiter.add(other, 0.5)
    limiter.add(MISS, 0.6)
    limiter.add(other, 0.7)
    assert limiter.deadline == 1.0
    limiter.advance(1.0)
    assert limiter.deadline == 1.5
    assert written[2:] == ["warning: once more: no exchange answers GET /a"]
