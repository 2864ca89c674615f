"""Attention maps, and the environment check."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching import environment

sys.path.insert(0, str(Path(__file__).parent))

SENTENCE = "turn on the light"


def test_maps_are_the_models_own(embedded):
    model, tokenizer = embedded
    found = pl.attention_maps(model, tokenizer, SENTENCE)
    assert len(found.maps) == 12 and found.maps[0].shape == (
        1,
        12,
        len(found.tokens),
        len(found.tokens),
    )
    assert model.config._attn_implementation == "sdpa"  # as it was
    layer = model.roberta.encoder.layer[0].attention.self
    with torch.no_grad():
        x = model.roberta.embeddings(tokenizer(SENTENCE, return_tensors="pt")["input_ids"])
        split = lambda y: y.view(1, -1, 12, 32).transpose(1, 2)  # (1, heads, T, 32)
        by_hand = (split(layer.query(x)) @ split(layer.key(x)).transpose(2, 3) / 32**0.5).softmax(
            -1
        )
    assert (found.maps[0] - by_hand).abs().max() < 1e-5


def test_removed_heads_keep_their_place(embedded):
    model, tokenizer = embedded
    masks = pl.Masks.keep_all(model)
    masks.heads[3, [0, 5]], masks.heads[4], masks.layers[7] = False, False, False
    before, after = (
        pl.attention_maps(m, tokenizer, SENTENCE).maps for m in (model, pl.prune(model, masks))
    )
    assert len(after) == 11
    gone = (after[3][0].flatten(1).sum(1) == 0).nonzero().flatten().tolist()
    assert gone == [0, 5] and not after[4].any()
    assert torch.allclose(after[3][0, 1], before[3][0, 1], atol=1e-5)


def test_views_hold_all_they_need(embedded):
    model, tokenizer = embedded
    small = pl.prune(model, pl.random_masks(model, 0.3, seed=1))
    for view in (
        pl.show_heads(small, tokenizer, SENTENCE, layer=3),
        pl.show_model(small, tokenizer, SENTENCE),
        pl.show_heads(model, tokenizer, "It rains.", "Es regnet."),
    ):
        html = view._repr_html_()
        assert "<iframe" in html and "Row:" in repr(view) or "row:" in repr(view)
        assert not re.search(r"(src|href)=(&quot;|\")(https?:)?//", html)  # nothing is fetched
        assert len(html) < 750_000 and 0 < len(view.picture) < 150_000


def test_bad_input(embedded):
    model, tokenizer = embedded
    with pytest.raises(ValueError, match="sentence.*must be text"):
        pl.attention_maps(model, tokenizer, " ")
    with pytest.raises(ValueError, match="layer.*99.*0 to 11"):
        pl.show_heads(model, tokenizer, SENTENCE, layer=99)
    with pytest.raises(TypeError, match="model.*Linear"):
        pl.attention_maps(torch.nn.Linear(2, 2), tokenizer, SENTENCE)
    masks = pl.Masks.keep_all(model)
    masks.layers[:] = False
    with pytest.raises(ValueError, match="no layers left"):
        pl.show_model(pl.prune(model, masks), tokenizer, SENTENCE)


def test_environment_says_what_is_wrong(monkeypatch, capsys):
    assert pl.check_environment() and "All is well" in capsys.readouterr().out
    version = metadata.version

    def fake(name):
        if name == "bertviz":
            raise metadata.PackageNotFoundError
        return "4.57.6" if name == "transformers" else version(name)

    monkeypatch.setattr(environment.metadata, "version", fake)
    assert not pl.check_environment()
    said = capsys.readouterr().out
    assert (
        "bertviz is not installed" in said
        and "transformers is 4.57.6, older than 5.15" in said
        and "pip install" in said
    )


def test_a_pair_begins_behind_the_first_text(embedded):
    """By place, not by a name: a text may hold a separator, and BERT has others."""
    model, tokenizer = embedded
    assert pl.attention_maps(model, tokenizer, "a b", "c").pair_start == 5  # <s> a ▁ b </s> | </s>
    found = pl.attention_maps(model, tokenizer, "a </s> b", "c")
    assert found.pair_start == 7 and found.tokens[6:9] == ["</s>", "</s>", "c"]
    with pytest.raises(ValueError, match="pair: is ' ', must be text"):
        pl.attention_maps(model, tokenizer, "a", " ")
