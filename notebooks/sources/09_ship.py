# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Ship it
#
# **You will be able to** turn a model into an ONNX file with eight-bit weights that answers without PyTorch, say how much of the speed-up is
# due to the runtime, to int8 and to pruning, and show in one honest picture how fast and how accurate each version is.
#
# {minutes, 2 computing}
# Lesson 08 comes first.
#
# “Our model is eight times as fast after pruning.” A sentence like this can mislead even when every number in it was
# measured: often three things changed between the first measurement and the second, the runtime, the size of the numbers, and the size of
# the model. In this lesson you change one at a time.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import copy
import json
import subprocess
import sys
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch

import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# Two models will be compared throughout: the whole one, and one with a third of its [MACs](glossary.md#mac), made by `pl.compress` as in lesson 08.
# `right` says for each sentence whether it was answered correctly, so that models can be compared in pairs. It also takes exported models.

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
calibration = pl.load_intents("train", limit=384, seed=SEED)
validation = pl.load_intents("validation", limit=400, seed=SEED).by_length()
unseen = pl.load_intents("zero_shot", limit=400, seed=SEED).by_length()
pruned = pl.compress(model, tokenizer, calibration, keep_macs=0.33, multiple=8, seed=SEED)


@torch.no_grad()
def logits(m, data=validation):
    """(sentences, labels), of a model in PyTorch or of an exported one."""
    run = m.dense if hasattr(m, "session") else lambda batch: pl.outputs(m, batch)
    batches = data.batches(tokenizer, batch_size=50)
    return torch.cat([torch.as_tensor(run(batch)) for batch in batches])


def right(m, data=validation):
    return logits(m, data).argmax(-1) == torch.as_tensor(data.labels)


# %% [markdown]
# ## Eight bits
#
# PyTorch keeps a weight in 32 bits. [Quantisation](glossary.md#quantisation) to [int8](glossary.md#int8) stores it as a whole number from −127 to 127, with one scale $s_i$ for each row:
#
# $$q_{ij} = \mathrm{round}\!\left(\frac{w_{ij}}{s_i}\right) \qquad s_i = \frac{\max_j |w_{ij}|}{127} \qquad w_{ij}\approx s_i\,q_{ij}$$
#
# That is a quarter of the bytes, and processors that have instructions for it (VNNI, AMX, ARM's dot product) multiply small whole numbers faster.
# But 384 different numbers in a row are squeezed onto 255 steps. What does that do to the answers?

# %%
pl.quiz("09.guess_flips")

# %% [markdown]
# **Exercise 1. Eight bits by hand** (easy, 8 minutes). Round each row of a matrix to whole numbers from −127 to 127 with a scale of its own, and return the weights as they
# are after that, $s_i\,q_{ij}$. A row of zeros stays zero. You will run the whole model through your function.
#
# <details><summary>Hint</summary>Divide by the scale, round, multiply by the scale. The scales are a column, one for each row. Take care not to divide by zero.</details>

# %%
def int8(weight):
    """weight: (out, in) → the rounded weights, same shape."""
    # solution
    scale = weight.abs().amax(dim=1, keepdim=True) / 127       # (out, 1)
    return (weight / scale.clamp(min=1e-12)).round() * scale
    # end


# %% tags=["nbval-check-output"]
int8 = pl.check("09.int8", int8)

# %% [markdown]
# Take one matrix of the model first, with two cheaper ways beside yours: one scale for the whole matrix, and 4 bits, with whole numbers from −7 to 7.

# %%
def one_scale(weight):
    scale = weight.abs().max() / 127
    return (weight / scale).round() * scale


def int4(weight):
    scale = (weight.abs().amax(dim=1, keepdim=True) / 7).clamp(min=1e-12)
    return (weight / scale).round() * scale


matrix = model.base_model.encoder.layer[0].intermediate.dense.weight.detach()
tops = matrix.abs().amax(dim=1)                            # the largest size in each row
print(f"the largest weight of a row: from {tops.min():.2f} to {tops.max():.2f}")
for name, rounding in (("int8", int8), ("one scale", one_scale), ("int4", int4)):
    error = (rounding(matrix) - matrix).norm() / matrix.norm()
    print(f"{name:9} relative error {error:.2%}")

