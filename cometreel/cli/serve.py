"""`cometreel serve`: replays scenarios on an HTTP server."""

from __future__ import annotations

import gc
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
    from cometreel.engine.clock_control import ClockKind
    from cometreel.engine.replay_settings import Auth, Repeat, Unmatched
    from cometreel.jsonvalue import JSON
    from cometreel.serve import Admin, Certificate
    from cometreel.serve.admin.auth import AdminAuth, Peers

__all__ = ["serve"]

SETTINGS: Final = ("speed", "seed", "repeat", "unmatched", "auth", "node")


class ServeOptions(TypedDict):
    """The values of the options, as click passes them."""

    host: str
    port: int
    speed: float | None
    seed: str | None
    repeat: Repeat | None
    unmatched: Unmatched | None
    upstream: str | None
    auth: Auth | None
    cors: tuple[str, ...]
    responders: tuple[Path, ...]
    watch: bool
    tls: bool
    certificate: Path | None
    key: Path | None
    node: str | None
    nodes: int | None
    clock: ClockKind
    admin: bool
    admin_from: Peers


@click.command()
@click.argument("scenarios", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=0, help="Port to listen on; default a free port.")
@click.option("--speed", type=float, help="Speed of the replay: 2 is twice as fast as recorded, 0 removes all delays.")
@click.option("--seed", help="Seed of generated values and opaque ids.")
@click.option(
    "--repeat",
    type=click.Choice(["last", "cycle", "fail"]),
    help="How to answer equal requests when the recorded answers are used up.",
)
@click.option("--unmatched", type=click.Choice(["fail", "forward"]), help="How to answer unmatched requests.")
@click.option("--upstream", metavar="URL", help="The real server, for --unmatched forward.")
@click.option("--auth", type=click.Choice(["open", "session", "csrf"]), help="Authentication required.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Allow web pages of this origin; * allows any.")
@click.option("--responders", multiple=True, type=click.Path(path_type=Path), help="Python file with responders.")
@click.option("--watch/--no-watch", default=True, show_default=True, help="Reload scenarios when their files change.")
@click.option("--tls", is_flag=True, help="Serve HTTPS with a generated certificate for localhost.")
@click.option("--certificate", type=click.Path(path_type=Path), help="Serve HTTPS with this PEM certificate.")
@click.option(
    "--key", type=click.Path(path_type=Path), help="PEM file of the private key, if the certificate file has none."
)
@click.option("--node", help="Name of this node, appended to JSESSIONID for a sticky load balancer.")
@click.option("--nodes", type=int, metavar="N", help="Serve from N processes behind HAProxy.")
@click.option(
    "--clock",
    type=click.Choice(["real", "manual"]),
    default="real",
    show_default=True,
    help="manual: time stands still until the admin API or the console moves it.",
)
@click.option("--admin/--no-admin", default=True, show_default=True, help="Enable the admin API under /__reel__/.")
@click.option(
    "--admin-from",
    type=click.Choice(["loopback", "any"]),
    default="loopback",
    show_default=True,
    help="Machines that may use the admin API, with its token.",
)
def serve(scenarios: tuple[Path, ...], **options: Unpack[ServeOptions]) -> None:
    """Replay scenarios on an HTTP server and print its URL.

    SCENARIOS are files or folders. The URL is printed when the server accepts connections. Ctrl-C stops the server.

    \b
    Example:
      cometreel serve recordings/desktop.yaml
      cometreel serve "$(cometreel addons scenarios)/subscribe.yaml" --port 8080 --speed 10
    """
    with _no_garbage_collection():
        from cometreel.engine.responders import load_responders  # noqa: PLC0415  # only this command needs a server
        from cometreel.scenario import load  # noqa: PLC0415
        from cometreel.serve import ListenOptions, replay_app, settings_for  # noqa: PLC0415
        from cometreel.serve import serve as run_server  # noqa: PLC0415
        from cometreel.serve.http_server import raise_open_files_limit  # noqa: PLC0415

        logging.basicConfig(format="cometreel: %(message)s", level=logging.INFO)
        paths = [path.expanduser() for path in scenarios]
        scenario = load(paths)
    given: dict[str, JSON] = {name: options[name] for name in SETTINGS}
    given["cors"] = [*options["cors"]] or None
    _check_clock(options)
    responders = [responder for path in options["responders"] for responder in load_responders(path.expanduser())]
    raise_open_files_limit()
    admin_auth = _admin_auth(options)
    with _options_as_flags():
        factory = replay_app(
            scenario,
            settings_for(scenario, given),
            responders=responders,
            watched=paths if options["watch"] else (),
            upstream=options["upstream"],
            admin=_admin(admin_auth),
            clock=options["clock"],
        )
        listening = ListenOptions(options["host"], options["port"], _certificate(options))
        if options["nodes"] is None:
            run_server(factory, listening, lambda url: _announce(url, admin_auth))
        else:
            from cometreel.serve.cluster import ClusterPlan, serve_nodes  # noqa: PLC0415

            serve_nodes(ClusterPlan(scenario, _node_arguments(paths, options), options["nodes"], listening), click.echo)


