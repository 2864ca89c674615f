"""Tokens as labels in pictures of matplotlib: with a font that has their signs, else with numbers.

matplotlib takes its fonts from the machine, and draws boxes, with a warning for each, where none of
them has a sign. A page has the browser's fonts: what a picture cannot write, its caption can.
"""

import unicodedata
from functools import lru_cache

NEEDS_SHAPES = ("ARABIC", "SYRIAC", "HEBREW", "THAANA", "NKO", "DEVANAGARI", "BENGALI", "GURMUKHI")
NEEDS_SHAPES += ("GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA")
NEEDS_SHAPES += ("TIBETAN", "MYANMAR", "KHMER")

BOXES = ("Last Resort", "Last Resort High-Efficiency")  # have a box for every sign


def labels_for(tokens: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """(a label for each token, the families of fonts to draw them with, {label: token} of those
    tokens that no font here writes: they get their number).
    """
    families, missing = fonts_for("".join(tokens))
    key, labels = {}, []
    for place, token in enumerate(tokens):
        if missing & set(token):
            token, key[f"#{place}"] = f"#{place}", token
        labels.append(token)
    return labels, families, key


def plain_text(families) -> dict:
    """Settings for `matplotlib.rc_context` in which a text is drawn as it is: `$` starts no
    formula. families: of fonts, the user's where there are none.
    """
    settings = {"text.usetex": False, "text.parse_math": False}
    return settings | ({"font.family": list(families)} if families else {})


def fonts_for(text: str) -> tuple[list[str], set[str]]:
    """(the user's families of fonts and others here that have more of the text's characters, the
    characters that none of them writes).
    """
    from matplotlib import rcParams

    families = tuple(rcParams["font.family"])
    more, missing = _search(families, frozenset(text))
    return [*families, *more], set(missing)


@lru_cache(maxsize=64)
def _search(families: tuple[str], characters: frozenset[str]) -> tuple[tuple, frozenset]:
    from matplotlib.font_manager import FontProperties, findfont, fontManager

    missing = characters - _has(findfont(FontProperties(family=list(families))), characters)
    missing = {c for c in missing if not c.isspace()}
    more, unshaped = [], set() if _shapes() else {c for c in characters if _needs_shapes(c)}
    upright = [f for f in fontManager.ttflist if f.style == "normal"]
    upright.sort(key=lambda f: ("Noto Sans" not in f.name, "Sans" not in f.name, f.name, f.weight))
    seen = {*families, *BOXES}
    for font in upright if missing else []:
        if font.name not in seen:
            seen.add(font.name)
            found = _has(font.fname, missing)
            if found:
                more.append(font.name)
                missing -= found
        if not missing:
            break
    return tuple(more), frozenset(missing | unshaped)


def _has(file: str, characters) -> set[str]:
    from matplotlib.font_manager import get_font

    try:
        font = get_font(file)
        return {c for c in characters if font.get_char_index(ord(c))}
    except (OSError, RuntimeError):  # a font that FreeType does not open
        return set()


def _shapes() -> bool:
    """Whether this matplotlib joins letters and turns lines that run from right to left."""
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")


def _needs_shapes(character: str) -> bool:
    return unicodedata.name(character, "").startswith(NEEDS_SHAPES)
