"""One run of the command, stage by stage: score, cut, repair, distil, choose, export, measure.

A stage's result is JSON, and its models are on disk before it counts as done. So a run that was
killed goes on, and what it gives does not depend on whether it was.
"""

from argparse import Namespace
from collections.abc import Callable
from math import isnan
from pathlib import Path

from safetensors.torch import load_file
from safetensors.torch import save as packed
from tqdm.auto import tqdm

from ..measuring.latency import latency
from ..measuring.size import encoder_macs, summary
from ..models.anatomy import longest
from ..models.checkpoints import load
from ..models.masks import Masks
from ..models.tasks import task_of
from ..pruning.importance import importance
from ..pruning.layers import layer_masks
from ..pruning.repair import repair
from ..pruning.search import greedy_layer_pruning
from ..pruning.selection import select
from ..pruning.surgery import prune
from ..recovery.distillation import distill
from .export import export_onnx, quantize_onnx
from .ruler import TINY, Ruler, better, choose
from .run_state import TIMES, State, write_whole
from .save import save
from .split import calibration_texts

MULTIPLE = 8  # neurons a layer in blocks of so many: odd widths are slow
WHOLE, PRUNED = "whole, PyTorch", "pruned, PyTorch"
FORMS = {  # name: (whose, file)
    "whole, ONNX": ("whole", "model.onnx"),
    "whole, ONNX int8": ("whole", "model-int8.onnx"),
    "pruned, ONNX": ("pruned", "model.onnx"),
    "pruned, ONNX int8": ("pruned", "model-int8.onnx"),
}
INT8 = "pruned, ONNX int8"


def factors(ms: dict[str, float]) -> dict[str, float]:
    """How many times as fast by the runtime, by int8, and by pruning, each alone; what that would
    make together; and what was measured.
    """
    found = {
        "runtime": ms[WHOLE] / ms["whole, ONNX"],
        "int8": ms["whole, ONNX"] / ms["whole, ONNX int8"],
        "pruning": ms["whole, ONNX"] / ms["pruned, ONNX"],
    }
    product = found["runtime"] * found["int8"] * found["pruning"]
    return found | {"product": product, "measured": ms[WHOLE] / ms[INT8]}


