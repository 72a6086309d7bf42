"""The users of the agents: from a CSV file or a pattern. Passwords are never shown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.load.owners import NUMBER_RANGE
from cometreel.locust_agents.agent_identity import UserCredentials

__all__ = ["UserList", "read_users"]

_OPTION = "--reel-users"
_HEADER = ["user", "password"]
_WANTED = "a CSV file with the header user,password, or a pattern such as agent-{1..200}"


class UserList(Sequence[UserCredentials]):
    """Users in order: agent number n is the n-th user."""

    def __init__(self, users: Sequence[UserCredentials] = ()) -> None:
        self._users = tuple(users)

    def __len__(self) -> int:
        return len(self._users)

    def __getitem__(self, number: int) -> UserCredentials:  # type: ignore[override]  # slices are not used
        return self._users[number]

    def check(self, agents: int) -> None:
        """Check that there is a user for each agent.

        :raises OptionInvalid: if there are too few.
        """
        if self._users and len(self._users) < agents:
            raise OptionInvalid(_OPTION, f"{len(self._users)} users for {agents} agents", f"at least {agents}")


def read_users(value: str, password: str | None) -> UserList:
    """Read the value of `--reel-users`; `password` is for all users of a pattern.

    :raises OptionInvalid: if it is neither a file nor a pattern, or a pattern has no password.
    :raises FileInvalid: if the file is invalid, with the line of every problem.
    """
    if not value:
        return UserList()
    if Path(value).is_file():
        return UserList(_read(Path(value)))
    found = NUMBER_RANGE.search(value)
    if found is None or int(found[1]) > int(found[2]):
        raise OptionInvalid(_OPTION, f"{value!r} is no file", _WANTED)
    if password is None:
        raise OptionInvalid(_OPTION, "the users of a pattern have no password", "one in the variable REEL_PASSWORD")
    width = len(found[1]) if found[1].startswith("0") else 0
    names = (f"{number:0{width}d}" for number in range(int(found[1]), int(found[2]) + 1))
    before, after = value[: found.start()], value[found.end() :]
    return UserList([UserCredentials(f"{before}{name}{after}", password) for name in names])


def _read(path: Path) -> list[UserCredentials]:
    try:
        rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except UnicodeDecodeError:
        raise FileInvalid([Problem(str(path), 0, 0, "it is not UTF-8", "UTF-8 text")]) from None
    if not rows or [cell.strip() for cell in rows[0]] != _HEADER:
        raise FileInvalid([Problem(str(path), 1, 1, "the header is wrong", repr(",".join(_HEADER)))])
    problems = [
        Problem(
            str(path), number, 1, f"{len(row)} columns", "two, user and password"
        )  # the message never contains values
        for number, row in enumerate(rows[1:], 2)
        if row and (len(row) != 2 or not row[0])
    ]
    if problems:
        raise FileInvalid(problems)
    if len(rows) == 1:
        raise FileInvalid([Problem(str(path), 0, 0, "it contains no user", "at least one")])
    return [UserCredentials(*row) for row in rows[1:] if row]
