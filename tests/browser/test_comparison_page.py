"""The page of ``mlmref compare`` in a browser (spec/compare.md, spec/pages.md)."""

import pytest
from support.browser import opened
from support.comparisons import made_up

from mlmref.results.pages import write_new
from mlmref.studies.comparison.page import page


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write the page of a made-up comparison of four variants, one name of which is HTML."""
    place = tmp_path_factory.mktemp("page") / "comparison.html"
    write_new(page(made_up(corpus="<img src='https://example.org/x'>")), place, "--html")
    return place


@pytest.mark.clause("PAGE-002")
@pytest.mark.clause("PAGE-003")
@pytest.mark.clause("COMP-019")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_it_opens_without_a_request_and_can_be_read(browser, file, dark, phone):
    """No request, no complaint, nothing for axe-core to find, and nothing beyond the screen."""
    with opened(browser, file, dark=dark, phone=phone) as one:
        one.is_right()


@pytest.mark.clause("PAGE-001")
@pytest.mark.clause("COMP-019")
def test_what_is_drawn_is_within_the_plot(browser, file):
    """Squares, circles, lines and texts lie inside; foreign HTML is text."""
    with opened(browser, file, phone=True) as one:
        assert one.page.locator("img").count() == 0
        assert "<img src=" in one.page.inner_text("main")
        plot = one.page.locator("svg.forest").bounding_box()
        for kind, count in (("rect", 3), ("circle", 15), ("text", None)):
            found = one.page.locator(f"svg.forest {kind}")
            assert count in (None, found.count())
            for part in found.all():
                box = part.bounding_box()
                assert plot["x"] <= box["x"] <= box["x"] + box["width"] <= plot["x"] + plot["width"]


@pytest.mark.clause("COMP-020")
def test_it_fits_1200_pixels_and_no_line_goes_through_a_name(browser, file):
    """Each table is shown whole, and the name of each pair is clear of all lines."""
    with opened(browser, file) as one:
        assert one.page.viewport_size["width"] == 1200
        for table in one.page.locator(".scrolled").all():
            assert table.evaluate("it => it.scrollWidth <= it.clientWidth")
        names, drawn = (
            [part.bounding_box() for part in one.page.locator(f"svg.forest {kind}").all()]
            for kind in (".name", "line")
        )
        assert len(names) == 3
        for name in names:
            for line in drawn:
                assert line["y"] >= name["y"] + name["height"] or (
                    line["y"] + line["height"] <= name["y"]
                )
