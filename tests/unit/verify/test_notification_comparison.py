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


ROLES = """correlation: gws-v2
roles: {a: {}, b: {}}
exchanges:
  - name: ask
    as: [a, b]
    request: {method: POST, path: /w/1}
    reply: {body: {referenceId: 1}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 1, x: 1, z: 2}}]
"""
ASKED: dict[str, JSON] = {"referenceId": 9, "x": 1, "z": 2}
DONE: dict[str, JSON] = {"statusCode": 0, "referenceId": 9}
LOST: dict[str, JSON] = {"x": 1, "z": 2}
"""As `ASKED`, without its reference."""


def test_a_notification_belongs_to_the_exchange_of_its_session(start_run: StartRun) -> None:
    """Both sessions get the same reference number."""
    run = start_run(ROLES).connects("a").replies(0, {"referenceId": 9}).notifies(ASKED, TOPIC, "a")
    run.connects("b").replies(1, {"referenceId": 9}).notifies({**ASKED, "x": 7}, TOPIC, "b")
    assert run.lines() == ["s.yaml:9: ask: value changed at /events/0/data/x: recorded 1, live 7"]
    assert [step.session for step in run.verdict().steps if step.drifts] == ["b"]


def test_a_missing_notification_is_not_taken_from_another_session(start_run: StartRun) -> None:
    run = start_run(ROLES, patience_seconds=1).connects("a").replies(0, {"referenceId": 9}).at(2)
    run.connects("b").replies(1, {"referenceId": 9}).notifies({**ASKED, "x": 3}, TOPIC, "b").notifies(LOST, TOPIC, "b")
    assert [(step.session, drift.kind) for step in run.verdict().steps for drift in step.drifts] == [
        ("a", "notification missing"),
        ("b", "value changed"),
    ]


ASK = """correlation: gws-v2
exchanges:
  - {name: first, request: {method: GET, path: /first}}
  - name: ask
    request: {method: POST, path: /w/1}
    reply: {body: {referenceId: 1}}
    events: [{channel: /v2/me/workbins, data: {referenceId: 1, x: 1, z: 2}}]
"""


@pytest.mark.parametrize(("before", "after", "found"), [(0.5, None, False), (None, 29.9, True), (None, 30.1, False)])
def test_a_missing_notification_is_taken_from_the_time_after_its_request(
    start_run: StartRun, before: float | None, after: float | None, found: bool
) -> None:
    """The profile defines the window, 30 seconds."""
    run = start_run("timeline: [{since: first, channel: /news, data: 1}]\n" + ASK, patience_seconds=60).connects()
    if before is not None:
        run.at(before).notifies(LOST)
    run.at(1.0).replies(0).replies(1, {"referenceId": 9})
    if after is not None:
        run.at(1.0 + after).notifies(LOST)
    (line,) = run.lines()
    kind = "field removed at /events/0/data/referenceId" if found else "notification missing"
    assert line.startswith(f"s.yaml:9: ask: {kind}")
    assert [note for note in run.notes() if "unsolicited" in note] == (
        [] if found else ["unsolicited notification: {channel: /v2/me/workbins, data: {x: 1, z: 2}}"]
    )


def test_an_equal_notification_without_a_reference_is_a_duplicate_if_it_came_later(start_run: StartRun) -> None:
    text = ASK.replace("{referenceId: 1, x: 1, z: 2}", "{x: 1, z: 2}")
    run = start_run(text).at(0.1).replies(0).connects().replies(1, {"referenceId": 9})
    run.at(0.3).notifies(LOST).at(0.6).notifies(LOST)
    assert [line.partition(" at ")[0] for line in run.lines()] == ["s.yaml:8: ask: notification doubled"]


def test_the_order_within_a_channel_is_compared_though_other_channels_come_between(start_run: StartRun) -> None:
    events = "".join(
        f"      - {{channel: /{channel}, data: {{referenceId: 1, n: {n}}}}}\n"
        for n, channel in enumerate(("a", "b", "a", "b"), start=1)
    )
    run = start_run(TEXT.partition("      - {channel")[0] + events).connects().replies(0, DONE)
    for number, (channel, n) in enumerate((("a", 3), ("b", 2), ("a", 1), ("b", 4))):
        run.at(0.1 * (number + 1)).notifies({"referenceId": 9, "n": n}, f"/{channel}")
    assert run.lines() == ["s.yaml:8: pull: order changed on /a at /events: recorded [0, 2], live [2, 0]"]


def test_the_order_is_that_of_arrival_also_of_a_notification_that_lost_its_reference(start_run: StartRun) -> None:
    run = start_run(TEXT).connects().replies(0, {"statusCode": 0, "referenceId": 9})
    run.at(0.1).notifies(WITHOUT).at(0.2).notifies(SECOND)
    assert run.lines() == ["s.yaml:8: pull: field removed at /events/0/data/referenceId: recorded 1, live nothing"]


def test_two_additional_notifications_have_places_of_their_own(start_run: StartRun) -> None:
    run = start_run(TEXT).connects().replies(0, {"statusCode": 0, "referenceId": 9}).notifies(FIRST).notifies(SECOND)
    for n in (1, 2):
        run.notifies({"referenceId": 9, "x": n, "y": n, "z": n})
    assert [line.partition(" at ")[2].partition(":")[0] for line in run.lines()] == ["/events/2", "/events/3"]


def test_a_notification_with_another_ext_is_less_alike_than_one_with_the_same(start_run: StartRun) -> None:
    events = "".join(f"      - {{channel: /c, data: {{referenceId: 1}}, ext: {{n: {n}}}}}\n" for n in (1, 2))
    run = start_run(TEXT.partition("      - {channel")[0] + events).connects().replies(0, DONE)
    for number, n in enumerate((2, 1)):
        message: dict[str, JSON] = {"channel": "/c", "data": {"referenceId": 9}, "ext": {"n": n}}
        run.run.received("everybody", message, run.now + number)
    assert run.lines() == ["s.yaml:8: pull: order changed on /c at /events: recorded [0, 1], live [1, 0]"]


