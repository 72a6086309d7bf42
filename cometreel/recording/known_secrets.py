"""Known secrets: a value that was found as a secret is removed from all later journal lines.

A secret is found in any case, next to any characters and in any encoding (see `encoded_texts`), also in base64. A weak
secret would damage other values: one that is short, or equals a name that is used elsewhere. It is hidden in its own
place only, and this place is reported.

Every journal line is searched, so the search must be fast: every four bytes of a text are looked up, as a number, in a
table of the numbers with which the secrets begin; only a few secrets are searched for one by one. All base64 texts of a
line are decoded and searched together.
"""

from __future__ import annotations

import base64
import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.recording.encoded_texts import (
    base64_runs,
    base64_words,
    decoded_base64,
    decoded_texts,
    decoded_words,
    has_escapes,
)

__all__ = ["SHORTEST", "KnownSecrets", "looks_random"]

SHORTEST = 8
"""Shorter secrets are weak: removing `1234` everywhere would damage other values."""

_GRAM, _STEP = 5, 4  # any secret of at least SHORTEST bytes contains a part at one of four positions
_FEW = 64  # with so few forms, a search for each of them is faster than the table
_LIMIT = 50_000
_MOST_WORDS = 50_000
_LONGEST_WORD = 80
_MOST_CLEAN, _MOST_CLEAN_PARTS = 20_000, 1_000
_DEPTH = 4
_ENCODED = re.compile(rb"[%\\&+]|[A-Za-z0-9/_-]{11}")
_PRINTABLE = re.compile(rb"(?:[\t\r\n -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xf4][\x80-\xbf]{2,3}){8,}")
_WORD_LIKE = re.compile(r"[^\W\d_]+(?:[ ._-][^\W\d_]+)*\d{0,3}|\d+")

Replace = Callable[[str], str]

# Words of the protocols are weak, even if one is used as a password.
# fmt: off
_PROTOCOL_WORDS = frozenset((
    "advice", "bayeux", "channel", "client", "connect", "connectiontype", "cookie", "disconnect", "error",
    "handshake", "header", "headers", "hidden", "interval", "message", "messages", "method", "notifications",
    "omitted", "password", "public", "reconnect", "referenceid", "reply", "request", "secret", "session",
    "statuscode", "subscribe", "subscription", "success", "successful", "timeout", "unsubscribe", "unwanted", "version",
))
# fmt: on


def looks_random(value: str) -> bool:
    """Return True if a value can't be a common word, so it can safely be removed everywhere."""
    return len(value) >= SHORTEST and not value.isalpha() and not value.isdigit() and " " not in value


