"""Keep the word pieces that a task needs: most bytes of a multilingual model are vocabulary."""

import copy
import json
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

from tokenizers import Tokenizer, decoders
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..measuring.tables import Table
from ..measuring.texts import Texts
from ..models.anatomy import copied, layers_of
from ..models.checkpoints import quiet

# What a tokenizer holds of its vocabulary besides the backend, and what it is asked for.
VOCABULARY = ("vocab", "merges", "vocab_file", "merges_file", "tokenizer_file")
SETTINGS = (
    "padding_side",
    "truncation_side",
    "model_input_names",
    "clean_up_tokenization_spaces",
    "split_special_tokens",
)
# First words of the Unicode names of letters that belong to no script: ª, º, µ, accents alone, …
COMMON = {"COMBINING", "MODIFIER", "FEMININE", "MASCULINE", "MICRO"}


def prune_vocabulary(
    model, tokenizer, keep: Iterable[str] | Iterable[int], characters: bool = True
):
    """(model, tokenizer) with fewer word pieces; the originals are not touched.

    keep: texts, whose pieces stay, or ids of pieces. Special and added tokens always stay.
    characters: every single character stays whose script occurs in the kept pieces, and all digits
    and punctuation, so that no text in those scripts gets an unknown piece. Pieces with a character
    that is no piece by itself stay with them. Pieces keep their order.

    A text of kept pieces is split as before:

    - Unigram takes the split with the largest sum of scores, and leaving other pieces out takes
      competitors away, never the best one (Kudo 2018, section 3.2). An unknown costs the lowest
      score less ten, so the unknown piece takes over the lowest score.
    - WordPiece takes the longest piece that fits, from left to right: of fewer pieces it is still
      the longest. Where a word of the texts is unknown, the pieces that lead to the place where
      nothing fits stay too, or another way might lead past it. (What is promised of unknown pieces
      holds for vocabularies that have their characters singly, as trained ones have.)
    - Byte-level BPE makes a piece by merges, the earliest learned first (Sennrich, Haddow, Birch
      2016). All pieces that a kept piece can be merged from stay, the merges between them in their
      order, and the 256 bytes, so that nothing at all becomes unknown. Every merge that a text of
      kept pieces needs is there, and at no step an earlier one than before.

    Word embeddings, the fill-mask head's matrix and its biases are cut together; what was tied is
    tied. Rows of the model beyond the tokenizer's length (such as padding to a multiple of 64) go.
    The ids in the model's configuration follow. The tokenizer has the settings of the old one
    (sides, lengths, casing, special tokens) and is of its class, unless that class would read
    something else from its files; then it is a `PreTrainedTokenizerFast`.

    Trimming a vocabulary: Ushio, Zhou, Camacho-Collados 2023, section 3; Yang et al. 2022
    (TextPruner). Raises `TypeError` for a model of another family, and `ValueError` if nothing is
    to be kept, an id does not exist, the tokenizer is of another kind, or it does not fit the
    model, or the padding piece, from which RoBERTa's models count positions, would be renumbered.
    """
    layers_of(model)
    spec = _spec(tokenizer)
    pieces = {i: piece for piece, i in tokenizer.get_vocab().items()}
    _check_rows(model, pieces)
    chosen = _chosen(spec, tokenizer, pieces, keep)
    special = _special(spec, tokenizer, pieces) | _counted_from(model) & pieces.keys()
    ids = _kept(spec, pieces, chosen, special, characters)
    new = {old: i for i, old in enumerate(ids)}
    if any(new.get(i) != i for i in _counted_from(model)):
        raise ValueError(
            "tokenizer: its padding piece must come before the others, or positions would shift"
        )
    _trim(spec, new)
    small = _with_vocabulary(tokenizer, spec, {pieces[old]: i for old, i in new.items()})
    return _cut(model, ids, new, small), small


