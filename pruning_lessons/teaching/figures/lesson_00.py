"""Pictures of lesson 00: what can be cut, the six matrices of a layer, languages, and dice."""

from collections.abc import Mapping, Sequence
from math import sqrt

from .common import COLOURS, PARTS, words
from .picture import Picture, subplots

__all__ = ["by_language", "dice", "what_can_go", "what_is_cut"]

ATTENTION, FEED_FORWARD = (PARTS[name][0] for name in ("attention", "feed-forward"))
GONE = dict(facecolor="white", edgecolor="#555555", hatch="////", linewidth=0.6)


def what_is_cut(
    heads: Sequence[bool] = (True, False, True, True, False, False),
    neurons: Sequence[bool] = (1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0),
) -> Picture:
    """The six matrices of one layer, the rows and columns of removed heads and neurons hatched.

    heads, neurons: True stays; a band for each. Matrices are (out, in): a row for each number that
    comes out. Four times as many neurons as numbers in a token's vector, as in XLM-RoBERTa.
    """
    heads, neurons = list(map(bool, heads)), list(map(bool, neurons))
    figure, ax = subplots(height=4.4)
    squares = {"query": (0, 2.75), "key": (1.5, 2.75), "value": (0, 0.75), "output": (1.5, 0.75)}
    for name, at in squares.items():
        columns = name == "output"
        _matrix(ax, at, (1.1, 1.1), heads, columns, ATTENTION)
        _named(ax, at, (1.1, 1.1), name, "columns" if columns else "rows")
    _matrix(ax, (3.7, 0.05), (1.1, 4.4), neurons, False, FEED_FORWARD)
    _named(ax, (3.7, 0.05), (1.1, 4.4), "first", "rows")
    _matrix(ax, (5.6, 3.35), (4.4, 1.1), neurons, True, FEED_FORWARD)
    _named(ax, (5.6, 3.35), (4.4, 1.1), "second", "columns")
    for start, end in (((2.75, 2.3), (3.55, 2.3)), ((4.95, 3.9), (5.45, 3.9))):
        ax.annotate("", end, start, arrowprops=dict(arrowstyle="-|>", color="#555555", lw=1.6))
    ax.text(1.3, 4.85, "attention", ha="center", fontsize=12, color=ATTENTION, weight="bold")
    ax.text(6.3, 4.85, "feed-forward", ha="center", fontsize=12, color=FEED_FORWARD, weight="bold")
    stay = f"{sum(heads)} of {len(heads)} heads", f"{sum(neurons)} of {len(neurons)} neurons"
    _legend(ax, (5.6, 1.75), stay)
    ax.set(xlim=(-0.15, 10.15), ylim=(-0.3, 5.15), aspect="equal")
    ax.axis("off")
    said = (
        f"Diagram of one layer's six matrices. Attention: query, key and value have a band of rows "
        f"for each head, output a band of columns; {stay[0]} stay, the bands of the others are "
        f"hatched. Feed-forward: the first matrix has a row for each neuron, the second a column; "
        f"{stay[1]} stay, the others are hatched. What stays is coloured."
    )
    return Picture(figure, said)


def _matrix(ax, at, size, kept, columns: bool, colour) -> None:
    """A rectangle with a band for each unit, in rows from the top or in columns."""
    from matplotlib.patches import Rectangle

    (x, y), (wide, high), n = at, size, len(kept)
    for i, stays in enumerate(kept):
        if columns:
            corner, shape = (x + wide * i / n, y), (wide / n, high)
        else:
            corner, shape = (x, y + high * (n - 1 - i) / n), (wide, high / n)
        look = dict(facecolor=colour, edgecolor="white", linewidth=0.8) if stays else GONE
        ax.add_patch(Rectangle(corner, *shape, **look))
    ax.add_patch(Rectangle(at, wide, high, fill=False, edgecolor="black", linewidth=1.2))


def _named(ax, at, size, name: str, loses: str) -> None:
    ax.text(at[0], at[1] + size[1] + 0.07, f"{name}", fontsize=11, va="bottom")
    ax.text(at[0], at[1] - 0.06, f"loses {loses}", fontsize=9, va="top")


def _legend(ax, at, stay) -> None:
    from matplotlib.patches import Rectangle

    x, y = at
    ax.add_patch(Rectangle((x, y + 0.3), 0.35, 0.25, facecolor=ATTENTION, edgecolor="white"))
    ax.add_patch(
        Rectangle((x + 0.4, y + 0.3), 0.35, 0.25, facecolor=FEED_FORWARD, edgecolor="white")
    )
    ax.text(x + 0.9, y + 0.42, f"stays: {stay[0]}, {stay[1]}", va="center", fontsize=10)
    ax.add_patch(Rectangle((x, y - 0.15), 0.75, 0.25, **GONE))
    ax.text(x + 0.9, y - 0.03, "is cut out", va="center", fontsize=10)
    lines = "A row makes one number that comes out,\na column reads one number that goes in."
    ax.text(x, y - 0.75, lines, va="center", fontsize=10)


