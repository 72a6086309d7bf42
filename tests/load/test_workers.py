"""More than one process: agents, owners and rate are leased to workers, and anew when one of them dies."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

from tests.load.conftest import MIX, OWNERS, Start, await_log, counts, failures, free_port, requests

SHAPE = ("-u", 12, "-r", 12, "--reel-patience", "2s", "--reel-spacing", "constant", *MIX, *OWNERS)
LOOPBACK = ("--master-host", "127.0.0.1")


def totals(out: str) -> tuple[int, ...]:
    """Sent, acknowledged, expected, answered, of all owners together."""
    found = re.search(r"^All +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)", out, re.MULTILINE)
    assert found
    return tuple(int(number.replace(",", "")) for number in found.groups())


def test_a_master_and_two_workers_send_what_is_due_once(rogue: Callable[..., str], locust: Start, tmp_path: Path):
    url, port = rogue(drop=10, double=10), free_port()
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


def test_the_share_of_a_worker_that_died_goes_to_the_other(rogue: Callable[..., str], locust: Start):
    """Without a new lease hardly more than half would be sent: 1,440 are due, and the death comes early.

    How much more depends on when Locust notices it, which takes longer on a busy machine.
    """
    url, port = rogue(), free_port()
    master = locust(
        *("--master", "--expect-workers", 2, "--master-bind-port", port, "--master-bind-host", "127.0.0.1"),
        *("--host", url, "--reel-rate", "steps 60,60,60,60,0 of 6s", *SHAPE, "--reel-limit", "error rate < 100%"),
    )
    workers = [locust("--worker", "--master-port", port, *LOOPBACK) for _ in range(2)]
    await_log(master, "The run begins: 12 of 12 agents can ask")
    workers[1].stop(signal.SIGKILL)
    sent, *_ = totals(master.await_end(120))
    workers[0].await_end()
    assert re.search(r"\w+ isn't heard of any more", master.err.read_text())
    assert counts(url)["answer"] > 900
    assert sent > 900
