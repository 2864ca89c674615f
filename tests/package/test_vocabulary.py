"""A pruned vocabulary splits kept texts as before, and the model says the same about them."""

import copy
import json
import random
from functools import cache

import pytest
import torch
import torch.nn.utils.prune
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    BertTokenizerFast,
    CamembertTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizer,
)

import pruning_lessons as pl
from pruning_lessons.models.anatomy import FAMILIES
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


# Other kinds of tokenizers, and other families: trained on a few sentences, before tiny models.
FIRST = {
    "roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "xlm-roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "camembert": ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"],
    "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
}
WESTERN = pl.load_intents("test", ["de", "en", "es", "fr"]).sentences


@cache
def trained(family):
    """A tokenizer of the family's own class, with about 900 pieces and settings that are not the
    defaults.
    """
    options = {
        "padding_side": "left",
        "truncation_side": "left",
        "model_max_length": 37,
        "extra_special_tokens": ["<topic>"],
        "clean_up_tokenization_spaces": True,
    }
    first = FIRST[family]
    if family == "bert":
        raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        raw.normalizer = normalizers.BertNormalizer(lowercase=False)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        raw.train_from_iterator(
            WESTERN, trainers.WordPieceTrainer(vocab_size=900, special_tokens=first)
        )
        return BertTokenizerFast(vocab=raw.get_vocab(), do_lower_case=False, **options)
    if family == "roberta":
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        raw.train_from_iterator(
            WESTERN,
            trainers.BpeTrainer(vocab_size=900, special_tokens=first, initial_alphabet=alphabet),
        )
        merges = [tuple(m) for m in json.loads(raw.to_str())["model"]["merges"]]
        return RobertaTokenizerFast(
            vocab=raw.get_vocab(), merges=merges, add_prefix_space=True, **options
        )
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.train_from_iterator(
        WESTERN,
        trainers.UnigramTrainer(vocab_size=700, special_tokens=first, unk_token="<unk>"),
    )
    vocab = [tuple(p) for p in json.loads(raw.to_str())["model"]["vocab"]]
    if family == "camembert":
        vocab += [("<s>", 0.0), ("</s>", 0.0), ("<mask>", 0.0)]
        del options["extra_special_tokens"]
        return CamembertTokenizer(vocab=vocab, **options)
    return XLMRobertaTokenizer(vocab=vocab, **options)


@cache
def tiny(family, kind, surplus=0, tied=True):
    """A tiny model before `trained(family)`; surplus: rows beyond the tokenizer's."""
    tokenizer = trained(family)
    torch.manual_seed(0)
    name = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer) + surplus,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=80,
        type_vocab_size=2 if family == "bert" else 1,
        tie_word_embeddings=tied,
        **{
            f"{token}_token_id": getattr(tokenizer, f"{token}_token_id")
            for token in ("pad", "bos", "eos", "sep", "cls", "mask")
        },
    )
    model = getattr(transformers, name + kind)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model, tokenizer


def answers(model, tokenizer, texts):
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt"))[0]


def moved(tokenizer, small):
    """For each of the small tokenizer's ids, what it was."""
    return tokenizer.convert_tokens_to_ids(small.convert_ids_to_tokens(list(range(len(small)))))


@pytest.mark.parametrize("kind", ["ForMaskedLM", "ForSequenceClassification"])
@pytest.mark.parametrize("family", FIRST)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), characters=st.booleans())
def test_each_family_says_the_same(family, kind, seed, n, characters):
    model, tokenizer = tiny(family, kind)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    backend, config = tokenizer.backend_tokenizer.to_str(), model.config.to_dict()
    texts = random.Random(seed).sample(WESTERN, n)
    small, other = prune_vocabulary(model, tokenizer, texts, characters=characters)
    assert model.config.to_dict() == config and tokenizer.backend_tokenizer.to_str() == backend
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert pieces(other, texts) == pieces(tokenizer, texts)
    assert len(other) == small.config.vocab_size < len(tokenizer)
    old, new = answers(model, tokenizer, texts[:4]), answers(small, other, texts[:4])
    if kind == "ForMaskedLM":
        old = old[..., moved(tokenizer, other)]
    assert torch.allclose(old, new, atol=1e-6)


