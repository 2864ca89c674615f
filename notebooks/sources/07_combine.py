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
# # 07 · Combine, compress, ship
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/07_combine.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/07_combine.ipynb)
#
# **You will be able to** spend one budget on heads, neurons and layers together, recover what was lost, turn the model into
# an ONNX file with eight-bit weights, and show with one table and one picture what it is worth.
#
# *Fifty minutes of yours, under two minutes of computing. Lessons 04 to 06 come first.*
#
# Each lesson so far had one kind of knife. A model that goes out of the door has met all of them, in the right order:
# **choose, cut, repair, distil, export, quantise**, and a measurement after each.

# %% [markdown]
# ## Setup
#
# On your own machine the package is there already. On Colab this cell installs it; run it as often as you like.

# %% tags=["setup"]
import importlib.util
import subprocess
import sys
from pathlib import Path

REPOSITORY = "https://github.com/OWNER/pruning_lessons"
if importlib.util.find_spec("pruning_lessons") is None:
    folders = Path.cwd().resolve().parents
    clone = next((p for p in folders if (p / "pyproject.toml").exists()), None)
    source = clone.as_uri() if clone else f"git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    f"pruning-lessons[views,train,export] @ {source}"], check=True)
    importlib.invalidate_caches()

import copy
import json
import tempfile
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pruning_lessons as pl

pl.check_environment();

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
L, H = pl.Masks.keep_all(model).heads.shape


train = pl.load_intents("train", limit=256, seed=0).by_length()
calibration = list(train.batches(tokenizer, batch_size=16))
validation = pl.load_intents("validation", limit=200, seed=0)
test = pl.load_intents("test", limit=200, seed=0)
unseen = pl.load_intents("zero_shot", limit=200, seed=0)


def accuracy(m, data=validation):
    return pl.evaluate(m, tokenizer, data).accuracy


scores = pl.importance(model, calibration)      # fisher: heads, neurons, layers at once
start = accuracy(model)
print(f"unpruned: {start:.1%} on validation sentences")

# %% [markdown]
# ## The problem in one picture
#
# Half of the encoder's multiplications must go. Shall we take neurons, layers, or heads and neurons together? Four models with
# the same budget, each repaired in the same way (lesson 04):

# %%
HALF = 0.5
head_cost, neuron_cost = pl.unit_macs(model)
whole = pl.encoder_macs(model)
layers = pl.layers_to_drop(model, round(HALF * L), "block_influence", calibration[:4])
neurons_left = int((HALF * whole - L * H * head_cost) / neuron_cost)
ways = {"at random": pl.random_masks(model, HALF),
        "layers only": pl.layer_masks(model, layers)}
if neurons_left > 0:                            # each neuron for itself (lesson 04)
    ways["neurons only"] = pl.select(scores, model, keep_neurons=neurons_left,
                                     rearrange=False)
ways["heads and neurons"] = pl.select(scores, model, keep_macs=HALF, rearrange=False)

found = {}
for way, masks in ways.items():
    cut = pl.prune(model, masks)
    fixed = pl.repair(cut, model, calibration[::2])
    found[way] = accuracy(cut), accuracy(fixed), pl.encoder_macs(cut) / whole

# %%
figure, ax = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
at = torch.arange(len(found))
for shift, i, label, style in ((0.2, 0, "cut", dict(color="white", hatch="//")),
                               (-0.2, 1, "cut and repaired", dict(color="C0"))):
    bars = ax.barh(at + shift, [100 * f[i] for f in found.values()], 0.4, label=label,
                   edgecolor="black", **style)
    ax.bar_label(bars, fmt="%.0f", label_type="center",
                 bbox=dict(facecolor="white", edgecolor="none", pad=1))
ax.axvline(100 * start, color="black", linestyle="--", label="unpruned")
ax.set(yticks=at, yticklabels=[f"{w} ({f[2]:.0%})" for w, f in found.items()],
       xlim=(0, 105), xlabel="accuracy, %",
       title="Half of the MACs, spent in different ways")
ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.25), ncol=3)
plt.show()

# %% tags=["nbval-check-output"]
mixed, dice = found["heads and neurons"], found["at random"]
pl.claim("chosen heads and neurons, repaired, lose at most five points",
         mixed[1] > start - 0.05)
pl.claim("before repair they are far ahead of dice", mixed[0] > dice[0] + 0.2)

