"""mitmproxy addon with a content view for Bayeux (CometD) messages that names the request of each notification.

    mitmweb --mode reverse:https://gws.example -s proxy_addons/bayeux_view.py

Works with and without `record.py`, in mitmweb, mitmproxy and `mitmdump --flow-detail 3`. Nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from mitmproxy import contentviews, ctx, http

from cometreel.errors import InputError
from cometreel.mitmproxy_support.addon_options import PROFILE, chosen_profile, refuse
from cometreel.mitmproxy_support.content_view import BayeuxContentView, PromisedNotifications
from cometreel.scenario import Profile

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader

__all__ = ["BayeuxView", "addons"]

_Registration: TypeAlias = "Callable[[object], None]"
"""The type of `contentviews.add` and `remove`; mitmproxy 11 and 12 have different types of views."""


class BayeuxView:
    """Adds the view and collects the references of replies to notifications."""

    def __init__(self) -> None:
        self.view = BayeuxContentView(PromisedNotifications(Profile("none")))
        self._running = False

    def load(self, loader: Loader) -> None:
        """Add the option and the view."""
        loader.add_option(*PROFILE)
        cast(_Registration, contentviews.add)(self.view)

    def configure(self, updated: set[str]) -> None:
        """Use another profile; the references found so far are dropped.

        :raises mitmproxy.exceptions.OptionsError: if the profile doesn't exist and mitmproxy is running.
        """
        if "reel_profile" in updated:
            try:
                self.view.notifications = PromisedNotifications(chosen_profile(ctx.options.reel_profile))
            except InputError as error:
                refuse(error, running=self._running)

    def running(self) -> None:
        """From now on, an invalid option keeps its old value."""
        self._running = True

    def response(self, flow: http.HTTPFlow) -> None:
        """Add the references of a reply."""
        self.view.notifications.add(flow)

    def done(self) -> None:
        """Remove the view; mitmproxy 12 replaces it on a reload."""
        if not hasattr(contentviews, "registry"):
            cast(_Registration, contentviews.remove)(self.view)


addons = [BayeuxView()]
