"""Comparing two conversations: pairs of exchanges and their differences."""

from __future__ import annotations

from pathlib import Path

from cometreel.show import ChangedPart, Comparison, Conversation, compare, read_conversation
from tests.unit.show.journal_texts import Written, notification, three_agents, unsolicited


def both(before: Written, after: Written, folder: Path) -> Comparison:
    return compare(*(read_conversation(made.path(folder, name)) for made, name in ((before, "a"), (after, "b"))))


def asking(number: int = 67, count: int = 1, ack: float = 0.03, notified: float = 0.1, begin: float = 0.0) -> Written:
    made = Written()
    made.stats(begin, "ann", number, "Place1", "Place", after=ack)
    made.poll(begin, begin + notified, "ann", notification(number, workbinStats={"wb-1": {"Count": count}}))
    return made


def test_recordings_that_differ_only_in_reference_numbers_are_the_same(tmp_path: Path):
    found = both(asking(67), asking(2345), tmp_path)
    assert found.counts() == {"same": 1, "changed": 0, "added": 0, "removed": 0}
    assert found.pairs[0].changes == ()


def test_a_body_that_differs_is_shown_line_by_line(tmp_path: Path):
    (pair,) = both(asking(count=1), asking(count=2), tmp_path).pairs
    assert pair.state == "changed"
    assert pair.changes == (
        ChangedPart(
            "notification 1",
            (
                '     "referenceId": "…",',
                '     "workbinStats": {',
                '       "wb-1": {',
                '-        "Count": 1',
                '+        "Count": 2',
                "       }",
                "     }",
                "   }",
            ),
        ),
    )


def test_a_latency_differs_by_more_than_a_quarter_and_more_than_20_ms(tmp_path: Path):
    def changes(before: Written, after: Written) -> list[str]:
        return [change.what for change in both(before, after, tmp_path).pairs[0].changes]

    assert changes(asking(ack=0.010), asking(ack=0.029)) == []
    assert changes(asking(notified=1.0), asking(notified=1.2)) == []
    assert changes(asking(ack=0.03), asking(ack=0.06)) == ["acknowledged after 60 ms, before 30 ms"]
    assert changes(asking(notified=0.2), asking(notified=0.1)) == ["notified after 100 ms, before 200 ms"]


def test_a_different_request_and_status_are_listed(tmp_path: Path):
    before, after = Written(), Written()
    before.call(0.0, "ann", "GET", "/api/v2/thing", {"a": 1})
    after.call(0.0, "ann", "GET", "/api/v2/thing", {"a": 1}, status=204, query="x=1")
    (pair,) = both(before, after, tmp_path).pairs
    assert [change.what for change in pair.changes] == [
        "request GET /api/v2/thing?x=1, before GET /api/v2/thing",
        "status 204, before 200",
    ]


def test_notifications_that_are_missing_are_counted(tmp_path: Path):
    lost = Written()
    lost.stats(0.0, "ann", 67, "Place1", "Place")
    (pair,) = both(asking(), lost, tmp_path).pairs
    assert [change.what for change in pair.changes] == ["0 notifications, before 1"]


def test_an_exchange_of_one_conversation_is_added_or_removed(tmp_path: Path):
    before, after = asking(), asking()
    before.call(2.0, "ann", "GET", "/api/v2/old")
    after.call(1.0, "ann", "GET", "/api/v2/new")
    found = both(before, after, tmp_path)
    assert [(pair.shown.name, pair.state) for pair in found.pairs] == [
        ("stats of place Place1", "same"),
        ("new", "added"),
        ("old", "removed"),
    ]


def test_exchanges_of_the_first_are_aligned_with_their_partners(tmp_path: Path):
    before, after = Written(), Written()
    for made, begin in ((before, 1.0), (after, 3.0)):
        made.call(0.0, "ann", "GET", "/api/v2/me")
        made.call(begin, "ann", "GET", "/api/v2/then", after=0.1 * begin)
    before.call(1.5, "ann", "GET", "/api/v2/old")
    pairs = {pair.shown.name: pair for pair in both(before, after, tmp_path).pairs}
    then = pairs["then"]
    assert then.before is not None
    assert then.after is not None
    assert (then.before.at, then.before.reply_at, then.after.reply_at) == (3.0, 3.1, 3.3)
    assert pairs["old"].shown.at == 3.5  # half a second after the last one that both have


def test_exchanges_of_the_same_name_and_lane_are_paired_first(tmp_path: Path):
    before, after = Written(), Written()
    for made, order in ((before, ("ann", "bob")), (after, ("ann", "bob"))):
        for place, session in enumerate(order):
            made.call(place * 0.1, session, "GET", "/api/v2/me", reply={"statusCode": 0})
    after.call(0.05, "ann", "GET", "/api/v2/me")
    found = both(before, after, tmp_path)
    assert [(pair.shown.lane, pair.state) for pair in found.pairs] == [(0, "same"), (0, "added"), (1, "same")]


def test_exchanges_with_different_names_are_paired_by_request(tmp_path: Path):
    before, after = Written(), Written()
    for made, second in ((before, 1), (after, 2)):
        made.call(0.0, "ann", "GET", "/api/v2/me", reply={"n": 1})
        made.call(1.0, "ann", "POST", "/api/v2/x", {"a": 1}, reply={"n": second})
        made.call(2.0, "ann", "GET", "/api/v2/me", reply={"n": second})
    (_, _, last) = both(before, after, tmp_path).pairs
    assert last.before is not None
    assert last.after is not None
    assert (last.before.name, last.after.name, last.state) == ("me", "me (2)", "changed")


def test_a_journal_and_its_scenario_are_the_same_though_their_lanes_differ():
    folder = Path(__file__).parents[3] / "recordings"
    found = compare(*(read_conversation(folder / f"workbin-desktop.{kind}") for kind in ("jsonl", "yaml")))
    assert found.counts() == {"same": 24, "changed": 0, "added": 0, "removed": 1}
    assert [lane.name for lane in found.lanes] == ["everybody", "agent-1"]


def test_unsolicited_notifications_are_compared(tmp_path: Path):
    before, after = Written(), Written()
    before.poll(0.0, 1.0, "ann", unsolicited(count=1), unsolicited("Gone"))
    after.poll(0.0, 1.0, "ann", unsolicited(count=2), unsolicited("New"))
    states = [(one.kind, state) for one, state in both(before, after, tmp_path).unsolicited]
    assert sorted(states) == [("Gone", "removed"), ("New", "added"), ("WorkbinStateChangeMessage", "changed")]


def test_a_conversation_equals_itself(tmp_path: Path):
    found = read_conversation(three_agents().path(tmp_path))
    assert {pair.state for pair in compare(found, found).pairs} == {"same"}


def test_an_empty_conversation_has_nothing_to_compare(tmp_path: Path):
    empty: Conversation = read_conversation(Written().path(tmp_path))
    assert compare(empty, empty).pairs == ()
