"""Redaction: takes a value from the wire and gives it back without secrets and personal data, in memory.

Which key holds what is the policy's word; what a pseudonym looks like is `pseudonyms.py`'s. This room walks JSON
and remembers where it replaced something. Nothing here writes, logs or raises with a value in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote_plus

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.recording.known_secrets import KnownSecrets, looks_random
from cometreel.recording.policy import Policy, PolicyRule, Treatment
from cometreel.recording.pseudonyms import EMAIL, SHAPED_ID, Pseudonyms, is_shaped_id
from cometreel.recording.secret import Secret
from cometreel.scenario.json_pointer import escape

__all__ = ["HIDDEN", "RedactionMarks", "Redactor"]

HIDDEN = "hidden"
"""What stands in place of a secret that nothing needs to be joined by."""

_URL_HOST = re.compile(r"(?<=://)(?:[^/@\s\"'<>]*@)?([^/?#\s\"'<>,;\\]+)")
_SESSION_PARAMETER = re.compile(r";jsessionid=([^;/?#\s\"'<>]*)", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"(?<![\w+])\+\d(?:[\d().\s/-]*\d){6,}")
_CREDENTIALS = re.compile(r"\b(?:Basic|Bearer|Negotiate|Digest)\s+[A-Za-z0-9+/=._~-]{6,}")
_WEB_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*")
_PARAMETER = re.compile(r"(?<=[?&])([\w.~-]{1,60})=([^&#\s\"'<>]+)")
_QUOTED = re.compile(r"(?<=['\"])[^'\"]+(?=['\"])")
_LONG_NUMBER = re.compile(r"\d{4,}")
_PRIVATE_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b")
_CACHE_LIMIT = 20_000
_ENVELOPE_DATA = ("data", "ext")
# fmt: off
_ENVELOPE_KEPT = frozenset((
    "id", "channel", "version", "minimumVersion", "supportedConnectionTypes", "connectionType", "advice",
    "subscription", "successful", "timestamp",
))
# fmt: on


class RedactionMarks:
    """Where one body was redacted, by class, as JSON Pointers."""

    __slots__ = ("identifiers", "personal", "secret")

    def __init__(self) -> None:
        self.secret: list[str] = []
        self.personal: list[str] = []
        self.identifiers: dict[str, str] = {}

    def line(self) -> JSONObject:
        """Give the marks as a journal line has them; empty where nothing was replaced."""
        found: JSONObject = {}
        if self.secret:
            found["secret"] = list(self.secret)
        if self.personal:
            found["personal"] = list(self.personal)
        if self.identifiers:
            found["id"] = dict(self.identifiers)
        return found


class Redactor:
    """Replace values by a policy, under one key. It remembers secrets and personal names that it has seen."""

    def __init__(self, policy: Policy, key: Secret) -> None:
        self.policy = policy
        self.pseudonyms = Pseudonyms(key)
        self.secrets = KnownSecrets()
        self._names: dict[str, str] = {}
        self._plain: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._path: list[str] = []
        self._marks = RedactionMarks()
        self._patterns = self._known_patterns()

    def __repr__(self) -> str:
        return f"Redactor({self.policy.name})"

    @property
    def learned(self) -> int:
        """A number that changes when the same value may be redacted in another way than before."""
        return len(self._names) + self.secrets.forgotten

    def json(self, value: JSON) -> tuple[JSON, RedactionMarks]:
        """Redact a JSON value; the marks say where."""
        self._path, self._marks = [], RedactionMarks()
        return self._value(value, None), self._marks

    def messages(self, messages: list[JSONObject]) -> tuple[list[JSON], RedactionMarks]:
        """Redact Bayeux messages: the envelope by Bayeux's own rules, `data` and `ext` as any JSON."""
        self._path, self._marks = [], RedactionMarks()
        redacted: list[JSON] = []
        for number, message in enumerate(messages):
            self._path.append(str(number))
            redacted.append(self._message(message))
            self._path.pop()
        return redacted, self._marks

    def secret(self, value: str) -> None:
        """Remember a value as a secret that must not turn up anywhere else."""
        self.secrets.learn(value)

    def token(self, value: str) -> str:
        """Replace a session's capability, and remember it as a secret."""
        self.secrets.learn(value)
        return self.pseudonyms.token(value)

    def name(self, value: str) -> str:
        """Replace a personal name, address or number, and remember it if it can't be mistaken for a common word."""
        made = self.pseudonyms.like(value)
        if len(value) >= 5 and value not in self._names and not value.isalpha() and len(self._names) < _CACHE_LIMIT:
            self._names[value] = made
            self._plain.pop(value, None)
        return made

    def loose(self, value: str) -> str:
        """Redact a text that no rule covers: addresses, hosts, international numbers, credentials, known names."""
        try:
            return self._plain[value]
        except KeyError:
            made = self._loose(value)
            if len(self._plain) >= _CACHE_LIMIT:
                self._plain.clear()
            if len(value) < 200:
                self._plain[value] = made
            return made

    def message(self, value: str) -> str:
        """Redact the server's own words: quoted parts and long numbers too."""
        value = _QUOTED.sub(lambda found: self.pseudonyms.like(found[0]), self.loose(value))
        value = _PRIVATE_ADDRESS.sub(lambda found: self.pseudonyms.host(found[0]), value)
        return _LONG_NUMBER.sub(lambda found: self.pseudonyms.digits(found[0]), value)

    def key(self, name: str) -> str:
        """Redact a key of a dictionary."""
        try:
            return self._keys[name]
        except KeyError:
            made = self._key(name)
            if len(self._keys) < _CACHE_LIMIT:
                self._keys[name] = made
            return made

    def by_rule(self, rule: PolicyRule | None, value: str) -> tuple[str, str]:
        """Redact one text by a rule; with the class of what was replaced, or an empty string."""
        if rule is None:
            if self.policy.strict and is_shaped_id(value):
                return self.pseudonyms.like(value), "id thing"
            return self._by(self.loose, value)
        treatment = rule.treatment
        if treatment is Treatment.HIDE:
            self.secrets.learn(value)
            return (HIDDEN, "secret") if value else ("", "")
        if treatment is Treatment.JOIN:
            return self.token(value), "secret"
        if treatment is Treatment.IDENTIFIER and self.policy.strict and value:
            return self.pseudonyms.like(value), f"id {rule.kind}"
        if treatment is Treatment.IDENTIFIER and value in self._names and "@" not in value and "+" not in value:
            return value, ""  # clients send it again and matching needs it, though a user is called so too
        return self._by(self._way(treatment), value)

    def _way(self, treatment: Treatment) -> Callable[[str], str]:
        if treatment is Treatment.NAME:
            return self.name
        if treatment is Treatment.TEXT:
            return self.pseudonyms.text
        if treatment is Treatment.TREE:
            return self._leaf
        return self.message if treatment is Treatment.MESSAGE else self.loose

    def _by(self, way: Callable[[str], str], value: str) -> tuple[str, str]:
        made = way(value)
        return made, "personal" if made != value else ""

    # --- walking -------------------------------------------------------------------------------------------

    def _message(self, message: JSONObject) -> JSONObject:
        redacted: JSONObject = {}
        for name, item in message.items():
            self._path.append(name)
            if name == "clientId" and isinstance(item, str):
                redacted[name] = self.token(item)
                self._mark("secret")
            elif name in _ENVELOPE_DATA:
                redacted[name] = self._value(item, None)
            elif name == "error" and isinstance(item, str):
                redacted[name] = self.loose(item)
            elif name in _ENVELOPE_KEPT:
                redacted[name] = self._kept(item)
            else:
                redacted[self.key(name)] = self._value(item, self.policy.key(name))
            self._path.pop()
        return redacted

    def _kept(self, item: JSON) -> JSON:
        if isinstance(item, str):
            return self.loose(item)
        return self._value(item, None) if isinstance(item, dict | list) else item

    def _value(self, value: JSON, rule: PolicyRule | None) -> JSON:
        if isinstance(value, str):
            return self._text(value, rule)
        if isinstance(value, dict):
            return self._object(value, rule)
        if isinstance(value, list):
            return self._array(value, rule)
        if value is None or isinstance(value, bool) or rule is None:
            return value
        return self._number(value, rule)

    def _text(self, value: str, rule: PolicyRule | None) -> JSON:
        made, found = self.by_rule(rule, value)
        if found:
            self._mark(found)
        return made

    def _number(self, value: float, rule: PolicyRule) -> JSON:
        match rule.treatment:
            case Treatment.HIDE | Treatment.JOIN:
                self._mark("secret")
                return HIDDEN
            case Treatment.NAME | Treatment.TEXT | Treatment.TREE:
                self._mark("personal")
                return self.pseudonyms.number(value)
            case Treatment.IDENTIFIER if self.policy.strict and rule.kind != "thing":
                self._mark(f"id {rule.kind}")
                return self.pseudonyms.number(value)
        return value

    def _object(self, value: JSONObject, rule: PolicyRule | None) -> JSON:
        if rule is not None and rule.treatment in (Treatment.TREE, Treatment.HIDE, Treatment.JOIN):
            return self._whole(value, rule)
        rules, path, made = self.policy.key, self._path, dict[str, JSON]()
        for name, item in value.items():
            path.append(name)
            made[self.key(name)] = self._value(item, rules(name))
            path.pop()
        return made

    def _array(self, value: list[JSON], rule: PolicyRule | None) -> JSON:
        if rule is not None and rule.treatment in (Treatment.TREE, Treatment.HIDE, Treatment.JOIN):
            return self._whole(value, rule)
        made: list[JSON] = []
        for number, item in enumerate(value):
            self._path.append(str(number))
            made.append(self._value(item, rule))
            self._path.pop()
        return made

    def _whole(self, value: JSON, rule: PolicyRule) -> JSON:
        if not value:
            return value
        if rule.treatment is Treatment.TREE:
            self._mark("personal")
            return self._tree(value)
        self._mark("secret")
        self._learn_all(value)
        return HIDDEN

    def _learn_all(self, value: JSON) -> None:
        if isinstance(value, str):
            self.secrets.learn(value)
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self._learn_all(item)

    def _tree(self, value: JSON, name: str = "") -> JSON:
        """Everything below is personal; secrets in it are still secrets."""
        if isinstance(value, dict):
            return {self._tree_key(key): self._tree(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tree(item, name) for item in value]
        rule = self.policy.key(name)
        if isinstance(value, str):
            hidden = rule is not None and rule.treatment in (Treatment.HIDE, Treatment.JOIN)
            return self.by_rule(rule, value)[0] if hidden else self._leaf(value)
        return value if value is None or isinstance(value, bool) else self.pseudonyms.number(value)

    def _leaf(self, value: str) -> str:
        """A text in a tree: one word looks like its kind, more than one is replaced as a whole."""
        return self.pseudonyms.text(value) if " " in value.strip() else self.name(value)

    def _tree_key(self, name: str) -> str:
        made = self.key(name)
        return made if made != name else _LONG_NUMBER.sub(lambda found: self.pseudonyms.digits(found[0]), name)

    def _key(self, name: str) -> str:
        for pattern in self.policy.dictionary_keys:
            found = pattern.match(name)
            if found:
                return f"{found[1]}{self.pseudonyms.like(found[2])}{found[3]}"
        if self.policy.strict and is_shaped_id(name):
            return self.pseudonyms.like(name)
        return self.loose(name)

    def _mark(self, found: str) -> None:
        pointer = "".join("/" + escape(self._shown(name)) for name in self._path)
        if found == "secret":
            self._marks.secret.append(pointer)
        elif found == "personal":
            self._marks.personal.append(pointer)
        else:
            self._marks.identifiers[pointer] = found.removeprefix("id ")

    def _shown(self, name: str) -> str:
        return name if name.isdigit() and len(name) < 4 else self.key(name)

    # --- texts that no rule covers -------------------------------------------------------------------------

    def _loose(self, value: str) -> str:
        if value in self._names:
            return self._names[value]
        if value[:1] in ("{", "[") and value[-1:] in ("}", "]"):
            inner = self._nested(value)
            if inner is not None:
                return inner
        for sign, pattern, put in self._patterns:
            if sign in value:
                value = pattern.sub(put, value)
        return value

    def _known_patterns(self) -> list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]]:
        """What is looked for in any text: a sign that is cheap to find, the pattern, what to put in its place."""
        shaped = [("", SHAPED_ID, lambda found: self.pseudonyms.like(found[0]))] if self.policy.strict else []
        return [
            ("=", _PARAMETER, self._parameter),
            ("://", _URL_HOST, lambda found: self.pseudonyms.host(found[1])),
            *shaped,
            ("@", EMAIL, lambda found: self.name(found[0])),
            ("+", _INTERNATIONAL, lambda found: self.name(found[0])),
            (";", _SESSION_PARAMETER, lambda found: f";jsessionid={self.token(found[1])}"),
            ("eyJ", _WEB_TOKEN, lambda _: HIDDEN),
            (" ", _CREDENTIALS, lambda _: HIDDEN),
        ]

    def _parameter(self, found: re.Match[str]) -> str:
        """A parameter of a URL that stands in a text, redacted as in the query of a request."""
        rule = self.policy.query(found[1])
        if rule is None or rule.treatment not in (Treatment.HIDE, Treatment.JOIN, Treatment.NAME):
            return found[0]
        plain = unquote_plus(found[2])
        if rule.treatment is Treatment.HIDE and not looks_random(plain):
            return f"{found[1]}={HIDDEN}"  # `state=active` is hidden here, and `active` stays a word elsewhere
        return f"{found[1]}={quote(self.by_rule(rule, plain)[0], safe='')}"

    def _nested(self, value: str) -> str | None:
        """JSON that was packed into a string is redacted as JSON; None if it isn't JSON."""
        try:
            inner = decode(value)
        except NotJSON:
            return None
        path, marks = self._path, self._marks
        self._path, self._marks = [], RedactionMarks()
        made = encode(self._value(inner, None)).decode("utf-8")
        self._path, self._marks = path, marks
        return made
