"""Credentials from the environment, a netrc file or the prompt; never from a scenario, never printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import OptionInvalid
from cometreel.recording.secret import Secret
from cometreel.verify import Credentials, SessionPlan, find_credentials

ONE = [SessionPlan("agent-1", "recorded")]
TWO = [SessionPlan("agent-1", "recorded"), SessionPlan("agent-2")]
SECRET = {"COMETREEL_PASSWORD_AGENT_1": "s3cret"}


def credentials(name: str, password: str) -> Credentials:
    return Credentials(name, Secret(password.encode()))


@pytest.mark.parametrize(
    ("sessions", "environment", "expected"),
    [
        (ONE, {**SECRET, "COMETREEL_USER_AGENT_1": "ann"}, {"agent-1": credentials("ann", "s3cret")}),
        (ONE, SECRET, {"agent-1": credentials("recorded", "s3cret")}),
        (ONE, {"COMETREEL_USER": "ann", "COMETREEL_PASSWORD": "x"}, {"agent-1": credentials("ann", "x")}),
        (TWO, {"COMETREEL_USER": "ann", "COMETREEL_PASSWORD": "x"}, {}),
        (TWO, {"COMETREEL_USER_AGENT_2": "b", "COMETREEL_PASSWORD_AGENT_2": ""}, {"agent-2": credentials("b", "")}),
        (ONE, {}, {}),
    ],
)
def test_environment(
    sessions: list[SessionPlan], environment: dict[str, str], expected: dict[str, Credentials]
) -> None:
    assert find_credentials(sessions, environment, "gws.example", None, None) == expected


def test_netrc_by_role_and_host(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine agent-2@gws.example login ben password b\nmachine gws.example login ann password a\n")
    found = find_credentials(TWO, {}, "gws.example", file, None)
    assert found == {"agent-1": credentials("ann", "a"), "agent-2": credentials("ben", "b")}
    assert find_credentials(TWO, {}, "other.example", file, None) == {}


def test_prompt_only_for_sessions_without_credentials() -> None:
    prompted: list[str] = []

    def prompt(session: SessionPlan) -> Credentials:
        prompted.append(session.name)
        return credentials("typed", "t")

    environment = {**SECRET, "COMETREEL_USER_AGENT_1": "ann"}
    found = find_credentials(TWO, environment, "gws.example", None, prompt)
    assert (prompted, found["agent-2"]) == (["agent-2"], credentials("typed", "t"))


def test_a_password_is_never_printed() -> None:
    assert repr(credentials("ann", "s3cret")) == "Credentials(user='ann', password=Secret(********))"


@pytest.mark.parametrize(
    ("environment", "netrc", "sentence"),
    [
        (
            {"COMETREEL_USER_AGENT_1": "ann"},
            None,
            "COMETREEL_PASSWORD_AGENT_1: not set; expected the password of COMETREEL_USER_AGENT_1",
        ),
        (
            {"COMETREEL_USER_AGENT_1": "a:b", **SECRET},
            None,
            (
                "COMETREEL_USER_AGENT_1: a login name with ':' in it; "
                "expected one without ':', which Basic authentication does not allow"
            ),
        ),
        ({}, "", "--netrc: {netrc} can't be read: No such file or directory; expected a netrc file"),
        (
            {},
            "machin x\n",
            "--netrc: {netrc}:1 is not a netrc file; expected machine HOST login NAME password …",
        ),
    ],
)
def test_unusable_credentials(tmp_path: Path, environment: dict[str, str], netrc: str | None, sentence: str) -> None:
    file = tmp_path / "netrc"
    if netrc:
        file.write_text(netrc)
    with pytest.raises(OptionInvalid) as refused:
        find_credentials(ONE, environment, "gws.example", None if netrc is None else file, None)
    assert str(refused.value) == sentence.format(netrc=file)


def test_password_without_a_login_name() -> None:
    with pytest.raises(OptionInvalid, match=r"^COMETREEL_USER_AGENT_2: not set; expected the login name of "):
        find_credentials(TWO, {"COMETREEL_PASSWORD_AGENT_2": "x"}, "gws.example", None, None)
