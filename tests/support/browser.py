"""A page in a real browser, watched: what it asked for, what it complained of, who can read it."""

import shutil
from contextlib import contextmanager

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1200, "height": 800}


def executable():
    """Return the path of a Chromium that is installed, or ``None``."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Opened:
    """A page that is open.

    Attributes:
        page: Playwright's.
        requests: the addresses that were asked for, the page's own left out.
        complaints: the console's errors and warnings, and uncaught errors.
    """

    def __init__(self, page, file):
        self.page, self.requests, self.complaints = page, [], []
        own = file.as_uri()
        page.on("request", lambda one: one.url != own and self.requests.append(one.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda one: one.type in BAD and self.complaints.append(one.text))
        page.goto(own)

    def violations(self):
        """Return what axe-core finds: rule, impact and the elements."""
        from axe_playwright_python.base import AXE_SCRIPT

        self.page.evaluate(AXE_SCRIPT)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run({runOnly: tags})", tags)
        return [
            (one["id"], one["impact"], [node["html"][:120] for node in one["nodes"]])
            for one in found["violations"]
        ]

    def is_right(self):
        """Hold the page against what every page promises: PAGE-002 and PAGE-003."""
        assert self.violations() == []
        assert not self.is_too_wide()
        assert self.requests == self.complaints == []

    def is_too_wide(self):
        """Tell whether one has to scroll sideways."""
        return self.page.evaluate(
            "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )


BAD = ("error", "warning")


@contextmanager
def opened(browser, file, *, dark=False, phone=False):
    """Open a file as it is on a desk or, with touch, on a phone, in the light or in the dark."""
    context = browser.new_context(
        viewport=PHONE if phone else DESK,
        has_touch=phone,
        color_scheme="dark" if dark else "light",
        offline=True,
    )
    try:
        yield Opened(context.new_page(), file)
    finally:
        context.close()
