"""Pictures of lesson 03: weights that stay and weights that go."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from .common import COLOURS, style, words
from .picture import Picture, subplots

__all__ = ["log_curves", "scopes", "weight_histogram"]


def weight_histogram(
    weights: Tensor, kept: Tensor, *, title: str, widest: float = 0.2, bins: int = 100
) -> Picture:
    """How many weights there are of each size. weights: any shape; kept: True where they stay, of
    the same shape. Those that go are hatched. The outermost bars hold all that lie further out.
    """
    flat, stays = weights.detach().flatten().clamp(-widest, widest), kept.flatten()
    figure, ax = subplots(height=2.5)
    edges = [widest * (2 * i / bins - 1) for i in range(bins + 1)]
    count = lambda which: flat[which].histc(bins, -widest, widest).tolist()
    stay, go = count(stays), count(~stays)
    look = dict(width=2 * widest / bins, align="edge", linewidth=0)
    ax.bar(edges[:-1], stay, color=COLOURS[0], label="stay", **look)
    ax.bar(edges[:-1], go, bottom=stay, color="#dddddd", edgecolor="#555555", hatch="////",
           label="set to zero", **look)  # fmt: skip
    ax.set(title=title, ylabel="how many", xlim=(-widest, widest))
    ax.set(xlabel=f"weight (beyond ±{widest:g}: in the outermost bars)")
    ax.legend(frameon=False)
    n, share = flat.numel(), stays.float().mean().item()
    return Picture(
        figure,
        f"Histogram, {title}. A bell around zero, of {n} weights; {words(1 - share)} of them, the "
        f"nearest to zero, are set to zero, {words(share)} stay.",
    )


def log_curves(
    x: Sequence,
    lines: Mapping[str, Sequence[float]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    level: tuple[str, float] | None = None,
) -> Picture:
    """Lines over `x` on a logarithmic axis with plain numbers. level: (name, value) of a line
    across. What is not above zero is a gap.
    """
    figure, ax = subplots(height=3.2)
    for i, (name, y) in enumerate(lines.items()):
        ax.semilogy(x, [v if v > 0 else float("nan") for v in y], label=name, markersize=5,
                    **style(i))  # fmt: skip
    if level:
        ax.axhline(level[1], color="black", linestyle=(0, (6, 3)), linewidth=1, label=level[0])
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(lambda value, _: "")
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    said = [f"Line chart, {title}. {ylabel}, on a logarithmic axis, against {xlabel} "]
    said[0] += f"({', '.join(map(words, x))})."
    said += [f"{name}: {', '.join(map(words, y))}." for name, y in lines.items()]
    said += [f"{level[0]}: {words(level[1])} throughout."] if level else []
    return Picture(figure, " ".join(said))


def scopes(weight: Tensor, masks: Mapping[str, Tensor], *, title: str) -> Picture:
    """A small matrix, (rows, columns), and beside it what stays of it: masks {name: True where a
    weight stays}. Darker is larger in size; a cross marks a zero.
    """
    rows, columns = weight.shape
    size = weight.detach().abs()
    height = 0.95 + 0.26 * rows
    figure, axes = subplots(1, 1 + len(masks), height=height, squeeze=False)
    panels = {"the weights": size > -1, **masks}
    said = []
    for ax, (name, kept) in zip(axes[0], panels.items()):
        ax.imshow(
            (size * kept).numpy(), cmap="Blues", vmin=0, vmax=1.1 * size.max().item(), aspect="auto"
        )
        for i, row in enumerate(kept.tolist()):
            for j, stays in enumerate(row):
                if not stays:
                    ax.text(j, i, "×", ha="center", va="center", color="#666666")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=10)
        for j in range(1, columns):
            ax.axvline(j - 0.5, color="white", linewidth=2 if j % 4 == 0 else 0.5)
        per_row = ", ".join(str(int(n)) for n in kept.sum(1))
        said.append(f"{name}: in each row stay {per_row}")
    figure.suptitle(title)
    return Picture(figure, f"Small matrices, {title}. {'; '.join(said)} of {columns}.")
