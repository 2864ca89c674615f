"""What a run of the command found: figures as JSON, tables, notes in words, and one picture."""

import json
from argparse import Namespace
from math import isfinite
from pathlib import Path

from ..measuring.escapes import in_markdown
from ..measuring.tables import table
from .export import put_figures
from .ruler import difference
from .run import FORMS, INT8, PRUNED, WHOLE, Run, factors
from .run_state import write_whole

HOW = ("cut", "repaired", "distilled")
WIDE = 0.25  # of the median: times that were taken on a busy machine
KEPT, CHOSEN = "✓", "←"
STYLES = {  # shape and colour alike: neither is needed alone
    "PyTorch": dict(color="#0072b2", marker="o"),
    "ONNX": dict(color="#b34700", marker="s"),
    "ONNX int8": dict(color="#007a59", marker="^"),
}
NAMES = {
    "accuracy": "accuracy",
    "micro_f1": "micro-F1",
    "span_f1": "span F1",
    "f1": "F1",
    "top_5": "share in the first five",
    "spearman": "Spearman's correlation",
    "retrieval": "retrieval accuracy",
    "cosine": "mean cosine",
}


def figures(run: Run, found: dict) -> dict:
    """All that was found, as report.json has it. Everything that a clock gave is under "times"."""
    whole, options = found["whole"], run.options
    name = next(iter(whole["scores"]))
    report = {
        "checkpoint": options.checkpoint,
        "task": run.rulers["test"].task,
        "score": ("agreement with the whole model: " if run.agreement else "") + name,
        "settings": {
            key: value
            for key, value in vars(options).items()
            if key not in ("checkpoint", "texts", "out", "quiet", "fresh", "resume", "time_again")
        },
        "tokens": run.length,
        "texts": {part: len(data) for part, data in run.parts.items()}
        | {"for scores and repair": len(run.seen)},
        "one text in points": 100 / len(run.parts["validation"]),
        "layers dropped": found["masks"]["dropped"],
        "whole": _score(whole),
        "sizes": [_size(size, whole) for size in found["sizes"]],
        "chosen": found["chosen"]["keep"],
        "within the points": found["held"],
        "served": found["served"],
        "forms": _forms(run, found),
        "test": {key: _score(score) for key, score in found["test"].items()}
        | {"difference": difference(found["test"]["whole"], found["test"]["served"])},
    }
    report["times"] = _times(run, found)
    report["notes"] = notes(report, commonest(run.parts["validation"]))
    return _plain(report)


def _plain(value):
    """As JSON has it: None for what is no number."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _score(found: dict) -> dict:
    return {key: found[key] for key in ("scores", "by_language")} | {"value": found["score"]}


def _size(size: dict, whole: dict) -> dict:
    facts = {key: size[key] for key in ("keep", "macs", "parameters", "heads", "neurons", "folder")}
    tried = {how: score["score"] for how, score in size["tried"].items()}
    best = {"kept": size["how"], "value": size["best"]["score"]}
    return facts | tried | best | {"difference": difference(whole, size["best"])}


def _forms(run: Run, found: dict) -> dict:
    """Score, difference to the whole model in PyTorch, and bytes, of each form."""
    whole = found["whole"]
    parameters = sum(p.numel() * p.element_size() for p in run.whole.parameters())
    scores = {WHOLE: whole | {"bytes": parameters}}
    scores[PRUNED] = found["chosen"]["best"] | {"bytes": found["model"]["bytes"]}
    if run.options.onnx:
        for name, (whose, file) in FORMS.items():
            scores[name] = found[f"{whose} ONNX"][file]
    return {
        name: {
            "value": score["score"],
            "difference": difference(whole, score),
            "bytes": score["bytes"],
        }
        for name, score in scores.items()
    }


def _times(run: Run, found: dict) -> dict:
    ms = found["milliseconds"]
    times = {"setting": ms["setting"], "milliseconds": ms["median"], "quartiles": ms["quartiles"]}
    times["sizes"] = {
        f"{size['keep']:g}": ms["median"][WHOLE] / size["ratio"] for size in found["sizes"]
    }
    times["sizes"][f"{found['chosen']['keep']:g}"] = ms["median"][PRUNED]
    if run.options.onnx:
        times["factors"] = factors(ms["median"])
    return times | {"seconds": run.state.content["seconds"]}


def commonest(data) -> float | None:
    """The share of the commonest class: what guessing it scores. None without classes."""
    if data.kind != "classes":
        return None
    return max(map(data.labels.count, set(data.labels))) / len(data)


# --- in words ---


def score_name(report: dict) -> str:
    name = report["score"].rpartition(": ")[2]
    name = NAMES.get(name, name)
    return f"agreement ({name})" if "agreement" in report["score"] else name


def busy(times: dict) -> list[str]:
    """Which models' times moved a lot between runs: their middle half is wide."""
    wide = lambda name, low, high: high - low > WIDE * times["milliseconds"][name]
    return [name for name, (low, high) in times["quartiles"].items() if wide(name, low, high)]


