"""A pruned vocabulary splits kept texts as before, and the model says the same about them."""

import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import pruning_lessons as pl
from pruning_lessons.pruning.vocabulary import prune_vocabulary, vocabulary_report

SENTENCES = pl.load_intents("test").sentences


def pieces(tokenizer, texts):
    return [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(texts).input_ids]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), characters=st.booleans())
def test_kept_texts_are_split_as_before(embedded, seed, n, characters):
    model, tokenizer = embedded
    texts = random.Random(seed).sample(SENTENCES, n)
    small, other = prune_vocabulary(model, tokenizer, texts, characters=characters)
    assert pieces(other, texts) == pieces(tokenizer, texts)
    assert len(other) == small.config.vocab_size < len(tokenizer) == model.config.vocab_size
    batch, new = (t(texts[:4], padding=True, return_tensors="pt") for t in (tokenizer, other))
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, small(**new).logits)


def test_no_new_unknowns(embedded):
    model, tokenizer = embedded
    german = pl.load_intents("train", ["de"]).sentences
    _, small = prune_vocabulary(model, tokenizer, german)
    others = [
        *pl.load_intents("test", ["de", "en", "es"]).sentences,
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 1234567890!?",
    ]
    assert not any(small.unk_token_id in ids for ids in small(others).input_ids)
    assert any(
        small.unk_token_id in ids for ids in small(["Включи свет"]).input_ids
    )  # Cyrillic was not asked for
    found = vocabulary_report(tokenizer, small, others, 384)
    assert found.with_unknown == (0, 0) and 0 < found.split_differently < 1 and "MB" in repr(found)
    assert (
        found.pieces == (len(tokenizer), len(small))
        and found.megabytes[0] == len(tokenizer) * 384 * 4 / 1e6
    )


def test_fill_mask_is_cut_together(embedded):
    filler, tokenizer = pl.load(task="fill-mask")
    with torch.no_grad():
        filler.lm_head.bias.copy_(torch.randn(len(filler.lm_head.bias)))
    text = "turn on the <mask> in the kitchen"
    small, other = prune_vocabulary(filler, tokenizer, [*SENTENCES[:200], text])
    assert (
        small.lm_head.decoder.weight
        is small.roberta.embeddings.word_embeddings.weight
        is not filler.lm_head.decoder.weight
    )
    with torch.no_grad():
        old = filler(**tokenizer(text, return_tensors="pt")).logits
        new = small(**other(text, return_tensors="pt")).logits
    kept = tokenizer.convert_tokens_to_ids(other.convert_ids_to_tokens(list(range(len(other)))))
    assert new.shape[-1] == len(other) and torch.allclose(old[..., kept], new, atol=1e-5)
    assert filler.config.vocab_size == len(tokenizer) == filler.lm_head.bias.numel()


def test_pruned_models_and_files(embedded, tmp_path):
    model, tokenizer = embedded
    masks = pl.random_masks(model, 0.4, seed=1)
    masks.layers[3] = False
    small, other = prune_vocabulary(pl.prune(model, masks), tokenizer, SENTENCES[:50])
    folder = pl.save(small, other, tmp_path / "small")
    again, reloaded = pl.load(folder)
    assert all(
        torch.equal(a, b) for a, b in zip(small.state_dict().values(), again.state_dict().values())
    )
    text = [SENTENCES[0] + " <mask>"]
    assert (
        AutoTokenizer.from_pretrained(folder)(text).input_ids
        == reloaded(text).input_ids
        == other(text).input_ids
    )
    assert (
        other(text).input_ids[0][0] == other.bos_token_id
        and other.mask_token_id in other(text).input_ids[0]
    )


def test_ids_and_bad_input(embedded):
    model, tokenizer = embedded
    small, other = prune_vocabulary(model, tokenizer, [100, 200], characters=False)
    assert len(other) == 2 + len(set(tokenizer.all_special_ids))
    with pytest.raises(ValueError, match="keep.*empty"):
        prune_vocabulary(model, tokenizer, [])
    with pytest.raises(ValueError, match="keep.*ids from 0 to"):
        prune_vocabulary(model, tokenizer, [10**6])
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    )
    with pytest.raises(ValueError, match="tokenizer.*WordLevel.*Unigram"):
        prune_vocabulary(model, words, ["a"])
    with pytest.raises(ValueError, match="do not belong together"):
        prune_vocabulary(small, tokenizer, ["a"])


def test_masked_models_and_bad_input(embedded):
    model, tokenizer = embedded
    masked = pl.prune_weights(model, 0.5)
    small, other = prune_vocabulary(masked, tokenizer, SENTENCES[:20])
    with torch.no_grad():
        old = masked(**tokenizer(SENTENCES[0], return_tensors="pt")).logits
        assert torch.equal(old, small(**other(SENTENCES[0], return_tensors="pt")).logits)
    with pytest.raises(ValueError, match="keep"):
        prune_vocabulary(model, tokenizer, "turn on the light")
    more = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
    )
    more.add_tokens(["<extra>"])
    with pytest.raises(ValueError, match="<extra>"):
        prune_vocabulary(model, more, SENTENCES[:20])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000))
def test_unknown_characters_change_no_split(embedded, seed):
    """An unknown costs the lowest score less ten, and the lowest score may go: splits must not
    shift around unknowns.
    """
    model, tokenizer = embedded
    rng = random.Random(seed)
    texts = []
    for text in rng.sample(SENTENCES, 10):
        place = rng.randrange(len(text) + 1)
        texts.append(
            text[:place] + rng.choice("\U00013000ᚠ\U0001f9ff") * rng.randrange(1, 4) + text[place:]
        )
    _, other = prune_vocabulary(model, tokenizer, texts)
    assert pieces(other, texts) == pieces(tokenizer, texts)
