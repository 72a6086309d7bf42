"""Credentials: a login name and a password for each part, from the environment, a netrc file or a prompt.

Never from a scenario, which holds none. A password is a `Secret`: it prints as asterisks wherever it turns up.
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

__all__ = ["Credentials", "find_credentials", "environment_variables"]

Prompt = Callable[[SessionPlan], "Credentials | None"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in."""

    user: str
    password: Secret


def environment_variables(part: str) -> tuple[str, str]:
    """The environment variables of a part: COMETREEL_USER_AGENT_1 and COMETREEL_PASSWORD_AGENT_1 of `agent-1`."""
    if part == DEFAULT_SESSION:
        return "COMETREEL_USER", "COMETREEL_PASSWORD"
    name = re.sub(r"[^A-Z0-9]+", "_", part.upper())
    return f"COMETREEL_USER_{name}", f"COMETREEL_PASSWORD_{name}"


def find_credentials(
    parts: Sequence[SessionPlan], environment: Mapping[str, str], host: str, file: Path | None, ask: Prompt | None
) -> dict[str, Credentials]:
    """The credentials of each part that has some: the environment first, then the netrc, then the prompt.

    A single part may also use COMETREEL_USER and COMETREEL_PASSWORD. In the netrc the machine is `PART@HOST`, or just
    the host.

    :raises OptionInvalid: if a name comes without a password, or the netrc can't be read.
    """
    machines = _machines(file) if file is not None else {}
    found: dict[str, Credentials] = {}
    for part in parts:
        names = [environment_variables(part.name)]
        if len(parts) == 1:
            names.append(("COMETREEL_USER", "COMETREEL_PASSWORD"))
        known = _from_environment(part, names, environment) or _from_machines(part, machines, host)
        known = known or (ask(part) if ask is not None else None)
        if known is not None:
            found[part.name] = known
    return found


def _from_environment(
    part: SessionPlan, names: Sequence[tuple[str, str]], environment: Mapping[str, str]
) -> Credentials | None:
    for user_name, password_name in names:
        password = environment.get(password_name)
        user = environment.get(user_name) or (part.user if password is not None else None)
        if user is not None and password is None:
            raise OptionInvalid(password_name, "not set", f"the password of {user_name}")
        if password is not None and user is None:
            raise OptionInvalid(user_name, "not set", f"the login name that {password_name} belongs to")
        if user is not None and password is not None:
            return _checked(user, password, user_name)
    return None


def _from_machines(part: SessionPlan, machines: Mapping[str, tuple[str, str]], host: str) -> Credentials | None:
    for machine in (f"{part.name}@{host}", host):
        if machine in machines:
            user, password = machines[machine]
            return _checked(user, password, f"netrc machine {machine}")
    return None


def _checked(user: str, password: str, where: str) -> Credentials:
    if ":" in user:
        raise OptionInvalid(where, "a login name with ':' in it", "one without: Basic authentication splits there")
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
