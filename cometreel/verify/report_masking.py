"""Masks values before they are compared, and redacts values before they are reported.

A recording contains pseudonyms instead of personal data, hosts and secrets; a live reply contains the real values. The
comparison masks both sides, so that only the kind of such a value counts. The redaction policy defines these values, as
it does in recording; the policy `strict` includes identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.recording import Policy
from cometreel.recording.policy import PolicyRule, Treatment
from cometreel.recording.pseudonyms import EMAIL, SHAPED_ID, is_shaped_id
from cometreel.recording.redaction import HIDDEN, INTERNATIONAL_NUMBER, QUOTED, USER_REFERENCE, Redactor, is_login_name
from cometreel.recording.secret import Secret
from cometreel.scenario.matchers import MISSING, Missing

__all__ = ["ReportMasking"]

_PERSONAL = "(personal)"
_HOST = re.compile(r"(?<=://)[^/?#\s\"'<>,;\\]+")
_NUMBERS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\d{4,}")
_SESSION_PARAMETER = re.compile(r";jsessionid=[^;/?#\s\"'<>]*", re.IGNORECASE)
_SHORTEST_NAME = 5
"""Recording does not remember shorter names either."""
_HIDDEN_TREATMENTS = (Treatment.SECRET, Treatment.TOKEN)
_PERSONAL_TREATMENTS = (Treatment.NAME, Treatment.TEXT, Treatment.TREE)


class ReportMasking:
    """Masking and redaction of one run. `key` is the key of the pseudonyms in its report, 32 random bytes."""

    def __init__(self, policy: Policy, key: bytes) -> None:
        self._policy = policy
        self._redactor = Redactor(policy, Secret(key))
        self._names: set[str] = set()
        self._users: set[str] = set()
        self._sent: set[str | int] = set()

    # --- redaction ------------------------------------------------------------------------------------------
    def add_secret(self, secret: str) -> None:
        """Redact this text, such as a password or a token, wherever it occurs."""
        self._redactor.secrets.add(secret)

    def redact(self, value: JSON) -> JSON:
        """Return the value as a recording would contain it."""
        redacted = self._redactor.redact_json(value)[0]
        line = self._redactor.secrets.scrub(encode(redacted), redacted, lambda _: HIDDEN)
        return decode(line)

    # --- masking --------------------------------------------------------------------------------------------
    def learn_names(self, value: JSON, rule: PolicyRule | None = None) -> None:
        """Remember the personal names in a value: a recording also replaces them where no rule applies.

        The names of users are replaced where they are identifiers, too.
        """
        treatment = rule.treatment if rule is not None else None
        if isinstance(value, dict):
            for key, member in value.items():
                own = self._policy.key_rule(key)
                is_name = own is not None and own.treatment is Treatment.NAME
                if is_name and member and isinstance(member, str) and is_login_name(key):
                    self._users.add(member)
                self.learn_names(member, rule if treatment is Treatment.TREE else self._redactor.rule_of(value, key))
        elif isinstance(value, list):
            for item in value:
                self.learn_names(item, rule)
        elif isinstance(value, str) and len(value) >= _SHORTEST_NAME:
            one_word = " " not in value.strip()  # in a tree, several words are a text
            if treatment is Treatment.NAME or (treatment is Treatment.TREE and one_word):
                self._names.add(self._name_form(value))

    def learn_sent(self, identifiers: Iterable[str | int]) -> None:
        """Remember identifiers that clients sent. They are compared as they are, also if they are names of users."""
        self._sent.update(identifiers)

    def mask(self, value: JSON) -> JSON:
        """Return the value as it is compared."""
        return self._mask_value(value, None)

    def value_at(self, value: JSON, path: Sequence[str | int]) -> JSON | Missing:
        """Return the part of an unmasked value at a path of the masked one; MISSING if it has none."""
        found: JSON | Missing = value
        for step in path:
            if isinstance(found, list) and isinstance(step, int):
                found = found[step] if step < len(found) else MISSING
            elif isinstance(found, dict):
                name = str(step)
                found = found[name] if name in found else self._member(found, name)
            else:
                return MISSING
        return found

    def _member(self, members: JSONObject, masked_key: str) -> JSON | Missing:
        for tree in (False, True):
            for key, masked in self._masked_keys(members, tree=tree).items():
                if masked == masked_key:
                    return members[key]
        return MISSING

    def _masked_keys(self, members: JSONObject, *, tree: bool) -> dict[str, str]:
        """Return the masked form of each key; equal ones are numbered in their order."""
        result: dict[str, str] = {}
        counts: dict[str, int] = {}
        for key in members:
            masked = _NUMBERS.sub("#", self._mask_key(key)) if tree else self._mask_key(key)
            number = counts[masked] = counts.get(masked, 0) + 1
            result[key] = masked if number == 1 else f"{masked} {number}"
        return result

    def _mask_value(self, value: JSON, rule: PolicyRule | None) -> JSON:
        treatment = rule.treatment if rule is not None else None
        if treatment in _HIDDEN_TREATMENTS and value:
            return HIDDEN
        if treatment is Treatment.TREE and isinstance(value, dict | list):
            return self._mask_tree(value)
        if isinstance(value, dict):
            keys = self._masked_keys(value, tree=False)
            rules = self._redactor.rule_of
            return {keys[key]: self._mask_value(member, rules(value, key)) for key, member in value.items()}
        if isinstance(value, list):
            return [self._mask_value(item, rule) for item in value]
        if treatment in _PERSONAL_TREATMENTS or (treatment is Treatment.IDENTIFIER and self._policy.strict):
            return _kind(value)
        return self._mask_text(value, rule) if isinstance(value, str) else value

    def _mask_tree(self, value: JSON) -> JSON:
        if isinstance(value, dict):
            keys = self._masked_keys(value, tree=True)
            return {keys[key]: self._mask_tree(member) for key, member in value.items()}
        return [self._mask_tree(item) for item in value] if isinstance(value, list) else _kind(value)

    def _mask_text(self, value: str, rule: PolicyRule | None) -> JSON:
        treatment = rule.treatment if rule is not None else None
        if (
            value in self._users
            and value not in self._sent
            and (treatment is Treatment.IDENTIFIER or rule is USER_REFERENCE)
        ):
            return _PERSONAL
        if treatment in (None, Treatment.KEEP) and self._name_form(value) in self._names:
            return _PERSONAL
        bare = value.strip()
        if bare[:1] in ("{", "[") and bare[-1:] in ("}", "]"):
            try:
                return value.replace(
                    bare, encode(self._mask_value(decode(bare), None)).decode()
                )  # JSON inside a string
            except NotJSON:
                pass
        if treatment is Treatment.MESSAGE:
            value = _NUMBERS.sub("#", QUOTED.sub("…", value))
        return self._mask_patterns(value)

    def _name_form(self, value: str) -> str:
        """Return the form in which names are compared.

        If a name occurs before its key, a recording replaces only its host, and rewrites JSON without spaces.
        """
        with suppress(NotJSON):
            value = encode(decode(value)).decode() if value[:1] in ("{", "[") else value
        return self._mask_patterns(value)

    def _mask_patterns(self, value: str) -> str:
        value = SHAPED_ID.sub("(id)", value) if self._policy.strict else value
        value = EMAIL.sub("(address)", _HOST.sub("(host)", value)) if "@" in value or "://" in value else value
        return _SESSION_PARAMETER.sub("", INTERNATIONAL_NUMBER.sub("(number)", value))

    def _mask_key(self, name: str) -> str:
        for pattern in self._policy.dictionary_keys:
            found = pattern.match(name)
            if found:
                return f"{found[1]}*{found[3]}"
        return "(id)" if self._policy.strict and is_shaped_id(name) else self._mask_patterns(name)


def _kind(value: JSON) -> JSON:
    """Return a stand-in for a personal value that keeps only its type, and for text if it is empty."""
    if isinstance(value, str):
        return _PERSONAL if value.strip() else value
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
