"""A quiz in JupyterLab, answered by keyboard alone, and read where nothing runs."""

import json
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from lab import browser_page, jupyterlab, needs_chromium, open_and_run

from pruning_lessons.teaching.quiz import _unmarked, of_lesson

needs_chromium()

ASK = """import pruning_lessons as pl
pl.quiz("00")"""
QUESTIONS = [question for question in of_lesson("00") if not question.predict]
OPTIONS = sum(len(question.options) for question in QUESTIONS)
FIRST = QUESTIONS[0].options
RIGHT, WRONG = ([option.right for option in FIRST].index(x) for x in (True, False))


def press_until(page, what: str, key: str = "Tab", most: int = 60) -> None:
    """Press a key until the focus is where `what`, JavaScript about `e`, says."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate(f"(e => {what})(document.activeElement)"):
            return
    raise AssertionError(
        f"no way to {what}: at {page.evaluate('document.activeElement.outerHTML')}"
    )


def save(page, file: Path) -> None:
    for _ in range(20):
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        if "<details" in file.read_text("utf-8"):
            return
    raise AssertionError("the notebook was not saved with what it shows")


def read_without_a_kernel(page, folder: Path, address: str) -> None:
    """The saved notebook as one that comes from elsewhere: not trusted, never run here."""
    notebook = nbformat.read(folder / "quiz.ipynb", as_version=4)
    notebook.cells[0].source += "  # not what was signed"
    nbformat.write(notebook, folder / "copy.ipynb")
    page.goto(f"{address}/lab/tree/copy.ipynb?reset")
    page.wait_for_selector("details")
    assert page.locator("details").count() == OPTIONS
    first = page.locator("details").first
    assert first.inner_text() == f"A. {_unmarked(FIRST[0].text)}"
    first.locator("summary").click()
    assert first.inner_text().endswith(_unmarked(FIRST[0].reason))
    page.screenshot(path=ROOT / "artefacts" / "quiz-read.png")


def test_a_quiz_by_keyboard(tmp_path, monkeypatch):
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": kernel}, cells=[nbformat.v4.new_code_cell(ASK)]
    )
    (tmp_path / "lessons").mkdir()
    (tmp_path / "scratch").mkdir()
    nbformat.write(notebook, tmp_path / "lessons" / "quiz.ipynb")
    kept = tmp_path / "progress.json"
    monkeypatch.setenv("PRUNING_LESSONS_PROGRESS", str(kept))
    outside = []
    with (
        jupyterlab(tmp_path / "lessons", tmp_path / "scratch") as address,
        browser_page(outside) as page,
    ):
        page.set_viewport_size({"width": 1280, "height": 720})
        open_and_run(page, address, "quiz.ipynb")
        page.screenshot(path=ROOT / "artefacts" / "quiz.png")
        assert page.locator("input[type=radio]").count() == OPTIONS
        assert not page.locator("details").first.is_visible()  # the page to read is hidden
        assert page.locator(".jp-Cell-outputWrapper").first.bounding_box()["height"] <= 600
        press_until(page, f"e.type === 'radio' && e.value === '{WRONG}'")
        page.keyboard.press("Space")
        assert page.evaluate("document.activeElement.checked")
        page.wait_for_selector("[role=alert]")
        said = page.locator("[role=alert]").inner_text()
        assert f". ✗ Not so. {_unmarked(FIRST[WRONG].reason)}" in said
        page.screenshot(path=ROOT / "artefacts" / "quiz-wrong.png")
        key = "Tab" if RIGHT > WRONG else "Shift+Tab"
        press_until(page, f"e.type === 'radio' && e.value === '{RIGHT}'", key)
        page.keyboard.press("Space")
        said = "document.querySelector('[role=alert]').textContent"
        for _ in range(50):
            page.wait_for_timeout(200)
            if "✓" in page.evaluate(said):
                break
        page.screenshot(path=ROOT / "artefacts" / "quiz-right.png")
        assert ". ✓ Right. " in page.evaluate(said), page.evaluate(
            "said => [said, document.activeElement.outerHTML]", page.evaluate(said)
        )
        save(page, tmp_path / "lessons" / "quiz.ipynb")
        read_without_a_kernel(page, tmp_path / "lessons", address)
    assert json.loads(kept.read_text("utf-8"))["quiz"] == {
        QUESTIONS[0].name: {"right": True, "tries": 2}
    }
    assert not outside, outside
