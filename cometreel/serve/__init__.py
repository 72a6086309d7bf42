"""The HTTP server of a replay: on the command line, or in a thread of this process."""

from __future__ import annotations

from cometreel.serve.app import ADMIN, ForwardRequest, ReplayApp
from cometreel.serve.app_factory import Admin, replay_app, serve, settings_for
from cometreel.serve.background import BackgroundServer, ServerStopped, serve_in_background
from cometreel.serve.certificate import Certificate
from cometreel.serve.http_server import AppFactory, HttpListener, Limits, ListenOptions, listen

__all__ = [
    "ADMIN",
    "Admin",
    "AppFactory",
    "BackgroundServer",
    "Certificate",
    "ForwardRequest",
    "HttpListener",
    "Limits",
    "ListenOptions",
    "ReplayApp",
    "ServerStopped",
    "listen",
    "replay_app",
    "serve",
    "serve_in_background",
    "settings_for",
]
