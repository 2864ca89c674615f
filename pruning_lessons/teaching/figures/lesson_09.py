"""Pictures of lesson 09: rounding, what each step of the way to a server saves, and the front."""

from collections.abc import Iterable, Mapping, Sequence

from .common import COLOURS, HATCHES, words
from .picture import Picture, subplots

__all__ = ["front", "ladder", "stairs"]

KINDS = {"PyTorch": ("o", 0), "ONNX": ("s", 1), "ONNX int8": ("^", 2)}  # marker and colour


def stairs(
    weights: Sequence[float],
    stored: Mapping[str, Sequence[float]],
    *,
    title: str,
    steps: int = 10,
    height: float = 3.0,
) -> Picture:
    """Weights as they are stored against what they were, a panel for each way to store them.

    Near zero, as far as `steps` steps of the coarsest way reach. weights: (n,); stored: (n,) each.
    """
    import torch

    weights = torch.as_tensor(weights).float()
    order = weights.argsort()
    found = {name: torch.as_tensor(s).float() for name, s in stored.items()}
    size = {}
    for name, s in found.items():
        levels = s.unique()
        size[name] = levels.diff().min().item() if len(levels) > 1 else 0.0
    reach = steps * max(size.values()) / 2 or float(weights.abs().max()) or 1.0
    figure, axes = subplots(1, len(found), height=height, sharey=True, squeeze=False)
    said = [f"{title}. Weights as they are stored against weights as they were, near zero."]
    for i, (ax, (name, s)) in enumerate(zip(axes[0], found.items())):
        ax.plot([-reach, reach], [-reach, reach], color="black", linestyle=":", linewidth=1)
        ax.plot(weights[order], s[order], ".", color=COLOURS[i], markersize=4)
        inside = s[(weights.abs() <= reach)].unique()
        ax.set(title=name, xlabel="weight", xlim=(-reach, reach), ylim=(-reach, reach))
        ax.locator_params(nbins=5)
        ax.grid(alpha=0.3)
        said.append(f"{name}: {len(inside)} different values here, {words(size[name])} apart.")
    axes[0][0].set_ylabel("stored as")
    figure.suptitle(title)
    return Picture(figure, " ".join(said))


def ladder(
    ways: Mapping[str, Mapping[str, float]], *, title: str, height: float | None = None
) -> Picture:
    """Milliseconds after each step of a way, a panel for each way, with the factor of each step.

    ways: {way: {model: milliseconds}}, in the order of the steps.
    """
    rows = max(map(len, ways.values()))
    figure, axes = subplots(len(ways), 1, height=height or len(ways) * (0.75 + 0.33 * rows))
    axes = [axes] if len(ways) == 1 else list(axes)
    said = [f"Bar chart, {title}. Milliseconds after each step."]
    for ax, (way, times) in zip(axes, ways.items()):
        names, ms = list(times), list(times.values())
        parts = []
        for i, (name, value) in enumerate(times.items()):
            look = dict(color=COLOURS[i], hatch=HATCHES[i], edgecolor="black", linewidth=0.6)
            ax.barh(i, value, 0.7, **look)
            factor = ms[i - 1] / value if i else None
            text = f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"
            text += f", {factor:.1f} times as fast" if i else ""
            ax.text(value + 0.01 * max(ms), i, text, va="center", fontsize=9)
            parts.append(f"{name} {text}")
        ax.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 1.45 * max(ms)), title=way)
        ax.invert_yaxis()
        said.append(f"{way}: {'; '.join(parts)}.")
    axes[-1].set_xlabel("milliseconds")
    figure.suptitle(title)
    return Picture(figure, " ".join(said))


