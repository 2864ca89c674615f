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
            use_widget(page, notebook.stem[:2])
            assert_no_errors(page)
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
    assert len(found) == 3, "two head views and a model view"
    for view in found:
        assert view.locator("svg line, svg path").count() > 50  # attention lines are drawn
    menus = [view for view in found if view.query_selector("#layer")]
    assert len(menus) == 2 and menus[0].locator("#layer option").count() == 12
    menus[0].select_option("#layer", "5")
    assert menus[0].locator("svg line").count() > 50
    tables = page.locator(".jp-OutputArea-output table")
    rows = [tables.nth(i).locator("tr").count() for i in range(tables.count())]
    assert rows.count(13) == 2, rows  # every layer, before and after
    assert page.locator('.jp-OutputArea-output img[alt*="heads"]').count() == 3
    assert page.locator(".jp-OutputArea-output img").count() >= 5


SLIDER, BUTTON = ".noUi-handle", ".widget-toggle-button"
WIDGETS = {
    "01": SLIDER,
    "02": SLIDER,
    "03": SLIDER,
    "04": SLIDER,
    "05": BUTTON,
    "06": BUTTON,
    "07": SLIDER,
}
# The text and the pictures beside the controls of the last cell that has any, without what the
# controls say themselves.
ANSWER = """() => {
    const cell = [...document.querySelectorAll('.jp-Cell')]
        .filter(c => c.querySelector('.jp-OutputArea .jupyter-widgets')).pop();
    const copy = cell.querySelector('.jp-Cell-outputWrapper').cloneNode(true);
    copy.querySelectorAll('.widget-readout, .widget-toggle-button').forEach(part => part.remove());
    return copy.textContent + [...copy.querySelectorAll('img')].map(image => image.src) }"""


def use_widget(page, lesson):
    """Move the last slider to its end, or press the last button, as a person would: the answer
    changes. Says how soon.
    """
    if lesson not in WIDGETS:
        assert lesson in ("00", "08") and not page.query_selector(f"{SLIDER}, {BUTTON}")
        return
    before, control = page.evaluate(ANSWER), page.locator(WIDGETS[lesson]).last
    control.scroll_into_view_if_needed()
    start = time.perf_counter()
    if WIDGETS[lesson] == SLIDER:
        control.focus()
        page.keyboard.press("End")
    else:
        control.click()
    page.wait_for_function(
        f"before => ({ANSWER})() !== before", arg=before, timeout=20_000, polling=20
    )
    print(
        f"lesson {lesson}: the widget answered after {1000 * (time.perf_counter() - start):.0f} ms"
    )
