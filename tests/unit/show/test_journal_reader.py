"""Reading journals: correlation and names as in the scenario, plus polls, meta messages and sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording import distill
from cometreel.show import (
    Bookmark,
    Conversation,
    ConversationNotification,
    FrameInfo,
    HeldPoll,
    Lane,
    MetaMessage,
    WebSocketSpan,
    read_conversation,
)
from tests.unit.show.journal_texts import CHANNEL, JournalBuilder, broadcast, notification, three_agents, unsolicited

SAMPLE = Path(__file__).parents[3] / "recordings" / "workbin-desktop.jsonl"


def conversation(written: JournalBuilder, folder: Path) -> Conversation:
    return read_conversation(written.path(folder))


def test_an_exchange_is_a_request_its_reply_and_its_notifications(tmp_path: Path):
    journal = JournalBuilder()
    journal.stats(1.0, "ann", 67, "Place1", "Place", after=0.034)
    journal.poll(0.5, 1.12, "ann", notification(67, workbinStats={"wb-1": {"Count": 1}}))
    (exchange,) = conversation(journal, tmp_path).exchanges
    data: JSON = {"messageType": "WorkbinStatsMessage", "referenceId": 67, "workbinStats": {"wb-1": {"Count": 1}}}
    assert (exchange.name, exchange.method, exchange.target) == ("stats of place Place1", "POST", "/api/v2/workbins")
    assert (exchange.operation, exchange.owner_type) == ("RequestAgentStats", "Place")
    assert (exchange.at, exchange.reply_at, exchange.status) == (0.5, 0.534, "200")
    assert exchange.reply == {"statusCode": 0, "referenceId": 67}
    assert exchange.notifications == (ConversationNotification(0.62, 0, CHANNEL, "WorkbinStatsMessage", data),)
    assert not exchange.is_early(exchange.notifications[0])


def test_a_notification_may_come_before_the_reply(tmp_path: Path):
    journal = JournalBuilder()
    journal.stats(1.0, "ann", 67, after=0.2)
    journal.poll(0.5, 1.05, "ann", notification(67))
    (exchange,) = conversation(journal, tmp_path).exchanges
    assert exchange.is_early(exchange.notifications[0])
    assert exchange.end == exchange.reply_at


def test_unsolicited_notifications_are_separate(tmp_path: Path):
    journal = JournalBuilder()
    journal.poll(0.0, 1.0, "ann", unsolicited(id="wb-1"))
    found = conversation(journal, tmp_path)
    data: JSON = {"messageType": "WorkbinStateChangeMessage", "id": "wb-1"}
    assert found.unsolicited == (ConversationNotification(1.0, 0, CHANNEL, "WorkbinStateChangeMessage", data),)
    assert found.exchanges == ()


def test_polls_have_their_length_and_their_ending(tmp_path: Path):
    journal = JournalBuilder()
    journal.poll(0.0, 1.0, "ann", unsolicited())
    journal.poll(1.0, 31.0, "ann")
    journal.poll(31.0, 31.1, "ann", error="402::Unknown client")
    journal.poll(32.0, None, "ann")
    assert conversation(journal, tmp_path).polls == (
        HeldPoll(0, 0.0, 1.0, "answered", 1),
        HeldPoll(0, 1.0, 31.0, "empty"),
        HeldPoll(0, 31.0, 31.1, "refused", 0, "402::Unknown client"),
        HeldPoll(0, 32.0, None, "open"),
    )


def test_a_poll_whose_connection_broke_or_got_no_bayeux_is_broken(tmp_path: Path):
    journal = JournalBuilder()
    journal.poll(0.0, None, "ann")
    journal.event(2.0, "error", flow="f1", text="server disconnected")
    journal.poll(3.0, None, "ann")
    journal.event(4.0, "reply", flow="f2", status=502)
    assert conversation(journal, tmp_path).polls == (
        HeldPoll(0, 0.0, 2.0, "broken", 0, "server disconnected"),
        HeldPoll(0, 3.0, 4.0, "broken", 0, "HTTP 502"),
    )


def test_meta_messages_are_kept_with_their_errors(tmp_path: Path):
    journal = JournalBuilder()
    journal.meta(0.0, "ann", "/meta/handshake")
    journal.meta(0.1, "ann", "/meta/subscribe", subscription=CHANNEL, error="403::denied")
    journal.meta(0.2, "ann", "/meta/disconnect")
    assert conversation(journal, tmp_path).meta_messages == (
        MetaMessage(0, 0.0, "/meta/handshake"),
        MetaMessage(0, 0.1, "/meta/subscribe", CHANNEL, "403::denied"),
        MetaMessage(0, 0.2, "/meta/disconnect"),
    )


def test_a_publish_is_an_exchange(tmp_path: Path):
    journal = JournalBuilder()
    echo: JSON = {"channel": "/service/chat", "data": {"text": "hello"}}
    journal.publish(1.0, "ann", "/service/chat", {"operation": "requestChat"}, echo)
    (exchange,) = conversation(journal, tmp_path).exchanges
    assert (exchange.method, exchange.target, exchange.status) == ("PUBLISH", "/service/chat", "ok")
    assert (exchange.operation, exchange.request) == ("requestChat", {"operation": "requestChat"})
    assert [one.data for one in exchange.notifications] == [{"text": "hello"}]


def test_each_session_has_a_lane_and_requests_without_session_share_the_last(tmp_path: Path):
    journal = JournalBuilder()
    journal.call(0.0, "ann", "GET", "/api/v2/me")
    journal.call(1.0, "bob", "GET", "/api/v2/me")
    lanes = (Lane("agent-1", "user-ann"), Lane("agent-2", "user-bob"))
    assert conversation(journal, tmp_path).lanes == lanes
    journal.event(2.0, "request", flow="x1", method="GET", path="/api/v2/diagnostics/version")
    journal.event(2.1, "reply", flow="x1", status=200)
    found = conversation(journal, tmp_path)
    assert found.lanes == (*lanes, Lane("somebody"))
    assert found.exchanges[-1].lane == 2


def test_failures_are_marked(tmp_path: Path):
    journal = JournalBuilder()
    journal.call(0.0, "ann", "POST", "/api/v2/workbins/wb-1", {"operationName": "RequestStats"}, status=404)
    broken = journal.request(1.0, "ann", "POST", "/api/v2/workbins", {"a": 1}, "x=1")
    journal.event(1.5, "error", flow=broken, text="server disconnected")
    journal.request(2.0, "ann", "GET", "/api/v2/me")
    found = conversation(journal, tmp_path).exchanges
    assert [exchange.faults for exchange in found] == [
        ("answered 404",),
        ("server disconnected",),
        ("no reply when the recording ended",),
    ]
    assert (found[1].name, found[1].target, found[1].request) == (
        "POST /api/v2/workbins",
        "/api/v2/workbins?x=1",
        {"a": 1},
    )
    assert found[1].reply_at is None


def test_marks_and_losses_are_bookmarks(tmp_path: Path):
    journal = JournalBuilder()
    journal.event(1.0, "mark", text="the call begins")
    journal.event(2.0, "lost", count=3)
    journal.event(3.0, "resume")
    assert conversation(journal, tmp_path).marks == (
        Bookmark(0.0, "the call begins"),
        Bookmark(1.0, "3 events were lost: the disk was full or missing"),
        Bookmark(2.0, "the recording was resumed"),
    )


def test_a_websocket_has_its_frames_polls_and_meta_messages(tmp_path: Path):
    journal = JournalBuilder()
    who: JSON = {"JSESSIONID": "ann"}
    journal.event(0.0, "open", flow="w1", method="GET", path="/api/v2/notifications", who=who)
    subscribe: JSONObject = {"channel": "/meta/subscribe", "id": "2", "subscription": CHANNEL}
    journal.event(0.1, "frame", flow="w1", **{"from": "client"}, bayeux=[subscribe])
    journal.event(0.2, "frame", flow="w1", **{"from": "server"}, bayeux=[{**subscribe, "successful": True}])
    connect: JSONObject = {"channel": "/meta/connect", "id": "3"}
    journal.event(0.3, "frame", flow="w1", **{"from": "client"}, bayeux=[connect])
    journal.event(
        0.8, "frame", flow="w1", **{"from": "server"}, bayeux=[unsolicited(), {**connect, "successful": True}]
    )
    journal.event(0.9, "frame", flow="w1", **{"from": "client"}, bayeux=[{**connect, "id": "4"}])
    journal.event(1.0, "close", flow="w1", status=1000)
    found = conversation(journal, tmp_path)
    frames = ((0.1, True, 1), (0.2, False, 1), (0.3, True, 1), (0.8, False, 2), (0.9, True, 1))
    assert found.sockets == (WebSocketSpan(0, 0.0, 1.0, tuple(FrameInfo(*frame) for frame in frames)),)
    assert found.polls == (HeldPoll(0, 0.3, 0.8, "answered", 1), HeldPoll(0, 0.9, None, "open"))
    assert found.meta_messages == (MetaMessage(0, 0.1, "/meta/subscribe", CHANNEL),)
    assert len(found.unsolicited) == 1


def test_an_incomplete_journal_is_shown_with_a_note(tmp_path: Path):
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(lines[:-1]) + lines[-1][:30])
    found = read_conversation(torn)
    assert len(found.exchanges) == len(read_conversation(SAMPLE).exchanges)  # the last one without its reply
    assert found.exchanges[-1].reply_at is None
    assert found.notes[0] == "Line 101: the last line is truncated, this event is lost."


def test_a_journal_that_ends_in_its_header_gives_an_empty_conversation(tmp_path: Path):
    path = tmp_path / "killed.jsonl"
    path.write_text('{"journal":1,"comet')
    found = read_conversation(path)
    assert (found.exchanges, found.lanes, found.seconds) == ((), (), 0.0)
    assert found.notes == ("Line 1: the header is truncated.",)


def test_an_exchange_that_a_scenario_cannot_contain_is_shown_as_recorded(tmp_path: Path):
    journal = JournalBuilder()
    journal.publish(1.0, "ann", "/not a channel", {"a": 1}, {"channel": "/not a channel", "data": {"a": 1}})
    journal.call(2.0, "ann", "GET", "/api/v2/me")
    publish, me = conversation(journal, tmp_path).exchanges
    notes = ("A scenario can't contain this exchange; it is shown as recorded.",)
    assert (publish.method, publish.target, publish.request) == ("PUBLISH", "/not a channel", {"a": 1})
    assert ([one.data for one in publish.notifications], publish.notes) == ([{"a": 1}], notes)
    assert (me.name, me.notes) == ("me", ())


@pytest.mark.parametrize("body", ['"\\ud800"', "[" * 95 + "]" * 95, "[" * 900 + "]" * 900], ids=["half", "deep", "pit"])
def test_an_unsupported_body_is_left_out(tmp_path: Path, body: str):
    path = tmp_path / "edited.jsonl"
    request = '{"t":0,"kind":"request","flow":"f1","method":"GET","path":"/x"}\n'
    path.write_text(
        f'{JournalBuilder().text()}{request}{{"t":1,"kind":"reply","flow":"f1","status":200,"json":{body}}}\n'
    )
    (exchange,) = read_conversation(path).exchanges
    why = "The body of the reply isn't in the journal: it is nested too deeply, or contains a lone surrogate."
    assert (exchange.name, exchange.reply, exchange.notes) == ("x", None, (why,))


def test_a_reply_after_a_year_is_shown(tmp_path: Path):
    journal = JournalBuilder()
    journal.call(0.0, "ann", "GET", "/api/v2/me", after=1e9)
    (exchange,) = conversation(journal, tmp_path).exchanges
    assert (exchange.name, exchange.reply_at) == ("me", 1e9)


def test_exchanges_are_named_as_in_the_scenario_of_the_same_journal():
    names = {exchange.name for exchange in read_conversation(SAMPLE).exchanges}
    assert names == {exchange.name for exchange in distill(SAMPLE).file.exchanges or []}


def test_tokens_of_cookies_and_clients_are_not_shown(tmp_path: Path):
    """They are pseudonyms in the journal; the page doesn't need them."""
    journal = three_agents()
    shown = repr(conversation(journal, tmp_path))
    assert "client-ann" not in shown
    assert "JSESSIONID" not in shown
    assert "clientId" not in shown


def test_a_notification_of_several_sessions_has_one_cause(tmp_path: Path):
    journal = broadcast()
    (said,) = read_conversation(journal.path(tmp_path)).exchanges
    assert [(one.at, one.lane, one.channel) for one in said.notifications] == [(1.2, 0, "/chat"), (1.3, 1, "/chat")]
