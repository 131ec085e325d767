"""The page of ``mlmref preview`` in a browser (spec/pages.md)."""

import pytest
from support.browser import opened
from support.runs import save_corpus, save_model

from mlmref.results.pages import write_new
from mlmref.settings.resolve import resolve
from mlmref.studies.preview.page import page
from mlmref.studies.preview.preview import preview

FOREIGN = '<script>document.title = "gone"</script><img src="https://example.org/x"> a "great" film'


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Write the page of a foreign corpus under two strategies, every category in it."""
    folder = tmp_path_factory.mktemp("page")
    save_model(folder / "model", "byte-bpe")
    save_corpus(folder / "corpus.txt")
    (folder / "foreign.txt").write_text(f"{FOREIGN}\n" * 40, "utf-8")
    sets = [f"model.name={folder / 'model'}", f"corpus.name={folder / 'foreign.txt'}"]
    sets += ["chunks.size=32", "masking.corruption=40/30/30", "masking.options.mlm_probability=0.4"]
    names = ("token", "whole-word")
    answer = preview(
        [resolve(sets=[*sets, f"masking.strategy={name}"]) for name in names], chunks=6
    )
    write_new(page(answer), folder / "page.html", "--html")
    return folder / "page.html"


@pytest.mark.clause("PAGE-002")
@pytest.mark.clause("PAGE-003")
@pytest.mark.clause("PREV-010")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_it_opens_without_a_request_and_can_be_read(browser, file, dark, phone):
    """No request, no complaint, nothing for axe-core to find, and nothing beyond the screen."""
    with opened(browser, file, dark=dark, phone=phone) as one:
        one.is_right()


@pytest.mark.clause("PREV-013")
def test_strategies_stand_side_by_side_before_the_rates(browser, file):
    """On a desk; below each other on a phone. Each target has the one highlight and an arrow."""
    for phone in (False, True):
        with opened(browser, file, phone=phone) as one:
            for chunk in one.page.locator(".beside").all():
                left, right = (part.bounding_box() for part in chunk.locator("> div").all())
                assert (left["y"] == right["y"]) is not phone
            below = one.page.locator("#rates").bounding_box()["y"]
            last = one.page.locator(".beside").last.bounding_box()
            assert below > last["y"] + last["height"]
            targets = one.page.locator(".beside .target")
            looks = targets.evaluate_all(
                "all => all.map(it => [getComputedStyle(it).backgroundColor, "
                "getComputedStyle(it).borderBottomStyle, it.textContent.includes('→')].join())"
            )
            assert len(looks) > 20
            assert len(set(looks)) == 1
            assert looks[0].endswith("none,true")


@pytest.mark.clause("PAGE-001")
@pytest.mark.clause("PREV-008")
def test_text_with_html_in_it_is_text(browser, file):
    """A script of the corpus did not run, its picture was not asked for, and both can be read."""
    with opened(browser, file) as one:
        assert one.page.title() == "Masks: token, whole-word"
        assert one.page.locator("img").count() == 0
        assert "example" in one.page.inner_text("main")


@pytest.mark.clause("PAGE-002")
def test_what_a_page_asks_for_is_seen(browser, tmp_path):
    """The watch itself: a picture, a script's error, grey on grey, and a page too wide are told."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<html><body><img src='https://example.org/x'><p style='width:3000px;color:#aaa'>grey</p>"
        "<script>throw new Error('broken')</script></body></html>"
    )
    with opened(browser, bad, phone=True) as one:
        assert one.requests == ["https://example.org/x"]
        assert any("broken" in text for text in one.complaints)
        found = {rule for rule, *_ in one.violations()}
        assert {"image-alt", "color-contrast", "html-has-lang"} <= found
        assert one.is_too_wide()