class Run:
    """All stages of one run. parts: calibration, validation and test texts that fit the model."""

    def __init__(
        self, options: Namespace, whole, tokenizer, parts: dict, agreement: bool, state: State
    ):
        self.options, self.whole, self.tokenizer, self.state = options, whole, tokenizer, state
        self.out, self.progress, self.agreement = Path(options.out), not options.quiet, agreement
        self.parts, most = parts, longest(whole)
        self.seen, length = calibration_texts(
            parts["calibration"], tokenizer, most, options.calibration, options.seed
        )
        self.length = options.length or length
        size = min(options.batch_size, -(-len(self.seen) // 10))  # repair holds some batches out
        self.batches = list(self.seen.by_length().batches(tokenizer, size, most))
        ruler = lambda name: Ruler(name, parts[name], whole, tokenizer, agreement, options)
        self.rulers = {name: ruler(name) for name in ("validation", "test")}
        stages = 5 + (2 + bool(options.distill)) * len(options.keep) + 2 * options.onnx
        self.bar = tqdm(total=stages, desc="all", unit="stage", disable=options.quiet)

    def go(self) -> dict[str, dict]:
        """The results of all stages, by name."""
        with self.bar:
            whole = self._stage("whole", lambda: self._validate(self.whole))
            if isnan(whole["score"]):
                raise ValueError("TEXTS: the whole model's score is no number: too few labels")
            self._stage("masks", self.masks)
            sizes = [self.one_size(keep) for keep in self.options.keep]
            chosen, held = choose(whole, sizes, self.options.points)
            self._stage("model", lambda: self.keep_model(chosen))
            if self.options.onnx:
                self._stage("whole ONNX", lambda: self.export(self.whole, self.out_of("whole")))
                self._stage("pruned ONNX", lambda: self.export(self.chosen(), self.out_of("serve")))
            self._stage(TIMES, self.milliseconds)
            served = self.served(whole, chosen, held)
            self._stage("test", lambda: self.test(served))
        done = self.state.done
        return {
            "whole": whole,
            "sizes": sizes,
            "chosen": chosen,
            "held": held,
            "served": served,
        } | {
            name: done.get(name)
            for name in ("masks", "model", "whole ONNX", "pruned ONNX", TIMES, "test")
        }

    def _stage(self, name: str, work: Callable[[], dict]) -> dict:
        self.bar.set_postfix_str(name)
        found = self.state.stage(name, work)
        self.bar.update(1)
        return found

    def _validate(self, model, batch_size: int | None = None) -> dict:
        return self.rulers["validation"].measure(model, batch_size)

    def out_of(self, what: str) -> Path:
        """The folder of an export."""
        return self.out / "serve" if what == "serve" else self.state.folder / "whole-onnx"

    def masks(self) -> dict:
        """Which parts each size keeps, written to masks.safetensors; which layers went first."""
        options, base, dropped = self.options, self.whole, []
        if options.drop:
            search = greedy_layer_pruning(
                self.whole,
                self.tokenizer,
                self.seen,
                options.drop,
                resume=self.state.folder / "layers",
                progress=self.progress,
            )
            base, dropped = search.model, search.order
        scores = importance(base, self.batches, "obs", options.seed, self.progress)
        share = encoder_macs(base, self.length) / encoder_macs(self.whole, self.length)
        tensors = {}
        for keep in options.keep:
            masks = select(
                scores,
                base,
                keep_macs=min(1.0, keep / share),
                multiple=MULTIPLE,
                rearrange=False,
                length=self.length,
            )
            masks = layer_masks(self.whole, dropped).then(masks)
            for part in ("heads", "neurons", "layers"):
                tensors[f"{keep:g}.{part}"] = getattr(masks, part)
        write_whole(self.state.folder / "masks.safetensors", packed(tensors))
        return {"dropped": dropped}

    def one_size(self, keep: float) -> dict:
        """The stages of one size, and what they gave."""
        name = f"{keep:g}"
        found = self._stage(f"{name} repaired", lambda: self.repaired(keep))
        tried = {how: found[how] for how in ("cut", "repaired")}
        best, folder = found["best"], f"kept-{name}"
        if self.options.distill:
            distilled = self._stage(f"{name} distilled", lambda: self.distilled(keep, found))
            journal = self.state.folder / f"training-{name}" / "training.safetensors"
            journal.unlink(missing_ok=True)  # Adam's moments: nobody needs them any more
            tried["distilled"] = distilled
            if distilled["better"]:
                best, folder = "distilled", f"kept-{name}-distilled"
        times = self._stage(f"{name} {TIMES}", lambda: self.times_of(folder))
        facts = {fact: found[fact] for fact in ("macs", "parameters", "heads", "neurons")}
        how = {"keep": keep, "how": best, "best": tried[best], "tried": tried, "folder": folder}
        return facts | how | {"ratio": times["ratio"]}

    def repaired(self, keep: float) -> dict:
        """Cut, and repair; the better of both goes to state/kept-…."""
        tensors = load_file(self.state.folder / "masks.safetensors")
        masks = Masks(*(tensors[f"{keep:g}.{part}"] for part in ("heads", "neurons", "layers")))
        cut = prune(self.whole, masks)
        first = self._validate(cut)
        fixed = repair(cut, self.whole, self.batches, progress=self.progress, inputs=True)
        second = self._validate(fixed)
        best, model = ("repaired", fixed) if better(first, second) else ("cut", cut)
        save(model, self.tokenizer, self.state.folder / f"kept-{keep:g}")
        size = summary(model, self.length)
        macs = encoder_macs(model, self.length) / encoder_macs(self.whole, self.length)
        facts = {"macs": macs, "parameters": size.parameters}
        layers = {"heads": size.heads, "neurons": size.neurons}
        return {"cut": first, "repaired": second, "best": best} | facts | layers

    def distilled(self, keep: float, found: dict) -> dict:
        """Distil from the whole model; if that is better, to state/kept-…-distilled."""
        options, name = self.options, f"{keep:g}"
        student, _ = load(self.state.folder / f"kept-{name}", task_of(self.whole).name)
        training = distill(
            student,
            self.whole,
            self.tokenizer,
            self.parts["calibration"],
            epochs=options.distill,
            learning_rate=options.learning_rate,
            batch_size=options.batch_size,
            validation=self.parts["validation"],
            folder=self.state.folder / f"training-{name}",
            seed=options.seed,
            progress=self.progress,
        )
        score = self._validate(student)
        use = better(found[found["best"]], score)
        if use:
            save(student, self.tokenizer, self.state.folder / f"kept-{name}-distilled")
        return score | {"better": use, "losses": training.losses}

    def times_of(self, folder: str) -> dict:
        """How many times as fast as the whole model, in turns with it, in PyTorch."""
        small, _ = load(self.state.folder / folder, task_of(self.whole).name)
        found = self._latency({WHOLE: self.whole, PRUNED: small})
        return {"ratio": found.ratio[PRUNED]}

    def _latency(self, models: dict):
        repeats = self.options.repeats
        return latency(
            models, 1, self.length, self.options.threads, repeats, warm_up=min(10, repeats)
        )

    def keep_model(self, chosen: dict) -> dict:
        """The chosen one goes to model/."""
        model, _ = load(self.state.folder / chosen["folder"], task_of(self.whole).name)
        folder = save(model, self.tokenizer, self.out / "model")
        return {"bytes": (folder / "model.safetensors").stat().st_size}

    def chosen(self):
        return load(self.out / "model", task_of(self.whole).name)[0]

    def export(self, model, folder: Path) -> dict:
        """Two ONNX models, and their scores on validation; int8 as it is timed: a text at a time,
        for the texts of a run share a scale.
        """
        quantize_onnx(export_onnx(model, self.tokenizer, folder))
        float32, int8 = (self._onnx(folder, quantized) for quantized in (False, True))
        size = lambda name: sum(f.stat().st_size for f in folder.glob(f"{name}*"))
        return {
            "model.onnx": self._validate(float32) | {"bytes": size("model.onnx")},
            "model-int8.onnx": self._validate(int8, 1) | {"bytes": size("model-int8.onnx")},
        }

    def _onnx(self, folder: Path, quantized: bool):
        from .onnx_model import OnnxModel

        return OnnxModel(folder, quantized, self.options.threads)

    def milliseconds(self) -> dict:
        """All forms in turns, one text a time."""
        models = {WHOLE: self.whole, PRUNED: self.chosen()}
        if self.options.onnx:
            for name, (whose, file) in FORMS.items():
                folder = self.out_of("whole" if whose == "whole" else "serve")
                models[name] = self._onnx(folder, "int8" in file)
        found = self._latency(models)
        return {"median": found.median, "quartiles": found.quartiles, "setting": found.setting}

    def served(self, whole: dict, chosen: dict, held: bool) -> str:
        """The form to serve: int8, if that loses no more than allowed too; else float32."""
        if not self.options.onnx:
            return PRUNED
        base = whole if held else chosen["best"]
        score = self.state.done["pruned ONNX"]["model-int8.onnx"]["score"]
        holds = score >= base["score"] - self.options.points / 100 - TINY
        return INT8 if holds else "pruned, ONNX"

    def test(self, served: str) -> dict:
        """The only look at the test texts: the whole model's score, and that of what is served."""
        ruler = self.rulers["test"]
        if served == PRUNED:
            last = ruler.measure(self.chosen())
        else:
            int8 = served == INT8
            last = ruler.measure(self._onnx(self.out_of("serve"), int8), 1 if int8 else None)
        return {"whole": ruler.measure(self.whole), "served": last}
