"""What several lessons draw: curves, bars, a grid of heads, strips of layers.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers, dashes and
hatches say the same again. Text alternatives are made from the numbers that are drawn.
"""

from collections.abc import Mapping, Sequence

from .picture import Picture, subplots

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS, DASHES = "os^Dvx*", ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), "-")
HATCHES = ("", "//", "\\\\", "xx", "..", "--", "oo")
# One colour and one hatch for a part of the model, in every lesson.
PARTS = {
    "word embeddings": ("#E69F00", ".."),
    "attention": ("#0072B2", ""),
    "feed-forward": ("#D55E00", "//"),
    "other": ("#999999", "xx"),
    "head": ("#009E73", "\\\\"),
}


def style(i: int) -> dict:
    """Of the i-th curve: colour, marker and dash."""
    i %= len(COLOURS)
    return dict(color=COLOURS[i], marker=MARKERS[i], linestyle=DASHES[i])


def words(value) -> str:
    """A number as a text alternative says it."""
    value = value.item() if hasattr(value, "item") else value
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def curves(
    x: Sequence,
    lines: Mapping[str, Sequence[float]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    levels: Mapping[str, float] | None = None,
    falling: bool = False,
    logx: bool = False,
    logy: bool = False,
    ylim: tuple | None = None,
    height: float = 3.2,
) -> Picture:
    """Lines over `x`. bands: (lowest, highest) around a line of that name; levels: lines across;
    falling: the x axis runs from large to small, as in pruning. A NaN is a gap.
    """
    figure, ax = subplots(height=height)
    for i, (name, y) in enumerate(lines.items()):
        ax.plot(x, y, label=name, markersize=5, **style(i))
        if bands and name in bands:
            ax.fill_between(
                x, *bands[name], color=COLOURS[i % len(COLOURS)], alpha=0.2, linewidth=0
            )
    for name, y in (levels or {}).items():
        ax.axhline(y, color="black", linestyle=(0, (6, 3)), linewidth=1, label=name)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if ylim is not None:
        ax.set_ylim(ylim)
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    if falling:
        ax.invert_xaxis()
    ax.grid(alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    said = [f"Line chart, {title}. {ylabel} against {xlabel} ({', '.join(map(words, x))})."]
    said += [f"{name}: {', '.join(map(words, y))}." for name, y in lines.items()]
    said += [
        f"Band around {name}: from {', '.join(map(words, low))} to {', '.join(map(words, high))}."
        for name, (low, high) in (bands or {}).items()
    ]
    said += [f"{name}: {words(y)} throughout." for name, y in (levels or {}).items()]
    return Picture(figure, " ".join(said))


def bars(
    values: Mapping[str, float] | Mapping[str, Mapping[str, float]],
    *,
    title: str,
    label: str,
    errors: Mapping[str, float] | None = None,
    hatched: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    upright: bool = False,
    form: str = "{:.0f}",
    limit: tuple | None = None,
    height: float | None = None,
) -> Picture:
    """A bar for each name; for groups of bars give {group: {name: value}}. label: of the axis of
    values; errors: half the length of a whisker, by name; hatched: names drawn hatched; upright:
    bars stand; form: how a value is written beside its bar, "" for not.
    """
    groups = values if all(isinstance(v, Mapping) for v in values.values()) else {"": values}
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    height = height or (3.0 if upright else 0.9 + 0.3 * len(names) * max(1, 0.75 * len(groups)))
    figure, ax = subplots(height=height)
    thick = 0.8 / len(groups)
    if limit is None:
        ends = [*(v for found in groups.values() for v in found.values()), *(levels or {}).values()]
        limit = (min(0, 1.15 * min(ends)), max(0, 1.12 * max(ends)) or None)
    for g, (group, found) in enumerate(groups.items()):
        for i, name in enumerate(names):
            if name not in found:
                continue
            at = i + (g - (len(groups) - 1) / 2) * thick
            hatch = HATCHES[g] if len(groups) > 1 else ("//" if name in hatched else "")
            look = dict(color=COLOURS[g], edgecolor="black", linewidth=0.6, hatch=hatch)
            whisker = (errors or {}).get(name) if len(groups) == 1 else None
            draw, side = (ax.bar, "yerr") if upright else (ax.barh, "xerr")
            drawn = draw(at, found[name], thick, **look, **{side: whisker}, capsize=3)
            if form:
                ax.bar_label(drawn, [form.format(found[name])], padding=3, fontsize=9)
            if group and i == 0:
                drawn.set_label(group)
    if upright:
        ax.set(xticks=range(len(names)), xticklabels=names, ylabel=label, ylim=limit, title=title)
    else:
        ax.set(yticks=range(len(names)), yticklabels=names, xlabel=label, xlim=limit, title=title)
        ax.invert_yaxis()
    for name, value in (levels or {}).items():
        line = ax.axhline if upright else ax.axvline
        line(value, color="black", linestyle=(0, (6, 3)), linewidth=1, label=name)
    if levels or len(groups) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    said = [f"Bar chart, {title}. {label}."]
    for group, found in groups.items():
        each = [
            f"{name} {words(v)}" + (f" ± {words(errors[name])}" if name in (errors or {}) else "")
            for name, v in found.items()
        ]
        said.append(f"{group}: {', '.join(each)}." if group else f"{', '.join(each)}.")
    said += [f"{name}: {words(value)}." for name, value in (levels or {}).items()]
    return Picture(figure, " ".join(said))


def grid(
    values,
    *,
    title: str,
    xlabel: str = "head",
    ylabel: str = "layer",
    colourbar: str = "",
    rows: Sequence[str] | None = None,
    height: float | None = None,
) -> Picture:
    """A square for each number of `values`, (rows, columns). Bool: ● stays, · goes, and how many
    stay at the end of each row. Numbers: darker is larger; colourbar: what the numbers are.
    rows: names of the rows, else their numbers.
    """
    import torch

    values = torch.as_tensor(values)
    n, m = values.shape
    figure, ax = subplots(height=height or 0.9 + 0.26 * n, width=min(8.4, 1.9 + 0.42 * m))
    mask = values.dtype == torch.bool
    shown = values.float()
    image = ax.imshow(
        shown.tolist(), cmap="Greys", aspect="auto", **(dict(vmin=-0.4, vmax=1.6) if mask else {})
    )
    if mask:
        for i, row in enumerate(values.tolist()):
            for j, stays in enumerate(row):
                ax.text(j, i, "●" if stays else "·", ha="center", va="center")
            ax.text(m - 0.3, i, f"{sum(row)} stay", va="center", fontsize=9)
    else:
        figure.colorbar(image, label=colourbar)
    names = list(rows) if rows is not None else list(range(n))
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xticks=range(m), yticks=range(n))
    ax.set_yticklabels(names)
    said = f"Grid of {n} rows ({ylabel}) and {m} columns ({xlabel}), {title}."
    if mask:
        each = [f"{ylabel} {name} keeps {sum(row)}" for name, row in zip(names, values.tolist())]
        return Picture(figure, f"{said} {'; '.join(each)}.")
    each = [
        f"{ylabel} {name}: largest {words(row.max().item())} at {xlabel} {int(row.argmax())}"
        for name, row in zip(names, shown)
    ]
    return Picture(figure, f"{said} {'; '.join(each)}.")


def strips(
    kept: Mapping[str, Sequence[bool]],
    *,
    title: str,
    beside: Mapping[str, str] | None = None,
    height: float | None = None,
) -> Picture:
    """A strip of layers for each model: filled stays, crossed goes. beside: a text at the end of a
    strip, such as its accuracy.
    """
    names, n = list(kept), max(map(len, kept.values()))
    figure, ax = subplots(height=height or 0.8 + 0.32 * len(names))
    for i, name in enumerate(names):
        for layer, stays in enumerate(kept[name]):
            colour = COLOURS[0] if stays else "white"
            ax.barh(i, 0.86, left=layer - 0.43, height=0.7, color=colour, edgecolor="black")
            if not stays:
                ax.text(layer, i, "×", ha="center", va="center")
        ax.text(n - 0.3, i, (beside or {}).get(name, ""), va="center", fontsize=9)
    ax.set(yticks=range(len(names)), yticklabels=names, xticks=range(n), xlabel="layer")
    ax.set(title=title, xlim=(-0.6, n + 1.6 if beside else n - 0.4))
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    each = [
        f"{name}: stay {', '.join(str(l) for l, stays in enumerate(kept[name]) if stays) or 'none'}"
        + (f" ({beside[name]})" if name in (beside or {}) else "")
        for name in names
    ]
    return Picture(figure, f"Strips of layers, {title}. {'; '.join(each)}.")
