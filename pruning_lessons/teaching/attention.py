"""Attention maps as pictures: BertViz views that need no network and know pruned models.

BertViz fetches its JavaScript when a view is opened. Here the little that it uses of them stands in
the view itself (d3's selections and colours, and a shim), inside an iframe: it draws offline, on
the first run and later. Tokens come from checkpoints and texts: the iframe is a sandbox of its own
that reaches neither the notebook's page nor the network, and BertViz gets them as data.
"""

import base64
import html
import io
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..measuring.escapes import NO_FORMULAS, in_html, in_script, one_line
from ..models.anatomy import inputs_of, kept_heads, longest
from ..models.checks import arguments, finite_weights, tokenizer, whole_number
from ..models.files import ASSETS
from ..models.state import at_rest
from .exercises import Plain
from .labels import labels_for, plain_text

SCRIPTS = ASSETS / "js"
REMOVED = " An empty map is a removed head."
WIDEST = 16  # characters of a token in a view
MOST = 128  # tokens in a view
TALLEST = 560  # pixels of a frame: what a projector shows beside the code; the rest is scrolled
ZOOM = 0.85  # of the model view, which is 970 pixels wide
WIDE, HIGH, DOTS = 8.4, 5.2, 150  # inches of the static picture, dots to an inch
# Nothing is fetched, whatever runs in the frame.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
PARAMETERS = "const params = "  # what BertViz's script begins its data with


class NothingToShow(Plain, ValueError):
    """What was asked for cannot be shown; a notebook says why, in one line."""


@dataclass
class AttentionMaps:
    """`maps[layer]` is (1, heads, T, T): row = the token that looks, column = the token looked at;
    T tokens.

    Removed heads have maps of zeros, so that a head keeps its number; removed layers are left out.
    """

    tokens: list[str]
    maps: list[Tensor]
    pair_start: int | None = None
    left_out: int = 0  # tokens at the end of a text that is longer than the model reads


@arguments(model=finite_weights, tokenizer=tokenizer)
@torch.inference_mode()
def attention_maps(model, tokenizer, sentence: str, pair: str | None = None) -> AttentionMaps:
    """The attention of every head on one sentence, or on a pair of sentences.

    Switches the model to eager attention meanwhile, the only kind that gives its weights. Raises
    `TypeError` for a model of another family, `ValueError` for an empty sentence, and for a
    tokenizer that is another model's.
    """
    for name, text in (("sentence", sentence), ("pair", pair)):
        if (text is not None or name == "sentence") and not _is_text(text):
            raise NothingToShow(f"{name}: is {text!r}, must be text")
    limit = min(longest(model), tokenizer.model_max_length)
    encoded = tokenizer(sentence, pair, return_tensors="pt", truncation=True, max_length=limit)
    whole = len(tokenizer(sentence, pair, verbose=False)["input_ids"])
    ids, pieces = encoded["input_ids"][0].tolist(), model.get_input_embeddings().num_embeddings
    if not ids:
        raise NothingToShow(f"sentence: is {sentence!r}, of which the tokenizer leaves no token")
    if max(ids) >= pieces:
        raise NothingToShow(
            f"tokenizer: has a token with the number {max(ids)}, the model has {pieces} pieces: "
            f"they do not belong together"
        )
    before = model.config._attn_implementation
    try:
        with at_rest(model):
            model.set_attn_implementation("eager")
            inputs = inputs_of(model, encoded)
            found = model.base_model(**inputs, output_attentions=True, return_dict=True)
    finally:
        model.set_attn_implementation(before)
    tokens = _shown(tokenizer, encoded, (sentence, pair))
    maps = []
    for weights, places in zip(found.attentions, kept_heads(model)):
        full = torch.zeros(1, model.config.num_attention_heads, len(tokens), len(tokens))
        full[:, places] = weights.cpu().float()
        maps.append(full)
    start = None if pair is None else _pair_start(encoded)
    return AttentionMaps(tokens, maps, start, whole - len(ids))


def _is_text(text) -> bool:
    """Whether there is something to read, in characters that UTF-8 has."""
    whole = isinstance(text, str) and not re.search("[\ud800-\udfff]", text)
    return whole and bool(text.strip())


