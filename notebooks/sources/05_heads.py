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
# # 05 · Head pruning
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/05_heads.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/05_heads.ipynb)
#
# **You will be able to** score all attention heads of a model with one backward pass, test the scores against the exact
# answer, remove heads so that layers come out uneven, and see which language paid.
#
# *Forty minutes of yours, under two minutes of computing. Lessons 00 and 01 come first; 04 explains gates.*
#
# “Are sixteen heads really better than one?” asked a paper of 2019, and found many layers that did as well with a single
# one. This lesson asks the same of our model, and then asks who was not asked: the languages outside the test set.

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
    clone = next((p for p in Path.cwd().resolve().parents if (p / "pyproject.toml").exists()), None)
    source = clone.as_uri() if clone else f"git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    f"pruning-lessons[views,train] @ {source}"], check=True)
    importlib.invalidate_caches()

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import pruning_lessons as pl
from pruning_lessons.tables import table

pl.check_environment();

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(CHECKPOINT)
L, H = pl.Masks.keep_all(model).heads.shape              # layers, heads in each

calibration = list(pl.load_intents("train", limit=192, seed=0).batches(tokenizer, 16))
test = pl.load_intents("test", limit=200, seed=0)
unseen = pl.load_intents("zero_shot", limit=200, seed=0)


def accuracy(pruned, data=test):
    return pl.evaluate(pruned, tokenizer, data).accuracy


start = accuracy(model), accuracy(model, unseen)
print(f"{L} layers × {H} heads = {L * H}; test {start[0]:.1%}, zero-shot {start[1]:.1%}")

# %% [markdown]
# ## The problem in one picture
#
# The honest way to find out what a head is worth: take it away, measure, put it back. This is **leave-one-out**. We
# measure the loss (cross-entropy), which moves even when no answer flips.

# %%
exact = pl.importance(model, calibration[:3], "leave_one_out").heads      # loss without − loss with

figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
top = exact.abs().max().item()
picture = ax.imshow(exact, cmap="RdBu_r", vmin=-top, vmax=top)
for layer, head in (exact.abs() > top / 4).nonzero().tolist():
    ax.text(head, layer, f"{exact[layer, head]:+.2f}", ha="center", va="center", fontsize=7,
            bbox=dict(facecolor="white", edgecolor="none", pad=0.5))
ax.set(xlabel="head", ylabel="layer", xticks=range(H), yticks=range(L),
       title="What the loss gains when one head goes")
figure.colorbar(picture, label="change of the loss, nats")
plt.show()

small = (exact.abs() < top / 10).sum().item()
helped = (exact < 0).sum().item()
print(f"{small} of {L * H} heads change the loss by less than a tenth of the greatest change;")
print(f"without {helped} heads, one at a time, the loss is even a little smaller")
assert small > L * H / 2

# %% [markdown]
# *The picture in words: a grid, one row for each layer, one column for each head. Most squares are pale: the head alone is
# hardly missed. The few strong ones carry their number.*
#
# So most heads can go? Not so fast. Each was missed by itself, with all others there to step in. What if the least
# important two thirds go at once?

# %%
def remove_lowest(scores, n):
    masks = pl.Masks.keep_all(model)
    masks.heads.view(-1)[scores.flatten().argsort()[:n]] = False
    return masks


def loss(pruned, batches=calibration[:3]):
    with torch.inference_mode():
        found = [F.cross_entropy(pruned(b["input_ids"], attention_mask=b["attention_mask"]).logits,
                                 b["labels"], reduction="sum") for b in batches]
    return sum(found).item() / sum(len(b["labels"]) for b in batches)


