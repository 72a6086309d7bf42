"""Reading scenarios: exchanges in file order, with notes about missing times."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON
from cometreel.show import Conversation, ConversationNotification, Lane, read_conversation

HEAD = "cometreel: 1\ntitle: Small\ncorrelation: gws-v2\n"
ROLES = "roles: {ann: {user: ann.smith}, bob: {user: bob}}\n"
TWO = """
exchanges:
  - name: ask
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats, workbinType: Place}}
    reply: {after: 34ms, body: {statusCode: 0, referenceId: 1}}
    events:
      - {after: 120ms, channel: /v2/me/workbins, data: {messageType: WorkbinStatsMessage, referenceId: 1}}
  - name: look
    request: {method: GET, path: /api/v2/me, query: {a: ["1", "2"], b: {$any: string}}}
    reply: {after: 10ms, status: 404}
"""


def conversation(text: str, folder: Path) -> Conversation:
    path = folder / "small.yaml"
    path.write_text(HEAD + text)
    return read_conversation(path)


def test_exchanges_follow_each_other_with_their_own_times(tmp_path: Path):
    ask, look = conversation(TWO, tmp_path).exchanges
    data: JSON = {"messageType": "WorkbinStatsMessage", "referenceId": 1}
    assert (ask.at, ask.reply_at, ask.operation, ask.owner_type) == (0.0, 0.034, "RequestAgentStats", "Place")
    assert ask.notifications == (ConversationNotification(0.12, 0, "/v2/me/workbins", "WorkbinStatsMessage", data),)
    assert [look.at, look.reply_at] == pytest.approx([0.17, 0.18])
    assert (look.status, look.faults, look.operation) == ("404", ("answered 404",), "GET")
    assert look.target == '/api/v2/me?a=1&a=2&b={"$any":"string"}'


def test_notes_say_that_request_times_and_polls_are_missing(tmp_path: Path):
    found = conversation(TWO, tmp_path)
    assert (found.polls, found.source, found.title) == ((), "scenario", "Small")
    assert [note.partition(":")[0] for note in found.notes] == [
        "A scenario doesn't contain the times of requests",
        "A scenario doesn't contain polls. Show the journal to see them.",
    ]


def test_each_set_of_roles_has_a_lane(tmp_path: Path):
    text = ROLES + TWO.replace("name: ask", "name: ask\n    as: ann").replace(
        "name: look", "name: look\n    as: [ann, bob]"
    )
    found = conversation(text, tmp_path)
    assert found.lanes == (Lane("ann", "ann.smith"), Lane("ann, bob"))
    assert [exchange.lane for exchange in found.exchanges] == [0, 1]


def test_an_exchange_without_role_is_in_the_lane_everybody(tmp_path: Path):
    assert conversation(TWO, tmp_path).lanes == (Lane("everybody"),)


def test_faults_are_marked_on_their_exchange_and_meta_faults_are_listed(tmp_path: Path):
    faults = """
faults:
  - {exchange: ask, nth: 2, status: 503}
  - {exchange: [ask, look], as: bob, drop-event: true}
  - {meta: /meta/connect, rate: 0.5, broken: true}
"""
    found = conversation(ROLES + TWO + faults, tmp_path)
    ask, look = found.exchanges
    assert ask.faults == ("status 503 (nth: 2)", "as bob: drop-event")
    assert look.faults == ("answered 404", "as bob: drop-event")
    assert found.faults == ("/meta/connect: broken (rate: 0.5)",)


def test_timeline_entries_start_at_their_exchange(tmp_path: Path):
    timeline = """
timeline:
  - {since: look, after: 5s, channel: /v2/me/workbins, data: {messageType: Changed}, count: 3, gap: 1s}
  - {since: connect, after: 1s, disconnect: true}
