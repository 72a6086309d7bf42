"""The counts of a run are those of a server that misbehaves in known ways, exactly, and a freeze can't hide."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.load.conftest import MIX, OWNERS, Start, counts, failures, requests

RATE = ("--reel-rate", "steps 100,0 of 7s")  # the second half is for answers that come after all hope
RUN = ("-u", 20, "-r", 20, *RATE, "--reel-late", "1s", "--reel-patience", "4s", *MIX, *OWNERS, "--csv", "run")


def test_every_kind_of_failure_is_counted_as_often_as_it_was_made(
    rogue: Callable[..., str], locust: Start, tmp_path: Path
):
    fates = ["drop", "double", "owner", "type", "refuse", "deny", "stray", "after"]
    url = rogue(**dict.fromkeys(fates, 10), delay=50, early=50)
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
    assert sum(number for (kind, _), number in rows.items() if kind == "ack") == sum(made.values()) - made["goodbyes"]


def test_a_frozen_server_shows_in_the_percentiles_of_the_intended_start_alone(
    rogue: Callable[..., str], locust: Start, tmp_path: Path
):
    """3 s of 10 stood still: three requests in ten were due then. Their senders had to wait, so few were in flight."""
    url = rogue(freeze=5)
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


def test_forgotten_sessions_are_counted_and_their_agents_come_back(
    rogue: Callable[..., str], locust: Start, tmp_path: Path
):
    url = rogue(forget=10)
    locust("--host", url, *RUN, "--reel-limit", "lost > 0").await_end()
    made = counts(url)
    assert failures(tmp_path / "run") == {
        "notification: NotificationFailed('lost')": made["forget"] + made.get("forgotten notifications", 0),
        "stray: Stray('session lost')": made["forget"],
    }
    assert made["answer"] > 500


def test_closed_loop_counts_too(rogue: Callable[..., str], locust: Start, tmp_path: Path):
    url = rogue(drop=10, double=10)
    locust(
        *("--host", url, "-u", 5, "-r", 5, "-t", "6s", "--reel-patience", "2s", *MIX, *OWNERS, "--csv", "run"),
        *("--reel-limit", "lost > 0", "--reel-json", "run.json", "--reel-junit", "run.xml"),
    ).await_end()
    made = counts(url)
    assert failures(tmp_path / "run") == {
        "notification: NotificationFailed('lost')": made["drop"],
        "stray: Stray('duplicate')": made["double"],
    }
    told = json.loads((tmp_path / "run.json").read_text())
    assert (told["sent"], told["sent"] - told["answered"]) == (sum(made.values()) - made["goodbyes"], made["drop"])
    assert 'name="lost &gt; 0"' in (tmp_path / "run.xml").read_text()
