"""JSON: the type of its values, a strict decoder and a compact encoder.

The decoder refuses text that can't be written back unchanged (`NaN`, `1e999`, a duplicate key), so that nothing
recorded is silently altered; numbers keep their digits. Equality is that of JSON: `1` is not `true`, but `1` equals
`1.0`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Hashable
from decimal import Decimal, InvalidOperation
from typing import ClassVar, NoReturn, Self, TypeAlias, cast

__all__ = [
    "JSON",
    "JSONObject",
    "NotJSON",
    "NumberLiteral",
    "as_text",
    "decode",
    "decode_encoded",
    "decode_lenient",
    "encode",
    "exact",
    "hashable",
    "number",
    "readable",
    "same",
    "sorted_text",
]

JSON: TypeAlias = "None | bool | int | float | str | list[JSON] | dict[str, JSON]"
JSONObject: TypeAlias = "dict[str, JSON]"


class NotJSON(ValueError):
    """Text that isn't JSON, or is JSON that Python can't represent without loss."""


class NumberLiteral(float):
    """A number that keeps its JSON text, because Python would write another one: `1.50`, `-0`, `1e-400`.

    In calculations it is a float. `same` compares its exact value.
    """

    __slots__ = ("text",)
    text: str
    used: ClassVar[bool] = False
    """True once there is a literal in this process; `encode` needs more time then."""

    def __new__(cls, text: str) -> Self:
        """Create a literal from the text of a JSON number."""
        literal = super().__new__(cls, text)
        NumberLiteral.used = True
        literal.text = text
        return literal

    def __repr__(self) -> str:
        return self.text

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # copies are created from the text
        return (self.text,)


def number(text: str) -> float:
    """Return the value of a JSON number with a fraction or an exponent, with its text if Python writes another one.

    :raises NotJSON: if a double can't hold it, so that most clients would read it as infinity.
    """
    value = float(text)
    if value - value:
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        raise NotJSON(f"the number {shown} is out of range; expected one that a double can hold")
    return value if repr(value) == text else NumberLiteral(text)


def _integer(text: str) -> float:
    """Return an integer; minus zero keeps its sign."""
    return NumberLiteral(text) if text == "-0" else int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, JSON]]) -> JSONObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJSON(f"the key {twice!r} occurs twice in one object")
    return found


_LONGEST_SHOWN = 40
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=number, object_pairs_hook=_refuse_duplicates)
_DECODER_OF_MINUS_ZERO = json.JSONDecoder(  # calls Python for each integer, which takes longer
    parse_constant=_refuse_constant, parse_float=number, parse_int=_integer, object_pairs_hook=_refuse_duplicates
)
_UNCHECKED_DECODER = json.JSONDecoder(parse_float=number)
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), allow_nan=False)


def _fast_encoder() -> Callable[[JSON], str]:
    """Return the function of `_ENCODER` without what it prepares for each call; it saves half of the time."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python without the accelerator
        return _ENCODER.encode
    pieces = make(None, _ENCODER.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(pieces(value, 0))


_encoded_text = _fast_encoder()
_SORTED_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), allow_nan=False, sort_keys=True
)


def decode(text: str | bytes) -> JSON:
    """Decode one JSON text; bytes are UTF-8, with or without a byte order mark.

    :raises NotJSON: if it isn't JSON, or would be changed by encoding it again.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig" if text.startswith(codecs.BOM_UTF8) else "utf-8")
        decoder = _DECODER_OF_MINUS_ZERO if _may_have_minus_zero(text) else _DECODER
        if text[:1] not in ("{", "["):
            return cast("JSON", decoder.decode(text))
        value, end = decoder.raw_decode(text)  # `decode` searches for blanks around the text
        if end < len(text) and text[end:].strip(" \t\n\r"):
            decoder.decode(text)  # raises the error
    except NotJSON:
        raise
    except RecursionError:
        raise NotJSON("nested too deeply") from None
    except ValueError as error:
        raise NotJSON(str(error)) from None
    return cast("JSON", value)


def decode_encoded(encoded: bytes) -> JSON:
    """Return the value that `encode` encoded. Takes a third of the time of `decode`, because it checks nothing."""
    text = encoded.decode()
    value: JSON = (_DECODER_OF_MINUS_ZERO if _may_have_minus_zero(text) else _UNCHECKED_DECODER).decode(text)
    return value


def _may_have_minus_zero(text: str) -> bool:
    """Return False if a text certainly contains no number -0; a date may contain the two characters."""
    return "-0" in text and _MINUS_ZERO.search(text) is not None


_MINUS_ZERO = re.compile(r"(?<![^\s\[:,])-0(?![\d.eE])")
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|//[^\n]*|/\*(?:.*?\*/|.*\Z)', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(?<=[\w"}\]])\s*,(?=\s*[}\]])', re.DOTALL)
"""Both match strings too, as a group, so that nothing in a string is a comment or a comma."""


def decode_lenient(text: str | bytes) -> JSON:
    """Decode JSON as tolerant servers read it: also with trailing commas and comments.

    :raises NotJSON: as `decode`, for any other mistake.
    """
    try:
        return decode(text)
    except NotJSON:
        try:
            text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        except UnicodeDecodeError:
            bare = text
        else:
            bare = _LAST_COMMA.sub(_string, _COMMENT.sub(_string, text))
        if bare == text:
            raise
    return decode(bare)


def _string(found: re.Match[str]) -> str:
    return found[1] or " "


def encode(value: JSON) -> bytes:
    """Encode a value as compact UTF-8 with keys in their order, so that equal values give equal bytes."""
    text = _with_literals(value) if NumberLiteral.used else _encoded_text(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # an unpaired surrogate, which is legal in JSON only as an escape
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


_SURROGATE = re.compile("[\ud800-\udfff]")


def _with_literals(value: JSON, encoder: json.JSONEncoder = _ENCODER) -> str:
    """Encode a value; the C encoder gets a literal as a marked string, because it would write it as a float."""
    text = encoder.encode(value)
    if not NumberLiteral.used or not _contains(value, NumberLiteral):
        return text
    return _encoded_with(value, _text_of_literal, encoder, text)


def readable(value: JSON, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return JSON as text for people: with spaces, in several lines if there is an `indent`."""
    return _with_literals(value, json.JSONEncoder(ensure_ascii=False, indent=indent, sort_keys=sort_keys))


