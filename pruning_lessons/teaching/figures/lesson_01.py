"""Pictures of lesson 01: what attention computes, who may look where, where heads look."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ...measuring.escapes import NO_FORMULAS, in_html
from ..labels import labels_for, plain_text
from .common import COLOURS, HATCHES, style, words
from .picture import Picture, subplots

__all__ = [
    "architectures",
    "attention_by_hand",
    "attention_map",
    "bottleneck",
    "how_far",
    "kinds_of_attention",
    "looked_and_taken",
    "patterns",
    "pictograms",
    "pronouns",
    "similarity",
    "where_it_looks",
    "who_may_look",
]


class Drawing(Picture):
    """A `Picture` with a line beneath it."""

    below = ""

    def _repr_html_(self) -> str:
        below = f"<p {NO_FORMULAS}>{in_html(self.below, 2000)}</p>" if self.below else ""
        return super()._repr_html_() + below


PALE = ("#cfe2f3", "#fbd9c5", "#cdeadf", "#f3d9e6")  # of COLOURS, to write on


def _plain(ax, xlim, ylim, title=""):
    ax.set(xlim=xlim, ylim=ylim, title=title)
    ax.axis("off")


def _box(ax, x, y, text, colour="#eeeeee", width=1.0, height=0.5, hatch="", bold=False):
    """A box around (x, y) with a text in it."""
    from matplotlib.patches import FancyBboxPatch

    corner = (x - width / 2, y - height / 2)
    look = dict(facecolor=colour, edgecolor="black", linewidth=0.9, hatch=hatch)
    shape = "round,pad=0,rounding_size=0.07"
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, **look))
    weight = "bold" if bold else "normal"
    ax.text(x, y, text, ha="center", va="center", fontsize=10, weight=weight)


def _arrow(ax, start, end, width=1.2, colour="black"):
    look = dict(arrowstyle="-|>", linewidth=width, color=colour, shrinkA=0, shrinkB=0)
    ax.annotate("", end, start, arrowprops=look)


def bottleneck() -> Drawing:
    """A translator with one vector between reader and writer, and one that looks back."""
    figure, (left, right) = subplots(1, 2, height=3.1)
    read, written = ["Bill", "bought", "salad"], ["Bill", "kaufte", "Salat"]
    for ax, title in ((left, "2014: one vector"), (right, "2015: look back")):
        _plain(ax, (-0.6, 7.7), (-0.5, 3.4), title)
    for ax in (left, right):
        for i, word in enumerate(read):
            ax.text(i * 1.1, -0.15, word, ha="center", va="top", fontsize=10)
            _box(ax, i * 1.1, 0.5, "", PALE[0], width=0.7)
            if i:
                _arrow(ax, (i * 1.1 - 0.75, 0.5), (i * 1.1 - 0.35, 0.5))
        for i, word in enumerate(written):
            _box(ax, 4.9 + i * 1.1, 2.3, "", PALE[1], width=0.7, hatch="//")
            ax.text(4.9 + i * 1.1, 2.75, word, ha="center", va="bottom", fontsize=10)
            if i:
                _arrow(ax, (4.9 + i * 1.1 - 0.75, 2.3), (4.9 + i * 1.1 - 0.35, 2.3))
    _box(left, 3.5, 1.4, "all of it", "white", width=1.2, bold=True)
    _arrow(left, (2.55, 0.6), (3.2, 1.13))
    _arrow(left, (3.8, 1.67), (4.5, 2.2))
    for i, width in enumerate((0.6, 0.9, 4.0)):
        _arrow(right, (i * 1.1, 0.78), (6.95, 2.02), width, COLOURS[1])
    right.text(5.4, 0.75, "“Salat” weighs\nall words anew", fontsize=9, ha="left", va="center")
    return Drawing(
        figure,
        "Two diagrams of a translator. Left, 2014: the words “Bill bought salad” are read one "
        "after the other into a single vector, from which “Bill kaufte Salat” is written. Right, "
        "2015: no single vector stands between them; the written word “Salat” has an arrow from "
        "each word read, thick from “salad”, thin from the others.",
    )


def how_far(influence: Mapping[str, Sequence[float]]) -> Drawing:
    """What is left of each word in the last output, on a logarithmic axis: name → from the first
    word to the last.
    """
    figure, ax = subplots(height=3.3)
    steps, said = len(next(iter(influence.values()))), []
    for i, (name, values) in enumerate(influence.items()):
        look = style(i) | dict(markevery=(5 * i % 7, 7), markersize=6)
        ax.plot(range(1 - steps, 1), [max(float(v), 1e-30) for v in values], label=name, **look)
        said.append(f"{name}: first word {words(values[0])}, last word {words(values[-1])}")
    ax.set(yscale="log", ylim=(1e-22, 30), yticks=[10.0**n for n in range(-20, 1, 5)])
    ax.set_yticklabels([_power_of_ten(n) for n in range(-20, 1, 5)])
    ax.set(title="What is left of a word when the last has been read")
    ax.set(xlabel="word, counted back from the last", ylabel="influence on the last output")
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return Drawing(
        figure,
        f"Line chart, influence of each of {steps} words on the last output, logarithmic, the "
        f"largest of each line is 1. {'; '.join(said)}.",
    )


def _power_of_ten(n: int) -> str:
    return "1" if n == 0 else "10" + str(n).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _matrix(ax, x, y, values, name, rows=(), marked=None, shade=None, form="{:.0f}"):
    """A matrix with its numbers, its upper left corner at (x, y); returns where it ends, x."""
    from matplotlib.patches import Rectangle

    m = len(values[0])
    wide, high = 0.62, 0.42
    ax.text(x + m * wide / 2, y + 0.14, name, ha="center", va="bottom", fontsize=10)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            colour = "white" if shade is None else (0, 0.447, 0.698, 0.75 * max(0, value))
            corner = (x + j * wide, y - (i + 1) * high)
            ax.add_patch(
                Rectangle(corner, wide, high, facecolor=colour, edgecolor="#888888", linewidth=0.6)
            )
            dark = shade is not None and value > 0.6
            ax.text(
                x + (j + 0.5) * wide,
                y - (i + 0.5) * high,
                form.format(value).replace("-", "−"),
                ha="center",
                va="center",
                fontsize=10,
                color="white" if dark else "black",
            )
    if marked is not None:
        ax.add_patch(
            Rectangle(
                (x, y - (marked + 1) * high), m * wide, high, fill=False, linewidth=2.2, zorder=3
            )
        )
    for i, name in enumerate(rows):
        ax.text(x - 0.1, y - (i + 0.5) * high, name, ha="right", va="center", fontsize=10)
    return x + m * wide


def attention_by_hand(
    tokens: Sequence[str],
    X: Tensor,
    W_query: Tensor,
    W_key: Tensor,
    W_value: Tensor,
    row: int = -1,
) -> Drawing:
    """Attention with all its numbers: X (T, d) and three matrices (d, d_h). `row` is framed."""
    Q, K, V = X @ W_query, X @ W_key, X @ W_value
    scores = Q @ K.T / Q.shape[-1] ** 0.5
    weights = scores.softmax(-1)
    mixed = weights @ V
    row %= len(tokens)
    figure, ax = subplots(height=4.3)
    _plain(ax, (-0.9, 9.6), (-4.35, 0.75))
    one = "{:.1f}"
    ends = _matrix(ax, 0, 0, X.tolist(), "X", tokens, row)
    names = zip(("query  Q = X W_q", "key  K = X W_k", "value  V = X W_v"), (Q, K, V))
    for x, (name, values) in zip((3.0, 5.6, 8.2), names):
        start = _matrix(ax, x, 0, values.tolist(), name, marked=row if values is Q else None)
        if x == 3.0:
            _arrow(ax, (ends + 0.25, -0.63), (x - 0.25, -0.63))
            ax.text((ends + x) / 2, -0.45, "three\nmatrices", ha="center", va="bottom", fontsize=9)
        ends = start
    below = -2.35
    ends = _matrix(ax, 0, below, scores.tolist(), "scores  Q Kᵀ / √d", tokens, row, form=one)
    _arrow(ax, (ends + 0.15, below - 0.63), (3.35, below - 0.63))
    ax.text((ends + 3.45) / 2, below - 0.5, "softmax\nof each row", ha="center", fontsize=9)
    ends = _matrix(ax, 3.55, below, weights.tolist(), "attention weights", (), row, True, "{:.2f}")
    _arrow(ax, (ends + 0.15, below - 0.63), (7.3, below - 0.63))
    ax.text((ends + 7.45) / 2, below - 0.5, "weighted mean\nof the values", ha="center", fontsize=9)
    _matrix(ax, 7.55, below, mixed.tolist(), "output", (), row, form=one)
    ax.text(7.55, below - 1.5, f"framed: “{tokens[row]}”", fontsize=9)
    say = lambda values: ", ".join(f"{value:.2f}" for value in values)
    said = [
        f"{token}: query {say(Q[i].tolist())}, key {say(K[i].tolist())}, value "
        f"{say(V[i].tolist())}; scores {say(scores[i].tolist())}; weights "
        f"{say(weights[i].tolist())}; output {say(mixed[i].tolist())}."
        for i, token in enumerate(tokens)
    ]
    return Drawing(
        figure,
        "Attention step by step: from X queries, keys and values; from them scores, from the "
        f"scores by softmax the weights, and the output. {' '.join(said)}",
    )


def where_it_looks(tokens: Sequence[str], weights, at: int, title: str) -> Drawing:
    """A bar for each token's weight in one row (T,) of a map; bar `at` is hatched."""
    from matplotlib import rc_context

    labels, families, _ = labels_for(list(tokens))
    weights = [float(weight) for weight in weights]
    with rc_context(plain_text(families)):
        figure, ax = subplots(height=2.7)
        colours, hatches = [COLOURS[0]] * len(labels), [""] * len(labels)
        colours[at], hatches[at] = COLOURS[1], "//"
        ax.bar(range(len(labels)), weights, color=colours, hatch=hatches, edgecolor="black")
        ax.set(ylabel="attention weight", ylim=(0, 1), title=title)
        ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
        ax.text(at, weights[at] + 0.03, f"{weights[at]:.0%}", ha="center", fontsize=10)
        each = ", ".join(f"{token} {weight:.0%}" for token, weight in zip(tokens, weights))
        return Drawing(figure, f"Bar chart, {title}. Weights: {each}.", tuple(families))


