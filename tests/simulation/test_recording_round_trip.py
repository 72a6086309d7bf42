"""A recorded run is replayed to the same client with equal messages, and a journal may end anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.recording import distill, recorder
from cometreel.recording.recording_journal import key_path, read_journal
from cometreel.scenario import dump, loads
from tests.simulation.recording_round_trip import cuts_of, round_trip

SEEDS = range(24)


@pytest.mark.parametrize("first", range(0, len(SEEDS), 12))
def test_the_replay_of_a_recording_gives_equal_messages(tmp_path: Path, first: int):
    for seed in SEEDS[first : first + 12]:
        result = round_trip(seed, tmp_path)
        assert (seed, result.differences, result.found_secrets) == (seed, (), ())


@pytest.mark.parametrize("seed", [1, 12])
def test_a_recorder_that_is_killed_loses_one_event_at_most(tmp_path: Path, seed: int):
    round_trip(seed, tmp_path, length=15)
    journal, cut = tmp_path / f"seed-{seed}.jsonl", tmp_path / "cut.jsonl"
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


def test_recording_without_redaction_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder, "redact", lambda parsed, _redactor: {parsed.kind: parsed.value})
    assert round_trip(1, tmp_path).found_secrets
