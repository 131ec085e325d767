"""Take a picture of a page: ``python docs/picture.py PAGE.html OUT.png [HEIGHT]``.

In the light, 1,200 pixels wide, from its top to HEIGHT or its end, and small enough for a README.
Needs ``pip install playwright pillow`` and Debian's Chromium, or the one that CHROMIUM names.
"""

import io
import os
import sys
from pathlib import Path

WIDTH = 1_200
MOST = 300_000
"""Bytes that a picture may have."""


def picture(page: Path, height: int | None = None) -> bytes:
    """Return the picture of a page, as PNG.

    Args:
        page: the file.
        height: in pixels; left out, all of it.

    Raises:
        ValueError: it does not get small enough.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    browser_at = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_at, args=["--no-sandbox"])
        opened = browser.new_page(
            viewport={"width": WIDTH, "height": height or 900}, color_scheme="light"
        )
        opened.goto(page.resolve().as_uri())
        taken = opened.screenshot(full_page=height is None, animations="disabled")
        browser.close()
    whole = Image.open(io.BytesIO(taken)).convert("RGB")
    # A page has few colours: a palette takes a third of the bytes and shows no difference.
    for colours in (256, 128, 64, 32):
        out = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() < MOST:
            return out.getvalue()
    raise ValueError(f"{out.tell():,} bytes with 32 colours, more than {MOST:,}; give a HEIGHT")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python docs/picture.py PAGE.html OUT.png [HEIGHT]")
    source, target = map(Path, sys.argv[1:3])
    target.write_bytes(picture(source, int(sys.argv[3]) if len(sys.argv) == 4 else None))
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
