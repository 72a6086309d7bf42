"""The default mix and the notes of a run."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from typing import Any, cast

import pytest

from cometreel.errors import OptionInvalid
from cometreel.locust_agents.run_options import RunOptions, add_options, read_options


class Parser(ArgumentParser):
    """Locust's parser without its keywords: an import of Locust changes sockets and threads of the whole process."""

    def add_argument(self, *names: str, env_var: str = "", include_in_web_ui: bool = True, **keywords: Any) -> Action:
        return super().add_argument(*names, **keywords)


def options(*arguments: str) -> RunOptions:
    parser = Parser()
    add_options(cast(Any, parser))
    return read_options(parser.parse_args(arguments), "http://127.0.0.1:9")


def test_without_owners_the_default_mix_has_the_agents_own_workbins_only():
    run = options()
    assert str(run.plan.mix) == "agent=100"
    (note,) = run.notes()
    assert note == (
        "the mix is agent=100: no owners are given for place, agent-group, place-group, user; "
        "add them, such as --reel-owners 'place=Place{1..10}'"
    )


def test_the_default_mix_has_all_kinds_whose_owners_are_known():
    run = options("--reel-owners", "place=Place1", "--reel-owners", "user=Kate")
    assert str(run.plan.mix) == "agent=66.6667,place=26.6667,user=6.66667"
    (note,) = run.notes()
    assert note == (
        "the mix is agent=66.6667,place=26.6667,user=6.66667: no owners are given for agent-group, place-group; "
        "add them, such as --reel-owners 'agent-group=AgentGroup{1..10}'"
    )
    kinds = ("place=P", "agent-group=A", "place-group=G", "user=U")
    assert options(*(word for kind in kinds for word in ("--reel-owners", kind))).notes() == []


def test_a_mix_that_is_given_needs_all_its_owners():
    with pytest.raises(OptionInvalid, match="the mix has place, but no owner of this kind is given"):
        options("--reel-mix", "agent=50,place=50")
    assert options("--reel-mix", "agent=100").notes() == []
