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
    folders = Path.cwd().resolve().parents
    clone = next((p for p in folders if (p / "pyproject.toml").exists()), None)
    source = clone.as_uri() if clone else f"git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    f"pruning-lessons[views,train] @ {source}"], check=True)
    importlib.invalidate_caches()

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import pruning_lessons as pl

plt.rcParams["text.parse_math"] = False                  # a $ in a text is a $, no formula
pl.check_environment();

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
L, H = pl.Masks.keep_all(model).heads.shape              # layers, heads in each

calibration = list(pl.load_intents("train", limit=192, seed=0).batches(tokenizer, 16))
test = pl.load_intents("test", limit=200, seed=0)
unseen = pl.load_intents("zero_shot", limit=200, seed=0)


def accuracy(pruned, data=test):
    return pl.evaluate(pruned, tokenizer, data).accuracy


start = accuracy(model), accuracy(model, unseen)
print(f"{L} layers × {H} heads = {L * H}; "
      f"test {start[0]:.1%}, zero-shot {start[1]:.1%}")

# %% [markdown]
# ## The problem in one picture
#
# The honest way to find out what a head is worth: take it away, measure, put it back. This is **leave-one-out**. We
# measure the loss (cross-entropy), which moves even when no answer flips.

# %%
few = calibration[:3]                                       # 48 sentences
exact = pl.importance(model, few, "leave_one_out").heads    # loss without − loss with
top = exact.abs().max().item()
small = (exact.abs() < top / 10).sum().item()
helped = (exact < 0).sum().item()
print(f"{small} of {L * H} heads change the loss by less than a tenth "
      "of the greatest change;")
print(f"without {helped} heads, one at a time, the loss is even a little smaller")

# %%
figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
picture = ax.imshow(exact, cmap="RdBu_r", vmin=-top, vmax=top)
for layer, head in (exact.abs() > top / 4).nonzero().tolist():
    ax.text(head, layer, f"{exact[layer, head]:+.3f}", ha="center", va="center",
            fontsize=6, bbox=dict(facecolor="white", edgecolor="none", pad=0.5))
ax.set(xlabel="head", ylabel="layer", xticks=range(H), yticks=range(L),
       title="What the loss gains when one head goes")
figure.colorbar(picture, label="change of the loss, nats")
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("most heads, one at a time, are hardly missed", small > L * H / 2)

# %% [markdown]
# *The picture in words: a grid, one row for each layer, one column for each head. Most squares are pale: the head alone is
# hardly missed. The few strong ones stand in the last layers and carry their number.*
#
# So most heads can go? Not so fast. Each was missed by itself, with all others there to step in. What if the least
# important two thirds go at once?

# %%
def remove_lowest(scores, n):
    masks = pl.Masks.keep_all(model)
    masks.heads.view(-1)[scores.flatten().argsort()[:n]] = False
    return masks


def loss(pruned, batches=few):
    total = 0.0
    with torch.inference_mode():
        for b in batches:
            logits = pruned(b["input_ids"], attention_mask=b["attention_mask"]).logits
            total += F.cross_entropy(logits, b["labels"], reduction="sum").item()
    return total / sum(len(b["labels"]) for b in batches)


lower = remove_lowest(exact, L * H * 2 // 3)
alone = exact[~lower.heads].sum().item()
together = loss(pl.prune(model, lower)) - loss(model)
print(f"costs of the lower two thirds, one at a time, added up: {alone:+.3f}")
print(f"cost of removing all of them together:                  {together:+.3f}")

# %% tags=["nbval-check-output"]
pl.claim("together they cost more than their single costs add up to", together > alone)

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
# (at $\xi_h=1$), with tokens $t$, the places $k$ of the head, and $\mathcal L_i$ the loss of sentence $i$ of $n$. One backward pass has it for
# all heads. In code, without any gate: what the heads of a layer say flows into its matrix `attention.output.dense`, so a hook there sees it.

# %%
def taylor(model, batch):
    said, hooks = [], []                     # what the heads say, layer by layer
    for layer in model.base_model.encoder.layer:
        hooks.append(layer.attention.output.dense.register_forward_pre_hook(
            lambda module, inputs: said.append(inputs[0])))
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    for hook in hooks:
        hook.remove()
    total = F.cross_entropy(logits, batch["labels"], reduction="sum")
    found = []
    for context, gradient in zip(said, torch.autograd.grad(total, said)):
        heads = (context * gradient).unflatten(-1, (H, -1))    # (examples, T, heads, size)
        found.append(heads.sum(dim=(1, 3)).abs().mean(dim=0))
    return torch.stack(found)                # (layers, heads)


# %%
by_hand = taylor(model, calibration[0])
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
same = {m: pl.importance(model, few, m).heads for m in METHODS}
rank = lambda s: s.flatten().argsort().argsort().float()


def spearman(a, b):
    return torch.corrcoef(torch.stack([rank(a), rank(b)]))[0, 1].item()


rows = [("score", "with the change of the loss", "with its size, no sign")]
for m in METHODS:
    rows.append((m, f"{spearman(same[m], exact):.2f}",
                 f"{spearman(same[m], exact.abs()):.2f}"))
pl.table(rows)

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True, layout="constrained")
for ax, m in zip(axes, ("taylor", "magnitude", "random")):
    ax.scatter(rank(same[m]), rank(exact), s=14, edgecolor="black", linewidth=0.4)
    ax.set(title=m, xlabel=f"rank by {m}")
