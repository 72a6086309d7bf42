"""Secrets in texts: JSON, also in strings, URLs, forms, XML, header fields and sentences.

The same search is used for masking and for recording; the caller decides which names are secret and what replaces them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from cometreel.jsonvalue import JSON, NotJSON, decode, encode
from cometreel.secret_names import is_secret_segment
from cometreel.secret_values import replace_secret_values

__all__ = ["ENCODINGS", "SecretText"]

ENCODINGS = 2
"""How often a value is percent-decoded: a query in a link in a query is searched too."""

_NAME = re.compile(
    r"""(?:^|(?<=(?P<before>[&?;,({\s/#])))(?P<pair>[^&?;,({=\s"'\\<>]{1,100})="""  # of a query, a form, a cookie, XML
    r"""|(?<!\\)(?P<quote>\\{0,9}["'])(?P<key>[^"'\\]{1,100})(?P=quote)\s{0,9}:\s{0,9}"""  # of JSON, also in a string
    r"""|(?:^|(?<=[{,\s]))(?P<word>[^&?=\s"':,{}\\<>]{1,100})(?::|\s=)\s"""  # of YAML, INI, or a header field
)
_MAY_BE_NAME = re.compile(r"""["']\s{0,9}:|:\s""")  # part of a name without `=`; not of `https:` or `10:30`
_QUOTE = re.compile(r"""\\{0,9}["']""")
_PART = re.compile(  # of a multipart form: its name, its header fields and its value
    r"""(?s)(?<=[;\s])(?P<head>name="(?P<name>[^"\r\n]{1,100})"[^\r\n]{0,300}\r?\n(?:[^\r\n]{1,300}\r?\n){0,5}\r?\n)"""
    r"""(?P<value>.*?)(?=\r?\n--|\Z)"""
)
_PAIR_VALUE, _WORD_VALUE = re.compile(r"[^&\s<>]*"), re.compile(r"[^,}\]\n<>]*")
_PATH_PARAMETER_VALUE = re.compile(r"[^&;/?#\s]*")  # of `;jsessionid=`
_SEGMENT = re.compile(r"(?<=/)(?P<before>[\w.~-]{2,60})(?=/(?P<first>[^/?#\s\"'<>;,&\\]))")
_SEGMENT_VALUE = re.compile(r"[^/?#\s\"'<>;,&\\]{1,2000}")
_ELEMENT = re.compile(r"<(?:[\w.-]{1,50}:)?(?P<name>[A-Za-z_][\w.-]{0,99})(?P<fields>\s[^<>]{0,1000})?(?P<empty>/)?>")
_NAME_FIELD = re.compile(r"""\s(?:name|key|id|field)\s{0,9}=\s{0,9}["'](?P<name>[^"'<>]{1,100})["']""")
_VALUE_FIELD = re.compile(r"""(?P<head>\svalue\s{0,9}=\s{0,9}(?P<quote>["']))(?P<value>[^<>]*?)(?P=quote)""")
_NAME_ELEMENT = re.compile(
    r"<(?P<tag>name|key)>\s{0,99}(?P<name>[^<]{1,100}?)\s{0,99}</(?P=tag)>\s{0,99}<(?P<value>value|string|text)>"
)
_NAMED_VALUE = re.compile(  # of `{"name": "pin", "value": …}` in text that isn't JSON as a whole
    r"""(?i)(?P<quote>\\{0,9}["'])(?:name|key|field|parameter|param|attribute|property|id)(?P=quote)\s{0,9}:\s{0,9}"""
    r"""(?P=quote)(?P<name>[^"'\\]{1,100})(?P=quote)\s{0,9},\s{0,9}(?P=quote)(?:value|values|val)(?P=quote)\s{0,9}:\s{0,9}"""
)
_FIELD_NAME = r"(?:name|key|field|parameter|param|attribute|property|id)=(?P<name>[^&\s<>]{1,100})"
_FIELD_VALUE = r"(?:value|values|val)=(?P<value>[^&\s<>]{1,2000})"
_NAMED_FIELDS = (  # of a form: `name=pin&value=…`, and in the other order
    re.compile(rf"(?i)(?<![^?&;\s]){_FIELD_NAME}&{_FIELD_VALUE}"),
    re.compile(rf"(?i)(?<![^?&;\s]){_FIELD_VALUE}&{_FIELD_NAME}"),
)
_NOTHING = frozenset(
    ("", "null", "none", "undefined", "true", "false", "required", "missing", "invalid", "empty", "expired", "hidden",
     "[hidden]")
)  # fmt: skip
"""Words that are not secrets: `token: expired`."""


@dataclass(frozen=True, slots=True)
class SecretText:
    """Replaces the secrets in a text.

    `hides(name, query)` tells whether a name is that of a secret; more names are in a `query`. `replace(name, value)`
    returns the replacement of a value; the name is empty for a secret that is recognised by its format, and ends with
    `/` for a path segment. `redact_json` redacts JSON that is a string in the text. With `sentences`, the names of
    queries also hide values in sentences.
    """

    hides: Callable[[str, bool], bool]
    replace: Callable[[str, str], str]
    redact_json: Callable[[JSON], JSON]
    sentences: bool

    def replaced(self, text: str, encodings: int = ENCODINGS) -> str:
        """Return the text with its secrets replaced; percent-encoded values are decoded up to `encodings` times."""
        bare = text.strip()
        if _may_be_json(bare):
            try:
                value = decode(bare)
                shown = self.redact_json(value)
            except (NotJSON, RecursionError):
                pass
            else:
                start = text.index(bare)
                return text if shown == value else text[:start] + encode(shown).decode() + text[start + len(bare) :]
        text = replace_secret_values(text, lambda value: self.replace("", value))
        if "/" in text:
            text = self._segments(text)
        if "=" not in text and ":" not in text and "<" not in text:
            return text
        if "form-data" in text.lower():
            text = _PART.sub(self._part, text)
        if "</" in text or "/>" in text or "<input" in text:
            text = self._elements(text)
        for pattern in _NAMED_FIELDS if "&" in text else ():
            text = pattern.sub(self._named_field, text)
        if "=" not in text and not _MAY_BE_NAME.search(text):
            return text
        return self._pairs(self._named_values(text), encodings)

    def _part(self, part: re.Match[str]) -> str:
        name = part["name"]
        return part["head"] + self.replace(name, part["value"]) if self.hides(name, True) else part[0]

    def _named_field(self, pair: re.Match[str]) -> str:
        name, start, end = (
            unquote_plus(pair["name"]),
            pair.start("value") - pair.start(),
            pair.end("value") - pair.start(),
        )
        if not self.hides(name, False):
            return pair[0]
        return pair[0][:start] + self.replace(name, unquote_plus(pair["value"])) + pair[0][end:]

    def _pairs(self, text: str, encodings: int) -> str:
        """Replace the values that follow a name and `=` or `:`."""
        pieces, end, checked = [], 0, 0
        is_query = self.sentences or "&" in text
        for found in _NAME.finditer(text):
            if found.start() < end:
                continue
            if found["pair"] is None:
                name, bare = found["key"] or found["word"], _WORD_VALUE
                hidden = self.hides(name, False)
            else:
                name = unquote_plus(found["pair"])
                before = found["before"]
                hidden = self.hides(name, self._is_query(text, found) if before else is_query)
                bare = _PATH_PARAMETER_VALUE if before == ";" else _PAIR_VALUE
            if hidden:
                pieces.append(text[end : found.end()])
                shown, end = self._value(text, found.end(), bare, name)
                pieces.append(shown)
            elif found["pair"] is not None and encodings and found.end() >= checked:
                value = _PAIR_VALUE.match(text, found.end())
                assert value is not None
                shown, checked = self._encoded(value[0], encodings), value.end()
                if shown != value[0]:
                    pieces += [text[end : found.end()], shown]
                    end = checked
        return "".join([*pieces, text[end:]])

    def _is_query(self, text: str, found: re.Match[str]) -> bool:
        """Return True if a name and `=` may be of a query: not if they are an attribute of an XML element."""
        if found["before"] in "&?;#":
            return True
        return self.sentences and not (found["before"].isspace() and text[found.end() : found.end() + 1] in ('"', "'"))

    def _encoded(self, text: str, encodings: int) -> str:
        """Replace secrets in a percent-encoded value: `message=%7B%22pin%22%3A1%7D`."""
        if "%" not in text:
            return text
        once = self._pairs(text, 0)  # before decoding, which could add the ends of values
        value = unquote_plus(once)
        shown = self.replaced(value, encodings - 1)
        return once if shown == value else quote(shown, safe="[]/:?=")

    def _value(self, text: str, start: int, bare: re.Pattern[str], name: str) -> tuple[str, int]:
        """Return the replacement of the value at `start`, and its end. `bare` matches a value that is not quoted."""
        opening = _QUOTE.match(text, start)
        if opening is not None:
            mark, end = opening[0], _end_of_string(text, opening)
            inner = text[opening.end() : end - len(mark) if end else len(text)]
            shown = self.replace(name, inner)
            return (f"{mark}{shown}{mark}", end) if end else (f"{mark}{shown}", len(text))
        if text.startswith("[hidden]", start):
            return "[hidden]", start + len("[hidden]")
        if text[start : start + 1] in ("{", "["):
            return self.replace(name, text[start:]), len(text)
        found = bare.match(text, start)
        assert found is not None
        if bare is _WORD_VALUE and not self.sentences and found[0].strip().lower() in _NOTHING:
            return found[0], found.end()
        value = unquote_plus(found[0]) if bare is not _WORD_VALUE else found[0].strip()
        return self.replace(name, value), found.end()

    def _named_values(self, text: str) -> str:
        pieces, end = [], 0
        for found in _NAMED_VALUE.finditer(text):
            if found.start() >= end and self.hides(found["name"], False):
                pieces.append(text[end : found.end()])
                shown, end = self._value(text, found.end(), _WORD_VALUE, found["name"])
                pieces.append(shown)
        return "".join([*pieces, text[end:]])

    def _segments(self, text: str) -> str:
        """Replace path segments after one such as `token`."""
        pieces, end = [], 0
        for found in _SEGMENT.finditer(text):
            value = _SEGMENT_VALUE.match(text, found.end() + 1)
            if value is None or found.start() < end or not is_secret_segment(found["before"], unquote(value[0])):
                continue
            if value[0].lower() not in _NOTHING:
                pieces += [text[end : value.start()], self.replace(found["before"] + "/", unquote(value[0]))]
                end = value.end()
        return "".join([*pieces, text[end:]])

    def _elements(self, text: str) -> str:
        """Replace the content of XML elements with a secret name, and the value of `<entry key="password">`."""
        pieces, end = [], 0
        for found in _ELEMENT.finditer(text):
            if found.start() < end:
                continue
            named = _NAME_FIELD.search(found["fields"]) if found["fields"] else None
            name = named["name"] if named is not None and self.hides(named["name"], False) else found["name"]
            if not self.hides(name, False):
                continue
            value = _VALUE_FIELD.search(text, found.start("fields"), found.end("fields")) if named is not None else None
            if value is not None:
                pieces += [text[end : value.start("value")], self.replace(name, value["value"])]
                end = value.end("value")
            elif not found["empty"]:
                pieces.append(text[end : found.end()])
                close = _find_end(text, found["name"], found.end())
                content = text[found.end() : close]
                pieces.append(self.replace(name, _plain_content(content)) if content.strip() else content)
                end = close
        text = "".join([*pieces, text[end:]])
        return self._name_elements(text) if "<name>" in text or "<key>" in text else text

    def _name_elements(self, text: str) -> str:
        pieces, end = [], 0
        for found in _NAME_ELEMENT.finditer(text):
            if found.start() >= end and self.hides(found["name"], False):
                close = _find_end(text, found["value"], found.end())
                value = _plain_content(text[found.end() : close])
                pieces += [text[end : found.end()], self.replace(found["name"], value)]
                end = close
        return "".join([*pieces, text[end:]])


def _may_be_json(bare: str) -> bool:
    return (bare[:1], bare[-1:]) in (("{", "}"), ("[", "]"), ('"', '"')) and len(bare) > 1


def _find_end(text: str, name: str, start: int) -> int:
    """Return the position of the end tag of an element, or the end of the text."""
    found = re.compile(rf"</(?:[\w.-]{{1,50}}:)?{re.escape(name)}\s{{0,9}}>").search(text, start)
    return found.start() if found else len(text)


def _plain_content(content: str) -> str:
    return content.strip().removeprefix("<![CDATA[").removesuffix("]]>")


def _end_of_string(text: str, opening: re.Match[str]) -> int | None:
    r"""Return the end of a string; None if it is cut off. In JSON in a string, a quote is `\"`, a backslash `\\\\`."""
    escapes = len(opening[0])
    for closing in re.compile(r"(?<!\\)(\\*)" + opening[0][-1]).finditer(text, opening.end()):
        if len(closing[1]) % (2 * escapes) == escapes - 1:
            return closing.end()
    return None
