"""Pictures of lesson 11: pooling, cosines, languages before and after, bytes of a vector."""

from collections.abc import Mapping, Sequence

from .common import COLOURS, DASHES, MARKERS, words
from .picture import Picture, subplots

__all__ = ["cosines", "dumbbells", "pooling", "sizes", "stages"]
SHOWN = 48  # of a vector's numbers


def pooling(hidden, mask, tokens: Sequence[str], vector) -> Picture:
    """How a sentence's tokens become its vector: `hidden` (T, d), `mask` (T,), the tokens' names
    (T), and what came of it, `vector` (d,). The first numbers of each are drawn.
    """
    import torch

    real = [bool(x) for x in mask]
    width, n = min(SHOWN, hidden.shape[1]), len(tokens)
    rows = torch.stack([*hidden[:, :width].float(), vector[:width].float()])
    # Each row in units of its own spread, for the vector's numbers are much smaller.
    rows = rows / rows.std(1, keepdim=True).clamp(min=1e-9)
    figure, (top, below) = subplots(
        2, 1, height=1.15 + 0.27 * (n + 1.5), height_ratios=[n, 1.3], sharex=True
    )
    look = dict(cmap="RdBu_r", vmin=-2.5, vmax=2.5, aspect="auto")
    top.imshow(rows[:-1].numpy(), **look)
    for i, counts in enumerate(real):
        if not counts:
            top.axhspan(
                i - 0.5, i + 0.5, facecolor="white", alpha=0.8, hatch="//", edgecolor="grey"
            )
    names = [f"{token}  {'✓' if counts else '✗'}" for token, counts in zip(tokens, real)]
    top.set(yticks=range(n), yticklabels=names, title="Tokens' vectors; ✗ padding is left out")
    top.tick_params(bottom=False)
    below.imshow(rows[-1:].numpy(), **look)
    below.set(yticks=[0], yticklabels=["the sentence"])
    below.set(title="↓  mean of the ✓ rows, scaled to length 1  ↓")
    below.set(xlabel=f"the first {width} of {hidden.shape[1]} numbers (red above 0, blue below)")
    left_out = [token for token, counts in zip(tokens, real) if not counts]
    said = (
        f"Heat map: a row of {width} numbers for each of {n} tokens, {', '.join(tokens)}; "
        f"{len(left_out)} of them, padding, are crossed out. Below it one row, the mean of the "
        f"{n - len(left_out)} others, scaled to length 1: the sentence's vector."
    )
    return Picture(figure, said)


def cosines(groups: Mapping[str, Sequence[float]], *, title: str) -> Picture:
    """Histograms of cosines, a colour and a hatch for each group, as shares of the group."""
    import torch

    groups = {name: torch.as_tensor(values).float() for name, values in groups.items()}
    low = min(float(values.quantile(0.001)) for values in groups.values())
    edges = torch.linspace(min(low, 0.98), 1, 60).numpy()
    figure, ax = subplots(height=2.8)
    said = []
    for (name, values), colour, hatch in zip(groups.items(), COLOURS, ("", "//", "..")):
        share = [100 / len(values)] * len(values)
        ax.hist(
            values.clamp(min=float(edges[0])).numpy(),
            edges,
            weights=share,
            color=colour,
            alpha=0.55,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.3,
            label=f"{name}\nmean {values.mean():.2f}",
        )
        spread = values.quantile(torch.tensor([0.05, 0.95])).tolist()
        said.append(
            f"{name}: mean {values.mean():.2f}, nine in ten from {spread[0]:.2f} to {spread[1]:.2f}"
        )
    ax.set(title=title, xlabel="cosine", ylabel="share of the pairs, %")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return Picture(figure, f"Histograms of cosines, {title}. {'; '.join(said)}.")


