"""Text from checkpoints and data is shown, and does nothing else: in HTML, in BertViz's page, in
Markdown, in pictures.
"""

import json
import re
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest
import torch
from bertviz import head_view, model_view
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tokenizers import normalizers

import pruning_lessons as pl
from pruning_lessons.measuring.escapes import in_html, in_markdown, in_script, one_line
from pruning_lessons.shipping.card import card
from pruning_lessons.teaching import attention, labels
from pruning_lessons.teaching.attention import AttentionMaps, View

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, small_tokenizer

WORST = [
    "</script><script>run()</script>",
    "<!--<script>",
    "-->",
    "]]>",
    "\"'><img src=x onerror=run()>",
    "&lt;b&gt;",
    "\x00",
    "\u2028\u2029",
    "\u202eright to left\u200f",
    "\ud800",
    "$x_1$ $$ \\(y\\)",
    "$\\frac{",
    "a|b",
    "one\n\n# two\r\n- three",
    "`code` ```",
    "[a](javascript:run())",
    "![a](http://x)",
    "http://x.y www.x.y a@b.c",
    "_a_ *b* ~~c~~ :d: ^e^ \\",
    "w" * 100_000,
    "PYTHON_PARAMS // HACK: ",
    "你好 สวัสดี مرحبا 😀",
]
hostile = st.lists(st.sampled_from(WORST) | st.text(max_size=8), min_size=1, max_size=4).map(
    "".join
)
several = settings(max_examples=60, deadline=None)
few = settings(max_examples=20, deadline=None)


class Parsed(HTMLParser):
    """A page's elements with the names of their attributes, its texts, and values of attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.texts, self.values = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, *(name for name, _ in attributes)))
        self.values += [value for _, value in attributes]

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}",))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.elements.append(("comment",))

    handle_decl = handle_pi = unknown_decl = handle_comment


@several
@given(hostile)
def test_one_line_in_html_and_in_a_script(text):
    line = one_line(text)
    assert len(line) <= 300 and len(line.splitlines()) <= 1
    line.encode("utf-8")  # no halves of pairs
    assert not re.search("[\x00-\x1f\u202a-\u202e\u2066-\u2069]", line)
    for page in (f"<p>{in_html(text)}</p>", f"<p title='{in_html(text)}'>a</p>"):
        found = Parsed(page)
        assert len(found.elements) == 2 and line in found.texts + found.values or not line
    assert json.loads(in_script([text])) == [text]
    assert not re.search("[<>&\u2028\u2029]", in_script([text]))


@several
@given(hostile, hostile)
@example("$x$", "a")
def test_tables(label, cell):
    found = pl.table([("label", "$"), (label, cell)])
    page, plain = (
        Parsed(found._repr_html_()),
        Parsed(pl.table([("a", "$"), ("b", 1)])._repr_html_()),
    )
    assert page.elements == plain.elements
    assert "mathjax_ignore" in page.values[0]  # no formula is set in it
    assert len(repr(found).split("\n")) == 2 and "\x1b" not in repr(found)
    assert "class" not in pl.table([("a", "b"), ("c", 1)])._repr_html_()


def elements(text: str) -> list[str]:
    """The kinds of all that a reader of Markdown finds in a text, as GitHub reads it."""
    found = []
    for token in MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text):
        found.append(token.type)
        found += [inner.type for inner in token.children or [] if inner.type != "text"]
    return [kind for kind in found if kind != "text_special"]


@several
@given(hostile)
@example("http\u2028x")
def test_markdown(text):
    places = "# {}\n", "A label, {}, and more.\n", "| a | b |\n| --- | --- |\n| {} | c |\n"
    for place in places:
        assert elements(place.format(in_markdown(text))) == elements(place.format("a"))
    heading = MarkdownIt("gfm-like", {"linkify": False}).render(f"# a {in_markdown(text)}")
    assert "".join(Parsed(heading).texts).strip() == f"a {one_line(text)}".strip()
    assert not re.search(r"(?<!\\)[:@]|www\.|(?<!\\)\$", in_markdown(text))  # no links, no formulas


def test_the_card_shows_hostile_names():
    config = dict(num_attention_heads=2, intermediate_size=4, hidden_size=8, vocab_size=9)
    made = dict(task="fill-mask", heads=[2], neurons=[4], max_length=32, truncation_side="right")
    made |= dict(prompts={}, figures={}, labels=["a"], special_tokens={"mask_token": "<m>"})
    plain = card(config | {"model_type": "x"}, made | {"figures": {"a": "b"}}, {})
    for text in WORST:
        own = {"labels": [text], "figures": {text: text}, "special_tokens": {"mask_token": text}}
        shown = card(config | {"model_type": text}, made | own, {})
        assert elements(shown) == elements(plain), text
        assert shown.encode("utf-8")


# --- BertViz's page ---


def maps(tokens, layers=2, heads=3, pair_start=None) -> AttentionMaps:
    T = len(tokens)
    found = torch.rand(layers, 1, heads, T, T, generator=torch.Generator().manual_seed(0))
    return AttentionMaps(tokens, list(found.softmax(-1)), pair_start)


def frame_of(page: str) -> Parsed:
    """The page inside the view's frame."""
    found = Parsed(page)
    assert [element[0] for element in found.elements] == ["iframe", "/iframe"]
    assert found.elements[0][1:3] == ("title", "sandbox") and "allow-scripts" in found.values
    return Parsed(found.values[2])