lower = remove_lowest(exact, L * H * 2 // 3)
alone = exact[~lower.heads].sum().item()
together = loss(pl.prune(model, lower)) - loss(model)
print(f"costs of the lower two thirds, one at a time, added up: {alone:+.3f}")
print(f"cost of removing all of them together:                  {together:+.3f}")
assert together > alone

# %% [markdown]
# Parts that replace each other look unimportant one by one. Every score in this lesson has this blind spot, the exact one
# included. That is why the last word belongs to a measurement of the pruned model.
#
# ## The chain rule finds it
#
# Leave-one-out runs the model once for each head. Michel, Levy and Neubig (2019) give each head a gate $\xi_h$ on what it
# says, $\mathrm{Att}_h(x)$, and ask for the derivative of the loss. By the chain rule
#
# $$\frac{\partial\mathcal L}{\partial\xi_h} = \sum_{t,\,k} \mathrm{Att}_h(x)_{t,k}\;
# \frac{\partial\mathcal L}{\partial\mathrm{Att}_h(x)_{t,k}} \qquad
# I_h = \frac1n\sum_i\left|\frac{\partial\mathcal L_i}{\partial\xi_h}\right|$$
#
# with tokens $t$ and the places $k$ of the head. One backward pass has it for all heads. In code, for the heads of one
# layer, without any gate: what the heads say flows into the matrix `attention.output.dense`, so a hook there sees it.

# %%
def taylor(model, layer, batch):
    dense = model.base_model.encoder.layer[layer].attention.output.dense
    seen = []
    hook = dense.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0]))
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    hook.remove()
    total = F.cross_entropy(logits, batch["labels"], reduction="sum")
    gradient, = torch.autograd.grad(total, seen)               # (examples, T, heads · size)
    by_head = (seen[0] * gradient).unflatten(-1, (H, -1))      # (examples, T, heads, size)
    return by_head.sum(dim=(1, 3)).abs().mean(dim=0)           # (heads,)


by_hand = torch.stack([taylor(model, i, calibration[0]) for i in range(L)])
library = pl.importance(model, calibration[:1], "taylor").heads
assert torch.allclose(by_hand, library, rtol=1e-3, atol=1e-7)
print("by hand and by the library: equal,", tuple(by_hand.shape))

# %% [markdown]
# ## Is it right?
#
# Five scores, held against leave-one-out on the same sentences. **Spearman's** rank correlation says whether the
# order agrees: 1 the same order, 0 none. (Scores are explained in lesson 04; *activation* is how much a head adds to
# the stream, *magnitude* how long its weights are.)

# %%
METHODS = ("taylor", "fisher", "activation", "magnitude", "random")
scores = {m: pl.importance(model, calibration, m) for m in METHODS}
rank = lambda s: s.flatten().argsort().argsort().float()
agree = {m: torch.corrcoef(torch.stack([rank(scores[m].heads), rank(exact)]))[0, 1].item()
         for m in METHODS}

figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True, layout="constrained")
for ax, method in zip(axes, ("taylor", "magnitude", "random")):
    ax.scatter(rank(scores[method].heads), rank(exact), s=14, edgecolor="black", linewidth=0.4)
    ax.set(title=f"{method}: {agree[method]:.2f}", xlabel=f"rank by {method}")
axes[0].set_ylabel("rank by leave-one-out")
plt.show()
rows = [(m, f"{r:.2f}") for m, r in agree.items()]
table([("score", "rank correlation with leave-one-out"), *rows])

# %% [markdown]
# *The picture in words: three clouds of points, one point for each head, its rank by a score against its rank by
# leave-one-out; the title gives the correlation. The closer to the diagonal, the better the score.*
#
# A gradient describes a small step, and removal is a large one; so no cheap score has the exact order. But the exact order
# is not the goal either. What counts is how good the model is without the heads.

# %% [markdown]
# ## Choose and measure
#
# Remove more and more heads by each score, and look at accuracy.

