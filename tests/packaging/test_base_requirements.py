"""The size of an installation without extras, from the installed metadata; no network is needed."""

from __future__ import annotations

from tests.base_install import install_bytes, requirements_of

MAX_DISTRIBUTIONS = 25
MAX_BYTES = 45_000_000


def test_a_light_installation_has_few_distributions():
    names = requirements_of("cometreel") - {"cometreel"}
    assert len(names) <= MAX_DISTRIBUTIONS, sorted(names)


def test_a_light_installation_is_small():
    sizes = {name: install_bytes(name) for name in requirements_of("cometreel") - {"cometreel"}}
    assert sum(sizes.values()) <= MAX_BYTES, sorted(sizes.items(), key=lambda pair: -pair[1])


def test_its_requirements_are_those_of_the_server_and_the_scenario_format():
    """A new requirement belongs into an extra, unless `serve` needs it."""
    assert requirements_of("cometreel").isdisjoint({"mitmproxy", "httpx", "cryptography", "locust", "pytest"})
