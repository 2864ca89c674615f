"""The command: `python -m pruning_lessons CHECKPOINT TEXTS --out FOLDER`."""

import argparse
import json
import re
import sys
import textwrap
import warnings
from argparse import Namespace
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch

from ..measuring.data import Texts, as_data, read_conll, read_csv
from ..measuring.parallel import load_parallel
from ..measuring.reading import decoded
from ..measuring.scores import fitting
from ..measuring.size import encoder_macs
from ..measuring.texts import are_generic
from ..models.anatomy import layers_of, longest
from ..models.checkpoints import UntrainedHead, load
from ..models.disk import disk_errors
from ..models.tasks import TASKS, labels_of, task_of
from ..recovery.training import labelled
from . import report as reports
from .run import Run
from .run_state import State, alone, check_out, fingerprint, model_fingerprint
from .split import split

WRONG, INTERRUPTED = 2, 130  # exit codes
BAD_LINES = 3  # are said of many
PARALLEL, PAIRS = "parallel", 200  # pairs a language, in each part
TABLES, TAGGED, ROWS, PLAIN = (
    (".csv", ".tsv"),
    (".conll", ".conllu", ".iob"),
    (".jsonl",),
    (".txt",),
)
# What the package calls an argument, and the command line calls it.
NAMES = {
    **dict.fromkeys(("file", "rows", "data", "texts", "sentences", "batches"), "TEXTS"),
    **dict.fromkeys(("checkpoint", "model", "tokenizer"), "CHECKPOINT"),
    "keep_macs": "--keep",
    "folder": "--out",
    "resume": "--out",
    "labels": "--label",
    "epochs": "--distill",
}
DESCRIPTION = """
Prune a model of yours, with texts of yours: parts are scored, cut, refitted and, if asked,
distilled, at several sizes; the smallest that loses few enough points is chosen, exported and
measured, beside the whole model, as PyTorch, ONNX and int8.

CHECKPOINT: a folder, a hub id, or "embedded" or "embedding", which come with the package.
TEXTS: .csv or .tsv with a header line; .conll (or .txt) with a tagged word a line; .jsonl with a
row a line; .txt with a text a line, without labels; or "parallel", the bundled translations, for
embedders. Without labels the score is the agreement with the whole model.
"""
EPILOG = """
Three parts of TEXTS, equal texts in the same one: calibration (60 %) for scores, repair and
distillation, validation (20 %) to choose, test (20 %), looked at once. Leave out texts that the
model was trained on. Into --out go serve/ (ONNX), model/ (PyTorch), report.md, report.json,
front.png and state/. The same command goes on after an interruption.
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=100)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str):
        self.exit(WRONG, f"{self.prog}: error: {message} (see --help)\n")


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="python -m pruning_lessons",
        usage="%(prog)s CHECKPOINT TEXTS --out FOLDER [--keep 0.6 0.3 0.15] [options]",
        description=textwrap.dedent(DESCRIPTION),
        epilog=textwrap.dedent(EPILOG),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    made.add_argument("checkpoint", metavar="CHECKPOINT", help="the model to prune")
    made.add_argument("texts", metavar="TEXTS", help="texts like those that will be served")
    made.add_argument("--out", metavar="FOLDER", required=True, help="a new folder, or a run's")
    made.add_argument(
        "--task",
        metavar="TASK",
        choices=TASKS,
        help=f"{', '.join(TASKS)} (default: what the checkpoint says)",
    )
    _add_texts(made.add_argument_group("texts"))
    _add_pruning(made.add_argument_group("pruning"))
    _add_measuring(made.add_argument_group("measuring and running"))
    return made


def _add_texts(group) -> None:
    add = group.add_argument
    add("--text", metavar="COLUMN", help="the texts' column in a table (default: text)")
    add("--label", metavar="COLUMN", help="the labels' column (default: label)")
    add("--pair", metavar="COLUMN", help="the column of second texts, for models of pairs")
    add("--language", metavar="COLUMN", help="a column to report by")
    add("--no-labels", action="store_true", help="do not use labels: agreement is the score")
    add("--separator", metavar="CHAR", help="between columns; 'tab' is one (default: found out)")
    add(
        "--label-separator",
        metavar="TEXT",
        default="|",
        help="between several labels of a text (default: %(default)s)",
    )
    add(
        "--label-names",
        metavar="NAME",
        nargs="+",
        help="in the order of the model's outputs, if it calls them LABEL_0, LABEL_1, …",
    )
    add("--encoding", metavar="NAME", help="of the file (default: UTF-8)")
    add(
        "--word",
        metavar="N",
        type=int,
        default=0,
        help="of tagged words: the words' column, from 0 (default: %(default)s)",
    )
    add(
        "--tag",
        metavar="N",
        type=int,
        default=-1,
        help="of tagged words: the tags' column (default: %(default)s, the last)",
    )
    add("--skip-bad", action="store_true", help="leave bad lines out, and list them")


def _add_pruning(group) -> None:
    add = group.add_argument
    add(
        "--keep",
        metavar="SHARE",
        type=float,
        nargs="+",
        default=[0.6, 0.3, 0.15],
        help="shares of the encoder's MACs, one for each size (default: 0.6 0.3 0.15)",
    )
    add(
        "--points",
        metavar="P",
        type=float,
        default=1.0,
        help="points (hundredths) of the validation score that may be lost (default: 1)",
    )
    add(
        "--drop",
        metavar="N",
        type=int,
        default=0,
        help="whole layers to drop first, found greedily (default: none)",
    )
    add(
        "--distill",
        metavar="EPOCHS",
        type=int,
        default=0,
        help="epochs of training each size to answer as the whole model (default: none)",
    )
    add(
        "--learning-rate",
        metavar="RATE",
        type=float,
        default=1e-4,
        help="of --distill (default: %(default)s)",
    )
    add(
        "--calibration",
        metavar="N",
        type=int,
        help="texts for scores and repair (default: 2048, or fewer if they are long)",
    )


def _add_measuring(group) -> None:
    add = group.add_argument
    add(
        "--length",
        metavar="TOKENS",
        type=int,
        help="of a text, for MACs and time (default: 95 %% of TEXTS have no more)",
    )
    add(
        "--threads",
        metavar="N",
        type=int,
        help="CPU threads of the timed models: as many as will serve (default: all)",
    )
    add(
        "--repeats",
        metavar="N",
        type=int,
        default=30,
        help="timed runs of each model (default: %(default)s)",
    )
    add(
        "--batch-size",
        metavar="N",
        type=int,
        default=32,
        help="texts that are run together (default: %(default)s)",
    )
    add("--seed", metavar="N", type=int, default=0, help="of splits and draws (default: 0)")
    add("--no-onnx", dest="onnx", action="store_false", help="PyTorch alone: nothing is exported")
    again = group.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, and fail if there is none",
    )
    again.add_argument("--fresh", action="store_true", help="begin again in a run's --out")
    add("--time-again", action="store_true", help="take a run's times once more, nothing else")
    add("--quiet", action="store_true", help="no progress bars: the tables only")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code: 0, 2 for what is wrong with the arguments, 130 for Ctrl-C."""
    made = parser()
    options = made.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # consoles that lack a character
    try:
        with _notes_on_stderr():
            print(run(options))
    except KeyboardInterrupt:
        _say(f"{made.prog}: interrupted; the same command goes on from there")
        return INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError, UntrainedHead) as error:
        _say(f"{made.prog}: error: {in_one_line(str(error) or type(error).__name__)}")
        return WRONG
    return 0