class KnownSecrets:
    """The secrets that were found so far; kept in memory only."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        """Each secret that is removed everywhere, with its place."""
        self._weak: set[str] = set()
        self._weak_places: list[str] = []
        self._forms: dict[str, str] = {}
        self._form_bytes: dict[str, bytes] = {}
        self._grams: dict[bytes, set[str]] = {}
        self._numbers: Counter[int] = Counter()
        """The first four bytes of each of `_grams` as a number, with how many of them begin so."""
        self._word_like: dict[str, str] = {}
        self._words: set[str] = set()
        self._names: set[str] = set()
        self._clean: set[bytes] = set()
        """Words that contain no secret as base64; they occur again in most lines."""
        self._clean_parts: set[bytes] = set()
        self._with_spaces = self._with_many_spaces = self._not_ascii = 0
        self.dropped = 0
        """Number of secrets that were dropped because of the limit."""

    def __repr__(self) -> str:
        return f"KnownSecrets({len(self._secrets)})"

    def add(self, value: str, place: str = "") -> None:
        """Add a secret that was found in `place`; beyond the limit the oldest one is dropped."""
        value = value.strip()
        if not value or value in self._secrets or value in self._weak or _lower(value) in self._forms:
            return
        if self._is_weak(value):
            self._add_weak(value, place)
            return
        if len(self._secrets) >= _LIMIT:
            self._drop(next(iter(self._secrets)))
            self.dropped += 1
        self._secrets[value] = place
        self._with_spaces += " " in value
        self._with_many_spaces += value.count(" ") > 1
        self._not_ascii += not value.isascii()
        if _WORD_LIKE.fullmatch(value):
            self._word_like[value.lower()] = value
        self._clean.clear()
        self._clean_parts.clear()
        for form in _forms(value):
            self._forms.setdefault(form, value)
            self._form_bytes[form] = form.encode("utf-8", "surrogatepass")
            for gram in _grams(form):
                forms = self._grams.setdefault(gram, set())
                if not forms:
                    self._numbers[_number(gram)] += 1
                forms.add(form)

    def add_word(self, word: str) -> None:
        """Add a path segment, a key or an operation: a secret that is also such a word is weak."""
        word = word.lower()
        if word in self._words or len(word) > _LONGEST_WORD or len(self._words) >= _MOST_WORDS:
            return
        self._words.add(word)
        for form in [form for form in self._word_like if form in word]:
            self._weaken(self._word_like[form])

    def add_name(self, name: str) -> None:
        """Add the name of a user or of another owner: a secret that equals one is weak."""
        if len(self._names) < _MOST_WORDS and (lower := name.lower()) not in self._names:
            self._names.add(lower)
            if lower in self._forms:
                self._weaken(self._forms[lower])

    def take_weak_places(self) -> list[str]:
        """Return the places of the weak secrets that were found since the last call."""
        places, self._weak_places = self._weak_places, []
        return places

    def is_clean(self, part: bytes, *, again: bool = False) -> bool:
        """Return True if a part of a journal line contains no known secret; `again` if the part may occur again."""
        if not self._grams or part in self._clean_parts:
            return True
        is_clean = self._is_clean(part)
        if is_clean and again:
            if len(self._clean_parts) >= _MOST_CLEAN_PARTS:
                self._clean_parts.clear()
            self._clean_parts.add(part)
        return is_clean

    def scrub(self, line: bytes, event: JSON, replace: Replace) -> bytes:
        """Return a journal line without known secrets; `event` is the value that the line encodes."""
        return line if self.is_clean(line) else encode(self._value(event, replace))

    def scrub_text(self, text: str, replace: Replace) -> str:
        """Return a text without known secrets."""
        return self._scrubbed(text, replace, _DEPTH)

    def _scrubbed(self, text: str, replace: Replace, depth: int) -> str:
        for _ in range(len(text)):
            spans = self._spans(text, replace, depth)
            if not spans:
                break
            for start, end, shown in reversed(spans):
                text = text[:start] + shown + text[end:]
        return text

    def _value(self, value: JSON, replace: Replace) -> JSON:
        if isinstance(value, str):
            return self.scrub_text(value, replace)
        if isinstance(value, list):
            return [self._value(item, replace) for item in value]
        if isinstance(value, dict):
            return self._members(value, replace)
        if value is None or isinstance(value, bool) or str(value) not in self._secrets:
            return value
        return replace(str(value))

    def _members(self, members: JSONObject, replace: Replace) -> JSONObject:
        found: JSONObject = {}
        for name, item in members.items():
            scrubbed = self.scrub_text(name, replace)
            while scrubbed in found:
                scrubbed += "'"
            found[scrubbed] = self._value(item, replace)
        return found

    # --- search ---------------------------------------------------------------------------------------------

    def _is_clean(self, line: bytes) -> bool:
        """Return True if a line contains no secret; fast for most lines: they are ASCII and contain no escapes."""
        is_plain = line.isascii() and not has_escapes(line, plus=self._with_many_spaces > 0)
        if is_plain and not self._hits_in_ascii(line.lower()):
            return not self._is_in_base64(line, _DEPTH)
        return not self._spans(line.decode("utf-8", "replace"), lambda _: "", _DEPTH)

    def _hits_in_ascii(self, lower: bytes) -> list[str]:
        forms = self._forms_in(lower)
        text = lower.decode("ascii") if forms else ""
        return [form for form in forms if form in text]

    def _spans(self, text: str, replace: Replace, depth: int) -> list[tuple[int, int, str]]:
        """Return the parts of a text to replace, in order: those of the first decoded form that contains a secret."""
        if len(text) < SHORTEST:
            return []
        for form in decoded_texts(text, plus=self._with_spaces > 0):
            spans = [(*form.original(start, end), replace(secret)) for start, end, secret in self._hits(form.text)]
            if not spans and depth and self._is_in_base64(form.text.encode("utf-8", "surrogatepass"), depth):
                spans = [
                    (*form.original(start, end), shown if form.source is None else replace(secret))
                    for start, end, secret, shown in self._hits_in_base64(form.text, replace, depth)
                ]
            if spans:
                return spans
        return []

    def _hits(self, text: str) -> list[tuple[int, int, str]]:
        """Return where secrets are in a plain text, in order and without overlaps; longer secrets come first."""
        lower = _lower(text)
        hits: list[tuple[int, int, str]] = []
        for form in sorted(self._forms_in(lower.encode("utf-8", "surrogatepass")), key=len, reverse=True):
            start = lower.find(form)
            while start >= 0:
                end = start + len(form)
                if all(end <= other[0] or start >= other[1] for other in hits):
                    hits.append((start, end, self._forms[form]))
                start = lower.find(form, end)
        return sorted(hits)

    def _forms_in(self, data: bytes) -> set[str]:
        """Return the forms of secrets that may be in a text in lower case: those with an equal part."""
        if len(self._form_bytes) <= _FEW:
            return {form for form, encoded in self._form_bytes.items() if encoded in data}
        numbers = array("I", data[: len(data) & -_STEP])
        known = self._numbers
        if known.keys().isdisjoint(numbers):
            return set()
        starts = (place * _STEP for place, number in enumerate(numbers) if number in known)
        parts = {data[start : start + _GRAM] for start in starts}
        return {form for gram in self._grams.keys() & parts for form in self._grams[gram]}

    def _is_in_base64(self, data: bytes, depth: int) -> bool:
        """Return True if a text in UTF-8 contains a secret as base64; fast, as all its words are decoded together."""
        words = base64_words(data, self._clean)
        if not words or self._is_in_words(words, depth):
            return bool(words)
        if depth == _DEPTH:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.update(word for word in words if len(word) <= _LONGEST_WORD)
        return False

    def _is_in_words(self, words: list[bytes], depth: int) -> bool:
        texts: set[int] = set()
        for decoded, word_at in decoded_words(words):
            if self._hits_in_bytes(decoded):
                return True
            for found in _PRINTABLE.finditer(decoded):
                texts.update(range(word_at(found.start()), word_at(found.end()) + 1))
        return any(self._secret_in(decoded_base64(words[number].decode()), depth) for number in texts)

    def _hits_in_base64(self, text: str, replace: Replace, depth: int) -> Iterator[tuple[int, int, str, str]]:
        """Yield start, end, secret and replacement of each base64 text that contains a secret."""
        for run in base64_runs(text):
            secret = self._secret_in(decoded_base64(run[0]), depth)
            if secret:
                yield run.start(), run.end(), secret, self._encoded_again(run[0], replace, depth) or replace(secret)

    def _secret_in(self, decoded: Iterable[bytes], depth: int) -> str:
        """Return a secret in decoded base64, also in further encodings; empty if there is none."""
        parts = list(decoded)
        hits = self._hits_in_bytes(b"\n".join(parts))
        if hits:
            return hits[0][2]
        found: list[str] = []

        def note(secret: str) -> str:
            found.append(secret)
            return ""

        texts = b"\n".join(part for part in parts if _ENCODED.search(part) and _PRINTABLE.search(part))
        if texts:
            self._spans(texts.decode("utf-8", "replace"), note, depth - 1)
        return found[0] if found else ""

    def _hits_in_bytes(self, data: bytes) -> list[tuple[int, int, str]]:
        hits = self._hits(data.decode("latin-1"))
        return hits or (self._hits(data.decode("utf-8", "replace")) if self._not_ascii else [])

    def _encoded_again(self, run: str, replace: Replace, depth: int) -> str:
        """Return the base64 form of a text after its secrets were replaced; empty if it can't be encoded again."""
        plain = _plain_text(next(decoded_base64(run)))
        if not plain or base64.b64encode(plain.encode()).decode() != run:
            return ""
        scrubbed = self._scrubbed(plain, replace, depth - 1)
        return base64.b64encode(scrubbed.encode()).decode() if scrubbed != plain else ""

    # --- weak secrets ---------------------------------------------------------------------------------------

    def _is_weak(self, value: str) -> bool:
        lower = value.lower()
        return (
            len(value) < SHORTEST
            or lower in _PROTOCOL_WORDS
            or lower in self._names
            or (_WORD_LIKE.fullmatch(value) is not None and any(lower in word for word in self._words))
        )

    def _add_weak(self, value: str, place: str) -> None:
        if len(self._weak) < _LIMIT:
            self._weak.add(value)
        if place:
            self._weak_places.append(place)

    def _weaken(self, value: str) -> None:
        place = self._secrets[value]
        self._drop(value)
        self._add_weak(value, place)

    def _drop(self, value: str) -> None:
        del self._secrets[value]
        self._with_spaces -= " " in value
        self._with_many_spaces -= value.count(" ") > 1
        self._not_ascii -= not value.isascii()
        self._word_like.pop(value.lower(), None)
        for form in _forms(value):
            self._forms.pop(form, None)
            self._form_bytes.pop(form, None)
            for gram in _grams(form):
                forms = self._grams.get(gram, set())
                forms.discard(form)
                if not forms and self._grams.pop(gram, None) is not None:
                    number = _number(gram)
                    self._numbers[number] -= 1
                    if not self._numbers[number]:
                        del self._numbers[number]