def test_a_comparison_learns_values_only_from_the_notification_that_belongs_to_an_event(start_run: StartRun) -> None:
    text = TEXT.partition("      - {channel")[0] + (
        "      - {channel: /c, data: {referenceId: 1, kind: a, x: 1, y: 1, id: {$id: one}}}\n"
        "      - {channel: /c, data: {referenceId: 1, kind: b, v: 2, w: 2, id: {$id: one}}}\n"
    )
    text += "  - {name: one, request: {method: GET, path: [things, {$id: one}]}}\n"
    run = start_run(text, patience_seconds=1).connects().replies(0, DONE)
    run.notifies({"referenceId": 9, "kind": "zzz", "id": "wrong"}, "/c")
    run.notifies({"referenceId": 9, "kind": "b", "v": 2, "w": 2, "id": "live"}, "/c")
    run.notifies({"referenceId": 9, "kind": "a", "x": 1, "y": 1, "id": "live"}, "/c").at(5)
    assert run.actions()[2:] == ["1 GET /things/live"]
    run.replies(1)
    assert [line.partition(": pull: ")[2].partition(" at ")[0] for line in run.lines()] == [
        "notification extra",
        "order changed on /c",
    ]


def test_a_close_notification_is_the_most_alike_one(start_run: StartRun) -> None:
    assert pair("aaaa", "aabb aaab") == Pairs({0: 1}, extra=[0])
    assert pair("aaaaaaaa", "AAAAAAAB aaaaaaab") == Pairs({0: 1}, extra=[0]), "one on the same channel is more alike"
    assert pair("aaaa", "aaaB") == Pairs({0: 0})


TWO_ENTRIES = TIMELINE.replace(
    "n: 1}}", "n: 1}}\n  - {since: ask, channel: /v2/me/workbins, data: {action: ItemAdded, id: w, n: 2}}"
)


def test_each_timeline_entry_takes_the_notification_that_equals_it(start_run: StartRun) -> None:
    run = start_run(TWO_ENTRIES.replace("subject: text ba, ", "")).connects().replies(0)
    run.notifies({"action": "ItemAdded", "id": "w", "n": 2}).notifies({"action": "ItemAdded", "id": "w", "n": 1})
    assert run.notes() == ["s.yaml:6: timeline: received", "s.yaml:7: timeline: received"]
    once = start_run(TWO_ENTRIES.replace("subject: text ba, ", "")).connects().replies(0)
    once.notifies({"action": "ItemAdded", "id": "w", "n": 1})
    assert once.notes() == ["s.yaml:6: timeline: received", "s.yaml:7: timeline: not received during the run"]


def test_a_timeline_entry_is_received_in_its_own_session(start_run: StartRun) -> None:
    roles = "roles: {a: {}, b: {}}\n"
    text = TIMELINE.replace("exchanges:", f"{roles}exchanges:").replace("- {since: ask,", "- {as: b, since: ask,")
    run = start_run(text).connects("b").replies(0)
    data: JSON = {"action": "ItemAdded", "id": "w", "subject": "x", "n": 1}
    run.notifies(data, TOPIC, "a")
    assert run.notes()[0] == "s.yaml:7: timeline: not received during the run"
    again = start_run(text).connects("b").replies(0).notifies(data, TOPIC, "b")
    assert again.notes() == ["s.yaml:7: timeline: received"]


def test_a_notification_on_its_own_channel_is_preferred_to_an_equal_one_on_another(start_run: StartRun) -> None:
    run = start_run(TEXT).connects().replies(0, DONE)
    run.notifies(FIRST, "/v2/me/other").notifies(FIRST).notifies(SECOND)
    assert [line.partition(" at ")[0] for line in run.lines()] == ["s.yaml:8: pull: notification extra"]


@pytest.mark.parametrize(("earlier", "doubled"), [(True, False), (False, True)])
def test_an_equal_notification_with_another_reference_is_a_duplicate_only_if_it_came_later(
    start_run: StartRun, earlier: bool, doubled: bool
) -> None:
    run = start_run(ASK).replies(0).connects().replies(1, {"referenceId": 9}).at(0.1)
    for reference in (8, 9) if earlier else (9, 8):
        run.at(run.now - 100 + 0.1).notifies({**ASKED, "referenceId": reference})
    assert any("doubled" in line for line in run.lines()) is doubled
    assert len(run.notes()) == (0 if doubled else 1)


def test_a_notification_without_a_reference_belongs_to_no_exchange_of_another_session(start_run: StartRun) -> None:
    change = "{messageType: WorkbinSubscriptionStateChangeMessage, id: '1', stateResource: Subscribed}"
    text = f"""correlation: gws-v2
roles: {{a: {{}}, b: {{}}}}
exchanges:
  - name: state
    as: a
    request: {{method: POST, path: /w/1, body: {{operationName: Subscribe}}}}
    reply: {{body: {{statusCode: 0, referenceId: 1}}}}
    events: [{{channel: /v2/me/workbins, data: {change}}}]
timeline: [{{as: b, since: connect, channel: /news, data: 1}}]
"""
    run = start_run(text, patience_seconds=1).connects("a").replies(0, DONE).at(3).connects("b")
    data: JSON = {"messageType": "WorkbinSubscriptionStateChangeMessage", "id": "1", "stateResource": "Subscribed"}
    run.notifies(data, TOPIC, "b")
    assert [line.partition(" at ")[0] for line in run.lines()] == ["s.yaml:9: state: notification missing"]
