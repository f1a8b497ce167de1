"""A real headless Chromium, and pages in it as a user opens them: from the file system."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

Open = Callable[..., "Chrome"]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with chromedriver on PATH: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tmp_path_factory.mktemp("chromium")
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "force-color-profile=srgb",
                 "window-size=1200,900", f"user-data-dir={profile}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.page_load_strategy = "normal"
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture
def show(chromium: Chrome, tmp_path: Path) -> Iterator[Open]:
    """Open a page; at the end of the test it must have asked for nothing and complained about nothing."""

    def open_page(text: str, *, dark: bool = False, script: bool = True, width: int = 1200) -> Chrome:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        scheme = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # a page that still scrolls takes no click
        ]
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        for command, argument in (
            ("Emulation.setEmulatedMedia", {"features": scheme}),
            ("Emulation.setScriptExecutionDisabled", {"value": not script}),
            ("Emulation.setDeviceMetricsOverride", size),
        ):
            chromium.execute_cdp_cmd(command, argument)
        chromium.get(path.as_uri())
        return chromium

    chromium.get("about:blank")
    _requests(chromium)
    chromium.get_log("browser")
    yield open_page
    complaints = [entry["message"] for entry in chromium.get_log("browser")]
    asked = [url for url in _requests(chromium) if not url.startswith("data:")]
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert complaints == []
    assert set(asked) <= {(tmp_path / "report.html").as_uri()}


def _requests(browser: Chrome) -> list[str]:
    events: list[dict[str, Any]] = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
