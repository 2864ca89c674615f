"""A picture for a notebook: a PNG with a text alternative that screen readers get."""

import base64
from io import BytesIO
from pathlib import Path

from ...measuring.escapes import in_html
from ..labels import plain_text

WIDTH = 8.4  # inches: what fits beside JupyterLab's file browser at 1280 pixels
COLOURS = 256  # of a file: enough for what is drawn, in a third of the bytes
PIXELS, SHARP = 100, 1.6  # to an inch on the page; pixels in the file for one on the page


def subplots(rows: int = 1, columns: int = 1, height: float = 3.0, width: float = WIDTH, **options):
    """(figure, axes) as `matplotlib.pyplot.subplots` gives them, without pyplot: nothing stays in
    memory, and nothing is shown before it is a `Picture`. Sizes in inches of 100 pixels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


class Picture:
    """What a notebook shows of a figure: the image, and `alt`, what it shows in words."""

    def __init__(self, figure, alt: str, families: tuple[str, ...] = (), formulas: bool = False):
        """figure: of matplotlib; alt: its text alternative; families: of fonts, where its texts
        need some (`labels.labels_for`). formulas: what stands between two `$` is one.
        """
        from matplotlib import rc_context

        if not alt.strip():
            raise ValueError("alt: is empty, must say what the picture shows")
        self.alt, self.width = " ".join(alt.split()), round(figure.get_figwidth() * PIXELS)
        _plain_texts(figure, formulas)
        file = BytesIO()
        with rc_context(plain_text(families)):
            figure.savefig(file, format="png", dpi=PIXELS * SHARP)
        self.png = _fewer_colours(file.getvalue())

    def save(self, file: str | Path) -> Path:
        """Write the PNG, and return where."""
        Path(file).write_bytes(self.png)
        return Path(file)

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.png).decode()
        said = in_html(self.alt, len(self.alt))
        return (
            f'<img src="data:image/png;base64,{image}" alt="{said}" width="{self.width}" '
            f'style="max-width:100%;height:auto">'
        )

    def __repr__(self) -> str:
        return self.alt


def _plain_texts(figure, formulas: bool) -> None:
    """A `$` is a `$`, no formula; so logarithmic axes say 0.1, where matplotlib writes a power."""
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter, NullFormatter

    for text in figure.findobj(Text):
        text.set_parse_math(formulas)
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                axis.set_major_formatter(lambda value, _: f"{value:g}")
                axis.set_minor_formatter(NullFormatter())


def _fewer_colours(png: bytes) -> bytes:
    from PIL import Image

    file = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGB").quantize(COLOURS)
    image.save(file, "png", optimize=True)
    return file.getvalue()
