"""The ledger: matching of replies and notifications to POSTs, and their outcomes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.load import (
    Abandoned,
    Acknowledged,
    Answered,
    Duplicate,
    Expectation,
    Failure,
    LateAfterLost,
    Ledger,
    Lost,
    PendingRequest,
    PlannedRequest,
    Refused,
    RequestOutcome,
    SessionLost,
    Unexpected,
    Wrong,
)
from cometreel.load.ledger import LOST_KEPT

PLACE = PlannedRequest("RequestAgentStats Place", Expectation("Place", "Place1"))
LATE, PATIENCE = 2.0, 10.0


def a_ledger() -> Ledger:
    return Ledger("agent-1", late=LATE, patience=PATIENCE)


def ok(reference: int) -> JSONObject:
    return {"statusCode": 0, "referenceId": reference}


def stats(reference: int, owner: str = "Place1", kind: str = "Place") -> JSONObject:
    workbins: JSONObject = {"861640a2": {"Count": 1, "Owner": owner, "Type": kind}}
    return {"messageType": "WorkbinStatsMessage", "referenceId": reference, "workbinStats": workbins}


def test_a_reply_and_its_notification_are_one_exchange():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, intended=0.9, now=1.0)
    assert ledger.replied(exchange, 200, ok(66), 1.1) == [Acknowledged(exchange, 1.1)]
    assert ledger.notified(stats(66), 1.3) == [Answered(exchange, 1.3, late=False)]
    assert (ledger.in_flight, ledger.deadline(), ledger.close(20.0)) == (0, None, [])


def test_an_early_notification_counts_from_its_arrival():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 1.0, 1.0)
    assert ledger.notified(stats(66), 1.1) == []
    assert ledger.replied(exchange, 200, ok(66), 1.3) == [
        Acknowledged(exchange, 1.3),
        Answered(exchange, 1.1, late=False),
    ]


def test_an_early_notification_waits_for_every_open_post():
    ledger = a_ledger()
    first, second = ledger.sent(PLACE, 1.0, 1.0), ledger.sent(PLACE, 1.0, 1.0)
    assert ledger.notified(stats(67), 1.1) == []
    third = ledger.sent(PLACE, 1.2, 1.2)
    assert ledger.replied(first, 200, ok(66), 1.3) == [Acknowledged(first, 1.3)]
    assert ledger.replied(second, 200, ok(68), 1.4) == [Acknowledged(second, 1.4), Unexpected(67, 1.1)]
    assert ledger.replied(third, 200, ok(67), 1.5) == [Acknowledged(third, 1.5)]


def test_a_notification_cannot_answer_a_post_that_was_sent_after_it():
    ledger = a_ledger()
    open_post = ledger.sent(PLACE, 1.0, 1.0)
    assert ledger.notified(stats(67), 1.1) == []
    later = ledger.sent(PLACE, 1.2, 1.2)
    assert ledger.replied(later, 200, ok(67), 1.3) == [Acknowledged(later, 1.3)]
    assert ledger.notified(stats(67), 1.4) == [Answered(later, 1.4, late=False)]
    assert ledger.replied(open_post, 200, ok(66), 1.5) == [Acknowledged(open_post, 1.5), Unexpected(67, 1.1)]


def test_a_failed_post_makes_an_early_notification_unexpected():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 1.0, 1.0)
    assert ledger.notified(stats(67), 1.1) == []
    assert ledger.failed(exchange, 1.2) == [Refused(exchange, 1.2, Failure.REPLY), Unexpected(67, 1.1)]


def test_late_counts_from_the_intended_start():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, intended=1.0, now=2.5)
    ledger.replied(exchange, 200, ok(1), 2.6)
    assert ledger.notified(stats(1), 3.001) == [Answered(exchange, 3.001, late=True)]


def test_an_answer_is_lost_one_patience_after_the_post():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, intended=1.0, now=2.0)
    ledger.replied(exchange, 200, ok(1), 2.1)
    assert (ledger.deadline(), ledger.advance(11.999)) == (12.0, [])
    assert ledger.advance(12.5) == [Lost(exchange, 12.0)]
    assert ledger.notified(stats(1), 13.0) == [LateAfterLost(exchange, 13.0)]
    assert ledger.notified(stats(1), 22.0) == [LateAfterLost(exchange, 22.0)]


def test_a_notification_of_a_lost_exchange_is_late_however_late_it_is_until_its_reference_is_used_again():
    ledger = a_ledger()
    lost = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(lost, 200, ok(1), 0.1)
    assert ledger.notified(stats(1), 5_000.0) == [Lost(lost, 10.0), LateAfterLost(lost, 5_000.0)]
    again = ledger.sent(PLACE, 6_000.0, 6_000.0)
    ledger.replied(again, 200, ok(1), 6_000.1)
    assert ledger.notified(stats(1), 6_000.2) == [Answered(again, 6_000.2, late=False)]


def test_a_late_notification_of_a_post_whose_reply_was_late_too():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.advance(10.0) == [Refused(exchange, 10.0, Failure.REPLY)]
    assert ledger.replied(exchange, 200, ok(1), 11.0) == []
    assert ledger.notified(stats(1), 50.0) == [LateAfterLost(exchange, 50.0)]


def test_of_many_lost_exchanges_the_latest_are_remembered():
    ledger = a_ledger()
    exchanges = [ledger.sent(PLACE, 0.0, 0.0) for _ in range(LOST_KEPT + 1)]
    for reference, exchange in enumerate(exchanges):
        ledger.replied(exchange, 200, ok(reference), 0.1)
    assert len(ledger.advance(10.0)) == LOST_KEPT + 1
    assert ledger.notified(stats(0), 11.0) == [Unexpected(0, 11.0)]
    assert ledger.notified(stats(1), 11.0) == [LateAfterLost(exchanges[1], 11.0)]


def test_a_notification_after_the_patience_is_lost_without_a_call_of_advance():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(exchange, 200, ok(1), 0.1)
    assert ledger.notified(stats(1), 10.0) == [Lost(exchange, 10.0), LateAfterLost(exchange, 10.0)]


def test_a_second_notification_is_a_duplicate_until_its_reference_expires():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(exchange, 200, ok(1), 0.1)
    ledger.notified(stats(1), 0.2)
    assert ledger.notified(stats(1), 0.3) == [Duplicate(exchange, 0.3)]
    assert ledger.notified(stats(1), 10.2) == [Unexpected(1, 10.2)]


def test_the_second_of_two_early_notifications_of_a_reference_is_a_duplicate():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.notified(stats(1), 0.1) + ledger.notified(stats(1), 0.2) == []
    assert ledger.replied(exchange, 200, ok(1), 0.3) == [
        Acknowledged(exchange, 0.3),
        Answered(exchange, 0.1, late=False),
        Duplicate(exchange, 0.2),
    ]


def test_a_reused_reference_belongs_to_the_new_post():
    ledger = a_ledger()
    old = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(old, 200, ok(1), 0.1)
    ledger.notified(stats(1), 0.2)
    new = ledger.sent(PLACE, 5.0, 5.0)
    ledger.replied(new, 200, ok(1), 5.1)
    assert ledger.notified(stats(1), 5.2) == [Answered(new, 5.2, late=False)]
    assert ledger.notified(stats(1), 11.0) == [Duplicate(new, 11.0)]


def test_a_late_reply_does_not_take_a_reused_reference_from_a_later_post():
    ledger = a_ledger()
    given_up = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.advance(10.0) == [Refused(given_up, 10.0, Failure.REPLY)]
    later = ledger.sent(PLACE, 10.0, 10.0)
    ledger.replied(later, 200, ok(1), 10.1)
    assert ledger.replied(given_up, 200, ok(1), 10.2) == []
    assert ledger.notified(stats(1), 10.3) == [Answered(later, 10.3, late=False)]


def test_a_reply_after_the_patience_is_too_late_without_a_call_of_advance():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.replied(exchange, 200, ok(1), 10.0) == [Refused(exchange, 10.0, Failure.REPLY)]


def test_the_reference_of_an_early_notification_expires_one_patience_after_its_arrival():
    ledger = a_ledger()
    first, second = ledger.sent(PLACE, 0.0, 0.0), ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(first, 200, ok(1), 0.1)
    assert ledger.notified(stats(2), 1.0) == []
    assert ledger.notified(stats(1), 5.0) == [Answered(first, 5.0, late=True)]
    ledger.replied(second, 200, ok(2), 5.5)
    assert ledger.notified(stats(2), 11.5) == [Unexpected(2, 11.5)]
    assert ledger.notified(stats(1), 11.5) == [Duplicate(first, 11.5)]


def test_a_redirection_is_no_acknowledgement():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.replied(exchange, 300, ok(1), 0.1) == [Refused(exchange, 0.1, Failure.HTTP, 300)]


def test_a_notification_with_another_owner_or_type_is_wrong():
    ledger = a_ledger()
    cases: list[tuple[int, JSONObject, str]] = [
        (1, stats(1, owner="Place2"), "Owner"),
        (2, stats(2, kind="Agent"), "Type"),
        (3, {**stats(3), "messageType": "ErrorMessage"}, "messageType"),
        (4, {**stats(4), "workbinStats": []}, "workbinStats"),
        (5, {**stats(5), "workbinStats": {"861640a2": 1}}, "workbinStats"),
    ]
    for reference, data, part in cases:
        exchange = ledger.sent(PLACE, 0.0, 0.0)
        ledger.replied(exchange, 200, ok(reference), 0.1)
        assert ledger.notified(data, 0.2) == [Wrong(exchange, 0.2, part)]
        assert ledger.notified(stats(reference), 0.3) == [Duplicate(exchange, 0.3)]


def test_an_empty_result_is_right():
    ledger = a_ledger()
    cases: list[tuple[int, JSONObject]] = [
        (1, {**stats(1), "workbinStats": {}}),
        (2, {"messageType": "WorkbinStatsMessage", "referenceId": 2}),
    ]
    for reference, data in cases:
        exchange = ledger.sent(PLACE, 0.0, 0.0)
        ledger.replied(exchange, 200, ok(reference), 0.1)
        assert ledger.notified(data, 0.2) == [Answered(exchange, 0.2, late=False)]


def test_other_replies_are_refused_with_a_reason():
    cases: list[tuple[int, JSONObject | None, Failure, int, str]] = [
        (503, {"statusCode": 4}, Failure.HTTP, 503, "HTTP 503"),
        (302, None, Failure.HTTP, 302, "HTTP 302"),
        (200, {"statusCode": 4}, Failure.STATUS, 4, "statusCode 4"),
        (200, {"statusCode": True}, Failure.STATUS, -1, "statusCode -1"),
        (200, None, Failure.STATUS, -1, "statusCode -1"),
        (200, {"statusCode": 0}, Failure.REFERENCE, 0, "no referenceId"),
    ]
    for status, body, failure, detail, text in cases:
        ledger = a_ledger()
        exchange = ledger.sent(PLACE, 0.0, 0.0)
        refused = Refused(exchange, 0.1, failure, detail)
        assert ledger.replied(exchange, status, body, 0.1) == [refused]
        assert (refused.text, ledger.in_flight) == (text, 0)


def test_a_post_without_an_expected_notification_ends_with_its_reply():
    ledger = a_ledger()
    exchange = ledger.sent(PlannedRequest("StartContactCenterSession", None), 0.0, 0.0)
    assert ledger.replied(exchange, 200, {"statusCode": 0}, 0.1) == [Acknowledged(exchange, 0.1)]
    assert ledger.in_flight == 0


def test_a_late_reply_still_identifies_its_notification():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    assert ledger.advance(10.0) == [Refused(exchange, 10.0, Failure.REPLY)]
    assert ledger.replied(exchange, 200, ok(5), 11.0) == []
    assert ledger.notified(stats(5), 11.5) == [LateAfterLost(exchange, 11.5)]


def test_a_reference_in_a_late_reply_belongs_to_the_latest_post_with_it():
    ledger = a_ledger()
    lost = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(lost, 200, ok(66), 0.1)
    assert ledger.advance(10.0) == [Lost(lost, 10.0)]
    second, third = ledger.sent(PLACE, 11.0, 11.0), ledger.sent(PLACE, 22.0, 22.0)
    assert ledger.replied(second, 200, ok(66), 21.5) == [Refused(second, 21.0, Failure.REPLY)]
    assert ledger.notified(stats(66), 21.6) == [LateAfterLost(second, 21.6)]
    assert ledger.replied(third, 200, ok(66), 22.1) == [Acknowledged(third, 22.1)]
    assert ledger.notified(stats(66), 22.2) == [Answered(third, 22.2, late=False)]


def test_a_lost_session_keeps_open_exchanges():
    ledger = a_ledger()
    exchange = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(exchange, 200, ok(1), 0.1)
    assert ledger.session_lost(0.5) == [SessionLost(0.5, 1)]
    assert ledger.notified(stats(1), 0.6) == [Answered(exchange, 0.6, late=False)]


def test_an_agent_that_stops_abandons_open_exchanges():
    ledger = a_ledger()
    lost = ledger.sent(PLACE, 0.0, 0.0)
    ledger.replied(lost, 200, ok(3), 0.1)
    replied, silent = ledger.sent(PLACE, 6.0, 6.0), ledger.sent(PLACE, 6.0, 6.0)
    ledger.replied(replied, 200, ok(1), 6.1)
    ledger.notified(stats(9), 6.2)
    assert ledger.close(11.0) == [
        Lost(lost, 10.0),
        Abandoned(replied, 11.0),
        Abandoned(silent, 11.0),
        Unexpected(9, 6.2),
    ]
    assert (ledger.in_flight, ledger.waiting, ledger.deadline(), ledger.close(12.0)) == (0, 0, None, [])


def test_a_notification_without_a_valid_reference_is_unexpected():
    ledger = a_ledger()
    ledger.sent(PLACE, 0.0, 0.0)
    references: list[JSON] = [None, True, 1.5, [1]]
    for reference in references:
        assert ledger.notified({"messageType": "WorkbinStatsMessage", "referenceId": reference}, 0.1) == [
            Unexpected(None, 0.1)
        ]


# ---------------------------------------------------------------------- any order of events
EVENTS = st.lists(
    st.tuples(st.sampled_from(["send", "ack", "notify", "notify", "fail", "wait"]), st.integers(0, 7)), max_size=60
)


@given(EVENTS)
def test_every_exchange_and_notification_is_counted_once(
    events: list[tuple[str, int]],
):
    ledger, now = a_ledger(), 0.0
    sent: list[PendingRequest] = []
    references: dict[int, int] = {}
    outcomes: list[RequestOutcome] = []
    notified = 0
    for word, number in events:
        now += 0.25
        if word == "send":
            sent.append(ledger.sent(PLACE, now, now))
        elif word == "wait":
            now += number
            outcomes += ledger.advance(now)
        elif word == "notify":
            notified += 1
            outcomes += ledger.notified(stats(number), now)
        elif sent:
            exchange = sent[number % len(sent)]
            if exchange.number in references:
                continue  # a POST is answered once
            references[exchange.number] = len(references)
            if word == "ack":
                outcomes += ledger.replied(exchange, 200, ok(references[exchange.number]), now)
            else:
                outcomes += ledger.failed(exchange, now)
    outcomes += ledger.close(now + PATIENCE)
    settled = [each.exchange.number for each in outcomes if isinstance(each, Answered | Wrong | Lost | Refused)]
    assert sorted(settled) == [exchange.number for exchange in sent]
    counted = [each for each in outcomes if isinstance(each, Answered | Wrong | LateAfterLost | Duplicate | Unexpected)]
    assert len(counted) == notified
    assert (ledger.in_flight, ledger.waiting, ledger.deadline()) == (0, 0, None)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 25), st.integers(0, 2), st.booleans()), min_size=1, max_size=12)
)
def test_the_ledger_agrees_with_the_definitions(plans: list[tuple[float, float, int, bool]]):
    """POST n is sent at second n and gets reference n; its reply and 0 to 2 notifications come at the given times."""
    ledger = a_ledger()
    exchanges: dict[int, PendingRequest] = {}
    timeline: list[tuple[float, int, str, int]] = []
    expected: list[tuple[str, int]] = []
    for number, (reply, answer, times, right) in enumerate(plans):
        start = float(number)
        timeline.append((start, 0, "send", number))
        timeline.append((start + reply, 1, "ack", number))
        timeline += [(start + answer + extra / 8, 2, "right" if right else "wrong", number) for extra in range(times)]
        expected += _by_definition(number, start, answer, times, right=right)
    found: list[RequestOutcome] = []
    for at, _, word, number in sorted(timeline):
        if word == "send":
            exchanges[number] = ledger.sent(PLACE, at, at)
        elif word == "ack":
            found += ledger.replied(exchanges[number], 200, ok(number), at)
        else:
            found += ledger.notified(stats(number, owner="Place1" if word == "right" else "Place2"), at)
    found += ledger.close(1000.0)
    assert sorted(_word(each) for each in found if not isinstance(each, Acknowledged)) == sorted(expected)


def _by_definition(number: int, start: float, answer: float, times: int, *, right: bool) -> list[tuple[str, int]]:
    """Return the outcomes according to the definitions."""
    arrivals = [start + answer + extra / 8 for extra in range(times)]
    within = [at for at in arrivals if at < start + PATIENCE]
    if not within:
        return [("Lost", number), *[("LateAfterLost", number)] * len(arrivals)]
    first = "Wrong" if not right else "Late" if within[0] - start > LATE else "Answered"
    return [(first, number), *[("Duplicate", number)] * (times - 1)]


def _word(outcome: RequestOutcome) -> tuple[str, int]:
    if isinstance(outcome, Unexpected):
        assert isinstance(outcome.reference, int)
        return "Unexpected", outcome.reference
    assert not isinstance(outcome, SessionLost)
    name = "Late" if isinstance(outcome, Answered) and outcome.late else type(outcome).__name__
    return name, outcome.exchange.number - 1


def test_a_reply_with_several_references_is_an_acknowledgement():
    ledger = a_ledger()
    exchange = ledger.sent(PlannedRequest("Subscribe", None), 0.0, 0.0)
    body: JSONObject = {"statusCode": 0, "referenceIds": {"861640a2": 56, "861640a3": 57}}
    assert ledger.replied(exchange, 200, body, 0.1) == [Acknowledged(exchange, 0.1)]
    assert (ledger.in_flight, ledger.close(1.0)) == (0, [])
