"""The order of a recorder's calls: quick ones run at once, slow ones and those after them on a thread."""

from __future__ import annotations

import threading

from cometreel.recording.write_queue import WriteQueue

SLOW = b'{"a":1}' * 20_000


def test_a_quick_call_runs_at_once_on_the_same_thread():
    done: list[int] = []
    WriteQueue(lambda _: None).run(lambda: done.append(threading.get_ident()), b"{}")
    assert done == [threading.get_ident()]


def test_calls_after_a_slow_one_wait_for_it_in_order_and_the_caller_goes_on():
    queue, release, done = WriteQueue(lambda _: None), threading.Event(), list[str]()

    def slow() -> None:
        release.wait(30)
        done.append("slow")

    queue.run(slow, SLOW)
    queue.run(lambda: done.append("quick"), b"{}")
    queue.run(lambda: done.append("text"), "x")
    assert (done, queue.is_idle) == ([], False)
    release.set()
    queue.wait()
    assert done == ["slow", "quick", "text"]
    queue.close()
    assert queue.is_idle
    queue.run(lambda: done.append("later"), SLOW)
    queue.close()
    assert done[-1] == "later", "it can be used again"


def test_too_many_waiting_bytes_are_reported():
    queue, release = WriteQueue(lambda _: None), threading.Event()
    queue.run(lambda: assert_true(release.wait(30)), b"x" * 50_000_000)
    assert [queue.has_space(b"x" * size) for size in (1_000, 20_000_000)] == [True, False]
    release.set()
    queue.close()
    assert queue.has_space(b"x" * 20_000_000)


def assert_true(value: bool) -> None:
    assert value


def test_a_call_that_fails_is_reported_without_values_and_the_next_ones_run():
    reports: list[str] = []
    queue, done = WriteQueue(reports.append), list[int]()

    def fail() -> None:
        raise IndexError("a secret value")

    for body in (b"{}", SLOW):
        queue.run(fail, body)
        queue.run(lambda: done.append(1), b"{}")
    queue.close()
    assert reports == ["an event was not recorded: IndexError; please report this bug"] * 2
    assert done == [1, 1]
