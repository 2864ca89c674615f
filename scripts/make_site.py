"""Build the course as a static site: `python scripts/make_site.py [--out site]`.

From the executed notebooks as they are committed; nothing is run. Lessons with pictures, folded
hints and solutions, quizzes that answer in the browser, glossary, teacher's guide, reference of the
package, benchmarks, search. No page asks another host for anything, and each can be read without
scripts.
"""

import argparse
import html
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import maths
import nbformat
import set_address
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

import pruning_lessons as pl
from pruning_lessons.teaching.quiz import Question, of_lesson

ROOT = Path(__file__).resolve().parent.parent
PARTS = Path(__file__).resolve().parent / "site"
NOTEBOOKS = ROOT / "notebooks"
LIGHT, DARK = "xcode", "monokai"  # enough contrast on the page's own ground
ASK = re.compile(r'^pl\.quiz\("(\d\d)(?:\.(\w+))?"\)\s*;?\s*$')
NOT_SHOWN = re.compile(r"^pl\.progress\(")


@dataclass
class Page:
    """One page: where it is on the site, what it is made of, and the texts that search finds."""

    at: str
    title: str
    source: Path | None = None  # relative links in a source are by the folder it is in
    body: str = ""
    sections: list[tuple[str, str, str]] = field(default_factory=list)  # heading, anchor, text

    @property
    def up(self) -> str:
        return "../" * self.at.count("/")


def menu() -> list[tuple[str, list[Page]]]:
    """All pages, in their order, under headings."""
    lessons = [
        Page(f"lessons/{file.stem}.html", title_of(file), file)
        for file in sorted(NOTEBOOKS.glob("*.ipynb"))
    ]
    text = lambda folder, *names: [
        Page(f"{folder}/{Path(name).stem.lower()}.html", title, ROOT / folder / name)
        for name, title in names
        if (ROOT / folder / name).exists()
    ]
    here = Page("index.html", "The course", ROOT / "README.md")
    words = Page("glossary.html", "Glossary", NOTEBOOKS / "glossary.md")
    teachers = text(
        "workshop",
        ("README.md", "Teaching this course"),
        ("schedule.md", "Schedules"),
        ("instructors.md", "Lesson by lesson"),
        ("stumbles.md", "Where people stumble"),
        ("setup.md", "Before the workshop"),
        ("hub.md", "On a hub"),
        ("profiles.md", "Who comes"),
        ("surveys.md", "Questions to learners"),
        ("log.md", "Workshops held"),
    )
    measured = text(
        "benchmarks",
        ("README.md", "Beside other methods"),
        ("speed.md", "Speed"),
        ("distil.md", "What distillation wins back"),
        ("cost.md", "Cost and growth"),
        ("room.md", "A room on one machine"),
        ("base_size.md", "At XLM-R base's size"),
        ("tasks.md", "Scoring, by task"),
        ("trials.md", "What was tried"),
        ("claims.md", "The lessons' claims"),
    )
    reference = [
        Page("reference.html", "All public names"),
        Page("contributing.html", "How to change this", ROOT / "CONTRIBUTING.md"),
        Page("changelog.html", "Changes", ROOT / "CHANGELOG.md"),
        *text("workshop", ("versions.md", "Versions that ran")),
    ]
    return [
        ("Start", [here, Page("search.html", "Search")]),
        ("Lessons", [*lessons, words]),
        ("Teaching", teachers),
        ("The package", reference),
        ("Measured", measured),
    ]


def title_of(notebook: Path) -> str:
    first = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0]
    return first.lstrip("# ").strip()


# ---- Markdown


def slug(text: str) -> str:
    """As JupyterLab names a heading, so that links within a lesson lead there on both."""
    return re.sub(r"\s+", "-", re.sub(r"[\"<>&]", "", text).strip()) or "here"


def coloured(code: str, language: str = "python", _=None) -> str:
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


def markdown() -> MarkdownIt:
    def formula(text: str, how: dict) -> str:
        return maths.display(text) if how.get("display_mode") else maths.inline(text)

    made = MarkdownIt("commonmark", {"html": True, "highlight": coloured}).enable("table")
    made.use(dollarmath_plugin, renderer=formula, allow_digits=False, double_inline=True)
    made.use(anchors_plugin, max_level=3, slug_func=slug, permalink=True, permalinkSymbol="#")
    made.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>')
    made.add_render_rule("table_close", lambda *_: "</table></div>")
    made.add_render_rule("math_block", lambda self, t, i, *_: maths.display(t[i].content))
    made.add_render_rule("math_inline", lambda self, t, i, *_: maths.inline(t[i].content))
    made.add_render_rule("math_inline_double", lambda self, t, i, *_: maths.display(t[i].content))
    return made