def run(options: Namespace) -> str:
    """Do all that is asked for; the tables. Raises `ValueError` that names the argument."""
    check(options)
    out = Path(options.out)
    check_out(out, options.resume)
    options.threads = options.threads or torch.get_num_threads()
    whole, tokenizer = loaded(options)
    check_with(options, whole)
    parts = {name: fitting(part, whole, "TEXTS") for name, part in parts_of(options, whole).items()}
    agreement = is_agreement(parts["validation"], whole)
    same = reports.options_of(options) | {
        "CHECKPOINT": model_fingerprint(whole, tokenizer),
        "TEXTS": fingerprint(parts.values()),
    }
    with disk_errors("--out", out), alone(out / "state"):
        state = State(out / "state", same, options.fresh)
        if options.time_again:
            state.forget_times()
        work = Run(options, whole, tokenizer, parts, agreement, state)
        if not options.quiet:
            counts = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
            _say(f"{counts} texts; {len(work.seen)} for scores and repair; {work.length} tokens")
        picture = find_spec("matplotlib") is not None
        if not picture:
            warnings.warn("front.png is not drawn: there is no matplotlib (pip install matplotlib)")
        return reports.as_text(reports.write(work, work.go(), picture), out)


# --- what is asked for ---


def check(options: Namespace) -> None:
    """`ValueError` for arguments that are wrong by themselves."""
    keep = options.keep
    if not all(0 < share < 1 for share in keep) or len(set(keep)) < len(keep):
        shown = " ".join(f"{share:g}" for share in keep)
        raise ValueError(f"--keep: is {shown}, must be different shares above 0 and below 1")
    options.keep = sorted(keep, reverse=True)
    least = dict(drop=0, distill=0, length=1, threads=1, repeats=1, batch_size=1, calibration=20)
    for name, lowest in least.items():
        value = getattr(options, name)
        if value is not None and value < lowest:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag}: is {value}, must be at least {lowest}")
    if not 0 <= options.points <= 100:
        raise ValueError(f"--points: is {options.points:g}, must be from 0 to 100")
    if not 0 < options.learning_rate < 1:
        raise ValueError(f"--learning-rate: is {options.learning_rate:g}, must be above 0, below 1")
    if options.separator in ("tab", "\\t"):
        options.separator = "\t"
    if options.texts != PARALLEL:
        check_texts(Path(options.texts))
    needed = {"onnx, onnxscript and onnxruntime": ("onnx", "onnxscript", "onnxruntime")}
    needed = needed if options.onnx else {}
    if options.distill:
        needed = needed | {"accelerate": ("accelerate",)}
    for what, modules in needed.items():
        if not all(map(find_spec, modules)):
            way = "add --no-onnx" if "onnx" in what else "leave --distill out"
            raise ValueError(f"{way}, or install {what}: they are not here")