@pytest.mark.parametrize(
    "kind", ["Model", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM"]
)
@pytest.mark.parametrize("family", FIRST)
def test_every_head_and_both_files(family, kind, tmp_path):
    model, tokenizer = tiny(family, kind, surplus=7)
    texts = [*WESTERN[:3], "turn <topic> on " + tokenizer.mask_token]
    small, other = prune_vocabulary(model, tokenizer, WESTERN[:20] + texts)
    assert model.config.vocab_size == len(tokenizer) + 7 and small.config.vocab_size == len(other)
    small.save_pretrained(tmp_path), other.save_pretrained(tmp_path)
    again, report = type(small).from_pretrained(tmp_path, output_loading_info=True)
    reloaded = AutoTokenizer.from_pretrained(tmp_path)
    assert not any(report.values()) and type(reloaded) is type(other) is type(tokenizer)
    for t in (other, reloaded):
        assert pieces(t, texts) == pieces(tokenizer, texts)
        assert t.get_vocab() == other.get_vocab()
    old = answers(model, tokenizer, texts)
    if kind == "ForMaskedLM":
        old = old[..., moved(tokenizer, other)]
    for m, t in ((small, other), (again.eval(), reloaded)):
        assert torch.allclose(old, answers(m, t, texts), atol=1e-6)
    for name in ("pad", "bos", "eos", "sep", "cls", "mask"):
        assert getattr(small.config, f"{name}_token_id", None) == getattr(other, f"{name}_token_id")
    words, place = small.base_model.embeddings, small.config.pad_token_id
    assert words.word_embeddings.padding_idx == place == model.config.pad_token_id


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FIRST)
def test_ties_of_the_fill_mask_head(family, tied):
    model, tokenizer = tiny(family, "ForMaskedLM", tied=tied)
    small, other = prune_vocabulary(model, tokenizer, WESTERN[:20])
    head = small.cls.predictions if family == "bert" else small.lm_head
    embedded = small.base_model.embeddings.word_embeddings
    assert (head.decoder.weight is embedded.weight) == tied
    assert head.decoder.out_features == head.bias.numel() == embedded.num_embeddings == len(other)
    old = answers(model, tokenizer, WESTERN[:3])[..., moved(tokenizer, other)]
    assert torch.allclose(old, answers(small, other, WESTERN[:3]), atol=1e-6)


@pytest.mark.parametrize("general", [False, True], ids=["own-class", "general-class"])
@pytest.mark.parametrize("family", FIRST)
def test_settings_are_carried_over(family, general, tmp_path):
    model, tokenizer = tiny(family, "Model")
    if general:
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_padding()
        backend.no_truncation()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=backend,
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
            **tokenizer.special_tokens_map,
        )
    else:
        tokenizer = copy.deepcopy(tokenizer)
    tokenizer.padding_side, tokenizer.truncation_side = "left", "left"  # said after it was made
    tokenizer.model_max_length = 9
    tokenizer.chat_template = "{{ messages }}"
    tokenizer.backend_tokenizer.enable_truncation(5, stride=1, direction="left")
    tokenizer.backend_tokenizer.enable_padding(
        pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token, length=8
    )
    state = tokenizer.backend_tokenizer.to_str()
    long = [" ".join(WESTERN[:4])]
    _, other = prune_vocabulary(model, tokenizer, long)
    assert tokenizer.backend_tokenizer.to_str() == state
    other.save_pretrained(tmp_path)
    assert other.convert_ids_to_tokens(
        other.backend_tokenizer.encode("").ids
    ) == tokenizer.convert_ids_to_tokens(tokenizer.backend_tokenizer.encode("").ids)
    for t in (other, type(other).from_pretrained(tmp_path)):
        assert type(t) is type(tokenizer)
        new, old = (x.backend_tokenizer for x in (t, tokenizer))
        assert new.truncation == old.truncation
        assert new.padding == old.padding | {"pad_id": t.pad_token_id}
        for name in (
            "padding_side",
            "truncation_side",
            "model_max_length",
            "model_input_names",
            "clean_up_tokenization_spaces",
            "split_special_tokens",
            "special_tokens_map",
            "extra_special_tokens",
            "chat_template",
        ):
            assert getattr(t, name) == getattr(tokenizer, name), name
        pairs = [x(long, WESTERN[:1], truncation=True) for x in (t, copy.deepcopy(tokenizer))]
        assert pairs[0].keys() == pairs[1].keys() and len(pairs[0].input_ids[0]) == 9
        assert t.convert_ids_to_tokens(pairs[0].input_ids[0]) == tokenizer.convert_ids_to_tokens(
            pairs[1].input_ids[0]
        )


