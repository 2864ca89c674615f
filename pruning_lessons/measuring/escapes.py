"""Text from checkpoints and data, as the place where it is shown needs it.

Tokens, labels, languages, names of files, and sentences come from outside: each function here gives
text that shows what it was given and does nothing else, in HTML, in a script, in Markdown.
"""

import html
import json
import re

LONGEST = 300  # characters of one text
# Characters that no page shows or that move others: controls, overrides of the direction in which
# text runs, halves of pairs that UTF-8 has no bytes for, and what Unicode says is no character.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
# Typesetters of formulas (MathJax 2 to 4, in JupyterLab and Colab) pass over such elements: a `$`
# in a label is a `$`.
NO_FORMULAS = 'class="tex2jax_ignore mathjax_ignore"'


def one_line(text, longest: int = LONGEST) -> str:
    """The text on one line, of at most so many characters; � for those that cannot be shown."""
    line = UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def in_html(text, longest: int = LONGEST) -> str:
    """For HTML: between tags, and in attributes within quotes of either kind."""
    return html.escape(one_line(text, longest))


def in_script(value) -> str:
    """JSON for a `<script>`: no text in it ends the script or opens a comment of HTML."""
    text = json.dumps(value, separators=(",", ":"))  # in ASCII
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)


def in_markdown(text, longest: int = LONGEST) -> str:
    """For Markdown, in a paragraph, a heading, or a cell of a table."""
    line = html.escape(one_line(text, longest), quote=False)
    return re.sub(r"([\\`*_{}\[\]()#.!|~:@$^])", r"\\\1", line)
