"""The counts of a run equal the faults of the server, and a freeze shows in the latencies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.load.conftest import MIX, OWNERS, Start, counts, failures, requests

RATE = ("--reel-rate", "steps 100,0 of 7s")  # the second half waits for late-after-lost notifications
RUN = ("-u", 20, "-r", 20, *RATE, "--reel-late", "1s", "--reel-patience", "4s", *MIX, *OWNERS, "--csv", "run")


def test_every_kind_of_failure_is_counted_exactly(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    faults = ["drop", "double", "owner", "type", "refuse", "deny", "stray", "after"]
    url = faulty(**dict.fromkeys(faults, 10), delay=50, early=50)
    locust("--host", url, *RUN, "--reel-limit", "lost > 0").await_end()
    made, found = counts(url), failures(tmp_path / "run")
    assert found == {
        "notification: NotificationFailed('late')": made["delay"],
        "notification: NotificationFailed('lost')": made["drop"] + made["after"],
        "notification: NotificationFailed('wrong Owner')": made["owner"],
        "notification: NotificationFailed('wrong Type')": made["type"],
        "ack: PostFailed('HTTP 503')": made["refuse"],
        "ack: PostFailed('statusCode 5')": made["deny"],
        "stray: Stray('duplicate')": made["double"],
        "stray: Stray('unexpected')": made["stray"],
        "stray: Stray('late-after-lost')": made["after"],
    }
    rows = requests(tmp_path / "run")
    assert (
        sum(number for (kind, _), number in rows.items() if kind == "ack") == sum(made.values()) - made["disconnects"]
    )


def test_a_frozen_server_shows_in_latencies_from_the_intended_start_only(
    faulty: Callable[..., str], locust: Start, tmp_path: Path
):
    """The server stops for 3 of 10 s, so three in ten requests are due then. Few are in flight, since agents wait."""
    url = faulty(freeze=5)
    steps = ("--reel-rate", "steps 100,100,0 of 5s", "--reel-spacing", "constant", "--reel-patience", "8s")
    limits = (
        "notification p80 > 700ms",
        "notification p50 < 500ms",
        "notification p90 actual < 500ms",
        "lost == 0",
        "error == 0",
    )
    arguments = [word for limit in limits for word in ("--reel-limit", limit)]
    locust("--host", url, "-u", 20, "-r", 20, *steps, *MIX, *OWNERS, *arguments).await_end()
    assert counts(url)["freeze"] == 1


def test_lost_sessions_are_counted_and_restored(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    url = faulty(forget=10)
    locust("--host", url, *RUN, "--reel-limit", "lost > 0").await_end()
    made = counts(url)
    assert failures(tmp_path / "run") == {
        "notification: NotificationFailed('lost')": made["forget"] + made.get("forgotten notifications", 0),
        "stray: Stray('session lost')": made["forget"],
    }
    assert made["answer"] > 500


def test_counts_of_a_closed_loop(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    url = faulty(drop=10, double=10)
    locust(
        *("--host", url, "-u", 5, "-r", 5, "-t", "6s", "--reel-patience", "2s", *MIX, *OWNERS, "--csv", "run"),
        *("--reel-limit", "lost > 0", "--reel-json", "run.json", "--reel-junit", "run.xml"),
    ).await_end()
    made = counts(url)
    assert failures(tmp_path / "run") == {
        "notification: NotificationFailed('lost')": made["drop"],
        "stray: Stray('duplicate')": made["double"],
    }
    report = json.loads((tmp_path / "run.json").read_text())
    assert (report["sent"], report["sent"] - report["answered"]) == (
        sum(made.values()) - made["disconnects"],
        made["drop"],
    )
    assert 'name="lost &gt; 0"' in (tmp_path / "run.xml").read_text()


def test_a_host_is_the_only_option_that_a_run_needs(faulty: Callable[..., str], locust: Start, tmp_path: Path):
    run = locust("--host", faulty(), "-t", "4s", "--reel-json", "run.json")
    run.await_end()
    report = json.loads((tmp_path / "run.json").read_text())
    assert list(report["entries"]) == ["Agent", "All"]
    assert report["sent"] == report["answered"] > 100
    (note,) = [line for line in run.err.read_text().splitlines() if "the mix is" in line]
    assert note.endswith(
        "the mix is agent=100: no owners are given for place, agent-group, place-group, user; "
        "add them, such as --reel-owners 'place=Place{1..10}'"
    )
