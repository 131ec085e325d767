"""Pictures of a page (spec/docs.md)."""

import os
import sys

import picture
import pytest
from PIL import Image
from support.processes import run


@pytest.mark.clause("DOC-009")
def test_a_picture_of_a_page(chromium, tmp_path):
    """In the light, 1,200 pixels wide, as high as the page or as asked for, and small."""
    page = tmp_path / "page.html"
    page.write_text(
        "<style>body{margin:0;background:#fff;height:2000px}"
        "@media (prefers-color-scheme:dark){body{background:#000}}</style>",
        "utf-8",
    )
    for height, rows in (((), 2_000), (("500",), 500)):
        out = tmp_path / f"{rows}.png"
        typed = [sys.executable, picture.__file__, page, out, *height]
        env = {**os.environ, "CHROMIUM": chromium}
        assert run(typed, env=env).returncode == 0
        taken = Image.open(out)
        assert taken.size == (1_200, rows)
        assert taken.convert("RGB").getpixel((600, 400)) == (255, 255, 255)
        assert out.stat().st_size < 300_000
