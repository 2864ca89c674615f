"""How many learners a machine carries: lessons run by one to eight kernels at once.

    .venv/bin/python benchmarks/room.py [--quick]

Each learner is a kernel that runs a lesson from its first cell to its last without a pause, which
no room does: seconds are an upper bound. Writes `room.md`: seconds and peak memory a learner, by
how many there are and how many threads each may use, and what 10, 30 and 50 people need. Lesson 00
and the one that takes the most memory; about fifty minutes on two cores. Linux alone tells peaks.

Every row goes to `room.json` as soon as it is there; the same command goes on with those that are
missing, or starts over if none is.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parent))
from report import add_out, folder, table

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
FIRST, HEAVIEST = "00_prune_your_first_transformer", "03_weights"
LEARNERS, THREADS = (1, 2, 4, 8), (1, 2)
PEOPLE = (10, 30, 50)
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
SPARE = 1.3  # memory: The Littlest JupyterHub's guide advises a fifth to two fifths more
SERVER = 0.25  # GiB for a learner's own Jupyter server, beside the kernel


def learner(lesson: str, threads: int) -> dict:
    """One kernel through one lesson: seconds, GiB."""
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PRUNING_LESSONS_PROGRESS": "off",
    }
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        client = NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": place}})
        client.execute(env=environment)
    seconds = time.perf_counter() - start
    peak = int(notebook.cells[-1].outputs[0].text) / 2**20
    return {"seconds": seconds, "memory": peak}


def together(lesson: str, learners: int, threads: int) -> dict:
    """Medians over learners that start at the same time."""
    with ThreadPoolExecutor(learners) as pool:
        found = list(pool.map(lambda _: learner(lesson, threads), range(learners)))
    return {
        "lesson": lesson,
        "learners": learners,
        "threads": threads,
        "seconds": statistics.median(one["seconds"] for one in found),
        "slowest": max(one["seconds"] for one in found),
        "memory": max(one["memory"] for one in found),
    }


def slower(rows: list[dict]) -> float:
    """Seconds of the room with two threads each, over those with one, at its fullest."""
    most = max(row["learners"] for row in rows)
    total = lambda n: sum(r["seconds"] for r in rows if (r["learners"], r["threads"]) == (most, n))
    return total(2) / total(1)


def page(rows: list[dict], cores: int, today: str) -> str:
    peak = max(row["memory"] for row in rows)
    lines = [
        (r["lesson"][:2], r["learners"], r["threads"], f"{r['seconds']:.0f}", f"{r['slowest']:.0f}")
        + (f"{r['memory']:.2f}",)
        for r in rows
    ]
    head = ("lesson", "learners", "threads each", "seconds, median", "slowest", "GiB, largest")
    need = [
        (people, f"{people * (peak + SERVER) * SPARE:.0f}", people, -(-people // 2))
        for people in PEOPLE
    ]
    return "\n\n".join(
        [
            "# A room on one machine",
            f"Written by `benchmarks/room.py`, {today}, {cores} cores. Every learner runs the "
            "whole lesson at once and without a pause; a room that reads and thinks computes a "
            "small part of the time.",
            table(head, lines),
            "## What a hub needs",
            f"Memory: the largest kernel, {peak:.2f} GiB, and {SERVER} GiB for the learner's "
            f"server, times {SPARE}. Cores: one a learner if all compute at once, half of that "
            "where a lesson's long cells may take twice as long. With most learners, two threads "
            f"each took {slower(rows):.2f} times as long as one: give each kernel one.",
            table(("people", "GiB", "cores, no waiting", "cores, some waiting"), need),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="lesson 00, one and two learners")
    add_out(parser)
    args = parser.parse_args()
    out = folder(args)
    lessons, learners = ((FIRST,), (1, 2)) if args.quick else ((FIRST, HEAVIEST), LEARNERS)
    file = out / "room.json"
    rows = json.loads(file.read_text("utf-8")) if file.exists() else []
    rows = [] if len(rows) == len(lessons) * len(learners) * len(THREADS) else rows
    done = {(row["lesson"], row["learners"], row["threads"]) for row in rows}
    for lesson, n in itertools.product(lessons, learners):
        for threads in THREADS:
            if (lesson, n, threads) not in done:
                rows.append(together(lesson, n, threads))
                print(json.dumps(rows[-1]), flush=True)
                file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
        (out / "room.md").write_text(page(rows, os.cpu_count(), time.strftime("%Y-%m-%d")), "utf-8")


if __name__ == "__main__":
    main()
