"""The admin API of several nodes: each has its own, and none is reached through the balancer."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from cometreel.serve.admin.auth import TOKEN_VARIABLE
from tests.serve.admin_client import TOKEN
from tests.serve.test_cluster import RunningCluster

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_the_admin_api_of_a_node_is_available_at_its_own_address_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    cluster = RunningCluster(tmp_path, 2)
    with cluster.process, httpx.Client(headers=BEARER, trust_env=False) as client:
        nodes = re.findall(r"node\d is process \d+ at (\S+)\.\n", cluster.process.err.read_text())
        settings = [client.get(f"http://{node}/__reel__/settings").json() for node in nodes]
        assert [each["node"] for each in settings] == ["node1", "node2"]
        paths = ["/__reel__/settings", "/__reel__", "/%5F_reel__/settings", "/%5f%5freel__/settings"]
        assert [client.get(cluster.url + path).status_code for path in paths] == [403] * 4
    assert TOKEN not in cluster.process.err.read_text()
