"""Write `README.md` from `results.json`: `python benchmarks/report.py`."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def table(head: list[str], rows) -> str:
    lines = [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join(["---"] + ["---:"] * (len(head) - 1)) + " |",
    ]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def write(r: dict) -> None:
    front = table(
        ["MACs kept", "accuracy kept", "zero-shot kept", "seconds"],
        [
            (
                f"{x['macs']:.1%}",
                f"{x['kept']:.1%}",
                f"{x['kept_zero_shot']:.1%}",
                f"{x['seconds']:.0f}",
            )
            for x in r["front"]
        ],
    )
    languages = sorted(r["unpruned"]["by_language"])
    chosen = [x for x in r["front"] if x["keep"] in (0.5, 0.33, 0.25)]
    by_language = table(
        ["language", "unpruned", *(f"{x['keep']:.0%} of MACs" for x in chosen)],
        [
            (
                k,
                f"{r['unpruned']['by_language'][k]:.1%}",
                *(f"{x['by_language'][k]:.1%}" for x in chosen),
            )
            for k in languages
        ],
    )
    budgets = sorted({x["keep"] for x in r["peers"]}, reverse=True)
    methods = list(dict.fromkeys(x["method"] for x in r["peers"]))
    cell = {(x["method"], x["keep"]): f"{x['kept']:.1%} ({x['macs']:.2f})" for x in r["peers"]}
    peers = table(
        ["method", *(f"{k:.0%}" for k in budgets)],
        [(m, *(cell.get((m, k), "not run") for k in budgets)) for m in methods],
    )
    speed = table(
        ["batch", "MACs, times fewer", "measured, times faster", "share"],
        [
            (x["batch"], f"{x['mac_reduction']:.2f}", f"{x['speed_up']:.2f}", f"{x['share']:.2f}")
            for x in r["speed"]
        ],
    )
    s, u = r["setting"], r["unpruned"]
    (HERE / "README.md").write_text(
        f"""# Benchmarks

Written by `make benchmark` (`benchmarks/run.py`), torch {s["torch"]}, {s["threads"]} threads, {s["date"]}. Absolute times
depend on the machine; everything here is from one run. The embedded checkpoint has {u["test"]:.1%} of the test sentences
right (ten trained languages) and {u["zero_shot"]:.1%} of the zero-shot ones (twelve languages never trained on). Accuracy
kept is a share of those, on {s["test sentences"]:,} and {s["zero-shot sentences"]:,} sentences. Scores, repair, mask tuning
and all peers use the same {s["calibration sentences"]:,} training sentences; no method trains by gradients after pruning. MACs are the encoder's, for 24 tokens.

## The front

`importance` (fisher) → `select(keep_macs=…)` → `prune` → `repair`; seconds for all of it.

{front}

{by_language}

What limits it: repair refits the output matrices of attention and feed-forward parts; queries, keys, values and the first feed-forward
matrices stay as they were cut, so below a quarter of the MACs training has to take over (lesson 07). And the calibration sentences are of the
trained languages alone, so the zero-shot ones fall first.

## Beside others

Share of the accuracy kept at a budget; in brackets the share of MACs that the method really kept.

{peers}

- *without repair*: masks from the same scores, rearranged. *Kwon et al. 2022*: search, rearrangement and mask tuning, written from the paper (`kwon.py`).
- *Torch-Pruning*: first-order Taylor importance, heads and neurons, the same share in each layer. *TextPruner*: iterative, four
  steps, uneven layers where that runs, else even; it needs transformers 4.57.6, so it runs in an environment of its own.
- *taylor*, *magnitude*, *random*: the best share of the heads and of the neurons over all layers, by that score.

## Speed follows the cut

XLM-RoBERTa base proportions, random weights, 128 tokens, half of the encoder's MACs, neurons in multiples of 16.

{speed}

## Price of the scores

Scoring all heads, neurons and layers takes {r["scoring"]["ratio"]:.2f} times as long as one plain forward and backward pass over the same
sentences (weights need no gradients for it, only gates).
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    write(json.loads((HERE / "results.json").read_text("utf-8")))
