"""Marks each test with the programs that it needs, and stops a test that starts a program without its mark.

`pytest -m "not chromium"` then runs on a machine without Chromium. The marks are set here; only single parameters of a
test are marked in their own file, such as the pages of the documentation whose commands run mitmdump.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["NEEDS", "PROGRAMS", "TESTS", "marks_of", "running", "watch"]

TESTS = Path(__file__).parent

PROGRAMS = {
    "chromedriver": "chromium",
    "chromium": "chromium",
    "haproxy": "haproxy",
    "java": "java",
    "mitmdump": "mitmproxy",
    "mitmproxy": "mitmproxy",
    "mitmweb": "mitmproxy",
    "node": "node",
}
"""The mark of a test that may start the program."""

NEEDS: tuple[tuple[str, str, str], ...] = (
    ("chromium", "", "browser"),
    ("chromium", "show/", "chromium_browser"),
    ("chromium", "serve/", "cross_origin_page"),
    ("haproxy", "serve/", "cluster"),
    ("haproxy", "serve/", "test_haproxy_terminates_tls_and_uris_in_replies_have_the_host_of_the_client"),
    ("haproxy", "serve/", "test_the_documented_haproxy_configuration_is_generated_and_valid"),
    ("haproxy", "serve/", "test_the_commands_of_the_documentation_serve"),
    ("haproxy", "serve/test_admin_nodes.py", ""),
    ("java", "peers/", "java_desktop"),
    ("mitmproxy", "bad_input/", "start"),
    ("mitmproxy", "simulation/", "test_mitmdump_sends_the_bytes_of_the_engine"),
    ("mitmproxy", "traffic/", "test_a_real_mitmdump_reads_the_flows"),
    ("mitmproxy", "traffic/", "test_a_real_mitmdump_reads_the_har"),
    ("mitmproxy", "golden/test_http.py", ""),
    ("mitmproxy", "traffic/", "dumped"),
    ("mitmproxy", "traffic/", "test_messages_of_a_websocket_become_exchanges"),
    ("mitmproxy", "load/", "replay"),
    ("mitmproxy", "packaging/", "test_mitmproxy_and_locust_load_the_addons_at_the_printed_paths"),
    ("mitmproxy", "peers/", "mitmdump"),
    ("mitmproxy", "peers/test_demo.py", ""),
    ("mitmproxy", "proxy/", ""),
    ("mitmproxy", "serve/test_both_servers.py", ""),
    ("mitmproxy", "serve/test_identity_of_sockets.py", "confdir"),
    ("mitmproxy", "verify/", "test_replay_by_mitmdump"),
    ("node", "golden/test_node.py", ""),
    ("node", "packaging/", "dockerfile_linter"),
    ("node", "traffic/", "dumped"),
    ("node", "traffic/", "processes"),
    ("node", "load/", "stand_in"),
    ("node", "peers/", "direct"),
    ("node", "peers/", "processes"),
    ("node", "replay/", "application"),
    ("node", "replay/test_recording.py", "server"),
    ("node", "serve/test_cluster.py", "test_clients_of_a_killed_node_repeat_the_handshake_on_another"),
    ("node", "verify/", "test_the_proposal_of_a_changed_server_has_no_differences"),
    ("node", "verify/", "drifted"),
    ("node", "verify/", "stand_in"),
    ("node", "verify/", "test_announced_csrf_token_is_sent"),
    ("node", "verify/", "test_output_has_no_secrets_and_no_personal_data"),
)
"""A mark, where tests get it (the beginning of their path below `tests/`), and which tests do: those that have this
name or use a fixture of this name, or all of them."""

_item: pytest.Item | None = None


def marks_of(item: pytest.Item) -> list[str]:
    """Return the marks of a test, by its path, its name and its fixtures."""
    path = item.path.relative_to(TESTS).as_posix()
    names: Collection[str] = {item.name, getattr(item, "originalname", ""), *getattr(item, "fixturenames", ())}
    return sorted({mark for mark, where, name in NEEDS if path.startswith(where) and (not name or name in names)})


@contextmanager
def running(item: pytest.Item) -> Iterator[None]:
    """Let the test start the programs of its marks, and no others."""
    global _item  # noqa: PLW0603  # an audit hook has no other way to know the test
    outer, _item = _item, item
    yield
    _item = outer


def watch() -> None:
    """Raise an error in any test of this process that starts a program without its mark."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "subprocess.Popen" and _item is not None:
            program = Path(str(arguments[0])).name
            mark = PROGRAMS.get(program)
            if mark and _item.get_closest_marker(mark) is None:
                raise RuntimeError(
                    f"the test starts {program} without the mark {mark!r}; add it to NEEDS in {__file__}"
                )

    sys.addaudithook(hook)