axes[0].set_ylabel("rank by leave-one-out")
plt.show()

# %% tags=["nbval-check-output"]
by_taylor, by_magnitude = (spearman(same[m], exact.abs()) for m in ("taylor", "magnitude"))
pl.claim("taylor finds the size of the change far better than magnitude does",
         by_taylor > by_magnitude + 0.3)

# %% [markdown]
# *The picture in words: three clouds of points, one point for each head, its rank by a score against its rank by leave-one-out. Taylor's is
# shaped like a V, the other two have no shape.*
#
# Why a V? Taylor takes absolute values: it says how much a head matters, not whether for better or worse. Leave-one-out has a sign, and heads that
# do harm stand at its bottom. Held against the size of the change alone (last column), the gradient scores agree far better. (With 144 heads
# chance alone gives correlations up to about ±0.16.) But the order is not the goal. What counts is how good the model is without the heads.

# %% [markdown]
# ## Choose and measure
#
# Remove more and more heads by each score, and look at accuracy.

# %%
KEEP = [L * H * k // 6 for k in (4, 3, 2, 1)]               # heads that stay
THIRD = L * H // 3
WAYS = {"taylor": ("C0", "o-"), "fisher": ("C1", "s--"), "magnitude": ("C2", "^-."),
        "leave-one-out": ("C3", "D:"), "random": ("C4", "x:")}


def masks_for(way, keep):
    if way == "leave-one-out":
        return remove_lowest(exact, L * H - keep)
    return pl.select(scores[way], model, keep_heads=keep, rearrange=False)


curves = {way: [accuracy(pl.prune(model, masks_for(way, keep))) for keep in KEEP]
          for way in WAYS}
at_third = {way: curve[2] for way, curve in curves.items()}
print(f"with {THIRD} heads: "
      + ", ".join(f"{way} {right:.0%}" for way, right in at_third.items()))

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for way, (colour, style) in WAYS.items():
    y = [100 * right for right in (start[0], *curves[way])]
    ax.plot([L * H, *KEEP], y, style, color=colour, label=way)
ax.set(xlabel="heads that stay", ylabel="accuracy on test sentences, %", ylim=(0, 102),
       xlim=(L * H * 1.03, 0), title="Removed by score, no training after")
ax.grid(alpha=0.3)
ax.legend(ncol=2)
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("with a third of the heads the gradient scores are ahead of dice",
         min(at_third["taylor"], at_third["fisher"]) > at_third["random"])
pl.claim("magnitude is not", at_third["magnitude"] < at_third["random"] + 0.02)

# %% [markdown]
# *The picture in words: five curves fall from left to right as heads are removed. The gradient scores and leave-one-out stay above random where
# a third of the heads is left, magnitude does not.*
#
# Long weights are not important weights. And leave-one-out, for many times the price, does no better than one backward pass.

# %% [markdown]
# ## Remove them for real
#
# Head $h$ owns neighbouring **rows** of the query, key and value matrices, and neighbouring **columns** of the output
# matrix. `pl.prune` cuts them out. Ranking all heads in one list makes layers **uneven**: here is who stays.

# %%
third = masks_for("fisher", THIRD)
lean = pl.prune(model, third)
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.imshow(third.heads, cmap="Greys", vmin=-0.4, vmax=1.6)
for layer, row in enumerate(third.heads):
    for head, stays in enumerate(row):
        ax.text(head, layer, "●" if stays else "·", ha="center", va="center")
    ax.text(H - 0.2, layer, f"{row.sum()} stay", va="center", fontsize=9)
ax.set(xlabel="head", ylabel="layer", xticks=range(H), yticks=range(L),
       title="● stays, · goes")
plt.show()
pl.latency({"whole": model, f"{THIRD} heads": lean}, batch_size=16)

# %% [markdown]
# *The picture in words: the grid of heads; a dot that is filled stays, a small one goes. At the end of each row, how many stay.*
#
# Compare with what we hoped for: two thirds of the heads went, but the feed-forward part, which does more than half of the
# work (lesson 02), is still whole. Heads alone do not buy much time. They come into their own together with neurons, in
# lesson 07.
#
# Now **repair** (lesson 04): refit the output matrices by least squares, with no labels and no training.

# %%
rows = [("heads", "", "test", "zero-shot"),
        (L * H, "whole", *(f"{right:.1%}" for right in start))]
for keep in (THIRD, L * H // 6):
    cut = pl.prune(model, masks_for("fisher", keep))
    for name, m in (("pruned", cut), ("repaired", pl.repair(cut, model, calibration))):
        rows.append((keep, name, f"{accuracy(m):.1%}", f"{accuracy(m, unseen):.1%}"))
pl.table(rows)

# %% [markdown]
# Where a cut cost little, there is little to repair, and one answer is half a point: small differences mean nothing. With a sixth of the heads
# you see what repair is for.
#
# ## What each language loses
#
# One average hides a lot. The same model by language, hatched where the model never saw a training sentence:

# %%
before, after = {}, {}
for split in ("test", "zero_shot"):
    data = pl.load_intents(split, limit=800, seed=1)
    before |= pl.evaluate(model, tokenizer, data).by_language
    after |= pl.evaluate(lean, tokenizer, data).by_language
trained = set(test.languages)
order = sorted(before, key=lambda k: (k not in trained, before[k] - after[k]))

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
for i, language in enumerate(order):
    known = language in trained
    ax.bar(i, 100 * (before[language] - after[language]), edgecolor="black",
           color="C0" if known else "C1", hatch="" if known else "//")
ax.axhline(0, color="black", linewidth=0.8)
ax.set(xticks=range(len(order)), xticklabels=order, ylabel="points lost",
       title=f"Points lost with {THIRD} of {L * H} heads (hatched: zero-shot)")
plt.show()
mean = lambda names: sum(before[k] - after[k] for k in names) / len(names)
print(f"on average: trained {100 * mean(trained):.1f} points, "
      f"zero-shot {100 * mean(set(order) - trained):.1f} points")

# %% [markdown]
# *The picture in words: one bar for each language, how many points of accuracy it lost; plain bars are the languages of
# training, hatched ones the zero-shot languages. The line below gives the two averages.*
#
# About seventy sentences a language: one answer is more than a point. Look at the groups, not at one bar. The calibration set held none of
# the hatched languages. What is not in it has no vote, and these languages had thinner margins from the start. If you serve a language, put
# some sentences of it there; they need no labels (`pl.importance` can draw labels from the model's own answers).

# %% [markdown]
# ## Does the choice matter if you train after?
#
# Budhraja and others (2020) pruned heads of a translation model and of BERT, at random and by rules, fine-tuned, and found random nearly as
# good. A small version of their experiment: a third of the heads stay, chosen by fisher or by dice (two throws), then one epoch on 320
# sentences, ten steps.

# %%
lessons = pl.load_intents("train", limit=320, seed=3)


def cut_and_train(masks):
    pruned = pl.prune(model, masks)
    plain = accuracy(pruned)
    pl.fine_tune(pruned, tokenizer, lessons, epochs=1, learning_rate=1e-4,
                 progress=False)
    return plain, accuracy(pruned)


dice = [pl.importance(model, None, "random", seed=s) for s in range(2)]
throws = [cut_and_train(pl.select(d, model, keep_heads=THIRD)) for d in dice]
recovered = {"fisher": cut_and_train(masks_for("fisher", THIRD)),
             "random, mean of two": tuple(sum(t) / len(t) for t in zip(*throws))}
pl.table([("choice", "pruned", "trained after"),
       *((way, f"{a:.1%}", f"{b:.1%}") for way, (a, b) in recovered.items())])

# %% tags=["nbval-check-output"]
gaps = [a - b for a, b in zip(*recovered.values())]
pl.claim("training narrows the gap between choice and dice", gaps[1] < gaps[0])

# %% [markdown]
# Ten steps narrow the gap. Whether it closes depends on how long you train: Budhraja and others trained as long as for the model itself. A
# good choice is for those who cannot train much, or at all; and training makes the choice matter less.

# %% [markdown]
# ## Try it: switch heads off
#
# A grid with a button for each head. Type a sentence, switch heads off, and see what the model answers. The picture below is
# the same for one setting, for readers without a running kernel.

# %%
SENTENCE = "turn off the lamp in the kitchen"


@torch.inference_mode()
def answers(heads, sentence):
    """The three most probable intents; `heads` (layers, heads): True is on."""
    masks = pl.Masks.keep_all(model)
    batch = tokenizer(sentence, return_tensors="pt", truncation=True)
    with pl.masked(model, pl.Masks(heads, masks.neurons, masks.layers)):
        p = model(**batch).logits[0].softmax(-1)
    best = p.topk(3)
    names = [model.config.id2label[i] for i in best.indices.tolist()]
    return list(zip(names, best.values.tolist()))


settings = {"all heads": torch.ones(L, H, dtype=torch.bool),
            f"the {THIRD} best": masks_for("fisher", THIRD).heads}
settings["last two layers off"] = settings["all heads"].clone()
settings["last two layers off"][-2:] = False

# %%
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.2), layout="constrained")
for ax, (title, heads) in zip(axes, settings.items()):
    found = answers(heads, SENTENCE)[::-1]
    ax.barh([name for name, _ in found], [v for _, v in found], color="C0",
            edgecolor="black", hatch="//")
    ax.set(xlim=(0, 1), title=title, xlabel="probability")
