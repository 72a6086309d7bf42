"""Assigns the flows of a journal to sessions by cookies, clientIds and credentials. All values are pseudonyms.

A request belongs to the session of its cookies, else of its clientId, else to the latest session of its user. Requests
without any of them are anonymous; if there is only one session, they belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cometreel.recording.journal_events import WireEvent

__all__ = ["Identities"]


class Identities:
    """The sessions of a journal, numbered from 0 in the order in which they first appear."""

    def __init__(self, events: Iterable[WireEvent]) -> None:
        self._parent: dict[str, str] = {}
        self._user: dict[str, str] = {}
        self._latest: dict[str, str] = {}
        self._flows: dict[str, str] = {}
        for event in events:
            if event.flow:
                self._add(event)
        self._number()

    def session(self, flow: str) -> int:
        """Return the session number of a flow; `anonymous` for a flow that identifies no session."""
        node = self._flows.get(flow)
        return self._numbers[self._root(node)] if node is not None else self.anonymous

    def _number(self) -> None:
        self._numbers: dict[str, int] = {}
        anonymous = self._root(_ANONYMOUS)
        for node in self._flows.values():
            root = self._root(node)
            if root != anonymous:
                self._numbers.setdefault(root, len(self._numbers))
        self.count = len(self._numbers)
        self.anonymous = 0 if self.count == 1 else -1
        self._numbers[anonymous] = self.anonymous
        self.users = {self._numbers[root]: user for root, user in self._user.items() if root in self._numbers}

    def _add(self, event: WireEvent) -> None:
        nodes = list(_names(event))
        user = event.identity.get("user")
        before = self._flows.get(event.flow)
        if before is not None and before != _ANONYMOUS:
            nodes.insert(0, before)
        if not nodes:
            nodes = [self._latest.get(user, f"user {user}") if user else _ANONYMOUS]
        first = nodes[0]
        for node in nodes[1:]:
            self._join(first, node)
        self._flows[event.flow] = first if nodes[1:] == [] or self._is_same(first, nodes[-1]) else nodes[-1]
        if user:
            self._user.setdefault(self._root(first), user)
            self._latest[user] = first

    def _root(self, node: str) -> str:
        while node in self._parent:
            node = self._parent[node]
        return node

    def _is_same(self, one: str, other: str) -> bool:
        return self._root(one) == self._root(other)

    def _join(self, one: str, other: str) -> None:
        """Merge two sessions, unless they have different users."""
        one, other = self._root(one), self._root(other)
        users = {self._user.get(one), self._user.get(other)} - {None}
        if one == other or len(users) > 1:
            return
        self._parent[other] = one
        if users:
            self._user[one] = str(users.pop())
            self._user.pop(other, None)


_ANONYMOUS = "anonymous"


def _names(event: WireEvent) -> Iterator[str]:
    for name, token in event.identity.items():
        if name != "user":
            yield f"cookie {name} {token}"
    for message in event.body.messages:
        client = message.get("clientId")
        if isinstance(client, str):
            yield f"client {client}"
