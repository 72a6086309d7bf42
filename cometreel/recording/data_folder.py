"""Writes large bodies and data of a scenario to data files, in a folder with the name of the scenario."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping
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
    """The data files of one scenario at `target`: those that exist, and new ones."""

    def __init__(self, target: Path, limit: int) -> None:
        self._target, self._limit = target, limit
        self._new: set[str] = set()
        self._by_content: dict[bytes, str] = {}

    @contextmanager
    def written(self) -> Iterator[None]:
        """Keep the data files that are written in this context, unless it raises an error."""
        folder = self._target.parent / _slug(self._target.stem)
        is_new = not folder.exists()
        try:
            yield
        except BaseException:
            for name in self._new if folder.is_dir() else ():
                (self._target.parent / name).unlink(missing_ok=True)
            if is_new and folder.is_dir():
                folder.rmdir()
            raise

    def document(self, document: Mapping[str, JSON | Iterator[JSON]]) -> dict[str, JSON | Iterator[JSON]]:
        """Return the keys of a scenario file with markers for data files: new ones, and those that it was read from.

        Values of `exchanges` and `timeline` become iterators; their data files are written while they are read. Equal
        values share a file. With a limit of 0, only values that come from data files stay in them.
        """
        replaced = {
            key: value if isinstance(value, Iterator) else with_markers(value, self._kept)
            for key, value in document.items()
        }
        for key, value in replaced.items():
            if key in ("exchanges", "timeline") and isinstance(value, Iterator | list):
                replaced[key] = map(self._item, value)
        return replaced

    def _item(self, item: JSON) -> JSON:
        """Return an exchange or an entry of the timeline with markers for data files."""
        replaced = with_markers(item, self._kept)
        for name, block in _blocks(replaced):
            for key in _JSON_KEYS:
                self._move_json(block, key, name)
            content_type = _content_type(block)
            self._move_text(block, name, content_type)
            self._move_bytes(block, name, content_type)
        return replaced

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
                self._new.add(found)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                return found
            if _compared(path, suffix) == compared:
                return found
        raise AssertionError("unreachable: count() is infinite")


def _blocks(item: JSON) -> Iterator[tuple[str, JSONObject]]:
    """Yield each request, reply and event of an exchange or timeline entry, with a name for its data files."""
    if not isinstance(item, dict):
        return
    if "request" not in item:
        yield _event_name(item, "event"), item
        return
    name = str(item.get("name"))
    for key in ("request", "reply"):
        block = item.get(key)
        if isinstance(block, dict):
            yield name, block
    for event in _objects(item.get("events")):
        yield _event_name(event, name), event


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