def pronouns(found: Mapping[str, Tensor], words_: Sequence[str], title: str) -> Drawing:
    """For each group a panel: a line for each sentence, from its weight with the first word to that
    with the second. found: group → (sentences, 2).
    """
    figure, axes = subplots(1, len(found), height=3.1, width=6.4, sharey=True, squeeze=False)
    top = max(float(values.max()) for values in found.values())
    said = []
    for ax, (group, values), colour in zip(axes[0], found.items(), COLOURS):
        for pair in values.tolist():
            ax.plot([0, 1], pair, "o-", color=colour, alpha=0.45, markersize=4, linewidth=1)
        mean = values.mean(0).tolist()
        ax.plot([0, 1], mean, "s-", color="black", markersize=7, linewidth=2.5, label="mean")
        for x, value in enumerate(mean):
            side = dict(ha="right", xytext=(-9, 0)) if x == 0 else dict(ha="left", xytext=(9, 0))
            ax.annotate(f"{value:.0%}", (x, value), va="center", textcoords="offset points", **side)
        ax.set(xticks=[0, 1], xlim=(-0.5, 1.5), ylim=(0, min(1, 1.15 * top)), title=group)
        ax.set_xticklabels([f"“{word}”" for word in words_])
        ax.grid(axis="y", alpha=0.3)
        fall = int((values[:, 0] > values[:, 1]).sum())
        said.append(
            f"{group}, {len(values)} sentences: mean {mean[0]:.0%} with {words_[0]}, "
            f"{mean[1]:.0%} with {words_[1]}; more with {words_[0]} in {fall}"
        )
    axes[0, 0].set(ylabel="weight on the name")
    axes[0, 0].legend(loc="upper right", frameon=False)
    figure.suptitle(title, fontsize=11)
    return Drawing(figure, f"{title}. {'; '.join(said)}.")


