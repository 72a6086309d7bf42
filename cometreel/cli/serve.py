"""`cometreel serve`: the replay behind an HTTP server of its own. Parses and prints; it decides nothing."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

import click

from cometreel.errors import OptionInvalid

if TYPE_CHECKING:
    from cometreel.engine.replay_settings import Auth, Repeat, Unmatched
    from cometreel.jsonvalue import JSON
    from cometreel.serve import Admin, Certificate
    from cometreel.serve.admin.auth import AdminAuth, Peers

__all__ = ["serve"]

SETTINGS: Final = ("speed", "seed", "repeat", "unmatched", "auth", "node")


class ServeOptions(TypedDict):
    """The options, as click hands them over."""

    host: str
    port: int
    speed: float | None
    seed: str | None
    repeat: Repeat | None
    unmatched: Unmatched | None
    upstream: str | None
    auth: Auth | None
    responders: tuple[Path, ...]
    watch: bool
    tls: bool
    certificate: Path | None
    key: Path | None
    node: str | None
    nodes: int | None
    admin: bool
    admin_from: Peers


@click.command()
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=0, help="Port to listen on; 0, the default, takes a free one.")
@click.option("--speed", type=float, help="2 plays twice as fast; at 0 everything due follows its cause at once.")
@click.option("--seed", help="What generated values and opaque ids are made from.")
@click.option("--repeat", type=click.Choice(["last", "cycle", "fail"]), help="When the answers have run out.")
@click.option("--unmatched", type=click.Choice(["fail", "forward"]), help="What a request gets that nothing answers.")
@click.option("--upstream", metavar="URL", help="The real server, for --unmatched forward.")
@click.option("--auth", type=click.Choice(["open", "session", "csrf"]), help="Who is let in.")
@click.option("--responders", multiple=True, type=click.Path(path_type=Path), help="Python file with responders.")
@click.option("--watch/--no-watch", default=True, show_default=True, help="Follow edits of the scenario.")
@click.option("--tls", is_flag=True, help="Serve HTTPS, with a certificate for localhost that is made here.")
@click.option("--certificate", type=click.Path(path_type=Path), help="Serve HTTPS, with this PEM certificate.")
@click.option(
    "--key", type=click.Path(path_type=Path), help="The certificate's private key, where it isn't in its file."
)
@click.option("--node", help="Name of this node, appended to JSESSIONID for a sticky balancer.")
@click.option("--nodes", type=int, metavar="N", help="Serve from N processes behind HAProxy.")
@click.option("--admin/--no-admin", default=True, show_default=True, help="Offer the admin API under /__reel__/.")
@click.option(
    "--admin-from",
    type=click.Choice(["loopback", "any"]),
    default="loopback",
    show_default=True,
    help="Who may use it, with the token: this machine, or any.",
)
def serve(scenarios: tuple[Path, ...], **options: Unpack[ServeOptions]) -> None:
    """Replay SCENARIOS, files or folders, and print the URL once it listens. Ctrl-C stops it.

    \b
    Example:
      cometreel serve recordings/desktop.yaml
      cometreel serve "$(cometreel addons scenarios)/subscribe.yaml" --port 8080 --speed 10
    """
    from cometreel import serve as door  # noqa: PLC0415  # only this command needs a server
    from cometreel.engine.responders import load_responders  # noqa: PLC0415
    from cometreel.scenario import load  # noqa: PLC0415
    from cometreel.serve.cluster import ClusterPlan, serve_nodes  # noqa: PLC0415
    from cometreel.serve.http_server import raise_open_files_limit  # noqa: PLC0415

    logging.basicConfig(format="cometreel: %(message)s", level=logging.INFO)
    paths = [path.expanduser() for path in scenarios]
    scenario = load(paths)
    given: dict[str, JSON] = {name: options[name] for name in SETTINGS}
    responders = [found for path in options["responders"] for found in load_responders(path.expanduser())]
    raise_open_files_limit()
    gate = _gate(options)
    with _naming_options():
        opening = door.replay_app(
            scenario,
            door.settings_for(scenario, given),
            responders=responders,
            watched=paths if options["watch"] else (),
            upstream=options["upstream"],
            admin=_admin(gate),
        )
        listening = door.ListenOptions(options["host"], options["port"], _certificate(options))
        if options["nodes"] is None:
            door.serve(opening, listening, lambda url: _announce(url, gate))
        else:
            serve_nodes(ClusterPlan(scenario, _of_a_node(paths, options), options["nodes"], listening), click.echo)


def _gate(options: ServeOptions) -> AdminAuth | None:
    """Return the gate of the admin API, unless there is to be none."""
    from cometreel.serve.admin.auth import AdminAuth, token_from  # noqa: PLC0415

    return AdminAuth(token_from(os.environ), options["admin_from"]) if options["admin"] else None


def _admin(gate: AdminAuth | None) -> Admin | None:
    """Return what makes the admin API behind its gate; what it stands on is imported only then."""
    if gate is None:
        return None
    from cometreel.serve.admin.api import admin_factory  # noqa: PLC0415

    return admin_factory(gate)


def _announce(url: str, gate: AdminAuth | None) -> None:
    """Say where it listens; the token goes to a terminal only, never into a file."""
    from cometreel.serve.admin.auth import TOKEN_VARIABLE  # noqa: PLC0415

    click.echo(url)
    if gate is None:
        return
    if sys.stderr.isatty():
        click.echo(f"cometreel: console at {url}/__reel__/?token={gate.token}", err=True)
    elif not os.environ.get(TOKEN_VARIABLE):
        click.echo(f"cometreel: to use the console at {url}/__reel__/, start with {TOKEN_VARIABLE} set", err=True)


def _certificate(options: ServeOptions) -> Certificate | None:
    """Return the certificate that is asked for, if one is; one that is made here says where it lies."""
    from cometreel.serve.certificate import Certificate, local_certificate  # noqa: PLC0415

    if options["certificate"] is not None:
        return Certificate(options["certificate"], options["key"])
    if options["key"] is not None:
        raise OptionInvalid("key", "given without its certificate", "--certificate FILE too")
    if not options["tls"]:
        return None
    made = local_certificate(Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cometreel")
    click.echo(f"cometreel: clients must trust {made.chain}, for example: curl --cacert {made.chain} …", err=True)
    return made


def _of_a_node(paths: list[Path], options: ServeOptions) -> list[str]:
    """Return the arguments with which each of several nodes is started.

    :raises OptionInvalid: if their admin APIs are to be used from elsewhere, which HAProxy doesn't let through.
    """
    if options["admin_from"] != "loopback":
        found = "given together with --nodes, each of which has an admin API for this machine only"
        raise OptionInvalid("admin-from", found, "one of the two")
    given: list[tuple[str, object]] = [(name, options[name]) for name in (*SETTINGS, "upstream") if name != "node"]
    given += [("responders", path) for path in options["responders"]]
    said = [f"--{name}={value}" for name, value in given if value is not None]
    said += ["--watch" if options["watch"] else "--no-watch", "--admin" if options["admin"] else "--no-admin"]
    return [*said, "--", *map(str, paths)]


@contextmanager
def _naming_options() -> Iterator[None]:
    """Name an option as the command line does."""
    try:
        yield
    except OptionInvalid as error:
        raise OptionInvalid(f"--{error.option}", error.found, error.expected, error.hint) from None
