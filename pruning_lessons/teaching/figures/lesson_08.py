"""Pictures of lesson 08: how a budget is split, and what it gives for its milliseconds."""

from collections.abc import Mapping, Sequence

from .common import style, words
from .picture import Picture, subplots

__all__ = ["against_time", "splits"]


def splits(
    lost: Mapping[str, Sequence[float]],
    *,
    title: str,
    xlabel: str = "heads that stay",
    ylabel: str = "given up, % of all scores (log)",
    height: float = 3.2,
) -> Picture:
    """What a budget gives up, by the number of heads that it buys, from 0 on; a marker at the best
    number of each line. lost: shares, a line for each budget, NaN where so many heads are too
    expensive.
    """
    figure, ax = subplots(height=height)
    said = [f"Line chart, {title}. {ylabel} against {xlabel}."]
    for i, (name, shares) in enumerate(lost.items()):
        look = style(i)
        known = {n: 100 * share for n, share in enumerate(shares) if share == share}
        best, last = min(known, key=known.get), max(known)
        ax.plot(list(known), list(known.values()), color=look["color"], linestyle=look["linestyle"])
        label = f"{name}: {best} heads"
        ax.plot(best, known[best], markersize=9, markeredgecolor="black", label=label, **look)
        said.append(
            f"{name}: {words(known[0])} at 0, best {words(known[best])} at {best}, "
            f"{words(known[last])} at {last}."
        )
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if all(share > 0 for shares in lost.values() for share in shares if share == share):
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return Picture(figure, " ".join(said))


def against_time(
    lines: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    title: str,
    level: tuple[str, float] | None = None,
    xlabel: str = "measured milliseconds, batch 1",
    ylabel: str = "validation accuracy, %",
    height: float = 3.4,
) -> Picture:
    """Accuracy against time. lines: for each name (milliseconds, share right, standard error) of
    its models; whiskers are two standard errors. level: (name, share) of a line across.
    """
    figure, ax = subplots(height=height)
    said = [f"Line chart with error bars, {title}. {ylabel} against {xlabel}."]
    for i, (name, points) in enumerate(lines.items()):
        ms, right, error = zip(*sorted(points))
        percent, whiskers = [100 * r for r in right], [200 * e for e in error]
        ax.errorbar(ms, percent, whiskers, label=name, capsize=4, markersize=6, **style(i))
        each = [f"{words(float(x))} ms {y:.1f} ± {w:.1f}" for x, y, w in zip(ms, percent, whiskers)]
        said.append(f"{name}: {', '.join(each)}.")
    if level:
        name, share = level
        ax.axhline(100 * share, color="black", linestyle=(0, (6, 3)), linewidth=1, label=name)
        said.append(f"{name}: {100 * share:.1f} throughout.")
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return Picture(figure, " ".join(said))