def _map(ax, values, cmap="Blues", low=0.0, high=1.0):
    ax.set(xticks=[], yticks=[])
    values = values if isinstance(values, list) else values.tolist()
    return ax.imshow(values, cmap=cmap, vmin=low, vmax=high)


def pictograms() -> Drawing:
    """Six patterns of attention on five tokens, the word in the second place and the fourth the
    same.
    """
    n, shown = 5, {}
    square = lambda: [[0.0] * n for _ in range(n)]
    for name, place in (
        ("the token\nbefore", lambda i: [max(i - 1, 0)]),
        ("the token\nafter", lambda i: [min(i + 1, n - 1)]),
        ("the same word\nelsewhere", lambda i: {1: [3], 3: [1]}.get(i, [0])),
        ("the start,\n<s>", lambda i: [0]),
        ("the end,\n</s>", lambda i: [n - 1]),
        ("everything\nalike", lambda i: list(range(n))),
    ):
        shown[name] = square()
        for i in range(n):
            for j in place(i):
                shown[name][i][j] = 1.0 if len(place(i)) == 1 else 0.35
    figure, axes = subplots(1, len(shown), height=1.95)
    for ax, (name, values) in zip(axes, shown.items()):
        _map(ax, values)
        ax.set_xticks([x - 0.5 for x in range(1, n)], minor=True)
        ax.set_yticks([x - 0.5 for x in range(1, n)], minor=True)
        ax.grid(which="minor", color="#bbbbbb", linewidth=0.6)
        ax.tick_params(which="minor", length=0)
        ax.set_title(name, fontsize=10)
    axes[0].set_ylabel("looks", fontsize=10)
    axes[0].set_xlabel("is looked at", fontsize=10)
    return Drawing(
        figure,
        "Six small maps of five tokens, a row for each token that looks, a column for each that is "
        "looked at. The token before: a line below the diagonal. The token after: a line above "
        "it. The same word elsewhere: two spots away from the diagonal, and the first column for "
        "words that do not return. The start: the first column is dark. The end: the last column "
        "is dark. Everything alike: all is pale.",
    )