# %% [markdown]
# *The picture in words: two bars for each way to halve the work, hatched for the cut model, plain after repair; in brackets the
# share of MACs that is left; a dashed line marks the unpruned model.*
#
# Each kind of part has some that are nearly free and some that are dear. Whoever may choose among all of them finds more
# of the cheap ones. (Two points here are four sentences. At half of the work the careful ways are close; cut deeper, and they part.)

# %% [markdown]
# ## One budget
#
# A head costs more multiplications than a neuron, and is worth more. We want the most importance for a budget $B$:
#
# $$\max \sum_{h\in\text{kept heads}} I_h + \sum_{j\in\text{kept neurons}} I_j \qquad\text{so that}\qquad
# n_{\text{heads}}\,c_{\text{head}} + n_{\text{neurons}}\,c_{\text{neuron}} \le B$$
#
# This looks like a knapsack problem, which is hard. It is easy here, because all heads cost the same, and all neurons: for any
# number of heads the best choice is the highest scores, and the rest of the budget goes to the best neurons. So try every
# number of heads (Kwon et al. 2022, section 4.1):

# %%
def importance_kept(n_heads, budget):
    rest = int((budget - n_heads * head_cost) // neuron_cost)
    best_heads = scores.heads.flatten().sort(descending=True).values[:n_heads]
    best_neurons = scores.neurons.flatten().sort(descending=True).values[:max(rest, 0)]
    kept = best_heads.sum() + best_neurons.sum()
    return kept.item() if rest >= 0 else float("nan")


# %%
total = (scores.heads.sum() + scores.neurons.sum()).item()
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for share, style, colour in ((0.5, "-", "C0"), (0.33, "--", "C1"), (0.2, ":", "C2")):
    curve = torch.tensor([importance_kept(n, share * whole) / total
                          for n in range(L * H + 1)])
    best = curve.nan_to_num(0).argmax().item()
    ax.plot(curve, style, color=colour, label=f"{share:.0%} of the MACs")
    ax.plot(best, curve[best], "o", color=colour, markeredgecolor="black")
    masks = pl.select(scores, model, keep_macs=share, rearrange=False)
    print(f"{share:.0%}: {best} heads by hand, {int(masks.heads.sum())} by the library")
    assert best == int(masks.heads.sum())
ax.set(xlabel="heads that stay", ylabel="share of importance kept",
       title="Too few heads or too many: the dot is best")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# *The picture in words: three curves, one for each budget, rise with the number of heads and fall again; a dot on each marks
# the best number.*
#
# ## A budget in milliseconds
#
# Nobody waits for a multiplication; people wait for milliseconds, and attention costs more of those than its MACs
# say (lesson 02). So measure: how long does a layer take with so many heads, and with so many neurons? Then choose for every
# layer, so that the sum of times stays below the limit.

# %%
times = pl.latency_table(model, widths=8, repeats=15)
now = times.promise(pl.Masks.keep_all(model))
limit = max(now / 2, 1.1 * times.rest)          # the embeddings take their time, too
timed = pl.select(scores, model, max_latency_ms=limit, table=times, rearrange=False,
                  multiple=8)
counted = pl.select(scores, model, keep_macs=0.5, rearrange=False, multiple=8)
print(f"whole {now:.1f} ms, limit {limit:.1f} ms")
rows = [("budget", "heads", "neurons", "promised ms", "measured ms", "validation")]
for name, masks in (("half of the milliseconds", timed), ("half of the MACs", counted)):
    promise, fact = times.measured(model, masks)
    fixed = pl.repair(pl.prune(model, masks), model, calibration[::2])
    rows.append((name, int(masks.heads.sum()), int(masks.neurons.sum()),
                 f"{promise:.1f}", f"{fact:.1f}", f"{accuracy(fixed):.1%}"))
pl.table(rows)

# %% [markdown]
# Compare promise and fact. If they are far apart, the machine was busy while the table was measured, or widths between the measured ones are slower
# than a straight line says: measure again. We go on with MACs, since they are the same on every machine; where you deploy, take milliseconds.
#
# ## With or without layers?
#
# A third of the MACs can be twelve thin layers, or nine thicker ones. Scores do not say which (they describe small
# steps). So build both, repair both, and let validation sentences decide:

# %%
THIRD = 1 / 3
candidates = {}
for drop in (0, L // 4):
    gone = pl.layers_to_drop(model, drop, "block_influence", calibration[:4])
    less = pl.prune(model, pl.layer_masks(model, gone))
    own_scores = pl.importance(less, calibration) if drop else scores
    share = THIRD * whole / pl.encoder_macs(less)
    masks = pl.select(own_scores, less, keep_macs=share, multiple=8, rearrange=False)
    fixed = pl.repair(pl.prune(less, masks), model, calibration)
    candidates[f"{L - drop} layers"] = fixed
    print(f"{L - drop} layers: {pl.encoder_macs(fixed) / whole:.1%} of the MACs, "
          f"validation {accuracy(fixed):.1%}")
right = {name: accuracy(m) for name, m in candidates.items()}
good = [name for name in candidates if right[name] >= max(right.values()) - 0.02]
student = candidates[good[-1]]                  # nearly as good: fewer layers
print("we go on with", good[-1])
pl.latency({"whole": model, **candidates}, repeats=20)

# %% [markdown]
# The same multiplications, and other milliseconds: every layer has a fixed price, the time to start its operations. If both are equally good,
# within a few answers, take the one with fewer layers.
#
# ## Distil
#
# Repair made the layers answer as before, one by one. **Distillation** (lesson 06) trains all of them together towards the
# teacher's answers. Here a short one, as much as a lesson allows; the long one is in the picture further below.

# %%
before = accuracy(student)
tuned = copy.deepcopy(student)
lessons = pl.load_intents("train", limit=480, seed=5)
pl.distill(tuned, model, tokenizer, lessons, learning_rate=1e-4, progress=False)
after = accuracy(tuned)
print(f"repaired {before:.1%}, distilled {after:.1%}, teacher {start:.1%} (validation)")
student = tuned if after >= before else student

# %% [markdown]
# So few steps may win a point or lose one. The step from *repaired* to *distilled* in the last table of this lesson shows what
# thousands of sentences do.
#
# ## Only the languages you serve
#
# The vocabulary comes last: cutting it changes no answer on texts made of pieces that stay (lesson 02). Suppose that we keep what
# the training sentences of all ten languages use:

# %%
texts = pl.load_intents("train").sentences
trimmed, trimmed_tokenizer = pl.prune_vocabulary(student, tokenizer, texts)
rows = [("vocabulary", "pieces", "MB", "test", "zero-shot")]
for name, m, t in (("whole", student, tokenizer),
                   ("trimmed", trimmed, trimmed_tokenizer)):
    right = [f"{pl.evaluate(m, t, data).accuracy:.1%}" for data in (test, unseen)]
    rows.append((name, f"{len(t):,}", f"{pl.summary(m).bytes / 1e6:.0f}", *right))
pl.table(rows)

# %% [markdown]
# The zero-shot languages fall deep: many of their pieces never occur in the training sentences, and what is left spells words letter by
# letter. Megabytes were cheap, if these languages are not yours, and very dear, if they are. We ship the whole
# vocabulary.

# %% [markdown]
# ## Eight bits
#
# A weight is stored in 32 bits. **Quantisation** to **int8** stores a whole number from −127 to 127 and one scale for each row,
#
# $$q_{ij} = \mathrm{round}\!\left(\frac{w_{ij}}{s_i}\right) \qquad s_i = \frac{\max_j |w_{ij}|}{127} \qquad w_{ij}\approx s_i\,q_{ij}$$
#
# a quarter of the bytes, and processors multiply small whole numbers faster. How far off is it?

# %%
weight = model.base_model.encoder.layer[0].intermediate.dense.weight.detach()
scale = weight.abs().amax(dim=1, keepdim=True) / 127
q = (weight / scale).round()
error = (q * scale - weight).norm() / weight.norm()
print(f"{q.min():.0f} to {q.max():.0f}; relative error {error:.1%}; "
      f"largest step {scale.max() / scale.min():.0f} times the smallest")

# %% [markdown]
# ## Export
#
# **ONNX** is a file format for networks: a graph of operations that other runtimes read. `pl.export_onnx` writes it with
# the tokenizer and a small `answer.py` beside it, which needs neither torch nor this package. `pl.quantize_onnx` adds the
# int8 version; activations are quantised on the fly, which is called **dynamic quantisation**.

# %%
folder = Path(tempfile.mkdtemp())
shipped = {}
for name, m in (("whole", model), ("pruned", student)):
    pl.quantize_onnx(pl.export_onnx(m, tokenizer, folder / name))
    for int8 in (False, True):
        shipped[name, int8] = pl.OnnxModel(folder / name, quantized=int8, threads=2)

# %%
sentence = "turn off the lamp in the kitchen"
with torch.inference_mode():
    logits = student(**tokenizer(sentence, return_tensors="pt")).logits
difference = abs(shipped["pruned", False].logits([sentence]) - logits.numpy()).max()
print(f"ONNX and PyTorch differ by {difference:.0e}")
label, share = shipped["pruned", True]([sentence])[0]
print(f"int8 answers {label}, {share:.0%} sure")
print("files:", ", ".join(sorted(f.name for f in (folder / "pruned").iterdir())))
assert difference < 1e-3

# %% [markdown]
# ## Before and after

# %%
models = {}
for name, m in (("whole", model), ("pruned", student)):
    models |= {f"{name}, PyTorch": m, f"{name}, ONNX": shipped[name, False],
               f"{name}, ONNX int8": shipped[name, True]}
one = pl.latency(models, batch_size=1, threads=2, repeats=30)
many = pl.latency(models, batch_size=32, threads=2, repeats=4, warm_up=1)


def megabytes(name):
    part, kind = name.split(", ")
    if kind == "PyTorch":
        return pl.summary(models[name]).bytes / 1e6
    file = "model-int8.onnx" if kind == "ONNX int8" else "model.onnx"
    return (folder / part / file).stat().st_size / 1e6


# %%
rows = [("model", "MB", "MACs", "ms, batch 1", "times faster",
         "ms, batch 32", "times faster", "test", "zero-shot")]
for name, m in models.items():
    macs = pl.encoder_macs(student if name.startswith("pruned") else model) / whole
    rows.append((name, f"{megabytes(name):.0f}", f"{macs:.0%}",
                 f"{one.median[name]:.1f}", f"{one.ratio[name]:.1f}",
                 f"{many.median[name]:.0f}", f"{many.ratio[name]:.1f}",
                 f"{accuracy(m, test):.1%}", f"{accuracy(m, unseen):.1%}"))
pl.table(rows)

# %% [markdown]
# Read it line by line. How much of the speed is the runtime's, how much the cut's, how much int8's? The gains stack, but do not quite multiply: what the
# cut took away, a faster runtime cannot speed up again. (`make lab` lets PyTorch's idle threads sleep, which is fair to whatever else runs on your
# machine and makes a single sentence slower in PyTorch. The sweep below was timed without that, so its ratios differ.) Look at the last two
# columns with care: 200 sentences, so two points are four answers. The picture below has more of them.
#
# ## The front
#
# One model is a point: so fast, so accurate. A point is on the **Pareto front** if no other is at least as fast and at least as accurate, and only
# those are worth discussing. Distillation as it should be done takes longer than a lesson, so these points were computed beforehand, by the
# command that the next cell prints; with them the models of the lessons before, each as good as its lesson could make it, in plain PyTorch.

# %%
file = files("pruning_lessons") / "assets/sweeps/combined.json"
sweep = json.loads(file.read_text())
print(f"{sweep['command']} | {sweep['date']} | torch {sweep['torch']} | "
      f"{sweep['threads']} threads | {sweep['seconds'] / 60:.0f} minutes")
print("sentences:", sweep["sentences"])
KINDS = {"torch": "PyTorch", "ONNX": "ONNX", "ONNX int8": "ONNX int8"}
POINTS = {(p["keep"], kind): p[kind] for p in sweep["points"] for kind in KINDS}
OTHERS = {p["name"].split(":")[0]: p for p in sweep["others"]}
base = POINTS[1.0, "torch"]
rows = [("MACs kept", "layers dropped", "repaired", "distilled", "ONNX int8", "MB int8",
         "zero-shot, int8")]
for p in sweep["points"]:
    int8 = p["ONNX int8"]
    repaired = f"{p['repaired']['test']:.1%}" if "repaired" in p else ""
    rows.append((f"{p['keep']:.0%}", p["drop"], repaired,
                 f"{p['distilled']['test']:.1%}", f"{int8['test']:.1%}",
                 f"{int8['megabytes']:.0f}", f"{int8['zero_shot']:.1%}"))
pl.table(rows)

# %% [markdown]
# Follow a row from left to right: what repair left to do, what distillation did, what int8 cost. The deeper the cut, the more there is for
# distillation to win. No sentence of the zero-shot languages was in the training; compare their column with that of the whole model.

# %%
def draw(chosen):
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    for ax, name in zip(axes, ("test", "zero_shot")):
        place = lambda p: (p["ms"]["1"], 100 * p[name])
        points = sorted(map(place, [*POINTS.values(), *OTHERS.values()]))
        best = [p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1]
                                             for q in points)]
        ax.plot(*zip(*best), ":", color="black", label="front")
        for (kind, label), style in zip(KINDS.items(), ("oC0", "sC1", "^C2")):
            for keep in sorted({keep for keep, _ in POINTS}):
                x, y = place(POINTS[keep, kind])
                ax.plot(x, y, style, markeredgecolor="black",
                        label=label if keep == 1 else None)
                least = keep == min(keep for keep, _ in POINTS)
                ax.annotate(f"{keep:.0%}", (x, y), textcoords="offset points",
                            xytext=(-9, -15) if least else (7, -10), fontsize=8)
        for i, (lesson, p) in enumerate(OTHERS.items()):
            ax.plot(*place(p), "D", color="white", markeredgecolor="gray",
                    label="other lessons" if i == 0 else None)
            ax.annotate(lesson, place(p), textcoords="offset points", xytext=(7, 3),
                        fontsize=8, color="gray")
        ax.plot(*place(POINTS[chosen]), "o", markersize=15, fillstyle="none",
                color="black", label="chosen")
        ax.set(xscale="log", xlabel="milliseconds, batch 1 (log)", ylabel="accuracy, %",
               title=f"{'trained' if name == 'test' else 'zero-shot'} languages")
        ax.set_xticks([1, 2, 4, 8, 16], labels=["1", "2", "4", "8", "16"])
        ax.minorticks_off()
        ax.margins(x=0.15)
        heights = [100 * p[name] for p in POINTS.values()]
        ax.set_ylim(min(heights) - 1.5, max(heights) + 0.7)
        ax.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center",
                  ncol=6)
    plt.show()