def _spec(tokenizer) -> dict:
    """What the tokenizer is, as `tokenizer.json` says it; `ValueError` unless we can cut it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ValueError(
            f"tokenizer: is a {type(tokenizer).__name__}, must be one that the library tokenizers "
            f"runs (a PreTrainedTokenizerFast)"
        )
    spec = json.loads(backend.to_str())
    kind = spec["model"]["type"]
    if kind == "BPE" and "ByteLevel" not in json.dumps([spec["pre_tokenizer"], spec["normalizer"]]):
        kind = "BPE without byte-level pieces"
    if kind == "BPE" and spec["model"].get("end_of_word_suffix"):
        kind = "BPE with ends of words"
    if kind not in ("Unigram", "WordPiece", "BPE"):
        raise ValueError(
            f"tokenizer: is {kind}, must be Unigram, as XLM-R's is, WordPiece, as BERT's, or "
            f"byte-level BPE, as RoBERTa's"
        )
    return spec


def _head(model):
    """The fill-mask head's part that is as long as the vocabulary, if there is one."""
    return getattr(model, "lm_head", None) or getattr(
        getattr(model, "cls", None), "predictions", None
    )


def _long(model) -> list[nn.Parameter]:
    """The parameters as long as the vocabulary, each once."""
    head, words = _head(model), model.base_model.embeddings.word_embeddings
    found = [words.weight]
    if head is not None:
        found += [head.decoder.weight, head.decoder.bias, getattr(head, "bias", None)]
    return list({id(p): p for p in found if p is not None}.values())


def _check_rows(model, pieces: dict[int, str]) -> None:
    """`ValueError` unless the model has a row of its own for each piece, and the same everywhere"""
    words, head = model.base_model.embeddings.word_embeddings, _head(model)
    if not isinstance(words, nn.Embedding) or not (
        head is None or isinstance(getattr(head, "decoder", None), nn.Linear)
    ):
        raise TypeError(
            "model: its word embeddings or its fill-mask head are not the family's own, so it is "
            "not known how to cut them"
        )
    if any(hasattr(m, "weight_mask") for m in (words, getattr(head, "decoder", None))):
        raise ValueError(
            "model: its word embeddings have weight masks, which cannot be cut: make them "
            "permanent first"
        )
    rows = words.weight.shape[0]
    if any(p.shape[0] != rows for p in _long(model)):
        raise ValueError(
            f"model: its fill-mask head has {[p.shape[0] for p in _long(model)][1:]} rows, its "
            f"word embeddings {rows}: must be as many"
        )
    foreign = [pieces[i] for i in sorted(pieces) if i >= rows]
    if foreign:
        raise ValueError(
            f"tokenizer: has {len(pieces)} pieces, the model embeds {rows}: they do not belong "
            f"together, {foreign[:3]} have no row"
        )


def _counted_from(model) -> set[int]:
    """The id from which positions are counted: the padding's in RoBERTa's models, none in BERT's"""
    start = getattr(model.base_model.embeddings, "padding_idx", None)
    return set() if start is None else {start}


def _chosen(spec: dict, tokenizer, pieces: dict[int, str], keep) -> set[int]:
    """The ids that are asked for, by texts or as they are."""
    if isinstance(keep, (str, bytes)) or not isinstance(keep, Iterable):
        raise ValueError(f"keep: is {_named(keep)}, must be a list of texts or of ids")
    keep = keep.tolist() if hasattr(keep, "tolist") else list(keep)
    if not keep:
        raise ValueError("keep: is empty, must hold texts or ids of pieces")
    if all(isinstance(item, str) for item in keep):
        return _pieces_of(spec, tokenizer, Texts(keep).sentences)
    wrong = [
        i for i in keep if isinstance(i, bool) or not isinstance(i, Integral) or i not in pieces
    ]
    if wrong:
        raise ValueError(
            f"keep: holds {wrong[0]!r}, must hold texts, or ids from 0 to {max(pieces)}"
        )
    return {int(i) for i in keep}