def patterns(shares: Mapping[str, Tensor]) -> Drawing:
    """For each pattern a grid (layers, heads) of the share of attention that follows it; the
    strongest head has a ring.
    """
    columns = min(3, len(shares))
    rows = -(-len(shares) // columns)
    figure, axes = subplots(rows, columns, height=2.55 * rows + 0.2, squeeze=False)
    said, image = [], None
    for ax, (name, share) in zip(axes.flat, shares.items()):
        layers, heads = share.shape
        image = ax.imshow(share.tolist(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
        layer, head = divmod(int(share.argmax()), heads)
        top, many = float(share.max()), int((share >= 0.5).sum())
        ax.plot(
            head, layer, "o", markersize=13, fillstyle="none", color=COLOURS[1], markeredgewidth=2
        )
        ax.set_title(f"{name}\nmost: layer {layer}, head {head}, {top:.0%}", fontsize=10)
        ax.set(xticks=range(0, heads, 2), yticks=range(0, layers, 2))
        said.append(
            f"{name}: at least half of the attention in {many} heads, most in layer {layer}, "
            f"head {head}, {top:.0%}"
        )
    for ax in axes.flat[len(shares) :]:
        ax.axis("off")
    for ax in axes[-1]:
        ax.set_xlabel("head")
    for ax in axes[:, 0]:
        ax.set_ylabel("layer")
    figure.colorbar(image, ax=axes, label="mean share of attention", shrink=0.7)
    return Drawing(figure, f"Grids of layers and heads. {'; '.join(said)}.")


def looked_and_taken(looked: Tensor, taken: Tensor, names: Sequence[str]) -> Drawing:
    """Two panels of bars, one for each layer, split by `names`: what is looked at, and what is
    taken. Both (layers, len(names)), rows adding up to 1.
    """
    layers = len(looked)
    height = min(5.0, 1.1 + 0.25 * layers)
    figure, axes = subplots(1, 2, height=height, sharey=True)
    said = []
    for ax, values, title in (
        (axes[0], looked, "looked at: attention weights"),
        (axes[1], taken, "taken: weight × size of the value"),
    ):
        left = [0.0] * layers
        for j, name in enumerate(names):
            part = values[:, j].tolist()
            look = dict(color=COLOURS[j], hatch=HATCHES[j], edgecolor="black", linewidth=0.5)
            ax.barh(range(layers), part, left=left, label=name, **look)
            left = [a + b for a, b in zip(left, part)]
        ax.set(xlim=(0, 1), xlabel="mean share", title=title, yticks=range(layers))
        means = ", ".join(f"{n} {m:.0%}" for n, m in zip(names, values.mean(0).tolist()))
        by_layer = "; ".join(
            f"layer {i} " + ", ".join(f"{value:.0%}" for value in row)
            for i, row in enumerate(values.tolist())
        )
        said.append(f"{title}: on average {means}; by layer, in this order: {by_layer}")
    axes[0].set_ylabel("layer")
    axes[0].invert_yaxis()
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return Drawing(figure, f"Two bar charts by layer. {'. '.join(said)}.")


def similarity(cosines: Tensor, title: str) -> Drawing:
    """A square of cosines (n, n), from −1 to 1."""
    figure, ax = subplots(height=3.2, width=4.4)
    image = ax.imshow(cosines.tolist(), cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set(xlabel="position", ylabel="position", title=title)
    figure.colorbar(image, label="cosine")
    n = len(cosines)
    at = lambda k: cosines.diagonal(k).mean().item()
    each = ", ".join(f"{k} apart {words(at(k))}" for k in (1, 2, 5, 10, 20) if k < n)
    return Drawing(figure, f"Square of cosines, {title}. Mean by distance: {each}.")


def kinds_of_attention(kinds: Mapping[str, Tensor]) -> Drawing:
    """A map (queries, keys) for each kind; × where the weight is 0."""
    figure, axes = subplots(1, len(kinds), height=2.9, squeeze=False)
    said = []
    for ax, (name, weights) in zip(axes[0], kinds.items()):
        _map(ax, weights)
        for i, row in enumerate(weights.tolist()):
            for j, weight in enumerate(row):
                if weight == 0:
                    ax.text(j, i, "×", ha="center", va="center", color=COLOURS[1], fontsize=12)
        ax.set(xlabel="key", ylabel="query")
        ax.set_title(name, fontsize=10)
        no = int((weights == 0).sum())
        what = " ".join(name.split())
        said.append(f"{what}: {len(weights)} queries, {len(weights[0])} keys, {no} pairs forbidden")
    return Drawing(figure, f"Maps of attention weights. {'; '.join(said)}.")


def architectures() -> Drawing:
    """Encoder only, decoder only, and both, one layer of each."""
    look = dict(width_ratios=(3.2, 3.2, 5.6))
    figure, axes = subplots(1, 3, height=3.1, gridspec_kw=look)
    titles = (
        "encoder only\nBERT, XLM-R: reads",
        "decoder only\nGPT, Llama: writes",
        "both\nT5, the first Transformer",
    )
    for ax, title, wide in zip(axes, titles, (3.2, 3.2, 5.6)):
        _plain(ax, (-wide / 2, wide / 2), (-0.4, 3.75))
        ax.set_title(title, fontsize=10)

    def stack(ax, x, parts, below, above):
        for i, (name, colour, hatch) in enumerate(parts):
            y = 0.75 + i * 0.9
            _box(ax, x, y, name, colour, width=2.5, height=0.6, hatch=hatch)
            _arrow(ax, (x, y - 0.6 if i else 0.1), (x, y - 0.3))
        _arrow(ax, (x, y + 0.3), (x, y + 0.6))
        ax.text(x, 0.05, below, ha="center", va="top", fontsize=9, style="italic")
        ax.text(x, y + 0.65, above, ha="center", va="bottom", fontsize=9, style="italic")

    reads, writes = ("self-attention", PALE[0], ""), ("masked\nself-attention", PALE[1], "")
    crosses, feeds = ("cross-attention", PALE[2], ""), ("feed-forward", "#eeeeee", "")
    stack(axes[0], 0, (reads, feeds), "a text", "a vector for each token")
    stack(axes[1], 0, (writes, feeds), "written so far", "next token")
    stack(axes[2], -1.45, (reads, feeds), "a text", "")
    stack(axes[2], 1.45, (writes, crosses, feeds), "written so far", "next token")
    _arrow(axes[2], (-0.2, 1.65), (0.2, 1.65), 2)
    axes[2].text(-1.45, 2.55, "keys, values →", ha="center", fontsize=9)
    return Drawing(
        figure,
        "Three diagrams of one layer. Encoder only, as BERT and XLM-R, which reads: "
        "self-attention, then feed-forward. Decoder only, as GPT and Llama, which writes: masked "
        "self-attention, then feed-forward. Both, as T5 and the first Transformer: an encoder as "
        "before, and a decoder of masked self-attention, cross-attention, which takes keys and "
        "values from the encoder, and feed-forward.",
    )


MOST = 40  # tokens in the map of one head


def attention_map(tokens: Sequence[str], weights: Tensor, title: str) -> Drawing:
    """One head's map (T, T) with its tokens; the first 40 of a longer text."""
    from matplotlib import rc_context

    shown = list(tokens[:MOST])
    labels, families, key = labels_for(shown)
    values = weights[:MOST, :MOST]
    side = min(5.2, max(2.6, 0.17 * len(labels) + 1.2))
    with rc_context(plain_text(families)):
        figure, ax = subplots(height=side, width=side + 0.9)
        image = ax.imshow(values.tolist(), cmap="Blues", vmin=0, vmax=1)
        size = 10 if len(labels) <= 20 else 7
        ax.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
        ax.set_yticks(range(len(labels)), labels, fontsize=size)
        ax.set(ylabel="looks", xlabel="is looked at", title=title)
        figure.colorbar(image, label="attention weight", shrink=0.8)
        most = [shown[int(row.argmax())] for row in values]
        each = ", ".join(f"{a} at {b}" for a, b in zip(shown, most))
        named = ", ".join(f"{number} is “{token}”" for number, token in key.items())
        said = f"Map of attention, {title}. Most looks {each}. {named}"
        picture = Drawing(figure, said, tuple(families))
        picture.below = f"No font here writes these tokens: {named}." if named else ""
        return picture


def who_may_look(allowed: Tensor, title: str) -> Drawing:
    """A small grid for each layer of allowed (layers, T, T): dark where a token may look."""
    layers = len(allowed)
    columns = min(6, layers)
    rows = -(-layers // columns)
    figure, axes = subplots(rows, columns, height=1.45 * rows + 0.5, squeeze=False)
    for i, ax in enumerate(axes.flat):
        if i >= layers:
            ax.axis("off")
            continue
        _map(ax, allowed[i].float(), "Greys", -0.05, 1.3)
        ax.set_title(f"layer {i}: {allowed[i].float().mean():.0%}", fontsize=10)
    figure.suptitle(title, fontsize=11)
    each = ", ".join(f"layer {i} {a.float().mean():.0%}" for i, a in enumerate(allowed))
    return Drawing(figure, f"{title}. Share of pairs that may be looked at: {each}.")
