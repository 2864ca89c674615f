"""Pictures of lesson 05: what a cut lost, and what the repair brings back."""

from collections.abc import Mapping, Sequence

from .common import COLOURS, MARKERS, style, words
from .picture import Picture, subplots

__all__ = ["before_after", "columns_left", "strengths"]


def columns_left(neurons: int = 10, gone: tuple = (1, 4, 5, 8), tokens: int = 7) -> Picture:
    """Least squares as boxes: X of the kept neurons, times new weights, should give Y."""
    from matplotlib.patches import Rectangle

    figure, ax = subplots(height=2.6)
    size = 0.27

    def boxes(left: float, rows: int, columns: int, colour: str, crossed=(), down=False) -> None:
        for r in range(rows):
            for c in range(columns):
                out = (r if down else c) in crossed
                look = dict(facecolor="white" if out else colour, edgecolor="0.4", linewidth=0.6)
                place = left + c * size, (rows / 2 - 1 - r) * size
                ax.add_patch(Rectangle(place, size, size, **look))
                if out:
                    x, y = place[0] + size / 2, place[1] + size / 2
                    ax.text(x, y, "×", ha="center", va="center", fontsize=8, color="0.4")

    width = 4
    w = neurons * size + 1.0
    y = w + width * size + 1.6
    boxes(0, tokens, neurons, "#CFE3F1", gone)
    boxes(w, neurons, width, COLOURS[1], gone, down=True)
    boxes(y, tokens, width, "#D9D9D9")
    top = neurons / 2 * size + 0.12
    for x, name, says in (
        (neurons * size / 2, "$X$", "activations, a row for each token"),
        (w + width * size / 2, "$W'^{\\top}$", "to be found"),
        (y + width * size / 2, "$Y-b$", "what all neurons wrote"),
    ):
        ax.text(x, top, name, ha="center", va="bottom", fontsize=13)
        ax.text(x, -top - 0.02, says, ha="center", va="top", fontsize=10)
    ax.text(w - 0.5, 0, "·", ha="center", va="center", fontsize=20)
    ax.text(y - 0.8, 0, "≈", ha="center", va="center", fontsize=18)
    ax.set(xlim=(-0.6, y + width * size + 0.9), ylim=(-top - 0.6, top + 0.5), aspect="equal")
    ax.axis("off")
    said = (
        f"Sketch of the refit: a matrix X of activations with a row for each token and {neurons} "
        f"columns, of which {len(gone)} are crossed out, times W' transposed, whose same rows are "
        f"crossed out, should come close to Y less b, what all neurons wrote at each token."
    )
    return Picture(figure, said, formulas=True)


def before_after(
    found: Mapping[str, Mapping[str, tuple[float, float]]],
    whole: Mapping[str, float],
    *,
    title: str,
    label: str,
) -> Picture:
    """A panel for each name in `whole`, a line from before to after for each way.

    found: {way: {panel: (before, after)}}; whole: {panel: the unpruned model's}. All in percent.
    """
    ways, panels = list(found), list(whole)
    height = 1.2 + 0.34 * len(ways)
    figure, axes = subplots(1, len(panels), height=height, sharey=True, squeeze=False)
    said = [f"Dot charts, {title}. {label}."]
    for ax, panel in zip(axes[0], panels):
        for i, way in enumerate(ways):
            before, after = found[way][panel]
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            ax.annotate("", (after, i), (before, i), arrowprops=dict(arrowstyle="->", color=colour))
            ax.plot(before, i, marker, color=colour, markerfacecolor="white", markersize=8)
            ax.plot(after, i, marker, color=colour, markersize=8)
            said.append(f"{panel}, {way}: from {before:.0f} to {after:.0f}.")
        ax.axvline(whole[panel], color="black", linestyle=(0, (6, 3)), linewidth=1)
        said.append(f"{panel}, unpruned: {whole[panel]:.0f}.")
        ax.set(title=panel, xlabel=label, xlim=(0, 103), yticks=range(len(ways)), yticklabels=ways)
        ax.set_ylim(len(ways) - 0.5, -0.5)
        ax.grid(axis="x", alpha=0.3)
    figure.suptitle(f"{title}: ○ before repair, ● after, dashed: unpruned")
    return Picture(figure, " ".join(said))


def strengths(
    lambdas: Sequence[float], errors: Mapping[str, Sequence[float]], before: float, *, title: str
) -> Picture:
    """Errors against λ on a logarithmic axis; before: the error without repair. The lowest point of
    the last curve is marked.
    """
    figure, ax = subplots(height=3.2)
    for i, (name, values) in enumerate(errors.items()):
        ax.plot(lambdas, values, label=name, markersize=5, **style(i))
    last = list(errors.values())[-1]
    place = min(range(len(last)), key=lambda i: last[i])
    best = lambdas[place]
    ax.plot(best, last[place], "o", color="black", markersize=13, fillstyle="none", label="best λ")
    ax.axhline(before, color="black", linestyle=(0, (6, 3)), linewidth=1, label="without repair")
    ax.set(title=title, xscale="log", ylim=(0, 1.5), ylabel="relative error")
    ax.set_xlabel("λ, as a share of the Gram matrix's mean diagonal")
    ax.set_xticks(lambdas)
    ax.set_xticklabels([f"{value:g}" for value in lambdas], fontsize=9)
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = [f"{name}: {', '.join(words(float(v)) for v in vs)}." for name, vs in errors.items()]
    said = (
        f"Line chart, {title}. Relative error against λ ({', '.join(map(words, lambdas))}). "
        f"{' '.join(each)} Lowest at λ = {best:g}. Without repair: {words(float(before))}."
    )
    return Picture(figure, said)
