"""What lesson 06 draws: changes by head with their sign, heads that stay in several models side by
side, differences with their uncertainty.
"""

from collections.abc import Mapping

from torch import Tensor

from .common import COLOURS, words
from .picture import WIDTH, Picture, subplots

__all__ = ["differences", "head_changes", "head_maps"]


def head_changes(values: Tensor, *, title: str, label: str, named: int = 5) -> Picture:
    """A square for each head, (layers, heads): red for above zero, blue for below, pale for about
    zero; the `named` largest have their number. label: what the numbers are.
    """
    n, m = values.shape
    figure, ax = subplots(height=1.1 + 0.3 * n, width=min(WIDTH, 2.2 + 0.46 * m))
    most = values.abs().max().clamp(min=1e-12).item()
    image = ax.imshow(values.tolist(), cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    order = values.flatten().abs().argsort(descending=True)[:named].tolist()
    largest = [(*divmod(place, m), values.flatten()[place].item()) for place in order]
    for layer, head, value in largest:
        colour = "white" if abs(value) > 0.6 * most else "black"
        shown = f"{value:+.2f}" if most >= 0.1 else f"{value:+.3f}"
        ax.text(head, layer, shown, ha="center", va="center", fontsize=9, color=colour)
    ax.set(title=title, xlabel="head", ylabel="layer", xticks=range(m), yticks=range(n))
    figure.colorbar(image, label=label)
    small = int((values.abs() < most / 10).sum())
    said = [f"layer {layer} head {head}: {value:+.3f}" for layer, head, value in largest]
    return Picture(
        figure,
        f"Grid of {n} layers and {m} heads, {title}. {label}. Largest: {'; '.join(said)}. "
        f"{small} of {values.numel()} are below a tenth of the largest in size.",
    )


def head_maps(masks: Mapping[str, Tensor], *, title: str) -> Picture:
    """Bool grids (layers, heads) side by side: ● stays, · goes, and how many stay in each row."""
    n, m = next(iter(masks.values())).shape
    figure, axes = subplots(
        1, len(masks), height=1.2 + 0.27 * n, width=WIDTH, sharey=True, squeeze=False
    )
    for ax, (name, mask) in zip(axes[0], masks.items()):
        ax.imshow(mask.float().tolist(), cmap="Greys", vmin=0, vmax=3.5, aspect="auto")
        for layer, row in enumerate(mask.tolist()):
            for head, stays in enumerate(row):
                ax.text(head, layer, "●" if stays else "·", ha="center", va="center", fontsize=8)
            ax.text(m - 0.2, layer, str(sum(row)), va="center", fontsize=10)
        ax.set(title=name, xlabel="head", xticks=range(0, m, max(1, m // 4)), yticks=range(n))
        ax.set_xlim(-0.5, m + 0.9)
        ax.tick_params(axis="y", length=0)  # beside a count, a mark would read as a minus
        ax.spines[:].set_visible(False)
    axes[0][0].set_ylabel("layer")
    figure.suptitle(title)
    said = [
        f"{name}: layers 0 to {n - 1} keep {', '.join(map(str, mask.sum(1).tolist()))} heads"
        for name, mask in masks.items()
    ]
    return Picture(figure, f"{len(masks)} grids of heads, {title}. {'; '.join(said)}.")


def differences(
    found: Mapping[str, tuple[float, float]], *, title: str, xlabel: str, zero: str = "no change"
) -> Picture:
    """A dot for each difference, with a bar of two standard errors to each side. found: {name:
    (difference, standard error)}; zero: what the line at 0 stands for.
    """
    names = list(found)
    figure, ax = subplots(height=1.1 + 0.34 * len(names))
    for i, (value, error) in enumerate(found.values()):
        clear = abs(value) > 2 * error
        ax.errorbar(
            value,
            i,
            xerr=2 * error,
            fmt="o",
            color=COLOURS[0],
            markerfacecolor=COLOURS[0] if clear else "white",
            capsize=4,
        )
        ax.annotate(
            f"{value:+.1f}", (value, i), (0, 6), textcoords="offset points", ha="center", fontsize=9
        )
    ax.axvline(0, color="black", linestyle=(0, (6, 3)), linewidth=1, label=zero)
    ax.set(title=title, xlabel=xlabel, yticks=range(len(names)), yticklabels=names)
    ax.set_ylim(len(names) - 0.4, -0.7)
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    said = [
        f"{name} {value:+.2f} ± {words(float(error))}" for name, (value, error) in found.items()
    ]
    return Picture(
        figure,
        f"Dots with bars of two standard errors, {title}. {xlabel}, against {zero}: "
        f"{'; '.join(said)}.",
    )
