"""Formulas as SVG, drawn when the site is built: a page needs no script and no font for them.

matplotlib's mathtext draws what the lessons use of LaTeX; what it does not know is said when the
site is built. The source of a formula is its text alternative.
"""

import html
import itertools
import re
from functools import cache
from io import BytesIO

KEY, NUMBERS = "KEY-OF-A-FORMULA", itertools.count()
SIZE = 12.0  # points; the page scales it to its own letters
# What mathtext calls otherwise, or leaves out.
OTHERWISE = [
    (re.compile(r"\\(?:big|Big|bigg|Bigg)[lr]?(?![a-z])"), ""),
    (re.compile(r"\\(?:tfrac|dfrac)(?![a-z])"), r"\\frac"),
    (re.compile(r"\\lVert|\\rVert|\\Vert(?![a-z])"), r"\\|"),
    (re.compile(r"\\lvert|\\rvert"), "|"),
    (re.compile(r"\\text(?![a-z])"), r"\\mathrm"),
    (re.compile(r"\\operatorname\*?\{"), r"\\mathrm{"),
    (re.compile(r"\\(?:ge|le|ne)(?![a-z])"), lambda m: m[0] + "q" if m[0] != r"\ne" else r"\neq"),
    (re.compile(r"\\!"), ""),
    (re.compile(r"\\mathbb\{E\}"), r"\\mathrm{E}"),
    (re.compile(r"\\top(?![a-z])"), r"\\mathrm{T}"),
    (re.compile(r"\\lfloor|\\rfloor"), lambda m: m[0] + " "),
    (re.compile(r"\\\$"), r"\\$"),
]
BLOCK = re.compile(r"\\begin\{(aligned|align\*?|cases|gathered)\}|\\end\{\w+\*?\}")


class Unknown(ValueError):
    """mathtext does not know what stands in a formula."""


def inline(formula: str) -> str:
    """An image that stands in a line of text."""
    return _image(formula, "formula")


def display(formula: str) -> str:
    """A formula on lines of its own."""
    rows = re.split(r"\\\\(?:\[[^\]]*\])?", BLOCK.sub("", formula))
    rows = [row.replace("&", " ").strip() for row in rows]
    return "".join(
        f'<p class="display">{_image(row, "formula display")}</p>' for row in rows if row
    )


def _image(formula: str, kind: str) -> str:
    svg, width, height, depth = _drawn(_known(formula))
    svg = svg.replace(KEY, f"m{next(NUMBERS)}")  # identifiers must be a page's only ones
    said = html.escape(" ".join(formula.split()))
    em = lambda points: f"{points / SIZE:.3f}em"
    size = f"width:{em(width)};height:{em(height)};vertical-align:{em(-depth)}"
    box = f"0 0 {width:.2f} {height:.2f}"
    return (
        f'<svg class="{kind}" role="img" aria-label="{said}" viewBox="{box}" style="{size}">'
        f"<title>{said}</title>{svg}</svg>"
    )


def _known(formula: str) -> str:
    text = _braced(" ".join(formula.split()))
    for pattern, other in OTHERWISE:
        text = pattern.sub(other, text)
    return _mathrm_spaces(_unbraced(text))


def _braced(text: str) -> str:
    r"""Arguments that LaTeX takes without braces get them: \sqrt d, \frac1n."""
    one = r"(\\[a-zA-Z]+|[^\s\\{}])"
    text = re.sub(rf"\\(sqrt|mathcal|mathbb|mathrm|mathbf)\s*{one}", r"\\\1{\2}", text)
    text = re.sub(r"\\underbrace(?=\{)", r"\\underbrace ", text)
    text = re.sub(rf"(\\[td]?frac)\s*{one}\s*{one}", r"\1{\2}{\3}", text)
    text = re.sub(rf"(\\[td]?frac)\s*{one}\s*(?=\{{)", r"\1{\2}", text)
    return re.sub(rf"(\\[td]?frac\{{[^{{}}]*\}})\s*{one}", r"\1{\2}", text)


def _unbraced(text: str) -> str:
    r"""\underbrace{sum}_{what} as \underset{what}{sum}: mathtext has no such brace."""
    while (at := text.find(r"\underbrace ")) >= 0:
        start = at + len(r"\underbrace ")
        above = _group(text, start)
        below = _group(text, start + len(above) + 1) if text[start + len(above)] == "_" else ""
        end = start + len(above) + (1 + len(below) if below else 0)
        text = text[:at] + (rf"\underset{below}{above}" if below else above) + text[end:]
    return text


def _group(text: str, start: int) -> str:
    """{…} from `start`, with what is nested in it."""
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start : end + 1]
    raise Unknown(f"{text!r}: a brace is not closed")


def _mathrm_spaces(text: str) -> str:
    r"""Spaces inside \mathrm{…} are kept, as \text would."""
    return re.sub(
        r"\\mathrm\{([^{}]*)\}", lambda m: r"\mathrm{" + m[1].replace(" ", r"\ ") + "}", text
    )


@cache
def _drawn(formula: str) -> tuple[str, float, float, float]:
    """(what stands inside an <svg>, width, height, depth below the line) in points."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    with rc_context({"mathtext.fontset": "cm", "svg.fonttype": "path", "svg.hashsalt": formula}):
        font = FontProperties(size=SIZE)
        try:
            width, height, depth, _, _ = MathTextParser("path").parse(
                f"${formula}$", dpi=72, prop=font
            )
        except ValueError as error:
            raise Unknown(f"{formula!r}: {error}") from error
        pad = 1.0
        figure = Figure(figsize=((width + 2 * pad) / 72, (height + 2 * pad) / 72))
        figure.text(
            pad / (width + 2 * pad),
            (depth + pad) / (height + 2 * pad),
            f"${formula}$",
            fontsize=SIZE,
        )
        file = BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    drawn = file.getvalue().decode()
    inside = re.search(r"<svg[^>]*>(.*)</svg>", drawn, re.S)[1]
    inside = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<\?.*?\?>", "", inside, flags=re.S)
    inside = re.sub(r"<style[^>]*>.*?</style>", "", inside, flags=re.S)
    inside = re.sub(r'<g id="patch_\d+">.*?</g>', "", inside, flags=re.S)  # the figure's ground
    inside = re.sub(r'id="([^"]+)"', rf'id="{KEY}-\1"', inside)
    inside = re.sub(r'href="#([^"]+)"', rf'href="#{KEY}-\1"', inside)
    return re.sub(r"\s+", " ", inside), width + 2 * pad, height + 2 * pad, depth + pad
