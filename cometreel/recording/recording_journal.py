"""The journal: JSON Lines on disk, one line for each wire event, appended and handed to the kernel at once.

A killed recorder loses at most the line in flight. What comes in here is already redacted; this room never
looks inside. It knows files and nothing of HTTP, Bayeux or policies.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSONObject, NotJSON, decode, encode
from cometreel.recording.journal_events import JournalHeader, JournalLineInvalid, WireEvent, event_of, header_of
from cometreel.recording.secret import Secret

__all__ = ["RecordingJournal", "key_path", "read_journal", "read_key"]

_EXPECTED = "a journal of version 1, as `record.py` writes it"
_OPENING = b'{"journal":'


def key_path(journal: Path) -> Path:
    """Name the file that holds the journal's pseudonym key: NAME.key beside NAME.jsonl."""
    return journal.with_suffix(".key")


class RecordingJournal:
    """A journal open for appending. Use `Journal.open`; nothing that is there is ever overwritten."""

    def __init__(
        self, path: Path, descriptor: int, header: JournalHeader, key: Secret, *, torn: bool, resumed: bool
    ) -> None:
        self.path = path
        self.resumed = resumed
        self.header = header
        self.key = key
        self._descriptor = descriptor
        self._torn = torn

    @classmethod
    def open(cls, path: Path, header: JournalHeader) -> RecordingJournal:
        """Open a journal for appending, or start one with this header.

        A journal that is there already keeps its own header; a torn last line stays and is closed by a newline.

        :raises FileInvalid: if the file is no journal of this version, was recorded under another policy, or it
            or its key can't be written.
        """
        path = Path(path)
        if path.exists() and not path.is_file():  # a pipe would hold up the traffic, a device keeps nothing
            raise FileInvalid([Problem(str(path), 0, 0, "not a file", "a journal's name, as recordings/login.jsonl")])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found, torn = _opening(path, header)
            key = _key(key_path(path), fresh=found is None)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from None
        journal = cls(path, descriptor, found or header, key, torn=torn, resumed=found is not None)
        if found is None:
            journal._begin(header)
        return journal

    def write(self, event: JSONObject) -> None:
        """Append one event as one line, and hand it to the kernel before returning.

        :raises OSError: if the disk is full or gone; the next write starts on a line of its own.
        """
        self.write_line(encode(event))

    def write_line(self, line: bytes) -> None:
        """Append one event that is encoded already.

        :raises OSError: as `write`.
        """
        data = b"\n" + line + b"\n" if self._torn else line + b"\n"
        written = os.write(self._descriptor, data)
        while written < len(data):
            self._torn = True
            written += os.write(self._descriptor, data[written:])
        self._torn = False

    def close(self) -> None:
        """Close the file; closing twice is no error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self, header: JournalHeader) -> None:
        try:
            self.write(header.line())
        except OSError as error:
            self.close()
            raise _unwritable(self.path, error) from None


def _opening(path: Path, header: JournalHeader) -> tuple[JournalHeader | None, bool]:
    """Look at a file that may be there: its header, and whether its last line is torn."""
    if not path.exists() or path.stat().st_size == 0:
        return None, False
    with path.open("rb") as file:
        first = file.readline()
        file.seek(-1, os.SEEK_END)
        torn = file.read(1) != b"\n"
    if _torn_header(first):
        return None, True
    found = _header(path, first)
    if found.policy != header.policy:
        raise FileInvalid(
            [
                Problem(
                    str(path),
                    1,
                    1,
                    f"recorded under the policy {found.policy!r}",
                    f"the policy {header.policy!r}",
                    "record into another file, or choose the same policy",
                )
            ]
        )
    return found, torn


def _torn_header(first: bytes) -> bool:
    """Tell whether the only line is the beginning of a header that was cut off."""
    if first.endswith(b"\n"):
        return False
    if len(first) <= len(_OPENING):
        return _OPENING.startswith(first)
    try:
        decode(first)
    except NotJSON:
        return first.startswith(_OPENING)
    return False


def _header(path: Path, first: bytes) -> JournalHeader:
    try:
        return header_of(decode(first))
    except NotJSON:
        problem = Problem(str(path), 1, 1, "not a Cometreel journal", _EXPECTED)
    except JournalLineInvalid as error:
        problem = Problem(str(path), 1, 1, str(error), _EXPECTED)
    raise FileInvalid([problem])


def read_key(journal: Path) -> Secret:
    """Read the pseudonym key of a journal.

    :raises FileInvalid: if it is missing, can't be read or isn't a key.
    """
    try:
        return _key(key_path(journal), fresh=False)
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(key_path(journal)), 0, 0, found, "the journal's key")]) from None


def _key(path: Path, *, fresh: bool) -> Secret:
    """Read the pseudonym key, or make one that only its owner can read."""
    if path.exists():
        text = path.read_text("ascii", errors="replace").strip()
        if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
            expected = "64 hexadecimal digits"
            raise FileInvalid([Problem(str(path), 0, 0, "not a pseudonym key", expected, "record into another file")])
        path.chmod(0o600)
        return Secret(bytes.fromhex(text))
    if not fresh:
        hint = "put the key back, or record into another file"
        raise FileInvalid([Problem(str(path), 0, 0, "the journal's pseudonym key is missing", "its key", hint)])
    key = secrets.token_bytes(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, key.hex().encode() + b"\n")
    except OSError:
        path.unlink(missing_ok=True)  # half a key would refuse every later start
        raise
    finally:
        os.close(descriptor)
    return Secret(key)


def _unwritable(path: Path, error: OSError) -> FileInvalid:
    where = error.filename if isinstance(error.filename, str) else str(path)
    found = f"can't be written: {error.strerror or error}"
    return FileInvalid([Problem(where, 0, 0, found, "a folder with room where you may write")])


def read_journal(path: Path) -> tuple[JournalHeader | None, list[WireEvent], list[Problem]]:
    """Read a journal, also a torn one: its header, its events in the order of the file, what couldn't be read.

    The header is None where the recorder was killed before it was whole; then there are no events either.

    :raises FileInvalid: if the file is missing, or is no journal of this version.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a journal")]) from None
    lines = data.split(b"\n")
    if len(lines) == 1 and _torn_header(data):
        return None, [], [Problem(str(path), 1, 1, "the journal ends inside its header", "a whole header")]
    if len(lines) > 1 and _torn_header(lines[0]):
        return _events(path, lines, 1, [Problem(str(path), 1, 1, "a torn header", "a whole header")])
    return _events(path, lines, 0, [])


def _events(
    path: Path, lines: list[bytes], start: int, problems: list[Problem]
) -> tuple[JournalHeader, list[WireEvent], list[Problem]]:
    header = _header(path, lines[start])
    events: list[WireEvent] = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip():
            continue
        try:
            events.append(event_of(decode(line), number))
        except NotJSON:
            last = number == len(lines)
            found = "the last line is torn" if last else "a torn line"
            problems.append(Problem(str(path), number, 1, found, "one JSON object", "this event is lost"))
        except JournalLineInvalid as error:
            problems.append(Problem(str(path), number, 1, str(error), "a wire event", "this line is left out"))
    return header, events, problems