def names_in(value: JSON) -> set[str]:
    """Return the keys of all objects in a value."""
    names: set[str] = set()
    waiting = [value]
    for item in waiting:  # also those that are added
        if isinstance(item, dict):
            names.update(item)
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return names


def as_text(value: JSON) -> str:
    """Return a text unchanged, any other value as compact JSON."""
    return value if isinstance(value, str) else encode(value).decode()


_LIKE_FLOAT = re.compile(r"[0-9][.e]")
"""A float is written with a point or an exponent, but so are some texts."""


def sorted_text(value: JSON) -> str:
    """Return a text that is equal for values that are the same: keys are sorted, and `1.50` is `1.5`."""
    text = _SORTED_ENCODER.encode(value)
    if not _LIKE_FLOAT.search(text) or not _contains(value, float):
        return text
    return _encoded_with(value, _canonical, _SORTED_ENCODER, text)


def _contains(value: JSON, kind: type) -> bool:
    """True if there is a number of this type in a value. Calls no function for its members, because it is frequent."""
    waiting: list[JSON] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, kind):
            return True
    return False


def _encoded_with(value: JSON, text_of: Callable[[float], str | None], encoder: json.JSONEncoder, plain: str) -> str:
    """Encode a value whose floats have other texts; `plain` is its usual encoding.

    The texts are passed as strings with a mark that no other string begins with; then the quotes are removed.
    """
    mark = "number "
    while f'"{mark}' in plain:
        mark += "#"
    encoded = encoder.encode(_marked(value, text_of, mark))
    return re.sub(f'"{mark}([^"]*)"', r"\1", encoded)


def _marked(value: JSON, text_of: Callable[[float], str | None], mark: str) -> JSON:
    """Return the value with marked strings for the floats that have a text."""
    if isinstance(value, float):
        text = text_of(value)
        return value if text is None else f"{mark}{text}"
    if isinstance(value, dict):
        return {name: _marked(member, text_of, mark) for name, member in value.items()}
    return [_marked(item, text_of, mark) for item in value] if isinstance(value, list) else value


def _text_of_literal(value: float) -> str | None:
    return value.text if isinstance(value, NumberLiteral) else None


def exact(value: float) -> Decimal:
    """Return the number that the JSON text of a value means: equal numbers are equal and have the same hash."""
    try:
        return Decimal(value if isinstance(value, int) else repr(value))
    except InvalidOperation:  # an exponent of 20 digits
        return Decimal(float(value))


def _canonical(value: float) -> str:
    """Return the same text for equal numbers, whole ones as an integer is written."""
    found = exact(value)
    if not found:
        return "0"
    sign, digits, exponent = found.as_tuple()
    significant = "".join(map(str, digits)).rstrip("0")
    power = int(exponent) + len(digits) - len(significant)
    minus = "-" if sign else ""
    return f"{minus}{significant}{'0' * power}" if power >= 0 else f"{minus}{significant}e{power}"


def hashable(value: JSON) -> Hashable:
    """Return a hashable value that is equal for equal JSON values: `1` equals `1.0`, but not `true`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return frozenset((key, hashable(member)) for key, member in value.items())
    if isinstance(value, list):
        return ("list", *map(hashable, value))
    return exact(value) if isinstance(value, float) else value


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
    if isinstance(one, int | float) and isinstance(other, int | float) and type(one) is not type(other):
        return exact(one) == exact(other)
    if isinstance(one, NumberLiteral) and isinstance(other, NumberLiteral):
        return one.text == other.text or exact(one) == exact(other)
    return one == other
