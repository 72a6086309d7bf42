"""The optional dependencies: the distributions and modules of each extra, and one check for all of them.

setup.cfg declares the same extras; a test compares the two. The extra `all` is the sum of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from cometreel.errors import ExtraMissing

__all__ = ["EXTRAS", "Extra", "install_command", "missing_distributions", "require_extra"]


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of setup.cfg: its distributions with the top-level module of each, and the features that need it."""

    modules: Mapping[str, str]
    purpose: str


EXTRAS: Final[Mapping[str, Extra]] = MappingProxyType(
    {
        "record": Extra({"mitmproxy": "mitmproxy"}, "for the mitmproxy addons and for flow files"),
        "forward": Extra({"httpx": "httpx"}, "for `serve --unmatched forward` and `pytest --reel-record`"),
        "verify": Extra({"httpx": "httpx", "deepdiff": "deepdiff"}, "for `cometreel verify`"),
        "tls": Extra({"cryptography": "cryptography"}, "for `serve --tls` without your own certificate"),
        "codings": Extra({"Brotli": "brotli", "zstandard": "zstandard"}, "for request bodies in br and zstd"),
        "secrets": Extra({"detect-secrets": "detect_secrets"}, "for the lint rule `secret`"),
        "load": Extra({"hdrhistogram": "hdrh", "locust": "locust"}, "for load tests"),
    }
)


def install_command(extra: str) -> str:
    """Return the pip command that installs an extra, quoted for the shell."""
    return f"pip install 'cometreel[{extra}]'"


def missing_distributions(extra: str) -> list[str]:
    """Return the distributions of an extra that can't be imported. Imports none of them."""
    return [name for name, module in EXTRAS[extra].modules.items() if not _is_importable(module)]


def require_extra(extra: str, feature: str) -> None:
    """Check that an extra is installed. Call it before the lazy import that needs it.

    :raises ExtraMissing: if a distribution of the extra is missing; `feature` is the subject of its text.
    """
    if missing := missing_distributions(extra):
        raise ExtraMissing(extra, feature, missing, install_command(extra))


def _is_importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # an import hook refuses it; a module in sys.modules without a spec
        return False
