"""Policies: the shipped ones, a file that extends one, and errors with their line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cometreel.errors import NEWER_VERSION, FileInvalid
from cometreel.recording import load_policy

RULES = "secret, token, name, text, tree, message, keep or id KIND"
KEYS = (
    "policy, name, extends, identifiers, names, headers, cookies, keys, queries, dictionary-keys, paths, literal-texts"
)


def rule(text: str) -> str:
    return f"PolicyRule({text})"


@pytest.mark.parametrize(
    ("key", "default", "strict"),
    [
        ("password", "secret", "secret"),
        ("OLDPASSWORD", "secret", "secret"),
        ("newPwd", "secret", "secret"),
        ("pass", "secret", "secret"),
        ("device_token", "secret", "secret"),
        ("X-XSRF", "secret", "secret"),
        ("aws_secret_access_key", "secret", "secret"),
        ("privateKey", "secret", "secret"),
        ("session_id", "token", "token"),
        ("cardNumber", "name", "name"),
        ("passengers", None, None),
        ("tokens", "secret", "secret"),
        ("tokenType", None, None),
        ("userName", "name", "name"),
        ("userdata", "tree", "tree"),
        ("workbinOwner", "id owner", "id owner"),
        ("messageType", None, None),
    ],
)
def test_keys_of_the_shipped_policies_are_case_insensitive(key: str, default: str, strict: str) -> None:
    for name, expected in (("default", default), ("strict", strict)):
        assert repr(load_policy(name).key_rule(key)) == (rule(expected) if expected else "None")


def test_a_query_parameter_may_have_another_rule_than_a_key() -> None:
    policy = load_policy("default")
    assert (repr(policy.query_rule("code")), policy.key_rule("code")) == (rule("secret"), None)


def test_a_file_extends_a_shipped_policy_and_its_own_rules_come_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "policy: 1\nname: mine\nextends: strict\nheaders: {reply: [X-Mine]}\n"
        "keys: {USERNAME: keep, statusMessage: keep, caseNumber: name, '*Iban': secret}\n"
    )
    policy = load_policy(path)
    assert (policy.name, policy.strict) == ("mine", True)
    assert [
        repr(policy.key_rule(key)) for key in ("userName", "statusMessage", "casenumber", "fromIban", "firstName")
    ] == [
        rule("keep"),
        rule("keep"),
        rule("name"),
        rule("secret"),
        rule("name"),
    ]
    assert {"x-mine", "content-type"} <= policy.reply_headers


def test_a_user_name_that_a_policy_keeps_is_kept_everywhere(tmp_path: Path, wire_of: Callable[..., Any]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("policy: 1\nname: mine\nextends: default\nkeys: {userName: keep}\n")
    wire = wire_of(load_policy(path))
    wire.login(0, "s1", "c1", "kate.smith")
    assert wire.distil().file.roles["agent-1"].user == "kate.smith"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "policy: 1\nname: x\nkeys:\n  a: secrt\n",
            [f"4:6: the text 'secrt'; expected {RULES} (did you mean 'secret'?)"],
        ),
        (
            "policy: 1\nname: x\nheders: {}\n",
            [f"3:1: policies have no key 'heders'; expected {KEYS} (did you mean 'headers'?)"],
        ),
        ("policy: 2\nname: x\n", [f"1:9: version 2 of the format; expected version 1 ({NEWER_VERSION})"]),
        ("name: x\n", ["1:1: `policy` is missing; add one, for example `policy: 1`"]),
        (
            "policy: 1\nname: x\nidentifiers: gone\ncookies: 5\n",
            [
                "3:14: the text 'gone'; expected literal or pseudonym",
                "4:10: the number 5; expected a list",
            ],
        ),
        ("policy: 1\nname: [\n", None),
        ("", None),
        ("policy: 1\nname: x\nextends: nobody\n", [" it extends 'nobody'; expected default or strict"]),
    ],
)
def test_an_invalid_policy_is_reported_with_its_position(tmp_path: Path, text: str, problems: list[str] | None) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(FileInvalid) as caught:
        load_policy(path)
    lines = str(caught.value).splitlines()
    if problems is not None:
        assert lines == [f"{path}:{problem}" for problem in problems]
    assert all(line.startswith(str(path)) for line in lines)


def test_a_missing_file_is_reported_with_the_shipped_policies(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid) as caught:
        load_policy(str(tmp_path / "strikt"))
    assert str(caught.value) == (
        f"{tmp_path}/strikt: can't be read: No such file or directory; expected a policy in YAML "
        "(shipped policies: default and strict)"
    )
