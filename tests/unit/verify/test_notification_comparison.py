"""The comparison of notifications: missing, duplicate, extra, moved, changed, reordered and unsolicited ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cometreel.jsonvalue import JSON
from cometreel.verify.notification_comparison import Pairs, Similarity, pair_notifications
from tests.unit.verify.fake_run import TOPIC, FakeRun

StartRun = Callable[..., FakeRun]

TEXT = """correlation: gws-v2
exchanges:
  - name: pull
    request: {method: POST, path: /w/1, body: {operationName: PullWorkitem}}
    reply: {body: {statusCode: 0, referenceId: 1}}
    events:
      - {channel: /v2/me/workbins, data: {referenceId: 1, kind: first, a: 1, b: 2}}
      - {channel: /v2/me/workbins, data: {referenceId: 1, kind: second, c: 3, d: 4}}
"""
FIRST: dict[str, JSON] = {"referenceId": 9, "kind": "first", "a": 1, "b": 2}
SECOND: dict[str, JSON] = {"referenceId": 9, "kind": "second", "c": 3, "d": 4}
WITHOUT = {name: value for name, value in FIRST.items() if name != "referenceId"}

RECEIVED: dict[str, tuple[list[tuple[str, JSON]], list[str]]] = {
    "as recorded": ([(TOPIC, FIRST), (TOPIC, SECOND)], []),
    "one is missing": (
        [(TOPIC, SECOND)],
        [
            (
                "s.yaml:8: pull: notification missing at /events/0: recorded {channel: /v2/me/workbins, "
                "data: {referenceId: 1, kind: first, a: 1, b: 2}}, live nothing"
            )
        ],
    ),
    "one came twice": (
        [(TOPIC, FIRST), (TOPIC, SECOND), (TOPIC, FIRST)],
        ["s.yaml:8: pull: notification doubled at /events/0: recorded once, live twice"],
    ),
    "one came three times": (
        [(TOPIC, FIRST), (TOPIC, SECOND), (TOPIC, SECOND), (TOPIC, SECOND)],
        ["s.yaml:9: pull: notification doubled at /events/1: recorded once, live 3 times"],
    ),
    "one more came": (
        [(TOPIC, FIRST), (TOPIC, {"referenceId": 9, "x": 1}), (TOPIC, SECOND)],
        [
            (
                "s.yaml:8: pull: notification extra at /events/2: recorded nothing, "
                "live {channel: /v2/me/workbins, data: {referenceId: 9, x: 1}}"
            )
        ],
    ),
    "one moved to another channel": (
        [("/v2/me/other", FIRST), (TOPIC, SECOND)],
        ["s.yaml:8: pull: notification moved at /events/0/channel: recorded /v2/me/workbins, live /v2/me/other"],
    ),
    "one moved, and changed": (
        [("/v2/me/other", {**FIRST, "a": 7}), (TOPIC, SECOND)],
        [
            "s.yaml:8: pull: notification moved at /events/0/channel: recorded /v2/me/workbins, live /v2/me/other",
            "s.yaml:8: pull: value changed at /events/0/data/a: recorded 1, live 7",
        ],
    ),
    "one changed": (
        [(TOPIC, FIRST), (TOPIC, {**SECOND, "d": 5})],
        ["s.yaml:9: pull: value changed at /events/1/data/d: recorded 4, live 5"],
    ),
    "the other order": (
        [(TOPIC, SECOND), (TOPIC, FIRST)],
        ["s.yaml:8: pull: order changed on /v2/me/workbins at /events: recorded [0, 1], live [1, 0]"],
    ),
    "one has lost its reference": (
        [(TOPIC, WITHOUT), (TOPIC, SECOND)],
        ["s.yaml:8: pull: field removed at /events/0/data/referenceId: recorded 1, live nothing"],
    ),
    "something else altogether": (
        [(TOPIC, {"referenceId": 9, "p": 1, "q": 2, "r": 3}), (TOPIC, SECOND)],
        [
            (
                "s.yaml:8: pull: notification missing at /events/0: recorded {channel: /v2/me/workbins, "
                "data: {referenceId: 1, kind: first, a: 1, b: 2}}, live nothing"
            ),
            (
                "s.yaml:8: pull: notification extra at /events/2: recorded nothing, "
                "live {channel: /v2/me/workbins, data: {referenceId: 9, p: 1, q: 2, r: 3}}"
            ),
        ],
    ),
}


@pytest.mark.parametrize(("received", "expected"), RECEIVED.values(), ids=RECEIVED.keys())
def test_notification_differences(start_run: StartRun, received: list[tuple[str, JSON]], expected: list[str]) -> None:
    run = start_run(TEXT).connects().replies(0, {"statusCode": 0, "referenceId": 9})
    for channel, data in received:
        run.at(run.now - 100 + 0.01).notifies(data, channel)
    assert run.lines() == expected


@pytest.mark.parametrize(
    ("received", "parity"),
    [
        ([(TOPIC, FIRST), (TOPIC, SECOND)], "1 of 1 exchanges and 2 of 2 notifications are equal"),
        ([(TOPIC, SECOND)], "0 of 1 exchanges and 1 of 2 notifications are equal"),
        ([(TOPIC, FIRST), (TOPIC, {**SECOND, "c": 4})], "0 of 1 exchanges and 1 of 2 notifications are equal"),
        ([(TOPIC, FIRST), (TOPIC, SECOND), (TOPIC, FIRST)], "0 of 1 exchanges and 1 of 2 notifications are equal"),
        ([(TOPIC, SECOND), (TOPIC, FIRST)], "0 of 1 exchanges and 0 of 2 notifications are equal"),
        (
            [(TOPIC, FIRST), (TOPIC, SECOND), (TOPIC, {"referenceId": 9, "x": 1})],
            "0 of 1 exchanges and 2 of 2 notifications are equal",
        ),
        ([], "0 of 1 exchanges and 0 of 2 notifications are equal"),
    ],
)
def test_parity_counts_the_recorded_notifications_that_are_equal(
    start_run: StartRun, received: list[tuple[str, JSON]], parity: str
) -> None:
    run = start_run(TEXT).connects().at(0.1).replies(0, {"statusCode": 0, "referenceId": 9})
    for number, (channel, data) in enumerate(received):
        run.at(0.2 + number / 100).notifies(data, channel)
    assert run.verdict().parity() == parity


def test_order_of_reply_and_notification_is_not_compared(start_run: StartRun) -> None:
    run = start_run(TEXT).connects().notifies(FIRST).at(0.1).replies(0, {"statusCode": 0, "referenceId": 9})
    assert run.notifies(SECOND).lines() == []


def test_order_across_channels_is_not_compared(start_run: StartRun) -> None:
    run = start_run(
        TEXT.replace("/v2/me/workbins, data: {referenceId: 1, kind: second", "/b, data: {referenceId: 1, kind: second")
    )
    run.connects().replies(0, {"statusCode": 0, "referenceId": 9}).notifies(SECOND, "/b").at(0.1).notifies(FIRST)
    assert run.lines() == []


def test_duplicate_belongs_to_the_last_exchange_sent(start_run: StartRun) -> None:
    one = """
  - name: subscribe {0}
    request: {{method: POST, path: /w/1, query: {{n: "{0}"}}, body: {{operationName: Subscribe}}}}
    reply: {{body: {{statusCode: 0, referenceId: {0}}}}}
    events:
      - channel: /v2/me/workbins
        data: {{messageType: WorkbinSubscriptionStateChangeMessage, id: "1", stateResource: Subscribed}}
