"""What one live session has taught: who its user is, which values stand for the names that a scenario has.

Only values and names; how they come here, from requests and from what the server said, is others' part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import Match, RenderContext, TemplateFailed, User
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed, Identifier, Items, Members, Scope, Templated, Value

__all__ = ["ExpectedValues", "SessionVariables"]


@dataclass(slots=True)
class SessionVariables:
    """Grows while a session is played. `given` are the values that a person has named for markers in requests."""

    given: Mapping[str, JSON] = field(default_factory=dict)
    user: User = field(default_factory=User)
    ids: dict[str, JSON] = field(default_factory=dict)
    captures: dict[str, JSON] = field(default_factory=dict)
    """The captures that outlive their exchange, without their `session.`."""

    def learn(self, match: Match) -> None:
        """Keep what a request that was made has bound for the session."""
        self.captures.update(match.session_captures)
        self.ids.update(match.ids)

    def name_user(self, *, name: str | None = None, id: str | None = None) -> None:  # noqa: A002  # the template's word
        """Keep what is found out about the user; what is known already stays."""
        self.user = User(self.user.name or name, self.user.id or id)

    def id(self, name: str) -> JSON:
        """The value of an `$id` name, None where none is known."""
        return self.ids.get(name, self.given.get(name))

    def capture(self, name: str) -> JSON:
        """A value for `$capture`, None where none is known."""
        bare = name.removeprefix("session.")
        return self.given.get(bare, self.captures.get(bare))


_NEVER_THE_SAME = frozenset({"uuid", "randint", "wallclock", "now"})
_OWN = re.compile(r"\{\{-?\s*(user|session)\.([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}")
_USER_ID = re.compile(r"\buser\s*(\.\s*id\b|\[)")
_USER_NAME = re.compile(r"\buser\s*(\.\s*name\b|\[)")


class ExpectedValues:
    """The values of one exchange as they are expected of one live session."""

    def __init__(
        self, context: RenderContext, knowledge: SessionVariables, place: str, *, seq: int = 0, count: int = 1
    ) -> None:
        self._knowledge = knowledge
        self._context, self._place, self._seq, self._count = context, place, seq, count

    def _scope(self) -> Scope:
        """What templates see by now: each value may teach something that the next one uses."""
        known = self._knowledge
        ids = {**known.given, **known.ids}
        context = replace(self._context, user=known.user, ids=ids, session=known.captures)
        return Scope(context, self._place, seq=self._seq, count=self._count)

    def expect(self, value: Value, live: JSON | Missing) -> JSON:
        """The JSON that should have come; `live` is what came, or MISSING."""
        if isinstance(value, Fixed):
            return value.value
        if isinstance(value, Members):
            return self._members(value, live)
        if isinstance(value, Items):
            return self._items(value, live)
        if isinstance(value, Identifier):
            return self._identifier(value, live)
        return self._template(value, live) if isinstance(value, Templated) else value.render(self._scope())

    def _members(self, value: Members, live: JSON | Missing) -> JSON:
        found = live if isinstance(live, dict) else {}
        made: JSONObject = {}
        for key, member in value.members:
            named = {item.value for item, _ in value.members if isinstance(item, Fixed)}
            rest = (name for name in found if name not in named and name not in made)
            name = _text(self.expect(key, next(rest, MISSING) if not isinstance(key, Fixed) else MISSING))
            made[name] = self.expect(member, found.get(name, MISSING))
        return made

    def _items(self, value: Items, live: JSON | Missing) -> JSON:
        if value.joined:
            pieces: Sequence[JSON] = live.split(",") if isinstance(live, str) else []
            return ",".join(map(_text, self._each(value.items, pieces)))
        return self._each(value.items, live if isinstance(live, list) else [])

    def _each(self, items: Sequence[Value], live: Sequence[JSON]) -> list[JSON]:
        return [self.expect(item, live[number] if number < len(live) else MISSING) for number, item in enumerate(items)]

    def _identifier(self, value: Identifier, live: JSON | Missing) -> JSON:
        known = self._knowledge.id(value.name)
        if known is not None:
            return known
        if isinstance(live, str | int) and not isinstance(live, bool):
            self._knowledge.ids[value.name] = live
            return live
        return f"{{$id: {value.name}}}"

    def _template(self, value: Templated, live: JSON | Missing) -> JSON:
        template = value.template
        if template.names & _NEVER_THE_SAME or self._unknown(template.text):
            if _OWN.fullmatch(template.text.strip()) and isinstance(live, str):
                self._learn(template.text, live)
            return _taken(live, template.text)
        try:
            return value.render(self._scope())
        except TemplateFailed:
            return _taken(live, template.text)

    def _unknown(self, text: str) -> bool:
        """Whether a template wants to know of the user what nobody knows yet; it would render to null."""
        user = self._knowledge.user
        return bool((user.id is None and _USER_ID.search(text)) or (user.name is None and _USER_NAME.search(text)))

    def _learn(self, text: str, live: str) -> None:
        found = _OWN.fullmatch(text.strip())
        if found is not None and found[1] == "user":
            self._knowledge.name_user(**{found[2]: live})
        elif found is not None:
            self._knowledge.captures.setdefault(found[2], live)


def _taken(live: JSON | Missing, text: str) -> JSON:
    """The live value where a template stands that can't be known; its text where nothing came."""
    return text if live is MISSING or isinstance(live, dict | list) else live


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else encode(value).decode()
