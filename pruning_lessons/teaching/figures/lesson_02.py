"""Pictures of lesson 02: what the parts of a model hold, ranges of times, batches with padding."""

from collections.abc import Mapping, Sequence

from .common import COLOURS, PARTS, words
from .picture import Picture, subplots

__all__ = ["padding", "parts", "ranges"]

# Parts under the names that lessons give them, drawn as one of `PARTS` or as a shade of it.
SHADES = {
    "embeddings": PARTS["word embeddings"],
    "other embeddings": PARTS["other"],
    "task head": PARTS["head"],
    "attention's matrices": PARTS["attention"],
    "tokens × tokens": ("#56B4E9", "oo"),
}


def parts(
    bars: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    xlabel: str,
    form: str = "{:,.0f}",
    height: float | None = None,
) -> Picture:
    """A bar for each name, drawn to scale and made of parts, {name: {part: value}}, in the course's
    colours. form: how the sum is written at its end, "" for not. Shares stand in parts that are
    wide enough.
    """
    from matplotlib.ticker import EngFormatter

    names = list(bars)
    figure, ax = subplots(height=height or 1.25 + 0.42 * len(names))
    longest = max(sum(found.values()) for found in bars.values())
    for row, found in enumerate(bars.values()):
        left, total = 0.0, sum(found.values())
        for part, value in found.items():
            colour, hatch = PARTS.get(part) or SHADES.get(part, PARTS["other"])
            look = dict(color=colour, hatch=hatch, edgecolor="black", linewidth=0.5, height=0.7)
            drawn = ax.barh(row, value, left=left, **look)
            if part not in ax.get_legend_handles_labels()[1]:
                drawn.set_label(part)
            if value > 0.06 * longest:
                box = dict(facecolor="white", edgecolor="none", pad=1)
                said = f"{value / total:.0%}"
                ax.text(left + value / 2, row, said, ha="center", va="center", bbox=box)
            left += value
        if form:
            ax.text(left + 0.01 * longest, row, form.format(total), va="center")
    ax.set(title=title, xlabel=xlabel, yticks=range(len(names)), yticklabels=names)
    ax.set_xlim(0, (1.12 if form else 1.0) * longest)
    if longest >= 1e6:  # 10 M in place of a lonely 1e7 in the corner
        ax.xaxis.set_major_formatter(EngFormatter())
    ax.invert_yaxis()
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncol=5)
    each = [
        f"{name}: {words(float(sum(found.values())))} in all, "
        + ", ".join(f"{part} {words(float(value))}" for part, value in found.items())
        for name, found in bars.items()
    ]
    return Picture(figure, f"Stacked bars, {title}. {xlabel}. {'; '.join(each)}.")


def ranges(
    times: Mapping[str, Sequence[float]], *, title: str, xlabel: str = "milliseconds"
) -> Picture:
    """For each name its values as dots, the median as a line and the middle half as a box."""
    names, said = list(times), []
    figure, ax = subplots(height=0.9 + 0.42 * len(names))
    for row, name in enumerate(names):
        values = sorted(times[name])
        low, middle, high = (_quantile(values, q) for q in (0.25, 0.5, 0.75))
        colour = COLOURS[row % len(COLOURS)]
        box = dict(height=0.5, facecolor="none", edgecolor="black", linewidth=1)
        ax.barh(row, high - low, left=low, **box)
        ax.plot(values, [row] * len(values), "o", color=colour, alpha=0.5, markersize=5)
        ax.plot([middle] * 2, [row - 0.36, row + 0.36], color="black", linewidth=2.5)
        said.append(f"{name}: median {words(middle)}, middle half {words(low)} to {words(high)}")
    # One very slow moment must not press all others together.
    slow = max(_quantile(sorted(v), 0.9) for v in times.values())
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=xlabel, title=title)
    ax.set_xlim(0, 1.25 * slow)
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    return Picture(figure, f"Dots, {title}. {xlabel}. {'; '.join(said)}.")


def _quantile(ordered: Sequence[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def padding(ways: Mapping[str, Sequence[Sequence[int]]], *, title: str) -> Picture:
    """Batches as the processor sees them: for each way the lengths of the sentences, in their
    batches, padded to `width` of the batch (the first number of each batch). Dark is text, hatched
    is padding; a line parts the batches.
    """
    widest = max(batch[0] for batches in ways.values() for batch in batches)
    figure, axes = subplots(1, len(ways), height=2.9, sharey=True, squeeze=False)
    said = []
    for ax, (name, batches) in zip(axes[0], ways.items()):
        row, text, places = 0, 0, 0
        for width, *lengths in batches:
            rows = range(row, row + len(lengths))
            ax.barh(rows, width, height=1, color="white", edgecolor="#888888", hatch="////",
                    linewidth=0)  # fmt: skip
            ax.barh(rows, lengths, height=1, color=COLOURS[0], edgecolor="white", linewidth=0.3)
            row += len(lengths)
            ax.axhline(row - 0.5, color="black", linewidth=1)
            text, places = text + sum(lengths), places + width * len(lengths)
        ax.set(title=f"{name}\n{places:,} places, {text / places:.0%} text", xlabel="place")
        ax.set(xlim=(0, widest), ylim=(row - 0.5, -0.5))
        said.append(f"{name}: {len(batches)} batches, {places} places, {text} of them text")
    axes[0, 0].set_ylabel("sentence")
    figure.suptitle(title)
    return Picture(figure, f"Batches of sentences, {title}. {'; '.join(said)}.")