def shown(report: dict, value: float | None) -> str:
    """A score: a share as a percentage, a correlation or cosine as a number."""
    if value is None or not isfinite(value):
        return "none"
    return f"{value:.3f}" if is_number(report) else f"{value:.1%}"


def is_number(report: dict) -> bool:
    """Whether the score is no share of anything."""
    return report["score"].endswith(("spearman", "cosine"))


def _points(found: dict) -> str:
    if not isfinite(found["points"] or 0):
        return "none"
    return f"{found['points']:+.1f} ± {found['error']:.1f}"


def notes(report: dict, guess: float | None) -> list[str]:
    """What one must know to read the tables."""
    options, texts = report["settings"], report["texts"]
    lines = [
        f"Validation has {texts['validation']} texts; one of them weighs "
        f"{report['one text in points']:.2f} points (a point is 0.01 of the score). ± is one "
        f"standard error of the difference to the whole model on the same texts: a difference "
        f"below twice that may be chance.",
        "Validation chose among the models, so their scores there flatter a little; the test "
        "texts were looked at once, for the whole model and the one that is served.",
    ]
    if "agreement" in report["score"]:
        lines.append(
            "The texts have no labels: the score is the agreement with the whole model, which "
            "says nothing of how often that is right."
        )
    if guess is not None and report["whole"]["value"] < guess + 0.05:
        lines.append(
            f"The whole model scores {shown(report, report['whole']['value'])} and guessing the "
            f"commonest label {shown(report, guess)}: there is little to lose here. See whether "
            f"the labels' order and the checkpoint's head are right."
        )
    if not report["within the points"]:
        lines.append(
            f"No size stays within --points {options['points']:g}. The best was taken; more texts, "
            f"--distill, or a larger --keep may do better."
        )
    if options["distill"]:
        lines.append(
            "Pruned models were distilled on the calibration texts"
            + (", with their labels" if "agreement" not in report["score"] else "")
            + "; the whole model was not trained any further."
        )
    if options["onnx"]:
        base = "the whole model" if report["within the points"] else "the same in PyTorch"
        does = "loses no more" if report["served"] == INT8 else "loses more"
        lines.append(
            f"Served: {report['served']}, for int8 {does} than --points {options['points']:g} "
            f"against {base} on validation. int8 was scored a text at a time, as it was timed."
        )
    if busy(report["times"]):
        lines.append(
            f"The machine was busy: times of {'; '.join(busy(report['times']))} moved by more "
            f"than a quarter between runs. --time-again takes all times once more, and leaves the "
            f"rest as it is."
        )
    return lines


def sizes_rows(report: dict) -> list[tuple]:
    """The sizes: what was tried, which form was kept, what it lost, and how fast it is."""
    tried = [how for how in HOW if how in report["sizes"][0]]
    ms, first = report["times"]["sizes"], report["times"]["milliseconds"][WHOLE]
    rows = [("MACs", "parameters", *tried, "points ± error", "ms", "times as fast")]
    whole = [shown(report, report["whole"]["value"]), *[""] * len(tried[1:])]
    rows.append(("100% (whole)", "", *whole, "", f"{first:.1f}", "1.0"))
    for size in report["sizes"]:
        chosen = f" {CHOSEN}" if size["keep"] == report["chosen"] else ""
        time = ms[f"{size['keep']:g}"]
        scores = [shown(report, size[how]) + f" {KEPT}" * (how == size["kept"]) for how in tried]
        lost = _points(size["difference"])
        rows.append(
            (
                f"{size['macs']:.0%}{chosen}",
                f"{size['parameters'] / 1e6:.1f} M",
                *scores,
                lost,
                f"{time:.1f}",
                f"{first / time:.1f}",
            )
        )
    return rows


