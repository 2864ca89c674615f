"""Pictures of lesson 04: what a neuron is, which to choose, and why their size does not tell."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .common import COLOURS, MARKERS, style, words
from .picture import Picture, subplots

__all__ = ["choices", "cloud", "histograms", "neuron", "scan", "stays"]

LOWEST = -4.0  # log10 of a score over the mean of all, below which all stand in one bar


def neuron(width: int = 4, neurons: int = 9, j: int = 3) -> Picture:
    """One neuron in the two matrices of a feed-forward network: a row, a bias, a column."""
    from matplotlib.patches import Rectangle

    figure, ax = subplots(height=2.9)
    size = 0.3

    def matrix(left: float, rows: int, columns: int, row=None, column=None) -> None:
        bottom = -rows / 2 * size
        for r in range(rows):
            for c in range(columns):
                ours = r == row or c == column
                look = dict(facecolor=COLOURS[1] if ours else "white", edgecolor="0.45")
                look |= dict(hatch="///", linewidth=1.2) if ours else dict(linewidth=0.6)
                place = left + c * size, bottom + (rows - 1 - r) * size
                ax.add_patch(Rectangle(place, size, size, **look))

    at = [0.9, 2.9, 3.9, 5.4]
    matrix(0.0, width, 1)
    matrix(at[0], neurons, width, row=j)
    matrix(at[1], neurons, 1, row=j)
    matrix(at[2], neurons, 1, row=j)
    matrix(at[3], width, neurons, column=j)
    matrix(at[3] + neurons * size + 0.9, width, 1)
    middle = size / 2
    captions = [
        (middle, "$x$", "a token"),
        (at[0] + width * middle, "$W_{in}$", f"row {j} reads"),
        (at[1] + middle, "$b$", "bias"),
        (at[2] + middle, "$a$", "activations"),
        (at[3] + neurons * middle, "$W_{out}$", f"column {j} writes"),
        (at[3] + neurons * size + 0.9 + middle, "", "what is\nadded to x"),
    ]
    top, bottom = neurons / 2 * size + 0.1, -neurons / 2 * size - 0.15
    for x, name, says in captions:
        ax.text(x, top, name, ha="center", va="bottom", fontsize=13)
        ax.text(x, bottom, says, ha="center", va="top", fontsize=10)
    for x, sign in ((0.6, "→"), (2.5, "+"), (3.55, "→"), (4.8, "→"), (8.55, "→")):
        ax.text(x, 0, sign, ha="center", va="center", fontsize=15)
    ax.text(3.55, 0.28, "GELU", ha="center", fontsize=9)
    ax.set(xlim=(-0.5, 10.2), ylim=(bottom - 0.6, top + 0.5), aspect="equal")
    ax.axis("off")
    said = (
        f"Sketch of a feed-forward network as boxes of numbers. A token x of {width} numbers goes "
        f"through the matrix W_in, {neurons} rows of {width}, gets a bias and a GELU, and gives "
        f"{neurons} activations; W_out, {width} rows of {neurons}, turns them into {width} numbers "
        f"that are added to x. Marked is neuron {j}: row {j} of W_in, number {j} of the bias, "
        f"activation {j}, column {j} of W_out."
    )
    return Picture(figure, said, formulas=True)


def choices(
    chosen: Mapping[str, float], dice: Sequence[float], whole: float, *, title: str, label: str
) -> Picture:
    """A dot for each way to choose, on a scale of accuracy; each throw of the `dice` has its own,
    with their mean as a bar. whole: a line for the unpruned model. All in percent.
    """
    names = [*chosen, f"random, {len(dice)} seeds"]
    figure, ax = subplots(height=0.9 + 0.38 * len(names))
    for i, value in enumerate(chosen.values()):
        ax.plot(value, i, marker=MARKERS[i % len(MARKERS)], color=COLOURS[i], markersize=10)
        ax.annotate(f"{value:.0f}", (value, i), (9, -4), textcoords="offset points")
    last, mean = len(chosen), sum(dice) / len(dice)
    ax.plot(dice, [last] * len(dice), "o", color="0.35", markersize=8, markerfacecolor="none")
    ax.plot([mean] * 2, [last - 0.3, last + 0.3], color="black", linewidth=2)
    above = dict(textcoords="offset points", ha="center", fontsize=9)
    ax.annotate(f"mean {mean:.0f}", (mean, last - 0.3), (0, 2), **above)
    ax.axvline(whole, color="black", linestyle=(0, (6, 3)), linewidth=1, label="unpruned")
    ax.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 104), xlabel=label, title=title)
    ax.set_ylim(last + 0.6, -0.6)
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = [f"{name} {words(float(value))}" for name, value in chosen.items()]
    said = (
        f"Dot chart, {title}. {label}: {', '.join(each)}; random, {len(dice)} seeds, from "
        f"{words(float(min(dice)))} to {words(float(max(dice)))} with mean {words(float(mean))}; "
        f"unpruned {words(float(whole))}."
    )
    return Picture(figure, said)


def _logarithm(scores: Tensor) -> Tensor:
    """log10 of scores over their mean, not below LOWEST."""
    scores = scores.flatten().float()
    return (scores / scores.mean().clamp_min(1e-30)).clamp_min(10**LOWEST).log10()


def _axis(ax) -> None:
    ax.set(xticks=[-4, -2, 0, 1], xlim=(LOWEST - 0.1, 2), xlabel="score / mean score")
    ax.set_xticklabels(["≤0.0001", "0.01", "1", "10"], fontsize=9)


def histograms(scores: Mapping[str, Tensor]) -> Picture:
    """How unequal scores are: a histogram for each, on a logarithmic scale, with the share of the
    sum that the highest tenth holds.
    """
    figure, axes = subplots(1, len(scores), height=2.7, sharey=True, squeeze=False)
    said = ["Histograms of scores over their mean, on a logarithmic scale."]
    for i, (ax, (name, own)) in enumerate(zip(axes[0], scores.items())):
        level, ordered = _logarithm(own), own.flatten().float().sort(descending=True).values
        top = (ordered[: len(ordered) // 10].sum() / ordered.sum()).item()
        ax.hist(
            level.numpy(), 48, range=(LOWEST, 2), color=COLOURS[i], edgecolor="black", linewidth=0.3
        )
        ax.axvline(level.median(), color="black", linestyle=(0, (6, 3)), label="median")
        ax.set_title(f"{name}: the top tenth\nholds {top:.0%} of the sum", fontsize=11)
        _axis(ax)
        middle = level.quantile(torch.tensor([0.05, 0.95])).tolist()
        said.append(
            f"{name}: nine in ten neurons lie between {words(10 ** middle[0])} and "
            f"{words(10 ** middle[1])} times the mean; the top tenth holds {top:.0%} of the sum."
        )
    axes[0][0].set_ylabel("neurons")
    axes[0][0].legend(loc="upper left", frameon=False, fontsize=9)
    return Picture(figure, " ".join(said))


def cloud(
    x: Tensor, y: Tensor, *, title: str, xlabel: str, ylabel: str, groups: int = 8
) -> Picture:
    """A point for each pair of numbers, and the median of `y` in groups of equally many by `x`."""
    order = x.argsort()
    parts = [part for part in order.tensor_split(groups) if len(part)]
    middles = [(x[part].median().item(), y[part].median().item()) for part in parts]
    figure, ax = subplots(height=3.1, width=7.4)
    ax.plot(x, y, "o", color="0.6", markersize=2.5, alpha=0.6, label="a neuron")
    label = f"median of each {'eighth' if groups == 8 else 'group'}"
    ax.plot(*zip(*middles), marker="s", color=COLOURS[1], linewidth=2, label=label)
    low, high = x.float().quantile(torch.tensor([0.0, 0.995])).tolist()
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(low - 0.02 * high, 1.02 * high))
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = ", ".join(f"{words(b)} at {words(a)}" for a, b in middles)
    said = f"Scatter plot of {len(x)} points, {title}. {ylabel} against {xlabel}; medians: {each}."
    return Picture(figure, said)


def stays(scores: Tensor, mask: Tensor, *, title: str, beside: str = "") -> Picture:
    """Left, which scores stay and which go; right, how many neurons each layer keeps.

    scores, mask: (layers, neurons); beside: the title of the right half.
    """
    level, mask = _logarithm(scores), mask.bool()
    figure, (left, right) = subplots(1, 2, height=2.8)
    flat = mask.flatten()
    left.hist(
        [level[flat].numpy(), level[~flat].numpy()],
        bins=48,
        range=(LOWEST, 2),
        stacked=True,
        color=[COLOURS[0], "white"],
        edgecolor="black",
        linewidth=0.4,
        label=["stay", "go"],
    )
    left.set(ylabel="neurons", title=title)
    _axis(left)
    left.legend(loc="upper left", frameon=False)
    kept = mask.sum(1).tolist()
    right.bar(range(len(kept)), kept, color=COLOURS[0], edgecolor="black", linewidth=0.6)
    right.set(xlabel="layer", xticks=range(len(kept)), ylim=(0, mask.shape[1]), title=beside)
    right.set_ylabel("neurons that stay")
    each = ", ".join(f"layer {i} {n}" for i, n in enumerate(kept))
    said = f"Two charts, {title}. {beside} {sum(kept)} of {mask.numel()} neurons stay: {each}."
    return Picture(figure, said)


def scan(found: Mapping[str, Sequence[float]], *, title: str, xlabel: str, ylabel: str) -> Picture:
    """A dot for each layer and way, on a logarithmic scale, which has no base for bars."""
    figure, ax = subplots(height=3.1)
    for i, (name, values) in enumerate(found.items()):
        look = style(i) | dict(linestyle=":", linewidth=0.8, markersize=7)
        ax.plot(range(len(values)), [max(v, 1e-9) for v in values], label=name, **look)
    n = max(map(len, found.values()))
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xticks=range(n), yscale="log")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = [f"{name}: {', '.join(words(float(v)) for v in vs)}." for name, vs in found.items()]
    return Picture(
        figure, f"Dot chart, {title}. {ylabel} by {xlabel}, 0 to {n - 1}. {' '.join(each)}"
    )
