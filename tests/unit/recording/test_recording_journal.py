"""The journal: appends, can be read when truncated, rejects other files, and continues on a full disk."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cometreel.errors import FileInvalid
from cometreel.recording import JournalHeader, RecordingJournal, distill, key_path, read_journal

HEADER = JournalHeader("0.1.0", 1000.0, "gws-v2", "default")


def test_each_event_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    journal = RecordingJournal.open(tmp_path / "a.jsonl", HEADER)
    journal.write({"t": 1.5, "kind": "mark", "text": "here"})
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [HEADER.to_json(), {"t": 1.5, "kind": "mark", "text": "here"}]


def test_a_restart_appends_and_keeps_header_and_key(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = RecordingJournal.open(path, HEADER)
    first.write({"t": 0, "kind": "mark"})
    first.close()
    again = RecordingJournal.open(path, JournalHeader("0.2.0", 2000.0, "gws-v2", "default"))
    again.write({"t": 1000, "kind": "mark"})
    assert (again.header, again.key, again.resumed) == (HEADER, first.key, True)
    assert [event.at for event in read_journal(path)[1]] == [0.0, 1000.0]


def test_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    journal = RecordingJournal.open(tmp_path / "a.jsonl", HEADER)
    assert stat.S_IMODE(key_path(journal.path).stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert journal.key.reveal().hex() not in repr(journal.key) + str(vars(journal))


def test_only_the_owner_can_read_the_key_of_a_journal_that_is_continued(tmp_path: Path) -> None:
    path = RecordingJournal.open(tmp_path / "a.jsonl", HEADER).path
    key_path(path).chmod(0o644)
    RecordingJournal.open(path, HEADER).close()
    assert stat.S_IMODE(key_path(path).stat().st_mode) == 0o600


def test_a_truncated_last_line_is_kept_and_the_next_event_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    RecordingJournal.open(path, HEADER).write({"t": 0, "kind": "mark"})
    with path.open("ab") as file:
        file.write(b'{"t":1,"kind":"ma')
    RecordingJournal.open(path, HEADER).write({"t": 2, "kind": "mark"})
    _, events, problems = read_journal(path)
    assert [event.at for event in events] == [0.0, 2.0]
    assert [str(problem) for problem in problems] == [
        f"{path}:3:1: a truncated line; expected one JSON object (this event is lost)"
    ]


def test_a_journal_cut_at_any_byte_loses_at_most_its_last_event(wire: Any) -> None:
    wire.login(0, "s1", "c1", "kate")
    wire.call(1, "POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"}, {"referenceId": 1}, session="s1")
    wire.poll(1.5, 2, "c1", {"channel": "/v2/me/workbins", "data": {"referenceId": 1, "ü": "\u2028"}}, session="s1")
    whole = wire.path.read_bytes()
    cut = wire.path.with_name("cut.jsonl")
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        _, events, _ = read_journal(cut)
        assert len(events) >= whole[:length].count(b"\n") - 1
        if length % 7 == 0 or whole[:length].endswith(b"\n"):
            assert distill(cut).file.cometreel == 1


def test_a_recorder_continues_a_journal_that_is_cut_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = RecordingJournal.open(path, HEADER)
    journal.write({"t": 0, "kind": "mark", "text": "first"})
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        RecordingJournal.open(path, HEADER).write({"t": 9, "kind": "mark", "text": "last"})
        assert read_journal(path)[1][-1].text == "last", length


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"hello\n", "not a Cometreel journal"),
        (b"\x00\xff\xfe\n", "not a Cometreel journal"),
        (b'{"a":1}\n', "not a Cometreel journal"),
        (b'{"journal":"1","x":1}\n{"t":1}\n', "a journal of version '1'"),
        (b'{"journal":1}\n', "a journal header without a valid start time"),
        (b'{"log":{"version":"1.2"}}', "not a Cometreel journal"),
    ],
)
def test_another_file_is_rejected_and_not_changed(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    line = f"{path}:1:1: {found}; expected a journal of version 1, written by the recorder"
    for attempt in (lambda: RecordingJournal.open(path, HEADER), lambda: read_journal(path), lambda: distill(path)):
        with pytest.raises(FileInvalid) as caught:
            attempt()
        assert str(caught.value) == line
    assert path.read_bytes() == content


def test_a_journal_of_a_newer_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"journal":2,"x":1}\n{"t":1}\n')
    with pytest.raises(FileInvalid) as caught:
        read_journal(path)
    assert str(caught.value) == (
        f"{path}:1:1: a journal of version 2; expected a journal of version 1, written by the recorder "
        "(a newer version of Cometreel wrote this file; try: pip install --upgrade cometreel)"
    )


def test_another_policy_on_the_same_journal_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    RecordingJournal.open(path, HEADER).close()
    with pytest.raises(FileInvalid) as caught:
        RecordingJournal.open(path, JournalHeader("0.1.0", 1.0, "gws-v2", "strict"))
    assert str(caught.value) == (
        f"{path}:1:1: recorded with the policy 'default'; expected the policy 'strict' "
        "(record to another file, or use the same policy)"
    )


def test_a_journal_without_its_key_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    RecordingJournal.open(path, HEADER).close()
    key_path(path).unlink()
    with pytest.raises(FileInvalid, match=r"a\.key: the journal's pseudonym key is missing"):
        RecordingJournal.open(path, HEADER)


@pytest.mark.parametrize("name", ["folder/a.jsonl/b.jsonl"])
def test_a_path_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.jsonl").write_text("")
    with pytest.raises(FileInvalid) as caught:
        RecordingJournal.open(tmp_path / name, HEADER)
    assert "can't be written: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_journal_must_be_a_file(tmp_path: Path) -> None:
    """Writing to a pipe could block, and a device stores nothing."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(FileInvalid) as caught:
            RecordingJournal.open(path, HEADER)
        assert (
            str(caught.value)
            == f"{path}: not a file; expected the path of a journal, for example recordings/login.jsonl"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_missing_journal_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid) as caught:
        distill(tmp_path / "none.jsonl")
    assert str(caught.value) == f"{tmp_path}/none.jsonl: can't be read: No such file or directory; expected a journal"


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"1",
        b'{"t":1}',
        b'{"t":"x","kind":"mark"}',
        b'{"t":1,"kind":"mark","flow":2}',
        b'{"t":1,"kind":"dance"}',
        b'{"t":1,"kind":"reply","status":"200"}',
        b'{"t":true,"kind":"mark"}',
        b"\xff\xfe",
        b'{"t":1e999,"kind":1}',
        b'{"t":1,"kind":"request","flow":"f1","method":"G\\ud800T","path":"/a"}',
        b'{"t":1,"kind":"request","flow":"f1","method":"GET","path":"/\\udcff"}',
        b'{"t":1,"kind":"mark","text":"\\ud83d"}',
        b'{"t":1,"kind":"reply","flow":"f1","omitted":5}',
    ],
)
def test_an_invalid_line_is_ignored_and_reported(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    RecordingJournal.open(path, HEADER).close()
    with path.open("ab") as file:
        file.write(line + b"\n" + b'{"t":5,"kind":"mark"}\n')
    _, events, problems = read_journal(path)
    assert ([event.at for event in events], len(problems)) == ([5.0], 1)
    assert str(problems[0]).startswith(f"{path}:2:1: ")


def events_at(tmp_path: Path, *lines: str) -> list[tuple[str, float]]:
    """Read a journal with these lines; return kind and time of each event."""
    path = tmp_path / "a.jsonl"
    RecordingJournal.open(path, HEADER).close()
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return [(event.kind, round(event.at, 3)) for event in read_journal(path)[1]]


def line(at: float, kind: str, flow: str) -> str:
    return f'{{"t":{at},"kind":"{kind}","flow":"{flow}","method":"GET","path":"/a"}}'


def test_times_after_a_clock_that_was_set_back_continue_from_the_latest_time(tmp_path: Path) -> None:
    lines = [line(10, "request", "f1"), line(8, "reply", "f1"), line(8.5, "request", "f2"), line(9, "reply", "f2")]
    assert events_at(tmp_path, *lines) == [("request", 10.0), ("reply", 10.0), ("request", 10.5), ("reply", 11.0)]


def test_the_times_after_each_change_of_the_clock_continue(tmp_path: Path) -> None:
    lines = [
        *(line(10, "request", "f1"), line(8, "reply", "f1")),
        *(line(8.5, "request", "f2"), line(5, "reply", "f2")),
        line(6, "request", "f3"),
    ]
    assert [at for _, at in events_at(tmp_path, *lines)] == [10.0, 10.0, 10.5, 10.5, 11.5]


def test_a_small_step_within_an_exchange_keeps_its_order(tmp_path: Path) -> None:
    lines = [line(10, "request", "f1"), line(9.9, "reply", "f1"), line(11, "request", "f2")]
    assert events_at(tmp_path, *lines) == [("request", 10.0), ("reply", 10.0), ("request", 11.0)]


def test_a_request_that_started_before_the_line_above_it_keeps_its_time(tmp_path: Path) -> None:
    """A large request is written at its end; its time is its start."""
    lines = [line(10, "request", "f1"), line(4, "request", "f2"), line(11, "reply", "f1"), line(12, "reply", "f2")]
    assert [at for _, at in events_at(tmp_path, *lines)] == [10.0, 4.0, 11.0, 12.0]


def test_both_halves_of_an_exchange_and_its_notification_survive_a_clock_that_was_set_back(wire: Any) -> None:
    wire.login(0, "s1", "c1")
    poll = wire.bayeux(4, [{"channel": "/meta/connect", "id": "9", "clientId": "c1"}], session="s1")
    stats = {"operationName": "RequestAgentStats"}
    call = wire.request(5, "POST", "/api/v2/workbins", stats, session="s1")
    pushed = {"channel": "/v2/me/workbins", "data": {"referenceId": 1}}
    wire.reply(-3600, call, {"statusCode": 0, "referenceId": 1})
    wire.reply(-3599.5, poll, [pushed, {"channel": "/meta/connect", "id": "9", "successful": True}])
    distilled = wire.distil()
    (exchange,) = distilled.file.exchanges
    assert (exchange.reply.after, [event.after for event in exchange.events]) == ("0s", ["500ms"])
    assert distilled.summary.left_out == []


def test_bytes_of_a_path_that_are_not_utf_8_are_percent_encoded(wire: Any) -> None:
    wire.call(0, "GET", "/caf\udce9?q=\udce9", None, {"statusCode": 0})
    (exchange,) = wire.distil().file.exchanges
    assert (exchange.request.path, exchange.request.query) == ("/caf%E9", {"q": "\\xe9"})


def full_disk(monkeypatch: pytest.MonkeyPatch, space: int) -> Callable[[], None]:
    """Let `os.write` write `space` more bytes and then fail, until the returned function is called."""
    left = [space]
    really = os.write

    def write(descriptor: int, data: bytes) -> int:
        if not left:
            return really(descriptor, data)
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        some = data[: left[0]]
        left[0] -= len(some)
        return really(descriptor, some)

    monkeypatch.setattr("cometreel.recording.recording_journal.os.write", write)
    return left.clear


@pytest.mark.parametrize("space", [0, 1, 37])
def test_on_a_full_disk_traffic_continues_and_lost_events_are_reported(
    wire: Any, monkeypatch: pytest.MonkeyPatch, space: int
) -> None:
    wire.call(0, "GET", "/api/v2/a", None, {"statusCode": 0})
    freed = full_disk(monkeypatch, space)
    wire.call(1, "GET", "/api/v2/b", None, {"statusCode": 0})
    wire.call(2, "GET", "/api/v2/c", None, {"statusCode": 0})
    assert wire.recorder.lost == 4
    freed()
    wire.call(3, "GET", "/api/v2/d", None, {"statusCode": 0})
    assert wire.reports == [
        f"{wire.path}: can't be written: No space left on device; traffic continues, but these events are lost",
        f"{wire.path}: can be written again; 4 events were lost",
    ]
    distilled = wire.distil()
    assert [exchange.name for exchange in distilled.file.exchanges or []] == ["a", "d"]
    assert "4 times events that could not be written to the journal" in distilled.summary.left_out


@pytest.mark.parametrize("space", [0, 1, 37, 64, 70])
def test_a_disk_that_is_full_at_the_start_is_reported_and_no_file_prevents_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: int
) -> None:
    path = tmp_path / "a.jsonl"
    freed = full_disk(monkeypatch, space)
    with pytest.raises(FileInvalid) as caught:
        RecordingJournal.open(path, HEADER)
    assert str(caught.value) == (
        f"{path}: can't be written: No space left on device; expected a writable folder with free space"
    )
    freed()
    RecordingJournal.open(path, HEADER).write({"t": 1, "kind": "mark"})
    assert [event.at for event in read_journal(path)[1]] == [1.0]
