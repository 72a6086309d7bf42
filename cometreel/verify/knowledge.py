"""What one live session has taught: who its user is, which values stand for the names that a scenario has.

Only values and names; how they come here, from requests and from what the server said, is others' part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cometreel.jsonvalue import JSON
from cometreel.scenario import Match, User

__all__ = ["Knowledge"]


@dataclass(slots=True)
class Knowledge:
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
