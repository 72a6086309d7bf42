"""Limits: grammar, measured values and errors."""

from __future__ import annotations

import pytest

from cometreel.errors import OptionInvalid
from cometreel.load import (
    Expectation,
    Ledger,
    Limit,
    OwnerKind,
    PlannedRequest,
    Tally,
    check_limits,
    parse_limit,
    parse_limits,
)


def a_tally() -> Tally:
    """Return a tally of 100 requests, sent 1 ms late and answered after 10 to 980 ms; one is lost and one wrong."""
    tally, ledger = Tally("w"), Ledger("a", late=0.9, patience=5.0)
    planned = PlannedRequest(OwnerKind.PLACE.entry, Expectation("Place", "P"))
    for number in range(100):
        now = number * 10.0
        exchange = ledger.sent(planned, now, now + 0.001)
        tally.sent(exchange)
        tally.add(ledger.replied(exchange, 200, {"statusCode": 0, "referenceId": number}, now + 0.005))
        stats: dict[str, object] = {"Owner": "Q" if number == 98 else "P", "Type": "Place"}
        if number < 99:
            at = now + (number + 1) / 100
            data = {"messageType": "WorkbinStatsMessage", "referenceId": number, "workbinStats": {"w": stats}}
            tally.add(ledger.notified(data, at))  # type: ignore[arg-type]  # it is JSON
    tally.add(ledger.close(2000.0))
    tally.add(ledger.notified({"referenceId": 7}, 2001.0))
    tally.unsent = 3
    return tally


@pytest.mark.parametrize(
    ("text", "found", "passed"),
    [
        ("notification p99 < 800ms", "980ms", False),
        ("notification p50 <= 490.3ms", "490ms", True),
        ("notification Place p50 < 600ms", "490ms", True),
        ("notification max < 1s", "980ms", True),
        ("notification p50 actual < 489.5ms", "489ms", True),
        ("notification mean < 1s", "495ms", True),
        ("ack p99.9 <= 5ms", "5.00ms", True),
        ("ack  Place   p95 actual<=4.1ms", "4.00ms", True),
        ("lag p99 < 10ms", "1.00ms", True),
        ("ack User p95 < 1s", "nothing measured", False),
        ("lost == 0", "1", False),
        ("lost Place != 0", "1", True),
        ("lost Agent == 0", "0", True),
        ("lost rate < 2%", "1%", True),
        ("error rate < 1%", "2%", False),
        ("error < 3%", "2%", True),
        ("error Agent rate < 1%", "nothing measured", False),
        ("wrong <= 1", "1", True),
        ("unexpected == 0", "1", False),
        ("late > 5", "8", True),
        ("late-after-lost == 0", "0", True),
        ("http error == 0", "0", True),
        ("unsent < 3", "3", False),
    ],
)
def test_a_limit_is_checked(text: str, found: str, passed: bool):
    result = parse_limit(text).check(a_tally())
    assert (result.found, result.passed) == (found, passed)


def test_limits_are_checked_in_order():
    limits = parse_limits(["lost == 0", "wrong == 1"])
    assert [(each.limit.text, each.passed) for each in check_limits(limits, a_tally())] == [
        ("lost == 0", False),
        ("wrong == 1", True),
    ]


def test_a_limit_is_parsed():
    assert parse_limit("ack PlaceGroup p99.99 actual >= 1.5s") == Limit(
        "ack PlaceGroup p99.99 actual >= 1.5s", "ack", OwnerKind.PLACE_GROUP, 99.99, True, ">=", 1.5, "seconds"
    )
    assert parse_limit("duplicate User rate < 0.5%") == Limit(
        "duplicate User rate < 0.5%", "duplicate", OwnerKind.USER, None, False, "<", 0.5, "percent"
    )


WHAT = (
    "expected one of ack, notification, lag, error, lost, late, late-after-lost, duplicate, wrong, http error, "
    "status error, no reply, abandoned, unexpected, session lost, unsent"
)
EXAMPLES = "such as 'notification p99 < 800ms', 'ack Place p95 <= 1s', 'lost == 0' or 'error rate < 1%'"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lost", f"'lost' has no operator; expected one of < <= > >= == !=, {EXAMPLES}"),
        ("lst == 0", f"'lst' in 'lst == 0'; {WHAT} (did you mean 'lost'?)"),
        ("== 0", f"'' in '== 0'; {WHAT}"),
        ("lost = 0", f"'lost = 0' has no operator; expected one of < <= > >= == !=, {EXAMPLES}"),
        ("lost == none", "'none' in 'lost == none'; expected a number or a percentage"),
        ("lost == -1", "'-1' in 'lost == -1'; expected a number or a percentage"),
        ("lost == 1%%", "'1%%' in 'lost == 1%%'; expected a number or a percentage"),
        ("lost rate == 1", "'1' in 'lost rate == 1'; expected a percentage after 'rate', such as 1%"),
        (
            "unexpected Place == 1",
            "'Place' in 'unexpected Place == 1'; expected 'unexpected' alone: it has no entries",
        ),
        ("ack < 1s", "'ack < 1s' has no statistic for ack; expected p50, p99, p99.99, mean or max after it"),
        ("ack p0 < 1s", "'p0' in 'ack p0 < 1s'; expected a percentile from p0.01 to p100, mean or max"),
        ("ack p101 < 1s", "'p101' in 'ack p101 < 1s'; expected a percentile from p0.01 to p100, mean or max"),
        ("ack median < 1s", "'median' in 'ack median < 1s'; expected a percentile from p0.01 to p100, mean or max"),
        (
            "ack Plaice p99 < 1s",
            (
                "'Plaice' in 'ack Plaice p99 < 1s'; expected one of Agent, Place, AgentGroup, PlaceGroup, User "
                "(did you mean 'Place'?)"
            ),
        ),
        ("ack p99 < 800", "'800' in 'ack p99 < 800'; expected a duration with its unit, such as 800ms or 1s"),
        (
            "lag Place p99 < 1s",
            "'lag Place p99' in 'lag Place p99 < 1s'; expected 'lag' and a statistic: it has no entries",
        ),
    ],
)
def test_an_invalid_limit_is_refused_with_the_part_and_what_is_expected(text: str, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        parse_limit(text)
    assert str(refused.value) == f"--reel-limit: {sentence}"
