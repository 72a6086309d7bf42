"""Queued messages of a session: order, limits, acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence

from cometreel.bayeux.outbox import AckedOutbox, EncodedMessage, Outbox


def message(number: int) -> EncodedMessage:
    return EncodedMessage("/a", str(number).encode())


def numbers(messages: Sequence[EncodedMessage]) -> list[int]:
    return [int(each.body) for each in messages]


def test_messages_that_are_put_back_come_before_queued_ones() -> None:
    outbox = Outbox(9)
    for number in (1, 2):
        outbox.put(message(number))
    taken = outbox.take()
    outbox.put(message(3))
    outbox.put_back(taken)
    assert numbers(outbox.take()) == [1, 2, 3]
    assert not outbox.ready


def test_the_oldest_messages_are_dropped_at_the_limit() -> None:
    outbox = Outbox(2)
    assert [outbox.put(message(number)) for number in (1, 2, 3)] == [True, True, False]
    assert outbox.put_back([message(0)]) is False
    assert numbers(outbox.take()) == [2, 3]


def test_acked_messages_stay_until_their_batch_is_acknowledged() -> None:
    outbox = AckedOutbox(9)
    outbox.put(message(1))
    assert outbox.ready
    assert (outbox.close(), numbers(outbox.take()), outbox.ready) == (1, [1], False)
    outbox.put(message(2))
    assert (outbox.close(), numbers(outbox.take())) == (2, [1, 2])
    outbox.acknowledge(1)
    assert (outbox.close(), numbers(outbox.take())) == (3, [2])
    outbox.acknowledge(99)
    assert len(outbox) == 0


def test_acked_outbox_is_bounded_too() -> None:
    outbox = AckedOutbox(1)
    assert [outbox.put(message(1)), outbox.put(message(2))] == [True, False]
    assert numbers(outbox.take()) == [2]


def test_all_dropped_messages_are_kept_until_the_caller_removes_them() -> None:
    outbox = Outbox(1)
    for number in (1, 2, 3):
        outbox.put(message(number))
    assert numbers(outbox.dropped) == [1, 2]


def test_at_the_end_only_the_messages_that_were_not_written_are_returned() -> None:
    outbox = AckedOutbox(9)
    outbox.put(message(1))
    outbox.put(message(2))
    first = outbox.start_write()
    outbox.put(message(3))
    second = outbox.start_write()
    outbox.end_write(second, written=False)
    assert numbers(outbox.take_unsent()) == []  # the first write can still succeed
    outbox.end_write(first, written=True)
    assert (numbers(outbox.take_unsent()), len(outbox)) == ([3], 0)


def test_acknowledged_and_dropped_messages_are_not_returned_at_the_end() -> None:
    outbox = AckedOutbox(2)
    outbox.put(message(1))
    written = outbox.start_write()
    outbox.end_write(written, written=True)
    batch = outbox.close()
    outbox.put(message(2))
    outbox.acknowledge(batch)
    outbox.put(message(3))
    outbox.put(message(4))
    assert numbers(outbox.take_unsent()) == [3, 4]
