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
# # 03 · Weight pruning
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/03_weights.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/03_weights.ipynb)
#
# **You will be able to** set the smallest weights of a network to zero in several ways, find the matrices that mind, see why
# that alone does not make a good choice, train the rest back, and explain why a model with nine zeros in ten weights may be exactly as slow as before.
#
# *Forty minutes of yours, about a minute of computing. Lessons 00 and 02 come first.*
#
# The oldest idea of pruning is to look at single weights: a weight close to zero changes little, so let it be zero.
# It is the finest knife of this course: it takes away much before the model notices. And it saves no time. Both halves
# of that are worth seeing.

# %% [markdown]
# ## Setup

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
import time

import matplotlib.pyplot as plt
import torch
from torch.nn.utils import prune

import pruning_lessons as pl

CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))

test = pl.load_intents("test", limit=160, seed=0)
unseen = pl.load_intents("zero_shot", limit=160, seed=0)        # languages not trained on
validation = pl.load_intents("validation", limit=160, seed=0)   # for choosing


def accuracy(pruned, data=test):
    return pl.evaluate(pruned, tokenizer, data).accuracy


start = accuracy(model)
print(f"unpruned: {start:.1%}")

# %% [markdown]
# ## The problem in one picture
#
# How large are the weights? Here are all those of the layers' matrices.

# %%
layers = model.base_model.encoder.layer
weights = torch.cat([p.detach().flatten() for layer in layers
                     for name, p in layer.named_parameters() if p.dim() == 2])