def dumbbells(
    rows: Mapping[str, tuple[float, float]],
    names: tuple[str, str],
    *,
    title: str,
    xlabel: str,
    errors: Mapping[str, float] | None = None,
    marked: Sequence[str] = (),
    note: str = "",
) -> Picture:
    """Two values in a row, joined by a line: open circle the first, filled the second.

    errors: half a whisker around the second; marked: rows whose names are bold, with ●; note: what
    that means.
    """
    figure, ax = subplots(height=1.05 + 0.19 * len(rows))
    for i, (name, (first, second)) in enumerate(rows.items()):
        ax.plot([first, second], [i, i], color="grey", linewidth=2, zorder=1)
        if errors and name in errors:
            whisker = dict(color=COLOURS[1], capsize=2, linewidth=1, zorder=2)
            ax.errorbar(second, i, xerr=errors[name], **whisker)
        ax.plot(first, i, "o", markerfacecolor="white", color=COLOURS[0], markersize=7, zorder=3)
        ax.plot(second, i, "D", color=COLOURS[1], markersize=5, zorder=3)
    for name, look in zip(
        names, (dict(marker="o", markerfacecolor="white", color=COLOURS[0]), dict(marker="D"))
    ):
        ax.plot([], [], linestyle="", label=name, **({"color": COLOURS[1]} | look))
    labels = [f"● {name}" if name in marked else name for name in rows]
    ax.set(yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.4, -0.6))
    ax.set(title=title, xlabel=xlabel)
    ax.tick_params(axis="y", labelsize=8.5)
    ax.grid(axis="x", alpha=0.3)
    title_of = f"●  {note}" if marked and note else None
    ax.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title=title_of, alignment="left"
    )
    each = [
        f"{name} {words(float(a))} and {words(float(b))}"
        + (f" ± {words(float(errors[name]))}" if errors and name in errors else "")
        for name, (a, b) in rows.items()
    ]
    also = f" {note}: {', '.join(n for n in rows if n in marked)}." if marked else ""
    said = f"Pairs of dots, {title}. {xlabel}, {names[0]} and {names[1]}: {', '.join(each)}."
    return Picture(figure, said + also)


def sizes(lines: Mapping[str, Mapping[float, float]], *, title: str, ylabel: str) -> Picture:
    """Quality against bytes a vector, a line for each way to make vectors smaller:
    {way: {bytes: quality}}.
    """
    figure, ax = subplots(height=3.4)
    ticks = sorted({size for line in lines.values() for size in line})
    for i, (name, line) in enumerate(lines.items()):
        order = sorted(line)
        look = dict(color=COLOURS[i], marker=MARKERS[i], linestyle=DASHES[i], markersize=6)
        ax.plot(order, [line[size] for size in order], label=name, **look)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{size:,.0f}" for size in ticks], rotation=60, fontsize=8.5)
    ax.minorticks_off()
    ax.set(title=title, xlabel="bytes a vector", ylabel=ylabel)
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    said = [
        f"{name}: "
        + ", ".join(f"{words(line[size])} at {size:,.0f}" for size in sorted(line, reverse=True))
        for name, line in lines.items()
    ]
    return Picture(figure, f"Lines, {title}. {ylabel} against bytes a vector. {'; '.join(said)}.")


def stages(rows: Sequence[tuple[str, str, str]], *, title: str) -> Picture:
    """A funnel: (how many documents reach the stage, its name, what it does), top to bottom."""
    figure, ax = subplots(height=0.6 + 0.72 * len(rows))
    n = len(rows)
    for i, (many, name, does) in enumerate(rows):
        wide, next_wide = 3.6 - 0.8 * i, 3.6 - 0.8 * (i + 1)
        x = [-wide, wide, next_wide + 0.15, -next_wide - 0.15]
        y = [i, i, i + 0.86, i + 0.86]
        ax.fill(x, y, color=COLOURS[i % len(COLOURS)], alpha=0.25, edgecolor="black")
        ax.text(0, i + 0.43, f"{name}\n{many}", ha="center", va="center", fontsize=9.5)
        ax.text(4.0, i + 0.43, does, va="center", fontsize=9.5)
    ax.set(xlim=(-3.8, 11.5), ylim=(n, -0.15), title=title)
    ax.axis("off")
    said = "; ".join(f"{name} ({many}): {' '.join(does.split())}" for many, name, does in rows)
    return Picture(figure, f"A funnel, {title}. From top to bottom: {said}.")
