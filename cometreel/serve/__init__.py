"""The fast door: the replay behind an HTTP server of its own, on the command line or in a thread of this process."""

from __future__ import annotations

from cometreel.serve.door import ADMIN, Door, Forwarder
from cometreel.serve.listening import Listener, Listening, Opening, listening_to
from cometreel.serve.playing import Admin, playing, settings_for
from cometreel.serve.served import Served, ServerStopped, serve_in_thread

__all__ = [
    "ADMIN",
    "Admin",
    "Door",
    "Forwarder",
    "Listener",
    "Listening",
    "Opening",
    "Served",
    "ServerStopped",
    "listening_to",
    "playing",
    "serve_in_thread",
    "settings_for",
]
