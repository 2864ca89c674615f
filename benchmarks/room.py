"""How many learners a machine carries: lessons run by one to eight learners at once.

    .venv/bin/python benchmarks/room.py [--quick]       kernels alone, of lesson 00
    .venv/bin/python benchmarks/room.py --hub           and through a JupyterHub on this machine
    .venv/bin/python benchmarks/room.py --hub https://HUB --out FOLDER     through yours alone

Each learner runs a lesson from its first cell to its last without a pause, which no room does:
seconds are an upper bound. Writes `room.md`: seconds and peak memory a learner, by how many there
are and how many threads each may use, and what 10, 30 and 50 people need. Through a hub also the
lesson that takes the most memory. A hub on this machine needs `pip install jupyterhub` and
`npm install -g configurable-http-proxy`; for yours, JUPYTERHUB_API_TOKEN must hold a token that may
add users, start their servers and use them. Kernels alone take about a quarter of an hour on two
cores, the hub half an hour. Linux alone tells peaks.

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
from contextlib import nullcontext
from pathlib import Path

import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parent))
from hub import Hub, own_hub
from report import add_out, folder, table

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
FIRST, HEAVIEST = "00_prune_your_first_transformer", "03_weights"
LEARNERS, THREADS = (1, 2, 4, 8), (1, 2)
ALONE, HUB = "kernels alone", "JupyterHub"
PEOPLE = (10, 30, 50)
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
SPARE = 1.3  # memory: The Littlest JupyterHub's guide advises a fifth to two fifths more
SERVER = 0.25  # GiB for a learner's own Jupyter server, where no hub has told


def read(lesson: str):
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)


def alone(lesson: str, threads: int) -> dict:
    """One kernel through one lesson: seconds, GiB."""
    notebook = read(lesson)
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


def together(how: str, lesson: str, learners: int, threads: int, hub: Hub | None) -> dict:
    """Medians over learners that start at the same time."""

    def one(number: int) -> dict:
        if how == ALONE:
            return alone(lesson, threads)
        return hub.learner(read(lesson), f"learner{number}")

    with ThreadPoolExecutor(learners) as pool:
        found = list(pool.map(one, range(learners)))
    most = {key: max(it[key] for it in found) for key in ("memory", "server") if key in found[0]}
    return {
        "how": how,
        "lesson": lesson,
        "learners": learners,
        "threads": found[0].get("threads", threads),
        "seconds": statistics.median(it["seconds"] for it in found),
        "slowest": max(it["seconds"] for it in found),
        **most,
    }


def slower(rows: list[dict]) -> str:
    """What two threads each made of the seconds at the fullest, in words."""
    rows = [row for row in rows if row["how"] == ALONE]
    if not rows:
        return ""
    most = max(row["learners"] for row in rows)
    total = lambda n: sum(r["seconds"] for r in rows if (r["learners"], r["threads"]) == (most, n))
    return (
        f" With most learners, two threads each took {total(2) / total(1):.2f} times as long as "
        "one: give each kernel one."
    )


def page(rows: list[dict], cores: int, today: str) -> str:
    peak = max(row["memory"] for row in rows)
    server = max((row["server"] for row in rows if "server" in row), default=SERVER)
    lines = [
        (r["how"], r["lesson"][:2], r["learners"], r["threads"])
        + (f"{r['seconds']:.0f}", f"{r['slowest']:.0f}", f"{r['memory']:.2f}")
        for r in rows
    ]
    head = ("how", "lesson", "learners", "threads each", "seconds, median", "slowest")
    head += ("GiB, largest kernel",)
    need = [
        (people, f"{people * (peak + server) * SPARE:.0f}", people, -(-people // 2))
        for people in PEOPLE
    ]
    return "\n\n".join(
        [
            "# A room on one machine",
            f"Written by `benchmarks/room.py`, {today}, {cores} cores. Every learner runs the "
            "whole lesson at once and without a pause; a room that reads and thinks computes a "
            "small part of the time. Through a hub each has a server of their own, started before "
            "the seconds count.",
            table(head, lines),
            "## What a hub needs",
            f"Memory: the largest kernel, {peak:.2f} GiB, and {server:.2f} GiB for the learner's "
            f"own server, times {SPARE}. Cores: one a learner if all compute at once, half of that "
            f"where a lesson's long cells may take twice as long.{slower(rows)}",
            table(("people", "GiB", "cores, no waiting", "cores, some waiting"), need),
            "",
        ]
    )


def jobs(quick: bool, hub: str | None) -> list[tuple[str, str, int, int]]:
    """How, which lesson, how many learners, how many threads each; `hub` as in `a_hub`."""
    learners = LEARNERS[:2] if quick else LEARNERS
    lessons = (FIRST,) if quick else (FIRST, HEAVIEST)
    alone = itertools.product([ALONE], [FIRST], learners, THREADS)
    through = itertools.product([HUB], lessons, learners, [1])
    return [*([] if hub else alone), *(through if hub is not None else [])]


def missing(todo: list[tuple], rows: list[dict]) -> list[tuple]:
    """The jobs without a row; how many threads a hub gives is the hub's affair."""
    key = lambda how, *job: (how, *(job if how == ALONE else job[:-1]))
    done = {key(row["how"], row["lesson"], row["learners"], row["threads"]) for row in rows}
    return [job for job in todo if key(*job) not in done]


def a_hub(url: str | None):
    """The hub to use, while it lasts. `url` is an address, "" for one of our own, None for none."""
    if url is None:
        return nullcontext()
    return nullcontext(Hub(url, os.environ["JUPYTERHUB_API_TOKEN"])) if url else own_hub()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="lesson 00, one and two learners")
    parser.add_argument("--hub", nargs="?", const="", metavar="URL", help="through a JupyterHub")
    add_out(parser)
    args = parser.parse_args()
    if args.hub and not args.out:
        parser.error("--hub URL needs --out FOLDER, so that the committed rows stay")
    if args.hub and "JUPYTERHUB_API_TOKEN" not in os.environ:
        parser.error("--hub URL needs JUPYTERHUB_API_TOKEN, a token of an admin of that hub")
    out = folder(args)
    file = out / "room.json"
    todo = jobs(args.quick, args.hub)
    rows = json.loads(file.read_text("utf-8")) if file.exists() else []
    if not missing(todo, rows):  # over again, but not what was measured in another way
        rows = [row for row in rows if row["how"] not in {job[0] for job in todo}]
    with a_hub(args.hub) as hub:
        for job in missing(todo, rows):
            rows.append(together(*job, hub))
            print(json.dumps(rows[-1]), flush=True)
            file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    (out / "room.md").write_text(page(rows, os.cpu_count(), time.strftime("%Y-%m-%d")), "utf-8")


if __name__ == "__main__":
    main()
