"""Whether the lessons' claims hold with other seeds: `python scripts/claims.py [NAME …]`.

Runs each solved lesson with `SEED = 0` to `SEED = 4`, so on other sentences and with other dice,
and counts how often each `pl.claim` holds. Writes benchmarks/claims.json, a lesson at a time, and
benchmarks/claims.md from it. A lesson takes five times its computing; those whose code is as it was
are not run again, unless they are named.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

from build_notebooks import NOTEBOOKS, read_source
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent.parent / "benchmarks"
RESULTS, TABLE = HERE / "claims.json", HERE / "claims.md"
HOLDS, DOES_NOT = "✓ ", "✗ Not so here: "
SEEDS = range(5)
# Views, timings on other machines' clocks, and questions claim nothing.
SILENT = re.compile(r"^pl\.(show_heads|show_model|explore|quiz|progress|challenge)\(", re.M)


def with_seed(source: Path, seed: int):
    """The solved notebook with another seed, without what only shows."""
    notebook = read_source(source, solved=True)
    changed = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, n = re.subn(r"^SEED = 0\b", f"SEED = {seed}", cell.source, flags=re.M)
            changed += n
            cell.source = SILENT.sub(r"(lambda *_, **__: None)(", cell.source)
    if changed != 1:
        raise ValueError(f"{source.name}: has {changed} lines `SEED = 0`, must have one")
    return notebook


def claims(notebook) -> dict[str, bool]:
    """What a notebook that was run claims, and whether it is so."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for line in output.get("text", "").splitlines():
                if line.startswith(DOES_NOT):
                    found[line.removeprefix(DOES_NOT)] = False
                elif line.startswith(HOLDS) and "right, on " not in line:
                    found[line.removeprefix(HOLDS)] = True
    return found


def run(source: Path, seed: int) -> dict[str, bool]:
    notebook = with_seed(source, seed)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            return claims(notebook) | {f"runs to its end ({error.ename}: {error.evalue})": False}
    return claims(notebook)


def digest(source: Path) -> str:
    """Of what a lesson computes: its words, comments and docstrings may change."""
    cells = read_source(source, solved=True).cells
    tree = ast.parse("\n".join(c.source for c in cells if c.cell_type == "code"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def table(results: dict) -> str:
    lines = [
        "# What the lessons claim, on other seeds",
        "",
        "Each lesson is run with five seeds: other sentences, other dice. `scripts/claims.py`",
        "makes this table; where fewer are counted, the others have not been run yet. Claims about",
        "time can fail on a busy machine.",
    ]
    for name, result in sorted(results.items()):
        lines += ["", f"## {name}", "", "| claim | holds |", "| --- | --- |"]
        by_seed = result["seeds"].values()
        for claim in dict.fromkeys(claim for found in by_seed for claim in found):
            seen = [found[claim] for found in by_seed if claim in found]
            said = claim.replace("|", r"\|")
            lines.append(f"| {said} | {sum(seen)} of {len(seen)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="how lessons' names begin, as 04; else all")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    os.environ["PRUNING_LESSONS_PROGRESS"] = "off"
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for source in sorted((NOTEBOOKS / "sources").glob("*.py")):
        if options.names and not any(source.stem.startswith(name) for name in options.names):
            continue
        made = digest(source)
        if results.get(source.stem, {}).get("code") != made:
            results[source.stem] = {"code": made, "seeds": {}}
        found = results[source.stem]["seeds"]
        for seed in options.seeds:
            if str(seed) in found and not options.names:
                continue
            found[str(seed)] = run(source, seed)
            broken = [claim for claim, holds in found[str(seed)].items() if not holds]
            print(f"{source.stem}, seed {seed}: {len(found[str(seed)])} claims", flush=True)
            print(*(f"  ✗ {claim}" for claim in broken), sep="\n", flush=True)
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
            TABLE.write_text(table(results), "utf-8")


if __name__ == "__main__":
    main()
