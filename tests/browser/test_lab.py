"""Every lesson in JupyterLab, in a real browser, with no network."""

import shutil
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from lab import browser_page, jupyterlab, needs_chromium, open_and_run, photograph

needs_chromium()

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def views(page):
    return [frame for frame in page.frames if frame.parent_frame and frame.query_selector("#vis")]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_lesson_in_the_browser(notebook, tmp_path):
    copy = tmp_path / "lessons"
    copy.mkdir()
    shutil.copy(notebook, copy)
    (tmp_path / "scratch").mkdir()
    outside = []
    with jupyterlab(copy, tmp_path / "scratch") as address, browser_page(outside) as page:
        # Saved and run again: once is enough, and lesson 00 has the views that came out blank
        # elsewhere.
        for turn in ("first", "again") if notebook.stem.startswith("00") else ("first",):
            open_and_run(page, address, notebook.name)
            photograph(page, ROOT / "artefacts" / f"{notebook.stem}-{turn}.png")
            assert_no_errors(page)
            if notebook.stem.startswith("00"):
                look_at_lesson_00(page)
            use_explorers(page, notebook.stem[:2])
            assert_no_errors(page)
            assert_no_output_is_taller_than_a_screen(page)
            page.keyboard.press("Control+s")
            page.wait_for_timeout(2000)
        assert (copy / notebook.name).stat().st_size < 1.5e6
    assert not outside, outside


def assert_no_errors(page):
    for bad in ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr"):
        shown = page.query_selector_all(f'[data-mime-type="{bad}"]')
        assert not shown, shown[0].inner_text()


def look_at_lesson_00(page):
    found = views(page)
    assert len(found) == 2, "a head view and a model view"
    for view in found:
        assert view.locator("svg line, svg path").count() > 50  # attention lines are drawn
    menus = [view for view in found if view.query_selector("#layer")]
    assert len(menus) == 1 and menus[0].locator("#layer option").count() == 12
    menus[0].select_option("#layer", "5")
    assert menus[0].locator("svg line").count() > 50
    tables = page.locator(".jp-OutputArea-output table")
    rows = [tables.nth(i).locator("tr").count() for i in range(tables.count())]
    assert rows.count(13) == 1, rows  # every layer, after the cut
    assert page.locator('.jp-OutputArea-output img[alt*="heads"]').count() >= 3
    assert page.locator(".jp-OutputArea-output img").count() >= 5


# Controls of `pl.explore`; the answer is in a part of its own beside them.
EXPLORERS = ".pruning-lessons-explore"
SLIDER, BUTTON, FIELD, BOX = ".noUi-handle", "button", "input[type=text]", "input[type=checkbox]"
ANSWER = """live => { const answer = live.querySelector('.pruning-lessons-answer');
    return answer.textContent + [...answer.querySelectorAll('img')].map(image => image.src) }"""
TALLEST = 600  # pixels of one output: what a projector shows of a page of 720
HEIGHTS = """() => [...document.querySelectorAll('.jp-Cell')].flatMap((cell, i) =>
    [...cell.querySelectorAll('.jp-OutputArea-output')].map(output =>
        [i, Math.round(output.getBoundingClientRect().height),
         cell.querySelector('.jp-InputArea-editor')?.innerText.slice(0, 60)]))"""


def assert_no_output_is_taller_than_a_screen(page):
    """But a quiz's, which is a list of questions."""
    tall = [found for found in page.evaluate(HEIGHTS) if found[1] > TALLEST]
    assert not [found for found in tall if "pl.quiz(" not in (found[2] or "")], tall


def use_explorers(page, lesson):
    """Move a control of each explorer, as a person would: the answer changes. Says how soon."""
    explorers = page.locator(EXPLORERS)
    for i in range(explorers.count()):
        live = explorers.nth(i)
        live.scroll_into_view_if_needed()
        before = live.evaluate(ANSWER)
        start = time.perf_counter()
        if live.locator(SLIDER).count():
            live.locator(SLIDER).last.focus()
            page.keyboard.press("End")
        elif live.locator(FIELD).count():
            live.locator(FIELD).last.fill("turn on the light in the kitchen")
            page.keyboard.press("Enter")
        elif live.locator(BOX).count():
            live.locator(BOX).last.click()
        else:
            live.locator(BUTTON).last.click()
        page.wait_for_function(
            f"([live, before]) => ({ANSWER})(live) !== before",
            arg=[live.element_handle(), before],
            timeout=20_000,
            polling=20,
        )
        took = 1000 * (time.perf_counter() - start)
        print(f"lesson {lesson}: explorer {i} answered after {took:.0f} ms")
