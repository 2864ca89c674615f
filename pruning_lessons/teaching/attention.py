"""Attention maps as pictures: BertViz views that need no network and know pruned models.

BertViz fetches its JavaScript when a view is opened. Here the little that it uses of them stands in
the view itself (d3's selections and colours, and a shim), inside an iframe: it draws offline, on
the first run and later.
"""

import base64
import io
import re
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from ..models.anatomy import inputs_of, kept_heads, layers_of, longest
from ..models.files import ASSETS
from ..models.state import at_rest

SCRIPTS = ASSETS / "js"
REMOVED = " An empty map is a removed head."


@dataclass
class AttentionMaps:
    """`maps[layer]` is (1, heads, T, T): row = the token that looks, column = the token looked at;
    T tokens.

    Removed heads have maps of zeros, so that a head keeps its number; removed layers are left out.
    """

    tokens: list[str]
    maps: list[Tensor]
    pair_start: int | None = None


@torch.inference_mode()
def attention_maps(model, tokenizer, sentence: str, pair: str | None = None) -> AttentionMaps:
    """The attention of every head on one sentence, or on a pair of sentences.

    Switches the model to eager attention meanwhile, the only kind that gives its weights. Raises
    `TypeError` for a model of another family, `ValueError` for an empty sentence.
    """
    layers_of(model)
    for name, text in (("sentence", sentence), ("pair", pair)):
        if (text is not None or name == "sentence") and not (
            isinstance(text, str) and text.strip()
        ):
            raise ValueError(f"{name}: is {text!r}, must be text")
    limit = min(longest(model), tokenizer.model_max_length)
    encoded = tokenizer(sentence, pair, return_tensors="pt", truncation=True, max_length=limit)
    before = model.config._attn_implementation
    try:
        with at_rest(model):
            model.set_attn_implementation("eager")
            inputs = inputs_of(model, encoded)
            found = model.base_model(**inputs, output_attentions=True).attentions
    finally:
        model.set_attn_implementation(before)
    tokens = _shown(tokenizer, encoded, (sentence, pair))
    maps = []
    for weights, places in zip(found, kept_heads(model)):
        full = torch.zeros(1, model.config.num_attention_heads, len(tokens), len(tokens))
        full[:, places] = weights.cpu().float()
        maps.append(full)
    # the second text begins behind the separator that closes the first
    ends = [place for place, text in enumerate(encoded.sequence_ids(0)) if text == 0]
    start = None if pair is None else ends[-1] + 2
    return AttentionMaps(tokens, maps, start)


def _shown(tokenizer, encoded, texts: tuple[str, str | None]) -> list[str]:
    """Each token as the part of the text that it stands for; special tokens by their names."""
    shown = []
    names = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    for place, (name, text) in enumerate(zip(names, encoded.sequence_ids(0))):
        span = None if text is None else encoded.token_to_chars(0, place)
        if span is None:
            shown.append(name)
        else:
            shown.append(texts[text][span.start : span.end].strip() or "▁")
    return shown


class View:
    """A picture for a notebook: an interactive part, a static one beside it, words for both."""

    def __init__(self, interactive: str, picture: bytes, text: str):
        self.interactive, self.picture, self.text = interactive, picture, text

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.picture).decode()
        return (
            f'<div>{self.interactive}<figure><img src="data:image/png;base64,{image}" '
            f'alt="{escape(self.text)}" '
            f'style="max-width:100%"><figcaption>{escape(self.text)}</figcaption></figure></div>'
        )

    def __repr__(self) -> str:
        return self.text


def show_heads(model, tokenizer, sentence: str, pair: str | None = None, layer: int = 0) -> View:
    """BertViz's head view: lines from each token to those it looks at, one colour a head; choose
    layers in the menu.

    Beside it a static picture of `layer`'s heads. Needs no network. Raises what `attention_maps`
    raises, and `ValueError` for a layer that the model does not have.
    """
    found = _maps_of(model, tokenizer, sentence, pair)
    if not 0 <= layer < len(found.maps):
        raise ValueError(f"layer: is {layer}, must be from 0 to {len(found.maps) - 1}")
    from bertviz import head_view

    height = 130 + 23 * len(found.tokens)
    page = head_view(
        *_rounded(found), sentence_b_start=found.pair_start, layer=layer, html_action="return"
    ).data
    heads = found.maps[layer][0]
    text = (
        f"Layer {layer}, {len(heads)} heads on “{sentence}”. Row: the token that looks; "
        f"column: the token it looks at; "
        f"darker is more.{REMOVED if any(not h.any() for h in heads) else ''}"
    )
    return View(
        _iframe(page, height), _grid(heads[None], found.tokens, f"layer {layer}", labels=True), text
    )