def test_casing_is_carried_over(tmp_path):
    vocab = trained("bert").get_vocab()
    for lower in (True, False):
        tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=lower, strip_accents=not lower)
        config = transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2
        )
        _, other = prune_vocabulary(transformers.BertModel(config), tokenizer, ["turn on"])
        other.save_pretrained(tmp_path / str(lower))
        again = AutoTokenizer.from_pretrained(tmp_path / str(lower))
        for t in (other, again):
            assert (t.tokenize("TURN ON") == ["turn", "on"]) == lower
            assert t.backend_tokenizer.normalizer.normalize_str("ÖN") == ("ön" if lower else "ON")


def test_a_class_that_would_read_something_else(tmp_path):
    """BertTokenizer builds itself anew when read, without limits of one's own."""
    model, tokenizer = tiny("bert", "Model")
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    spec["model"]["max_input_chars_per_word"] = 7
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(spec))
    _, other = prune_vocabulary(model, tokenizer, ["turn"])
    other.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert other.tokenize("turnturn turn") == again.tokenize("turnturn turn")
    assert other.tokenize("turnturn turn")[0] == "[UNK]" and again.padding_side == "left"


@pytest.mark.parametrize("family", FIRST)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_no_new_unknowns_in_any_family(family, seed, data):
    """Nor with words that nobody has said: any letters of the script, digits and punctuation."""
    model, tokenizer = tiny(family, "ForSequenceClassification")
    texts = random.Random(seed).sample(WESTERN, 2)
    _, other = prune_vocabulary(model, tokenizer, texts)
    letters = "abcdefghijklmnoprstuvzäöüßéñABDEILMS0123456789.,?!'- "
    text = data.draw(st.text(letters, max_size=60) | st.sampled_from(WESTERN))
    if family == "roberta":
        text += data.draw(st.text(max_size=20))  # whatever Unicode has
    unknown = [t(text).input_ids.count(t.unk_token_id) for t in (tokenizer, other)]
    assert unknown[0] == unknown[1] or family != "roberta" and unknown[1] < unknown[0]
    again = other.decode(other(text, add_special_tokens=False).input_ids)
    assert again == tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids)


TEXTS = st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=12)


@st.composite
def scrambled(draw):
    """Tokenizers that no training gives: any pieces, merges and scores over a few letters."""
    words = draw(st.lists(st.text("abc", min_size=1, max_size=4), max_size=14, unique=True))
    kind = draw(st.sampled_from(["WordPiece", "Unigram", "BPE"]))
    if kind == "WordPiece":
        marked = [draw(st.sampled_from(["", "##"])) + word for word in words]
        names = dict.fromkeys(["[PAD]", "[UNK]", *marked])
        raw = Tokenizer(models.WordPiece({p: i for i, p in enumerate(names)}, unk_token="[UNK]"))
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "Unigram":
        scores = st.integers(-40, 0).map(lambda n: n / 2)
        marked = dict.fromkeys(["<pad>", "<unk>", "▁", *words], 0.0)
        raw = Tokenizer(models.Unigram([(p, draw(scores)) for p in marked], unk_id=1))
        raw.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        names, merges = ["<pad>", "<unk>", "Ġ", "a", "b", "c"], []
        for _ in range(draw(st.integers(0, 16))):
            a, b = (draw(st.sampled_from(names[2:])) for _ in range(2))
            if (a, b) not in merges:
                merges.append((a, b))
                names += [a + b] * (a + b not in names)
        vocab = {p: i for i, p in enumerate(names)}
        raw = Tokenizer(
            models.BPE(vocab, draw(st.permutations(merges)), ignore_merges=draw(st.booleans()))
        )
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    unknown, padding = ("[UNK]", "[PAD]") if kind == "WordPiece" else ("<unk>", "<pad>")
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token=unknown, pad_token=padding)


@settings(max_examples=300, deadline=None)
@given(tokenizer=scrambled(), texts=TEXTS, others=TEXTS, data=st.data())
def test_texts_of_kept_pieces_are_split_as_before(tokenizer, texts, others, data):
    """Not only the texts that were asked for: every text all of whose pieces stay."""
    model = pieces_only(len(tokenizer))
    keep = texts
    if data.draw(st.booleans()):
        keep = data.draw(st.lists(st.sampled_from(range(len(tokenizer))), min_size=1))
    _, other = prune_vocabulary(model, tokenizer, keep, characters=data.draw(st.booleans()))
    kept = other.get_vocab()
    unknown = tokenizer.unk_token
    for text, old in zip(texts + others, pieces(tokenizer, texts + others)):
        asked = keep is texts and text in texts
        if asked or (set(old) <= kept.keys() and unknown not in old):
            assert pieces(other, [text]) == [old]
    assert [
        p for p in sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get) if p in kept
    ] == (sorted(kept, key=kept.get))