# %%
def say(points):
    """The fastest model that loses at most so many points on validation; its picture."""
    least = base["validation"] - points / 100
    good = [p for p, v in POINTS.items() if v["validation"] >= least]
    pick = min(good, key=lambda p: POINTS[p]["ms"]["1"])
    draw(pick)
    v = POINTS[pick]
    one, many = (base["ms"][batch] / v["ms"][batch] for batch in ("1", "32"))
    print(f"{pick[0]:.0%} of the MACs, {KINDS[pick[1]]}: {one:.1f} times as fast at "
          f"batch 1, {many:.1f} times at batch 32")
    print(f"trained languages {100 * (v['test'] - base['test']):+.1f} points, "
          f"zero-shot {100 * (v['zero_shot'] - base['zero_shot']):+.1f}")
    return pick


best = say(1)

# %% [markdown]
# *The picture in words: accuracy against milliseconds on a logarithmic axis, trained languages left, zero-shot right, each on its own scale. Circles are
# PyTorch, squares ONNX, triangles ONNX int8; the number at each is the share of MACs kept. Hollow diamonds are the models of other lessons, with the
# lesson's number (those far below the others are cut off). A dotted line joins the front; a ring marks the fastest model that loses at most one point on
# validation sentences.*

# %% tags=["nbval-check-output"]
faster = base["ms"]["1"] / POINTS[best]["ms"]["1"]
pl.claim("for a point of accuracy the model gets eight times as fast", faster >= 8)
lost = {name: base[name] - POINTS[best][name] for name in ("test", "zero_shot")}
pl.claim("zero-shot languages pay more than trained ones", lost["zero_shot"] > lost["test"])

