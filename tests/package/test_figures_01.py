"""Pictures of lesson 01 that compute something say what they show."""

import html
import re
import sys
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, small_tokenizer

X = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
MATRICES = [
    torch.tensor(values)
    for values in ([[1.0, 1], [1, -1]], [[2.0, 0], [-1, 1]], [[4.0, 0], [-4, 2]])
]


def test_attention_by_hand_is_attention():
    said = pl.figures.attention_by_hand(["Bill", "paid", "he"], X, *MATRICES).alt
    Q, K, V = (X @ matrix for matrix in MATRICES)
    theirs = torch.nn.functional.scaled_dot_product_attention(Q, K, V)
    for row in theirs.tolist():
        assert "output " + ", ".join(f"{value:.2f}" for value in row) + "." in said
    assert "weights 0.80, 0.01, 0.19" in said


def test_strongest_heads_and_counts():
    share = torch.zeros(3, 4)
    share[1, 2], share[2, 0] = 0.9, 0.5
    said = pl.figures.patterns({"same word": share}).alt
    assert (
        "same word: at least half of the attention in 2 heads, most in layer 1, head 2, 90%" in said
    )


def test_pairs_and_shares():
    values = torch.tensor([[0.5, 0.1], [0.3, 0.4], [0.7, 0.1]])
    said = pl.figures.pronouns({"names": values}, ("He", "She"), "title").alt
    assert "3 sentences: mean 50% with He, 20% with She; more with He in 2" in said
    allowed = torch.stack([torch.eye(4), torch.ones(4, 4)]).bool()
    assert "layer 0 25%, layer 1 100%" in pl.figures.who_may_look(allowed, "t").alt
    looked = torch.tensor([[0.5, 0.25, 0.25], [0.3, 0.35, 0.35]])
    said = pl.figures.looked_and_taken(looked, looked.flip(1), ("a", "b", "c")).alt
    assert "on average a 40%, b 30%, c 30%" in said and "on average a 30%, b 30%, c 40%" in said


def test_forbidden_pairs_are_counted():
    weights = torch.ones(5, 5).tril()
    said = pl.figures.kinds_of_attention({"masked\nself": weights / weights.sum(-1, True)}).alt
    assert "masked self: 5 queries, 5 keys, 10 pairs forbidden" in said


@pytest.mark.parametrize("tokens", [["a", "b"], ["你", "$x$"], [f"w{i}" for i in range(100)]])
def test_a_map_of_any_tokens(tokens):
    weights = torch.eye(len(tokens))
    picture = pl.figures.attention_map(tokens, weights, "layer 0, head 1")
    assert f"{tokens[1]} at {tokens[1]}" in picture.alt and "w40" not in picture.alt
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) < 150_000
    assert tokens[0] in pl.figures.where_it_looks(tokens, weights[0], 0, "t").alt


def test_diagrams_fit_the_page():
    for draw in (pl.figures.bottleneck, pl.figures.pictograms, pl.figures.architectures):
        picture = draw()
        width, height = (int.from_bytes(picture.png[i : i + 4], "big") for i in (16, 20))
        assert picture.width <= 840 and height * picture.width / width <= 550
        assert re.search(r"\w{3,}", picture.alt)


# --- BertViz's views in the lesson ---


def test_a_view_opens_with_the_heads_that_are_asked_for():
    model, tokenizer = make(), small_tokenizer()
    view = pl.show_heads(model, tokenizer, "turn on the light", layer=1, heads=[2, 0])
    assert '"heads":[0,2]' in html.unescape(view._repr_html_())
    assert "Layer 1, heads 0, 2 of 4" in repr(view)
    for heads in ([], [4], [-1], 2, ["a"], [True]):
        with pytest.raises(ValueError, match="heads: is .* some of 0 to 3"):
            pl.show_heads(model, tokenizer, "turn on", heads=heads)


@pytest.mark.parametrize("words", [1, 9, 30])
def test_views_fit_a_projector(words):
    model, tokenizer = make(), small_tokenizer()
    sentence = " ".join(f"w{i}" for i in range(words))
    for view in (
        pl.show_heads(model, tokenizer, sentence),
        pl.show_model(model, tokenizer, sentence),
    ):
        page = view._repr_html_()
        assert int(re.search(r"height:(\d+)px;border", page)[1]) <= 560
        width, height = (int.from_bytes(view.picture[i : i + 4], "big") for i in (16, 20))
        assert width <= 1.5 * 840 and height <= 1.5 * 525
        name = re.search(r"<style>\.([\w-]+)\{display:none\}</style>", page)[1]
        assert f'<div class="{name}"><img src="data:image/png' in page
