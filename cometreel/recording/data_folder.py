"""Moves large bodies and data of a scenario into data files, in a folder with the name of the scenario."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode, readable
from cometreel.scenario.data_files import FileText, FileValue, data_path, marker_of_file, with_markers
from cometreel.scenario.value_markers import marker_of

__all__ = ["INLINE_LIMIT", "DataFolder"]

INLINE_LIMIT = 4096
"""The size in bytes up to which bodies and data are written into the scenario itself."""

_JSON_KEYS = ("body", "form", "data", "ext")
_NUMBER = re.compile(r"-\d+$")
_LONGEST_NAME = 60


class DataFolder:
    """The data files of one scenario at `target`: those that exist, and those to write."""

    def __init__(self, target: Path, limit: int) -> None:
        self._target, self._limit = target, limit
        self._new: dict[str, bytes] = {}
        self._by_content: dict[bytes, str] = {}

    def document(self, document: JSONObject) -> JSONObject:
        """Return the keys of a scenario file with markers for data files: new ones, and those that it was read from.

        Equal values share a file. With a limit of 0, only values that come from data files stay in them.
        """
        replaced: JSONObject = {key: with_markers(value, self._kept) for key, value in document.items()}
        for name, block in _blocks(replaced):
            for key in _JSON_KEYS:
                self._move_json(block, key, name)
            content_type = _content_type(block)
            self._move_text(block, name, content_type)
            self._move_bytes(block, name, content_type)
        return replaced

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write the new data files; an error removes those that were written."""
        folder = self._target.parent / _slug(self._target.stem)
        is_new = not folder.exists()
        try:
            for name, content in self._new.items():
                folder.mkdir(parents=True, exist_ok=True)
                (self._target.parent / name).write_bytes(content)
            yield
        except OSError:
            for name in self._new if folder.is_dir() else ():
                (self._target.parent / name).unlink(missing_ok=True)
            if is_new and folder.is_dir():
                folder.rmdir()
            raise

    def _kept(self, value: FileValue) -> JSON:
        """Return the marker of a value from a data file; a changed one gets a new file."""
        marker = marker_of_file(value)
        if marker is not None and data_path(self._target.parent, value.file) is not None:
            if not isinstance(value, FileText):
                self._by_content.setdefault(_digest(".json", encode(value)), value.file)
            return marker
        if isinstance(value, FileText):
            return str(value)
        plain: JSON = dict(value) if isinstance(value, dict) else list(value)
        return self._json_marker(plain, _NUMBER.sub("", Path(value.file).stem))

    def _move_json(self, block: JSONObject, key: str, name: str) -> None:
        value = block.get(key)
        if not self._limit or not isinstance(value, dict | list | str) or marker_of(value) is not None:
            return
        if len(encode(value)) > self._limit:
            block[key] = self._json_marker(value, name)

    def _json_marker(self, value: JSON, name: str) -> JSON:
        content = f"{readable(value, indent=2)}\n".encode()
        return {"$file": self._name(name, ".json", content, encode(value))}

    def _move_text(self, block: JSONObject, name: str, content_type: str) -> None:
        value = block.get("text")
        if isinstance(value, str) and self._limit and len(content := value.encode()) > self._limit:
            block["text"] = {"$file": self._name(name, _suffix(content_type, ".txt"), content, content)}

    def _move_bytes(self, block: JSONObject, name: str, content_type: str) -> None:
        value = block.get("base64")
        if isinstance(value, str) and self._limit and len(content := base64.b64decode(value)) > self._limit:
            block["base64"] = {"$file": self._name(name, _suffix(content_type, ".bin"), content, content)}

    def _name(self, name: str, suffix: str, content: bytes, compared: bytes) -> str:
        """Return the name of the file with this content: an existing one, else a new one that no file has."""
        digest = _digest(suffix, compared)
        if digest not in self._by_content:
            self._by_content[digest] = self._unused(_slug(name), suffix, content, compared)
        return self._by_content[digest]

    def _unused(self, name: str, suffix: str, content: bytes, compared: bytes) -> str:
        for number in count(1):
            found = f"{_slug(self._target.stem)}/{name}-{number}{suffix}"
            path = self._target.parent / found
            if found in self._new:
                continue
            if not path.exists():
                self._new[found] = content
                return found
            if _compared(path, suffix) == compared:
                return found
        raise AssertionError("unreachable: count() is infinite")


def _blocks(document: JSONObject) -> Iterator[tuple[str, JSONObject]]:
    """Yield each request, reply and event with a name for its data files."""
    for exchange in _objects(document.get("exchanges")):
        name = str(exchange.get("name"))
        for key in ("request", "reply"):
            block = exchange.get(key)
            if isinstance(block, dict):
                yield name, block
        for event in _objects(exchange.get("events")):
            yield _event_name(event, name), event
    for entry in _objects(document.get("timeline")):
        yield _event_name(entry, "event"), entry


def _objects(value: JSON) -> list[JSONObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _event_name(event: JSONObject, otherwise: str) -> str:
    channel = event.get("channel")
    return channel.rpartition("/")[2] if isinstance(channel, str) else otherwise


def _slug(name: str) -> str:
    """Return a name that every file system accepts, and that differs from others not only in case."""
    return re.sub(r"[^a-z0-9._]+", "-", name.lower())[:_LONGEST_NAME].strip("-.") or "data"


def _content_type(block: JSONObject) -> str:
    headers = block.get("headers")
    fields = headers.items() if isinstance(headers, dict) else ()
    values = [value for name, value in fields if name.lower() == "content-type" and isinstance(value, str)]
    return values[0].partition(";")[0].strip().lower() if values else ""


def _suffix(content_type: str, otherwise: str) -> str:
    return mimetypes.guess_extension(content_type) or otherwise


def _digest(suffix: str, content: bytes) -> bytes:
    return hashlib.sha256(suffix.encode() + b"\0" + content).digest()


def _compared(path: Path, suffix: str) -> bytes | None:
    """Return the content of an existing file as it is compared: JSON without its layout."""
    try:
        content = path.read_bytes()
        return encode(decode(content)) if suffix == ".json" else content
    except (OSError, NotJSON):
        return None
