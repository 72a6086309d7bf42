"""The heap of deadlines: earliest first; deadlines can be moved; the heap doesn't grow without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cometreel.bayeux.deadlines import Deadlines

KEYS = st.sampled_from("abcde")
STEPS = st.lists(st.tuples(KEYS, st.integers(0, 20) | st.none()), max_size=200)


@given(STEPS)
def test_deadlines_are_due_in_order_and_the_last_set_one_counts(steps: list[tuple[str, int | None]]) -> None:
    deadlines, model = Deadlines(), dict[str, int]()
    for key, when in steps:
        if when is None:
            deadlines.clear(key)
            model.pop(key, None)
        else:
            deadlines.set(key, when)
            model[key] = when
        assert deadlines.first == min(model.values(), default=None)
        assert len(deadlines) == len(model)
    came = []
    while (key_due := deadlines.pop(10.0)) is not None:
        came.append(key_due)
    assert sorted(came) == sorted(key for key, when in model.items() if when <= 10)
    assert [model[key] for key in came] == sorted(model[key] for key in came)


def test_moving_a_deadline_repeatedly_needs_constant_memory() -> None:
    deadlines = Deadlines()
    for when in range(10_000):
        deadlines.set("a", float(when))
    assert len(deadlines._heap) < 100
    assert deadlines.first == 9_999.0


def test_equal_deadlines_are_due_in_the_order_in_which_they_were_set() -> None:
    deadlines = Deadlines()
    for key in "cab":
        deadlines.set(key, 1.0)
    assert [deadlines.pop(1.0), deadlines.pop(1.0), deadlines.pop(1.0), deadlines.pop(1.0)] == ["c", "a", "b", None]
