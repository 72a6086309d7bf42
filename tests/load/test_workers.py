"""Several workers: agents, owners and rate are leased, and leases of a lost worker move to the others."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.stubs import free_port
from tests.load.conftest import MIX, OWNERS, Start, await_log, counts, failures, requests

SHAPE = ("-u", 12, "-r", 12, "--reel-patience", "2s", "--reel-spacing", "constant", *MIX, *OWNERS)
LOOPBACK = ("--master-host", "127.0.0.1")


def totals(out: str) -> tuple[int, ...]:
    """Return sent, acknowledged, expected and answered of all owners together."""
    found = re.search(r"^All +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)", out, re.MULTILINE)
    assert found
    return tuple(int(number.replace(",", "")) for number in found.groups())


def test_a_master_and_two_workers_send_each_due_request_once(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    url, port = faulty(drop=10, double=10), free_port()
    out = locust(
        *("--host", url, "--processes", 2, "--reel-rate", "steps 60,60,0 of 3s", *SHAPE, "--csv", "run"),
        *("--master-bind-port", port, "--master-port", port, "--reel-limit", "lost > 0"),
    ).await_end()
    made = counts(url)
    assert failures(tmp_path / "run") == {
        "notification: NotificationFailed('lost')": made["drop"],
        "stray: Stray('duplicate')": made["double"],
    }
    due = 6 * 60
    assert totals(out) == (due, due, due, due - made["drop"])
    rows = requests(tmp_path / "run")
    assert sum(number for (kind, _), number in rows.items() if kind == "notification") == due
    assert rows["login", "Login"] == 12


def test_workers_whose_test_starts_before_their_init_event_run_their_agents(
    faulty: Callable[..., str], locust: Start, tmp_path: Path
):
    url, port = faulty(), free_port()
    out = locust(
        *("--host", url, "--processes", 2, "--reel-rate", "steps 60,0 of 3s", *SHAPE, "--csv", "run"),
        *("--master-bind-port", port, "--master-port", port),
        file=f"agent_stats.py,{Path(__file__).with_name('slow_init.py')}",
    ).await_end()
    assert totals(out) == (180, 180, 180, 180)
    assert requests(tmp_path / "run")["login", "Login"] == 12


@pytest.mark.parametrize("load", [("--reel-rate", "soak 60 for 8s"), ("-t", "8s")], ids=["rate", "closed loop"])
def test_a_worker_that_joins_a_run_gets_half_of_the_agents(
    faulty: Callable[..., str], locust: Start, tmp_path: Path, load: tuple[str, str]
):
    """The users that the other worker stops finish their requests first."""
    url, port = faulty(), free_port()
    master = locust(
        *("--master", "--expect-workers", 1, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"),
        *("--host", url, *load, *SHAPE, "--csv", "run"),
    )
    workers = [locust("--worker", "--master-port", port, *LOOPBACK)]
    await_log(master, "The run starts: 12 of 12 agents are ready")
    workers.append(locust("--worker", "--master-port", port, *LOOPBACK))
    out = master.await_end(120)
    for worker in workers:
        worker.await_end()
    sent, *others = totals(out)
    assert others == [sent, sent, sent]
    assert sent == 480 or load[0] == "-t"
    assert "due and never sent" not in out
    assert requests(tmp_path / "run")["login", "Login"] == 18


def test_the_load_of_a_killed_worker_moves_to_the_other(faulty: Callable[..., str], locust: Start):
    """Without the move, hardly more than half of the 1,440 due requests would be sent: the worker is killed early.

    The exact number depends on when Locust notices the loss, which takes longer on a busy machine.
    """
    url, port = faulty(), free_port()
    master = locust(
        *("--master", "--expect-workers", 2, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"),
        *("--host", url, "--reel-rate", "steps 60,60,60,60,0 of 6s", *SHAPE, "--reel-limit", "error rate < 100%"),
    )
    workers = [locust("--worker", "--master-port", port, *LOOPBACK) for _ in range(2)]
    await_log(master, "The run starts: 12 of 12 agents are ready")
    workers[1].stop(signal.SIGKILL)
    sent, *_ = totals(master.await_end(120))
    workers[0].await_end()
    assert re.search(r"\w+ is lost: no report in time", master.err.read_text())
    assert counts(url)["answer"] > 900
    assert sent > 900


def test_users_that_still_wait_for_an_agent_at_the_end_log_nothing(
    faulty: Callable[..., str], locust: Start, tmp_path: Path
):
    """Locust moves the users of a killed worker after three seconds, and its agents are free after seven: too late."""
    url, port = faulty(delay=1000), free_port()
    (tmp_path / "users.csv").write_text("user,password\n" + "".join(f"agent-{number},-\n" for number in range(12)))
    master = locust(
        *("--master", "--expect-workers", 2, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"),
        *("--host", url, "--reel-rate", "soak 60 for 7s", *SHAPE, "--reel-users", "users.csv", "--reel-login", "open"),
        *("--reel-patience", "4s", "--reel-limit", "error rate < 100%"),
    )
    workers = [locust("--worker", "--master-port", port, *LOOPBACK) for _ in range(2)]
    await_log(master, "The run starts: 12 of 12 agents are ready")
    while counts(url).get("delay", 0) < 40:  # both workers have shares of the load
        time.sleep(0.1)
    workers[1].stop(signal.SIGKILL)
    master.await_end(120)
    workers[0].await_end()
    logs = master.err.read_text() + workers[0].err.read_text()
    assert "Sending spawn jobs of 12 users at 12.00 spawn rate to 1 ready workers" in logs
    assert [word for word in ("Traceback", "StopUser") if word in logs] == []