def _check_clock(options: ServeOptions) -> None:
    """Check that a manual clock can be moved.

    :raises OptionInvalid: if there are several nodes, or no admin API.
    """
    if options["clock"] != "manual":
        return
    if options["nodes"] is not None:
        found = "manual together with --nodes, each of which would have a clock that is moved separately"
        raise OptionInvalid("--clock", found, "one of the two")
    if not options["admin"]:
        raise OptionInvalid("--clock", "manual together with --no-admin; nothing could move it", "one of the two")


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector: it takes 30 ms of the start-up, and everything that is created here stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _admin_auth(options: ServeOptions) -> AdminAuth | None:
    """Return the authentication of the admin API; None if the API is disabled."""
    from cometreel.serve.admin.auth import AdminAuth, token_from  # noqa: PLC0415

    return AdminAuth(token_from(os.environ), options["admin_from"]) if options["admin"] else None


def _admin(auth: AdminAuth | None) -> Admin | None:
    from cometreel.serve.admin.on_demand import admin_factory  # noqa: PLC0415

    return None if auth is None else admin_factory(auth)


def _announce(url: str, auth: AdminAuth | None) -> None:
    """Print the URL. The admin token is printed on a terminal only, never to a file."""
    from cometreel.serve.admin.auth import TOKEN_VARIABLE  # noqa: PLC0415

    click.echo(url)
    if auth is None:
        return
    if sys.stderr.isatty():
        click.echo(f"cometreel: console at {url}/__reel__/?token={auth.token}", err=True)
    elif not os.environ.get(TOKEN_VARIABLE):
        click.echo(f"cometreel: to use the console at {url}/__reel__/, start with {TOKEN_VARIABLE} set", err=True)


def _certificate(options: ServeOptions) -> Certificate | None:
    """Return the given or generated certificate, None without TLS. Print the path of a generated one.

    :raises OptionInvalid: if there is a key without a certificate, or no certificate can be generated.
    :raises ExtraMissing: if one is to be generated, without the extra `tls`.
    """
    from cometreel.serve.certificate import Certificate, local_certificate  # noqa: PLC0415

    if options["certificate"] is not None:
        return Certificate(options["certificate"], options["key"])
    if options["key"] is not None:
        raise OptionInvalid("key", "given without its certificate", "--certificate FILE too")
    if not options["tls"]:
        return None
    generated = local_certificate(
        Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "cometreel"
    )
    text = f"cometreel: clients must trust {generated.chain}, for example: curl --cacert {generated.chain} …"
    click.echo(text, err=True)
    return generated


def _node_arguments(paths: list[Path], options: ServeOptions) -> list[str]:
    """Return the command line arguments of each node.

    :raises OptionInvalid: if the admin API is enabled for other machines; HAProxy doesn't forward to it.
    """
    if options["admin_from"] != "loopback":
        found = "given together with --nodes, each of which has an admin API for this machine only"
        raise OptionInvalid("admin-from", found, "one of the two")
    given: list[tuple[str, object]] = [(name, options[name]) for name in (*SETTINGS, "upstream") if name != "node"]
    given += [("cors", origin) for origin in options["cors"]]
    given += [("responders", path) for path in options["responders"]]
    flags = [f"--{name}={value}" for name, value in given if value is not None]
    flags += ["--watch" if options["watch"] else "--no-watch", "--admin" if options["admin"] else "--no-admin"]
    return [*flags, "--", *map(str, paths)]


@contextmanager
def _options_as_flags() -> Iterator[None]:
    """Name invalid options as on the command line: `--port` instead of `port`."""
    try:
        yield
    except OptionInvalid as error:
        raise OptionInvalid(f"--{error.option}", error.found, error.expected, error.hint) from None
