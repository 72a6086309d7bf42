"""Expected values of a live session: markers and templates of a scenario resolved with what the session has learned.

Works on values and names only; the request builder and the comparator supply them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cometreel.jsonvalue import JSON, JSONObject, as_text
from cometreel.scenario import Match, RenderContext, TemplateFailed, User
from cometreel.scenario.matchers import MISSING, Missing
from cometreel.scenario.values import Fixed, Identifier, Items, Members, Scope, Templated, Value

__all__ = ["ExpectedValues", "SessionVariables"]


@dataclass(slots=True)
class SessionVariables:
    """The values that a live session has learned. `option_values` are those of the `--value` options."""

    option_values: Mapping[str, JSON] = field(default_factory=dict)
    user: User = field(default_factory=User)
    ids: dict[str, JSON] = field(default_factory=dict)
    captures: dict[str, JSON] = field(default_factory=dict)
    """Captures of the session, by name without `session.`."""

    def add_match(self, match: Match) -> None:
        """Add the captures and ids of a request that is sent."""
        self.captures.update(match.session_captures)
        self.ids.update(match.ids)

    def set_user(self, *, name: str | None = None, id: str | None = None) -> None:  # noqa: A002  # the template's word
        """Set the user's name or id unless it is known."""
        self.user = User(self.user.name or name, self.user.id or id)

    def id(self, name: str) -> JSON:
        """Return the value of an `$id` name, None if it is unknown."""
        return self.ids.get(name, self.option_values.get(name))

    def capture(self, name: str) -> JSON:
        """Return the value of a `$capture`, None if it is unknown."""
        bare = name.removeprefix("session.")
        return self.option_values.get(bare, self.captures.get(bare))


_ORIGIN = re.compile(r"\b(https?|wss?)://([^/?#\s\"'<>]+)", re.IGNORECASE)
_HTTP = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_VOLATILE_FUNCTIONS = frozenset({"uuid", "randint", "wallclock", "now"})
_USER_TEMPLATE = re.compile(r"\{\{-?\s*user\.(name|id)\s*-?\}\}")
_USER_ID = re.compile(r"\buser\s*(\.\s*id\b|\[)")
_USER_NAME = re.compile(r"\buser\s*(\.\s*name\b|\[)")


class ExpectedValues:
    """The expected values of one exchange in one live session."""

    def __init__(
        self, context: RenderContext, variables: SessionVariables, place: str, *, seq: int = 0, count: int = 1
    ) -> None:
        self._variables = variables
        self._context, self._place, self._seq, self._count = context, place, seq, count

    def _scope(self) -> Scope:
        """Return the current scope of templates: each resolved value may add a variable that the next one uses."""
        variables = self._variables
        ids = {**variables.option_values, **variables.ids}
        context = replace(self._context, user=variables.user, ids=ids, session=variables.captures)
        return Scope(context, self._place, seq=self._seq, count=self._count)

    def resolve(self, value: Value, live: JSON | Missing) -> JSON:
        """Return the expected JSON, and learn variables from the live value, which may be MISSING."""
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
        live_members = live if isinstance(live, dict) else {}
        result: JSONObject = {}
        for key, member in value.members:
            fixed_keys = {item.value for item, _ in value.members if isinstance(item, Fixed)}
            rest = (name for name in live_members if name not in fixed_keys and name not in result)
            name = as_text(self.resolve(key, next(rest, MISSING) if not isinstance(key, Fixed) else MISSING))
            result[name] = self.resolve(member, live_members.get(name, MISSING))
        return result

    def _items(self, value: Items, live: JSON | Missing) -> JSON:
        if value.joined:
            pieces: Sequence[JSON] = live.split(",") if isinstance(live, str) else []
            return ",".join(map(as_text, self._each_item(value.items, pieces)))
        return self._each_item(value.items, live if isinstance(live, list) else [])

    def _each_item(self, items: Sequence[Value], live: Sequence[JSON]) -> list[JSON]:
        return [
            self.resolve(item, live[number] if number < len(live) else MISSING) for number, item in enumerate(items)
        ]

    def _identifier(self, value: Identifier, live: JSON | Missing) -> JSON:
        known = self._variables.id(value.name)
        if known is not None:
            return known
        if isinstance(live, str | int) and not isinstance(live, bool):
            self._variables.ids[value.name] = live
            return live
        return f"{{$id: {value.name}}}"

    def _template(self, value: Templated, live: JSON | Missing) -> JSON:
        template = value.template
        if template.names & _VOLATILE_FUNCTIONS or self._needs_unknown_user(template.text):
            found = _USER_TEMPLATE.fullmatch(template.text.strip())
            if found is not None and isinstance(live, str):
                self._variables.set_user(**{found[1]: live})
            return _live_or_text(live, template.text)
        if "request.base" in template.text and isinstance(live, str) and self._is_link(value, live):
            return live
        try:
            return value.render(self._scope())
        except TemplateFailed:
            return _live_or_text(live, template.text)

    def _is_link(self, value: Templated, live: str) -> bool:
        """True if the template gives the live text with an origin in it: a server may know itself by another name."""
        for scheme, host in _ORIGIN.findall(live):
            scope = Scope(replace(self._scope().context, base=f"{_HTTP[scheme.lower()]}://{host}"), self._place)
            try:
                if value.render(scope) == live:
                    return True
            except TemplateFailed:
                return False
        return False

    def _needs_unknown_user(self, text: str) -> bool:
        """Return True if a template uses a property of the user that is unknown; it would render to null."""
        user = self._variables.user
        return bool((user.id is None and _USER_ID.search(text)) or (user.name is None and _USER_NAME.search(text)))


def _live_or_text(live: JSON | Missing, text: str) -> JSON:
    """Return the live value of a template that cannot be rendered; the template's text if there is none."""
    return text if live is MISSING or isinstance(live, dict | list) else live