class Links:
    """Where a link in a source leads on the site."""

    def __init__(self, pages: list[Page]):
        self.pages = {page.source: page for page in pages if page.source}
        self.at = set_address.address()
        self.copied: dict[Path, str] = {}  # files that the site has a copy of

    def __call__(self, page: Page, link: str) -> str | None:
        """None where nothing on the site, and no repository yet, has what is meant."""
        if re.match(r"[a-z]+:|#|//", link):
            return link
        path, _, anchor = link.partition("#")
        target = (page.source.parent / path).resolve() if page.source else ROOT / path
        if target.is_dir() and (target / "README.md").exists():
            target = target / "README.md"
        anchor = f"#{anchor}" if anchor else ""
        if target in self.pages:
            return page.up + self.pages[target].at + anchor
        if target.suffix in (".png", ".svg"):
            self.copied[target] = f"pictures/{target.name}"
            return page.up + self.copied[target]
        if set_address.is_set(self.at) and target.exists() and ROOT in target.parents:
            return f"https://github.com/{self.at}/blob/main/{target.relative_to(ROOT).as_posix()}"
        return None

    def rewrite(self, page: Page, body: str) -> str:
        def link(found: re.Match) -> str:
            at = self(page, html.unescape(found[2]))
            return "<a>" if at is None else f'<a{found[1]}href="{html.escape(at)}"'

        def image(found: re.Match) -> str:
            return f'{found[1]}src="{html.escape(self(page, html.unescape(found[2])) or "")}"'

        body = re.sub(r'<a((?: [^>]*?)? )href="([^"]*)"', link, body)
        body = body.replace("<a>>", "<a>")
        return re.sub(r'(<img [^>]*?)src="((?!data:)[^"]*)"', image, body)


def headed(body: str) -> str:
    """A corner of a table that has no words is no heading: to a screen reader it names nothing."""
    return re.sub(r"<th(?: [^>]*)?>\s*</th>", "<td></td>", body)


# ---- lessons


def lesson(page: Page, render: Callable[[str], str]) -> str:
    """The body of a lesson: text, code, what it showed, solutions folded in."""
    learner = nbformat.read(page.source, as_version=4)
    solved = nbformat.read(NOTEBOOKS / "solutions" / page.source.name, as_version=4)
    parts = []
    for cell, twin in zip(learner.cells, solved.cells):
        if cell.cell_type == "markdown":
            parts.append(render(cell.source))
        elif "install" not in cell.metadata.get("tags", ()):
            parts.append(code_cell(cell, twin))
    return parts[0] + ways_in(page) + "".join(parts[1:])


def ways_in(page: Page) -> str:
    """To download, and to run where an address is set."""
    at = f"{page.up}notebooks/{quote(page.source.name)}"
    slides = f"{page.up}slides/{page.source.stem}.html"
    links = [
        f'<a href="{at}" download>Download this notebook</a>',
        f'<a href="{slides}">Slides</a>',
    ]
    launch = set_address.launch_links(set_address.address(), page.source.stem)
    for name, address in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", launch):
        links.append(f'<a href="{html.escape(address)}">{name}</a>')
    return f'<p class="note">{" · ".join(links)}</p>'


def code_cell(cell, twin) -> str:
    asked = ASK.match(cell.source)
    if asked:
        questions = of_lesson(asked[1])
        name = f"{asked[1]}.{asked[2]}"
        chosen = [q for q in questions if (q.name == name if asked[2] else not q.predict)]
        return quiz(chosen)
    if NOT_SHOWN.match(cell.source):
        return ""
    code = f"<pre>{coloured(cell.source)}</pre>"
    if twin.source != cell.source:
        code += (
            f"<details><summary>A solution</summary><pre>{coloured(twin.source)}</pre></details>"
        )
    shown = "".join(map(output, cell.get("outputs", [])))
    if "pl.explore(" in cell.source:
        shown += '<p class="note">In the notebook this has controls, and answers at once.</p>'
    return code + (f'<div class="out" tabindex="0">{shown}</div>' if shown else "")


def output(found) -> str:
    data = found.get("data", {})
    if any("widget" in kind for kind in data):
        return ""
    if found.output_type == "stream":
        return f"<pre>{html.escape(found.text)}</pre>"
    if "text/html" in data:
        return still(data["text/html"])
    if "image/png" in data:
        said = html.escape(data.get("text/plain", ""))
        return f'<img src="data:image/png;base64,{data["image/png"].strip()}" alt="{said}">'
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def still(page: str) -> str:
    """Of a view with scripts its picture, without the frame that they would draw in, and without
    the style that hides the picture beside the frame.
    """
    page = re.sub(r"<iframe.*?</iframe>", "", page, flags=re.S)
    page = re.sub(r"<style>\.pruning-lessons[\w-]*\{display:none\}</style>", "", page)
    return re.sub(r"<script.*?</script>", "", page, flags=re.S)


