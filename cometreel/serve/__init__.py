"""The fast door: the replay behind an HTTP server of its own, on the command line or in a thread of this process."""

from __future__ import annotations

from cometreel.serve.certificate import Certificate
from cometreel.serve.connection import Limits
from cometreel.serve.door import ADMIN, Door, Forwarder
from cometreel.serve.listening import Listener, Listening, Opening, listening_to
from cometreel.serve.playing import Admin, playing, settings_for
from cometreel.serve.running import serve
from cometreel.serve.served import Served, ServerStopped, serve_in_thread

__all__ = [
    "ADMIN",
    "Admin",
    "Certificate",
    "Door",
    "Forwarder",
    "Limits",
    "Listener",
    "Listening",
    "Opening",
    "Served",
    "ServerStopped",
    "listening_to",
    "playing",
    "serve",
    "serve_in_thread",
    "settings_for",
]
