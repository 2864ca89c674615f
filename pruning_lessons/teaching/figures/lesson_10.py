"""The picture of lesson 10: what could be served, and what is."""

from collections.abc import Mapping

from .common import COLOURS, MARKERS
from .picture import Picture, subplots

__all__ = ["what_to_serve"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _some(ms: float, _) -> str:
    """Of the ticks between powers of ten 2 and 5 are written."""
    return f"{ms:g}" if f"{ms:e}"[0] in "25" else ""


def what_to_serve(
    points: Mapping[str, tuple[float, float]],
    *,
    floor: float,
    chosen: str | None,
    score: str = "score",
    n: int | None = None,
) -> Picture:
    """Score against milliseconds, what loses too much under the dashed line.

    points: {"whole, PyTorch": (milliseconds, score from 0 to 1)}; what stands after the last comma
    is the form, which has one shape and colour. floor: the least score that is allowed; chosen: a
    name, which gets a ring; n: texts that were scored.
    """
    from matplotlib.ticker import FuncFormatter

    figure, ax = subplots(height=4.0)
    forms = list(dict.fromkeys(name.rpartition(", ")[2] for name in points))
    for i, form in enumerate(forms):
        own = [at for name, at in points.items() if name.rpartition(", ")[2] == form]
        x, y = [ms for ms, _ in own], [100 * value for _, value in own]
        ax.scatter(x, y, s=60, color=COLOURS[i], marker=MARKERS[i], label=form, zorder=3)
    models = list(dict.fromkeys(name.rpartition(", ")[0] for name in points))
    for name, (ms, value) in points.items():
        letter = LETTERS[models.index(name.rpartition(", ")[0])]
        style = dict(textcoords="offset points", xytext=(0, 11), ha="center", fontsize=10)
        ax.annotate(letter, (ms, 100 * value), **style)
    ax.axhline(100 * floor, color="black", linestyle="--", linewidth=1, label="least allowed")
    if chosen in points:
        ms, value = points[chosen]
        ring = dict(s=320, facecolor="none", edgecolor="black", linewidth=1.6, zorder=4)
        ax.scatter([ms], [100 * value], label="served", **ring)
    for letter, model in zip(LETTERS, models):
        ax.scatter([], [], marker=rf"$\mathrm{{{letter}}}$", color="black", s=60, label=model)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(_some))
    ax.set(xlabel="milliseconds a text (logarithmic axis)")
    ax.set(ylabel=f"{score}, %" + (f" of {n} texts" if n else ""))
    ax.margins(x=0.12, y=0.25)
    ax.set_title(f"Served: {chosen}" if chosen else "No model loses little enough")
    ax.grid(alpha=0.3, which="both")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    each = [f"{name}: {ms:.1f} ms, {value:.1%}" for name, (ms, value) in points.items()]
    said = (
        f"Points, {score} on validation against milliseconds. {'; '.join(each)}. Dashed line, the "
        f"least allowed: {floor:.1%}. Served: {chosen or 'none'}."
    )
    return Picture(figure, said)