def quiz(questions: list[Question]) -> str:
    marked = lambda text: re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    parts = []
    for question in questions:
        key = question.name.replace(".", "-")
        lines = [f"<fieldset><legend>{marked(question.text)}</legend>"]
        for i, option in enumerate(question.options):
            one = f"q{key}-{i}"
            lines.append(
                f'<label for="{one}"><input type="radio" name="q{key}" id="{one}">'
                f"{marked(option.text)}</label>"
            )
        lines.append('<div class="answer" role="status"></div>')
        for i, option in enumerate(question.options):
            verdict = "✓ Right." if option.right else "✗ Not so."
            look = "" if option.right else f" {marked(question.look)}"
            kind = "reason right" if option.right else "reason"
            lines.append(
                f'<p class="{kind}" data-of="q{key}-{i}"><b>{"ABCDEF"[i]}.</b> {verdict} '
                f"{marked(option.reason)}{look}</p>"
            )
        parts.append("".join([*lines, "</fieldset>"]))
    return f'<div class="quiz">{"".join(parts)}</div>'


# ---- slides


def deck(page: Page, render: Callable[[str], str]) -> list[str]:
    """The slides of a lesson: for each section what it is about, then each question and picture."""
    slides = []
    for cell in nbformat.read(page.source, as_version=4).cells:
        if cell.cell_type == "markdown":
            slides += openings(cell.source, render)
            continue
        asked = ASK.match(cell.source)
        if asked and asked[2]:
            slides.append(quiz([q for q in of_lesson(asked[1]) if q.name[3:] == asked[2]]))
        for found in cell.get("outputs", []):
            shown = output(found)
            if "<img" in shown and slides:
                picture = f'<div class="out">{shown}</div>'
                if "<img" in slides[-1] or "<fieldset" in slides[-1]:
                    slides.append(picture)
                else:
                    slides[-1] += picture
    return slides


def openings(text: str, render: Callable[[str], str]) -> list[str]:
    """Of each section that begins in a cell: the heading and what stands first beneath it."""
    found = []
    for part in re.split(r"^(?=#{1,2} )", text, flags=re.M):
        if part.startswith("#"):
            head, _, rest = part.partition("\n")
            blocks = [b for b in rest.split("\n\n") if b.strip() and b[0] not in "<{["]
            first = blocks[:3] if len(blocks) > 2 and blocks[2].startswith("$$") else blocks[:2]
            if head.startswith("# ") or not re.match(r"## (Setup|Sources)", head):
                made = render("\n\n".join([head, *first]))
                found.append(re.sub(r'(<h[12][^>]*) id="[^"]*"', r"\1", made))
    return found


# ---- the reference


def reference(render: Callable[[str], str]) -> str:
    """Signature and docstring of every public name."""
    body = [render("# All public names\n\n`import pruning_lessons as pl`, then `pl.…`\n")]
    for name in sorted(pl.__all__, key=str.lower):
        value = getattr(pl, name)
        told = inspect.getdoc(value) or ""
        body.append(
            f'<h2 id="{name}">{name} <a class="anchor" href="#{name}" '
            f'aria-label="Link to {name}">#</a></h2><pre>{coloured(signature(name, value))}</pre>'
        )
        is_data = not callable(value) and not inspect.ismodule(value)
        body.append("" if is_data else docstring(told))
    return "".join(body)


