"""Redaction of JSON values, Bayeux messages and texts, in memory: replaces secrets and personal data.

The policy selects the values to replace; `pseudonyms` creates the replacements. The paths of replaced values are
collected. Log messages and exceptions never contain values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode, names_in
from cometreel.recording.known_secrets import KnownSecrets, looks_random
from cometreel.recording.policy import Policy, PolicyRule, Treatment
from cometreel.recording.pseudonyms import EMAIL, SHAPED_ID, Pseudonyms, is_shaped_id
from cometreel.recording.secret import Secret
from cometreel.scenario.json_pointer import escape
from cometreel.secret_names import may_be_renamed, member_name, words_of
from cometreel.secret_text import SecretText
from cometreel.secret_values import basic_credentials

__all__ = [
    "HIDDEN",
    "INTERNATIONAL_NUMBER",
    "QUOTED",
    "USER_REFERENCE",
    "RedactionMarks",
    "Redactor",
    "is_login_name",
    "refers_to_user",
]

HIDDEN = "hidden"
"""The replacement of a secret that does not identify a session."""

_URL_HOST = re.compile(r"(?<=://)(?:[^/@\s\"'<>]*@)?([^/?#\s\"'<>,;\\]+)")
INTERNATIONAL_NUMBER = re.compile(r"(?<![\w+])\+\d(?:[\d().\s/-]*\d){6,}")
_PARAMETER = re.compile(r"(?<=[?&])([\w.~-]{1,60})=([^&#\s\"'<>]+)")
QUOTED = re.compile(r"(?<=['\"])[^'\"]+(?=['\"])")
_LONG_NUMBER = re.compile(r"\d{4,}")
_PRIVATE_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b")
_CACHE_LIMIT, _LONGEST_CACHED = 20_000, 200
_ENVELOPE_DATA = ("data", "ext")
_OPERATION_KEYS = frozenset(
    ("operationName", "operation", "messageType", "notificationType", "channel", "subscription")
)
USER_REFERENCE = PolicyRule(Treatment.KEEP, "user")
"""The rule of a key without a rule of the policy that may refer to a user, such as `createdBy`."""

_OWNER_KINDS = frozenset(("owner", "user", "place", "group", "queue", "name"))
# fmt: off
_ENVELOPE_KEPT = frozenset((
    "id", "channel", "version", "minimumVersion", "supportedConnectionTypes", "connectionType", "advice",
    "subscription", "successful", "timestamp",
))
# fmt: on


class RedactionMarks:
    """The JSON Pointers of the replaced values of one body, by class."""

    __slots__ = ("identifiers", "personal", "secret")

    def __init__(self) -> None:
        self.secret: list[str] = []
        self.personal: list[str] = []
        self.identifiers: dict[str, str] = {}

    def to_json(self) -> JSONObject:
        """Return the marks in the form of a journal line; empty if nothing was replaced."""
        found: JSONObject = {}
        if self.secret:
            found["secret"] = list(self.secret)
        if self.personal:
            found["personal"] = list(self.personal)
        if self.identifiers:
            found["id"] = dict(self.identifiers)
        return found


class Redactor:
    """Redacts values with a policy and a pseudonym key. Found secrets and names are also replaced in later texts."""

    def __init__(self, policy: Policy, key: Secret) -> None:
        self.policy = policy
        self.pseudonyms = Pseudonyms(key)
        self.secrets = KnownSecrets()
        self._names: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._text_cache: dict[str, str] = {}
        self._changes = 0
        """Number of names that were found after the same text was returned unchanged, or may have been."""
        self._key_cache: dict[str, str] = {}
        self._member_rules: dict[str, PolicyRule | None] = {}
        self._steps: dict[str, str] = {}
        self._path: list[str] = []
        self._marks = RedactionMarks()
        self._patterns = self._text_patterns()
        self._secret_text = SecretText(self._hides, self._secret_in_text, self._nested_value, sentences=False)

    def __repr__(self) -> str:
        return f"Redactor({self.policy.name})"

    @property
    def version(self) -> int:
        """A number that changes when the result for an equal value may change."""
        return self._changes + len(self._users) + self.secrets.dropped

    def redact_json(self, value: JSON) -> tuple[JSON, RedactionMarks]:
        """Redact a JSON value; also return the marks of the replaced values."""
        self._path, self._marks = [], RedactionMarks()
        self._learn_users(value)
        return self._value(value, None), self._marks

    def redact_messages(self, messages: list[JSONObject]) -> tuple[list[JSON], RedactionMarks]:
        """Redact Bayeux messages: the envelope with fixed rules, `data` and `ext` as JSON."""
        self._path, self._marks = [], RedactionMarks()
        redacted: list[JSON] = []
        for message in messages:
            self._learn_users(message)
        for number, message in enumerate(messages):
            self._path.append(str(number))
            redacted.append(self._message(message))
            self._path.pop()
        return redacted, self._marks

    def token(self, value: str, place: str = "") -> str:
        """Replace a session or client id, and add it to the known secrets."""
        self.secrets.add(value, place or self._place())
        return self.pseudonyms.token(value)

    def user(self, value: str) -> str:
        """Replace the name with which a user logs in, also where it is the name of an owner."""
        if value not in self._users and len(self._users) < _CACHE_LIMIT:
            self._users[value] = self.pseudonyms.same_shape(value)
            self.secrets.add_name(value)
        return self.name(value)

    def name(self, value: str) -> str:
        """Replace a personal name, address or number, also in later texts if it can't be a common word."""
        pseudonym = self.pseudonyms.same_shape(value)
        if len(value) >= 5 and value not in self._names and not value.isalpha() and len(self._names) < _CACHE_LIMIT:
            self._names[value] = pseudonym
            if self._text_cache.pop(value, None) is not None or len(value) >= _LONGEST_CACHED:
                self._changes += 1
        return pseudonym

    def text(self, value: str) -> str:
        """Redact a text without a rule: addresses, hosts, international numbers, credentials and known names."""
        try:
            return self._text_cache[value]
        except KeyError:
            redacted = self._redact_text(value)
            if len(self._text_cache) >= _CACHE_LIMIT:
                self._text_cache.clear()
                self._changes += 1
            if len(value) < _LONGEST_CACHED:
                self._text_cache[value] = redacted
            return redacted

    def message(self, value: str) -> str:
        """Redact an error message of the server: also quoted parts and long numbers."""
        value = QUOTED.sub(lambda found: self.pseudonyms.same_shape(found[0]), self.text(value))
        value = _PRIVATE_ADDRESS.sub(lambda found: self.pseudonyms.host(found[0]), value)
        return _LONG_NUMBER.sub(lambda found: self.pseudonyms.digits(found[0]), value)

    def key(self, name: str) -> str:
        """Redact a key of an object."""
        try:
            return self._key_cache[name]
        except KeyError:
            redacted = self._redact_key(name)
            if len(self._key_cache) < _CACHE_LIMIT:
                self._key_cache[name] = redacted
            return redacted

    def by_rule(self, rule: PolicyRule | None, value: str, place: str = "") -> tuple[str, str]:
        """Redact a text with a rule; also return the class of the replaced value, or an empty string.

        `place` names the place of a secret for the summary; the default is its key.
        """
        if rule is USER_REFERENCE:
            if value in self._users:
                return self._as_user(value)
            rule = None
        if rule is None:
            if self.policy.strict and is_shaped_id(value):
                return self.pseudonyms.same_shape(value), "id thing"
            return self._personal(self.text, value)
        treatment = rule.treatment
        if treatment is Treatment.SECRET:
            self._add_secret(value, place or self._place())
            return (HIDDEN, "secret") if value else ("", "")
        if treatment is Treatment.TOKEN:
            return self.token(value, place), "secret"
        if treatment is Treatment.IDENTIFIER:
            return self._identifier(rule.kind, value)
        return self._personal(self._method(treatment), value)

    def rule_of(self, members: JSONObject, name: str) -> PolicyRule | None:
        """Return the rule of the policy for a member of an object, or `USER_REFERENCE`, or None."""
        rule = self._find_rule(member_name(members, name))
        if not may_be_renamed(name) and len(self._member_rules) < _CACHE_LIMIT:
            self._member_rules[name] = rule
        return rule

    def _identifier(self, kind: str, value: str) -> tuple[str, str]:
        if kind in _OWNER_KINDS:
            self.secrets.add_name(value)
        if self.policy.strict and value:
            return self.pseudonyms.same_shape(value), f"id {kind}"
        if value in self._users:
            return self._as_user(value)
        if value in self._names and "@" not in value and "+" not in value:
            return value, ""  # clients send the identifier again, even if it equals a number or a name
        return self._personal(self.text, value)

    def _as_user(self, value: str) -> tuple[str, str]:
        """Replace an identifier that is the name of a user; a replay takes the name that its client sends."""
        return self._users[value], "id user"

    def _add_secret(self, value: str, place: str) -> None:
        if value != HIDDEN:
            self.secrets.add(value, place)

    def _place(self) -> str:
        """Return the key of the value that is being redacted."""
        return next((self._path_step(name) for name in reversed(self._path) if not name.isdigit()), "a text")

    def _method(self, treatment: Treatment) -> Callable[[str], str]:
        if treatment is Treatment.NAME:
            return self.name
        if treatment is Treatment.TEXT:
            return self.pseudonyms.text
        if treatment is Treatment.TREE:
            return self._leaf
        return self.message if treatment is Treatment.MESSAGE else self.text

    def _personal(self, method: Callable[[str], str], value: str) -> tuple[str, str]:
        redacted = method(value)
        return redacted, "personal" if redacted != value else ""

    # --- JSON ----------------------------------------------------------------------------------------------

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
                redacted[name] = self.text(item)
            elif name in _ENVELOPE_KEPT:
                if name in _OPERATION_KEYS and isinstance(item, str):
                    self._add_words(item)
                redacted[name] = self._envelope_value(item)
            else:
                redacted[self.key(name)] = self._value(item, self.policy.key_rule(name))
            self._path.pop()
        return redacted

    def _envelope_value(self, item: JSON) -> JSON:
        if isinstance(item, str):
            return self.text(item)
        return self._value(item, None) if isinstance(item, dict | list) else item

    def _value(self, value: JSON, rule: PolicyRule | None) -> JSON:
        if isinstance(value, str):
            return self._string(value, rule)
        if isinstance(value, dict):
            return self._object(value, rule)
        if isinstance(value, list):
            return self._array(value, rule)
        if value is None or isinstance(value, bool) or rule is None:
            return value
        return self._number(value, rule)

    def _string(self, value: str, rule: PolicyRule | None) -> JSON:
        if rule is None and value in self._text_cache and not self.policy.strict:  # most strings; by_rule takes longer
            redacted, replaced = self._text_cache[value], ""
            if redacted != value:
                replaced = "personal"
        else:
            redacted, replaced = self.by_rule(rule, value)
        if replaced:
            self._mark(replaced)
        return redacted

    def _number(self, value: float, rule: PolicyRule) -> JSON:
        match rule.treatment:
            case Treatment.SECRET | Treatment.TOKEN:
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
        if rule is not None and rule.is_inherited:
            return self._whole(value, rule)
        path, redacted, keys, rules = self._path, dict[str, JSON](), self._key_cache, self._member_rules
        for name, item in value.items():
            path.append(name)
            if name in _OPERATION_KEYS and isinstance(item, str):
                self._add_words(item)
            rule = rules[name] if name in rules else self.rule_of(value, name)
            redacted[keys.get(name) or self.key(name)] = self._value(item, rule)
            path.pop()
        return redacted

    def _find_rule(self, name: str) -> PolicyRule | None:
        rule = self.policy.key_rule(name)
        return USER_REFERENCE if rule is None and refers_to_user(name) else rule

    def _add_words(self, text: str) -> None:
        for word in text.split("/"):
            if word:
                self.secrets.add_word(word)

    def _learn_users(self, value: JSON) -> None:
        """Find the names of users in a body first: they are replaced in all its parts."""
        names = {name for name in names_in(value) if is_login_name(name) and self._is_personal(name)}
        if names:
            self._add_users(value, names)

    def _add_users(self, value: JSON, names: set[str]) -> None:
        if isinstance(value, list):
            for item in value:
                self._add_users(item, names)
        elif isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, dict | list):
                    self._add_users(item, names)
                elif item and isinstance(item, str) and name in names:
                    self.user(item)

    def _is_personal(self, name: str) -> bool:
        rule = self.policy.key_rule(name)
        return rule is not None and rule.treatment is Treatment.NAME

    def _array(self, value: list[JSON], rule: PolicyRule | None) -> JSON:
        if rule is not None and rule.is_inherited:
            return self._whole(value, rule)
        redacted: list[JSON] = []
        for number, item in enumerate(value):
            self._path.append(str(number))
            redacted.append(self._value(item, rule))
            self._path.pop()
        return redacted

    def _whole(self, value: JSON, rule: PolicyRule) -> JSON:
        if not value:
            return value
        if rule.treatment is Treatment.TREE:
            self._mark("personal")
            return self._tree(value)
        self._mark("secret")
        self._add_secrets(value)
        return HIDDEN

    def _add_secrets(self, value: JSON) -> None:
        if isinstance(value, str):
            self._add_secret(value, self._place())
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self._add_secrets(item)

    def _tree(self, value: JSON, name: str = "") -> JSON:
        """Redact all values of a tree as personal data, and secrets in it as secrets."""
        if isinstance(value, dict):
            return {self._tree_key(key): self._tree(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tree(item, name) for item in value]
        rule = self.policy.key_rule(name)
        if isinstance(value, str):
            return self.by_rule(rule, value)[0] if rule is not None and rule.is_secret else self._leaf(value)
        return value if value is None or isinstance(value, bool) else self.pseudonyms.number(value)

    def _leaf(self, value: str) -> str:
        """Redact a text in a tree: a single word keeps its shape, a longer text is replaced as a whole."""
        return self.pseudonyms.text(value) if " " in value.strip() else self.name(value)

    def _tree_key(self, name: str) -> str:
        redacted = self.key(name)
        return redacted if redacted != name else _LONG_NUMBER.sub(lambda found: self.pseudonyms.digits(found[0]), name)

    def _redact_key(self, name: str) -> str:
        self.secrets.add_word(name)
        for pattern in self.policy.dictionary_keys:
            found = pattern.match(name)
            if found:
                return f"{found[1]}{self.pseudonyms.same_shape(found[2])}{found[3]}"
        return self.text(name)

    def _mark(self, replaced: str) -> None:
        steps = self._steps
        pointer = "".join([steps.get(name) or self._step(name) for name in self._path])
        if replaced == "secret":
            self._marks.secret.append(pointer)
        elif replaced == "personal":
            self._marks.personal.append(pointer)
        else:
            self._marks.identifiers[pointer] = replaced.removeprefix("id ")

    def _step(self, name: str) -> str:
        step = "/" + escape(self._path_step(name))
        if len(self._steps) < _CACHE_LIMIT:
            self._steps[name] = step
        return step

    def _path_step(self, name: str) -> str:
        return name if name.isdigit() and len(name) < 4 else self.key(name)

    # --- texts without a rule ------------------------------------------------------------------------------

    def _redact_text(self, value: str) -> str:
        if value in self._names:
            return self._names[value]
        bare = value.strip()
        if bare[:1] in ("{", "[") and bare[-1:] in ("}", "]"):
            inner = self._nested(bare)
            if inner is not None:
                start = value.index(bare)
                return value[:start] + inner + value[start + len(bare) :]
        value = self._secret_text.replaced(value)
        for marker, pattern, replace in self._patterns:
            if marker in value:
                value = pattern.sub(replace, value)
        return value

    def _text_patterns(self) -> list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]]:
        """Return the patterns to replace in any text: a marker that is fast to find, the pattern, the replacement."""
        shaped_ids = [("", SHAPED_ID, lambda found: self.pseudonyms.same_shape(found[0]))] if self.policy.strict else []
        return [
            ("=", _PARAMETER, self._parameter),
            ("://", _URL_HOST, lambda found: self.pseudonyms.host(found[1])),
            *shaped_ids,
            ("@", EMAIL, lambda found: self.name(found[0])),
            ("+", INTERNATIONAL_NUMBER, lambda found: self.name(found[0])),
        ]

    def _parameter(self, found: re.Match[str]) -> str:
        """Redact personal data in a parameter of a URL like in one of a request."""
        rule = self.policy.query_rule(found[1])
        if rule is None or rule.treatment not in (Treatment.NAME, Treatment.TEXT):
            return found[0]
        return f"{found[1]}={quote(self.by_rule(rule, unquote_plus(found[2]))[0], safe='')}"

    def _hides(self, name: str, query: bool) -> bool:
        rule = self.policy.query_rule(name) if query else self.policy.key_rule(name)
        return rule is not None and rule.is_secret

    def _secret_in_text(self, name: str, value: str) -> str:
        """Replace a secret that was found in a text, by its name or its format."""
        if not value or value == HIDDEN:
            return value
        if name.endswith("/"):
            return self.path_secret(name[:-1], value)
        rule = self.policy.query_rule(name) if name else None
        if rule is not None and rule.treatment is Treatment.TOKEN:
            return self.token(value, name)
        credentials = basic_credentials(value.rpartition(" ")[2])
        if credentials:
            self.user(credentials[0])
            self._add_secret(credentials[1], name or "credentials in a text")
        self.add_parameter(name, value.rpartition(" ")[2] if not name else value)
        return HIDDEN

    def path_secret(self, before: str, value: str) -> str:
        """Replace a secret in a path by a token, which is equal in a link and in the request that follows it."""
        return self.token(value, f"path after {before}")

    def add_parameter(self, name: str, value: str) -> None:
        """Add a secret of a query or a text. A word such as `active` in `state=active` isn't removed elsewhere."""
        if self._hides(name, False) or looks_random(value):
            self._add_secret(value, self._place() if not name else self.key(name))

    def _nested_value(self, value: JSON) -> JSON:
        """Redact JSON that is part of a text."""
        path, marks = self._path, self._marks
        self._path, self._marks = [], RedactionMarks()
        redacted = self._value(value, None)
        self._path, self._marks = path, marks
        return redacted

    def _nested(self, value: str) -> str | None:
        """Redact JSON in a string; None if the string isn't JSON."""
        try:
            inner = decode(value)
        except NotJSON:
            return None
        self._learn_users(inner)
        return encode(self._nested_value(inner)).decode("utf-8")


@lru_cache(maxsize=8192)
def is_login_name(name: str) -> bool:
    """Tell whether a key is that of the name with which a user logs in."""
    words = words_of(name)
    return words[-2:] in (("user", "name"), ("login", "name")) or words[-1:] == ("login",) or words == ("user",)


@lru_cache(maxsize=8192)
def refers_to_user(name: str) -> bool:
    """Tell whether a key without a rule may refer to a user."""
    words = words_of(name)
    return bool({"owner", "user", "agent", "assignee", "by", "member", "supervisor"}.intersection(words[-2:]))