def forms_rows(report: dict) -> list[tuple]:
    """The forms of the whole and the chosen model: score, bytes, time."""
    ms = report["times"]["milliseconds"]
    middle = report["times"]["quartiles"]
    rows = [("form", "MB", "validation", "points ± error", "ms", "middle half", "times as fast")]
    for name, form in report["forms"].items():
        rows.append(
            (
                name + (" (served)" if name == report["served"] else ""),
                f"{form['bytes'] / 1e6:.1f}",
                shown(report, form["value"]),
                "" if name == WHOLE else _points(form["difference"]),
                f"{ms[name]:.1f}",
                "{:.1f} to {:.1f}".format(*middle[name]),
                f"{ms[WHOLE] / ms[name]:.1f}",
            )
        )
    return rows


def test_rows(report: dict) -> list[tuple]:
    """The last word: whole and served on the test texts, over all and by language."""
    test = report["test"]
    whole, served = test["whole"], test["served"]
    rows = [("test", "whole", report["served"], "points ± error")]
    rows.append(
        (
            f"all {report['texts']['test']}",
            shown(report, whole["value"]),
            shown(report, served["value"]),
            _points(test["difference"]),
        )
    )
    if len(whole["by_language"]) > 1:
        for name, score in whole["by_language"].items():
            other = served["by_language"][name]
            lost = "" if None in (score, other) else f"{100 * (other - score):+.1f}"
            rows.append((name, shown(report, score), shown(report, other), lost))
    return rows


def factors_line(report: dict) -> str:
    found = report["times"].get("factors")
    if not found:
        return ""
    return (
        f"Runtime {found['runtime']:.2f} × int8 {found['int8']:.2f} × pruning "
        f"{found['pruning']:.2f} = {found['product']:.2f}; measured together: "
        f"{found['measured']:.2f} times as fast as the whole model in PyTorch."
    )


def heading(report: dict) -> str:
    return (
        f"Score: {score_name(report)}. Time: {report['times']['setting']}. MACs: of the encoder, "
        f"for {report['tokens']} tokens."
    )


SIGNS = f"{KEPT} the form that is kept, the best on validation. {CHOSEN} the size that is chosen."


def as_text(report: dict, out: Path) -> str:
    """For a terminal."""
    folder = out / ("serve" if report["settings"]["onnx"] else "model")
    parts = [
        heading(report),
        f"{table(sizes_rows(report))}\n{SIGNS}",
        repr(table(forms_rows(report))),
        factors_line(report),
        repr(table(test_rows(report))),
        "\n".join(report["notes"]),
        f"Serve: {folder}   PyTorch: {out / 'model'}   All figures: {out / 'report.md'}",
    ]
    return "\n\n".join(part for part in parts if part)


def _markdown_table(rows: list[tuple]) -> str:
    line = lambda row: f"| {' | '.join(map(str, row))} |"
    rule = "|" + " --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join([line(rows[0]), rule, *map(line, rows[1:])])