"""
    found = conversation(TWO + timeline, tmp_path).unsolicited
    assert [(round(one.at, 3), one.channel, one.kind) for one in found] == [
        (1.0, "/meta/disconnect", "the server ends the session"),
        (5.17, "/v2/me/workbins", "Changed"),
        (6.17, "/v2/me/workbins", "Changed"),
        (7.17, "/v2/me/workbins", "Changed"),
    ]


def test_a_million_repeats_are_limited_with_a_note(tmp_path: Path):
    timeline = "timeline: [{since: ask, channel: /a, count: 1000000}]\n"
    found = conversation(TWO + timeline, tmp_path)
    assert len(found.unsolicited) == 50
    assert found.notes[-1] == "A notification is repeated 1000000 times; the first 50 are shown."


def test_templates_are_noted(tmp_path: Path):
    text = TWO.replace("after: 34ms", 'after: {$t: "{{ randint(1, 9) }}ms"}')
    ask = conversation(text, tmp_path).exchanges[0]
    assert ask.reply_at == 0.0
    assert ask.notes == ("A time is a template, evaluated at replay; it is shown as 0.",)


def test_guards_are_noted(tmp_path: Path):
    text = TWO.replace("name: look", "name: look\n    when: {after: ask}").replace(
        "method: GET", "authenticated: true, method: GET"
    )
    assert conversation(text, tmp_path).exchanges[1].notes == (
        "Matches only after ask.",
        "Matches only after the login.",
    )


def test_a_publish_is_shown_with_its_channel(tmp_path: Path):
    say_it = "request: {publish: /service/chat, data: {operation: send}}, reply: {error: '403::no'}"
    text = f"exchanges: [{{name: say, {say_it}}}]"
    (say,) = conversation(text, tmp_path).exchanges
    assert (say.method, say.target, say.operation, say.status) == ("PUBLISH", "/service/chat", "send", "refused")
    assert (say.reply, say.faults) == ({"error": "403::no"}, ("answered refused",))


def test_an_operation_is_found_in_a_partial_body(tmp_path: Path):
    body = "{$partial: {operationName: Add, workbinType: Place}}"
    text = f"exchanges: [{{name: add, request: {{method: POST, path: /x, body: {body}}}}}]"
    (add,) = conversation(text, tmp_path).exchanges
    assert (add.operation, add.owner_type) == ("Add", "Place")


def test_a_folder_is_one_scenario(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(HEAD + TWO)
    (tmp_path / "b.yaml").write_text("cometreel: 1\nexchanges: [{name: last, request: {method: GET, path: /x}}]\n")
    assert [exchange.name for exchange in read_conversation(tmp_path).exchanges] == ["ask", "look", "last"]


def test_every_shipped_scenario_can_be_shown():
    folder = Path(__file__).parents[3] / "scenarios"
    for path in sorted(folder.glob("*.yaml")):
        assert read_conversation(path).exchanges


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.png",
            b"\x89PNG\r\n",
            "neither a scenario nor a journal; expected a scenario (`cometreel: 1`) or a journal written by",
        ),
        (
            "a.har",
            b'{"log": {}}',
            "neither a scenario nor a journal; expected a scenario (`cometreel: 1`) or a journal written by",
        ),
        ("a.txt", b"", "empty; expected a scenario (`cometreel: 1`) or a journal written by"),
        ("a.jsonl", b"hello\n", ":1:1: not a Cometreel journal; expected a journal of version 1,"),
        ("a.yaml", b"- 1\n", ":1:1: "),
        ("a.yaml", b"cometreel: 1\nexchange: []\n", ":2:1: unknown key 'exchange'"),
    ],
)
def test_a_file_that_is_neither_journal_nor_scenario_is_rejected(
    tmp_path: Path, name: str, content: bytes, message: str
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileInvalid) as caught:
        read_conversation(path)
    assert str(caught.value).removeprefix(str(path)).removeprefix(": ").startswith(message)


@pytest.mark.parametrize("name", ["plain", "a.txt"])
def test_a_file_with_an_unknown_suffix_is_detected_by_its_content(tmp_path: Path, name: str):
    (tmp_path / name).write_text(HEAD + TWO)
    assert read_conversation(tmp_path / name).source == "scenario"
    (tmp_path / name).write_text('{"journal":1,"cometreel":"1","started":1.0,"profile":"gws-v2","policy":"default"}\n')
    assert read_conversation(tmp_path / name).source == "journal"


@pytest.mark.parametrize(
    ("deliver", "roles", "receivers"),
    [
        ("asker", ROLES, ["ann"]),
        ("bob", ROLES, ["bob"]),
        ("subscribers", ROLES, ["ann", "bob"]),
        ("all", ROLES, ["ann", "bob"]),
        ("subscribers", "", ["everybody", "other subscribers"]),
        ("all", "", ["everybody", "all others"]),
    ],
)
def test_a_notification_is_shown_for_each_receiver(deliver: str, roles: str, receivers: list[str], tmp_path: Path):
    text = roles + TWO.replace("{after: 120ms,", f"{{after: 120ms, deliver: {deliver},")
    found = conversation(text.replace("name: ask", "name: ask\n    as: ann") if roles else text, tmp_path)
    assert [found.lanes[one.lane].name for one in found.exchanges[0].notifications] == receivers
    assert {one.at for one in found.exchanges[0].notifications} == {0.12}


def test_the_receivers_of_a_timeline_entry_are_shown(tmp_path: Path):
    text = f"{ROLES}timeline:\n  - {{since: {{subscribe: /c}}, as: ann, after: 1s, channel: /c, deliver: bob}}\n"
    found = conversation(text, tmp_path)
    assert [(one.at, found.lanes[one.lane].name) for one in found.unsolicited] == [(1.0, "bob")]