def _pair_start(encoded) -> int | None:
    """Where the second text begins: behind the separator that closes the first. None if one of
    the two is left without a token.
    """
    texts = encoded.sequence_ids(0)
    first = max((place for place, text in enumerate(texts) if text == 0), default=0)
    second = next((place for place, text in enumerate(texts) if text == 1), len(texts))
    start = min(first + 2, second)
    return start if 0 < start < len(texts) else None


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
    """A picture for a notebook: an interactive part, a static one for readers where no script runs,
    words for both.

    Where a page shows the frame it also obeys the style that hides the static picture; where it
    takes both out, as JupyterLab does in a notebook that is not trusted and as GitHub does, the
    picture is there.
    """

    def __init__(self, interactive: str, picture: bytes, text: str, note: str = ""):
        """text: what the picture shows; note: what is to be said of both parts."""
        self.interactive, self.picture, self.text, self.note = interactive, picture, text, note

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.picture).decode()
        said = in_html(self.text, len(self.text))
        name = f"pruning-lessons-static-{zlib.crc32(self.picture + self.interactive.encode()):08x}"
        hide = f"<style>.{name}{{display:none}}</style>" if self.interactive else ""
        note = f"<p>{in_html(self.note, len(self.note))}</p>" if self.note else ""
        return (
            f'<div {NO_FORMULAS}>{self.interactive}{hide}<div class="{name}">'
            f'<img src="data:image/png;base64,{image}" alt="{said}" '
            f'width="{_width(self.picture)}" style="max-width:100%;height:auto">'
            f"<p>{said}</p></div>{note}</div>"
        )

    def __repr__(self) -> str:
        return f"{self.text} {self.note}".strip()


def _width(png: bytes) -> int:
    """Pixels on the page, of 100 to an inch."""
    return round(int.from_bytes(png[16:20], "big") * 100 / DOTS)


def show_heads(
    model,
    tokenizer,
    sentence: str,
    pair: str | None = None,
    layer: int = 0,
    max_tokens: int = 48,
    heads: Sequence[int] | None = None,
) -> View:
    """BertViz's head view: lines from each token to those it looks at; choose layers in the menu,
    heads by their squares, and rest the pointer on a token to see its lines alone.

    heads: those that are switched on when it opens, all unless given. Where no script runs there is
    a static picture of them, or of as many as can be read. Needs no network. Of a longer text the
    first `max_tokens` are shown (at most 128), of a pair as many of each as there is room for: a
    view grows with their square. Raises what `attention_maps` raises, and `ValueError` for a layer
    or a head that the model does not have.
    """
    found = _maps_of(model, tokenizer, sentence, pair, max_tokens)
    if isinstance(layer, bool) or layer not in range(len(found.maps)):
        raise NothingToShow(f"layer: is {layer!r}, must be from 0 to {len(found.maps) - 1}")
    maps = found.maps[layer][0]
    chosen = _chosen(heads, len(maps))
    from bertviz import head_view

    labels, families, key = labels_for(found.tokens)
    shape = _shape(len(chosen), len(labels))
    drawn = chosen[: shape[0] * shape[1]]
    which = f"{len(maps)} heads" if heads is None else f"{_named(chosen)} of {len(maps)}"
    text = (
        f"Layer {layer}, {which} on {_quoted(sentence, pair)}. Row: the token that "
        f"looks; column: the token it looks at; darker is more."
        f"{REMOVED if any(not maps[i].any() for i in chosen) else ''}"
    )
    if len(drawn) < len(chosen):
        text += f" The static picture has {_named(drawn)}; heads=[…] chooses others."
    if key:
        named = ", ".join(f"{number} is “{token}”" for number, token in key.items())
        text += f" Tokens in a script that the picture has no font for: {named}."
    page = _page(head_view, found, layer=layer, heads=None if heads is None else chosen)
    height = min(TALLEST, 70 + 23 * len(found.tokens))
    picture = _grid(maps[drawn], labels, families, f"layer {layer}", drawn)
    return View(_iframe(page, height), picture, text, found.note)


def _chosen(heads: Sequence[int] | None, count: int) -> list[int]:
    if heads is None:
        return list(range(count))
    try:
        chosen = sorted({int(head) for head in heads if not isinstance(head, bool)})
    except (TypeError, ValueError):
        chosen = []
    if not chosen or chosen[0] < 0 or chosen[-1] >= count:
        raise NothingToShow(f"heads: is {heads!r}, must be some of 0 to {count - 1}, as in [0, 3]")
    return chosen


def _named(heads: list[int]) -> str:
    return f"head{'s' * (len(heads) > 1)} {', '.join(map(str, heads))}"


