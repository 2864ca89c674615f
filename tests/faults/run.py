"""Tries the faults, and writes README.md: `python tests/faults/run.py`.

--kind TEXT   only kinds with this in their names; the other rows stay as they are
--sample N    about N trials, spread over the kinds, and nothing is written
--only N      the trial of this number, with what it said; nothing is written
"""

import argparse
import gc
import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import controls
import crashes
import damage
import inputs
import machine
import states
import world

PAGE = """# Faults

Tried on the package, one at a time, each in a process of its own, and judged by rule
(`machine.py` says what the columns mean). Made by `make faults`, {date}; a trial comes again with
`python tests/faults/run.py --only NUMBER`.

{table}

| kind | what is done | in |
| --- | --- | --- |
{kinds}

`controls.py` holds functions that are broken on purpose; the machine must judge each of them so, or
the run fails.
"""
README = Path(__file__).with_name("README.md")
KINDS = [*crashes.KINDS, *damage.KINDS, *inputs.KINDS, *states.KINDS]


def plan(kinds: list) -> list[tuple]:
    """(number, kind, place in the kind)."""
    pairs = [(kind, place) for kind in kinds for place in range(kind.trials)]
    return [(number, *pair) for number, pair in enumerate(pairs)]


def known(page: str) -> dict[str, list[int]]:
    """The counts of each kind in a page that was written before."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return {row[0]: list(map(int, row[2:])) for row in rows if all(map(str.isdigit, row[1:]))}


def table(counts: dict[str, list[int]]) -> str:
    """Counted verdicts by kind, and all together."""
    head = ["kind", "tried", *machine.VERDICTS]
    rows = [[name, sum(found), *found] for name, found in counts.items() if sum(found)]
    rows.append(["**all**", *(sum(column) for column in list(zip(*rows))[1:])])
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def meaning(kinds: list) -> str:
    """A row for each kind."""
    said = lambda k: k.what or " ".join((k.make.__doc__ or "").split()).removesuffix(".")
    return "\n".join(f"| {k.name} | {said(k)} | {k.make.__module__}.py |" for k in kinds)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=int)
    parser.add_argument("--kind", default="")
    parser.add_argument("--sample", type=int)
    options = parser.parse_args()
    start, trials = time.time(), plan(KINDS)
    if options.only is not None:
        trials = [trials[options.only]]
    trials = [t for t in trials if options.kind.lower() in t[1].name.lower()]
    if options.sample:
        step = max(1, len(trials) // options.sample)
        trials = trials[step // 2 :: step]
    world.warm()
    failed = controls.failures() if options.only is None else []
    gc.collect()
    gc.freeze()
    for number, kind, place in trials:
        verdict, what, why = machine.run(kind, place, number)
        kind.counts[verdict] += 1
        if verdict != "survived" or options.only is not None:
            print(f"{number} {kind.name} | {what} | {verdict}: {why}", flush=True)
    found = {kind.name: list(kind.counts.values()) for kind in KINDS}
    print(table(found))
    seconds = time.time() - start
    print(f"{len(trials)} trials, {seconds:.0f} s; controls: {failed or 'as they must be'}")
    counts = dict(zip(machine.VERDICTS, map(sum, zip(*found.values()))))
    print(json.dumps({"counts": counts, "controls": failed}))
    if options.only is None and not options.sample:
        before = known(README.read_text("utf-8")) if README.is_file() else {}
        rows = {
            k.name: found[k.name] if sum(found[k.name]) else before.get(k.name, []) for k in KINDS
        }
        page = PAGE.format(table=table(rows), kinds=meaning(KINDS), date=time.strftime("%B %Y"))
        README.write_text(page, "utf-8")
    shutil.rmtree(world.HERE, ignore_errors=True)
    return int(bool(failed or counts["lost"] or counts["silent"] or counts["late"]))


if __name__ == "__main__":
    sys.exit(main())
