"""The table of a session's states and moves: what isn't in it is a bug."""

from __future__ import annotations

import pytest

from cometreel.bayeux.outbox import Outbox
from cometreel.bayeux.session import MOVES, BayeuxSession, SessionMove, SessionState
from cometreel.errors import BugError


def session(state: SessionState) -> BayeuxSession:
    return BayeuxSession("c", "b", "long-polling", Outbox(1), 0.0, state=state)


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("move", SessionMove)
def test_a_move_that_is_not_in_the_table_is_a_bug_error(state: SessionState, move: SessionMove) -> None:
    mine = session(state)
    if (state, move) in MOVES:
        mine.move(move)
        assert mine.state is MOVES[state, move]
    else:
        with pytest.raises(BugError, match=f"{state.name} can't {move.name}"):
            mine.move(move)
        assert mine.state is state


def test_no_move_leaves_the_state_over() -> None:
    assert {after for (state, _), after in MOVES.items() if state is SessionState.OVER} == {SessionState.OVER}
    assert all((state, SessionMove.END) in MOVES for state in SessionState if state is not SessionState.OVER)