@few
@given(st.lists(hostile, min_size=2, max_size=6), st.sampled_from([head_view, model_view]))
def test_no_token_gets_out_of_bertviz_s_data(tokens, view):
    made = lambda tokens: frame_of(
        attention._iframe(attention._page(view, maps(tokens, pair_start=1)), 100)
    )
    found, plain = made(tokens), made(["a"] * len(tokens))
    assert found.elements == plain.elements
    data = re.search(r"const params = unpacked\((.*)\);\n", "".join(found.texts))[1]
    assert json.loads(data)["tokens"] == tokens
    assert "'none'" in "".join(filter(None, found.values))  # fetches nothing


@few
@given(hostile)
def test_the_words_under_a_picture(text):
    found, plain = (Parsed(View("", b"", said)._repr_html_()) for said in (text, "a"))
    assert found.elements == plain.elements and "mathjax_ignore" in found.values[0]


def test_weights_are_those_of_the_maps():
    found = maps(["a", "b", "c"], pair_start=1)
    data = re.search(r"unpacked\((.*)\);\n", attention._page(head_view, found))[1]
    data = json.loads(data)
    bytes_ = torch.frombuffer(
        bytearray(attention.base64.b64decode(data["weights"])), dtype=torch.uint8
    )
    weights = bytes_.view(*data["shape"], data["shape"][-1]) / 255
    assert (weights - torch.cat(found.maps)).abs().max() <= 0.5 / 255 + 1e-6
    parts = [(part["name"][-15:], part["rows"], part["columns"]) for part in data["attention"]]
    assert parts[0][1:] == ([0, 3], [0, 3]) and len(parts) == 5
    assert ("A -> Sentence B", [0, 1], [1, 3]) in parts
    assert ("B -> Sentence A", [1, 3], [0, 1]) in parts


# --- long, blank and strange sentences ---


def test_a_view_says_what_it_leaves_out():
    model, tokenizer = make(), small_tokenizer()
    sentence = " ".join(f"w{i}" for i in range(70))  # 72 tokens; the model reads 38
    for show in (pl.show_heads, pl.show_model):
        said = repr(show(model, tokenizer, sentence, max_tokens=8))
        assert "the first 8 of 72 tokens; max_tokens=38 shows more" in said
        assert "reads no more than 38" in said
        said = repr(show(model, tokenizer, "turn on the light", max_tokens=6))
        assert "Shown are" not in said
        with pytest.raises(ValueError, match="max_tokens: is 999, .* 4 to 128"):
            show(model, tokenizer, sentence, max_tokens=999)
    said = repr(pl.show_heads(model, tokenizer, "turn on " * 3, "light", max_tokens=7))
    assert "first tokens of each text, 7 of 11 tokens; max_tokens=11 shows all." in said