def show_model(
    model, tokenizer, sentence: str, pair: str | None = None, max_tokens: int = 32
) -> View:
    """BertViz's model view: every head of every layer at a glance, a colour for each layer; click
    one to enlarge it, and once more to put it away.

    Where no script runs there is a static picture: one row per layer, one column per head. Needs no
    network. Longer texts are shown as by `show_heads`. Raises what `attention_maps` raises.
    """
    found = _maps_of(model, tokenizer, sentence, pair, max_tokens)
    from bertviz import model_view

    maps = torch.cat(found.maps)  # (layers, heads, T, T)
    text = (
        f"All {maps.shape[0]} layers (rows) and {maps.shape[1]} heads (columns) on "
        f"{_quoted(sentence, pair)}. In each map, row: the token that looks; column: the token it "
        f"looks at; darker is more.{'' if maps.flatten(2).any(-1).all() else REMOVED}"
    )
    page, height = _flatter(_page(model_view, found), *maps.shape[:3])
    frame = _iframe(page, min(TALLEST, round(height * ZOOM) + 24), ZOOM)
    return View(frame, _overview(maps), text, found.note)


def _flatter(page: str, layers: int, heads: int, tokens: int) -> tuple[str, float]:
    """BertViz's model view with maps so flat that all layers fit on a projector, unless the lines
    get too close, and the height of its drawing in pixels, as model_view.js computes it.
    """
    room = (TALLEST - 60) / ZOOM - 38  # for the maps, beneath their heading and a menu
    own = 7 * 12 / heads  # from one token to the next
    step = min(own, max(2.5, (room / layers - 10) / tokens))
    flatter = page.replace("= 7 * (12 / config.totalHeads)", f"= {step:.3f}")
    step = own if flatter == page else step
    return flatter, max(layers * (tokens * step + 10) + 38, tokens * 18 + 55) + 40


def _quoted(sentence: str, pair: str | None) -> str:
    return " and ".join(f"“{one_line(text)}”" for text in (sentence, pair) if text is not None)


@dataclass
class _Shown(AttentionMaps):
    """What of the maps fits in a view, its tokens as they are written there, and what to say of
    the rest.
    """

    note: str = ""


def _maps_of(model, tokenizer, sentence, pair, max_tokens: int) -> _Shown:
    try:
        whole_number("max_tokens", max_tokens, 4, MOST)
    except ValueError as error:
        raise NothingToShow(str(error)) from None
    found = attention_maps(model, tokenizer, sentence, pair)
    if not found.maps:
        raise NothingToShow("model: has no layers left, so there is no attention to show")
    places, start = _first(len(found.tokens), found.pair_start, max_tokens)
    return _Shown(
        tokens=[one_line(found.tokens[place], WIDEST) for place in places],
        maps=[layer[:, :, places][..., places] for layer in found.maps],
        pair_start=start,
        left_out=len(found.tokens) + found.left_out - len(places),
        note=_note(len(places), len(found.tokens), found.left_out, pair is not None),
    )


