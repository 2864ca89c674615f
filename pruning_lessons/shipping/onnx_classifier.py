"""Classify sentences with an exported model. Needs onnxruntime, tokenizers and NumPy, nothing else:

python classify.py "turn on the light"
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class OnnxClassifier:
    """A folder that `export_onnx` wrote; `classifier(["turn on the light"])` gives [(label,
    probability)].

    quantized: use the int8 model that `quantize_onnx` wrote. threads: how many onnxruntime may use.
    Raises `ValueError` if the folder has no such model.
    """

    def __init__(self, folder, quantized: bool = False, threads: int | None = None):
        folder = Path(folder)
        file = folder / ("model-int8.onnx" if quantized else "model.onnx")
        if not file.is_file():
            raise ValueError(
                f"folder: {str(folder)!r} has no {file.name}: run "
                f"{'quantize_onnx' if quantized else 'export_onnx'}"
            )
        settings = json.loads((folder / "settings.json").read_text("utf-8"))
        self.labels = settings["labels"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(settings["max_length"])
        self.tokenizer.enable_padding(pad_id=settings["pad_id"], pad_token=settings["pad_token"])
        options = onnxruntime.SessionOptions()
        # Threads wait busily inside a run, where they are needed again at once, and sleep after it:
        # else they would slow down whatever the machine does next, a second model beside this one
        # too.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if threads:
            options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, texts: list[str]) -> np.ndarray:
        """(texts, labels), float32."""
        encoded = self.tokenizer.encode_batch(list(texts))
        return self.run([e.ids for e in encoded], [e.attention_mask for e in encoded])

    def run(self, ids, mask) -> np.ndarray:
        """(texts, labels) from token ids and attention mask, both (texts, T)."""
        return self.session.run(
            None,
            {"input_ids": np.asarray(ids, np.int64), "attention_mask": np.asarray(mask, np.int64)},
        )[0]

    def __call__(self, texts: list[str]) -> list[tuple[str, float]]:
        logits = self.logits(texts)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        return [(self.labels[i], float(row[i])) for row, i in zip(shares, shares.argmax(1))]


if __name__ == "__main__":
    classifier = OnnxClassifier(Path(__file__).parent)
    for text, (label, share) in zip(sys.argv[1:], classifier(sys.argv[1:])):
        print(f"{text} → {label} ({share:.0%})")