# %%
KEEP = [L * H * k // 6 for k in (5, 4, 3, 2, 1)]           # heads that stay
WAYS = {"taylor": ("C0", "o-"), "fisher": ("C1", "s--"), "magnitude": ("C2", "^-."),
        "leave-one-out": ("C3", "D:"), "random": ("C4", "x:")}


def masks_for(way, keep):
    if way == "leave-one-out":
        return remove_lowest(exact, L * H - keep)
    return pl.select(scores[way], model, keep_heads=keep, rearrange=False)


curves = {way: [accuracy(pl.prune(model, masks_for(way, keep))) for keep in KEEP] for way in WAYS}

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for way, (colour, style) in WAYS.items():
    ax.plot([L * H, *KEEP], [100 * a for a in (start[0], *curves[way])], style, color=colour, label=way)
ax.set(xlabel="heads that stay", ylabel="accuracy on test sentences, %", ylim=(0, 102),
       xlim=(L * H * 1.03, 0), title="Removed by score, no training after")
ax.grid(alpha=0.3)
ax.legend(ncol=2)
plt.show()
gradient = max(curves["taylor"][3], curves["fisher"][3])
assert gradient > curves["random"][3]
print(f"with {KEEP[3]} heads: " + ", ".join(f"{w} {c[3]:.0%}" for w, c in curves.items()))

# %% [markdown]
# *The picture in words: five curves fall from left to right as heads are removed. The gradient scores stay above random
# where a third of the heads is left.*

# %% [markdown]
# ## Remove them for real
#
# Head $h$ owns neighbouring **rows** of the query, key and value matrices, and neighbouring **columns** of the output
# matrix. `pl.prune` cuts them out. Ranking all heads in one list makes layers **uneven**: here is who stays.

# %%
third = masks_for("fisher", KEEP[3])
lean = pl.prune(model, third)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.imshow(third.heads, cmap="Greys", vmin=-0.4, vmax=1.6)
for layer, row in enumerate(third.heads):
    for head, stays in enumerate(row):
        ax.text(head, layer, "●" if stays else "·", ha="center", va="center")
    ax.text(H - 0.2, layer, f"{row.sum()} stay", va="center", fontsize=9)
ax.set(xlabel="head", ylabel="layer", xticks=range(H), yticks=range(L), title="● stays, · goes")
plt.show()
pl.latency({"whole": model, f"{KEEP[3]} heads": lean}, batch_size=16)

# %% [markdown]
# *The picture in words: the grid of heads; a dot that is filled stays, a small one goes. At the end of each row, how many stay.*
#
# Compare with what we hoped for: two thirds of the heads went, but the feed-forward part, which does more than half of the
# work (lesson 02), is still whole. Heads alone do not buy much time. They come into their own together with neurons, in
# lesson 07.
#
# Now **repair** (lesson 04): refit the output matrices by least squares, with no labels and no training.

# %%
mended = pl.repair(lean, model, calibration[:8])
rows = [("model", "test", "zero-shot")]
for name, m in (("whole", model), ("pruned", lean), ("repaired", mended)):
    rows.append((name, f"{accuracy(m):.1%}", f"{accuracy(m, unseen):.1%}"))
table(rows)

# %% [markdown]
# Where a cut cost little, there is little to repair, and a small calibration set may even take a point. Try it with a harder
# cut, and you will see what it is for.
#
# ## What each language loses
#
# One average hides a lot. The same model by language, hatched where the model never saw a training sentence:

# %%
before, after = ({} for _ in range(2))
for data in (pl.load_intents("test", limit=600, seed=1), pl.load_intents("zero_shot", limit=600, seed=1)):
    before |= pl.evaluate(model, tokenizer, data).by_language
    after |= pl.evaluate(lean, tokenizer, data).by_language
trained = set(test.languages)
order = sorted(before, key=lambda k: (k not in trained, before[k] - after[k]))

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
for i, language in enumerate(order):
    ax.bar(i, 100 * (before[language] - after[language]), edgecolor="black",
           color="C0" if language in trained else "C1", hatch="" if language in trained else "//")
ax.axhline(0, color="black", linewidth=0.8)
ax.set(xticks=range(len(order)), xticklabels=order, ylabel="points lost",
       title=f"Points of accuracy lost with {KEEP[3]} of {L * H} heads (hatched: zero-shot)")
plt.show()
mean = lambda names: sum(before[k] - after[k] for k in names) / len(names)
print(f"on average: trained {100 * mean(trained):.1f} points, "
      f"zero-shot {100 * mean(set(order) - trained):.1f} points")

# %% [markdown]
# *The picture in words: one bar for each language, how many points of accuracy it lost; plain bars are the languages of
# training, hatched ones the zero-shot languages. The line below gives the two averages.*
#
# The calibration set held none of the hatched languages. What is not in it has no vote. If you serve a language, put some
# sentences of it there; they need no labels (`pl.importance` can draw labels from the model's own answers).

# %% [markdown]
# ## Does the choice matter if you train after?
#
# Budhraja and others (2020) pruned heads of multilingual models, fine-tuned, and found random choices close to clever
# ones. A small version of their experiment: a third of the heads, chosen by fisher or by dice, then a short training.

# %%
lessons = pl.load_intents("train", limit=480, seed=3)
rows, recovered = [("choice", "pruned", "trained after")], {}
for way in ("fisher", "random"):
    pruned = pl.prune(model, masks_for(way, KEEP[3]))
    plain = accuracy(pruned)
    pl.fine_tune(pruned, tokenizer, lessons, epochs=1, learning_rate=1e-4, progress=False)
    recovered[way] = plain, accuracy(pruned)
    rows.append((way, f"{plain:.1%}", f"{recovered[way][1]:.1%}"))
gap = [100 * (recovered["fisher"][i] - recovered["random"][i]) for i in (0, 1)]
print(f"fisher leads by {gap[0]:.1f} points before training, by {gap[1]:.1f} after")
table(rows)

# %% [markdown]
# Read the two gaps. The more you can train after, the less the choice matters; a good choice is for those who cannot train
# much, or at all.

# %% [markdown]
# ## Try it: switch heads off
#
# A grid with a button for each head. Type a sentence, switch heads off, and see what the model answers. The picture below is
# the same for one setting, for readers without a running kernel.

# %%
SENTENCE = "turn off the lamp in the kitchen"


@torch.inference_mode()
def answers(heads, sentence):
    """The three most probable intents, with `heads` (layers, heads) as they are switched."""
    masks = pl.Masks.keep_all(model)
    batch = tokenizer(sentence, return_tensors="pt", truncation=True)
    with pl.masked(model, pl.Masks(heads, masks.neurons, masks.layers)):
        p = model(**batch).logits[0].softmax(-1)
    best = p.topk(3)
    return [(model.config.id2label[i], v) for v, i in zip(best.values.tolist(), best.indices.tolist())]


figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.2), layout="constrained")
for ax, stay in zip(axes, (L * H, KEEP[3], KEEP[4] // 2)):
    found = answers(masks_for("fisher", stay).heads, SENTENCE)[::-1]
    ax.barh([name for name, _ in found], [v for _, v in found], color="C0", edgecolor="black", hatch="//")
    ax.set(xlim=(0, 1), title=f"{stay} heads", xlabel="probability")
figure.suptitle(f"“{SENTENCE}”")
plt.show()

# %% [markdown]
# *The picture in words: three bar charts with the three most probable intents of the sentence, for all heads, for a third of
# them and for a twelfth.*

# %%
try:
    import ipywidgets as w

    text = w.Text(SENTENCE, description="sentence", continuous_update=False,
                  layout=w.Layout(width="480px"))
    buttons = [[w.ToggleButton(True, description=str(h), tooltip=f"layer {l}, head {h}",
                               layout=w.Layout(width="36px", height="24px", padding="0"))
                for h in range(H)] for l in range(L)]
    said = w.HTML()

    def update(_=None):
        on = torch.tensor([[b.value for b in row] for row in buttons])
        said.value = f"{int(on.sum())} heads on<br>" + "<br>".join(
            f"{v:.0%} {name}" for name, v in answers(on, text.value or SENTENCE))

    for widget in [text, *(b for row in buttons for b in row)]:
        widget.observe(update, "value")
    update()
    grid = w.VBox([w.HBox([w.Label(f"layer {l}", layout=w.Layout(width="56px")), *row])
                   for l, row in enumerate(buttons)])
    display(w.VBox([text, w.HBox([grid, said])]))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# Find one head whose loss changes the answer, in the picture at the top of the lesson. Does it change it for every
# sentence?

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. Scores of heads** (medium, eight minutes). `context` holds what the heads of a layer say, `gradient` the derivative of
# each example's loss by it. Give each head's taylor score: the mean over examples of $|\partial\mathcal L_i/\partial\xi_h|$.
#
# <details><summary>Hint</summary>Multiply, sum over the dimensions that the gate multiplies (tokens and places), take the
# absolute value, and only then the mean over examples.</details>

# %%
def head_scores(context, gradient):
    """both: (examples, T, heads, size) → (heads,)"""
    # solution
    return (context * gradient).sum(dim=(1, 3)).abs().mean(dim=0)
    # end


# %% tags=["nbval-check-output"]
pl.check("05.head_scores", head_scores)

# %% [markdown]
# **2. Cut the columns** (medium, eight minutes). `weight` is an attention's output matrix, `(d, heads · size)`. Give the smaller
# matrix without the heads in the list `gone`.
#
# <details><summary>Hint</summary><code>weight.unflatten(1, (-1, size))</code> has the shape (d, heads, size).</details>

# %%
def without_heads(weight, gone, size):
    """weight: (d, heads · size) → (d, remaining heads · size)"""
    # solution
    heads = weight.unflatten(1, (-1, size))                    # (d, heads, size)
    stay = [h for h in range(heads.shape[1]) if h not in gone]
    return heads[:, stay].flatten(1)
    # end


# %% tags=["nbval-check-output"]
pl.check("05.without_heads", without_heads)

# %% [markdown]
# **3. No layer goes silent** (hard, twelve minutes). Keep exactly `k` heads of the whole model: the best one of each layer, and beyond
# that the best of all others. `k` is at least the number of layers.
#
# <details><summary>Hint</summary>Mark each layer's <code>argmax</code> first. Give the marked ones a score of minus infinity in a copy, and
# take the best <code>k − layers</code> of the rest.</details>

# %%
def keep_with_floor(scores, k):
    """scores: (layers, heads) → a bool mask of the same shape, True keeps."""
    # solution
    first = torch.zeros_like(scores, dtype=torch.bool).scatter(1, scores.argmax(1, keepdim=True), True)
    rest = scores.masked_fill(first, -torch.inf).flatten()
    mask = first.flatten()
    mask[rest.topk(k - len(scores)).indices] = True
    return mask.view_as(scores)
    # end


# %% tags=["nbval-check-output"]
pl.check("05.keep_with_floor", keep_with_floor)

# %% [markdown]
# ## Quiz
#
# **1. Leave-one-out is exact. Why is removing its lowest half at once not the best choice of half the heads?**
# <details><summary>Answer</summary>It is exact for one head with all others present. Heads that replace each other all look unimportant;
# remove them together and the job is done by nobody.</details>
#
# **2. How many forward passes does leave-one-out need for 144 heads, and how many backward passes does taylor?**
# <details><summary>Answer</summary>One for each head and one for the whole model, for each batch (fewer layers if the part below the head is
# computed once). Taylor needs one forward and one backward pass in all.</details>
#
# **3. Half of the heads are gone. Which share of the encoder's work went with them?**
# <details><summary>Answer</summary>Half of attention's share. The feed-forward part, more than half of everything, is untouched.</details>
#
# **4. A score finds a head “unimportant” on an English calibration set. Is it?**
# <details><summary>Answer</summary>For English sentences of that kind. Another language may depend on it: look at every language that you serve.</details>
#
# ## What to remember
#
# - One backward pass scores all heads; leave-one-out is exact for one head, and blind to heads that replace each other.
# - A head is rows in three matrices and columns in a fourth. Layers may come out uneven.
# - Repair first. With long training after, the choice matters less.
# - Averages hide languages. Measure each one you serve.
#
# ## Sources
#
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: leave-one-out (section 3), gradient scores (section 4).
# - Voita et al. 2019, *Analyzing Multi-Head Self-Attention*: what heads do, and which can go (sections 5 and 6).
# - Budhraja, Pande, Kumar, Khapra 2020, *On the weak link between importance and prunability of attention heads*: random close to clever.
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: Fisher scores (section 3.1).
