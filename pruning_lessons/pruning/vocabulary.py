"""Keep the word pieces that a task needs: most bytes of a multilingual model are vocabulary."""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast

from ..measuring.tables import Table
from ..models.anatomy import copied, layers_of

SPECIAL = (
    "bos_token",
    "eos_token",
    "sep_token",
    "cls_token",
    "unk_token",
    "pad_token",
    "mask_token",
)


def prune_vocabulary(
    model, tokenizer, keep: Iterable[str] | Iterable[int], characters: bool = True
):
    """(model, tokenizer) with fewer word pieces; the originals are not touched.

    keep: texts, whose pieces stay, or ids of pieces. Special tokens always stay. characters: every
    single character stays whose script occurs in the kept pieces, and all digits and punctuation,
    so that no text in those scripts gets an unknown piece. A text of kept pieces is split as
    before: Unigram takes the split with the largest sum of scores, and leaving other pieces out
    takes competitors away, never the best one (Kudo 2018, section 3.2). Word embeddings, the
    fill-mask head's matrix (tied) and its bias are cut together; pieces keep their order.

    Trimming a vocabulary: Ushio, Zhou, Camacho-Collados 2023, section 3; Yang et al. 2022
    (TextPruner). Raises `ValueError` if nothing is to be kept, an id does not exist, the tokenizer
    is not Unigram or has added tokens after its pieces, or it does not fit the model.
    """
    layers_of(model)
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    if spec["model"]["type"] != "Unigram":
        raise ValueError(f"tokenizer: is {spec['model']['type']}, must be Unigram, as XLM-R's is")
    vocabulary = spec["model"]["vocab"]
    if model.config.vocab_size < len(vocabulary):
        raise ValueError(
            f"tokenizer: has {len(vocabulary)} pieces, the model embeds "
            f"{model.config.vocab_size}: they do not belong together"
        )
    foreign = [token["content"] for token in spec["added_tokens"] if token["id"] >= len(vocabulary)]
    if foreign:
        raise ValueError(
            f"tokenizer: has added tokens after its pieces, {foreign[:3]}: they cannot be "
            f"renumbered"
        )
    if isinstance(keep, str):
        raise ValueError("keep: is one text, must be a list of texts or of ids")
    ids = _kept(spec, tokenizer, list(keep), characters)
    small = PreTrainedTokenizerFast(
        tokenizer_object=_trimmed(spec, ids),
        model_max_length=tokenizer.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        **{name: getattr(tokenizer, name) for name in SPECIAL},
    )
    if small.pad_token_id != tokenizer.pad_token_id:
        raise ValueError(
            "tokenizer: its padding piece must come before the others, or positions would shift"
        )
    return _cut(model, ids, small), small


def _kept(spec: dict, tokenizer, keep: list, characters: bool) -> list[int]:
    """The ids that stay, in their old order."""
    vocabulary = spec["model"]["vocab"]
    if not keep:
        raise ValueError("keep: is empty, must hold texts or ids of pieces")
    if all(isinstance(item, str) for item in keep):
        chosen = {i for ids in tokenizer(keep, add_special_tokens=False).input_ids for i in ids}
    elif all(isinstance(item, int) and 0 <= item < len(vocabulary) for item in keep):
        chosen = set(keep)
    else:
        raise ValueError(f"keep: must hold texts, or ids from 0 to {len(vocabulary) - 1}")
    special = {token["id"] for token in spec["added_tokens"]} | {spec["model"]["unk_id"]}
    if characters:
        scripts = {_script(c) for i in chosen - special for c in vocabulary[i][0]}
        chosen |= {
            i
            for i, (piece, _) in enumerate(vocabulary)
            if len(piece.removeprefix("▁")) <= 1
            and all(_script(c) in scripts | {""} for c in piece)
        }
    return sorted(chosen | special)


def _script(character: str) -> str:
    """The script of a letter, such as LATIN or CJK; empty for digits, marks and punctuation."""
    return (
        unicodedata.name(character, "").split(" ")[0].split("-")[0]
        if unicodedata.category(character)[0] in "LM"
        else ""
    )


def _trimmed(spec: dict, ids: list[int]) -> Tokenizer:
    """The tokenizer with these pieces alone, renumbered."""
    new = {old: i for i, old in enumerate(ids)}
    spec["model"]["vocab"] = [spec["model"]["vocab"][i] for i in ids]
    spec["model"]["unk_id"] = new[spec["model"]["unk_id"]]
    for token in spec["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in (spec["post_processor"] or {}).get("special_tokens", {}).values():
        token["ids"] = [new[i] for i in token["ids"]]
    for name in ("sep", "cls"):  # RobertaProcessing: ["</s>", 2]
        if name in (spec["post_processor"] or {}):
            spec["post_processor"][name][1] = new[spec["post_processor"][name][1]]
    return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


def _cut(model, ids: list[int], tokenizer):
    """A copy of the model in which the rows of everything as long as the vocabulary are these."""
    words = model.base_model.embeddings.word_embeddings
    rows = [words.weight] + (
        [model.lm_head.bias, model.lm_head.decoder.weight, model.lm_head.decoder.bias]
        if hasattr(model, "lm_head")
        else []
    )
    # deepcopy takes these in place of the originals, so what was tied is tied again and nothing
    # large is copied
    memo = {
        id(p): nn.Parameter(p.detach()[ids].clone(), requires_grad=p.requires_grad)
        for p in dict.fromkeys(rows)
    }
    small = copied(model, memo)
    small.base_model.embeddings.word_embeddings.num_embeddings = len(ids)
    if hasattr(small, "lm_head"):
        small.lm_head.decoder.out_features = len(ids)
    small.config.vocab_size = len(ids)
    small.config.bos_token_id, small.config.eos_token_id = (
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
    )
    return small


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
    if not texts:
        raise ValueError("texts: is empty, must hold at least one text")
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