def _named(keep) -> str:
    return "one text" if isinstance(keep, str) else f"a {type(keep).__name__}"


def _pieces_of(spec: dict, tokenizer, texts: list[str]) -> set[int]:
    """The ids of all pieces of these texts, however long they are."""
    backend = _backend(spec, tokenizer)
    backend.no_truncation()
    backend.no_padding()
    found = backend.encode_batch(texts, add_special_tokens=False)
    ids = {i for encoding in found for i in encoding.ids}
    unknown = spec["model"].get("unk_token")
    if spec["model"]["type"] == "WordPiece":
        for text in (t for t, encoding in zip(texts, found) if unknown in encoding.tokens):
            if backend.normalizer is not None:
                text = backend.normalizer.normalize_str(text)
            for word, _ in backend.pre_tokenizer.pre_tokenize_str(text):
                ids |= _longest_first(spec["model"], word)
    return ids


def _longest_first(model: dict, word: str) -> set[int]:
    """The pieces that WordPiece takes of a word, to its end or to where nothing fits."""
    vocabulary, found, start = model["vocab"], set(), 0
    while start < len(word) <= model["max_input_chars_per_word"]:
        prefix = model["continuing_subword_prefix"] if start else ""
        for end in range(len(word), start, -1):
            if (piece := prefix + word[start:end]) in vocabulary:
                found.add(vocabulary[piece])
                start = end
                break
        else:
            break
    return found


def _special(spec: dict, tokenizer, pieces: dict[int, str]) -> set[int]:
    """The ids that stay whatever is asked for."""
    model, ids = spec["model"], {piece: i for i, piece in pieces.items()}
    found = {token["id"] for token in spec["added_tokens"]}
    found |= {ids.get(piece) for piece in tokenizer.all_special_tokens}
    found |= {model.get("unk_id"), ids.get(model.get("unk_token"))}
    found |= {i for place in _places(spec) for i in _ids_at(*place)}
    if model["type"] == "BPE":
        found |= {i for i, piece in pieces.items() if len(piece) == 1}  # the bytes
    if model.get("byte_fallback"):
        found |= {ids.get(f"<0x{byte:02X}>") for byte in range(256)}
    found -= {None}
    if found - pieces.keys():
        raise ValueError(
            f"tokenizer: names ids that are no pieces of it, {sorted(found - pieces.keys())[:3]}"
        )
    return found


def _places(spec: dict) -> list[tuple[dict | list, str | int]]:
    """(container, key) of every id, or list of ids, outside the vocabulary and the added tokens."""
    found = [(spec["padding"], "pad_id")] if spec["padding"] else []
    steps = [spec["post_processor"] or {}]
    while steps:
        step = steps.pop()
        steps += step.get("processors", [])
        found += [(token, "ids") for token in step.get("special_tokens", {}).values()]
        found += [(step[name], 1) for name in ("sep", "cls") if name in step]  # ["</s>", 2]
    return found


def _ids_at(container, key) -> list[int]:
    return container[key] if isinstance(container[key], list) else [container[key]]


def _kept(
    spec: dict, pieces: dict[int, str], chosen: set[int], special: set[int], characters: bool
) -> list[int]:
    """The ids that stay, in their old order."""
    model = spec["model"]
    if characters:
        plain = {i: _plain(model, pieces[i]) for i in sorted(pieces.keys() - special)}
        scripts = {_script(c) for i in chosen - special for c in plain[i]} | {""}
        known = set(pieces.values())
        chosen = chosen | {
            i
            for i, text in plain.items()
            if all(_script(c) in scripts for c in text)
            and "\ufffd" not in text  # bytes that are no whole character
            and (len(text) <= 1 or not _spelled(model, pieces[i], text, known))
        }
    ids = chosen | special
    if model["type"] == "BPE":
        ids = _merged_from(model, ids)
    return sorted(ids)


