"""The journal file: JSON Lines, one line per event, each written with one system call.

A killed recorder loses at most the last line. Events are redacted before they are passed to the journal.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSONObject, NotJSON, decode, encode
from cometreel.recording.journal_events import (
    JournalHeader,
    JournalLineInvalid,
    SharedValues,
    WireEvent,
    event_of,
    header_of,
)
from cometreel.recording.secret import Secret

__all__ = ["RecordingJournal", "key_path", "read_journal", "read_key", "write_key"]

_EXPECTED = "a journal of version 1, written by the recorder"
_CLOCK_TOLERANCE = 0.25  # seconds between the start of a request and its line in the journal
_HEADER_START = b'{"journal":'


def key_path(journal: Path) -> Path:
    """Return the path of the pseudonym key: NAME.key next to NAME.jsonl."""
    return journal.with_suffix(".key")


class RecordingJournal:
    """A journal that is open for appending, created with `RecordingJournal.open`. Never overwrites existing lines."""

    def __init__(
        self, path: Path, descriptor: int, header: JournalHeader, key: Secret, *, truncated: bool, resumed: bool
    ) -> None:
        self.path = path
        self.resumed = resumed
        self.header = header
        self.key = key
        self._descriptor = descriptor
        self._truncated = truncated

    @classmethod
    def open(cls, path: Path, header: JournalHeader) -> RecordingJournal:
        """Open a journal for appending, or create one with this header.

        An existing journal keeps its header. A truncated last line is kept and completed with a newline.

        :raises FileInvalid: if the file isn't a journal of this version, was recorded with another policy, or the file
            or its key can't be written.
        """
        path = Path(path)
        try:
            if path.exists() and not path.is_file():  # writing to a pipe could block
                expected = "the path of a journal, for example recordings/login.jsonl"
                raise FileInvalid([Problem(str(path), 0, 0, "not a file", expected)])
            path.parent.mkdir(parents=True, exist_ok=True)
            found, truncated = _inspect(path, header)
            key = _key(key_path(path), create=found is None)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from None
        journal = cls(path, descriptor, found or header, key, truncated=truncated, resumed=found is not None)
        if found is None:
            journal._write_header(header)
        return journal

    def write(self, event: JSONObject) -> None:
        """Append one event as one line.

        :raises OSError: if the line can't be written; the next write starts with a new line.
        """
        self.write_line(encode(event))

    def write_line(self, line: bytes) -> None:
        """Append one encoded event.

        :raises OSError: see `write`.
        """
        data = b"\n" + line + b"\n" if self._truncated else line + b"\n"
        written = os.write(self._descriptor, data)
        while written < len(data):
            self._truncated = True
            written += os.write(self._descriptor, data[written:])
        self._truncated = False

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_header(self, header: JournalHeader) -> None:
        try:
            self.write(header.to_json())
        except OSError as error:
            self.close()
            raise _unwritable(self.path, error) from None


def _inspect(path: Path, header: JournalHeader) -> tuple[JournalHeader | None, bool]:
    """Return the header of an existing journal, or None, and True if its last line is truncated."""
    if not path.exists() or path.stat().st_size == 0:
        return None, False
    with path.open("rb") as file:
        first = file.readline()
        file.seek(-1, os.SEEK_END)
        truncated = file.read(1) != b"\n"
    if _is_truncated_header(first):
        return None, True
    found = _header(path, first)
    if found.policy != header.policy:
        raise FileInvalid(
            [
                Problem(
                    str(path),
                    1,
                    1,
                    f"recorded with the policy {found.policy!r}",
                    f"the policy {header.policy!r}",
                    "record to another file, or use the same policy",
                )
            ]
        )
    return found, truncated


def _is_truncated_header(first: bytes) -> bool:
    """Return True if the line is a truncated header."""
    if first.endswith(b"\n"):
        return False
    if len(first) <= len(_HEADER_START):
        return _HEADER_START.startswith(first)
    try:
        decode(first)
    except NotJSON:
        return first.startswith(_HEADER_START)
    return False


def _header(path: Path, first: bytes) -> JournalHeader:
    try:
        return header_of(decode(first))
    except NotJSON:
        problem = Problem(str(path), 1, 1, "not a Cometreel journal", _EXPECTED)
    except JournalLineInvalid as error:
        problem = Problem(str(path), 1, 1, str(error), _EXPECTED, error.hint)
    raise FileInvalid([problem])


def read_key(journal: Path) -> Secret:
    """Read the pseudonym key of a journal.

    :raises FileInvalid: if the key is missing, can't be read or is invalid.
    """
    try:
        return _key(key_path(journal), create=False)
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(key_path(journal)), 0, 0, found, "the journal's key")]) from None


def _key(path: Path, *, create: bool) -> Secret:
    """Read the pseudonym key, or create one that only its owner can read."""
    if path.exists():
        text = path.read_text("ascii", errors="replace").strip()
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            expected = "64 hexadecimal digits"
            raise FileInvalid([Problem(str(path), 0, 0, "not a pseudonym key", expected, "record to another file")])
        path.chmod(0o600)
        return Secret(bytes.fromhex(text))
    if not create:
        hint = "restore the key, or record to another file"
        raise FileInvalid([Problem(str(path), 0, 0, "the journal's pseudonym key is missing", "its key", hint)])
    key = Secret(secrets.token_bytes(32))
    write_key(path, key)
    return key


def write_key(path: Path, key: Secret) -> None:
    """Create a key file that only its owner can read. It is either complete or doesn't exist.

    :raises OSError: if the file exists or can't be written.
    """
    temporary = path.with_name(f".key.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        data = key.reveal().hex().encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]  # less is written on a full disk, before the error
        os.link(temporary, path)  # unlike a rename, it fails if the file exists
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> FileInvalid:
    where = error.filename if isinstance(error.filename, str) else str(path)
    found = f"can't be written: {error.strerror or error}"
    return FileInvalid([Problem(where, 0, 0, found, "a writable folder with free space")])


def read_journal(path: Path) -> tuple[JournalHeader | None, list[WireEvent], list[Problem]]:
    """Read a journal, also a truncated one: its header, its events in file order, and the lines that are invalid.

    If the clock of the recorder was set back, the times after it are corrected. The header is None if the recorder was
    killed while writing it; then there are no events.

    :raises FileInvalid: if the file is missing or isn't a journal of this version.
    """
    path = Path(path)
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            number, line = 1, file.readline()
            if _is_truncated_header(line.removesuffix(b"\n")):
                problems.append(Problem(str(path), 1, 1, "the header is truncated", "a complete header"))
                if not line.endswith(b"\n"):
                    return None, [], problems
                number, line = 2, file.readline()
            header = _header(path, line)
            events = list(_events(path, enumerate(file, number + 1), problems))
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a journal")]) from None
    return header, _with_steady_clock(events), problems


def _events(path: Path, lines: Iterable[tuple[int, bytes]], problems: list[Problem]) -> Iterator[WireEvent]:
    shared = SharedValues()
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield event_of(decode(line), number, shared)
        except NotJSON:
            found = "a truncated line" if line.endswith(b"\n") else "the last line is truncated"
            problems.append(Problem(str(path), number, 1, found, "one JSON object", "this event is lost"))
        except JournalLineInvalid as error:
            problems.append(Problem(str(path), number, 1, str(error), "an event", "this line is ignored"))


def _with_steady_clock(events: list[WireEvent]) -> list[WireEvent]:
    """Correct the times after each moment at which the clock was set back; the order in the file is the right one.

    Only events of one request or WebSocket show this: others may be written later than the time that they have.
    """
    opened: dict[str, float] = {}
    if all(opened.setdefault(event.flow, event.at) <= event.at for event in events if event.flow):
        return events
    corrected: list[WireEvent] = []
    started, correction, latest = dict[str, float](), 0.0, -math.inf
    for event in events:
        at = event.at + correction
        if at < latest - _CLOCK_TOLERANCE:
            correction += latest - at
            at = latest
        if event.flow:
            at = max(at, started.setdefault(event.flow, at))
        latest = max(latest, at)
        corrected.append(event if at == event.at else replace(event, at=at))
    return corrected