@cache
def pieces_only(n):
    config = transformers.BertConfig(
        vocab_size=n, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2
    )
    return transformers.BertModel(config)


def test_a_lowest_score_that_goes():
    """Or ac-b-d would beat acb-d, once z is gone and an unknown costs less."""
    scores = {"<pad>": 0, "<unk>": 0, "z": -40, "acb": -20, "d": -20, "a": 0, "bd": 0}
    raw = Tokenizer(models.Unigram(list(scores.items()), unk_id=1))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>")
    _, other = prune_vocabulary(pieces_only(7), tokenizer, [3, 4, 5, 6], characters=False)
    assert other.tokenize("acbd") == tokenizer.tokenize("acbd") == ["acb", "d"]


def test_an_unknown_word_stays_unknown():
    """Or abcd would be ab-cd, once abc, after which nothing fits, is gone."""
    names = ["[PAD]", "[UNK]", "abc", "ab", "##cd", "b"]
    raw = Tokenizer(models.WordPiece({p: i for i, p in enumerate(names)}, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="[UNK]", pad_token="[PAD]")
    texts = ["ABCD", "ab", "bcd"]
    _, other = prune_vocabulary(pieces_only(6), tokenizer, texts, characters=False)
    assert pieces(other, texts) == pieces(tokenizer, texts) == [["[UNK]"], ["ab"], ["b", "##cd"]]


def test_bytes_of_unigram_stay():
    names = ["<pad>", "<unk>", "▁", "a", "ab", *(f"<0x{byte:02X}>" for byte in range(256))]
    raw = Tokenizer(models.Unigram([(p, -3.0) for p in names], unk_id=1, byte_fallback=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>")
    _, other = prune_vocabulary(pieces_only(len(names)), tokenizer, ["a"])
    assert len(other) == len(tokenizer) - 1 and pieces(other, ["aж"]) == pieces(tokenizer, ["aж"])


def test_special_tokens_as_text():
    """A tokenizer that splits what looks like a special token."""
    model, tokenizer = tiny("roberta", "Model")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.split_special_tokens = tokenizer.backend_tokenizer.encode_special_tokens = True
    _, other = prune_vocabulary(model, tokenizer, ["turn <mask> on"], characters=False)
    tokens = tokenizer.tokenize("turn <mask> on")
    assert "<mask>" not in tokens and other.backend_tokenizer.encode_special_tokens
    assert other.tokenize("turn <mask> on") == tokens


def test_special_pieces_that_move():
    """The padding at the end of BERT's vocabulary; processors in a sequence."""
    names = [p for p in trained("bert").get_vocab() if p[0] not in "[<"]
    vocab = {p: i for i, p in enumerate([*names, *FIRST["bert"]])}
    spec = json.loads(BertTokenizerFast(vocab=vocab).backend_tokenizer.to_str())
    for step in (
        spec["post_processor"],
        {
            "type": "BertProcessing",
            "sep": ["[SEP]", vocab["[SEP]"]],
            "cls": ["[CLS]", vocab["[CLS]"]],
        },
    ):
        spec["post_processor"] = {"type": "Sequence", "processors": [step]}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(json.dumps(spec)),
            **trained("bert").special_tokens_map,
        )
        tokenizer.backend_tokenizer.enable_padding(
            pad_id=tokenizer.pad_token_id, pad_token="[PAD]", length=20
        )
        config = transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=[tokenizer.sep_token_id, 3],
        )
        small, other = prune_vocabulary(transformers.BertModel(config), tokenizer, ["turn on"])
        new, old = (t.backend_tokenizer.encode("turn on") for t in (other, tokenizer))
        assert new.tokens == old.tokens == other.convert_ids_to_tokens(new.ids)
        assert other.pad_token_id == small.config.pad_token_id < tokenizer.pad_token_id
        assert small.embeddings.word_embeddings.padding_idx == other.pad_token_id
        assert small.config.eos_token_id[0] == other.sep_token_id


def test_positions_are_counted_from_the_models_padding():
    """Also where the tokenizer pads with another piece."""
    model, tokenizer = (copy.deepcopy(x) for x in tiny("roberta", "ForSequenceClassification"))
    tokenizer.pad_token = "<unk>"
    small, other = prune_vocabulary(model, tokenizer, WESTERN[:9])
    assert small.config.pad_token_id == 1 == small.roberta.embeddings.word_embeddings.padding_idx
    old, new = (answers(m, t, WESTERN[:9]) for m, t in ((model, tokenizer), (small, other)))
    assert torch.allclose(old, new, atol=1e-6)


def test_added_tokens_and_their_rows():
    model, tokenizer = (copy.deepcopy(x) for x in tiny("roberta", "ForMaskedLM"))
    tokenizer.add_tokens(["living room", AddedToken("<name>", lstrip=True)])
    text = "turn on the living room <name> light"
    with pytest.raises(ValueError, match="tokenizer.*together.*living room"):
        prune_vocabulary(model, tokenizer, [text])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    small, other = prune_vocabulary(model, tokenizer, ["turn on the light"])
    assert moved(tokenizer, other)[-3:] == list(range(len(tokenizer)))[-3:]
    small, other = prune_vocabulary(model, tokenizer, [text])
    assert pieces(other, [text]) == pieces(tokenizer, [text])
    old = answers(model, tokenizer, [text])[..., moved(tokenizer, other)]
    assert torch.allclose(old, answers(small, other, [text]), atol=1e-6)


def test_bert_with_the_tokenizer_of_another(embedded):
    """BERT's layers with XLM-R's tokenizer, as multilingual-e5-small has."""
    _, tokenizer = embedded
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    model = transformers.BertForMaskedLM(config).eval()
    small, other = prune_vocabulary(model, tokenizer, ["turn on the light"])
    old = answers(model, tokenizer, ["turn on"])[..., moved(tokenizer, other)]
    assert torch.allclose(old, answers(small, other, ["turn on"]), atol=1e-6)
    assert small.config.pad_token_id == other.pad_token_id


def test_what_is_refused(embedded):
    model, tokenizer = tiny("roberta", "ForMaskedLM")
    shifted = copy.deepcopy(model)
    shifted.roberta.embeddings.padding_idx = 600
    with pytest.raises(ValueError, match="tokenizer: its padding piece.*positions"):
        prune_vocabulary(shifted, tokenizer, ["turn"])
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    spec["pre_tokenizer"] = {"type": "Whitespace"}
    plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(spec)))
    with pytest.raises(ValueError, match="tokenizer: is BPE without byte-level"):
        prune_vocabulary(model, plain, ["turn"])
    with pytest.raises(ValueError, match="tokenizer: is a NoneType"):
        prune_vocabulary(model, None, ["turn"])
    for keep in (3, b"turn", None, [True], [1.5], ["turn", 3], [[1]]):
        with pytest.raises(ValueError, match="^keep: "):
            prune_vocabulary(model, tokenizer, keep)
    short = copy.deepcopy(model)
    short.lm_head.decoder.weight = torch.nn.Parameter(short.lm_head.decoder.weight[:-1].detach())
    with pytest.raises(ValueError, match="model: its fill-mask head"):
        prune_vocabulary(short, tokenizer, ["turn"])
    own = copy.deepcopy(model)
    own.lm_head = torch.nn.Linear(8, len(tokenizer))
    with pytest.raises(TypeError, match="model: .*not the family's own"):
        prune_vocabulary(own, tokenizer, ["turn"])
    masked = copy.deepcopy(model)
    torch.nn.utils.prune.l1_unstructured(masked.roberta.embeddings.word_embeddings, "weight", 0.5)
    with pytest.raises(ValueError, match="model: its word embeddings have weight masks"):
        prune_vocabulary(masked, tokenizer, ["turn"])
    with pytest.raises(ValueError, match="texts: "):
        vocabulary_report(tokenizer, tokenizer, "turn", 8)


def test_a_character_that_is_no_piece_by_itself(embedded):
    """The embedded vocabulary has của, and no ủ: the word stays, or Latin would have unknowns."""
    model, tokenizer = embedded
    german = pl.load_intents("train", ["de"]).sentences
    _, small = prune_vocabulary(model, tokenizer, german)
    assert small.unk_token_id not in small("của").input_ids
