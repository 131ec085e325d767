"""The page of a run in a browser (spec/report.md, spec/pages.md)."""

import shutil

import pytest
from support.browser import DESK, opened
from support.reports import PROMPTS, report_run, stopped

from mlmref.results.pages import write_new
from mlmref.results.report.page import page, write_again
from mlmref.results.report.read import read

MORE = pytest.mark.full


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Finish one run on foreign text."""
    return report_run(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def pages(done, tmp_path_factory):
    """Write the pages of a finished run, of one that was stopped, of an older one, and of two."""
    folder = tmp_path_factory.mktemp("pages")
    building = stopped(done.folder, folder / "stopped", 6)
    shutil.copytree(done.folder, folder / "old")
    for name in ("report.json", "held_out.parquet"):
        (folder / "old" / name).unlink()
    both = folder / "both.html"
    write_new(page([read(done.folder), read(building)]), both, "--html")
    return {
        "finished": done.report(),
        "stopped": write_again(building),
        "older": write_again(folder / "old"),
        "several": both,
    }


@pytest.mark.clause("PAGE-002")
@pytest.mark.clause("PAGE-003")
@pytest.mark.parametrize(
    ("name", "how", "unfolded"),
    [
        ("finished", {}, True),
        pytest.param("finished", {"dark": True}, False, marks=MORE),
        pytest.param("finished", {"phone": True}, False, marks=MORE),
        ("finished", {"phone": True, "dark": True}, False),
        pytest.param("stopped", {"phone": True, "dark": True}, False, marks=MORE),
        pytest.param("older", {}, True, marks=MORE),
        ("several", {"phone": True}, False),
        pytest.param("several", {"dark": True}, True, marks=MORE),
    ],
)
def test_it_opens_without_a_request_and_can_be_read(browser, pages, name, how, unfolded):
    """No request, no complaint, nothing that axe-core finds, and nothing beyond the screen."""
    with opened(browser, pages[name], **how) as one:
        if unfolded:
            details = "document.querySelectorAll('details')"
            one.page.evaluate(f"() => {details}.forEach(one => one.open = true)")
        one.is_right()


@pytest.mark.clause("PAGE-003")
@pytest.mark.parametrize(
    "dark", [pytest.param(False, id="light"), pytest.param(True, id="dark", marks=MORE)]
)
def test_the_answers_can_be_read(browser, pages, dark):
    """What opens beside a mask passes axe-core as well."""
    with opened(browser, pages["finished"], dark=dark) as one:
        one.page.locator(".chunk .target").first.click()
        assert one.page.locator("#answers").is_visible()
        assert one.violations() == []


@pytest.mark.clause("PAGE-001")
def test_foreign_text_is_text(browser, pages, done):
    """Scripts of the corpus, the prompts and the folder's name did not run, and can be read."""
    for name in ("finished", "several"):
        with opened(browser, pages[name]) as one:
            assert one.page.title() != "gone"
            assert one.page.locator("main img, main b, main i, main script").count() == 0
            text = one.page.inner_text("main")
            for prompt in PROMPTS:
                assert prompt.replace("{mask}", "[MASK]") in text
    with opened(browser, pages["finished"]) as one:
        assert one.page.inner_text("h1") == done.folder.name
        assert "script" in one.page.inner_text(".chunk >> nth=0") or "script" in (
            one.page.evaluate("() => document.querySelector('#explorer').textContent")
        )


def answers(one):
    """Return the panel, and what it shows."""
    return one.page.locator("#answers")


def row_of(one, target):
    """Return the text of a target's row in the table, by its parts."""
    row = target.get_attribute("data-row")
    return one.page.evaluate(
        """row => Object.fromEntries(["word", "read", "old", "new"].map(
            part => [part, document.querySelector(`#${row} .${part}`).textContent]))""",
        row,
    )