def what_can_go(seed: int = 0) -> Picture:
    """Four small matrices: single weights, a neuron, a head and a whole layer removed."""
    import numpy as np
    from matplotlib.patches import Rectangle

    figure, axes = subplots(1, 4, height=2.6)
    n, heads = 12, 4
    grid = np.ones((n, n), bool)
    single = np.random.default_rng(seed).random((n, n)) > 0.5
    row, block, none = grid.copy(), grid.copy(), np.zeros_like(grid)
    row[[2, 5, 9]] = False
    block[n // heads : 2 * n // heads] = False
    said = {
        "weights": (single, "zeros, here and there", FEED_FORWARD),
        "neurons": (row, "rows, and the columns\nthat read them", FEED_FORWARD),
        "heads": (block, "blocks of rows, and the\ncolumns that read them", ATTENTION),
        "layers": (none, "every matrix of the layer", "black"),
    }
    for ax, (name, (kept, what, colour)) in zip(axes, said.items()):
        for i, j in np.ndindex(n, n):
            look = dict(facecolor=colour, edgecolor="white", linewidth=0.4)
            gone = dict(facecolor="white", edgecolor="#bbbbbb", linewidth=0.4)
            ax.add_patch(Rectangle((j, n - 1 - i), 1, 1, **(look if kept[i, j] else gone)))
        ax.add_patch(Rectangle((0, 0), n, n, fill=False, edgecolor="black"))
        ax.set_title(name, fontsize=12)
        ax.text(n / 2, -0.8, what, ha="center", va="top", fontsize=9)
        ax.set(xlim=(-0.3, n + 0.3), ylim=(-3.6, n + 0.3), aspect="equal")
        ax.axis("off")
    alt = (
        "Four matrices of the same size, what is removed in white. Weights: single cells all over. "
        "Neurons: three rows. Heads: a block of neighbouring rows. Layers: everything."
    )
    return Picture(figure, alt)


def interval(right: float, n: int, z: float = 2.0) -> tuple[float, float]:
    """Wilson's interval for a share of `n`, two standard errors to each side; at 100 % it still
    has a width.
    """
    middle = (right + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(right * (1 - right) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def by_language(
    before: Mapping[str, float], after: Mapping[str, float], counts: Mapping[str, int]
) -> Picture:
    """A pair of bars for each language, accuracies from 0 to 1, with intervals of two standard
    errors; counts: sentences of each.
    """
    figure, ax = subplots(height=3.4)
    names = sorted(before)
    for side, (label, found) in enumerate({"whole": before, "pruned": after}.items()):
        x = [i + 0.4 * (side - 0.5) for i in range(len(names))]
        y = [100 * found[name] for name in names]
        ends = [interval(found[name], counts[name]) for name in names]
        low = [max(0, v - 100 * e[0]) for v, e in zip(y, ends)]
        high = [max(0, 100 * e[1] - v) for v, e in zip(y, ends)]
        look = dict(color=COLOURS[side], edgecolor="black", linewidth=0.6, hatch=("", "//")[side])
        ax.bar(x, y, 0.4, label=label, yerr=(low, high), capsize=2, **look)
    labels = [f"{name}\n{counts[name]}" for name in names]
    ax.set(xticks=range(len(names)), xticklabels=labels, ylim=(0, 105), ylabel="accuracy, %")
    ax.set(xlabel="language, and how many sentences")
    ax.set_title("Accuracy by language; whiskers: two standard errors")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = [
        f"{name}, {counts[name]} sentences: {before[name]:.0%} whole, {after[name]:.0%} pruned"
        for name in names
    ]
    return Picture(figure, f"Pairs of bars, accuracy by language. {'; '.join(each)}.")


def dice(masks, found: Mapping[float, Sequence[float]], whole: float, keep: float, throw: int):
    """One throw: which heads of `masks` stay, and where it lies among all.

    found: for each share kept, the accuracy of every throw; whole: the accuracy of the whole model;
    keep, throw: which of them this is.
    """
    figure, (left, right) = subplots(1, 2, height=3.4, width_ratios=[1, 1.7])
    heads = masks.heads
    n, m = heads.shape
    for stays, marker, colour in ((True, "o", "black"), (False, "x", "#999999")):
        y, x = (heads == stays).nonzero(as_tuple=True)
        left.scatter(x, y, marker=marker, color=colour, s=22, linewidths=1)
    left.set(xlim=(-0.6, m - 0.4), ylim=(n - 0.4, -0.6), xlabel="head", ylabel="layer")
    left.set(xticks=range(0, m, 2), yticks=range(0, n, 2))
    left.set_title(f"{int(heads.sum())} of {heads.numel()} heads stay (●)")
    shares = sorted(found, reverse=True)
    x, rows = [100 * s for s in shares], [[100 * a for a in found[s]] for s in shares]
    low, high = [min(row) for row in rows], [max(row) for row in rows]
    mean = [sum(row) / len(row) for row in rows]
    right.fill_between(x, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label="all throws")
    right.plot(x, mean, "o-", color=COLOURS[0], markersize=4, label="their mean")
    right.axhline(100 * whole, color="black", linestyle="--", linewidth=1, label="whole model")
    here = 100 * found[keep][throw]
    right.plot(100 * keep, here, "D", color=COLOURS[1], markersize=10, label="this throw")
    right.set(xlabel="heads and neurons kept, %", ylabel="accuracy, %", ylim=(0, 105))
    right.set_title(f"{keep:.0%} kept, throw {throw + 1} of {len(found[keep])}: {here:.0f}% right")
    right.invert_xaxis()
    right.grid(alpha=0.3)
    right.legend(loc="lower left", frameon=False)
    each = [
        f"{share:.0f}% kept: {words(a)} to {words(b)}, mean {words(round(c, 1))}"
        for share, a, b, c in zip(x, low, high, mean)
    ]
    said = (
        f"Left, a grid of {n} layers and {m} heads, of which {int(heads.sum())} stay. Right, "
        f"accuracy in percent against the share kept, over {len(found[keep])} throws: "
        f"{'; '.join(each)}. Whole model: {100 * whole:.1f}. This throw, "
        f"{keep:.0%} kept: {here:.1f}."
    )
    return Picture(figure, said)
