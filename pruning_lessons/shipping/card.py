"""The card of an exported model: README.md, from what stands beside it."""

import re

from ..measuring.escapes import in_markdown, one_line

MARK = "<!-- written by pruning_lessons: remove this line to keep your own text -->"
FAMILIES = {
    "xlm-roberta": "XLM-RoBERTa",
    "roberta": "RoBERTa",
    "camembert": "CamemBERT",
    "bert": "BERT",
}
TASKS = {
    "classification": "classification: one label a text (or a pair of texts)",
    "multi-label": "multi-label classification: each label holds or does not",
    "regression": "a number a text (or a pair of texts)",
    "tokens": "token classification: tagged spans of a text",
    "question-answering": "extractive question answering: the answer's place in a context",
    "fill-mask": "fill-mask: the pieces that fit in a text's masks",
    "embedding": "embedding: a vector a text",
}
FILES = {
    "model.onnx": "the model, float32",
    "model.onnx.data": "its weights",
    "model-int8.onnx": "the model with weights in 8 bits",
    "tokenizer.json": "the tokenizer",
    "settings.json": "labels, limits and sides of texts",
    "config.json": "the configuration of the PyTorch model that this was",
    "answer.py": "the script and class that answer",
}
LABELS = 200  # are listed at most


def card(config: dict, settings: dict, sizes: dict[str, int]) -> str:
    """README.md as Markdown. config, settings: what config.json and settings.json hold; sizes:
    bytes of each file. Names from outside are escaped.
    """
    family = config["model_type"].removeprefix("pruned-")
    head = [
        f"# {FAMILIES.get(family, in_markdown(family))}, {settings['task']}, as ONNX",
        MARK,
        f"An encoder of the family {FAMILIES.get(family, in_markdown(family))} with a head for "
        f"{TASKS[settings['task']]}.",
    ]
    parts = [
        "\n\n".join(head),
        _labels(settings),
        _pruned(config, settings),
        _measured(settings.get("figures") or {}),
        _run(settings, "model-int8.onnx" in sizes),
        _limits(settings),
        _files(sizes),
        "## Licence\n\nAs the original checkpoint's.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _labels(settings: dict) -> str:
    labels = settings["labels"]
    if not labels:
        return ""
    more = f", and {len(labels) - LABELS} more" if len(labels) > LABELS else ""
    return f"{len(labels)} labels: {', '.join(map(in_markdown, labels[:LABELS]))}{more}."


def _pruned(config: dict, settings: dict) -> str:
    heads, neurons = settings["heads"], settings["neurons"]
    whole_heads, whole_neurons = config["num_attention_heads"], config["intermediate_size"]
    places = config.get("kept_layers") or list(range(len(heads)))
    layers = max(places, default=-1) + 1
    lines = [
        "## How it was pruned",
        f"Left are {len(heads)} layers; hidden size {config['hidden_size']}; a vocabulary of "
        f"{config['vocab_size']:,} pieces. The unpruned model has {whole_heads} heads and "
        f"{whole_neurons} neurons a layer, and at least {layers} layers. Of these layers' heads "
        f"{_share(sum(heads), layers * whole_heads)} are left, of their neurons "
        f"{_share(sum(neurons), layers * whole_neurons)}.",
    ]
    rows = [("layer, as in the unpruned model", "heads", "neurons")]
    rows += list(zip(places, heads, neurons))
    return "\n\n".join([*lines, _table(rows)])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def _measured(figures: dict) -> str:
    rows = list(_flat(figures))
    return "## Measured\n\n" + _table([("what", "value"), *rows]) if rows else ""


def _flat(figures: dict, above: str = ""):
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}, ")
        else:
            plain = isinstance(value, float) and f"{value:.4g}"
            yield (in_markdown(f"{above}{name}"), plain or in_markdown(value))


def _run(settings: dict, int8: bool) -> str:
    task = settings["task"]
    text, more, options = '"turn on the light"', "", ""
    if task == "question-answering":
        text, more = '"Who bought it?"', ', ["Bill bought it."]'
        options = ' --pair "Bill bought it."'
    elif task == "fill-mask":
        text = '"turn on the ' + _quoted(settings["special_tokens"]["mask_token"]) + '"'
    elif settings["prompts"]:
        prompt = '"' + _quoted(sorted(settings["prompts"])[0]) + '"'
        more, options = f", prompt={prompt}", f" --prompt {prompt}"
    int8_option, int8_argument = (" --int8", ", quantized=True") if int8 else ("", "")
    return f"""## Run it

```sh
pip install onnxruntime tokenizers numpy
python answer.py {text}{options}
python answer.py --threads 2 --json{int8_option}{options} < texts.txt
python answer.py --help
```

```python
from answer import OnnxModel

model = OnnxModel(".", threads=2{int8_argument})
print(model([{text}]{more}))
```"""


def _quoted(text: str) -> str:
    """For an example in a code block: nothing that ends a string or the block."""
    return re.sub(r"[\"'`$\\!]", "", one_line(text))


def _limits(settings: dict) -> str:
    end = {"right": "the end", "left": "the beginning"}[settings["truncation_side"]]
    what = "of the context" if settings["task"] == "question-answering" else "of a text"
    return (
        f"## Limits\n\nA text, or a pair, has at most {settings['max_length']} tokens, special "
        f"ones included; of longer ones {end} {what} is left out. 8 bits move the answers a "
        f"little: measure on texts of yours. So do the other texts of a run: its activations share "
        f"one scale."
    )


def _files(sizes: dict[str, int]) -> str:
    rows = [("file", "MB", "what")]
    rows += [(n, f"{sizes[n] / 1e6:.2f}", what) for n, what in FILES.items() if n in sizes]
    return "## Files\n\n" + _table(rows)


def _table(rows: list[tuple]) -> str:
    line = lambda row: f"| {' | '.join(str(cell) for cell in row)} |"
    return "\n".join([line(rows[0]), line(["---"] * len(rows[0])), *map(line, rows[1:])])
