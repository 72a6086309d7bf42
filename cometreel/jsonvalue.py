"""JSON: the type of its values, a strict decoder and a compact encoder.

The decoder refuses text that can't be written back unchanged (`NaN`, a duplicate key), so that nothing recorded is
silently altered. Equality is that of JSON: `1` is not `true`, but `1` equals `1.0`.
"""

from __future__ import annotations

import json
from typing import NoReturn, TypeAlias

__all__ = ["JSON", "JSONObject", "NotJSON", "decode", "encode", "same"]

JSON: TypeAlias = "None | bool | int | float | str | list[JSON] | dict[str, JSON]"
JSONObject: TypeAlias = "dict[str, JSON]"


class NotJSON(ValueError):
    """Text that isn't JSON, or is JSON that Python can't represent without loss."""


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, JSON]]) -> JSONObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJSON(f"the key {twice!r} occurs twice in one object")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode(text: str | bytes) -> JSON:
    """Decode one JSON text; bytes are UTF-8, with or without a byte order mark.

    :raises NotJSON: if it isn't JSON, or would be changed by encoding it again.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value: JSON = _DECODER.decode(text)
    except NotJSON:
        raise
    except RecursionError:
        raise NotJSON("nested too deeply") from None
    except ValueError as error:
        raise NotJSON(str(error)) from None
    return value


def encode(value: JSON) -> bytes:
    """Encode a value as compact UTF-8 with keys in their order, so that equal values give equal bytes."""
    text = _ENCODER.encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # an unpaired surrogate, which is legal in JSON only as an escape
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def same(one: JSON, other: JSON) -> bool:
    """True if two values are equal in JSON: `1` is `1.0` but not `true`; the order of keys is ignored."""
    if isinstance(one, str):
        return one == other
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
