"""Fixtures of the tests of bad input: the mitmproxy programs and the application of the addons' tests."""

from __future__ import annotations

from tests.proxy.conftest import application as application
from tests.proxy.conftest import confdir as confdir
from tests.proxy.conftest import desktop as desktop
from tests.proxy.conftest import eventually as eventually
from tests.proxy.conftest import start as start
from tests.unit.engine.conftest import conversation as conversation
