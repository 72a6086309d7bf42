"""Credentials of each session, from the environment, a netrc file or a prompt. A scenario contains none.

A password is a `Secret`, which prints as asterisks.
"""

from __future__ import annotations

import netrc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cometreel.errors import OptionInvalid
from cometreel.recording.secret import Secret
from cometreel.verify.script import DEFAULT_SESSION, SessionPlan

__all__ = ["Credentials", "environment_variables", "find_credentials"]

Prompt = Callable[[SessionPlan], "Credentials | None"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login name and its password."""

    user: str
    password: Secret


def environment_variables(session: str) -> tuple[str, str]:
    """Return a session's variables: COMETREEL_USER_AGENT_1 and COMETREEL_PASSWORD_AGENT_1 for `agent-1`."""
    if session == DEFAULT_SESSION:
        return "COMETREEL_USER", "COMETREEL_PASSWORD"
    name = re.sub(r"[^A-Z0-9]+", "_", session.upper())
    return f"COMETREEL_USER_{name}", f"COMETREEL_PASSWORD_{name}"


def find_credentials(
    sessions: Sequence[SessionPlan], environment: Mapping[str, str], host: str, file: Path | None, prompt: Prompt | None
) -> dict[str, Credentials]:
    """Return the credentials of each session that has any: from the environment, else the netrc file, else the prompt.

    A single session may also use COMETREEL_USER and COMETREEL_PASSWORD. The machine in the netrc file is `ROLE@HOST`
    or `HOST`.

    :raises OptionInvalid: if a login name has no password, a password no login name, or the file can't be read.
    """
    machines = _machines(file) if file is not None else {}
    found: dict[str, Credentials] = {}
    for session in sessions:
        names = [environment_variables(session.name)]
        if len(sessions) == 1:
            names.append(("COMETREEL_USER", "COMETREEL_PASSWORD"))
        credentials = _from_environment(session, names, environment) or _from_netrc(session, machines, host)
        credentials = credentials or (prompt(session) if prompt is not None else None)
        if credentials is not None:
            found[session.name] = credentials
    return found


def _from_environment(
    session: SessionPlan, names: Sequence[tuple[str, str]], environment: Mapping[str, str]
) -> Credentials | None:
    for user_name, password_name in names:
        password = environment.get(password_name)
        user = environment.get(user_name) or (session.user if password is not None else None)
        if user is not None and password is None:
            raise OptionInvalid(password_name, "not set", f"the password of {user_name}")
        if password is not None and user is None:
            raise OptionInvalid(user_name, "not set", f"the login name of {password_name}")
        if user is not None and password is not None:
            return _checked(user, password, user_name)
    return None


def _from_netrc(session: SessionPlan, machines: Mapping[str, tuple[str, str]], host: str) -> Credentials | None:
    for machine in (f"{session.name}@{host}", host):
        if machine in machines:
            user, password = machines[machine]
            return _checked(user, password, f"netrc machine {machine}")
    return None


def _checked(user: str, password: str, where: str) -> Credentials:
    if ":" in user:
        raise OptionInvalid(
            where, "a login name with ':' in it", "one without ':', which Basic authentication does not allow"
        )
    return Credentials(user, Secret(password.encode()))


def _machines(file: Path) -> dict[str, tuple[str, str]]:
    try:
        hosts = netrc.netrc(file).hosts
    except OSError as error:
        raise OptionInvalid("--netrc", f"{file} can't be read: {error.strerror}", "a netrc file") from None
    except (netrc.NetrcParseError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        where = f"{file}:{line}" if line else str(file)
        raise OptionInvalid("--netrc", f"{where} is not a netrc file", "machine HOST login NAME password …") from None
    return {machine: (login, password) for machine, (login, _, password) in hosts.items()}