def front(
    panels: Mapping[str, Mapping[tuple[float, str], tuple[float, float]]],
    best: Mapping[str, Iterable[tuple[float, float]]],
    *,
    n: Mapping[str, int],
    others: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    ring: tuple[float, str] | None = None,
    title: str = "",
    height: float = 4.4,
) -> Picture:
    """Accuracy against milliseconds (logarithmic), a panel for each set of sentences.

    panels: {set: {(share of MACs, "PyTorch", "ONNX" or "ONNX int8"): (ms, share right)}}; best: the
    points on each panel's front; n: sentences of each set, for whiskers of two standard errors;
    others: {set: {name: (ms, share right)}}, drawn hollow; ring: the model to mark.
    """
    figure, axes = subplots(1, len(panels), height=height, squeeze=False)
    said = [f"Accuracy in percent against milliseconds at batch 1, {title}."]
    for ax, (where, points) in zip(axes[0], panels.items()):
        error = lambda p: 200 * (p * (1 - p) / n[where]) ** 0.5
        line = sorted(best[where])
        ax.plot(*zip(*[(ms, 100 * p) for ms, p in line]), ":", color="black", label="front")
        for kind, (marker, colour) in KINDS.items():
            own = {keep: place for (keep, k), place in points.items() if k == kind}
            for keep, (ms, p) in sorted(own.items(), reverse=True):
                look = dict(color=COLOURS[colour], marker=marker, markeredgecolor="black")
                name = kind if keep == max(own) else None
                ax.errorbar(ms, 100 * p, error(p), capsize=2, linewidth=0.8, label=name, **look)
                side = -1 if kind == "ONNX" else 1  # int8's and PyTorch's stand close to ONNX's
                look = dict(rotation=90, va="bottom" if side > 0 else "top", fontsize=9)
                place = ms, 100 * p + side * error(p)
                ax.annotate(f"{keep:.0%}", place, xytext=(0, 3 * side), **look, **_POINTS)
            if own:
                each = [
                    f"{k:.0%} of the MACs {ms:.2g} ms {100 * p:.1f}" for k, (ms, p) in _falling(own)
                ]
                said.append(f"{where}, {kind}: {', '.join(each)}.")
        low = min(100 * p - error(p) for _, p in points.values())
        high = max(100 * p + error(p) for _, p in points.values())
        low, high = low - 0.18 * (high - low), high + 0.18 * (high - low)
        beside = (others or {}).get(where, {})
        seen = {name: place for name, place in beside.items() if 100 * place[1] > low}
        for i, (name, (ms, p)) in enumerate(seen.items()):
            label = "one kind of cut alone" if i == 0 else None
            ax.plot(ms, 100 * p, "D", color="white", markeredgecolor="gray", label=label)
            above = p == max(share for _, share in seen.values())
            shift = (0, 6) if above else (0, -14)
            ax.annotate(name, (ms, 100 * p), xytext=shift, fontsize=9, color="#555555", **_POINTS)
        if beside:
            each = [f"{name} {ms:.2g} ms {100 * p:.1f}" for name, (ms, p) in beside.items()]
            said.append(f"{where}, one kind of cut alone: {', '.join(each)}.")
        if ring in points:
            ms, p = points[ring]
            look = dict(markersize=17, fillstyle="none", color="black", label="chosen")
            ax.plot(ms, 100 * p, "o", **look)
        ax.set(xscale="log", xlabel="milliseconds, batch 1 (log)", title=where, ylim=(low, high))
        ticks = [t for t in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if _within(t, points)]
        ax.set_xticks(ticks, labels=[f"{t:g}" for t in ticks])
        ax.minorticks_off()
        ax.margins(x=0.17)
        ax.grid(alpha=0.3)
        said.append(f"On the front: {', '.join(f'{ms:.2g} ms {100 * p:.1f}' for ms, p in line)}.")
    axes[0][0].set_ylabel("accuracy, %")
    if any(ring in points for points in panels.values()):
        said.append(f"Chosen: {ring[0]:.0%} of the MACs, {ring[1]}.")
    figure.suptitle(title)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=6, frameon=False)
    return Picture(figure, " ".join(said))


_POINTS = dict(textcoords="offset points", ha="center")


def _falling(own: Mapping) -> list:
    return sorted(own.items(), reverse=True)


def _within(tick: float, points: Mapping) -> bool:
    times = [ms for ms, _ in points.values()]
    return 0.8 * min(times) <= tick <= 1.4 * max(times)
