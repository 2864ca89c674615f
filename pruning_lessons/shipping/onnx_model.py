"""Answer texts with an exported model. Needs onnxruntime, tokenizers and NumPy, nothing else:

python answer.py "turn on the light"
python answer.py --help
"""

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path
from zlib import crc32

import numpy as np
from tokenizers import Tokenizer

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime calls home when imported
import onnxruntime

BATCH = 32  # texts a run
LARGEST = 2**26  # numbers that a run may give, where every token has an answer: 256 MB
LONGEST_ANSWER = 30  # tokens of an extracted answer
GUESSES = 5  # pieces for a mask
EDGES = (
    " \t\r\n.,;:!?¿¡…\"'()[]{}«»“”„‘’、。，！？；：（）「」"  # are left out at the ends of a span
)
# The names of an answer's parts, with --json.
PARTS = {
    "classification": ("label", "probability"),
    "multi-label": ("label", "probability"),
    "regression": (),
    "tokens": ("type", "text", "start", "end"),
    "question-answering": ("text", "score"),
    "fill-mask": ("piece", "probability"),
    "embedding": (),
}
NO_PAIRS = ("tokens", "embedding")
NAMED = ("classification", "multi-label", "tokens")
PER_TOKEN = ("tokens", "question-answering", "fill-mask")


