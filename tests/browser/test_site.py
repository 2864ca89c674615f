"""The site: built without running anything, linked in itself, asking nobody for anything, and to be
read and used by keyboard, on a phone, in the light and in the dark.
"""

import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "scripts")]
import make_site
import maths
from lab import FLAGS, chromium, needs_chromium

needs_chromium()

LESSON = "lessons/04_neurons.html"
AXE = os.environ.get("AXE")  # where axe-core's axe.min.js is; it is not among the course's files
LOOKS = {
    "light": dict(color_scheme="light"),
    "dark": dict(color_scheme="dark"),
    "phone": dict(color_scheme="light", width=390),
}
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr", "source", "path", "use"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    pages = make_site.build(out)
    return out, pages


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def opened(site, browser):
    """A function that opens a page; whatever leaves this machine fails the test."""
    outside, pages = [], []

    def open_(at, width=1280, **options):
        page = browser.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("request", lambda r: outside.append(r.url) if r.url[:5] not in LOCAL else None)
        page.on("pageerror", lambda error: outside.append(str(error)))
        page.goto((site[0] / at.partition("?")[0]).as_uri() + at[len(at.partition("?")[0]) :])
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()
    assert not outside, outside


LOCAL = ("file:", "data:")


class Parsed(HTMLParser):
    """Links, identifiers, and what is missing for those who do not see a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.assets, self.missing, self.headings = [], [], [], [], []
        self.labels, self.inputs, self.tags, self.open = set(), [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.open = tag
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("script", "img", "iframe") and "src" in values:
            self.assets.append(values["src"])
        if tag == "link":
            self.assets.append(values["href"])
        if tag == "img" and not values.get("alt"):
            self.missing.append(f"an image without words: {str(values)[:80]}")
        if tag == "label":
            self.labels.add(values.get("for"))
        if tag == "input":
            self.inputs.append(values.get("id"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        if tag == "th" and self.open == "th":
            self.missing.append(f"a heading of a table without words: line {self.getpos()[0]}")
        self.open = ""

    def handle_data(self, data):
        self.open = "" if data.strip() else self.open


@pytest.fixture(scope="module")
def parsed(site):
    out, pages = site
    return {page.at: Parsed((out / page.at).read_text("utf-8")) for page in pages}


def test_every_lesson_and_guide_has_a_page(site):
    out, pages = site
    sources = {page.source for page in pages}
    for folder, pattern in (("notebooks", "*.ipynb"), ("notebooks", "*.md"), ("workshop", "*.md")):
        for file in (ROOT / folder).glob(pattern):
            assert file in sources, file
    assert all((out / page.at).is_file() for page in pages)
    assert len({page.at for page in pages}) == len(pages) > 15


def test_links_lead_somewhere(site, parsed):
    out, _ = site
    for at, page in parsed.items():
        for link in page.links:
            if urlparse(link).scheme in ("http", "https", "mailto"):
                continue
            path, _, anchor = link.partition("#")
            target = (out / at).parent / unquote(path) if path else out / at
            target = target.resolve()
            assert target.is_file(), f"{at}: {link}"
            if anchor and target.suffix == ".html":
                assert anchor in parsed[target.relative_to(out.resolve()).as_posix()].ids, (
                    f"{at}: {link}"
                )


def test_nothing_is_fetched_from_elsewhere(parsed):
    for at, page in parsed.items():
        for asset in page.assets:
            assert urlparse(asset).scheme in ("", "data"), f"{at}: {asset}"


def test_pages_can_be_read_aloud(parsed):
    for at, page in parsed.items():
        assert not page.missing, f"{at}: {page.missing}"
        assert page.headings.count(1) == 1 and page.headings[0] == 1, f"{at}: {page.headings}"
        for before, after in zip(page.headings, page.headings[1:]):
            assert after <= before + 1, f"{at}: a heading of level {after} after {before}"
        assert len(set(page.ids)) == len(page.ids), f"{at}: {sorted(page.ids)}"
        assert set(page.inputs) <= page.labels, at
        assert page.tags.count("main") == 1 and "nav" in page.tags


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's ratio of two colours (definitions, contrast ratio)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_have_contrast():
    """At least 4.5, WCAG 2.1 AA for text, in the light and in the dark."""
    text = (ROOT / "scripts" / "site" / "style.css").read_text("utf-8")
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", rule)) for rule in text.split("}")[:3]]
    assert themes[1] == themes[2] != themes[0]
    for colours in themes:
        for ink in ("ink", "quiet", "link", "right", "wrong"):
            for paper in ("paper", "shade", "code"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_has_contrast(opened, scheme):
    page = opened(LESSON, color_scheme=scheme)
    pairs = page.evaluate(
        """() => [...document.querySelectorAll('pre span')].map(span => [
            getComputedStyle(span).color, getComputedStyle(span.closest('pre')).backgroundColor])"""
    )
    hexed = lambda rgb: "#" + "".join(f"{int(n):02x}" for n in re.findall(r"\d+", rgb)[:3])
    assert len(pairs) > 100
    poor = {
        (ink, paper) for ink, paper in map(tuple, pairs) if contrast(hexed(ink), hexed(paper)) < 4.5
    }
    assert not poor


OPEN_ALL = """() => {
    document.querySelectorAll('details').forEach(fold => { fold.open = true });
    document.querySelectorAll('.quiz label:first-of-type input').forEach(first => first.click());
}"""
SEEN = """async () => (await axe.run()).violations.map(
    found => `${found.id}: ${found.help}: ${found.nodes.map(node => node.html).join(' ')}`)"""


@pytest.mark.skipif(
    not AXE, reason="no axe: npm install axe-core, AXE=node_modules/axe-core/axe.min.js"
)
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(site, opened, look):
    """On every page and deck of slides, all that folds unfolded, every question answered."""
    axe, found = Path(AXE).read_text("utf-8"), {}
    for file in sorted(site[0].rglob("*.html")):
        at = file.relative_to(site[0]).as_posix()
        page = opened(at, **LOOKS[look])
        page.evaluate(OPEN_ALL)
        page.evaluate(axe)
        found[at] = [seen[:500] for seen in page.evaluate(SEEN)]
        page.close()
    assert len(found) > 40 and not any(found.values()), {k: v for k, v in found.items() if v}


def test_what_scrolls_can_be_reached_by_keyboard(opened):
    """And nothing else: a stop at every line of code would be a nuisance."""
    page = opened(LESSON, width=390)
    boxes = "[...document.querySelectorAll('main pre, main .scroll, main .display, main .out')]"
    scrolls = page.evaluate(f"{boxes}.map(box => box.scrollWidth > box.clientWidth)")
    stops = page.evaluate(f"{boxes}.map(box => box.tabIndex === 0)")
    assert any(scrolls) and not all(scrolls)
    assert stops == scrolls


def test_a_quiz_answers(opened):
    page = opened(LESSON)
    fieldset = page.locator(".quiz fieldset").last
    reasons = fieldset.locator(".reason:visible")
    assert reasons.count() == 0
    first = fieldset.locator("input").first
    first.focus()
    page.keyboard.press("Space")
    assert reasons.count() == 1 and reasons.inner_text().startswith("A.")
    page.keyboard.press("ArrowDown")
    assert reasons.count() == 1 and reasons.inner_text().startswith("B.")
    assert fieldset.locator('[role="status"]').inner_text().startswith("B.")


def test_without_scripts_reasons_can_be_read(opened):
    page = opened(LESSON, java_script_enabled=False)
    assert page.locator(".quiz .reason").first.is_visible()


def test_search_finds(opened):
    page = opened("search.html?q=calibration")
    found = page.locator("#site-found a")
    assert found.count() > 3 and "place" in page.locator("#site-count").inner_text()
    found.first.click()
    page.wait_for_selector("h1")
    assert "calibration" in page.locator("main").inner_text().lower()


def test_light_and_dark_are_kept(opened):
    page = opened("glossary.html", color_scheme="light")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.locator("#site-theme").click()
    assert page.evaluate(ground) != before
    assert page.locator("#site-theme").inner_text() == "Light"


def test_a_phone_does_not_scroll_sideways(site, opened):
    too_wide = {}
    for at in (page.at for page in site[1]):
        page = opened(at, width=390)
        wide = page.evaluate("document.documentElement.scrollWidth")
        page.close()
        if wide > 390:
            too_wide[at] = wide
    assert not too_wide


def test_every_picture_is_seen(opened):
    """The still one of a view, too, which the notebook hides beside its frame."""
    for at in ("lessons/00_prune_your_first_transformer.html", "lessons/01_attention.html"):
        images = opened(at).locator("main img")
        assert images.count() > 5
        assert all(images.nth(i).is_visible() for i in range(images.count())), at


def test_slides_go_by_keys(opened):
    page = opened("slides/04_neurons.html")
    n = page.locator("section").count()
    assert n > 8 and page.locator("section img").count() > 3
    at = "() => Math.round(document.querySelector('main').scrollTop / innerHeight)"
    for key, where in (("ArrowRight", 1), ("PageDown", 2), ("ArrowLeft", 1), ("End", n - 1)):
        page.keyboard.press(key)
        page.wait_for_function(f"({at})() === {where}", timeout=5000)
    tall = page.evaluate(
        "[...document.querySelectorAll('section')].map(s => s.getBoundingClientRect().height)"
    )
    assert set(tall) == {800}


def test_tab_goes_to_the_text_first(opened):
    page = opened(LESSON)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#site-main"


def test_a_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="out: .* holds other files"):
        make_site.build(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("formula", [r"\nonsense{x}", r"\frac{1}{"])
def test_an_unknown_formula_is_said(formula):
    with pytest.raises(maths.Unknown):
        maths.inline(formula)


def test_a_formula_has_words():
    made = maths.display(r"\begin{aligned} a &= \tfrac12 \\ b &< \sqrt d \end{aligned}")
    assert made.count("<svg") == 2 and 'aria-label="b &lt; \\sqrt d"' in made
