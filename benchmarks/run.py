"""Measure what `compress` keeps, on two tasks, and what others keep of the same model.

    .venv/bin/python benchmarks/run.py [--quick] [--device cuda] [--parts front peers embedder cost]

On two cores about three hours, most of it search (the thorough setting) and K-prune; what is kept
does not depend on the device, so a GPU may measure it, in minutes. Seconds (the part cost) are
always the processor's. Every row is written as soon as it is there, to `unfinished.json`, and a run
that was interrupted goes on from it, on whatever device; `--fresh` starts over (as one must after a
change of the package). What is complete becomes `results.json`, and `report.py` makes README.md of
it.

Every method has the same calibration sentences and is measured on the same test sentences. A peer
that cannot run here keeps the rows of the last `results.json`, with their date.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

import pruning_lessons as pl

sys.path.insert(0, str(Path(__file__).parent))
import peers
import report
import trials

HERE = Path(__file__).parent
FAST, THOROUGH = report.FAST, report.THOROUGH
BUDGETS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15)
PEER_BUDGETS = (0.5, 0.33, 0.25, 0.15)  # with every draw, and with peers beside
EMBEDDER_BUDGETS = (0.5, 0.33)
DRAWS = 3
CALIBRATION = 2048
ZERO_SHOT = 1500  # sentences; the test set is used whole
COST_BUDGET = 0.33  # where the peers are timed
PARTS = ("front", "peers", "embedder", "cost")
Job = tuple[str, str, float, int]  # task, method, budget, draw


class Intents(trials.Intents):
    """The classifier, measured sentence by sentence."""

    name = "intents"

    def __init__(self, limit: int | None, device: str):
        super().__init__(limit, device)
        self.sets["zero-shot"] = pl.load_intents("zero_shot", limit=limit or ZERO_SHOT)
        self.sets = {kind: data.by_length() for kind, data in self.sets.items()}
        self.whole = self.right(self.model.eval())

    @torch.inference_mode()
    def right(self, model) -> dict[str, torch.Tensor]:
        """For each set, whether the answer is right: 0.0 or 1.0, (sentences,)."""
        found = {}
        for kind, data in self.sets.items():
            batches = data.batches(self.tokenizer, 64)
            right = [pl.outputs(model, b).argmax(-1).cpu() == b["labels"] for b in batches]
            found[kind] = torch.cat(right).float()
        return found

    def measured(self, right: dict[str, torch.Tensor]) -> dict:
        """Scores, shares kept and their standard errors, from differences sentence by sentence."""
        found = {"score": {}, "kept": {}, "error": {}, "by language": {}}
        for kind, own in right.items():
            whole = self.whole[kind]
            found["score"][kind] = own.mean().item()
            found["kept"][kind] = (own.mean() / whole.mean()).item()
            error = (own - whole).std() / len(own) ** 0.5 / whole.mean()
            found["error"][kind] = error.item()
            languages = self.sets[kind].languages
            for language in sorted(set(languages)):
                its = torch.tensor([one == language for one in languages])
                found["by language"][language] = own[its].mean().item()
        return found

    def measure(self, model) -> dict:
        return self.measured(self.right(model.eval()))


class Embedder(trials.Embedder):
    """The embedder, measured by retrieval."""

    name = "embedder"

    def __init__(self, limit: int | None, device: str):
        super().__init__(limit, device)
        if limit:
            thin = lambda data: data.subset(list(range(0, len(data), len(data) // limit + 1)))
            self.sets = {kind: thin(data) for kind, data in self.sets.items()}
        self.whole = None
        self.whole = self.measure(self.model.eval())["score"]

    def measure(self, model) -> dict:
        """Retrieval, shares kept and the standard errors of a share of so many pairs."""
        found = {"score": {}, "kept": {}, "error": {}, "by language": {}}
        for kind, data in self.sets.items():
            result = pl.evaluate(model.eval(), self.tokenizer, data)
            whole = self.whole[kind] if self.whole else result.score
            found["score"][kind] = result.score
            found["kept"][kind] = result.score / whole
            error = (result.score * (1 - result.score) / len(data)) ** 0.5
            found["error"][kind] = error / whole
            found["by language"] |= result.by_language
        return found


class Bench:
    """A task, and what is computed once for each draw of calibration sentences."""

    def __init__(self, task: Intents | Embedder, limit: int | None):
        self.task, self.limit = task, max(limit, 128) if limit else CALIBRATION
        self.drawn: dict[int, peers.Calibration] = {}

    def given(self, draw: int) -> peers.Calibration:
        if draw not in self.drawn:
            data = self.task.calibration(draw, self.limit)
            batches = list(data.by_length().batches(self.task.tokenizer))
            model = self.task.model
            self.seconds, scored = {}, {}
            for way in ("fisher", "obs"):
                score = lambda: pl.importance(model, batches, way, seed=draw)
                scored[way], self.seconds[way] = timed(score, time.process_time)
            self.drawn = {draw: peers.Calibration(model, data, batches, scored)}
        return self.drawn[draw]

    def compress(self, given: peers.Calibration, keep: float, effort: str):
        tokenizer, scores = self.task.tokenizer, given.scored["obs"]
        once = dict(keep_macs=keep, effort=effort, scores=scores)
        return pl.compress(given.model, tokenizer, given.batches, **once)

    def make(self, given: peers.Calibration, method: str, keep: float):
        efforts = {FAST: "fast", THOROUGH: "thorough"}
        if method in efforts:
            return self.compress(given, keep, efforts[method])
        return peers.PEERS[method](given, keep)

    def cost(self, method: str, keep: float) -> float:
        """Seconds of the processor, for making the model and the scores it uses: on two quiet cores
        about twice what a clock says, and the same on busy ones.
        """
        given = self.given(0)
        _, seconds = timed(lambda: self.make(given, method, keep), time.process_time)
        ways = ["obs"] * (method in (FAST, THOROUGH)) + ["fisher"] * (method in peers.BY_SCORES)
        return seconds + sum(self.seconds[way] for way in ways)

    def row(self, job: Job, python: Path) -> dict:
        """One measurement."""
        _, method, keep, draw = job
        given, start = self.given(draw), time.perf_counter()
        found = {"method": method, "keep": keep, "draw": draw, "n": len(given.data)}
        if method == peers.TEXT_PRUNER:
            found |= peers.text_pruner(given, keep, self.task.sets, python)
            right = found.pop("right", {})
            right = {kind: torch.tensor(own).float() for kind, own in right.items()}
            found |= self.task.measured(right)
        else:
            small = self.make(given, method, keep)
            found["macs"] = pl.encoder_macs(small) / pl.encoder_macs(given.model)
            found |= self.task.measure(small)
        took = time.perf_counter() - start
        return found | {"task": self.task.name, "took": took, **here(given.model)}


def timed(function: Callable, clock: Callable[[], float] = time.perf_counter) -> tuple:
    start = clock()
    return function(), clock() - start


def here(model) -> dict[str, str]:
    """When and with what something was measured."""
    device = next(model.parameters()).device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    version = torch.__version__.split("+")[0]
    return {"date": time.strftime("%Y-%m-%d"), "torch": version, "device": name}


def scoring_cost(bench: Bench, rounds: int = 3) -> dict:
    """Seconds to score everything, over those of a plain forward and backward pass, in turns."""
    given, times = bench.given(0), {"plain": [], "scores": []}
    model, batches = given.model, given.batches[::3]

    def plain() -> None:
        for batch in batches:
            inputs = {k: batch[k] for k in ("input_ids", "attention_mask", "labels")}
            model(**inputs).loss.backward()
        model.zero_grad(set_to_none=True)

    for _ in range(rounds + 1):
        times["plain"].append(timed(plain)[1])
        times["scores"].append(timed(lambda: pl.importance(model, batches, "fisher"))[1])
    plain_seconds, seconds = (statistics.median(found[1:]) for found in times.values())
    ratio = seconds / plain_seconds
    return {"plain seconds": plain_seconds, "score seconds": seconds, "ratio": ratio}


def plan(quick: bool, draws: int) -> dict[str, list[Job]]:
    """What is measured, by part, in order."""
    budgets, with_peers, embedders = BUDGETS, PEER_BUDGETS, EMBEDDER_BUDGETS
    efforts = (FAST, THOROUGH)
    if quick:  # the search takes as long with few sentences, so once must do
        budgets, with_peers, embedders, efforts = (0.5, 0.25), (0.25,), (0.5,), (FAST,)
    # draw by draw, so that each is scored once
    front = [
        ("intents", method, keep, draw)
        for draw in range(draws)
        for method in efforts
        for keep in (with_peers if draw or method == THOROUGH else budgets)
    ]
    front += [("intents", THOROUGH, keep, 0) for keep in with_peers if quick]
    beside = [
        ("intents", method, keep, 0)
        for method in (*peers.PEERS, peers.TEXT_PRUNER)
        for keep in with_peers
    ]
    embedder = [
        ("embedder", method, keep, draw)
        for draw in range(draws)
        for method in efforts
        for keep in embedders
    ]
    return {"front": front, "peers": beside, "embedder": embedder, "cost": []}


def costs(quick: bool, missing: set[str]) -> list[tuple[str, float]]:
    """Whose seconds are taken, and at which budgets."""
    methods = [FAST] if quick else [FAST, THOROUGH, *peers.PEERS]
    return [(method, COST_BUDGET) for method in methods if method not in missing]


class Run:
    """The measurements of a folder: those that are there, and those to come."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.benches = args, {}
        self.unfinished = args.out / "unfinished.json"
        setting = {"threads": args.threads, "limit": args.limit}
        self.results = {"setting": setting, "whole": {}, "rows": [], "seconds": {}}
        if self.unfinished.exists() and not args.fresh:
            known = json.loads(self.unfinished.read_text("utf-8"))
            if known["setting"] == setting:
                print(f"{len(known['rows'])} rows are there already", flush=True)
                self.results = known
            else:
                print("unfinished.json is of another setting: starting over", flush=True)

    def bench(self, name: str, device: str) -> Bench:
        if (name, device) not in self.benches:
            task = {"intents": Intents, "embedder": Embedder}[name](self.args.limit, device)
            self.benches = {(name, device): Bench(task, self.args.limit)}
            whole = task.measure(task.model)
            asked = {kind: len(data) for kind, data in task.sets.items()}
            self.results["whole"][name] = whole | {"n": asked}
            print(name, "whole:", whole["score"], flush=True)
        return self.benches[name, device]

    def done(self) -> set[Job]:
        return {job_of(row) for row in self.results["rows"]}

    def go(self) -> None:
        jobs = plan(self.args.quick, self.args.draws)
        missing = peers.missing(self.args.textpruner)
        for part in self.args.parts:
            for job in jobs[part]:
                if job not in self.done() and job[1] not in missing:
                    row = self.bench(job[0], self.args.device).row(job, self.args.textpruner)
                    self.results["rows"].append(row)
                    self.save(row)
            if part == "cost":
                self.cost(missing)
        left = {job for own in jobs.values() for job in own if job[1] not in missing} - self.done()
        if left or "scoring" not in self.results:
            print(f"{len(left)} rows are left: {self.unfinished} has what is there", flush=True)
        else:
            self.finish(missing)

    def cost(self, missing: set[str]) -> None:
        """Seconds of the processor, also where the rows are a GPU's."""
        for method, keep in costs(self.args.quick, missing):
            known = self.results["seconds"].setdefault(method, {})
            if str(keep) not in known:
                known[str(keep)] = self.bench("intents", "cpu").cost(method, keep)
                self.save({"method": method, "keep": keep, "seconds": known[str(keep)]})
        if "scoring" not in self.results:
            self.results["scoring"] = scoring_cost(self.bench("intents", "cpu"))
            self.save(self.results["scoring"])

    def save(self, newest: dict) -> None:
        shown = {k: v for k, v in newest.items() if k not in ("by language", "took")}
        print(json.dumps(shown), flush=True)
        write(self.unfinished, self.results)

    def finish(self, missing: set[str]) -> None:
        """`results.json` and its page; rows of peers that are missing come from the last one."""
        file = self.args.out / "results.json"
        last = file if file.exists() else HERE / "results.json"
        there = self.done()
        for row in json.loads(last.read_text("utf-8"))["rows"] if last.exists() else []:
            if row["method"] in missing and job_of(row) not in there:
                self.results["rows"].append(row | {"carried": True})
        write(file, self.results)
        self.unfinished.unlink()
        report.write(self.args.out)
        print(f"{file} and its README.md are written", flush=True)


def job_of(row: dict) -> Job:
    return row["task"], row["method"], row["keep"], row["draw"]


def write(file: Path, results: dict) -> None:
    """All of it or nothing: an interruption leaves the file before."""
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="64 sentences, few budgets, one search"
    )
    parser.add_argument("--limit", type=int, help="so many sentences of each test set")
    parser.add_argument("--draws", type=int, help=f"of calibration sentences, {DRAWS} if left out")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--fresh", action="store_true", help="do not go on from unfinished.json")
    parser.add_argument(
        "--textpruner", type=Path, default=peers.TEXT_PRUNER_PYTHON, metavar="PYTHON"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="for what is kept, as cuda; seconds: cpu")
    report.add_out(parser)
    args = parser.parse_args()
    args.out = report.folder(args)
    args.limit = args.limit or (64 if args.quick else None)
    args.draws = args.draws or (2 if args.quick else DRAWS)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    Run(args).go()


if __name__ == "__main__":
    main()