def shown(one):
    """Return the text of the panel by its parts."""
    return one.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#answers [data-part]")].map(
            part => [part.dataset.part, part.textContent]))"""
    )


@pytest.mark.clause("REP-012")
def test_the_mouse_shows_answers(browser, pages):
    """While it is over a mask, or over the answers; a click keeps them until the next one."""
    with opened(browser, pages["finished"]) as one:
        targets = one.page.locator(".chunk .target")
        first, second = targets.nth(0), targets.nth(1)
        first.hover()
        assert answers(one).is_visible()
        assert shown(one) == row_of(one, first)
        assert len(one.page.locator("#answers li").all()) == 10
        assert answers(one).locator("li").first.inner_text().endswith("%")
        answers(one).hover()
        one.page.wait_for_timeout(400)
        assert answers(one).is_visible()
        one.page.mouse.move(2, 2)
        answers(one).wait_for(state="hidden")
        second.hover()
        assert shown(one) == row_of(one, second)
        second.click()
        one.page.mouse.move(2, 2)
        one.page.wait_for_timeout(400)
        assert answers(one).is_visible()
        one.page.mouse.click(2, 2)
        assert answers(one).is_hidden()
        box = DESK["width"]
        targets.nth(2).click()
        place = answers(one).bounding_box()
        assert 0 <= place["x"] <= place["x"] + place["width"] <= box


@pytest.mark.clause("REP-012")
def test_the_keyboard_shows_answers(browser, pages):
    """Tab goes from chunk to chunk, arrows within one; Enter keeps, Escape closes them."""
    with opened(browser, pages["finished"]) as one:
        chunk = one.page.locator(".chunk").first
        targets = chunk.locator(".target")
        one.page.locator("#explorer-head").click()
        for _ in range(20):
            one.page.keyboard.press("Tab")
            if one.page.evaluate("() => document.activeElement.classList.contains('target')"):
                break
        assert targets.nth(0).evaluate("one => one === document.activeElement")
        assert shown(one) == row_of(one, targets.nth(0))
        outline = targets.nth(0).evaluate("one => getComputedStyle(one).outlineStyle")
        assert outline == "solid"
        for key, nth in (("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("Home", 0)):
            one.page.keyboard.press(key)
            assert targets.nth(nth).evaluate("one => one === document.activeElement")
            assert shown(one) == row_of(one, targets.nth(nth))
            assert targets.nth(nth).get_attribute("aria-expanded") == "true"
        one.page.keyboard.press("Escape")
        assert answers(one).is_hidden()
        assert targets.nth(0).evaluate("one => one === document.activeElement")
        one.page.keyboard.press("Enter")
        assert answers(one).is_visible()
        one.page.keyboard.press("Enter")
        assert answers(one).is_hidden()
        one.page.keyboard.press("End")
        one.page.keyboard.press("Tab")
        answers(one).wait_for(state="hidden")
        assert chunk.locator('.target[tabindex="0"]').count() == 1


@pytest.mark.clause("REP-012")
def test_a_page_that_moves_under_the_pointer_changes_nothing(browser, pages):
    """What the keyboard shows stays, though another mask comes under a pointer at rest."""
    with opened(browser, pages["finished"]) as one:
        targets = one.page.locator(".chunk").first.locator(".target")
        targets.nth(4).evaluate("one => one.scrollIntoView({block: 'center'})")
        box = targets.nth(4).bounding_box()
        one.page.mouse.move(box["x"] + 3, box["y"] + 3 + box["height"] + 100)
        targets.nth(0).evaluate("one => one.focus({preventScroll: true})")
        one.page.keyboard.press("ArrowRight")
        kept = row_of(one, targets.nth(1))
        assert shown(one) == kept
        one.page.evaluate(f"scrollBy(0, {-box['height'] - 100})")
        one.page.wait_for_timeout(600)
        assert targets.nth(4).evaluate("one => one.matches(':hover')")
        assert shown(one) == kept
        # The answers themselves come under it, and go all the same once nothing has the focus.
        place, at = answers(one).bounding_box(), box["y"] + 3 + box["height"] + 100
        one.page.evaluate(f"scrollBy(0, {place['y'] + place['height'] / 2 - at})")
        one.page.wait_for_timeout(600)
        assert answers(one).evaluate("one => one.matches(':hover')")
        one.page.evaluate("document.activeElement.blur()")
        answers(one).wait_for(state="hidden")


@pytest.mark.clause("REP-012")
def test_a_tap_shows_answers(browser, pages):
    """At the lower end of a phone's screen, until a tap elsewhere or on the cross."""
    with opened(browser, pages["finished"], phone=True) as one:
        targets = one.page.locator(".chunk .target")
        targets.nth(0).tap()
        assert shown(one) == row_of(one, targets.nth(0))
        place = answers(one).bounding_box()
        assert (place["x"], place["width"]) == (0, 360)
        assert place["y"] + place["height"] == pytest.approx(740, abs=1)
        one.page.get_by_role("button", name="Close").tap()
        assert answers(one).is_hidden()
        targets.nth(1).tap()
        assert shown(one) == row_of(one, targets.nth(1))
        one.page.locator("#explorer-head").tap()
        assert answers(one).is_hidden()


@pytest.mark.clause("REP-013")
def test_it_is_read_without_its_script(browser, pages):
    """Every answer that the script shows is in a table, and on a mask in a few words."""
    context = browser.new_context(java_script_enabled=False, offline=True)
    try:
        opened_page = context.new_page()
        opened_page.goto(pages["finished"].as_uri())
        html = opened_page.content()
        targets = opened_page.locator(".chunk .target").all()
        assert len(targets) > 50
        for target in targets[:10]:
            row = opened_page.locator(f"#{target.get_attribute('data-row')}")
            assert row.locator("li").count() == 10
            assert "the model read" in target.get_attribute("title")
        opened_page.locator("summary", has_text="masked positions").first.click()
        assert opened_page.locator("#explorer table").first.is_visible()
        assert html.count("<svg") == 4
    finally:
        context.close()


@pytest.mark.clause("PAGE-001")
def test_text_from_right_to_left_keeps_to_itself(browser, pages):
    """Each piece of the corpus is isolated, so that it does not turn its neighbours round."""
    with opened(browser, pages["finished"]) as one:
        kept = one.page.evaluate(
            """() => [...document.querySelectorAll('.chunk .unit')].every(
                unit => getComputedStyle(unit).unicodeBidi === 'isolate')"""
        )
        assert kept
        assert one.page.locator(".chunk:not([dir=auto])").count() == 0
