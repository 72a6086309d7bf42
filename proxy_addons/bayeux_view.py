"""mitmproxy addon with a content view for Bayeux (CometD) messages that names the request of each notification.

    mitmweb --mode reverse:https://gws.example -s proxy_addons/bayeux_view.py

Works with and without `record.py`, in mitmweb, mitmproxy and `mitmdump --flow-detail 3`. Nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, cast

from mitmproxy import contentviews, ctx, http

from cometreel.errors import InputError
from cometreel.mitmproxy_support.addon_options import PROFILE, refuse
from cometreel.mitmproxy_support.content_view import BayeuxContentView, PromisedNotifications
from cometreel.scenario import Profile, chosen_profile, profile, profile_names, profile_of

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader

__all__ = ["BayeuxView", "addons"]

_Registration: TypeAlias = "Callable[[object], None]"
"""The type of `contentviews.add` and `remove`; mitmproxy 11 and 12 have different types of views."""


class BayeuxView:
    """Adds the view and collects the references of replies to notifications."""

    def __init__(self) -> None:
        self.view = BayeuxContentView(PromisedNotifications())
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
                self.view.notifications = PromisedNotifications(*_profiles(ctx.options.reel_profile))
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


def _profiles(text: str) -> list[Profile]:
    """Return the profile of the option; all included ones for `detect`."""
    choice = chosen_profile(text, "reel_profile")
    if isinstance(choice, str):
        return [*map(profile, profile_names())]
    return [choice if isinstance(choice, Profile) else profile_of(choice)]


addons = [BayeuxView()]
