"""`python -m cometreel`: the same as the command `cometreel`."""

from __future__ import annotations

import sys

from cometreel.cli import run

sys.exit(run())