figure.suptitle(f"“{SENTENCE}”")
plt.show()

# %% [markdown]
# *The picture in words: three bar charts with the three most probable intents of the sentence, for all heads, for the best third of
# them, and with all heads of the last two layers off: there the answer is wrong, and unsure.*
#
# A pressed button is a head that is on; one with a dash is off.

# %%
try:
    import html

    import ipywidgets as w

    text = w.Text(SENTENCE, description="sentence", continuous_update=False,
                  layout=w.Layout(width="480px"))
    size = w.Layout(width="36px", height="24px", padding="0")
    buttons = [[w.ToggleButton(True, description=str(h), layout=size,
                               tooltip=f"layer {l}, head {h}")
                for h in range(H)] for l in range(L)]
    said = w.HTML()

    def update(_=None):
        on = torch.tensor([[b.value for b in row] for row in buttons])
        for row in buttons:
            for h, button in enumerate(row):
                button.description = str(h) if button.value else "–"
        said.value = f"{int(on.sum())} heads on<br>" + "<br>".join(
            f"{v:.0%} {html.escape(name)}"
            for name, v in answers(on, text.value or SENTENCE))

    for widget in [text, *(b for row in buttons for b in row)]:
        widget.observe(update, "value")
    update()
    grid = w.VBox([w.HBox([w.Label(f"layer {l}", layout=w.Layout(width="56px")), *row])
                   for l, row in enumerate(buttons)])
    display(w.VBox([text, w.HBox([grid, said])]))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# Can a single head change the answer? Look for candidates in the picture at the top of the lesson. Now switch off a whole row of the last
# layers, and then two. Does any sentence survive that?

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
    first = torch.zeros_like(scores, dtype=torch.bool)
    first.scatter_(1, scores.argmax(1, keepdim=True), True)
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
# computed once). Taylor needs one forward and one backward pass for each batch.</details>
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
# - A hard cut needs repair. Training makes the choice matter less; how much less, measure.
# - Averages hide languages. Measure each one you serve.
#
# ## Sources
#
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: leave-one-out (section 3), gradient scores (section 4).
# - Voita et al. 2019, *Analyzing Multi-Head Self-Attention*: what heads do, and which can go (sections 5 and 6).
# - Budhraja, Pande, Nema, Kumar, Khapra 2020, *On the weak link between importance and prunability of attention heads*: random close to clever.
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: Fisher scores (section 4.1).