def check_texts(file: Path) -> None:
    known = TABLES + TAGGED + ROWS + PLAIN
    if file.suffix.lower() not in known:
        raise ValueError(f"TEXTS: is {str(file)!r}, must end in one of {', '.join(known)}")
    if not file.is_file():
        raise ValueError(f"TEXTS: there is no file {str(file)!r}")


def loaded(options: Namespace):
    """(the whole model, its tokenizer). A head that would be drawn at random is an error."""
    name, task = options.checkpoint, options.task
    if name == "embedding":
        name, task = "embedded", task or "embedding"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UntrainedHead)
        model, tokenizer = load(name, task)
    if options.label_names:
        name_labels(model, options.label_names)
    return model, tokenizer


def name_labels(model, names: list[str]) -> None:
    """Give outputs names that have none; `ValueError` if they have, or are not so many."""
    own = labels_of(model)
    if own is None:
        raise ValueError("--label-names: are given, and the model's outputs are no labels")
    if len(names) != len(own) or len(set(names)) < len(names):
        raise ValueError(
            f"--label-names: are {' '.join(names)}, must be {len(own)} different names"
        )
    if not are_generic(own) and own != names:
        raise ValueError(f"--label-names: are given, and the model has its own: {', '.join(own)}")
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}


def check_with(options: Namespace, whole) -> None:
    """`ValueError` for arguments that do not fit the model."""
    count, task = len(layers_of(whole)), task_of(whole).name
    if options.drop >= count:
        raise ValueError(f"--drop: is {options.drop}, must be below the model's {count} layers")
    if options.length and options.length > longest(whole):
        raise ValueError(
            f"--length: is {options.length}, the model reads {longest(whole)} tokens at most"
        )
    if not encoder_macs(whole):
        raise ValueError("CHECKPOINT: has no heads and no neurons left to prune")
    left = 1 - options.drop / count
    if options.drop and options.keep[0] > left + 1e-9:
        raise ValueError(
            f"--keep: has {options.keep[0]:g}, and --drop {options.drop} leaves {left:.2f} of the "
            f"layers: must be at most that"
        )
    if options.texts == PARALLEL and task != "embedding":
        raise ValueError(f"TEXTS: 'parallel' is for embedders, the model's task is {task!r}")


def is_agreement(data, whole) -> bool:
    """Whether there is nothing but the whole model's answers to score by."""
    task = task_of(whole)
    if task.name == "embedding":
        return data.kind != "pairs"
    return task.labels != "pieces" and not labelled(data, task)


# --- texts ---


def parts_of(options: Namespace, whole) -> dict:
    """Calibration, validation and test texts."""
    if options.texts == PARALLEL:
        names = ("calibration", "validation", "test")
        return {name: load_parallel(None, name, PAIRS, options.seed) for name in names}
    return split(read(options, whole), options.seed)