def _plain(model: dict, piece: str) -> str:
    """What a piece stands for, without the mark that it begins, or goes on with, a word."""
    if model["type"] == "BPE":
        return decoders.ByteLevel().decode([piece]).removeprefix(" ")
    return piece.removeprefix(
        "▁" if model["type"] == "Unigram" else model["continuing_subword_prefix"]
    )


def _spelled(model: dict, piece: str, text: str, known: set[str]) -> bool:
    """Whether single characters, or bytes, can stand for a piece."""
    if model["type"] == "BPE" or model.get("byte_fallback"):
        return True
    inner = model["continuing_subword_prefix"] if model["type"] == "WordPiece" else ""
    mark = piece.removesuffix(text)
    first = {mark + text[0]} if inner else {mark + text[0], mark or text[0]}
    return bool(first & known) and all(
        inner + c in known for c in (text[1:] if inner or mark not in known else text)
    )


def _script(character: str) -> str:
    """The script of a letter, such as LATIN or CJK; empty for what all scripts use: digits,
    punctuation, accents.
    """
    if unicodedata.category(character)[0] not in "LM":
        return ""
    name = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    return "" if name in COMMON else name


def _merged_from(model: dict, ids: set[int]) -> set[int]:
    """These ids and those of all pieces that they can be merged from."""
    vocabulary, parts = model["vocab"], defaultdict(set)
    for a, b in model["merges"]:
        whole = vocabulary[a + b.removeprefix(model["continuing_subword_prefix"] or "")]
        parts[whole] |= {vocabulary[a], vocabulary[b]}
    found, left = set(), set(ids)
    while left:
        found |= left
        left = {part for i in left for part in parts[i]} - found
    return found


def _trim(spec: dict, new: dict[int, int]) -> None:
    """Leave these pieces alone in the specification, renumbered."""
    model = spec["model"]
    if model["type"] == "Unigram":
        lowest = min(score for _, score in model["vocab"])
        model["vocab"] = [model["vocab"][i] for i in new if i < len(model["vocab"])]
        if model["unk_id"] is not None:
            model["unk_id"] = new[model["unk_id"]]
            model["vocab"][model["unk_id"]][1] = lowest
    else:
        model["vocab"] = {piece: new[i] for piece, i in model["vocab"].items() if i in new}
    if model["type"] == "BPE":
        inner, left = model["continuing_subword_prefix"] or "", model["vocab"]
        model["merges"] = [
            (a, b)
            for a, b in model["merges"]
            if a in left and b in left and a + b.removeprefix(inner) in left
        ]
    for token in spec["added_tokens"]:
        token["id"] = new[token["id"]]
    for container, key in _places(spec):
        ids = container[key]
        container[key] = [new[i] for i in ids] if isinstance(ids, list) else new[ids]


def _backend(spec: dict, tokenizer) -> Tokenizer:
    """A tokenizer of the library tokenizers, also with what its file does not say."""
    backend = Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))
    backend.encode_special_tokens = tokenizer.split_special_tokens
    return backend


def _with_vocabulary(tokenizer, spec: dict, ids: dict[str, int]):
    """A copy of the tokenizer with another vocabulary, and all its settings. ids: what the pieces'
    must be.
    """
    backend, model = _backend(spec, tokenizer), spec["model"]
    moved = sorted(ids.items() - backend.get_vocab().items())
    if moved:
        raise ValueError(
            f"tokenizer: has added tokens among its pieces, such as {moved[0][0]!r}: they cannot "
            f"be renumbered"
        )
    held = {
        "_tokenizer": backend,
        "_vocab": model["vocab"],
        "_merges": model.get("merges", []),
        "vocab_file": None,
    }
    state = {name: held.get(name, value) for name, value in vars(tokenizer).items()}
    shared = {id(value): value for value in held.values()}  # nothing large is copied twice
    state["init_kwargs"] = {
        name: value for name, value in tokenizer.init_kwargs.items() if name not in VOCABULARY
    } | {name: getattr(tokenizer, name) for name in SETTINGS}
    if "added_tokens_decoder" in state["init_kwargs"]:
        state["init_kwargs"]["added_tokens_decoder"] = backend.get_added_tokens_decoder()
    state = copy.deepcopy(state, shared)
    small = _of_class(type(tokenizer), state)
    return small if _reads_back(small) else _of_class(PreTrainedTokenizerFast, state)