def show_model(model, tokenizer, sentence: str, pair: str | None = None) -> View:
    """BertViz's model view: every head of every layer at a glance; click one to enlarge it.

    Beside it a static picture: one row a layer, one column a head. Needs no network. Raises what
    `attention_maps` raises.
    """
    found = _maps_of(model, tokenizer, sentence, pair)
    from bertviz import model_view

    page = model_view(
        *_rounded(found), sentence_b_start=found.pair_start, html_action="return"
    ).data
    maps = torch.cat(found.maps)  # (layers, heads, T, T)
    text = (
        f"All {maps.shape[0]} layers (rows) and {maps.shape[1]} heads (columns) on "
        f"“{sentence}”. In each map, row: the "
        f"token that looks; column: the token it looks at; darker is "
        f"more.{'' if maps.flatten(2).any(-1).all() else REMOVED}"
    )
    return View(
        _iframe(page, 640, zoom=0.6), _grid(maps, found.tokens, "layer", labels=False), text
    )


def _maps_of(model, tokenizer, sentence, pair) -> AttentionMaps:
    found = attention_maps(model, tokenizer, sentence, pair)
    if not found.maps:
        raise ValueError("model: has no layers left, so there is no attention to show")
    return found


def _rounded(found: AttentionMaps):
    """Three decimals, in float64: float32 would write 0.123 as 0.12300000339746475."""
    return [m.double().mul(1000).round().div(1000) for m in found.maps], list(found.tokens)


def _iframe(page: str, height: int, zoom: float = 1) -> str:
    """BertViz's page with its JavaScript inside, in a frame of its own."""
    page = re.sub(r'<script src="[^"]*require[^"]*"></script>', "", page)
    names = ("d3-color.min.js", "d3-selection.min.js", "shim.js")  # in this order
    head = "".join(f"<script>{(SCRIPTS / name).read_text('utf-8')}</script>" for name in names)
    body = f'<body style="background:#fff;zoom:{zoom}">{head}{page}</body>'
    srcdoc = f'<!doctype html><meta charset="utf-8">{body}'
    return (
        f'<iframe title="BertViz attention view" srcdoc="{escape(srcdoc)}" '
        f'style="width:100%;height:{height}px;border:0"></iframe>'
    )


def _grid(maps: Tensor, tokens: list[str], row_name: str, labels: bool) -> bytes:
    """A PNG of maps (rows, columns, T, T), each a small heat map; with labels, tokens on the outer
    ones.
    """
    from matplotlib.figure import Figure

    rows, columns = maps.shape[:2]
    if labels:  # one layer: its heads in rows of six
        columns = min(6 if len(tokens) <= 12 else 4, columns)
        maps = maps.flatten(0, 1)
        rows = -(-len(maps) // columns)
        maps = list(maps)
    else:
        maps = list(maps.flatten(0, 1))
    side = max(1.9, 0.14 * len(tokens) + 0.4) if labels else 0.62  # inches; a row a token
    figure = Figure(figsize=(side * columns + 0.8, side * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for i, ax in enumerate(axes):
        ax.set(xticks=[], yticks=[])
        if i >= len(maps):
            ax.axis("off")
            continue
        ax.imshow(maps[i].numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        if labels:
            ax.set_title(f"head {i}" if maps[i].any() else f"head {i}: removed", fontsize=9)
            if i % columns == 0:
                ax.set_yticks(range(len(tokens)), tokens, fontsize=8)
            if i >= len(maps) - columns:
                ax.set_xticks(range(len(tokens)), tokens, fontsize=8, rotation=90)
        else:
            if i % columns == 0:
                ax.set_ylabel(i // columns, rotation=0, fontsize=9, labelpad=9, va="center")
            if i < columns:
                ax.set_title(i, fontsize=9)
    figure.suptitle(
        f"Attention of {row_name}" if labels else "Heads (columns) of all layers (rows)",
        fontsize=11,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
