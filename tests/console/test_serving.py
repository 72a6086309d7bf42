"""The files of the console, who gets them, and their content security policy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from cometreel.serve.admin.console import POLICY
from tests.serve.admin_client import TOKEN, administered
from tests.serve.test_admin_page import MARK, ROOT, matches, runnable, shown

FILES = {
    each.name: each.read_text("utf-8") for each in files("cometreel.serve.admin.console").iterdir() if each.is_file()
}
SENT = {name: text for name, text in FILES.items() if not name.endswith(".py")}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/plain, application/json;q=0.5", "application/json"),
        ("TEXT/HTML; charset=utf-8", "text/html; charset=utf-8"),
        ("", "application/json"),
    ],
)
def test_a_browser_gets_the_page_and_a_program_gets_json(accept: str, kind: str):
    with administered() as reel:
        reply = reel.admin.get("/", headers={"accept": accept})
    assert (reply.status_code, reply.headers["content-type"], reply.headers["vary"]) == (200, kind, "accept")


def test_the_page_and_its_files_come_with_a_strict_policy_and_are_never_kept():
    with administered() as reel:
        for path in ("/", *(f"/console/{name}" for name in SENT)):
            reply = reel.admin.get(path, headers={"accept": BROWSER})
            said = {name: reply.headers[name] for name in ("content-security-policy", "cache-control")}
            assert (reply.status_code, said) == (
                200,
                {"content-security-policy": POLICY, "cache-control": "no-store"},
            )
    assert {part.split()[0] for part in POLICY.split("; ") if "'none'" in part} == {
        "default-src",
        "frame-ancestors",
        "base-uri",
        "form-action",
    }


def test_without_the_token_there_is_neither_page_nor_file():
    with administered() as reel, httpx.Client(base_url=f"{reel.served.url}/__reel__", trust_env=False) as stranger:
        statuses = [stranger.get(path, headers={"accept": BROWSER}).status_code for path in ("/", "/console/main.js")]
    assert statuses == [401, 401]


def test_a_browser_without_the_token_is_told_where_to_find_the_address():
    with administered() as reel, httpx.Client(base_url=f"{reel.served.url}/__reel__", trust_env=False) as stranger:
        refused = stranger.get("/", headers={"accept": BROWSER})
        for_programs = stranger.get("/", headers={"accept": "*/*"})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "console at …/__reel__/?token=…" in refused.text
    assert "COMETREEL_ADMIN_TOKEN" in refused.text
    assert (refused.headers["www-authenticate"], refused.headers["cache-control"]) == (
        'Bearer realm="cometreel"',
        "no-store",
    )
    assert "script-src" not in refused.headers["content-security-policy"]
    assert "<script" not in refused.text
    assert (for_programs.status_code, for_programs.headers["content-type"]) == (401, "application/json")


def test_a_browser_that_may_not_use_the_console_reads_why():
    with administered() as reel, httpx.Client(base_url=f"{reel.served.url}/__reel__", trust_env=False) as stranger:
        refused = stranger.get("/", headers={"accept": BROWSER, "host": "evil.example"})
    assert (refused.status_code, refused.headers["content-type"]) == (403, "text/html; charset=utf-8")
    reason = "the Host of the request is not this machine; use 127.0.0.1 or localhost"
    assert f"<p>No access: {reason}.</p>" in refused.text


@pytest.mark.parametrize("name", ["__init__.py", "..%2fadmin.py", "nothing.js", "", "a/b.js"])
def test_no_other_file_is_sent(name: str):
    with administered() as reel:
        assert reel.admin.get(f"/console/{name}").status_code == 404


def test_every_file_is_named_by_the_page_or_by_another_and_is_there():
    named = {found for text in SENT.values() for found in re.findall(r'(?:/console/|from "\./)([\w.]+)"', text)}
    assert named == SENT.keys() - {"console.html"}


def test_no_script_makes_markup_of_text_or_keeps_more_than_the_theme():
    scripts = "\n".join(text for name, text in SENT.items() if name.endswith(".js"))
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|sessionStorage"
    assert re.findall(dangerous, scripts) == []
    assert set(re.findall(r"localStorage\.\w+\(([^,)]*)", scripts)) == {'"reel-theme"'}
    assert re.findall(r"\sstyle=|\son\w+=|<script(?! type=\"module\" src)", SENT["console.html"]) == []


def test_the_token_in_the_address_becomes_a_cookie_and_is_in_no_answer():
    with administered() as reel, httpx.Client(base_url=reel.served.url, trust_env=False) as visitor:
        page = visitor.get(f"/__reel__/?token={TOKEN}", headers={"accept": BROWSER})
        assert page.status_code == 200
        assert TOKEN not in page.text
        assert visitor.get("/__reel__/console/main.js").status_code == 200


def test_the_missing_exchange_is_written_and_a_wrong_number_is_a_problem():
    with administered() as reel:
        reel.app.get("/nowhere")
        reply = reel.admin.get("/unmatched/1/exchange")
        assert (reply.status_code, reply.headers["content-type"].partition(";")[0]) == (200, "application/yaml")
        assert reply.text == (
            "  - name: GET /nowhere\n"
            "    request:\n"
            "      method: GET\n"
            "      path: /nowhere\n"
            "    reply:\n"
            "      status: 200\n"
            "      body:\n"
            "        statusCode: 0\n"
        )
        wrong = reel.admin.get("/unmatched/9/exchange")
        assert (wrong.status_code, wrong.json()) == (
            400,
            {"problems": [{"text": "call: 9 is not an unmatched call; expected the number of a call in `unmatched`"}]},
        )


# ---------------------------------------------------------------------- the page of the docs
def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path):
    commands = shown((ROOT / "docs" / "console.md").read_text("utf-8"))
    script = "\n".join(f"{runnable(each.command)}\necho '{MARK}'" for each in commands)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    printed = run.stdout.split(f"{MARK}\n")[:-1]
    expected = [each.output.replace("http://127.0.0.1:8080", "http://127.0.0.1:…") for each in commands]
    assert len(printed) == 3
    assert [matches(pattern, found.strip()) for pattern, found in zip(expected, printed, strict=True)] == [True] * 3


def test_its_pictures_are_there_and_small():
    page = (ROOT / "docs" / "console.md").read_text("utf-8")
    pictures = [ROOT / "docs" / found for found in re.findall(r"\]\((images/[^)]+)\)", page)]
    assert [picture.name for picture in pictures] == ["console-light.png", "console-dark.png"]
    assert [picture.name for picture in pictures if not 10_000 < picture.stat().st_size <= 200_000] == []
