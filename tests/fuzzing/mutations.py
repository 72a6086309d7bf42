"""Inputs for the fuzzer: valid ones with a few edits, of their bytes or of their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from hypothesis import strategies as st

from cometreel.jsonvalue import JSON

__all__ = ["edited"]

Draw: TypeAlias = Callable[[st.SearchStrategy[int]], int]

MOST_EDITS = 6
LONGEST = 100_000
"""Bytes of an input. A repeated slice may be much longer than the input that it comes from."""

BYTES = [
    *(bytes([value]) for value in (0, 9, 10, 13, 32, 34, 37, 44, 47, 58, 91, 92, 93, 123, 125, 127, 128, 255)),
    *(b"\r\n", b"\r\n\r\n", b"\n\n", b"--", b"{{", b"}}", b"%00", b"%2F", b"%ff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"-1", b"0", b"1e999", b"9" * 30, b"0x10", b"NaN", b"null", b"true", b'"\\ud800"', b"*", b"&a", b"*a", b"!!x"),
    *(b"HEAD ", b"HTTP/1.0", b"Host: y\r\n", b"Connection: close\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n", b"/meta/connect", b"/meta/handshake", b"/**", b"../"),
]
NESTED: tuple[JSON, ...] = ([], [[]], [1], {}, {"": ""}, {"$any": "string"}, {"$t": "x"}, {"$regex": "("}, [{}])
VALUES: list[JSON] = [
    *(None, True, False, 0, -1, 1, 2**31, -(2**63), 10**40, 0.5, 1e300, "", "x", "é" * 300, "\0", "\n", "\ud800"),
    *("$t", "{{ x }}", "{{ 9 ** 9 }}", "//", "/meta/connect", "/meta/handshake", "/**", "5s", "-1ms", "9" * 40),
    *NESTED,
]
"""Unusual values."""


@st.composite
def edited(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """Return an input of the corpus with up to six edits; edits of JSON if it is JSON, in half of the cases."""
    data = corpus[draw(st.integers(0, len(corpus) - 1))]
    edits = draw(st.integers(0, MOST_EDITS))
    value = _json(data) if draw(st.booleans()) else None
    if value is None:
        for _ in range(edits):
            data = _edit_bytes(data, draw, corpus)[:LONGEST]
        return data
    for _ in range(edits):
        value = _edit_json(value, draw)
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):
        return data


def _json(data: bytes) -> JSON:
    try:
        return json.loads(data)  # type: ignore[no-any-return]  # it is JSON
    except ValueError:
        return None


def _edit_bytes(data: bytes, draw: Draw, corpus: Sequence[bytes]) -> bytes:
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 8, 64, len(data)])))
    match draw(st.integers(0, 5)):
        case 0:  # remove a slice
            return data[:start] + data[end:]
        case 1:  # repeat a slice
            return data[:end] + data[start:end] * draw(st.sampled_from([1, 2, 100])) + data[end:]
        case 2:  # change a bit
            changed = bytes([data[start] ^ (1 << draw(st.integers(0, 7)))]) if start < len(data) else b""
            return data[:start] + changed + data[start + 1 :]
        case 3:  # continue as another input
            other = corpus[draw(st.integers(0, len(corpus) - 1))]
            return data[:start] + other[draw(st.integers(0, len(other))) :]
        case 4:  # put something instead of a slice
            return data[:start] + BYTES[draw(st.integers(0, len(BYTES) - 1))] + data[end:]
        case _:  # insert something
            return data[:start] + BYTES[draw(st.integers(0, len(BYTES) - 1))] + data[start:]


def _edit_json(value: JSON, draw: Draw) -> JSON:
    """Replace, remove or rename one part of a value."""
    parts = list(_parts(value))
    if not parts:
        return VALUES[draw(st.integers(0, len(VALUES) - 1))]
    holder, key = parts[draw(st.integers(0, len(parts) - 1))]
    copies: dict[int, JSON] = {}
    copy = _copied(value, copies)
    holder = copies[id(holder)]
    kind = draw(st.integers(0, 3))
    if isinstance(holder, dict) and isinstance(key, str):
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other = parts[draw(st.integers(0, len(parts) - 1))][1]
            holder[str(other)] = holder.pop(key)
        else:
            holder[key] = _another(value, parts, draw)
    elif isinstance(holder, list) and isinstance(key, int):
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder.append(holder[key])
        else:
            holder[key] = _another(value, parts, draw)
    return copy


def _another(value: JSON, parts: list[tuple[JSON, str | int]], draw: Draw) -> JSON:
    """Return an unusual value, or another part."""
    place = draw(st.integers(0, len(VALUES) + 4))
    if place < len(VALUES):
        return VALUES[place]
    holder, key = parts[draw(st.integers(0, len(parts) - 1))]
    if isinstance(holder, dict):
        return _copied(holder[str(key)], {})
    return _copied(holder[int(key)], {}) if isinstance(holder, list) else value


def _parts(value: JSON) -> Iterator[tuple[JSON, str | int]]:
    """Yield each part as its holder, an object or an array, and its key."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield value, key
            yield from _parts(member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield value, index
            yield from _parts(member)


def _copied(value: JSON, copies: dict[int, JSON]) -> JSON:
    """Return a deep copy; `copies` gets the copy of each object and array by the id of the original."""
    copy: JSON = value
    if isinstance(value, dict):
        copy = {key: _copied(member, copies) for key, member in value.items()}
    elif isinstance(value, list):
        copy = [_copied(member, copies) for member in value]
    copies[id(value)] = copy
    return copy