def _first(count: int, start: int | None, most: int) -> tuple[list[int], int | None]:
    """(places of the tokens that are shown, where the second text begins among them): the first of
    each text, half of the room for each unless one needs less.
    """
    if count <= most or start is None:
        return list(range(min(count, most))), start
    second = min(count - start, max(most // 2, most - start))
    first = most - second
    return [*range(first), *range(start, start + second)], first


def _note(shown: int, read: int, left_out: int, pair: bool) -> str:
    """What is not in a view, and how to see it."""
    if shown == read and not left_out:
        return ""
    what = "the first tokens of each text," if pair else "the first"
    note = f"Shown are {what} {shown} of {read + left_out} tokens"
    if shown < min(read, MOST):
        does = "more" if left_out or read > MOST else "all"
        note += f"; max_tokens={min(read, MOST)} shows {does}"
    if left_out:
        note += f"; the model reads no more than {read}"
    return note + "."


def _page(view: Callable, found: AttentionMaps, **options) -> str:
    """BertViz's page for these maps. BertViz itself lays out blank texts of one token: what the
    page shows is put in here, as JSON that no token can end.
    """
    texts = 1 if found.pair_start is None else 2
    maps = torch.cat(found.maps)  # (layers, heads, T, T)
    blank = list(torch.zeros(len(maps), 1, maps.shape[1], texts, texts))
    start = None if texts == 1 else 1
    page = view(blank, [""] * texts, sentence_b_start=start, html_action="return", **options).data
    begin = page.index(PARAMETERS) + len(PARAMETERS)
    parameters, end = json.JSONDecoder().raw_decode(page, begin)
    spans = [([0, len(found.tokens)],) * 2]  # rows, columns; in BertViz's order
    if start:
        first, second = [0, found.pair_start], [found.pair_start, len(found.tokens)]
        spans += [(first, first), (second, second), (first, second), (second, first)]
    parameters["attention"] = [
        {"name": part["name"], "rows": rows, "columns": columns}
        for part, (rows, columns) in zip(parameters["attention"], spans)
    ]
    parameters |= {"tokens": found.tokens, "weights": _bytes(maps), "shape": maps.shape[:3]}
    rest = page[page.index("\n", end) :]
    return f"{page[:begin]}unpacked({in_script(parameters)});{rest}"


def _bytes(maps: Tensor) -> str:
    """Weights in 255ths, the steps that a screen can show; base64."""
    return base64.b64encode(maps.nan_to_num().mul(255).round().byte().numpy().tobytes()).decode()


def _iframe(page: str, height: int, zoom: float = 1) -> str:
    """BertViz's page with its JavaScript inside, in a frame that reaches nothing outside it."""
    page = re.sub(r'<script src="[^"]*require[^"]*"></script>', "", page)
    names = ("d3-color.min.js", "d3-selection.min.js", "shim.js")  # in this order
    head = "".join(f"<script>{(SCRIPTS / name).read_text('utf-8')}</script>" for name in names)
    srcdoc = (
        f'<!doctype html><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<body style="background:#fff;zoom:{zoom}">{head}{page}</body>'
    )
    return (
        f'<iframe title="BertViz attention view" sandbox="allow-scripts" '
        f'srcdoc="{html.escape(srcdoc)}" style="width:100%;height:{height}px;border:0"></iframe>'
    )


def _shape(count: int, tokens: int) -> tuple[int, int]:
    """(rows, columns) of the static picture: as many of `count` maps as leave room for a letter of
    readable size for each token.
    """
    side = max(1.45, 0.125 * tokens)  # inches of a map
    columns = max(1, min(4, int((WIDE - 0.8) / (side + 0.1)), count))
    rows = max(1, min(int((HIGH - 0.9) / (side + 0.2)), -(-count // columns)))
    return rows, columns


def _grid(
    maps: Tensor,
    labels: list[str],
    families: list[str],
    title: str,
    numbers: Sequence[int] | None = None,
) -> bytes:
    """A PNG of maps (n, T, T) of one layer, with tokens on the outer ones. numbers: of the heads,
    0 and on unless given.
    """
    numbers = range(len(maps)) if numbers is None else numbers
    rows, columns = _shape(len(maps), len(labels))
    maps = maps[: rows * columns]
    size = 9 if len(labels) <= 14 else 8
    longest = max(map(len, labels))

    def draw(i: int, ax) -> None:
        name = f"head {numbers[i]}"
        ax.set_title(name if maps[i].any() else f"{name}: removed", fontsize=10)
        if i % columns == 0:
            ax.set_yticks(range(len(labels)), labels, fontsize=size)
        if i >= len(maps) - columns:
            ax.set_xticks(range(len(labels)), labels, fontsize=size, rotation=90)

    side = max(1.45, 0.125 * len(labels))
    high = min(HIGH, (side + 0.25) * rows + 0.5 + 0.075 * longest)
    wide = WIDE if columns > 1 else min(WIDE, 1.3 * side + 0.075 * longest + 0.4)
    title = f"Attention of {title}"
    return _picture(maps, (rows, columns), (wide, high), title, draw, families=families)


def _overview(maps: Tensor) -> bytes:
    """A PNG of all maps (layers, heads, T, T), small, a row for each layer."""
    columns = maps.shape[1]

    def draw(i: int, ax) -> None:
        if i % columns == 0:
            ax.set_ylabel(i // columns, rotation=0, fontsize=9, labelpad=9, va="center")
        if i < columns:
            ax.set_title(i, fontsize=9)

    title = "Heads (columns) of all layers (rows)"
    size = (min(WIDE, 0.62 * columns + 0.8), min(HIGH, 0.45 * len(maps) + 0.6))
    return _picture(maps.flatten(0, 1), maps.shape[:2], size, title, draw)


def _picture(maps: Tensor, shape, size, title: str, draw: Callable, families=()) -> bytes:
    """A PNG of maps (n, T, T) as heat maps in rows and columns, `size` inches in all; `draw` writes
    on each. families: of their fonts.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from PIL import Image

    rows, columns = shape
    with rc_context(plain_text(families)):
        figure = Figure(figsize=size, layout="constrained")
        for i, ax in enumerate(figure.subplots(rows, columns, squeeze=False).flatten()):
            ax.set(xticks=[], yticks=[])
            if i >= len(maps):
                ax.axis("off")
                continue
            ax.imshow(maps[i].numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
            draw(i, ax)
        figure.suptitle(title, fontsize=11)
        file, small = io.BytesIO(), io.BytesIO()
        figure.savefig(file, format="png", dpi=DOTS)
    Image.open(file).convert("RGB").quantize(64).save(small, "png", optimize=True)  # one hue
    return small.getvalue()
