"""Redaction of request bodies that are text: XML and other text, as pieces that are alternately kept and replaced.

A scenario compares the kept pieces, so that different requests stay different. Text without a name rule is kept only
if it can't be personal data: one word of a program such as `start`, `PLACE` or `RequestAgentStats`, or a short number.
"""

from __future__ import annotations

import re

from cometreel.recording.policy import PolicyRule, Treatment
from cometreel.recording.redaction import RedactionMarks, Redactor

__all__ = ["is_plain_word", "redact_text"]

_PLAIN = re.compile(
    r"[a-z]{1,20}(?:[._-][a-z]{1,20}){0,3}|[A-Z]{2,12}(?:_[A-Z]{2,12}){0,3}|(?:[A-Z][a-z]+){3,8}|-?\d{1,4}"
)
_TOKEN = re.compile(r"<!--(?:.*?-->|.*\Z)|<!\[CDATA\[(?:.*?\]\]>|.*\Z)|<[^<>]*>|[^<]+|<", re.DOTALL)
_TAG = re.compile(r"<(/?)(?:[\w.-]{1,100}:)?([\w.-]{1,100})")
_ATTRIBUTE = re.compile(r"""([\w.:-]{1,100})(\s*=\s*)("[^"]*"|'[^']*')""")
_KEPT_ATTRIBUTE = re.compile(r"xmlns(:.*)?|xsi:.*|xml:.*|version|encoding")
_PAIR = re.compile(r"(\s*)([\w.-]{1,100})(\s*[:=]\s*)(\S.*)")
_ANYTHING = PolicyRule(Treatment.TREE)


def is_plain_word(text: str) -> bool:
    """True if a text is one word of a program or a short number, which can't be personal data."""
    return _PLAIN.fullmatch(text) is not None


def redact_text(text: str, redactor: Redactor) -> tuple[list[str], RedactionMarks]:
    """Return the pieces of a text: the first is kept, the second replaced, and so on; and the marks of the replaced."""
    pieces = _Pieces(redactor)
    if text.lstrip()[:1] == "<":
        _add_xml(text, pieces)
    else:
        for line in text.splitlines(keepends=True):
            _add_line(line, pieces)
    return pieces.pieces, pieces.marks


class _Pieces:
    """Collects pieces; neighbours of the same kind are joined."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.pieces = [""]
        self.marks = RedactionMarks()

    def keep(self, text: str) -> None:
        if len(self.pieces) % 2:
            self.pieces[-1] += text
        else:
            self.pieces.append(text)

    def value(self, text: str, rule: PolicyRule | None) -> None:
        """Add a value, kept or replaced by the rule of its name; blanks around it are kept."""
        bare = text.strip()
        if not bare:
            self.keep(text)
            return
        start = text.index(bare)
        redacted, replaced = self.redactor.by_rule(rule, bare)
        if not replaced and rule is None and not is_plain_word(bare):
            redacted, replaced = self.redactor.by_rule(_ANYTHING, bare)
        self.keep(text[:start])
        if replaced or redacted != bare:
            marked = self.marks.secret if replaced == "secret" else self.marks.personal
            marked.append(f"/{len(self.pieces)}")
            self.pieces.append(redacted)
        else:
            self.keep(bare)
        self.keep(text[start + len(bare) :])


def _add_xml(text: str, pieces: _Pieces) -> None:
    rules: list[PolicyRule | None] = [None]  # of the open elements
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token.startswith("<!--"):
            _add_enclosed(token, "<!--", "-->", _ANYTHING, pieces)
        elif token.startswith("<![CDATA["):
            _add_enclosed(token, "<![CDATA[", "]]>", rules[-1], pieces)
        elif (tag := _TAG.match(token)) is not None:
            if tag[1]:
                rules = rules[:-1] or [None]
                pieces.keep(token)
                continue
            rule = rules[-1]
            if rule is None or not rule.is_inherited:
                rule = pieces.redactor.policy.key_rule(tag[2])
            _add_tag(token, pieces)
            if not token.endswith("/>"):
                rules.append(rule)
        elif token.startswith("<"):
            pieces.keep(token)  # a declaration, or a part of invalid XML
        else:
            pieces.value(token, rules[-1])


def _add_enclosed(token: str, start: str, end: str, rule: PolicyRule | None, pieces: _Pieces) -> None:
    pieces.keep(start)
    pieces.value(token.removeprefix(start).removesuffix(end), rule)
    pieces.keep(end if token.endswith(end) else "")


def _add_tag(tag: str, pieces: _Pieces) -> None:
    end = 0
    for found in _ATTRIBUTE.finditer(tag):
        pieces.keep(tag[end : found.start(3) + 1])
        value, end = found[3][1:-1], found.end() - 1
        if _KEPT_ATTRIBUTE.fullmatch(found[1]):
            pieces.keep(value)
        else:
            pieces.value(value, pieces.redactor.policy.key_rule(found[1].rpartition(":")[2]))
    pieces.keep(tag[end:])


def _add_line(line: str, pieces: _Pieces) -> None:
    pair = _PAIR.match(line)
    if pair is None or pair[4].startswith("//"):
        pieces.value(line, None)
        return
    pieces.keep(line[: pair.start(4)])
    pieces.value(line[pair.start(4) :], pieces.redactor.policy.query_rule(pair[2]))