cut = weights.abs().kthvalue(weights.numel() // 2).values.item()

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
values, edges, _ = ax.hist(weights.clamp(-0.2, 0.2).numpy(), bins=160, color="C0")
ax.axvspan(-cut, cut, facecolor="none", edgecolor="C3", hatch="//",
           label="the smaller half")
ax.set(xlabel="weight", ylabel="how many",
       title=f"{weights.numel() / 1e6:.1f} million weights")
ax.legend()
plt.show()
energy = weights[weights.abs() <= cut].square().sum() / weights.square().sum()
print(f"half of the weights lie within ±{cut:.3f}; "
      f"they hold {energy:.0%} of the sum of squares")

# %% [markdown]
# *The picture in words: a tall bell around zero; a hatched band in its middle holds half of all weights. The outermost bars
# hold all that lie further out.*
#
# The smaller half of the weights holds a small part of the sum of squares. That is the hope behind **magnitude pruning**.
#
# ## Five lines of pruning
#
# Rank by $|w|$, cut the lowest share $s$, and keep a **mask** of ones and zeros, so that training later does not bring
# them back:
#
# $$m_{ij} = \begin{cases} 0 & |w_{ij}| \text{ among the } s\cdot n \text{ smallest}\\ 1 & \text{otherwise}\end{cases}
# \qquad w \leftarrow m \odot w$$

# %%
def magnitude_mask(weight, sparsity):
    n = round(sparsity * weight.numel())
    mask = torch.ones(weight.numel())
    mask[weight.abs().flatten().argsort(stable=True)[:n]] = 0
    return mask.view_as(weight)


query = layers[0].attention.self.query.weight.detach()
mine = query * magnitude_mask(query, 0.5)
sparse = pl.prune_weights(model, 0.5, scope="matrix")
theirs = sparse.base_model.encoder.layer[0].attention.self.query.weight
assert torch.equal(mine, theirs)
print("by hand and by the library: equal")

# %% [markdown]
# The library keeps masks with `torch.nn.utils.prune`, PyTorch's own tool: `weight_orig` and `weight_mask` beside each
# other, multiplied before each forward pass. `permanent=True` writes the zeros in for good.
#
# ## Where to rank
#
# Half of each matrix? Of each layer? Of all weights together (**global**)? Some matrices have larger weights than
# others, so these are different choices. And as a control: zeros at random.

# %%
SPARSITIES = [0.4, 0.6, 0.7, 0.8]
batches = list(pl.load_intents("train", limit=128, seed=0).batches(tokenizer))
CHOICES = {"global": dict(scope="global"), "per matrix": dict(scope="matrix"),
           "random": dict(method="random"),
           "Wanda": dict(method="wanda", batches=batches)}
curves = {name: [accuracy(pl.prune_weights(model, s, **options)) for s in SPARSITIES]
          for name, options in CHOICES.items()}

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for style, (name, curve) in zip(("o-", "s--", "^:", "D-."), curves.items()):
    ax.plot([0, *SPARSITIES], [100 * a for a in (start, *curve)], style, label=name)
ax.set(xlabel="share of zeros", ylabel="accuracy, %", ylim=(0, 102),
       title="Weights set to zero, no training after")
ax.legend()
plt.show()
print("70% zeros: " + ", ".join(f"{name} {c[2]:.0%}" for name, c in curves.items()))

# %% tags=["nbval-check-output"]
magnitude, dice, wanda = (curves[name] for name in ("per matrix", "random", "Wanda"))
pl.claim("at 60% zeros magnitude is far ahead of dice", magnitude[1] > dice[1] + 0.3)
pl.claim("at 70% zeros Wanda is ahead of magnitude", wanda[2] > magnitude[2])

# %% [markdown]
# *The picture in words: four falling curves. Random falls first and deepest; the two magnitude curves hold longer; Wanda holds
# longest.*
#
# Choosing matters: random zeros ruin the model where small ones hardly hurt. **Wanda** (Sun et al. 2023) also looks at the inputs: a
# small weight on a large input may matter more than a large weight on a small one. It ranks $|W_{ij}| \cdot \lVert X_j
# \rVert_2$ inside each output's row, from one forward pass over a **calibration set** (a batch of training sentences or a few). Here is its
# equation on one matrix, against the library. (A **hook** is a function that PyTorch calls before a part of the model; this one writes down
# what goes in.)

# %%
inputs = []
first = layers[0].intermediate.dense
handle = first.register_forward_pre_hook(lambda module, a: inputs.append(a[0]))
with torch.no_grad():
    for batch in batches:
        model(batch["input_ids"], attention_mask=batch["attention_mask"])
handle.remove()
real = [b["attention_mask"].bool() for b in batches]          # no padding
X = torch.cat([x[mask] for x, mask in zip(inputs, real)])     # (tokens, d)
W = first.weight.detach()
score = W.abs() * X.norm(dim=0)
gone = score.argsort(dim=1)[:, :W.shape[1] // 2]
by_hand = W.scatter(1, gone, 0.0)
library = pl.prune_weights(model, 0.5, method="wanda", batches=batches)
theirs = library.base_model.encoder.layer[0].intermediate.dense.weight
same = ((by_hand == 0) == (theirs == 0)).float().mean().item()
print(f"zeros at the same places: {same:.4%}")
assert same > 0.9999

# %% [markdown]
# ## Who minds?
#
# A **sensitivity scan** prunes one kind of matrix at a time, in all layers, and looks what it costs. Choosing is done on validation
# sentences, so that the test sentences stay fair.

# %%
KINDS = {"query": "attention.self.query", "key": "attention.self.key",
         "value": "attention.self.value", "attention output": "attention.output.dense",
         "feed-forward in": "intermediate.dense", "feed-forward out": "output.dense"}


def prune_kinds(sparsities):
    """A copy with masks; sparsities: {kind of matrix: share of zeros}."""
    pruned = copy.deepcopy(model)
    for layer in pruned.base_model.encoder.layer:
        for kind, sparsity in sparsities.items():
            matrix = layer.get_submodule(KINDS[kind])
            mask = magnitude_mask(matrix.weight, sparsity)
            prune.custom_from_mask(matrix, "weight", mask)
    return pruned


whole, GRID = accuracy(model, validation), (0.7, 0.85)
scan = {kind: [whole - accuracy(prune_kinds({kind: s}), validation) for s in GRID]
        for kind in KINDS}

# %%
figure, ax = plt.subplots(figsize=(7, 2.9), layout="constrained")
at = torch.arange(len(KINDS))
for shift, i, hatch, colour in ((-0.2, 0, "", "C0"), (0.2, 1, "//", "C1")):
    ax.barh(at + shift, [100 * lost[i] for lost in scan.values()], 0.4, hatch=hatch,
            color=colour, edgecolor="black", label=f"{GRID[i]:.0%} zeros")
ax.set(yticks=at, yticklabels=KINDS, xlabel="points of accuracy lost",
       title="Zeros in one kind of matrix, in all layers")
ax.legend(loc="center right")
plt.show()

# %% [markdown]
# *The picture in words: for each of the six kinds of matrices two bars, plain and hatched, for two shares of zeros. Those of the
# feed-forward part are by far the longest.*
#
# With 160 sentences one answer is 0.6 points, so bars shorter than about two points are noise. Still the picture is clear: some
# kinds hardly notice, some do.
#
# ## Choose for each
#
# Now let the scan decide: each kind of matrix gets the largest share of zeros that cost at most two points, or half. To be fair, its rivals get as many
# zeros in all: the same share in each matrix, by magnitude and by Wanda.

# %%
choice = {kind: max((s for s, x in zip(GRID, lost) if x <= 0.02), default=0.5)
          for kind, lost in scan.items()}
chosen = prune_kinds(choice)
zeros = pl.weight_sparsity(chosen).all
even = pl.prune_weights(model, zeros, scope="matrix")
wanda = pl.prune_weights(model, zeros, method="wanda", batches=batches)
right = {"as the scan chose": accuracy(chosen), "same share, magnitude": accuracy(even),
         "same share, Wanda": accuracy(wanda)}
print({kind: f"{share:.0%}" for kind, share in choice.items()})
rows = [(name, f"{a:.1%}") for name, a in right.items()]
pl.table([(f"{zeros:.1%} zeros", "test"), *rows])

# %% tags=["nbval-check-output"]
by_scan, by_magnitude, by_wanda = right.values()
pl.claim("the scan's choice is no better than the same share everywhere",
         by_scan < by_magnitude)
pl.claim("Wanda is far better than both", by_wanda > max(by_scan, by_magnitude) + 0.1)

# %% [markdown]
# A disappointment, and a lesson. The scan cut one kind while all others were whole; cut together, their errors add up, and nobody is left to make up for
# them. A scan tells you *who* minds, not how much all of them may lose at once. Looking at the inputs helps far more, for no extra search.
#
# ## Train back
#
# **Recovery**: train what is left. The masks hold the zeros, so training cannot bring them back. One pass over 480 sentences, fifteen steps, for the
# model pruned by magnitude with the same share everywhere:

# %%
rows = [("", "zeros", "test", "zero-shot")]
for name, epochs in (("pruned", 0), ("trained after", 1)):
    if epochs:
        lessons = pl.load_intents("train", limit=480, seed=1)
        pl.fine_tune(even, tokenizer, lessons, epochs, learning_rate=1e-4, progress=False)
    rows.append((name, f"{pl.weight_sparsity(even).all:.1%}", f"{accuracy(even):.1%}",
                 f"{accuracy(even, unseen):.1%}"))
pl.table(rows)

# %% [markdown]
# The share of zeros is the same, and the accuracy is not. A few steps of training bring much back, but no more than the better score had kept from the
# start. Lessons 06 and 07 come back to training.
#
# ## Zeros in a pattern: N:M
#
# Graphics cards since 2020 can use zeros if at least two of every four neighbours are zero: **2:4 sparsity**. The choice is
# less free, so it costs a little more accuracy than half the weights anywhere:

# %%
choices = {"all": dict(sparsity=0.0),
           "half of each matrix": dict(sparsity=0.5, scope="matrix"),
           "2 of 4 stay": dict(pattern=(2, 4)), "4 of 8 stay": dict(pattern=(4, 8)),
           "2 of 4, Wanda": dict(pattern=(2, 4), method="wanda", batches=batches),
           "1 of 4 stays": dict(pattern=(1, 4))}
rows = [("which stay", "zeros", "test", "zero-shot")]
for name, options in choices.items():
    pruned = pl.prune_weights(model, **options)
    found = pl.weight_sparsity(pruned).all, accuracy(pruned), accuracy(pruned, unseen)
    rows.append((name, *(f"{share:.1%}" for share in found)))
pl.table(rows)

# %% [markdown]
# Hold each row against the first one, column by column. Do the languages that were never trained on fall further? Remember that one
# sentence is 0.6 points.
#
# Which matrix holds how many zeros, when the ranking is global?

# %%
pl.weight_sparsity(pl.prune_weights(model, 0.7))

# %% [markdown]
# Ranked all together, some matrices lose nearly all their weights because these happen to be small; others keep more than half. Find both.
# Whether that hurts depends on whether those matrices were needed, and the scale of the weights does not say.
#
# ## A slider
#
# Choose a share of zeros: the histogram and the accuracy on a small set follow. (Without a running kernel see the curves above.)

# %%
STEPS = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9]
few = pl.load_intents("test", limit=60, seed=1)
cache = {s: accuracy(pl.prune_weights(model, s), few) for s in STEPS}
ranked = weights.abs().sort().values
edges_at = {s: ranked[round(s * (len(ranked) - 1))].item() if s else 0 for s in STEPS}


def show(sparsity):
    edge = edges_at[sparsity]
    figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
    ax.stairs(values, edges, fill=True, color="C0")
    ax.axvspan(-edge, edge, facecolor="white", edgecolor="C3", hatch="//")
    right = f"{cache[sparsity]:.0%} right of {len(few)} sentences"
    ax.set(title=f"{sparsity:.0%} zeros: {right}", xlabel="weight")
    plt.show()


show(0.6)

# %%
try:
    import ipywidgets
    slider = ipywidgets.SelectionSlider(options=STEPS, value=0.6, description="zeros",
                                        continuous_update=False)
    display(slider, ipywidgets.interactive_output(show, {"sparsity": slider}))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# ## Why zeros are not speed

# %%
zeroed = {f"{s:.0%} zeros": pl.prune_weights(model, s, permanent=True)
          for s in (0.5, 0.9)}
pl.latency({"dense": model} | zeroed, repeats=20)

# %% [markdown]
# The same time. A dense matrix multiplication fetches every number and multiplies it, zero or not. What about formats made for
# sparse matrices? One large matrix, many zeros, both formats:

# %%
X = torch.randn(3072, 128)
dense = torch.randn(768, 3072)
for share in (0.5, 0.9, 0.99):
    W = dense * (torch.rand_like(dense) >= share)
    times = {"dense": [], "sparse": []}
    for _ in range(14):
        for name, matrix in (("dense", W), ("sparse", W.to_sparse_coo())):
            begin = time.perf_counter()
            matrix @ X
            times[name].append(1000 * (time.perf_counter() - begin))
    a, b = (sorted(t[2:])[6] for t in times.values())             # medians, warmed up
    print(f"{share:.0%} zeros: dense {a:6.2f} ms, sparse format {b:6.2f} ms: "
          f"{a / b:.2f} times as fast")

# %% [markdown]
# A sparse format has to say for each number where it stands, and jumps through memory. It pays only when nearly all is zero. So who
# uses zeros? Graphics cards with 2:4 kernels (Mishra et al. 2021); special engines for CPUs; and your disk, for zeros compress well. Here are the
# bytes of all parameters, in half precision, after zip's compression:

# %%
full = pl.compressed_bytes(model)
print(f"no zeros:  {full / 1e6:5.1f} MB compressed")
for name, sparse in zeroed.items():
    size = pl.compressed_bytes(sparse)
    print(f"{name}: {size / 1e6:5.1f} MB compressed, {size / full:.0%} of that")

# %% [markdown]
# To save time on any machine, whole rows and columns must go: neurons (04), heads (05), layers (06).
#
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. How sparse** (easy, three minutes). The share of zeros in a tensor.
#
# <details><summary>Hint</summary><code>weight == 0</code> gives a bool tensor.</details>

# %%
def zeros(weight):
    """A number from 0 to 1."""
    # solution
    return (weight == 0).float().mean().item()
    # end


# %% tags=["nbval-check-output"]
pl.check("03.zeros", zeros)

# %% [markdown]
# **2. N of M** (medium, ten minutes). A mask with ones at the `n` largest $|w|$ of every `m` neighbours in a row, zeros elsewhere. Row
# length is a multiple of `m`, and `n` may be 0.
#
# <details><summary>Hint</summary>Reshape to <code>(-1, m)</code>, <code>topk</code>, <code>scatter</code>, reshape back.</details>

# %%
def n_of_m(weight, n, m):
    """A float mask of weight's shape."""
    # solution
    groups = weight.abs().reshape(-1, m)
    best = groups.topk(n, dim=1).indices
    return torch.zeros_like(groups).scatter(1, best, 1.0).view_as(weight)
    # end


# %% tags=["nbval-check-output"]
pl.check("03.n_of_m", n_of_m)

# %% [markdown]
# **3. Wanda** (hard, ten minutes). Scores from a weight matrix `(out, in)`, inputs `(batch, T, in)` and a mask `(batch, T)` that is 1 at
# real tokens and 0 at padding.
#
# <details><summary>Hint</summary>Padding must not count: pick the real tokens first, then one norm for each input column.</details>

# %%
def wanda(weight, inputs, mask):
    """Scores of weight's shape."""
    # solution
    real = inputs[mask.bool()]                           # (tokens, in)
    return weight.abs() * real.norm(dim=0)
    # end


# %% tags=["nbval-check-output"]
pl.check("03.wanda", wanda)

# %% [markdown]
# ## Quiz
#
# **1. Why is global ranking not always better than ranking in each matrix?**
# <details><summary>Answer</summary>Matrices differ in scale. A matrix whose weights are all small loses nearly everything under a global rank,
# though its outputs may be scaled up later, by a LayerNorm.</details>
#
# **2. Your model has 90% zeros. How much faster is it on a laptop?**
# <details><summary>Answer</summary>Not at all, with ordinary matrices. You measured it.</details>
#
# **3. What does Wanda know that magnitude does not?**
# <details><summary>Answer</summary>How large the inputs are that meet each weight. It needs a calibration set for that, and no gradients.</details>
#
# **4. After pruning you train on. What keeps the zeros at zero?**
# <details><summary>Answer</summary>The mask: the weight is multiplied by it before each forward pass, so the gradient of a masked weight is zero, too.</details>
#
# ## What to remember
#
# - Small weights first; where you rank, and whether you look at inputs, matters from half on.
# - Zeros save disk, not time, unless the hardware knows the pattern.
# - Masks hold the zeros, and a little training after brings much back.
# - Report the languages that you did not train on apart from the others.
#
# ## Sources
#
# - LeCun, Denker, Solla 1990, *Optimal Brain Damage*: which weights matter. Han et al. 2015, *Learning both Weights and Connections*: magnitude (section 3).
# - Sun et al. 2023, *A Simple and Effective Pruning Approach for Large Language Models*: Wanda (section 3).
# - Mishra et al. 2021, *Accelerating Sparse Deep Neural Networks*: 2:4.
# - Gale, Elsen, Hooker 2019, *The State of Sparsity in Deep Neural Networks*.