"""
    change: dict[str, JSON] = {
        "messageType": "WorkbinSubscriptionStateChangeMessage",
        "id": "1",
        "stateResource": "Subscribed",
    }
    run = start_run(f"correlation: gws-v2\nexchanges:{one.format(1)}{one.format(2)}").connects()
    run.at(0.1).replies(0, {"statusCode": 0, "referenceId": 5}).notifies(change)
    run.at(0.2).replies(1, {"statusCode": 0, "referenceId": 6}).notifies(change).notifies(change)
    assert run.lines() == ["s.yaml:15: subscribe 2: notification doubled at /events/0: recorded once, live twice"]


def test_repeated_events(start_run: StartRun) -> None:
    text = TEXT.partition("      - {channel")[0] + (
        "      - {channel: /v2/me/workbins, count: 3, gap: 1s, data: {referenceId: 1, n: {$t: '{{ seq }}'}}}\n"
    )
    run = start_run(text).connects().replies(0, {"statusCode": 0, "referenceId": 9})
    for number in (0, 1, 3):
        run.at(number).notifies({"referenceId": 9, "n": number})
    assert run.lines() == ["s.yaml:8: pull: value changed at /events/0/data/n: recorded 2, live 3"]


def test_recorded_ext_is_compared(start_run: StartRun) -> None:
    text = TEXT.partition("      - {channel")[0] + "      - {channel: /c, data: {referenceId: 1}, ext: {n: 1}}\n"
    run = start_run(text).connects().replies(0, {"statusCode": 0, "referenceId": 9})
    run.run.received("everybody", {"channel": "/c", "data": {"referenceId": 9}, "ext": {"n": 2}}, run.now)
    assert run.lines() == ["s.yaml:8: pull: value changed at /events/0/ext/n: recorded 1, live 2"]


TIMELINE = """correlation: gws-v2
exchanges:
  - {name: ask, request: {method: POST, path: /ask}, reply: {status: 200}}
