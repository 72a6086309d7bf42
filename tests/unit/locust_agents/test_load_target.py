"""Valid and invalid values of `--host` and `--reel-users`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import FileInvalid, OptionInvalid
from cometreel.locust_agents.agent_identity import UserCredentials
from cometreel.locust_agents.load_target import LoadTarget, parse_target
from cometreel.locust_agents.user_list import read_users

TARGETS = {
    "http://gws.example:8090": LoadTarget(secure=False, host="gws.example", port=8090, authority="gws.example:8090"),
    "https://gws.example/": LoadTarget(secure=True, host="gws.example", port=443, authority="gws.example"),
    "HTTP://[::1]:80": LoadTarget(secure=False, host="::1", port=80, authority="[::1]:80"),
}
REFUSED = {
    None: "no target is given",
    "gws.example": "'gws.example' is not a URL",
    "ftp://gws.example": "'ftp://gws.example' is not an HTTP URL",
    "http://gws.example/api": "it contains more than scheme, host and port",
    "http://ann:secret@gws.example": "it contains more than scheme, host and port",
    "http://gws.example:port": "'http://gws.example:port': Port could not be cast to integer value as 'port'",
    "recordings/a.yaml": "'recordings/a.yaml' is a file",
}


@pytest.mark.parametrize(("url", "target"), TARGETS.items())
def test_a_target_is_parsed(url: str, target: LoadTarget):
    assert parse_target(url) == target


@pytest.mark.parametrize(("url", "found"), REFUSED.items())
def test_an_invalid_target_is_refused(url: str | None, found: str):
    with pytest.raises(OptionInvalid) as caught:
        parse_target(url)
    assert (caught.value.option, caught.value.found) == ("--host", found)


def test_users_from_a_pattern_share_a_password():
    users = read_users("agent-{08..10}", "x")
    assert [*users] == [UserCredentials(f"agent-{number}", "x") for number in ("08", "09", "10")]


def test_users_from_a_file(tmp_path: Path):
    path = tmp_path / "users.csv"
    path.write_text('user,password\nann,"a,b"\n\nben,\n')
    assert [*read_users(str(path), None)] == [UserCredentials("ann", "a,b"), UserCredentials("ben", "")]


BAD_FILES = {
    "user;password\n": "1:1: the header is wrong; expected 'user,password'",
    "user,password\nann\nben,x,y\n": "2:1: 1 columns; expected two, user and password",
    "user,password\n": ": it contains no user; expected at least one",
}


@pytest.mark.parametrize(("text", "found"), BAD_FILES.items())
def test_an_invalid_file_is_refused_without_showing_its_values(text: str, found: str, tmp_path: Path):
    path = tmp_path / "users.csv"
    path.write_text(text)
    with pytest.raises(FileInvalid) as caught:
        read_users(str(path), None)
    assert found in str(caught.value)
    assert "ann" not in str(caught.value).replace(str(path), "")


def test_no_value_gives_no_users():
    assert len(read_users("", None)) == 0


@pytest.mark.parametrize("value", ["nobody", "agent-{9..1}"])
def test_a_value_that_is_neither_file_nor_pattern_is_refused(value: str):
    with pytest.raises(OptionInvalid, match="is no file"):
        read_users(value, "x")