def _of_class(kind: type, state: dict):
    tokenizer = kind.__new__(kind)
    vars(tokenizer).update(state)
    return tokenizer


def _reads_back(tokenizer) -> bool:
    """Whether the tokenizer's class reads from its files what was saved: some build themselves anew
    from the vocabulary, and drop what they do not know of.
    """
    if type(tokenizer) is PreTrainedTokenizerFast:
        return True
    with tempfile.TemporaryDirectory() as folder, quiet():
        tokenizer.save_pretrained(folder)
        try:
            again = type(tokenizer).from_pretrained(folder)
        except Exception:
            return False
    return again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def _cut(model, ids: list[int], new: dict[int, int], tokenizer):
    """A copy of the model in which the rows of everything as long as the vocabulary are these."""
    # deepcopy takes these in place of the originals, so what was tied is tied again and nothing
    # large is copied
    memo = {
        id(p): nn.Parameter(p.detach()[ids].clone(), requires_grad=p.requires_grad)
        for p in _long(model)
    }
    small = copied(model, memo)
    words, head = small.base_model.embeddings.word_embeddings, _head(small)
    words.num_embeddings = small.config.vocab_size = len(ids)
    if head is not None:
        head.decoder.out_features = len(ids)
    _renumber(small, new, tokenizer)
    return small


def _renumber(model, new: dict[int, int], tokenizer) -> None:
    """The ids of special tokens in the configuration: the tokenizer's, or those of the same piece.

    The id from which positions are counted stays.
    """
    config, words = model.config, model.base_model.embeddings.word_embeddings
    for name in config.to_dict():
        ids = getattr(config, name, None) if name.endswith("_token_id") else None
        if isinstance(ids, list):
            setattr(config, name, [new[i] for i in ids if i in new])
        elif isinstance(ids, int) and not (name == "pad_token_id" and _counted_from(model)):
            mine = getattr(tokenizer, name, None)
            setattr(config, name, new.get(ids) if mine is None else mine)
    if words.padding_idx is not None:
        words.padding_idx = config.pad_token_id


@dataclass(repr=False)
class VocabularyReport(Table):
    """Pieces and megabytes before and after; shares (0 to 1) of texts split differently, and with
    an unknown piece.
    """

    pieces: tuple[int, int]
    megabytes: tuple[float, float]
    split_differently: float
    with_unknown: tuple[float, float]

    def rows(self):
        yield ("vocabulary", "before", "after")
        yield ("word pieces", *(f"{n:,}" for n in self.pieces))
        yield ("word embeddings, MB in float32", *(f"{mb:.1f}" for mb in self.megabytes))
        yield ("texts split differently", "", f"{self.split_differently:.1%}")
        yield ("texts with an unknown piece", *(f"{share:.1%}" for share in self.with_unknown))


def vocabulary_report(before, after, texts: list[str], hidden_size: int) -> VocabularyReport:
    """Compare two tokenizers on texts. Raises `ValueError` without texts."""
    if isinstance(texts, str) or not texts:
        raise ValueError("texts: must be a list with at least one text")
    split = [
        [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(texts).input_ids]
        for tokenizer in (before, after)
    ]
    unknown = [
        sum(t.unk_token_id in ids for ids in t(texts).input_ids) / len(texts)
        for t in (before, after)
    ]
    pieces = len(before), len(after)
    return VocabularyReport(
        pieces,
        tuple(4 * n * hidden_size / 1e6 for n in pieces),
        sum(a != b for a, b in zip(*split)) / len(texts),
        tuple(unknown),
    )