def signature(name: str, value) -> str:
    """As one writes it, a line for each argument where it is long."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return f"pl.{name}"
    line = re.sub(r"\bpruning_lessons\.[\w.]*\.(?=\w)", "", f"pl.{name}{found}")
    line = re.sub(
        r"\b(?:collections\.abc|pathlib|torch(?:\.nn\.modules\.\w+)?)\.(?=[A-Z])", "", line
    )
    if len(line) <= 88:
        return line
    arguments = [
        re.sub(r"\b[a-z_]+(?:\.\w+)*\.(?=[A-Z])", "", str(one)) for one in found.parameters.values()
    ]
    end = line[line.rindex(")") :] if ") ->" in line else ")"
    return f"pl.{name}(\n    " + ",\n    ".join(arguments) + f",\n{end}"


def docstring(text: str) -> str:
    """Paragraphs, with `code`, and indented examples."""
    parts = []
    for block in re.split(r"\n\s*\n", text):
        if block.startswith("    "):
            parts.append(f"<pre>{coloured(inspect.cleandoc(block))}</pre>")
        elif block.strip():
            said = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(block))
            said = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", said)
            parts.append(f"<p>{said}</p>")
    return "".join(parts)


# ---- search


def sections(page: Page, body: str) -> list[dict]:
    """What search finds on a page: a text for each heading."""
    body = re.sub(r"<(script|style|svg|pre)\b.*?</\1>", " ", body, flags=re.S)
    pieces = re.split(r'<h[123][^>]* id="([^"]+)"[^>]*>(.*?)</h[123]>', body, flags=re.S)
    found = []
    for anchor, head, text in zip(["", *pieces[1::3]], ["", *pieces[2::3]], pieces[0::3]):
        words = plain(text)
        if words:
            at = page.at + (f"#{anchor}" if anchor else "")
            head = plain(re.sub(r'<a class="(?:header-)?anchor".*?</a>', "", head, flags=re.S))
            head = "" if head == page.title else head
            found.append({"page": page.title, "head": head, "at": at, "text": words[:4000]})
    return found


def plain(body: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


SEARCH = """<h1>Search</h1><div class="search"><label for="site-search">In all pages</label>
<input id="site-search" type="search"></div><p id="site-count" role="status" class="note"></p>
<ol id="site-found" class="found"></ol><noscript><p>Search needs scripts.</p></noscript>"""


# ---- all of it


def build(out: Path) -> list[Page]:
    """Write the site into `out`, which is made anew. Returns its pages."""
    shown = menu()
    pages = [page for _, own in shown for page in own]
    links, made = Links(pages), markdown()
    templates = Environment(loader=FileSystemLoader(PARTS), autoescape=True)
    template = templates.get_template("page.html")
    clear(out)
    index = []
    for page in pages:
        if page.at == "search.html":
            body = SEARCH
        elif page.source is None:
            body = reference(made.render)
        elif page.source.suffix == ".ipynb":
            body = lesson(page, made.render)
        else:
            body = made.render(page.source.read_text("utf-8"))
        page.body = headed(links.rewrite(page, body))
        index += sections(page, page.body)
    for place, page in enumerate(pages):
        about = plain(re.sub(r"<h1.*?</h1>", "", page.body, flags=re.S))[:150]
        written = template.render(
            title=page.title,
            about=about,
            up=page.up,
            at=page.at,
            menu=shown,
            here=next(heading for heading, own in shown if page in own),
            body=page.body,
            before=pages[place - 1] if place else None,
            after=pages[place + 1] if place + 1 < len(pages) else None,
            index=page.at == "search.html",
        )
        write(out / page.at, written)
    write(out / "search-index.js", f"const INDEX = {json.dumps(index, ensure_ascii=False)};\n")
    write(out / "style.css", style())
    for name in ("site.js", "slides.js", "slides.css"):
        shutil.copy(PARTS / name, out)
    for source, at in links.copied.items():
        (out / at).parent.mkdir(exist_ok=True)
        shutil.copy(source, out / at)
    (out / "notebooks").mkdir()
    for page in pages:
        if page.source and page.source.suffix == ".ipynb":
            shutil.copy(page.source, out / "notebooks")
            slides = [links.rewrite(page, slide) for slide in deck(page, made.render)]
            show = templates.get_template("slides.html")
            told = show.render(title=page.title, at=page.at, slides=slides)
            write(out / "slides" / f"{page.source.stem}.html", told)
    return pages


def style() -> str:
    """The page's own, and colours for code in the light and in the dark."""
    dark = HtmlFormatter(style=DARK)
    light = HtmlFormatter(style=LIGHT).get_style_defs("pre")
    by_choice = dark.get_style_defs(':root[data-theme="dark"] pre')
    by_system = dark.get_style_defs(':root:not([data-theme="light"]) pre')
    code = f"{light}\n{by_choice}\n@media (prefers-color-scheme: dark) {{\n{by_system}\n}}\n"
    code = re.sub(r"^.*\bpre \{ background.*$", "", code, flags=re.M)  # the page's own stays
    return (PARTS / "style.css").read_text("utf-8") + code


def clear(out: Path) -> None:
    """An empty folder; refused for one that holds what is not a site."""
    if out.exists() and any(out.iterdir()) and not (out / "search-index.js").exists():
        raise ValueError(f"out: {out} holds other files, must be empty or a site")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    out = parser.parse_args().out
    pages = build(out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{len(pages)} pages, {size / 1e6:.1f} MB, in {os.path.relpath(out)}")


if __name__ == "__main__":
    main()