class OnnxModel:
    """A folder that `export_onnx` wrote; `model(["turn on the light"])` answers, one for each text:

    - classification: (label, probability)
    - multi-label: [(label, probability), …], those of 0.5 or more, in the order of the labels
    - regression: a number, or a list of them; between 0 and 1 where config.json names a sigmoid
    - tokens: [(type, text, start, end), …], places in characters. A word, between spaces or as the
      tokenizer splits them, has the tag of its first piece; tags are read as seqeval reads IOB2 and
      BIOES, equal neighbours without prefix are one span; punctuation at a span's ends is left out
    - question-answering: (text, score), of texts (questions) and pairs (contexts): the likeliest
      place in the context of at most 30 tokens, and its probability
    - fill-mask: for each mask [(piece, probability), …], the five likeliest
    - embedding: (n, d) float32, pooled and normalised as the checkpoint says; `prompt` names the
      text to put before each, as the checkpoint has them: `model(texts, prompt="query")`

    Texts are cut as the checkpoint's tokenizer cuts them (`max_length`). quantized: use the int8
    model that `quantize_onnx` wrote. threads: how many onnxruntime may use. Attributes: session,
    task, labels (None where outputs have no names), tokenizer, max_length, prompts.

    Raises `ValueError`, naming folder, file and reason, if the folder has no such model or a file
    is damaged, `TypeError` for what is no list of texts.
    """

    def __init__(self, folder, quantized: bool = False, threads: int | None = None):
        whole = isinstance(threads, Integral) and not isinstance(threads, bool)
        if threads is not None and (not whole or threads < 1):
            raise ValueError(f"threads: is {threads!r}, must be a whole number above 0")
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(f"folder: is a {type(folder).__name__}, must be the path of a folder")
        folder = Path(folder)
        self.file = _place(folder, "model-int8.onnx" if quantized else "model.onnx")
        if not self.file.is_file():
            raise ValueError(
                f"folder: {str(folder)!r} has no {self.file.name}: run "
                f"{'quantize_onnx' if quantized else 'export_onnx'}"
            )
        self.settings = settings = _settings(_place(folder, "settings.json"))
        self.task, self.labels = settings["task"], settings["labels"]
        self.prompts, self.max_length = settings["prompts"], settings["max_length"]
        self._tokenizer_file = _place(folder, "tokenizer.json")
        self._check_files()
        self.tokenizer = self._plain_tokenizer()
        self.tokenizer.enable_truncation(
            self.max_length,
            strategy=settings["truncation"],
            direction=settings["truncation_side"],
        )
        self.tokenizer.enable_padding(
            direction=settings["padding_side"],
            pad_id=settings["pad_id"],
            pad_token=settings["pad_token"],
            pad_type_id=settings["pad_type_id"],
        )
        self.session = _read(self.file, lambda file: _session(file, threads))
        self._check_session()
        if settings.get("checksum", sealed(settings)) != sealed(settings):
            warnings.warn(
                f"folder: settings.json in {str(folder)!r} is not what export_onnx wrote: edited "
                "since, or damaged"
            )

    def __call__(self, texts, pairs=None, prompt: str | None = None):
        """The answers to a list of texts, or of texts and as many second texts."""
        answers = self._each(texts, pairs, prompt, getattr(self, "_" + self.task.replace("-", "_")))
        return self._stacked(answers) if self.task == "embedding" else answers

    def logits(self, texts, pairs=None, prompt: str | None = None) -> np.ndarray:
        """The model's own numbers, float32: (n, C), vectors (n, d), or, where each token has an
        answer, all texts in one run as `dense` gives them.
        """
        texts, pairs = self._checked(texts, pairs, prompt)
        if self.task in PER_TOKEN and texts:
            return self._run(self._encode(texts, pairs))
        return self._stacked(self._each(texts, pairs, None, lambda row, *rest: row))

    def dense(self, batch: dict) -> np.ndarray:
        """The output at every place, of a batch of arrays or tensors as tokenizers give them.

        (B, C); tokens (B, T, C); question-answering (B, 2, T), start and end; fill-mask (B, T, V);
        embedding (B, d).
        """
        for name in ("input_ids", "attention_mask"):
            if name not in batch:
                raise ValueError(f"batch: has no {name}")
        inputs = (batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids"))
        return self.run(*(x.cpu() if hasattr(x, "cpu") else x for x in inputs))

    def run(self, ids, mask, types=None) -> np.ndarray:
        """`dense` of token ids, attention mask and, where the model has them, token types, (B, T)
        each; types left out are 0.
        """
        try:
            ids, mask = np.asarray(ids, np.int64), np.asarray(mask, np.int64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"ids: they or the mask are no numbers in equal rows: {error}"
            ) from error
        if ids.size and ids.min() < 0:  # would count from the vocabulary's end
            raise ValueError(f"ids: has {ids.min()}, must be at least 0")
        feed = {"input_ids": ids, "attention_mask": mask}
        if types is not None and np.asarray(types).any() and "token_type_ids" not in self._inputs:
            raise ValueError("types: are not 0, and the model was exported without token types")
        if "token_type_ids" in self._inputs:
            types = np.zeros_like(ids) if types is None else types
            feed["token_type_ids"] = np.asarray(types, np.int64)
        try:
            return self.session.run(None, feed)[0]
        except Exception as error:  # onnxruntime has a dozen kinds, without a common one
            raise ValueError(
                f"ids: {self.file.name} cannot run on token ids of shape {ids.shape}: "
                f"{_first_line(error)}"
            ) from error

    def as_transformers(self):
        """Its tokenizer, as transformers has them: what it gives is what is served."""
        from transformers import PreTrainedTokenizerFast  # only who measures has it

        names = ["input_ids", "attention_mask", "token_type_ids"]
        return PreTrainedTokenizerFast(
            tokenizer_object=self._plain_tokenizer(),
            model_max_length=self.max_length,
            truncation_side=self.settings["truncation_side"],
            padding_side=self.settings["padding_side"],
            pad_token_type_id=self.settings["pad_type_id"],
            model_input_names=names if self.settings["token_types"] else names[:2],
            **self.settings["special_tokens"],
        )

    # --- from texts to outputs ---

    def _each(self, texts, pairs, prompt, answer) -> list:
        """answer(output, encoding, text, pair) of each text; texts of like length run together."""
        texts, pairs = self._checked(texts, pairs, prompt)
        size = lambda i: len(texts[i]) + (len(pairs[i]) if pairs else 0)
        order, step = sorted(range(len(texts)), key=size), self._texts_a_run()
        answers = [None] * len(texts)
        for start in range(0, len(order), step):
            places = order[start : start + step]
            pick = lambda values: values and [values[i] for i in places]
            encoded = self._encode(pick(texts), pick(pairs))
            for i, row, encoding in zip(places, self._run(encoded), encoded):
                answers[i] = answer(row, encoding, texts[i], pairs and pairs[i])
        return answers

    def _stacked(self, rows: list[np.ndarray]) -> np.ndarray:
        """Also of no rows at all."""
        shape = [n if isinstance(n, int) else 0 for n in self.session.get_outputs()[0].shape]
        return np.stack(rows) if rows else np.zeros(shape, np.float32)

    def _texts_a_run(self) -> int:
        """Fewer than 32 where every token has a logit for each piece: memory."""
        shape = self.session.get_outputs()[0].shape
        width = shape[-1] if len(shape) == 3 and isinstance(shape[-1], int) else 1
        return max(1, min(BATCH, LARGEST // (self.max_length * width)))

    def _checked(self, texts, pairs, prompt) -> tuple[list[str], list[str] | None]:
        texts = _texts("texts", texts)
        if prompt is not None:
            if not isinstance(prompt, str) or prompt not in self.prompts:
                raise ValueError(f"prompt: is {prompt!r}, must be one of {sorted(self.prompts)}")
            texts = [self.prompts[prompt] + text for text in texts]
        if pairs is None:
            if self.task == "question-answering":
                raise ValueError("pairs: are missing, must hold the context of each question")
            return texts, None
        if self.task in NO_PAIRS:
            raise ValueError(f"pairs: are given, task {self.task!r} takes single texts")
        pairs = _texts("pairs", pairs)
        if len(pairs) != len(texts):
            raise ValueError(f"pairs: are {len(pairs)}, must be as many as texts: {len(texts)}")
        return texts, pairs

    def _encode(self, texts: list[str], pairs: list[str] | None) -> list:
        try:
            return self.tokenizer.encode_batch(texts if pairs is None else list(zip(texts, pairs)))
        except Exception as error:  # tokenizers raises bare ones
            what = "texts" if pairs is None else "texts and pairs"
            raise ValueError(
                f"{what}: cannot be cut to {self.max_length} tokens: {_first_line(error)}"
            ) from error

    def _run(self, encoded: list) -> np.ndarray:
        of = lambda name: [getattr(e, name) for e in encoded]
        out = self.run(of("ids"), of("attention_mask"), of("type_ids"))
        if not np.isfinite(out).all():
            raise ValueError(f"folder: {str(self.file)!r} gives numbers that are not finite")
        return out

    # --- from outputs to answers: the output of one text, its encoding, the texts ---

    def _classification(self, row, *rest) -> tuple[str, float]:
        shares = _softmax(row)
        return self.labels[shares.argmax()], float(shares.max())

    def _multi_label(self, row, *rest) -> list[tuple[str, float]]:
        shares = _sigmoid(row)
        return [(name, float(p)) for name, p in zip(self.labels, shares) if p >= 0.5]

    def _regression(self, row, *rest) -> float | list[float]:
        values = (_sigmoid(row) if self.settings["activation"] == "sigmoid" else row).tolist()
        return values[0] if len(values) == 1 else values

    def _tokens(self, row, encoding, text, pair) -> list[tuple[str, str, int, int]]:
        words, last = [], None  # (tag, start, end)
        for tag, word, (start, end) in zip(row.argmax(-1), encoding.word_ids, encoding.offsets):
            if word is not None and word == last:
                words[-1] = (*words[-1][:2], end)
            elif word is not None:
                words.append((self.labels[tag], start, end))
            last = word
        found = []
        for kind, start, end in _spans(words):
            start += len(text[start:end]) - len(text[start:end].lstrip(EDGES))
            end = start + len(text[start:end].rstrip(EDGES))
            if start < end:
                found.append((kind, text[start:end], start, end))
        return found

    def _question_answering(self, row, encoding, text, pair) -> tuple[str, float]:
        places = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
        if not places:
            return "", 0.0
        first, last = _softmax(row[:, places])
        together = np.tril(np.triu(first[:, None] * last), LONGEST_ANSWER - 1)
        a, b = divmod(int(together.argmax()), len(places))
        start, end = encoding.offsets[places[a]][0], encoding.offsets[places[b]][1]
        return pair[start:end].strip(), float(together[a, b])

    def _fill_mask(self, row, encoding, text, pair) -> list[list[tuple[str, float]]]:
        mask = self.settings["special_tokens"]["mask_token"]
        if mask not in text and mask not in (pair or ""):
            raise ValueError(f"texts: {text[:40]!r} has no {mask} to fill")
        places = [i for i, piece in enumerate(encoding.tokens) if piece == mask]
        answers = []
        for shares in _softmax(row[places]):
            best = np.argsort(-shares, kind="stable")[:GUESSES].tolist()
            answers.append([(self._piece(i), float(shares[i])) for i in best])
        return answers

    def _piece(self, i: int) -> str:
        """The piece as it reads in a text."""
        plain = self.tokenizer.decode([i], skip_special_tokens=False).strip()
        return plain or self.tokenizer.id_to_token(i) or str(i)

    def _embedding(self, row, *rest) -> np.ndarray:
        return row

    # --- opening ---

    def _plain_tokenizer(self) -> Tokenizer:
        return _read(self._tokenizer_file, lambda file: Tokenizer.from_file(str(file)))

    def _check_files(self) -> None:
        """`ValueError` for a file that is not as it was written."""
        known = self.settings.get("files")
        again = "quantize_onnx" if "int8" in self.file.name else "export_onnx"

        def compare(file: Path) -> None:
            named = isinstance(known, dict) and file.name in known
            if named and checksum(file) != known[file.name]:
                raise ValueError(f"its checksum is not that of when it was written: run {again}")

        data = Path(f"{self.file}.data")
        for file in (self.file, self._tokenizer_file, *([data] if data.is_file() else [])):
            _read(file, compare)

    def _check_session(self) -> None:
        """`ValueError` where model, settings and tokenizer do not belong together."""
        self._inputs = [x.name for x in self.session.get_inputs()]
        marked = self.session.get_modelmeta().custom_metadata_map.get("export")
        if marked != self.settings["export"]:
            again = "quantize_onnx" if "int8" in self.file.name else "export_onnx"
            raise ValueError(
                f"folder: {str(self.file)!r} is not of the export that settings.json is of: run "
                f"{again} again"
            )
        width = self.session.get_outputs()[0].shape[-1]
        if self.labels is not None and len(self.labels) != width:
            raise ValueError(
                f"folder: settings.json in {str(self.file.parent)!r} has {len(self.labels)} "
                f"labels, {self.file.name} has {width} outputs"
            )


def checksum(file: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with open(file, "rb") as content:
        while part := content.read(2**22):
            found = crc32(part, found)
    return found


def sealed(settings: dict) -> int:
    """CRC-32 of settings, but for their own."""
    rest = {name: value for name, value in settings.items() if name != "checksum"}
    return crc32(json.dumps(rest, sort_keys=True).encode())


def _place(folder: Path, name: str) -> Path:
    """Where a file of the folder is: a save that was interrupted once it was decided keeps what it
    has still to move in a hidden folder.
    """
    waiting = sorted(folder.glob(".pruning-lessons-saved-*"), reverse=True)
    found = [place / name for place in waiting if (place / name).is_file()]
    return found[0] if found else folder / name


def _session(file: Path, threads: int | None):
    options = onnxruntime.SessionOptions()
    # Threads wait busily inside a run, where they are needed again at once, and sleep after it:
    # else they would slow down whatever the machine does next, a second model beside this one too.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads:
        options.intra_op_num_threads = int(threads)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _settings(file: Path) -> dict:
    """What `export_onnx` wrote about labels and tokens. `ValueError` if it is not that."""
    settings = _read(file, lambda file: json.loads(file.read_text("utf-8")))
    whole = lambda value: type(value) is int and value >= 0
    text = lambda value: isinstance(value, str)
    texts = lambda value: isinstance(value, list) and all(map(text, value))
    named = lambda value: isinstance(value, dict) and all(map(text, value.values()))
    sides = ("left", "right").__contains__
    must = {
        "task": tuple(PARTS).__contains__,
        "labels": lambda value: value is None or texts(value),
        "export": text,
        "max_length": lambda value: whole(value) and value > 0,
        "truncation": ("longest_first", "only_second").__contains__,
        "truncation_side": sides,
        "padding_side": sides,
        "pad_id": whole,
        "pad_token": text,
        "pad_type_id": whole,
        "token_types": lambda value: isinstance(value, bool),
        "special_tokens": named,
        "prompts": named,
        "activation": (None, "sigmoid").__contains__,
    }
    place = f"folder: {file.name} in {str(file.parent)!r}"
    if not isinstance(settings, dict):
        raise ValueError(f"{place} holds no settings: run export_onnx again")
    for name, fits in must.items():
        if name not in settings:
            raise ValueError(f"{place} has no {name}: run export_onnx again")
        if not fits(settings[name]):
            value = repr(settings[name])[:60]
            raise ValueError(f"{place} has {name} {value}: run export_onnx again")
    if settings["task"] == "fill-mask" and "mask_token" not in settings["special_tokens"]:
        raise ValueError(f"{place} names no mask_token: run export_onnx again")
    if settings["task"] in NAMED and settings["labels"] is None:
        raise ValueError(f"{place} has no labels: run export_onnx again")
    return settings


def _read(file: Path, reader):
    """`ValueError` with file and reason if it is missing or damaged, whatever its reader raises."""
    try:
        if not file.is_file():
            raise FileNotFoundError("there is no such file")
        return reader(file)
    except BaseException as error:
        # a panic of the tokenizers is no Exception; Ctrl-C is none of ours
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(
            f"folder: {file.name} in {str(file.parent)!r} cannot be read: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _texts(name: str, texts) -> list[str]:
    """`TypeError` unless these are texts, `ValueError` for one that is no Unicode."""
    if isinstance(texts, (str, bytes, dict)) or not isinstance(texts, Iterable):
        kind = "one text" if isinstance(texts, str) else f"a {type(texts).__name__}"
        raise TypeError(f"{name}: is {kind}, must be a list of texts")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}: number {i} is a {type(text).__name__}, must be a text")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: number {i} is no valid Unicode: {error.reason}") from error
    return texts


def _softmax(x: np.ndarray) -> np.ndarray:
    shares = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True, initial=-np.inf))
    return shares / shares.sum(-1, keepdims=True)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x.astype(np.float64)))