def _forms(value: str) -> set[str]:
    """Return the forms to search for, in lower case: also as UTF-8 that is read as Latin-1, and encoded.

    The encoded forms are found where a character before them changes how they are decoded, such as `%` before `20`.
    """
    cases = {value} if value.isascii() else {value, value.lower(), value.upper(), value.title()}
    forms = {value, *(form for case in cases for form in _encoded_forms(case))}
    return {_lower(form) for form in forms}


def _encoded_forms(value: str) -> tuple[str, ...]:
    data = value.encode("utf-8", "surrogatepass")
    quoted = (quote(data, safe=""), quote(data), quote_plus(data), quote(quote(data, safe="")))
    plus = value.replace(" ", "+")  # the only other form of one space in a text without other escapes
    return data.decode("latin-1"), plus, *quoted, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]


def _lower(text: str) -> str:
    """Return a text in lower case and in the same length."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _grams(form: str) -> Iterator[bytes]:
    data = form.encode("utf-8", "surrogatepass")
    return (data[start : start + _GRAM] for start in range(_STEP))


def _number(gram: bytes) -> int:
    return array("I", gram[:_STEP])[0]


def _plain_text(data: bytes) -> str:
    """Return decoded bytes as text if they are printable, else an empty text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.translate(_BLANKS).isprintable() else ""


_BLANKS = str.maketrans("", "", "\r\n\t")
