"""Fine-tune the base on intents and fill-mask at once: `python scripts/train_checkpoint.py`.

One encoder, two heads. Three fifths of the sentences have a fifth of their pieces masked:
the fill-mask head predicts those, the intents head classifies every sentence. Word embeddings
stay frozen, so that languages without training sentences keep their place beside the others.
Resumes after an interruption. Writes `pruning_lessons/assets/checkpoint/`.
"""

import argparse
import csv
import json
import random
import time
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
    get_scheduler,
)

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "pruning_lessons" / "assets" / "checkpoint"


def read(split: str) -> list[dict]:
    with open(
        ROOT / "pruning_lessons/assets/data/intents.tsv", encoding="utf-8", newline=""
    ) as file:
        return [
            row
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["split"] == split
        ]


def batches(ids: list[list[int]], size: int, rng: random.Random):
    """Shuffled batches of indices; sentences of like length share a batch, which saves padding."""
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), rng.random()))
    found = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(found)
    return found


def pad(rows: list[list[int]], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(r) for r in rows], batch_first=True, padding_value=value
    )


def mask_pieces(ids: torch.Tensor, mask_id: int, generator: torch.Generator):
    """(masked ids, labels): a fifth of the pieces of three sentences in five become <mask>; other
    labels are -100.
    """
    chosen = torch.rand(ids.shape, generator=generator) < 0.2
    chosen &= (torch.rand(len(ids), 1, generator=generator) < 0.6) & (ids > 3)
    return torch.where(chosen, mask_id, ids), torch.where(chosen, ids, -100)


@torch.no_grad()
def accuracy(classifier, ids, labels, size=64) -> float:
    classifier.eval()
    hits = 0
    for batch in batches(ids, size, random.Random(0)):
        x = pad([ids[i] for i in batch], 1)
        hits += (
            (
                classifier(x, attention_mask=x != 1).logits.argmax(-1)
                == torch.tensor([labels[i] for i in batch])
            )
            .sum()
            .item()
        )
    return hits / len(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, default=ROOT / "build" / "base")
    parser.add_argument("--state", type=Path, default=ROOT / "build" / "training.pt")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument(
        "--bf16", action="store_true", help="bfloat16 autocast, where the CPU has it"
    )
    parser.add_argument("--steps", type=int, help="stop after so many steps, to measure speed")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    tokenizer = AutoTokenizer.from_pretrained(args.base)
    train, validation = read("train"), read("validation")
    names = sorted({row["intent"] for row in train})
    encode = lambda rows: (
        tokenizer([r["text"] for r in rows], truncation=True, max_length=48).input_ids
    )
    label = lambda rows: [names.index(r["intent"]) for r in rows]
    ids, labels, val_ids, val_labels = (
        encode(train),
        label(train),
        encode(validation),
        label(validation),
    )

    config = XLMRobertaConfig.from_pretrained(
        args.base,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={n: i for i, n in enumerate(names)},
    )
    classifier = XLMRobertaForSequenceClassification(config)
    base = XLMRobertaModel.from_pretrained(args.base, add_pooling_layer=False)
    classifier.roberta.load_state_dict(base.state_dict())
    filler = XLMRobertaForMaskedLM(config)
    filler.roberta = classifier.roberta  # one encoder, two heads
    filler.tie_weights()
    embeddings = classifier.roberta.embeddings.word_embeddings.weight
    assert filler.lm_head.decoder.weight is embeddings
    embeddings.requires_grad_(False)

    both = torch.nn.ModuleList([classifier, filler])
    parameters = {id(p): p for p in both.parameters() if p.requires_grad}
    encoder = {id(p) for p in classifier.roberta.parameters()}
    optimizer = torch.optim.AdamW(  # the new heads learn faster
        [
            {"params": [p for i, p in parameters.items() if i in encoder]},
            {
                "params": [p for i, p in parameters.items() if i not in encoder],
                "lr": 5 * args.learning_rate,
            },
        ],
        lr=args.learning_rate,
        weight_decay=0.01,
    )
    total = args.epochs * -(-len(ids) // args.batch_size)
    schedule = get_scheduler(
        "cosine", optimizer, num_warmup_steps=total // 10, num_training_steps=total
    )
    first = 0
    if args.state.exists() and not args.steps:
        state = torch.load(args.state, weights_only=True)
        both.load_state_dict(state["model"]), optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"]

    for epoch in range(first, args.epochs):
        rng, generator = (
            random.Random(args.seed + epoch),
            torch.Generator().manual_seed(args.seed + epoch),
        )
        both.train()
        start, seen, running = time.perf_counter(), 0, []
        for step, batch in enumerate(batches(ids, args.batch_size, rng)):
            x = pad([ids[i] for i in batch], tokenizer.pad_token_id)  # (batch, T)
            masked, wanted = mask_pieces(x, tokenizer.mask_token_id, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                hidden = classifier.roberta(
                    masked, attention_mask=x != tokenizer.pad_token_id
                ).last_hidden_state
                logits = classifier.classifier(hidden).float()
                pieces = filler.lm_head(hidden[wanted >= 0]).float()  # only the masked places
            loss = torch.nn.functional.cross_entropy(
                logits, torch.tensor([labels[i] for i in batch]), label_smoothing=0.05
            )
            if len(pieces):
                loss = loss + 0.5 * torch.nn.functional.cross_entropy(pieces, wanted[wanted >= 0])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            optimizer.step(), schedule.step()
            seen += len(batch)
            running.append(loss.item())
            if step % 100 == 99 or step + 1 == args.steps:
                print(
                    f"epoch {epoch + 1} step {step + 1} loss "
                    f"{sum(running[-100:]) / len(running[-100:]):.3f} "
                    f"{seen / (time.perf_counter() - start):.0f} sentences/s",
                    flush=True,
                )
            if step + 1 == args.steps:
                return
        print(
            f"epoch {epoch + 1}: validation accuracy "
            f"{accuracy(classifier, val_ids, val_labels):.4f}",
            flush=True,
        )
        partial = args.state.with_suffix(".partial")
        torch.save(
            {
                "model": both.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch + 1,
            },
            partial,
        )
        partial.replace(args.state)

    write(classifier, filler, tokenizer, config, args)


def write(classifier, filler, tokenizer, config, args):
    """One folder for both tasks: half precision, shards below 45 MB, saved by transformers."""
    state = {f"roberta.{k}": v for k, v in classifier.roberta.state_dict().items()}
    state |= {f"classifier.{k}": v for k, v in classifier.classifier.state_dict().items()}
    state |= {
        f"lm_head.{k}": v
        for k, v in filler.lm_head.state_dict().items()
        if not k.startswith("decoder")
    }
    state = {k: v.half().contiguous() for k, v in state.items() if v.is_floating_point()}
    config.architectures, config.dtype = ["XLMRobertaForSequenceClassification"], torch.float16
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("model*"):
        old.unlink()
    classifier.half().save_pretrained(OUT, state_dict=state, max_shard_size="44MB")
    tokenizer.save_pretrained(OUT)
    for file in OUT.iterdir():
        file.chmod(0o644)
    (OUT / "training.json").write_text(
        json.dumps(
            {
                "epochs": args.epochs,
                "batch size": args.batch_size,
                "peak learning rate": args.learning_rate,
                "seed": args.seed,
                "bfloat16": args.bf16,
                "torch": torch.__version__.split("+")[0],
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
