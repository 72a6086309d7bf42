"""Keyed pseudonyms that have the shape of the value: equal values get equal pseudonyms within one recording.

Pseudonyms are computed with HMAC and the key of the journal; without the key they reveal nothing about the value.
"""

from __future__ import annotations

import hmac
import math
import re

from cometreel.recording.secret import Secret

__all__ = ["DIGITS", "EMAIL", "SHAPED_ID", "TOKEN", "UUID", "Pseudonyms", "is_shaped_id"]

EMAIL = re.compile(r"[A-Za-z0-9!#$&*+/=?^_`{|}~.%-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
SHAPED_ID = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-z])",
    re.IGNORECASE,
)
HEX32 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
DIGITS = re.compile(r"\d")
TOKEN = re.compile(r"s[0-9a-f]{20}")
"""The token that replaces a session or client id."""
_PHONE = re.compile(r"\+?[\d().\s/-]*\d[\d().\s/-]*")
_INTERACTION = re.compile(r"(?=(?:[A-Za-z]*\d){4})[0-9A-Za-z]{16}")
_WORD = re.compile(r"[^\W_](?:[^\s]*[^\W_])?")
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DEFAULT_PORTS = ("80", "443")
_CACHE_LIMIT = 100_000


def is_shaped_id(value: str) -> bool:
    """Return True if a value has the shape of a generated id: a UUID or 32 hexadecimal digits."""
    length = len(value)
    return (length == 36 and UUID.fullmatch(value) is not None) or (length == 32 and HEX32.fullmatch(value) is not None)


class Pseudonyms:
    """Creates pseudonyms with one key, with a cache."""

    def __init__(self, key: Secret) -> None:
        self._key = key
        self._cache: dict[tuple[str, str], str] = {}

    def same_shape(self, value: str) -> str:
        """Replace a name, an address, a number or an id by one of the same shape."""
        return self._cached("same-shape", value)

    def text(self, value: str) -> str:
        """Replace a free text as a whole; a single word, number or address keeps its shape."""
        return self._cached("text", value)

    def token(self, value: str) -> str:
        """Replace a session or client id by a token, which is equal for equal ids."""
        return self._cached("token", value)

    def host(self, value: str) -> str:
        """Replace a host and port by a name that can't be resolved; a default port makes no difference."""
        bare, colon, port = value.rpartition(":")
        return self._cached("host", bare if colon and port in _DEFAULT_PORTS else value)

    def digits(self, value: str) -> str:
        """Replace the digits of a text and keep the other characters."""
        return self._cached("digits", value)

    def numbered_digits(self, number: int, count: int) -> str:
        """Return `count` digits that only depend on a number."""
        return self._decimal_digits(str(number), count)

    def number(self, value: float) -> int | float:
        """Replace a number by one with the same number of digits."""
        text = self.digits(str(abs(value)))
        if isinstance(value, int):
            return int(text)
        pseudonym = float(text)
        return pseudonym if math.isfinite(pseudonym) else 0.0

    def _cached(self, method: str, value: str) -> str:
        try:
            return self._cache[method, value]
        except KeyError:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            pseudonym = self._cache[method, value] = self._create(method, value)
            return pseudonym

    def _create(self, method: str, value: str) -> str:
        if not value or value.isspace():
            return value
        match method:
            case "token":
                return f"s{self._digest('token', value)[:20]}"
            case "host":
                return f"host-{self._word('host:' + value.lower(), 4)}.example.invalid"
            case "digits":
                return self._digits(value)
            case "text":
                return self._known_shape(value) or f"text {self._word(value)}"
        return self._known_shape(value) or _WORD.sub(lambda found: self._name(found[0]), value)

    def _known_shape(self, value: str) -> str:
        """Replace a value of a known shape; return an empty string for other values."""
        bare = value.strip()
        if EMAIL.fullmatch(bare):
            return f"{self._word(bare.lower())}@example.invalid"
        if UUID.fullmatch(bare):
            result = self._digest("id", bare.lower())
            result = "-".join((result[:8], result[8:12], result[12:16], result[16:20], result[20:32]))
            return result if bare == bare.lower() else result.upper()
        if HEX32.fullmatch(bare):
            result = self._digest("id", bare.lower())[:32]
            return result if bare == bare.lower() else result.upper()
        if _PHONE.fullmatch(bare):
            return self._digits(bare)
        if _INTERACTION.fullmatch(bare):
            number = int(self._digest("id", bare), 16)
            return "".join(_BASE36[number // 36**place % 36] for place in range(15)) + "0"
        return ""

    def _name(self, word: str) -> str:
        found = self._known_shape(word)
        if found:
            return found
        result = self._word(word)
        return result.capitalize() if word[0].isupper() else result

    def _digits(self, value: str) -> str:
        """Replace the digits independently of the punctuation, so that two spellings of a number stay equal."""
        count = len(DIGITS.findall(value))
        source = iter(self._decimal_digits("".join(DIGITS.findall(value)), count))
        return DIGITS.sub(lambda _: next(source), value)

    def _decimal_digits(self, value: str, count: int) -> str:
        result, block = "", 0
        while len(result) < count:
            result += str(int(self._digest(f"digits{block}", value), 16))[1:-1]
            block += 1
        first = "123456789"[int(result[0]) % 9] if result else ""
        return first + result[1:count]

    def _word(self, value: str, syllables: int = 5) -> str:
        number = int(self._digest("word", value)[:24], 16)
        result = ""
        for _ in range(syllables):
            number, consonant = divmod(number, len(_CONSONANTS))
            number, vowel = divmod(number, len(_VOWELS))
            result += _CONSONANTS[consonant] + _VOWELS[vowel]
        return result

    def _digest(self, use: str, value: str) -> str:
        message = f"{use}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key.reveal(), message, "sha256").hex()
