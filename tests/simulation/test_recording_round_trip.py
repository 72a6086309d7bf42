"""A recorded run is replayed to the same clients with equal messages, or with a stated reason for each difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cometreel.recording import correlation, distill, drafts, identities, receivers, recorder
from cometreel.recording.recording_journal import key_path, read_journal
from cometreel.scenario import dump, loads
from tests.simulation.__main__ import main
from tests.simulation.recording_round_trip import (
    DOCUMENTED,
    RoundTrip,
    broken_round_trip,
    cuts_of,
    recordable_plan,
    report_failure,
    round_trip,
)
from tests.simulation.transcript import check_printed

SEEDS = range(48)
RARE = (256, 263, 291, 352)
"""Seeds in which only the reference number joins a notification to its request."""
FOUND = (417, 608, 726, 7140, 9960, 130_080)
"""Seeds that failed once."""
RECORD_PAGE = Path(__file__).parents[2] / "docs" / "record.md"


def tripped(seed: int, folder: Path) -> RoundTrip:
    """Return the round trip of a seed."""
    return round_trip(recordable_plan(seed), folder / f"seed-{seed}.jsonl")


@pytest.mark.parametrize("seeds", [*(SEEDS[first : first + 12] for first in range(0, len(SEEDS), 12)), FOUND])
def test_each_difference_between_a_recording_and_its_replay_has_a_reason(tmp_path: Path, seeds: Sequence[int]):
    results = [tripped(seed, tmp_path) for seed in seeds]
    for seed, result in zip(seeds, results, strict=True):
        assert (seed, [*map(str, result.differences)], result.found_secrets) == (seed, [], ())
    assert seeds is FOUND or sum(len(each.explained) for each in results) < 0.1 * sum(each.messages for each in results)


@pytest.mark.parametrize("limit", DOCUMENTED)
def test_the_limits_that_explain_a_difference_are_documented(limit: str):
    assert limit in " ".join(RECORD_PAGE.read_text("utf-8").split())


Plant = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Plant] = {
    "the cookies of replies to upgrades are not recorded": lambda patch: patch.setattr(
        recorder, "_HANDED_OUT", frozenset()
    ),
    "messages of WebSockets are not recorded": lambda patch: patch.setattr(
        recorder.Recorder, "frame", lambda *_, **__: None
    ),
    "all sessions are one": lambda patch: patch.setattr(identities.Identities, "session", lambda *_: 0),
    "each notification is for its asker": lambda patch: patch.setattr(
        receivers.NotificationReceivers, "of", lambda *_: None
    ),
    "references join nothing": lambda patch: patch.setattr(correlation, "_references", lambda *_: iter(())),
    "delays are too long": lambda patch: patch.setattr(drafts, "duration", lambda seconds: f"{seconds + 90}s"),
    "secrets are written": lambda patch: patch.setattr(
        recorder, "redact", lambda parsed, _redactor: {parsed.kind: parsed.value}
    ),
}
SHOWN = ("messages of WebSockets are not recorded", "references join nothing", "secrets are written")
"""The faults whose runs are shrunk; `make simulate` shrinks each round trip that fails."""


def _first_seed() -> int | None:
    return next((seed for seed in (*SEEDS, *RARE) if broken_round_trip(recordable_plan(seed))), None)


def test_the_rare_seeds_have_no_differences_without_a_fault(tmp_path: Path):
    assert [tripped(seed, tmp_path).differences for seed in RARE] == [()] * len(RARE)


@pytest.mark.parametrize("fault", sorted({*FAULTS}.difference(SHOWN)))
def test_a_fault_of_the_recording_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch):
    FAULTS[fault](monkeypatch)
    assert _first_seed() is not None


@pytest.mark.parametrize("fault", SHOWN)
def test_a_fault_of_the_recording_is_shown_by_a_test_of_at_most_ten_steps(fault: str, monkeypatch: pytest.MonkeyPatch):
    FAULTS[fault](monkeypatch)
    seed = _first_seed()
    assert seed is not None
    check_printed(report_failure(seed), monkeypatch)


def test_the_command_prints_a_failing_round_trip_as_a_test(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    FAULTS["secrets are written"](monkeypatch)
    assert main(["--seed", "2"]) == 1
    report = capsys.readouterr().out
    assert "seed 2: the replay of its recording differs: 0: a secret is in the recording" in report
    assert "SEED=2 repeats it." in report
    assert report.endswith(report_failure(2) + "\n")


def test_an_error_of_the_recording_breaks_the_round_trip(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise ValueError("no session")

    monkeypatch.setattr(identities.Identities, "session", fails)
    assert broken_round_trip(recordable_plan(1)) == ["0: ValueError: no session"]


@pytest.mark.parametrize("seed", [1, 12])
def test_a_recorder_that_is_killed_loses_one_event_at_most(tmp_path: Path, seed: int):
    journal, cut = tmp_path / "journal.jsonl", tmp_path / "cut.jsonl"
    round_trip(recordable_plan(seed, length=6), journal)
    key_path(cut).write_bytes(key_path(journal).read_bytes())
    key_path(cut).chmod(0o600)
    data, events = journal.read_bytes(), read_journal(journal)[1]
    for part in cuts_of(data):
        cut.write_bytes(part)
        header, kept, _ = read_journal(cut)
        complete = part.count(b"\n") - 1
        assert kept[: max(complete, 0)] == events[: max(complete, 0)]
        assert len(kept) in {max(complete, 0), complete + 1}
        if header is not None:
            loads(dump(distill(cut).file))