# %% [markdown]
# ## Try it: how much may it cost?
#
# Say how many points of accuracy you can spare; the ring marks the fastest model that stays within. (Without a running kernel look at the picture above:
# its ring is the choice for one point.)

# %%
try:
    import ipywidgets
    spare = ipywidgets.FloatSlider(1.0, min=0, max=6, step=0.25, description="points",
                                   continuous_update=False)
    display(spare, ipywidgets.interactive_output(say, {"points": spare}))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. Split the budget** (medium, ten minutes). From the scores of heads and of neurons, their costs and a budget, give how many
# heads and how many neurons to keep: the pair with the largest sum of scores. If two pairs are equally good, take fewer heads.
#
# <details><summary>Hint</summary>Sort both lists in falling order. For each number of heads that fits, buy as many neurons as the rest pays
# for, add up, and remember the best.</details>

# %%
def split_budget(heads, neurons, head_cost, neuron_cost, budget):
    """heads, neurons: scores (n,) and (m,) → (how many heads, how many neurons)"""
    # solution
    heads = heads.sort(descending=True).values
    neurons = neurons.sort(descending=True).values
    best = (-1.0, 0, 0)
    for n in range(len(heads) + 1):
        if n * head_cost > budget:
            break
        m = min(int((budget - n * head_cost) // neuron_cost), len(neurons))
        worth = (heads[:n].sum() + neurons[:m].sum()).item()
        if worth > best[0] + 1e-9:
            best = (worth, n, m)
    return best[1:]
    # end


# %% tags=["nbval-check-output"]
pl.check("07.split_budget", split_budget)

# %% [markdown]
# **2. Eight bits by hand** (easy, five minutes; the formula is above). Quantise each row of a matrix to whole numbers from −127 to 127 with a scale of its
# own, and give back the weights as they are after that. A row of zeros stays zero.
#
# <details><summary>Hint</summary>Divide by the scale, round, multiply by the scale. Take care not to divide by zero.</details>

# %%
def int8(weight):
    """weight: (out, in) → the rounded weights, same shape."""
    # solution
    scale = weight.abs().amax(dim=1, keepdim=True) / 127       # (out, 1)
    return (weight / scale.clamp(min=1e-12)).round() * scale
    # end


# %% tags=["nbval-check-output"]
pl.check("07.int8", int8)

# %% [markdown]
# **3. The front** (medium, eight minutes). From a list of points (milliseconds, accuracy) give those that no other point beats, fastest first.
# A point is beaten if a different one is not slower and not less accurate. A point that stands twice appears once.
#
# <details><summary>Hint</summary><code>any(…)</code> over all other points. A <code>set</code> removes doubles.</details>

# %%
def front(points):
    """[(ms, accuracy), …] → the sorted list of those that are not beaten."""
    # solution
    def beaten(p):
        return any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
    return sorted(p for p in set(points) if not beaten(p))
    # end


# %% tags=["nbval-check-output"]
pl.check("07.front", front)

# %% [markdown]
# ## Quiz
#
# **1. Why repair before distilling, and not after?**
# <details><summary>Answer</summary>Repair is cheap and brings the student close to the teacher, so that training starts from a better place. After
# distillation the layers need no longer answer as the teacher's do one by one, and refitting them to that may undo what was learned.</details>
#
# **2. Two models have the same MACs, one has twelve thin layers, the other nine thicker ones. Which is faster for one sentence?**
# <details><summary>Answer</summary>Usually the one with fewer layers: each layer has a fixed price, however thin it is. With large batches
# the difference gets small.</details>
#
# **3. Quantising to int8 cost two points on your model and none on a friend's. What may differ?**
# <details><summary>Answer</summary>Outliers. A single large weight or activation stretches the scale, and all others share few steps. That is why
# rows of weights get scales of their own; a tensor of activations still shares one.</details>
#
# **4. Your test set says “one point lost”. What else do you look at before you ship?**
# <details><summary>Answer</summary>Every language and kind of sentence that you serve, those without training data first; and the
# time on the machine where it will run.</details>
#
# ## What to remember
#
# - One budget over heads and neurons; whether layers go first, decide by building both and measuring.
# - The order: choose, cut, repair, distil, export, quantise. Measure after each.
# - Pruning, a better runtime and int8 add to each other. Measure the whole; do not multiply the parts.
# - Show a front, not a number; and show it for the languages that have no voice in your test set.
#
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: the search (section 4.1).
# - Kurtic, Frantar, Alistarh 2023, *ZipLM*: budgets in measured time (section 3.2).
# - Xia, Zhong, Chen 2022, *Structured Pruning Learns Compact and Accurate Models* (CoFi): pruning with distillation (section 3.2).
# - Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network* (section 2).
# - Krishnamoorthi 2018, *Quantizing deep convolutional networks for efficient inference*: scales for each row, dynamic ranges.
