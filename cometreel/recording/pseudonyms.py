"""Keyed pseudonyms that look like their kind: the same value gives the same token in one recording, and no other.

An HMAC under the journal's key; without the key a token says nothing of its value. Knows shapes of values and
nothing of keys, headers or policies.
"""

from __future__ import annotations

import hmac
import math
import re

from cometreel.recording.secret import Secret

__all__ = ["DIGITS", "EMAIL", "SHAPED_ID", "UUID", "Pseudonyms", "is_shaped_id"]

EMAIL = re.compile(r"[A-Za-z0-9!#$&*+/=?^_`{|}~.%-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
SHAPED_ID = re.compile(
    r"(?<![0-9a-z])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-z])",
    re.IGNORECASE,
)
HEX32 = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
DIGITS = re.compile(r"\d")
_PHONE = re.compile(r"\+?[\d().\s/-]*\d[\d().\s/-]*")
_INTERACTION = re.compile(r"(?=(?:[A-Za-z]*\d){4})[0-9A-Za-z]{16}")
_WORD = re.compile(r"[^\W_](?:[^\s]*[^\W_])?")
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CACHE_LIMIT = 100_000


def is_shaped_id(value: str) -> bool:
    """Tell whether a value has the shape of a machine-made id: a UUID or 32 hexadecimal digits."""
    length = len(value)
    return (length == 36 and UUID.fullmatch(value) is not None) or (length == 32 and HEX32.fullmatch(value) is not None)


class Pseudonyms:
    """Make pseudonyms under one key; each answer is remembered."""

    def __init__(self, key: Secret) -> None:
        self._key = key
        self._known: dict[tuple[str, str], str] = {}

    def like(self, value: str) -> str:
        """Replace a name, an address, a number or an id by one of the same shape."""
        return self._remembered("like", value)

    def text(self, value: str) -> str:
        """Replace a free text as a whole; one word, number or address keeps its shape."""
        return self._remembered("text", value)

    def token(self, value: str) -> str:
        """Replace a session's capability by a token that only joins what belongs together."""
        return self._remembered("token", value)

    def host(self, value: str) -> str:
        """Replace a host, with its port, by a name that no network resolves."""
        return self._remembered("host", value)

    def digits(self, value: str) -> str:
        """Replace the digits of a text one by one, and leave the rest as it is."""
        return self._remembered("digits", value)

    def counted(self, number: int, count: int) -> str:
        """Give the digits, so many, that stand for the value of this number in an order."""
        return self._decimal(str(number), count)

    def number(self, value: float) -> int | float:
        """Replace a number by one of as many digits."""
        text = self.digits(str(abs(value)))
        if isinstance(value, int):
            return int(text)
        made = float(text)
        return made if math.isfinite(made) else 0.0

    def _remembered(self, way: str, value: str) -> str:
        try:
            return self._known[way, value]
        except KeyError:
            if len(self._known) >= _CACHE_LIMIT:
                self._known.clear()
            made = self._known[way, value] = self._make(way, value)
            return made

    def _make(self, way: str, value: str) -> str:
        if not value or value.isspace():
            return value
        match way:
            case "token":
                return f"s{self._digest('token', value)[:20]}"
            case "host":
                return f"host-{self._word('host:' + value.lower(), 4)}.example.invalid"
            case "digits":
                return self._digits(value)
            case "text":
                return self._like(value) or f"text {self._word(value)}"
        return self._like(value) or _WORD.sub(lambda found: self._name(found[0]), value)

    def _like(self, value: str) -> str:
        """Replace a value of a known shape; the empty string if it has none."""
        bare = value.strip()
        if EMAIL.fullmatch(bare):
            return f"{self._word(bare.lower())}@example.invalid"
        if UUID.fullmatch(bare):
            made = self._digest("id", bare.lower())
            made = "-".join((made[:8], made[8:12], made[12:16], made[16:20], made[20:32]))
            return made if bare == bare.lower() else made.upper()
        if HEX32.fullmatch(bare):
            made = self._digest("id", bare.lower())[:32]
            return made if bare == bare.lower() else made.upper()
        if _PHONE.fullmatch(bare):
            return self._digits(bare)
        if _INTERACTION.fullmatch(bare):
            number = int(self._digest("id", bare), 16)
            return "".join(_BASE36[number // 36**place % 36] for place in range(15)) + "0"
        return ""

    def _name(self, word: str) -> str:
        found = self._like(word)
        if found:
            return found
        made = self._word(word)
        return made.capitalize() if word[0].isupper() else made

    def _digits(self, value: str) -> str:
        """Digits depend on the digits alone, so that one number written in two ways stays one number."""
        count = len(DIGITS.findall(value))
        source = iter(self._decimal("".join(DIGITS.findall(value)), count))
        return DIGITS.sub(lambda _: next(source), value)

    def _decimal(self, value: str, count: int) -> str:
        made, block = "", 0
        while len(made) < count:
            made += str(int(self._digest(f"digits{block}", value), 16))[1:-1]
            block += 1
        first = "123456789"[int(made[0]) % 9] if made else ""
        return first + made[1:count]

    def _word(self, value: str, syllables: int = 5) -> str:
        number = int(self._digest("word", value)[:24], 16)
        made = ""
        for _ in range(syllables):
            number, consonant = divmod(number, len(_CONSONANTS))
            number, vowel = divmod(number, len(_VOWELS))
            made += _CONSONANTS[consonant] + _VOWELS[vowel]
        return made

    def _digest(self, use: str, value: str) -> str:
        message = f"{use}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key.reveal(), message, "sha256").hex()