def as_markdown(report: dict, picture: bool) -> str:
    """For report.md."""
    others = [size["folder"] for size in report["sizes"]]
    parts = [
        f"# {in_markdown(report['checkpoint'])}, pruned",
        heading(report),
        "## Sizes",
        _markdown_table(sizes_rows(report)),
        SIGNS,
        f"![{in_words(report)}](front.png)" if picture else "",
        "## Forms",
        _markdown_table(forms_rows(report)),
        factors_line(report),
        "## Test",
        _markdown_table([(in_markdown(row[0]), *row[1:]) for row in test_rows(report)]),
        "## How to read it",
        "\n".join(f"- {note}" for note in report["notes"]),
        "## Folders",
        "- `model/`: the chosen model in PyTorch; `pruning_lessons.load` opens it\n"
        + ("- `serve/`: the same as ONNX, with all that it needs\n" * report["settings"]["onnx"])
        + f"- `state/`: the work so far, and every size: {', '.join(f'`{o}`' for o in others)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def in_words(report: dict) -> str:
    """The picture, for those who cannot see it."""
    said = [
        f"{name}, {ms:.1f} ms and {shown(report, score)}" for name, ms, score in points_of(report)
    ]
    return (
        f"{score_name(report).capitalize()} on validation against milliseconds a text: "
        f"{'; '.join(said)}. Circled: {report['served']}, which is served. A dashed line marks the "
        f"least score that is allowed; bars are one standard error."
    )


def errors_of(report: dict) -> dict[str, float]:
    """The standard errors of what `points_of` names, as shares."""
    sizes = {_size_name(size): size["difference"] for size in report["sizes"]}
    forms = {name: form["difference"] for name, form in report["forms"].items()}
    return {name: (found["error"] or 0) / 100 for name, found in (sizes | forms).items()}


def _size_name(size: dict) -> str:
    return f"{size['macs']:.0%} of the MACs, PyTorch"


def points_of(report: dict) -> list[tuple[str, float, float]]:
    """(name, milliseconds, score) of all that the picture shows: sizes in PyTorch, then forms."""
    ms, times = report["times"]["milliseconds"], report["times"]["sizes"]
    sizes = [
        (_size_name(size), times[f"{size['keep']:g}"], size["value"])
        for size in report["sizes"]
        if size["keep"] != report["chosen"]
    ]
    forms = [(name, ms[name], form["value"]) for name, form in report["forms"].items()]
    return sorted(sizes + forms, key=lambda point: -point[1])


def draw(report: dict, file: Path) -> None:
    """The front: score against milliseconds, whole and pruned, in all forms."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    points = [point for point in points_of(report) if point[2] is not None]
    errors = errors_of(report)
    figure = Figure(figsize=(8, 4.5), layout="constrained", dpi=150)
    axes = figure.subplots()
    for form, style in STYLES.items():
        own = [point for point in points if point[0].rpartition(", ")[2] == form]
        if own:
            x, y = [ms for _, ms, _ in own], [score for *_, score in own]
            error = [errors.get(name, 0) for name, *_ in own]
            axes.errorbar(x, y, error, linewidth=1, markersize=7, capsize=2, label=form, **style)
    _label(axes, points, report)
    served = next((point for point in points if point[0] == report["served"]), None)
    if served:
        axes.plot(*served[1:], "o", markersize=17, fillstyle="none", color="black", label="served")
    floor = report["whole"]["value"] - report["settings"]["points"] / 100
    axes.axhline(floor, color="black", linestyle="--", linewidth=1, label="least allowed")
    axes.set_xlim(0, 1.2 * max(ms for _, ms, _ in points))
    axes.margins(y=0.2)
    if not is_number(report):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel(f"milliseconds a text ({report['tokens']} tokens, batch 1)")
    axes.set_ylabel(f"{score_name(report)}, validation")
    axes.set_title(
        "At each point: the share of MACs that is kept.\n"
        "Bars: one standard error of the difference to the whole model.",
        fontsize=9,
        loc="left",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    part = file.with_name(f"{file.name}.part")
    figure.savefig(part, format="png", metadata={"Description": in_words(report)})
    part.replace(file)


def _label(axes, points: list, report: dict) -> None:
    """Each point's share of MACs; the legend says its form."""
    chosen = next(size for size in report["sizes"] if size["keep"] == report["chosen"])
    for name, x, y in points:
        whose = name.partition(" ")[0].rstrip(",")
        text = {"whole": "100%", "pruned": f"{chosen['macs']:.0%}"}.get(whose, whose)
        color = STYLES[name.rpartition(", ")[2]]["color"]
        axes.annotate(
            text, (x, y), textcoords="offset points", xytext=(9, -12), fontsize=9, color=color
        )


def write(run: Run, found: dict, picture: bool) -> dict:
    """Write report.json, report.md, front.png and the card's figures; the report."""
    report, out = figures(run, found), run.out
    if run.options.onnx:
        put_figures(out / "serve", card_figures(report))
    if picture:
        draw(report, out / "front.png")
    text = json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_whole(out / "report.json", text)
    write_whole(out / "report.md", as_markdown(report, picture))
    return report


def card_figures(report: dict) -> dict:
    """What the card in serve/ says."""
    ms, test = report["times"]["milliseconds"], report["test"]
    return {
        "score": score_name(report),
        "test": {
            f"whole model, PyTorch, {report['texts']['test']} texts": shown(
                report, test["whole"]["value"]
            ),
            report["served"]: shown(report, test["served"]["value"]),
            "difference, points": _points(test["difference"]),
        },
        "validation": {
            name: shown(report, form["value"])
            for name, form in report["forms"].items()
            if name != WHOLE
        },
        f"milliseconds ({report['times']['setting']})": {
            name: f"{value:.2f}" for name, value in ms.items()
        },
    }


def options_of(options: Namespace) -> dict:
    """The arguments that decide what a run finds, as the command line has them."""
    left_out = ("checkpoint", "texts", "out", "quiet", "fresh", "resume", "time_again", "onnx")
    found = {
        f"--{name.replace('_', '-')}": value
        for name, value in vars(options).items()
        if name not in left_out
    }
    return found | {"--no-onnx": not options.onnx}
