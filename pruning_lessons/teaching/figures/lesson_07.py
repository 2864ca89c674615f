"""What lesson 07 draws: accuracy against the number of layers that are gone, in panels."""

from collections.abc import Mapping, Sequence

from .common import style, words
from .picture import Picture, subplots

__all__ = ["panels"]


def panels(
    x: Sequence,
    parts: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    ylim: tuple | None = None,
    height: float = 3.6,
) -> Picture:
    """Lines over `x`, (n,), side by side: {panel: {line: n values}}. A line has one look, and one
    entry in the legend, in all panels.
    """
    names = list(dict.fromkeys(name for lines in parts.values() for name in lines))
    figure, axes = subplots(1, len(parts), height=height, sharey=True, squeeze=False)
    said = [f"Line charts, {title}. {ylabel} against {xlabel} ({', '.join(map(words, x))})."]
    for ax, (panel, lines) in zip(axes[0], parts.items()):
        for name, y in lines.items():
            ax.plot(x, y, label=name, markersize=5, **style(names.index(name)))
        ax.set(title=panel, xlabel=xlabel, ylim=ylim, xticks=x)
        ax.grid(alpha=0.3)
        each = [f"{name} {', '.join(map(words, y))}" for name, y in lines.items()]
        said.append(f"{panel}: {'; '.join(each)}.")
    axes[0, 0].set_ylabel(ylabel)
    figure.suptitle(title)
    handles = {}
    for ax in axes[0]:
        handles |= dict(zip(*reversed(ax.get_legend_handles_labels())))
    figure.legend(
        [handles[name] for name in names], names, loc="outside lower center", ncol=3, frameon=False
    )
    return Picture(figure, " ".join(said))