def read(options: Namespace, whole):
    """TEXTS as data. Raises `ValueError` with what is wrong, and where."""
    suffix, task = Path(options.texts).suffix.lower(), task_of(whole).name
    labels = not options.no_labels and task != "fill-mask"
    if task == "embedding":  # similarities of pairs, or none
        labels = labels and bool(options.pair and options.label)
    if suffix in TABLES:
        return _read_table(options, whole, task, labels)
    if suffix in ROWS:
        return _read_rows(options, whole, labels)
    if suffix in TAGGED or task == "tokens" and labels:
        return _read_tagged(options, whole, task, labels)
    lines = [line.strip() for line in decoded(options.texts, options.encoding).splitlines()]
    lines = [line for line in lines if line]
    if task == "tokens":
        return as_data([{"words": line.split()} for line in lines])
    if task == "question-answering":
        raise ValueError(_no_questions(options))
    if options.pair:
        raise ValueError("--pair: names a column, and TEXTS is a .txt, which has none")
    return Texts(lines)


def _no_questions(options: Namespace) -> str:
    return (
        f"TEXTS: is {options.texts!r}, must be a .jsonl with rows of question, context and "
        f"answers for a model that answers questions"
    )


def _read_table(options: Namespace, whole, task: str, labels: bool):
    if task == "tokens":
        raise ValueError(
            f"TEXTS: is {options.texts!r}, must be .conll or .jsonl for a model that tags words"
        )
    if task == "question-answering":
        raise ValueError(_no_questions(options))
    try:
        return read_csv(
            options.texts,
            options.text or "text",
            (options.label or "label") if labels else None,
            options.language,
            pair=options.pair,
            kind="numbers" if labels and task == "embedding" else None,
            separator=options.separator,
            encoding=options.encoding,
            label_separator=options.label_separator,
            skip_bad=options.skip_bad,
            model=whole if labels and task != "embedding" else None,
        )
    except ValueError as error:
        if labels and not options.label and str(error).startswith("label:"):
            raise ValueError(f"{error}; texts without labels: --no-labels") from error
        raise


def _read_tagged(options: Namespace, whole, task: str, labels: bool):
    if task != "tokens":
        raise ValueError(
            f"TEXTS: is {options.texts!r}, tagged words, and the model's task is {task!r}"
        )
    return read_conll(
        options.texts,
        options.word,
        options.tag if labels else None,
        separator=options.separator,
        model=whole if labels else None,
        encoding=options.encoding,
        skip_bad=options.skip_bad,
    )


def _read_rows(options: Namespace, whole, labels: bool):
    """Rows of JSON, a line each; columns that the arguments name get the names that rows have."""
    rows, content = [], decoded(options.texts, options.encoding)
    for number, line in enumerate(re.split("\r\n|\n|\r", content), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"TEXTS: line {number} is no JSON: {error}") from error
        if not isinstance(rows[-1], dict):
            raise ValueError(f"TEXTS: line {number} is no object with names and values")
    named = {"text": options.text, "pair": options.pair, "language": options.language}
    named |= {"label": options.label} if labels else {}
    named = {part: column for part, column in named.items() if column}
    for part, column in named.items():
        if rows and column not in rows[0]:
            raise ValueError(f"--{part}: {column!r} is not in TEXTS, which has {list(rows[0])}")
    hidden = set() if labels else {"label", "labels", "score", "tags", "ner_tags", "pos_tags"}
    hidden |= set() if labels else {"answers"}
    rows = [
        {key: value for key, value in row.items() if key not in hidden}
        | {part: row.get(column) for part, column in named.items()}
        for row in rows
    ]
    return as_data(rows, whole if labels else None, options.skip_bad)


# --- what is said ---


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def in_one_line(message: str) -> str:
    """An error of the package as the command line has it: its arguments' names, on one line."""
    first, *more = [line.strip() for line in message.splitlines() if line.strip()] or [""]
    found = re.match(r"(\w+):", first)
    if found and not found[1].isupper():
        name = found[1]
        flags = {action.dest: action.option_strings for action in parser()._actions}
        own = NAMES.get(name) or next(iter(flags.get(name, [])), None)
        first = f"{own}:{first[found.end() :]}" if own else first
    first = first.replace("skip_bad=True", "--skip-bad").replace("encoding=", "--encoding ")
    first = first.replace("label_names=", "--label-names")
    shown = "; ".join(more[:BAD_LINES])
    left = len(more) - BAD_LINES
    return " ".join([first, shown] if shown else [first]) + (f"; … {left} more" * (left > 0))


@contextmanager
def _notes_on_stderr():
    """Warnings as one line each, without places in the code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"pruning_lessons\b")
        warnings.showwarning = lambda message, *rest, **more: _say(
            f"note: {in_one_line(str(message))}"
        )
        yield
