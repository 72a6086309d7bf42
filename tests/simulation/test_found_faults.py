"""Faults of the engine that the simulation found, as it printed them."""

from __future__ import annotations

import pytest

from tests.simulation.plan import Answer, ClientPlan, Operation, Options, Plan, PlannedEvent, PlannedFault, Step
from tests.simulation.runs import broken_promises


def test_a_notification_in_a_frame_that_was_not_written_when_its_session_had_ended_is_reported() -> None:
    # 1 of 'op1 1.0' are neither received nor reported; expected {'client gone': 1}, found {}
    plan = Plan(
        operations=(Operation("op1", "header", (Answer((PlannedEvent("/c/d", 0.3),)),)),),
        clients=(ClientPlan("d", "websocket"),),
        steps=(
            Step(0.0, "d", "connect"),
            Step(0.1, "d", "call", ["op1", 72]),
            Step(0.2, "d", "fail", 1),
            Step(0.3, "", "sleep", 20.373138),
        ),
    )
    assert broken_promises(plan) == []


def test_a_notification_in_the_last_reply_of_a_session_is_reported_if_it_was_not_written() -> None:
    # 1 of 'op0 1.0' are neither received nor reported; expected {'client gone': 1}, found {}
    plan = Plan(
        operations=(Operation("op0", "publish", (Answer((PlannedEvent("/b"), PlannedEvent("", disconnect=True))),)),),
        clients=(ClientPlan("b"),),
        steps=(
            Step(0.0, "b", "connect"),
            Step(0.1, "b", "fail", 2),
            Step(0.2, "b", "call", ["op0", 2]),
        ),
    )
    assert broken_promises(plan) == []


def test_notifications_that_wait_for_one_of_several_clients_come_before_later_ones() -> None:
    # b receives ('/c/d', 'op0 1.0', '') after a later notification
    plan = Plan(
        operations=(Operation("op0", "query", (Answer((PlannedEvent("/c/d", 1.0), PlannedEvent("/c/d", 2.0))),)),),
        clients=(
            ClientPlan("a"),
            ClientPlan("b", identity="basic", user="ann"),
            ClientPlan("c"),
            ClientPlan("d", identity="basic", user="ann"),
        ),
        steps=(
            Step(0.0, "a", "connect"),
            Step(0.1, "b", "connect"),
            Step(0.2, "c", "call", ["op0", 90]),
            Step(1.5, "a", "disconnect"),
            Step(3.0, "d", "connect"),
        ),
        options=Options(cookie="none"),
    )
    assert broken_promises(plan) == []


@pytest.mark.parametrize("transport", ["long-polling", "callback-polling", "websocket"])
def test_notifications_of_an_acknowledged_client_that_were_not_written_when_its_session_ended_are_reported(
    transport: str,
) -> None:
    # 1 of 'op0 1.0' are neither received nor reported; expected {'client gone': 1}, found {}
    events = (PlannedEvent("/b", 1.0), PlannedEvent("", 1.0, disconnect=True))
    plan = Plan(
        operations=(Operation("op0", "header", (Answer(events),)),),
        clients=(ClientPlan("b", transport, ack=True),),
        steps=(
            Step(0.0, "b", "connect"),
            Step(0.1, "b", "call", ["op0", 1]),
            Step(0.2, "b", "fail", 1),
        ),
    )
    assert broken_promises(plan) == []


def test_a_session_is_not_ended_by_its_own_start_if_all_other_provisional_sessions_have_a_client() -> None:
    # the engine fails with KeyError: 3
    plan = Plan(
        operations=(Operation("op0"),),
        clients=(ClientPlan("a", "websocket"), ClientPlan("b")),
        steps=(
            Step(0.0, "a", "connect"),
            Step(0.1, "b", "call", ["op0", 1]),
        ),
        options=Options(max_provisional=1),
    )
    assert broken_promises(plan) == []


def test_a_client_that_a_fault_ends_gets_no_later_notification_of_the_publish_at_speed_0() -> None:
    # a receives ('/a', 'op2 1.0', ''), which is not for it or which it has received before
    plan = Plan(
        operations=(Operation("op2", "publish", (Answer((PlannedEvent("/a", 0.3),)),)),),
        clients=(ClientPlan("a"),),
        steps=(
            Step(0.0, "a", "connect"),
            Step(0.1, "", "speed", 0.0),
            Step(0.2, "a", "call", ["op2", 23]),
        ),
        faults=(PlannedFault("op2 1", "disconnect", 1),),
    )
    assert broken_promises(plan) == []
