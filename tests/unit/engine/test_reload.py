"""A scenario is replaced while sessions are live."""

from __future__ import annotations

import pytest

from cometreel.scenario import loads
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conversation import Client, Conversation, whole

WHO = """
exchanges:
  - {name: any, request: {method: GET, path: /any}, reply: {text: any}}
  - {name: one, as: one, request: {method: GET, path: /who}, reply: {text: one}}
  - {name: two, as: two, request: {method: GET, path: /who}, reply: {text: two}}
timeline:
  - {since: handshake, after: 1s, channel: /c, data: for all}
  - {since: handshake, as: two, after: 1s, channel: /c, data: for two}
"""
BEFORE = """
exchanges:
  - {name: any, request: {method: GET, path: /any}, reply: {text: any}}
timeline:
  - {since: handshake, after: 1s, channel: /c, data: for all}
"""


def reloads(talk: Conversation, scenario: str) -> None:
    talk.do(talk.backend.replace(loads(whole(scenario), "test.yaml"), talk.now))


def role_of(client: Client) -> object:
    client.sends("GET", "/who")
    return client.received.pop()[2]


@pytest.mark.parametrize(
    ("before", "asks"),
    [
        (BEFORE, False),
        (WHO + "roles: {one: {user: zoe}, two: {user: ann}}\n", True),
        (WHO + "roles: {one: {user: ben}, two: {user: ann}}\n", True),
    ],
    ids=["no roles before", "assigned in turn before", "the user of another role before"],
)
def test_a_user_who_is_logged_in_gets_the_role_that_the_new_scenario_names(
    conversation: Talk, before: str, asks: bool
) -> None:
    talk = conversation(before)
    ben = talk.client("ben", user="ben")
    ben.sends("GET", "/any")
    assert not asks or role_of(ben) == "one"
    ben.received.clear()
    reloads(talk, WHO + "roles: {one: {user: ann}, two: {user: ben}}\n")
    assert role_of(ben) == "two"


def test_entries_for_all_roles_are_not_sent_again_when_a_session_gets_its_role_after_a_reload(
    conversation: Talk,
) -> None:
    talk = conversation(WHO + "roles: {one: {}, two: {}}\n")
    other, a = talk.client("other"), talk.client("a").connects("/c")
    talk.at(2.0)
    a.receives((1.0, "/c", "for all"))
    reloads(talk, WHO + "roles: {one: {}, two: {}}\n")
    assert role_of(other) == "one"
    a.sends("GET", "/who")
    talk.at(5.0)
    a.receives((2.0, "/c", "for two"), (2.0, 200, "two"))
