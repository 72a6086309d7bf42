"""The veil: what a recording doesn't hold isn't compared, and what a report may not show isn't shown.

A recording has pseudonyms in place of personal data, hosts and secrets; a live reply has the real ones. Under the veil
both look alike: only the kind of such a value is left. The policy says which those are, as it does in recording; under
`strict`, identifiers are among them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.recording import Policy
from cometreel.recording.policy import PolicyRule, Treatment
from cometreel.recording.pseudonyms import EMAIL, SHAPED_ID, is_shaped_id
from cometreel.recording.redaction import HIDDEN, Redactor
from cometreel.recording.secret import Secret
from cometreel.scenario.matchers import MISSING

__all__ = ["ReportMasking"]

PERSONAL = "(personal)"
_HOST = re.compile(r"(?<=://)[^/?#\s\"'<>,;\\]+")
_INTERNATIONAL = re.compile(r"(?<![\w+])\+\d(?:[\d().\s/-]*\d){6,}")
_QUOTED = re.compile(r"(?<=['\"])[^'\"]+(?=['\"])")
_NUMBERS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\d{4,}")
_SESSION = re.compile(r";jsessionid=[^;/?#\s\"'<>]*", re.IGNORECASE)
_SHORTEST = 5
"""Shorter names aren't remembered in recording either."""
_HIDING = (Treatment.SECRET, Treatment.TOKEN)
_REPLACED = (Treatment.NAME, Treatment.TEXT, Treatment.TREE)


class ReportMasking:
    """One run's view of what is personal. `key` makes the pseudonyms in its report, 32 random bytes."""

    def __init__(self, policy: Policy, key: bytes) -> None:
        self._policy = policy
        self._redactor = Redactor(policy, Secret(key))
        self._names: set[str] = set()

    def hide(self, secret: str) -> None:
        """Never show this text: a password, a token."""
        self._redactor.secrets.add(secret)

    # --- comparing ------------------------------------------------------------------------------------------
    def over(self, value: JSON) -> JSON:
        """The value as it is compared."""
        return self._value(value, None)

    def learn(self, value: JSON, rule: PolicyRule | None = None) -> None:
        """Remember the names in a value: a recording replaces them where no rule covers them, too."""
        treatment = rule.treatment if rule is not None else None
        if isinstance(value, dict):
            for key, member in value.items():
                self.learn(member, rule if treatment is Treatment.TREE else self._policy.key_rule(key))
        elif isinstance(value, list):
            for item in value:
                self.learn(item, rule)
        elif isinstance(value, str) and len(value) >= _SHORTEST:
            word = " " not in value.strip()  # in a tree, several words are a text
            if treatment is Treatment.NAME or (treatment is Treatment.TREE and word):
                self._names.add(value)

    def at(self, value: JSON, path: Sequence[str | int]) -> JSON | object:
        """What stands at a path of a value that was compared, in the value itself; MISSING if nothing does."""
        here: JSON | object = value
        for step in path:
            if isinstance(here, list) and isinstance(step, int):
                here = here[step] if step < len(here) else MISSING
            elif isinstance(here, dict):
                name = str(step)
                here = here[name] if name in here else self._like(here, name)
            else:
                return MISSING
        return here

    def _like(self, members: JSONObject, veiled: str) -> JSON | object:
        for tree in (False, True):
            for key, shown in self._keys(members, tree=tree).items():
                if shown == veiled:
                    return members[key]
        return MISSING

    def _keys(self, members: JSONObject, *, tree: bool) -> dict[str, str]:
        """How each key is compared; those that look alike are told apart by their order."""
        made: dict[str, str] = {}
        counts: dict[str, int] = {}
        for key in members:
            veiled = _NUMBERS.sub("#", self._key(key)) if tree else self._key(key)
            number = counts[veiled] = counts.get(veiled, 0) + 1
            made[key] = veiled if number == 1 else f"{veiled} {number}"
        return made

    def _value(self, value: JSON, rule: PolicyRule | None) -> JSON:
        treatment = rule.treatment if rule is not None else None
        if treatment in _HIDING and value:
            return HIDDEN
        if treatment is Treatment.TREE and isinstance(value, dict | list):
            return self._tree(value)
        if isinstance(value, dict):
            keys = self._keys(value, tree=False)
            return {keys[key]: self._value(member, self._policy.key_rule(key)) for key, member in value.items()}
        if isinstance(value, list):
            return [self._value(item, rule) for item in value]
        if treatment in _REPLACED or (treatment is Treatment.IDENTIFIER and self._policy.strict):
            return _kind(value)
        return self._text(value, treatment) if isinstance(value, str) else value

    def _tree(self, value: JSON) -> JSON:
        if isinstance(value, dict):
            keys = self._keys(value, tree=True)
            return {keys[key]: self._tree(member) for key, member in value.items()}
        return [self._tree(item) for item in value] if isinstance(value, list) else _kind(value)

    def _text(self, value: str, treatment: Treatment | None) -> JSON:
        if value[:1] in ("{", "[") and value[-1:] in ("}", "]"):
            try:
                return encode(self._value(decode(value), None)).decode()  # JSON that was packed into a text
            except NotJSON:
                pass
        if value in self._names and treatment in (None, Treatment.KEEP):
            return PERSONAL
        if treatment is Treatment.MESSAGE:
            value = _NUMBERS.sub("#", _QUOTED.sub("…", value))
        return self._loose(value)

    def _loose(self, value: str) -> str:
        value = SHAPED_ID.sub("(id)", value) if self._policy.strict else value
        value = EMAIL.sub("(address)", _HOST.sub("(host)", value)) if "@" in value or "://" in value else value
        return _SESSION.sub("", _INTERNATIONAL.sub("(number)", value))

    def _key(self, name: str) -> str:
        for pattern in self._policy.dictionary_keys:
            found = pattern.match(name)
            if found:
                return f"{found[1]}*{found[3]}"
        return "(id)" if self._policy.strict and is_shaped_id(name) else self._loose(name)

    # --- showing --------------------------------------------------------------------------------------------
    def shown(self, value: JSON) -> JSON:
        """The value as a recording would hold it."""
        redacted = self._redactor.redact_json(value)[0]
        line = self._redactor.secrets.scrub(encode(redacted), redacted, lambda _: HIDDEN)
        return decode(line)


def _kind(value: JSON) -> JSON:
    """What is left of a personal value: empty or not, text or number."""
    if isinstance(value, str):
        return PERSONAL if value.strip() else value
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value
