"""The decoded forms of a text: percent-encoding, JSON and HTML escapes and `+` for a space, in any order and depth.

Each form knows which part of the original text each of its parts was decoded from, so that a part can be replaced in
the original text and all other characters stay as they are.
"""

from __future__ import annotations

import binascii
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate

__all__ = [
    "DecodedText",
    "base64_runs",
    "base64_words",
    "decoded_base64",
    "decoded_texts",
    "decoded_words",
    "has_escapes",
]

_MOST_FORMS = 64
_HEX = "[0-9A-Fa-f]"
_NEXT = f"%[89ABab]{_HEX}"
_PERCENT = re.compile(
    f"%[0-7]{_HEX}|%[CDcd]{_HEX}{_NEXT}|%[Ee]{_HEX}(?:{_NEXT}){{2}}|%[Ff][0-7](?:{_NEXT}){{3}}|%{_HEX}{{2}}"
)
_JSON_ESCAPE = re.compile(
    rf"""\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}|\\x{_HEX}{{2}}|\\[bfnrt"'\\/]"""
)
_CODE_POINT = re.compile(rf"\\u{_HEX}{{4}}")  # also after a backslash
_ENTITY = re.compile(r"&(?:#[xX][0-9A-Fa-f]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]{1,7});")
_PLUS = re.compile(r"\+")
_ESCAPE_BYTES = re.compile(f"%{_HEX}{{2}}|{_ENTITY.pattern}".encode())
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}(?:\r?\n[A-Za-z0-9+/_-]+)*={0,2}")
_URL_SAFE = str.maketrans("-_", "+/", "\r\n=")
_URL_SAFE_BYTES = bytes.maketrans(b"-_", b"+/")
_SIGNS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"
_ONLY_SIGNS = bytes(byte if byte in _SIGNS else ord(" ") for byte in range(256))
_SHORTEST_RUN = 11
_HEXADECIMAL = re.compile(r"[0-9a-f_-]+|[0-9A-F_-]+")  # an id; base64 of a text has other letters
_HEXADECIMAL_BYTES = re.compile(_HEXADECIMAL.pattern.encode())


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A decoded form of a text. `pieces` are (start, end, start in the source, end in the source) of each escape."""

    text: str
    source: DecodedText | None = None
    pieces: tuple[tuple[int, int, int, int], ...] = field(default=(), repr=False)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the part of the original text from which a part of this form was decoded."""
        if self.source is None:
            return start, end
        return self.source.original(self._before(start), self._after(end))

    def _before(self, position: int) -> int:
        index = bisect_right(self.pieces, position, key=lambda piece: piece[0]) - 1
        if index < 0:
            return position
        _, end, source_start, source_end = self.pieces[index]
        return source_start if position < end else source_end + position - end

    def _after(self, position: int) -> int:
        index = bisect_right(self.pieces, position - 1, key=lambda piece: piece[0]) - 1
        if index < 0:
            return position
        _, end, _, source_end = self.pieces[index]
        return source_end + max(0, position - end)


def has_escapes(text: bytes, *, plus: bool) -> bool:
    """Return True if a text may have a decoded form; fast."""
    if b"\\" in text or (plus and b"+" in text):
        return True
    return (b"%" in text or b"&" in text) and _ESCAPE_BYTES.search(text) is not None


def decoded_texts(text: str, *, plus: bool) -> Iterator[DecodedText]:
    """Yield a text and its decoded forms, each once; with `plus`, also those in which `+` is a space."""
    waiting = [DecodedText(text)]
    seen = {text}
    while waiting and len(seen) <= _MOST_FORMS:
        form = waiting.pop(0)
        yield form
        for mark, pattern, decode in _DECODERS if plus else _DECODERS[:-1]:
            if mark in form.text:
                decoded = _decoded(form, pattern, decode)
                if decoded.text not in seen:
                    seen.add(decoded.text)
                    waiting.append(decoded)


def _decoded(form: DecodedText, pattern: re.Pattern[str], decode: Callable[[str], str]) -> DecodedText:
    parts: list[str] = []
    pieces: list[tuple[int, int, int, int]] = []
    end = length = 0
    for found in pattern.finditer(form.text):
        plain = decode(found[0])
        length += found.start() - end
        parts += (form.text[end : found.start()], plain)
        pieces.append((length, length + len(plain), found.start(), found.end()))
        length += len(plain)
        end = found.end()
    return DecodedText("".join([*parts, form.text[end:]]), form, tuple(pieces))


def _percent(escape: str) -> str:
    data = bytes.fromhex(escape.replace("%", ""))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _json_escape(escape: str) -> str:
    kind = escape[1]
    if kind == "u":
        units = escape.replace("\\u", "")
        return bytes.fromhex(units).decode("utf-16-be", "surrogatepass")
    return bytes.fromhex(escape[2:]).decode("latin-1") if kind == "x" else _SIMPLE.get(kind, kind)


_DECODERS: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
    ("%", _PERCENT, _percent),
    ("\\", _JSON_ESCAPE, _json_escape),
    ("&", _ENTITY, html.unescape),
    ("\\u", _CODE_POINT, _json_escape),
    ("+", _PLUS, lambda _: " "),
)


def base64_runs(text: str) -> Iterator[re.Match[str]]:
    """Yield the parts of a text that may be base64, also in lines, with the characters that touch them."""
    return (run for run in _BASE64.finditer(text) if not _HEXADECIMAL.fullmatch(run[0]))


def base64_words(text: bytes, known: set[bytes]) -> list[bytes]:
    """Return words that contain all of `base64_runs` of a text in UTF-8, without known ones. Lines are joined."""
    if b"\n" in text:
        text = text.replace(b"\r\n", b"").replace(b"\n", b"")
    words = {word for word in text.translate(_ONLY_SIGNS).split() if len(word) >= _SHORTEST_RUN}
    return [word for word in words - known if not _HEXADECIMAL_BYTES.fullmatch(word)]


def decoded_words(words: list[bytes]) -> Iterator[tuple[bytes, Callable[[int], int]]]:
    """Yield the bytes of all words in one, for each position at which the base64 of a word may start.

    The function returns the index of the word from which a byte was decoded.
    """
    padded = [word + b"A" * (-len(word) % 4) for word in words]
    joined = b"".join(padded).translate(_URL_SAFE_BYTES)
    ends = list(accumulate(map(len, padded)))[:-1]
    for shift in range(4):
        decoded = binascii.a2b_base64(b"A" * shift + joined + b"A" * (-shift % 4))
        yield decoded, partial(_word_at, ends, shift)


def _word_at(ends: list[int], shift: int, byte: int) -> int:
    return bisect_right(ends, byte * 4 // 3 - shift)


def decoded_base64(run: str) -> Iterator[bytes]:
    """Yield the bytes of a run for each position at which its base64 may start."""
    run = run.translate(_URL_SAFE)
    for start in range(4):
        length = len(run) - start
        length -= length % 4 == 1
        part = run[start : start + length]
        yield binascii.a2b_base64(part + "=" * (-length % 4))
