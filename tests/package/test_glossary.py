"""The glossary is in order, can be linked to, and is plain Markdown, which JupyterLab shows."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

FILE = Path(__file__).resolve().parents[2] / "notebooks" / "glossary.md"
TEXT = FILE.read_text("utf-8")
TERMS, SOURCES = TEXT.split("\n## Sources\n")
ENTRY = re.compile(
    r'<a id="(?P<anchor>[a-z0-9-]+)"></a>\*\*(?P<term>[^*]+)\*\*(?: \((?P<also>[^()]+)\))?: '
    r"(?P<text>.+[.)]) \*Lesson (?P<lesson>\d\d)\.(?: (?P<source>.+)\.)?\*"
)
LINES = [line for line in TERMS.splitlines() if line.startswith("<")]
ENTRIES = [ENTRY.fullmatch(line) for line in LINES]
LAST_LESSON = 11
MATHS = re.compile(r"\$[^$]+\$")


def column(name: str) -> list[str]:
    return [entry[name] for entry in ENTRIES]


def test_every_entry_is_term_text_and_lesson():
    assert [line for line, entry in zip(LINES, ENTRIES) if entry is None] == []
    assert len(ENTRIES) > 50
    assert TERMS.count("<a id") == len(ENTRIES)  # none is hidden in another line


def test_terms_are_sorted_and_unique():
    terms = [term.casefold() for term in column("term")]
    assert terms == sorted(set(terms))
    letters = re.findall(r"^## (.+)$", TERMS, re.M)
    assert letters == sorted({term[0].upper() for term in terms})
    parts = re.split(r"^## (.+)$", TERMS, flags=re.M)[1:]
    for letter, part in zip(parts[::2], parts[1::2]):
        assert {term[0].upper() for term in re.findall(r"</a>\*\*(.)", part)} == {letter}


def test_no_name_means_two_things():
    names = column("term") + [
        name for also in filter(None, column("also")) for name in also.split(", ")
    ]
    assert len({name.casefold() for name in names}) == len(names)


def test_anchors_are_unique_and_links_lead_to_them():
    anchors = column("anchor")
    assert len(set(anchors)) == len(anchors)
    for term, anchor in zip(column("term"), anchors):  # can be guessed from the term
        assert anchor == re.sub(r"\W+", "-", term.replace("'", "").lower())
    assert set(re.findall(r"\]\(([^)]*)\)", TEXT)) <= {f"#{anchor}" for anchor in anchors}


def test_lessons_exist():
    assert {int(lesson) for lesson in column("lesson")} == set(range(LAST_LESSON + 1))


def test_entries_are_short():
    for anchor, text in zip(column("anchor"), column("text")):
        sentences = re.findall(r"[.!?](?= |$)", MATHS.sub("x", text))
        assert len(sentences) <= 3 and len(text) < 330, anchor


def test_sources_are_sorted_and_all_cited():
    sources = re.findall(r"^- (.+ \d{4}), \*.+\*\.?$", SOURCES, re.M)
    assert len(sources) == SOURCES.count("\n- ") and sources == sorted(set(sources))
    cited = {
        re.sub(r" \([^()]+\)$", "", source)
        for entry in filter(None, column("source"))
        for source in entry.split("; ")
    }
    assert cited == set(sources)


def test_it_is_plain_markdown():
    assert not re.search(r"\\[(\[]|\$\$|^\|", TEXT, re.M)  # maths is $…$, and no tables
    assert all(line.count("$") % 2 == 0 for line in TEXT.splitlines())
    without_maths = MATHS.sub("x", TEXT)
    assert "\\" not in without_maths
    tokens = MarkdownIt("commonmark").parse(without_maths)
    assert {t.type for t in tokens} == {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"),
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
    }
    inside = [child for token in tokens for child in token.children or []]
    html = [child.content for child in inside if child.type == "html_inline"]
    assert html == [part for a in column("anchor") for part in (f'<a id="{a}">', "</a>")]
    assert not any("*" in child.content for child in inside if child.type == "text")