timeline:
  - {since: ask, channel: /v2/me/workbins, data: {action: ItemAdded, id: w, subject: text ba, n: 1}}
"""


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ([], ["s.yaml:6: timeline: not received during the run"]),
        ([{"action": "ItemAdded", "id": "w", "subject": "hello", "n": 1}], ["s.yaml:6: timeline: received"]),
        (
            [{"action": "ItemAdded", "id": "w", "subject": "hello", "n": 2}],
            ["s.yaml:6: timeline: received with other values: {channel: /v2/me/workbins, data: {action: ItemAdded,"],
        ),
        (
            [{"x": 1}],
            [
                "s.yaml:6: timeline: not received during the run",
                "unsolicited notification: {channel: /v2/me/workbins, data: {x: 1}}",
            ],
        ),
    ],
)
def test_unsolicited_notifications_are_notes(start_run: StartRun, received: list[JSON], expected: list[str]) -> None:
    run = start_run(TIMELINE).connects().replies(0)
    for data in received:
        run.notifies(data)
    assert run.lines() == []
    assert [note[: len(line)] for note, line in zip(run.notes(), expected, strict=True)] == expected
    assert "hello" not in str(run.notes())


def test_variables_learned_from_a_late_notification(start_run: StartRun) -> None:
    text = TEXT.partition("      - {channel")[0] + (
        "      - channel: /c\n"
        '        data: {referenceId: 1, id: {$t: "{{ user.id }}"}, uri: {$t: "/users/{{ user.id }}"}}\n'
    )
    run = start_run(text, patience_seconds=1).connects().replies(0, {"statusCode": 0, "referenceId": 9}).at(1.5)
    assert run.notifies({"referenceId": 9, "id": "u7", "uri": "/users/u7"}, "/c").lines() == []


def pair(recorded: str, live: str) -> Pairs:
    """Pair words: each different letter is a difference, upper case means another channel."""

    def compare(number: int, each: int) -> Similarity:
        one, other = recorded.split()[number], live.split()[each]
        differences = sum(a != b for a, b in zip(one.lower(), other.lower(), strict=True))
        return Similarity(differences, len(one), one.isupper() == other.isupper())

    return pair_notifications(len(recorded.split()), len(live.split()), compare)


def test_equal_notifications_are_paired_in_order() -> None:
    assert pair("aaaa bbbb aaaa", "bbbb aaaa aaaa") == Pairs({0: 1, 1: 0, 2: 2})


def test_closest_notifications_are_paired_next() -> None:
    assert pair("aaaa aaab", "aaac aabb") == Pairs({0: 0, 1: 1})


def test_equal_notification_is_preferred_to_a_close_one() -> None:
    assert pair("aaab aaaa", "aaaa") == Pairs({1: 0}, missing=[0])


def test_too_different_notifications_are_missing_and_extra() -> None:
    assert pair("aaaa", "bbbb") == Pairs(missing=[0], extra=[0])


def test_notification_on_another_channel_must_be_closer() -> None:
    assert pair("aaaa", "AABB") == Pairs(missing=[0], extra=[0])
    assert pair("aaaa", "AAAB") == Pairs({0: 0})
    assert pair("aaaa", "aabb") == Pairs({0: 0})


def test_duplicates_of_a_paired_notification() -> None:
    assert pair("aaaa bbbb", "aaaa aaaa bbbb aaaa") == Pairs({0: 0, 1: 2}, duplicates={0: [1, 3]})
