"""The table of a session's states and moves: what isn't in it is a bug."""

from __future__ import annotations

import pytest

from cometreel.bayeux.outbox import Outbox
from cometreel.bayeux.session import MOVES, Move, Session, State
from cometreel.errors import BugError


def session(state: State) -> Session:
    return Session("c", "b", "long-polling", Outbox(1), 0.0, state=state)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("move", Move)
def test_every_move_in_every_state_is_legal_by_the_table_or_a_bug(state: State, move: Move) -> None:
    mine = session(state)
    if (state, move) in MOVES:
        mine.move(move)
        assert mine.state is MOVES[state, move]
    else:
        with pytest.raises(BugError, match=f"{state.name} can't {move.name}"):
            mine.move(move)
        assert mine.state is state


def test_no_move_leads_back_from_the_end() -> None:
    assert {after for (state, _), after in MOVES.items() if state is State.OVER} == {State.OVER}
    assert all((state, Move.END) in MOVES for state in State if state is not State.OVER)
