"""The configuration of HAProxy in front of several nodes: sticky by the node's name at the end of the session cookie.

Text only; nothing is started here. The same text serves one machine and many, so the documentation shows it too.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["haproxy_config"]


def haproxy_config(bind: str, nodes: Mapping[str, str], cookie: str, longest_poll_seconds: int) -> str:
    """Write the configuration.

    `bind` is where HAProxy listens (`:8080`, or `:8443 ssl crt FILE`), `nodes` are addresses (`10.0.0.11:8080`) by node
    name, `cookie` is the name of the session cookie, whose value ends with a dot and the name of the node that gave it
    out. No timeout may end a poll that is held.
    """
    patience = longest_poll_seconds + 30
    routes = "\n".join(f"    use-server {name} if {{ var(txn.node) -m str {name} }}" for name in nodes)
    servers = "\n".join(
        f"    server {name} {address} check inter 500ms fall 2 rise 1" for name, address in nodes.items()
    )
    return f"""\
defaults
    mode http
    timeout connect 5s
    timeout client {patience}s
    timeout server {patience}s
    timeout tunnel 1h
    # a node that can't be reached is left at once; its clients are told by another one to begin anew
    retries 3
    option redispatch 1

frontend clients
    bind {bind}
    # each node has an admin API of its own, for who is on its machine: behind a balancer everybody would be
    http-request deny if {{ path,url_dec -m beg /__reel__ }}
    # addresses in answers begin as the client's do
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    default_backend replay

backend replay
    balance roundrobin
    # whoever has a session goes to the node that opened it; whoever has none, or one of a node that is down, to any
    http-request set-var(txn.node) req.cook({cookie}),field(-1,.)
{routes}
{servers}
"""
