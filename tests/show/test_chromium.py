"""The browser of the tests: it reports console messages; without Chromium, an error names the packages to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chromium import Browser, chromium


def test_it_reports_violations_of_the_content_security_policy(chromium_browser: Browser, tmp_path: Path):
    page = tmp_path / "refused.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    page.write_text(f"<!doctype html>{policy}<script>1</script>")
    chromium_browser.open(page)
    assert any("Executing inline script violates" in complaint for complaint in chromium_browser.complaints())


def test_it_reports_script_errors(chromium_browser: Browser, tmp_path: Path):
    page = tmp_path / "broken.html"
    page.write_text("<!doctype html><script>null.x</script>")
    chromium_browser.open(page)
    (complaint,) = chromium_browser.complaints()
    assert "TypeError" in complaint


def test_without_chromium_the_test_fails_and_names_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="apt-get install -y chromium chromium-driver"), chromium():
        pass
