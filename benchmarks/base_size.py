"""The whole line at XLM-R-base's size, stage by stage: seconds, and the most memory each takes.

    .venv/bin/python benchmarks/base_size.py [--quick] [--only STAGE …] [--folder FOLDER]

A classifier of 12 layers × 768 with XLM-R's 250,002 pieces and random weights is made by plain
transformers, then loaded, scored, cut, repaired, saved, exported and quantised, each stage in a
process of its own and with one thread; then the same by the command, and by two processes under
torchrun. Writes `base_size.md` beside this file: a quarter of an hour. --quick: a small model, to
try the script; nothing is written but the table on the screen.
"""

import argparse
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIECES = 250_002
BASE = dict(vocab_size=PIECES, hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
BASE |= dict(intermediate_size=3072)
QUICK = dict(vocab_size=19_500, hidden_size=48, num_hidden_layers=2, num_attention_heads=4)
QUICK |= dict(intermediate_size=96)
LANGUAGES = ["en", "de", "fr", "ru"]
KEEP, LENGTH = 0.3, 24  # share of the encoder's MACs, tokens
SCORED, CALIBRATION, ANSWERED, TEXTS, TRAINED = 64, 64, 16, 120, 16  # sentences
EPOCHS = 3  # of one step each, in the training of two processes
LIMIT = 6.0  # GiB
LESSON = "10_your_own_model.py"
LESSON_SETTINGS = {"TRY": f"((0, {KEEP}),)", "EPOCHS": 0, "CALIBRATION": 40, "THREADS": 1}
WORKERS = 2
NUMBERS = ("cpu", "seconds", "meanwhile", "peak")


@dataclass
class Measured:
    """What one stage took: its own seconds, by the CPU's count and by the clock, without what it
    had to load before; the most memory that its process held meanwhile, and over all (GiB,
    everything counted); what it found.
    """

    cpu: float = 0.0
    seconds: float = 0.0
    meanwhile: float = 0.0
    peak: float = 0.0
    found: str = ""


class Stages:
    """One function a stage; each gets its input from files of the stages before."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.measured = Measured()

    @contextmanager
    def timed(self):
        mine = self.measured
        mine.peak = max(mine.peak, own_peak())
        forget_peak()
        start, cpu = time.perf_counter(), time.process_time()
        yield
        mine.cpu += time.process_time() - cpu
        mine.seconds += time.perf_counter() - start
        mine.meanwhile = max(mine.meanwhile, own_peak())

    def run(self, name: str) -> Measured:
        self.measured.found = getattr(self, name)()
        self.measured.peak = max(self.measured.peak, own_peak())
        return self.measured

    # --- what they read and write ---

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    def loaded(self, name: str = "checkpoint"):
        import pruning_lessons as pl

        return pl.load(self.folder / name)

    def sentences(self, n: int, split: str = "train"):
        import pruning_lessons as pl

        return pl.load_intents(split, LANGUAGES, limit=n)

    def batches(self, tokenizer, n: int) -> list[dict]:
        return list(self.sentences(n).by_length().batches(tokenizer, 8))

    def tensors(self, name: str, **tensors) -> dict:
        """Write tensors to a file; without any, read them."""
        from safetensors.torch import load_file, save_file

        file = self.folder / f"{name}.safetensors"
        return save_file(tensors, file) if tensors else load_file(file)

    def logits(self, model, tokenizer):
        import torch

        import pruning_lessons as pl

        batch = next(self.sentences(ANSWERED, "test").batches(tokenizer, ANSWERED))
        with torch.inference_mode():
            return pl.outputs(model, batch)

    # --- the line ---

    def load(self) -> str:
        with self.timed():
            model, tokenizer = self.loaded()
        return f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters"

    def evaluate(self) -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded()
        data = self.sentences(SCORED, "test")
        with self.timed():
            pl.evaluate(model, tokenizer, data)
        return f"{SCORED} sentences"

    def importance(self) -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded()
        batches = self.batches(tokenizer, CALIBRATION)
        with self.timed():
            scores = pl.importance(model, batches)
        examples = dict(zip(("each_head", "each_neuron"), scores.gradients))
        self.tensors("scores", heads=scores.heads, neurons=scores.neurons, **examples)
        return f"{CALIBRATION} sentences, batches of 8"

    def select_and_prune(self) -> str:
        import torch

        import pruning_lessons as pl

        model, _ = self.loaded()
        found = self.tensors("scores")
        layers = torch.ones(len(found["heads"]))
        each = found["each_head"], found["each_neuron"]
        scores = pl.Scores(found["heads"], found["neurons"], layers, "fisher", each)
        with self.timed():
            masks = pl.select(
                scores, model, keep_macs=KEEP, length=LENGTH, multiple=8, rearrange=False
            )
            small = pl.prune(model, masks)
        self.tensors("masks", **vars(masks))
        share = pl.encoder_macs(small, LENGTH) / pl.encoder_macs(model, LENGTH)
        return f"{share:.0%} of the encoder's MACs"

    def repair(self) -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded()
        small = pl.prune(model, pl.Masks(**self.tensors("masks")))
        batches = self.batches(tokenizer, CALIBRATION)
        with self.timed():
            fixed = pl.repair(small, model, batches)
        pl.save(fixed, tokenizer, self.folder / "repaired")
        return f"{CALIBRATION} sentences, batches of 8"

    def prune_vocabulary(self) -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded("repaired")
        texts = self.sentences(20_000).sentences
        with self.timed():
            small, words = pl.prune_vocabulary(model, tokenizer, texts)
        pl.save(small, words, self.folder / "small")
        return f"{len(tokenizer):,} pieces to {len(words):,}"

    def save(self) -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded("repaired")
        with self.timed():
            pl.save(model, tokenizer, self.folder / "saved")
        self.tensors("answers", logits=self.logits(model, tokenizer))
        return f"{size(self.folder / 'saved'):.2f} GB, the whole vocabulary in it"

    def reload(self) -> str:
        import torch

        with self.timed():
            model, tokenizer = self.loaded("saved")
        same = torch.equal(self.logits(model, tokenizer), self.tensors("answers")["logits"])
        return "the same answers, bit for bit" if same else "OTHER ANSWERS"

    def export_onnx(self, name: str = "checkpoint") -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded(name)
        with self.timed():
            pl.export_onnx(model, tokenizer, self.folder / f"onnx-{name}")
        return f"{size(self.folder / f'onnx-{name}', 'model.onnx*'):.2f} GB"

    def quantize_onnx(self, name: str = "checkpoint") -> str:
        import pruning_lessons as pl

        with self.timed():
            pl.quantize_onnx(self.folder / f"onnx-{name}")
        return f"{size(self.folder / f'onnx-{name}', 'model-int8*'):.2f} GB"

    def answers(self, name: str = "checkpoint") -> str:
        import pruning_lessons as pl

        model, tokenizer = self.loaded(name)
        wanted = self.logits(model, tokenizer).numpy()
        del model
        errors, sentences = {}, self.sentences(ANSWERED, "test").sentences
        for form in ("float32", "int8"):
            served = pl.OnnxModel(self.folder / f"onnx-{name}", form == "int8", threads=1)
            with self.timed():
                errors[form] = abs(served.logits(sentences) - wanted)
        if errors["float32"].max() > 1e-4:
            return f"OTHER ANSWERS: logits differ by {errors['float32'].max():.1e}"
        return (
            f"{ANSWERED} sentences: logits differ by {errors['float32'].max():.0e} at most, "
            f"int8's by {errors['int8'].mean():.0e} on average"
        )

    def export_small(self) -> str:
        return self.export_onnx("small")

    def quantize_small(self) -> str:
        return self.quantize_onnx("small")

    def answers_small(self) -> str:
        return self.answers("small")

    # --- the last lesson ---

    def lesson(self) -> str:
        """Lesson 10 as someone runs it who has changed its settings, in a kernel."""
        from nbclient import NotebookClient

        write_texts(self.folder)
        notebook = changed_lesson(self.folder)
        there = {"metadata": {"path": str(self.folder)}}
        with self.timed():
            NotebookClient(notebook, timeout=1200, resources=there).execute()
        cpu, most = map(float, notebook.cells[-1].outputs[0].text.split())
        own = self.measured
        own.cpu, own.meanwhile, own.peak = cpu, gibibytes(most), gibibytes(most)
        slowest, source = max(
            (seconds(c), c.source) for c in notebook.cells if c.cell_type == "code"
        )
        first = source.splitlines()[0][:40]
        return f"{TEXTS} texts, one budget; the slowest cell, `{first}…`: {slowest:.0f} s"

    # --- two processes ---

    def one_process(self) -> str:
        self.train("one", 2 * (TRAINED // WORKERS))
        return f"{TRAINED} sentences scored, then {EPOCHS} steps with all of them"

    def train(self, name: str, batch_size: int) -> None:
        """Scores, then a few steps of training; both go to a file."""
        import torch

        import pruning_lessons as pl

        model, tokenizer = self.loaded()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # one process and two would draw other numbers
        data = self.sentences(TRAINED)
        with self.timed():
            scores = pl.importance(model, data.batches(tokenizer, 8))
            pl.fine_tune(model, tokenizer, data, EPOCHS, batch_size=batch_size, progress=False)
        state = model.base_model.encoder.state_dict()
        self.tensors(f"trained-{name}", heads=scores.heads, neurons=scores.neurons, **state)

    def worker(self) -> str:
        """One of the processes under torchrun."""
        rank = os.environ["RANK"]
        self.train(rank, TRAINED // WORKERS)
        self.measured.peak = max(self.measured.peak, own_peak())
        (self.folder / f"worker-{rank}.json").write_text(json.dumps(asdict(self.measured)))
        return ""

    def compared(self) -> str:
        """How far the two processes are from one, relative to what training changed."""
        first = self.tensors("trained-one")
        before = self.loaded()[0].base_model.encoder.state_dict()
        for name in ("0", "1"):
            other = self.tensors(f"trained-{name}")
            for part in ("heads", "neurons"):
                if (other[part] - first[part]).abs().max() > 1e-5 * first[part].abs().max():
                    return f"OTHER SCORES of {part} in process {name}"
            if name == "1" and any((other[k] != self.tensors("trained-0")[k]).any() for k in other):
                return "OTHER WEIGHTS in the two processes"
        step = sum((first[k] - before[k]).square().sum() for k in before).sqrt()
        apart = sum((first[k] - other[k]).square().sum() for k in before).sqrt()
        most = max((first[k] - other[k]).abs().max() for k in before)
        return (
            f"the same weights in both, scores as in one process; from one process's weights they "
            f"differ by {apart / step:.0e} of what training changed, by {most:.0e} at most"
        )


LINE = [
    "load",
    "evaluate",
    "importance",
    "select_and_prune",
    "repair",
    "prune_vocabulary",
    "save",
    "reload",
    "export_onnx",
    "quantize_onnx",
    "answers",
    "export_small",
    "quantize_small",
    "answers_small",
]
NAMES = {
    "select_and_prune": "select, prune",
    "export_onnx": "export_onnx, nothing pruned",
    "quantize_onnx": "quantize_onnx, nothing pruned",
    "answers": "OnnxModel, nothing pruned",
    "export_small": "export_onnx, pruned, its vocabulary too",
    "quantize_small": "quantize_onnx, pruned",
    "answers_small": "OnnxModel, pruned",
    "command": "`python -m pruning_lessons`, all of it",
    "lesson": "lesson 10, all of it",
    "one_process": "importance, fine_tune: one process",
    "torchrun": "importance, fine_tune: torchrun, each of two",
}


def size(folder: Path, pattern: str = "model*") -> float:
    """GB of these files."""
    return sum(file.stat().st_size for file in folder.glob(pattern)) / 1e9


def seconds(cell) -> float:
    """How long a cell ran."""
    times = cell.metadata["execution"]
    start, end = (
        datetime.fromisoformat(times[name].replace("Z", "+00:00"))
        for name in ("iopub.execute_input", "shell.execute_reply")
    )
    return (end - start).total_seconds()


def own_peak() -> float:
    """The most memory that this process has held since `forget_peak`, GiB."""
    with suppress(OSError):
        rows = dict(row.split(":") for row in Path("/proc/self/status").read_text().splitlines())
        return int(rows["VmHWM"].split()[0]) / 2**20
    return gibibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def forget_peak() -> None:
    """Begin anew with the most memory held; only Linux can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def gibibytes(maxrss: int) -> float:
    return maxrss / (2**30 if sys.platform == "darwin" else 2**20)


# --- the checkpoint ---


def make(folder: Path, proportions: dict) -> None:
    """A checkpoint as the hub has XLM-R's classifiers, weights drawn with a fixed seed."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    import pruning_lessons as pl

    labels = pl.load_intents("test", limit=1).label_names
    names = dict(
        id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)}
    )
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        **proportions | names,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        initializer_range=0.05,  # so that answers differ
    )
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    make_tokenizer(folder, proportions["vocab_size"])


def make_tokenizer(folder: Path, pieces: int) -> None:
    """The course's tokenizer, with pieces that no text has, before its last one, <mask>."""
    import pruning_lessons as pl

    spec = json.loads((pl.EMBEDDED / "tokenizer.json").read_text("utf-8"))
    words = spec["model"]["vocab"]
    lowest = min(score for _, score in words)
    mask = words.pop()
    words += [[f"▁unused{i}", lowest] for i in range(pieces - len(words) - 1)]
    words.append(mask)
    next(t for t in spec["added_tokens"] if t["content"] == mask[0])["id"] = pieces - 1
    text = json.dumps(spec, ensure_ascii=False)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    settings = (pl.EMBEDDED / "tokenizer_config.json").read_text("utf-8")
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8")


def write_texts(folder: Path) -> Path:
    """A table of texts and labels, as a user has one."""
    import pruning_lessons as pl

    data = pl.load_intents("test", LANGUAGES, limit=TEXTS)
    with open(folder / "texts.csv", "w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["text", "label", "language"])
        names = [data.label_names[label] for label in data.labels]
        out.writerows(zip(data.sentences, names, data.languages))
    return folder / "texts.csv"


def changed_lesson(folder: Path):
    """The lesson with this folder's texts and model, one budget, and a last cell: what it took."""
    import nbformat

    sys.path.insert(0, str(HERE.parent / "scripts"))
    from build_notebooks import read_source

    notebook = read_source(HERE.parent / "notebooks" / "sources" / LESSON, solved=True)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    has = lambda text: next(cell for cell in code if text in cell.source)
    has("import csv").source = f"folder = Path({str(folder)!r})"  # in place of its own texts
    notebook.cells.remove(has("def stand_in"))  # and of its own model
    settings = has("CHECKPOINT = ")
    for name, value in LESSON_SETTINGS.items():
        line = re.compile(rf"^{name} = [^#\n]*", re.MULTILINE)
        settings.source, found = line.subn(f"{name} = {value}  ", settings.source)
        if not found:
            raise ValueError(f"{LESSON}: has no setting {name}")
    told = (
        "import resource, time\n"
        "usage = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(time.process_time(), usage.ru_maxrss)"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(told))
    return notebook


# --- each in a process of its own ---


def run(command: list[str], environment: dict | None = None) -> Measured:
    """Run a command to its end: seconds and peak of its process, its last line."""
    alone = dict(
        OMP_NUM_THREADS="1",
        OMP_WAIT_POLICY="PASSIVE",
        HF_HUB_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
    )
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, env=os.environ | alone | (environment or {}), stdout=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        lines = output.read().strip().splitlines()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - start
    peak = gibibytes(usage.ru_maxrss)
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(cpu, seconds, peak, peak, lines[-1] if lines else "")


def script(stage: str, folder: Path) -> list[str]:
    return [sys.executable, str(HERE / "base_size.py"), "--stage", stage, "--folder", str(folder)]


def stage(name: str, folder: Path) -> Measured:
    """Run one stage of `Stages`."""
    return Measured(**json.loads(run(script(name, folder)).found))


def command(folder: Path) -> Measured:
    """The command with the whole vocabulary, from checkpoint and table to the folder to serve."""
    run(script("texts", folder))
    measured = run(
        [sys.executable, "-m", "pruning_lessons", str(folder / "checkpoint")]
        + [str(folder / "texts.csv"), "--language", "language", "--keep", str(KEEP)]
        + ["--threads", "1", "--repeats", "3", "--batch-size", "16", "--calibration", "40"]
        + ["--fresh", "--quiet", "--out", str(folder / "out")]
    )
    measured.found = f"{TEXTS} texts, --keep {KEEP}, 3 repeats"
    return measured


def torchrun(folder: Path) -> Measured:
    """Scores and training in two processes, held against one: see `Stages.compared`."""
    launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={WORKERS}"]
    launcher += ["--local-addr=127.0.0.1", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    loopback = "lo" if sys.platform == "linux" else "lo0"
    run(launcher + script("worker", folder)[1:], {"GLOO_SOCKET_IFNAME": loopback})
    workers = [
        Measured(**json.loads((folder / f"worker-{i}.json").read_text())) for i in range(WORKERS)
    ]
    most = {name: max(getattr(w, name) for w in workers) for name in NUMBERS}
    return Measured(**most, found=stage("compared", folder).found)


def tables(folder: Path, only: list[str] | None) -> dict[str, Measured]:
    """All stages, or some, in order."""
    whole: dict[str, Callable] = {name: lambda name=name: stage(name, folder) for name in LINE}
    whole["command"] = lambda: command(folder)
    whole["lesson"] = lambda: stage("lesson", folder)
    whole["one_process"] = lambda: stage("one_process", folder)
    whole["torchrun"] = lambda: torchrun(folder)
    found = {}
    for name, work in whole.items():
        if only is None or name in only:
            found[name] = work()
            print(row(name, found[name]), flush=True)
    return found


def row(name: str, m: Measured) -> str:
    numbers = f"{m.cpu:.1f} | {m.seconds:.1f} | {m.meanwhile:.2f} | {m.peak:.2f}"
    return f"| {NAMES.get(name, name)} | {numbers} | {m.found} |"


def page(found: dict[str, Measured]) -> str:
    import torch
    import transformers

    most = max(m.peak for m in found.values())
    rows = "\n".join(row(name, m) for name, m in found.items())
    versions = (
        f"torch {torch.__version__.partition('+')[0]}, transformers {transformers.__version__}"
    )
    return f"""# The line at XLM-R-base's size

Made by `python benchmarks/base_size.py`: a classifier of 12 layers × 768 with 250,002 pieces
(278 M parameters, 1.1 GB) and random weights; one thread, no accelerator, {versions}.

Each stage is a process of its own. Seconds are the stage's, without loading its input: those of
the CPU, and those by the clock, which are more where the machine had other work or its disk was
waited for. Memory is all that the process held, Python and its libraries (0.4 GiB) and files mapped
into memory included: the most during the stage, and the most over all, which is often the loading
before it. The largest is {most:.1f} GiB; the aim is to stay under {LIMIT:.0f}.

| stage | CPU s | s | GiB meanwhile | GiB over all | |
| --- | ---: | ---: | ---: | ---: | --- |
{rows}

Sentences are the course's intents in {len(LANGUAGES)} languages, of up to {LENGTH} tokens or so.
Where gradients are hardly larger than rounding (queries and keys of a random model's last layers),
Adam makes steps of them all the same: there two processes and one differ most. (The difference was
found there; that this is its cause was not tested.)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="try the script with a small model")
    parser.add_argument("--only", nargs="+", help="these stages; needs --folder of a run before")
    parser.add_argument("--folder", type=Path, help="where files go and stay (default: temporary)")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage in ("make", "make-quick"):
        return make(options.folder / "checkpoint", QUICK if "quick" in options.stage else BASE)
    if options.stage == "texts":
        return print(write_texts(options.folder))
    if options.stage:
        return print(json.dumps(asdict(Stages(options.folder).run(options.stage))))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "checkpoint").exists():
            run(script("make-quick" if options.quick else "make", folder))
        found = tables(folder, options.only)
    if not options.quick and options.only is None:
        (HERE / "base_size.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