# %%
row = int(tops.argsort()[len(tops) // 10])                 # a row of small weights
pl.figures.stairs(matrix[row],
                  {"int8, a scale a row": int8(matrix)[row],
                   "int8, one scale": one_scale(matrix)[row], "int4": int4(matrix)[row]},
                  title="A row of small weights, near zero")

# %% [markdown]
# A staircase is what rounding looks like. A single large weight, an outlier, stretches its scale and widens the steps of everything
# that shares it. That is why each row has a scale of its own: then an outlier hurts its own row only.
#
# Now round all matrices and all tables of embeddings, with a scale for each row. How many answers change?

# %%
def stored(m, rounding):
    """A copy of m whose matrices and tables went through `rounding`."""
    twin = copy.deepcopy(m)
    for module in twin.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
            module.weight.data = rounding(module.weight.data)
    return twin


# %%
asked = (validation, unseen)
answers = [logits(model, data).argmax(-1) for data in asked]


def changed(m):
    """The share of the whole model's answers that are others now: trained, zero-shot."""
    return [(logits(m, data).argmax(-1) != before).float().mean().item()
            for data, before in zip(asked, answers)]


flips = {}
for name, rounding in (("int8", int8), ("one scale", one_scale), ("int4", int4)):
    flips[name] = changed(stored(model, rounding))
pl.table([("answers that change", "trained languages", "zero-shot"),
          *((name, *(f"{share:.1%}" for share in row)) for name, row in flips.items())])

# %% tags=["nbval-check-output"]
pl.claim("int8 changes at most one answer in fifty, in the languages it was trained on",
         flips["int8"][0] <= 0.02)
pl.claim("int4 changes more answers than int8", min(flips["int4"]) > max(flips["int8"]))

# %% [markdown]
# Rounding errors go up about as often as down, and in a sum of hundreds of products most of them cancel. So int8 weights are nearly free here, on 400
# sentences of each kind, if every row has its own scale. One scale for a whole matrix is not free, and neither are four bits in this plain form.
# (Formats with 4 bits that work give every 32 to 128 weights a scale of their own.)
#
# <details><summary>Activations, and why the exported weights go to 63 only</summary>
#
# A matrix product has two factors. <code>pl.quantize_onnx</code> also rounds the activations, to whole numbers from 0 to 255, with a scale that is found while
# the model runs: <a href="glossary.md#dynamic-quantisation">dynamic quantisation</a>. It needs no calibration. But one scale serves a whole tensor of activations, so one large value makes the steps coarse for all the others.
#
# An x86 processor without VNNI adds two products of an activation and a weight in 16 bits, which end at 32,767. But 2 · 255 · 127 = 64,770: the sum is clipped, in silence, and only on some machines.
# 2 · 255 · 63 = 32,130 fits. So the course's files use weights up to 63, half of the steps, and no sum is clipped anywhere. (ONNX Runtime calls this <code>reduce_range</code>.)
# If an int8 model loses two points on one server and none on another, look here first.
#
# </details>

# %% [markdown]
# ## Export
#
# [ONNX](glossary.md#onnx) is a file format: a graph of operations that other runtimes can read. `pl.export_onnx` writes it with
# the tokenizer and a small `answer.py` beside it; `pl.quantize_onnx` adds the int8 version. We export both models.

# %%
folder = Path(tempfile.mkdtemp())
shipped = {}
for name, m in (("whole", model), ("pruned", pruned)):
    pl.quantize_onnx(pl.export_onnx(m, tokenizer, folder / name))
    for kind, quantized in (("ONNX", False), ("ONNX int8", True)):
        shipped[f"{name}, {kind}"] = pl.OnnxModel(folder / name, quantized, threads=2)
sizes = {f.name: f"{f.stat().st_size / 1e6:.2f} MB" for f in (folder / "pruned").iterdir()}
pl.table([("file", "size"), *sorted(sizes.items())])

# %% [markdown]
# Does the file answer as PyTorch does? And does it answer by itself? The second half of this cell starts another Python, which imports neither torch nor this package:

# %%
gap = (logits(shipped["pruned, ONNX"]) - logits(pruned)).abs().max()
print(f"ONNX and PyTorch: largest difference of the logits {gap:.0e}")
said = ["turn off the lamp in the kitchen", "Wie lange läuft der Timer noch?"]
script = str(folder / "pruned" / "answer.py")
served = subprocess.run([sys.executable, script, "--int8", *said],
                        capture_output=True, encoding="utf-8")
print(served.stdout)

# %% tags=["nbval-check-output"]
pl.claim("the exported model gives what PyTorch gives, to rounding", gap < 1e-3)

# %% [markdown]
# ## Before and after
#
# There are two models, in three forms each. Before you look:

# %%
pl.quiz("09.guess_first")

# %%
forms = {"whole, PyTorch": model, "whole, ONNX": shipped["whole, ONNX"],
         "whole, ONNX int8": shipped["whole, ONNX int8"], "pruned, PyTorch": pruned,
         "pruned, ONNX": shipped["pruned, ONNX"],
         "pruned, ONNX int8": shipped["pruned, ONNX int8"]}
trained = {name: right(m) for name, m in forms.items()}
zero_shot = {name: right(m, unseen) for name, m in forms.items()}


def megabytes(name):
    m = forms[name]
    return (m.file.stat().st_size if hasattr(m, "file") else pl.summary(m).bytes) / 1e6


# %%
one = pl.latency(forms, batch_size=1, threads=2, repeats=40).median
many = pl.latency(forms, batch_size=32, threads=2, repeats=4, warm_up=1).median
rows = [("model", "MB", "ms, batch 1", "ms, batch 32", "right", "zero-shot")]
for name in forms:
    rows.append((name, f"{megabytes(name):.0f}", f"{one[name]:.1f}", f"{many[name]:.0f}",
                 f"{trained[name].float().mean():.1%}",
                 f"{zero_shot[name].float().mean():.1%}"))
pl.table(rows)

# %% [markdown]
# On the trained languages the whole model in int8 is both faster and more accurate than the pruned model in PyTorch. Whoever prunes and stays in PyTorch pays
# accuracy for speed that another file format gives almost for free. Here is the way from the first row to the last, one step at a time:

# %%
WAY = ("whole, PyTorch", "whole, ONNX", "whole, ONNX int8", "pruned, ONNX int8")
pl.figures.ladder({"one sentence": {name: one[name] for name in WAY},
                   "a batch of 32": {name: many[name] for name in WAY}},
                  title="One change at a time")

# %%
def points(before, after, verdicts):
    """What a step changes, in points, with two standard errors: in pairs (lesson 08)."""
    d = verdicts[after].float() - verdicts[before].float()
    return f"{100 * d.mean():+.1f} ± {200 * d.std() / len(d) ** 0.5:.1f}"


STEPS = {"runtime": WAY[:2], "int8": WAY[1:3], "pruning": WAY[2:], "all": (WAY[0], WAY[3])}
rows = [("step", "batch 1", "batch 32", "points, trained", "points, zero-shot")]
for step, ends in STEPS.items():
    rows.append((step, *(f"× {ms[ends[0]] / ms[ends[1]]:.1f}" for ms in (one, many)),
                 *(points(*ends, verdicts) for verdicts in (trained, zero_shot))))
pl.table(rows)

# %%
pl.claim("for one sentence the whole model in int8 is faster than the pruned in PyTorch",
         one["whole, ONNX int8"] < one["pruned, PyTorch"])
pl.claim("runtime and int8 together give more speed than pruning to a third",
         one[WAY[0]] / one[WAY[2]] > one[WAY[2]] / one[WAY[3]])
both = {name: torch.cat([trained[name], zero_shot[name]]).float().mean() for name in WAY}
pl.claim("and cost at most a point and a half, over all 800 sentences",
         both[WAY[0]] - both[WAY[2]] <= 0.015)
pl.claim("pruning to a third costs more than runtime and int8 together",
         both[WAY[2]] - both[WAY[3]] > both[WAY[0]] - both[WAY[2]])

# %% [markdown]
# So of the speed-up in the last row, pruning gave only the factor in the row above, but it cost most of the lost points. (± is two standard errors of 400 pairs: a
# single step may have cost more than it seems, or less.)
#
# Do factors multiply? Take pruning's factor in PyTorch and the runtime's for the whole model, and compare their product with what the pruned model in ONNX reaches:

# %%
for name, ms in (("one sentence", one), ("a batch of 32", many)):
    cut = ms["whole, PyTorch"] / ms["pruned, PyTorch"]
    runtime = ms["whole, PyTorch"] / ms["whole, ONNX"]
    fact = ms["whole, PyTorch"] / ms["pruned, ONNX"]
    print(f"{name}: pruning × {cut:.1f}, runtime × {runtime:.1f}, "
          f"product {cut * runtime:.1f}, measured {fact:.1f}")

# %% [markdown]
# Sometimes the measured factor is larger than the product: PyTorch's overhead for each operation hides a part of the cut, and a lean runtime brings it out. Sometimes it is smaller,
# because the runtime has an overhead of its own. Measure the whole; do not multiply the parts. (These times are for this machine. Under `make lab` PyTorch's idle threads sleep, which
# is fair to whatever else is running, and makes a single sentence in PyTorch slower. On a GPU the runtime's factor is another one, and int8 needs a runtime that supports it there.)
#
# ## In what order?
#
# The order in which to *try* follows from what each step costs you:
#
# 1. **Export and int8**, on the whole model. This takes minutes of work, no training data, and about a point of accuracy at most. Measure. If the model is fast enough now, stop.
# 2. **Prune and repair** (`pl.compress`), as far as the budget still requires. This takes minutes of computing, some unlabelled sentences, and a few points at the depth shown here.
# 3. **Distil**, if that loss is too large. This takes thousands of sentences, and minutes to hours of training.
#
# The order in which to *make* the model that ships is another one: choose, cut, repair, distil, then export, quantise, and measure what is served. Quantisation
# comes last because it rounds the weights, and nothing may change them afterwards. Try in the first order, make in the second.
#
# ## The bytes that are left
#
# After pruning and int8 close to half of the file is the table of word embeddings, which takes hardly any time and so was never touched. It is tempting to keep only the
# pieces that the training sentences use ([vocabulary trimming](glossary.md#vocabulary-trimming), lesson 02):

# %%
texts = pl.load_intents("train").sentences
trimmed, trimmed_tokenizer = pl.prune_vocabulary(pruned, tokenizer, texts)
rows = [("vocabulary", "pieces", "embeddings in int8, MB", "right", "zero-shot")]
for name, m, t in (("whole", pruned, tokenizer), ("trimmed", trimmed, trimmed_tokenizer)):
    scored = [f"{pl.evaluate(m, t, data).accuracy:.1%}" for data in (validation, unseen)]
    table = m.base_model.embeddings.word_embeddings.weight
    rows.append((name, f"{len(t):,}", f"{table.numel() / 1e6:.1f}", *scored))
pl.table(rows)

# %% [markdown]
# On the languages of the training sentences not much changes. The zero-shot languages fall far: many of their pieces are gone, and what is left spells
# their words letter by letter. If you do not serve these languages, those megabytes were free to save. If you do, saving them costs much of the accuracy there, and no test set
# of the trained languages would ever tell you.
#
# ## The front
#
# One model is one point: this fast, this accurate. A point is on the [Pareto front](glossary.md#pareto-front) if no other point beats it, and only those
# are worth discussing. Proper distillation takes longer than a lesson, so the points below were computed beforehand, by the command that the cell prints: the whole model and
# three budgets, pruned, repaired, distilled on 10,000 sentences, exported, and quantised to int8.

# %%
sweep = json.loads((files("pruning_lessons") / "assets/sweeps/combined.json").read_text())
print(f"{sweep['command']} | {sweep['date']} | torch {sweep['torch']} | "
      f"{sweep['threads']} threads")
print("sentences:", sweep["sentences"])
rows = [("MACs", "layers dropped", "repaired", "distilled", "ONNX int8", "MB, int8",
         "zero-shot, PyTorch and int8")]
for p in sweep["points"]:
    quantised = p["ONNX int8"]
    mended = f"{p['repaired']['test']:.1%}" if "repaired" in p else ""
    rows.append((f"{p['keep']:.0%}", p["drop"], mended, f"{p['distilled']['test']:.1%}",
                 f"{quantised['test']:.1%}", f"{quantised['megabytes']:.0f}",
                 f"{p['torch']['zero_shot']:.1%} and {quantised['zero_shot']:.1%}"))
pl.table(rows)

# %% [markdown]
# Read a row from left to right: it shows what was left after repair, what distillation won back, and what int8 cost.
#
# **Exercise 2. The front** (medium, 8 minutes). From a list of points (milliseconds, accuracy) return those that no other point beats, fastest first.
# A point is beaten if a different one is not slower and not less accurate. A point that appears twice is listed once. The picture below is drawn with your function.
#
# <details><summary>Hint</summary><code>any(…)</code> over all other points. A <code>set</code> removes duplicates.</details>

# %%
def front(points):
    """[(ms, accuracy), …] → the sorted list of those that are not beaten."""
    # solution
    def beaten(p):
        return any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
    return sorted(p for p in set(points) if not beaten(p))
    # end


# %% tags=["nbval-check-output"]
front = pl.check("09.front", front)

# %% [markdown]
# Here are the sweep's models, with trained languages on the left, and languages without a single training sentence on the right. The numbers are shares of MACs; hollow diamonds
# are models of earlier lessons, in which only one kind of part was cut, in PyTorch.

# %%
KINDS = {"torch": "PyTorch", "ONNX": "ONNX", "ONNX int8": "ONNX int8"}
SETS = {"trained languages": "test", "zero-shot languages": "zero_shot"}
panels = {where: {(p["keep"], name): (p[kind]["ms"]["1"], p[kind][data])
                  for p in sweep["points"] for kind, name in KINDS.items()}
          for where, data in SETS.items()}
WORDS = ("neurons", "heads", "layers")
alone = {word: p for p in sweep["others"] for word in WORDS if word in p["name"]}
others = {where: {word: (p["ms"]["1"], p[data]) for word, p in alone.items()}
          for where, data in SETS.items()}


# %%
@cache
def picture(ring):
    best = {where: front(list(found.values())) for where, found in panels.items()}
    n = {where: sweep["sentences"][data] for where, data in SETS.items()}
    return pl.figures.front(panels, best, n=n, others=others, ring=ring,
                            title="What a model costs, and what it knows")


picture(None)

# %% [markdown]
# The whiskers are two standard errors. Two models whose whiskers overlap widely have not been shown to differ, wherever the dotted line runs; and a front that is
# drawn through the best of many noisy points is a little too good. These claims hold in spite of the noise:

# %% tags=["nbval-check-output"]
found = {(p["keep"], kind): p[kind] for p in sweep["points"] for kind in KINDS}
first, whole_int8 = found[1.0, "torch"], found[1.0, "ONNX int8"]
noise = 2 * (first["test"] * (1 - first["test"]) / sweep["sentences"]["test"]) ** 0.5
pl.claim("the whole model in ONNX int8 is at least twice as fast as in PyTorch",
         first["ms"]["1"] / whole_int8["ms"]["1"] >= 2)
pl.claim("and loses less than chance may give", first["test"] - whole_int8["test"] < noise)
pl.claim("it is also faster than the model with half of the MACs in PyTorch",
         whole_int8["ms"]["1"] < found[0.5, "torch"]["ms"]["1"])

# %% [markdown]
# How many points can you spare? The ring marks the fastest model that loses no more than this on the validation sentences, and the text beneath the picture says where its speed
# comes from.

# %%
def affordable(spare):
    least = first["validation"] - spare / 100
    pick = min((p for p, v in found.items() if v["validation"] >= least),
               key=lambda p: found[p]["ms"]["1"])
    v, unpruned = found[pick], found[1.0, pick[1]]
    served, cut = (m["ms"]["1"] / v["ms"]["1"] for m in (first, unpruned))
    lost = ", ".join(f"{where} {100 * (v[data] - first[data]):+.1f} points"
                     for where, data in SETS.items())
    return [picture((pick[0], KINDS[pick[1]])),
            f"{pick[0]:.0%} of the MACs, {KINDS[pick[1]]}: batch 1 {served:.1f} times as "
            f"fast (runtime and int8 × {served / cut:.1f}, pruning × {cut:.1f}); {lost}."]


pl.explore(affordable, spare=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0])

# %% [markdown]
# The slider's steps are smaller than the whiskers: other validation sentences could order neighbours differently, and a model that seems to gain by pruning may owe it to them.
# Compare the two panels at every step. The languages that nobody labelled have no voice in the choice, since the validation sentences come from the trained ones; only the right panel shows what they pay. If you
# serve them, put some of their sentences into the validation set.
#
# <details><summary>At LLM scale</summary>
#
# - A language model that generates text for a few users is limited by reading its weights once for every token, not by multiplying them. So *weights alone* are often stored in 4 bits, in groups with a scale each, and
#   multiplied in 16: GPTQ (Frantar et al. 2023) rounds column by column and lets the remaining weights make up for the error, which is OBS once more (lesson 05).
# - Activations of large models have outliers in a few coordinates. LLM.int8() (Dettmers et al. 2022, section 3) keeps these in 16 bits; SmoothQuant (Xiao et al. 2023) moves part of their size into the weights before rounding.
# - The order in which to try is the same: 8 or 4 bits first, since they are cheapest; then a smaller model by pruning and distillation, made as Minitron was (lesson 08).
#
# </details>
#
# ## Challenge: the smallest file
#
# Somebody must download your model over a bad connection. Make the file small, as a share of the whole model's in float32, with at least 92% of the validation sentences right *as served*. The first attempt is the
# whole model in int8. You may prune (more calibration sentences help), distil, and trim the vocabulary, if the trained languages are all you serve.

# %%
attempt = shipped["whole, ONNX int8"]
size = attempt.file.stat().st_size / shipped["whole, ONNX"].file.stat().st_size
pl.challenge("09.smallest", cost=size,
             quality=pl.evaluate(attempt, None, validation).accuracy)

# %% [markdown]
# Once you have stopped choosing, look at the test set, once. And then look at the languages that your choice gave up.

# %%
test = pl.load_intents("test", limit=400, seed=SEED).by_length()
for name, data in (("test", test), ("zero-shot", unseen)):
    print(f"{name}: {pl.evaluate(attempt, None, data).accuracy:.1%} as served, "
          f"{pl.evaluate(model, tokenizer, data).accuracy:.1%} the whole model")

# %% [markdown]
# ## What to remember
#
# - One change at a time: runtime, int8, pruning. Report each factor with the points that it cost.
# - Export and int8 first; prune when that is not enough; distil when pruning costs too much. Make the model in the order choose, cut, repair, distil, export, quantise.
# - For int8, use a scale for every row, and know the processor that will run it.
# - Show a front with error bars, not a single number; and show it for the languages that have no voice in your validation set.

# %%
pl.quiz("09")

# %%
pl.progress("09")

# %% [markdown]
# ## Sources
#
# - Jacob et al. 2018, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*.
# - Krishnamoorthi 2018, *Quantizing deep convolutional networks for efficient inference: A whitepaper*: a scale for each channel (our rows).
# - ONNX Runtime, *Quantize ONNX models*: dynamic quantisation, `reduce_range` and saturation.
# - Kurtic, Frantar, Alistarh 2023, *ZipLM: Inference-Aware Structured Pruning of Language Models*: speed-ups measured on several devices.
# - Frantar et al. 2023, *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers*.
# - Dettmers et al. 2022, *LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale* (section 3).
# - Xiao et al. 2023, *SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models*.
# - Muralidharan et al. 2024, *Compact Language Models via Pruning and Knowledge Distillation* (Minitron).