def _spans(words: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """(type, start, end) of each span, from words' tags; what seqeval's default mode finds."""
    spans, before = [], None  # before: prefix and type of the word before, None outside
    for tag, start, end in words:
        match = re.fullmatch("([BIES])(?:-(.*))?", tag)
        prefix, kind = (match[1], match[2] or "_") if match else ("I", tag)
        if tag == "O":
            before = None
            continue
        if before and before[1] == kind and before[0] in "BI" and prefix in "IE":
            spans[-1] = (kind, spans[-1][1], end)
        else:
            spans.append((kind, start, end))
        before = prefix, kind
    return spans


# --- the script ---


def _arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    parser.add_argument("texts", nargs="*", help="texts; without any, the lines of stdin")
    parser.add_argument(
        "--pair",
        action="append",
        metavar="TEXT",
        help="the second text, such as a question's context: one for all texts, or one for each; "
        "on stdin it follows a tab",
    )
    parser.add_argument("--prompt", metavar="NAME", help="the prompt that an embedder puts before")
    parser.add_argument("--int8", action="store_true", help="the model in 8 bits")
    parser.add_argument("--threads", type=int, metavar="N", help="how many threads may compute")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


def _lines(task: str) -> tuple[list[str], list[str] | None]:
    """Texts and pairs from stdin; empty lines are left out. `ValueError` for lines of two kinds."""
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if task in NO_PAIRS or not any("\t" in line for _, line in rows):
        return [line for _, line in rows], None
    odd = [number for number, line in rows if line.count("\t") != 1]
    if odd:
        raise ValueError(f"stdin: lines {odd[:10]} are no two texts with one tab between them")
    texts, pairs = zip(*(line.split("\t") for _, line in rows))
    return list(texts), list(pairs)


def _shown(answer) -> str:
    """An answer, to be read by people."""
    if isinstance(answer, tuple) and len(answer) == 4:
        kind, text, start, end = answer
        return f"{text} ({kind}, {start} to {end})"
    if isinstance(answer, tuple):
        return f"{answer[0]} ({answer[1]:.0%})"
    if isinstance(answer, np.ndarray):
        return f"{' '.join(f'{x:.4f}' for x in answer[:6])} … ({len(answer)} numbers)"
    if isinstance(answer, list):
        between = "; " if answer and isinstance(answer[0], list) else ", "
        return between.join(map(_shown, answer)) or "nothing"
    return f"{answer:.4f}"


def _named(answer, parts: tuple[str, ...]):
    """An answer, to be read by machines."""
    if isinstance(answer, tuple):
        return dict(zip(parts, answer))
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    return [_named(a, parts) for a in answer] if isinstance(answer, list) else answer


def main(folder: Path) -> None:
    """Answer the texts of the command line, or of stdin; errors are one line and status 1."""
    for stream in (sys.stdin, sys.stdout):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    parser = argparse.ArgumentParser(description="Answer texts with the model of this folder.")
    options = _arguments(parser)
    if not options.texts and (sys.stdin is None or sys.stdin.isatty()):
        parser.error("there is no text")
    try:
        model = OnnxModel(folder, options.int8, options.threads)
        texts, pairs = (options.texts, None) if options.texts else _lines(model.task)
        if not texts:
            parser.error("there is no text")
        if options.pair:
            pairs = options.pair * len(texts) if len(options.pair) == 1 else options.pair
        answers = model(texts, pairs, options.prompt)
        for text, pair, answer in zip(texts, pairs or [None] * len(texts), answers):
            if options.json:
                asked = {"text": text} if pair is None else {"text": text, "pair": pair}
                answer = _named(answer, PARTS[model.task])
                print(json.dumps(asked | {"answer": answer}, ensure_ascii=False))
            else:
                print(f"{text if pair is None else f'{text} | {pair}'} → {_shown(answer)}")
    except (TypeError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


OnnxClassifier = OnnxModel  # its former name

if __name__ == "__main__":
    main(Path(__file__).absolute().parent)
