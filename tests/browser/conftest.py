"""The browser that pages are opened in: Debian's Chromium, or another that is installed."""

import os

import pytest
from support.browser import executable


def pytest_collection_modifyitems(items):
    """Mark what needs the browser."""
    for item in items:
        if "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """Return where the browser is; where CI has none, its tests fail."""
    found = executable()
    if found is None:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("no Chromium: apt-get install chromium", pytrace=False)
    return found


@pytest.fixture(scope="session")
def browser(chromium):
    """Start one browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
