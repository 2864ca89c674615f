"""Write the course's public address wherever it is needed: `python scripts/set_address.py`.

It stands in pyproject.toml ([project.urls] Repository); README, CITATION.cff and notebooks take it
from there.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# github.com/OWNER/NAME in links and setup cells, github/OWNER/NAME on Colab, gh/OWNER/NAME on
# Binder
PLACES = re.compile(
    r"(https://(?:github\.com|colab\.research\.google\.com/github|mybinder\.org/v2/gh)/)[\w.-]+/pruning_lessons\b"
)


def address() -> str:
    """OWNER/NAME of the repository."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.search(r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+)"', text, re.M)[1]


def files() -> list[Path]:
    notebooks = ROOT / "notebooks"
    return [
        ROOT / "README.md",
        ROOT / "CITATION.cff",
        ROOT / "pyproject.toml",
        *sorted(notebooks.rglob("*.py")),
        *sorted(notebooks.rglob("*.ipynb")),
    ]


def rewritten(text: str, owner_and_name: str) -> str:
    return PLACES.sub(rf"\g<1>{owner_and_name}", text)


if __name__ == "__main__":
    for file in files():
        old = file.read_text("utf-8")
        new = rewritten(old, address())
        if new != old:
            file.write_text(new, encoding="utf-8", newline="\n")
            print("changed", file.relative_to(ROOT))