def test_of_a_pair_each_text_is_shown():
    assert attention._first(20, None, 8) == (list(range(8)), None)
    assert attention._first(20, 10, 8) == ([0, 1, 2, 3, 10, 11, 12, 13], 4)
    assert attention._first(20, 18, 8) == ([0, 1, 2, 3, 4, 5, 18, 19], 6)
    assert attention._first(20, 2, 8) == ([0, 1, 2, 3, 4, 5, 6, 7], 2)
    assert attention._first(6, 3, 8) == ([0, 1, 2, 3, 4, 5], 3)


def test_a_page_stays_under_a_megabyte(embedded):
    model, tokenizer = embedded
    sentence = "turn on the light in the kitchen and play some music " * 60
    view = pl.show_heads(model, tokenizer, sentence)
    assert "the first 48 of" in repr(view) and "no more than 512" in repr(view)
    assert len(view._repr_html_()) < 1e6


@pytest.mark.parametrize("sentence", ["", " \n", "\u3000", "\ud800", None, ["a"]])
def test_no_text_gives_a_line_and_no_traceback(sentence):
    for show in (pl.show_heads, pl.show_model, pl.attention_maps):
        with pytest.raises(ValueError, match="sentence: is .*, must be text") as error:
            show(make(), small_tokenizer(), sentence)
        assert error.value._render_traceback_() == [f"✗ {error.value}"]


def test_sentences_that_leave_nothing_known(embedded):
    """Unknown words, invisible ones, and a pair of which one text leaves no token."""
    model, tokenizer = embedded
    for sentence, pair in [("\u200b", None), ("\u200b", "a"), ("a", "\u200b"), ("ᚠᚢᚦ 🜁", None)]:
        found = pl.attention_maps(model, tokenizer, sentence, pair)
        assert found.pair_start is None or 0 < found.pair_start < len(found.tokens)
    bare = small_tokenizer()
    bare._tokenizer.normalizer = normalizers.Replace("x", "")
    assert pl.attention_maps(make(), bare, "x", "light").pair_start == 2  # <s> </s> | </s> light
    assert pl.attention_maps(make(), bare, "light", "x").pair_start == 3
    bare._tokenizer.post_processor = None
    assert pl.attention_maps(make(), bare, "x", "light").pair_start is None
    with pytest.raises(ValueError, match="sentence: .* leaves no token"):
        pl.show_heads(make(), bare, "x")
    with pytest.raises(ValueError, match="tokenizer: .* do not belong together"):
        pl.show_heads(make(), small_tokenizer(200), "w150")


# --- pictures ---


def test_pictures_of_hostile_tokens():
    """No formula is set, nothing warns, and a sign that no font has gets a number."""
    tokens = [one_line(token, attention.WIDEST) for token in WORST]
    with warnings.catch_warnings(), matplotlib.rc_context({"text.usetex": True}):
        warnings.simplefilter("error")
        named, families, key = labels.labels_for(tokens)
        heads = maps(tokens).maps[0][0]
        assert attention._grid(heads, named, families, "layer 0").startswith(b"\x89PNG")
    assert named[0] == tokens[0] and set(key.values()) <= set(tokens)


def test_a_dollar_is_drawn_as_a_dollar():
    heads = maps(["a", "b"]).maps[0][0]
    draw = lambda *names: attention._grid(heads, list(names), ["DejaVu Sans"], "layer 0")
    assert draw("$x$", "b") != draw("x", "b") and draw("$\\frac{$", "b")


def test_fonts(monkeypatch):
    """The user's own first, then any that has the signs; a font of boxes has none."""
    with matplotlib.rc_context({"font.family": ["cmr10"]}):  # has no Cyrillic
        found, families, key = labels.labels_for(["свет", "light"])
        assert found == ["свет", "light"] and families[0] == "cmr10" and len(families) == 2
        assert not key
    found, families, key = labels.labels_for(["a", "\U00010600"])
    assert found == ["a", "#1"] and key["#1"] == "\U00010600"
    assert not any("Last Resort" in family for family in families)
    monkeypatch.setattr(labels, "_shapes", lambda: False)  # matplotlib 3.10
    labels._search.cache_clear()
    assert labels.labels_for(["مرحبا"])[2] == {"#0": "مرحبا"}
    labels._search.cache_clear()
