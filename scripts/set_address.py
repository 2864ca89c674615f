"""Write the course's public address wherever it is needed: `python scripts/set_address.py`.

It stands in pyproject.toml ([project.urls] Repository); README, CITATION.cff and notebooks take it
from there. As long as it begins with OWNER/ there are no launch links, which would lead nowhere.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOSTS = r"github\.com|colab\.research\.google\.com/github|mybinder\.org/v2/gh"
PLACES = re.compile(rf"(https://(?:{HOSTS})/)[\w.-]+/pruning_lessons\b")
LAUNCH = re.compile(r"(?<=<!-- launch -->\n).*?(?=<!-- end -->)", re.S)
NOT_YET = """Launch links for Binder and Colab stand here once the repository has an address: write
it into `pyproject.toml` (Repository), then run `python scripts/set_address.py` and
`make notebooks LESSONS=--text`.
"""
FIRST = "00_prune_your_first_transformer"


def address() -> str:
    """OWNER/NAME of the repository."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.search(r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+)"', text, re.M)[1]


def is_set(owner_and_name: str) -> bool:
    return not owner_and_name.startswith("OWNER/")


def launch_links(owner_and_name: str, name: str = FIRST) -> str:
    """Of a lesson, in Markdown; empty without an address."""
    if not is_set(owner_and_name):
        return ""
    colab = "https://colab.research.google.com/github/"
    colab += f"{owner_and_name}/blob/main/notebooks/{name}.ipynb"
    binder = (
        f"https://mybinder.org/v2/gh/{owner_and_name}/main?urlpath=lab/tree/notebooks/{name}.ipynb"
    )
    return f"[Open in Colab]({colab}) · [Open in Binder]({binder})\n"


def files() -> list[Path]:
    """Those that are rewritten here; notebooks are made anew."""
    return [ROOT / "README.md", ROOT / "CITATION.cff", ROOT / "pyproject.toml"]


def rewritten(text: str, owner_and_name: str) -> str:
    text = PLACES.sub(rf"\g<1>{owner_and_name}", text)
    return LAUNCH.sub(lambda _: launch_links(owner_and_name) or NOT_YET, text)


if __name__ == "__main__":
    for file in files():
        old = file.read_text("utf-8")
        new = rewritten(old, address())
        if new != old:
            file.write_text(new, encoding="utf-8", newline="\n")
            print("changed", file.relative_to(ROOT))
    print("Now make the notebooks' links: make notebooks LESSONS=--text")
