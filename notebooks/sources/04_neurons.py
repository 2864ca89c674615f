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
# # 04 · Neuron pruning
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/04_neurons.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/04_neurons.ipynb)
#
# **You will be able to** score every neuron of a Transformer in four ways, find the layers that mind, remove neurons
# for real under a budget, and repair what is left with one formula and no training.
#
# *Forty-five minutes of yours, about two minutes of computing. Lesson 00 comes first; 02 and 03 help.*
#
# Single zeros saved no time (lesson 03). So we take out something larger: a whole **neuron** of the feed-forward part.
# Then two matrices really get smaller, and any machine gets faster. This is called **structured pruning**.

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

import statistics
import time

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import pruning_lessons as pl

pl.check_environment();

# %% [markdown]
# Four sets of sentences, each for one purpose. The **calibration set** comes from the training sentences; scores and repair
# look at it. We compare choices on the validation sentences, and report on the test sentences. The *unseen* ones are in
# languages on which the model was never trained (**zero-shot**).

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
model.requires_grad_(False)                      # we train no weights in this lesson
L, N = pl.Masks.keep_all(model).neurons.shape    # layers, neurons in each

# Sentences of like length share a batch: less padding, same answers (lesson 02).
train = pl.load_intents("train", limit=192, seed=0).by_length()
calibration = list(train.batches(tokenizer, batch_size=16))
validation = pl.load_intents("validation", limit=200, seed=0)
test = pl.load_intents("test", limit=200, seed=0)
unseen = pl.load_intents("zero_shot", limit=160, seed=0)


def accuracy(pruned, data):
    return pl.evaluate(pruned, tokenizer, data).accuracy


whole = pl.summary(model)
share = whole.parts["feed-forward"][1] / whole.macs
print(f"{L} layers × {N:,} neurons; they do {share:.0%} of the multiplications")

# %% tags=["nbval-check-output"]
pl.claim("more than half of all work is done by neurons", share > 0.5)

# %% [markdown]
# More than half of all work is done by neurons. That makes them the first place to save time.
#
# ## The problem in one picture
#
# We keep the same number of neurons five times, so the five models are equally large and equally fast. Only the choice
# differs: by dice, by the size of weights, by activity, and by two scores made from gradients. All five are explained
# below; first see how much hangs on the choice.

# %%
METHODS = ("random", "magnitude", "activation", "taylor", "fisher")
scores = {method: pl.importance(model, calibration, method) for method in METHODS}
KEEP = round(0.4 * N) * L              # neurons that stay, in all layers together


def keep_neurons(method, k, **options):
    return pl.prune(model, pl.select(scores[method], model, keep_neurons=k, **options))


start = accuracy(model, validation)
chosen = {method: accuracy(keep_neurons(method, KEEP), validation)
          for method in METHODS}

# %%
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
bars = ax.barh(list(chosen), [100 * a for a in chosen.values()], color="C0",
               edgecolor="black")
for bar, hatch in zip(bars, ("", "//", "\\\\", "xx", "..")):
    bar.set_hatch(hatch)
ax.bar_label(bars, fmt="%.0f", padding=3)
ax.axvline(100 * start, color="black", linestyle="--", label="unpruned")
ax.set(xlabel="accuracy on validation sentences, %", xlim=(0, 108),
       title=f"{KEEP / (L * N):.0%} of the neurons stay: the choice decides")
ax.legend(loc="lower center", bbox_to_anchor=(0.72, 0))
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("fisher and taylor keep at least ten points more than dice",
         min(chosen["fisher"], chosen["taylor"]) > chosen["random"] + 0.1)
pl.claim("magnitude does no better than dice",
         chosen["magnitude"] < chosen["random"] + 0.05)

# %% [markdown]
# *The picture in words: five bars, one for each way to choose, with their accuracy at the end; a dashed line marks the
# unpruned model. The two gradient scores, taylor and fisher, stand well above random.*
#
# And magnitude? It does no better than dice. Sizes of weights say little about what a neuron is for; further below a table shows that
# magnitude agrees with none of the other scores.

# %% [markdown]
# ## What a neuron is
#
# After attention every token's vector $x$ goes through the feed-forward part: up to many neurons, through a bend (GELU), and
# down again. Written neuron by neuron it is a sum:
#
# $$\mathrm{FFN}(x) = b + \sum_{j} a_j(x)\; w^{\text{out}}_j \qquad a_j(x) = \mathrm{GELU}\big(w^{\text{in}}_j \cdot x + b_j\big)$$
#
# Neuron $j$ reads $x$ with **row** $j$ of the first matrix, which gives one number, its **activation** $a_j$. It writes with
# **column** $j$ of the second matrix. To remove it means to drop one term of the sum: one row, one bias, one column.
#
# To look inside we need what flows into a part of the model. A **hook** catches it; padding is left out.

# %%
def tokens_into(module, batches):
    """What goes into `module` at every real token: (tokens, width)."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        for batch in batches:
            model(batch["input_ids"], attention_mask=batch["attention_mask"])
    finally:
        hook.remove()
    return torch.cat([x[b["attention_mask"].bool()] for x, b in zip(seen, batches)])


# %%
HERE = 3 * L // 4                                # the layer that we look at
layer = model.base_model.encoder.layer[HERE]
first, second = layer.intermediate.dense, layer.output.dense     # d → neurons → d
x = tokens_into(layer.intermediate, calibration[-1:])            # (tokens, d)
a = F.gelu(x @ first.weight.T + first.bias)                      # (tokens, neurons)
total = second.bias + sum(a[:, [j]] * second.weight[:, j] for j in range(N))
difference = (total - second(layer.intermediate(x))).abs().max().item()
print(f"sum over {N:,} neurons and the model's own layer differ by {difference:.0e}")
assert difference < 1e-3

# %% [markdown]
# ## Four ways to score
#
# **By weights (magnitude).** A neuron with short vectors in and out can do little. Its score is
# $\lVert w^{\text{in}}_j\rVert \cdot \lVert w^{\text{out}}_j\rVert$. It needs no data, and it does not know what the neuron is for. (You
# write it in exercise 1.)
#
# **By activations.** Run the calibration set and ask how much the neuron really writes, on average over tokens $t$:
#
# $$A_j = \frac{1}{T}\sum_t |a_j(x_t)| \cdot \lVert w^{\text{out}}_j \rVert$$

# %%
a = tokens_into(second, calibration)                             # (tokens, neurons)
by_hand = a.abs().mean(0) * second.weight.norm(dim=0)
assert torch.allclose(by_hand, scores["activation"].neurons[HERE], rtol=1e-3, atol=1e-6)
print("activation, by hand and by the library: equal")

# %% [markdown]
# **By gradients (fisher).** A neuron may write a lot, and nobody downstream cares. So ask the loss. Give each neuron a **gate** $\xi_j$,
# a factor on its activation: 1 leaves it as it is, 0 removes it. How does the loss $\mathcal L$ change if we close some gates?
# With $g = \partial\mathcal L/\partial\xi$, and $H$ the matrix of second derivatives,
#
# $$\mathcal L(\xi) - \mathcal L(1) \approx -\,g^\top(1-\xi) + \tfrac12\,(1-\xi)^\top H\,(1-\xi)$$
#
# In a trained model the mean of $g$ is about zero, and $H$ is close to the mean of $g\,g^\top$ over examples, the **Fisher
# information**. Its diagonal gives each neuron a score:
#
# $$I_j = \frac1n \sum_{i=1}^n \left(\frac{\partial \mathcal L_i}{\partial \xi_j}\right)^{\!2}$$
#
# Square first, then average: a neuron that pulls one sentence up and another down matters for both. So we need the gradient of
# *every example*. `pl.gates(model, examples=n)` gives each example gates of its own, and one backward pass finds them all.

# %%
def fisher(model, batch):
    n = len(batch["labels"])
    with pl.gates(model, examples=n) as gate:        # gate.neurons: (layers, n, neurons)
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        loss = F.cross_entropy(logits, batch["labels"], reduction="sum")
        gradient, = torch.autograd.grad(loss, gate.neurons)
    return gradient.square().mean(dim=1)                         # (layers, neurons)


by_hand = fisher(model, calibration[-1])
library = pl.importance(model, calibration[-1:], "fisher").neurons
assert torch.allclose(by_hand, library, rtol=1e-3, atol=1e-12)
print("fisher, by hand and by the library: equal,", tuple(by_hand.shape))

# %% [markdown]
# **taylor** is its sister: the mean of $|\partial \mathcal L_i/\partial\xi_j|$ in place of the square, so that a few hard sentences weigh
# less.
#
# Do the four agree? Rank all neurons of the model by each score, and compare the ranks: 1 is the same order, 0 no
# relation (**Spearman's** rank correlation).

# %%
ranks = [scores[m].neurons.flatten().argsort().argsort() for m in METHODS]
agree = torch.corrcoef(torch.stack(ranks).float())
rows = [(m, *(f"{r:.2f}" for r in row)) for m, row in zip(METHODS, agree)]
pl.table([("ranks agree", *METHODS), *rows])

# %% [markdown]
# The two gradient scores agree best. Random agrees with none, as it should. Magnitude's row looks much the same. Now the scores
# themselves:

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True, layout="constrained")
top = {}
for ax, method in zip(axes, ("magnitude", "activation", "fisher")):
    s = scores[method].neurons.flatten()
    top[method] = (s.sort(descending=True).values[:len(s) // 10].sum() / s.sum()).item()
    ax.hist((s / s.mean()).log10().clamp(-3.5, 2).numpy(), bins=55, range=(-3.5, 2),
            color="C0", edgecolor="black", linewidth=0.3)
    median = (s.median() / s.mean()).log10()
    ax.axvline(median, color="black", linestyle="--", label="median")
    ax.set(title=f"{method}: the top tenth\nholds {top[method]:.0%} of the sum",
           xlabel="score / mean", xticks=[-3, -2, -1, 0, 1],
           xticklabels=["0.001", "0.01", "0.1", "1", "10"])
axes[0].set_ylabel("neurons")
axes[0].legend(loc="upper left")
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("by fisher the top tenth of the neurons holds more than half of the sum",
         top["fisher"] > 0.5)

# %% [markdown]
# *The picture in words: three histograms on a logarithmic axis with the median dashed; the leftmost bar holds all that lie lower. Each title
# says which share of the whole sum the best tenth of neurons holds. That share is largest for fisher.*
#
# The more unequal the scores, the more can go cheaply. By fisher, a few neurons do much of what counts.

# %% [markdown]
# ## Which layer minds?
#
# A **sensitivity scan** cuts one layer by half and leaves all others whole. What to measure? Accuracy is coarse: it moves only when
# an answer flips. The **KL divergence** sees every shift of the model's probabilities $p$ before it comes to that:
#
# $$\mathrm{KL} = \frac1n\sum_i \sum_c p_{\text{whole}}(c\,|\,i)\,\big[\log p_{\text{whole}}(c\,|\,i) - \log p_{\text{cut}}(c\,|\,i)\big]$$

# %%
def log_p(batches):
    with torch.inference_mode():
        logits = [model(b["input_ids"], attention_mask=b["attention_mask"]).logits
                  for b in batches]
    return torch.cat(logits).log_softmax(-1)


def cut_one(i, share, method="fisher"):
    """Masks that remove this share of layer i's lowest neurons, and nothing else."""
    masks = pl.Masks.keep_all(model)
    masks.neurons[i, scores[method].neurons[i].argsort()[:round(share * N)]] = False
    return masks


# %%
probe = list(validation.subset(range(80)).by_length().batches(tokenizer))
truth = torch.cat([b["labels"] for b in probe])
reference = log_p(probe)
right = lambda p: (p.argmax(-1) == truth).float().mean().item()
kl, lost = {"fisher": [], "random": []}, []
for method in kl:
    for i in range(L):
        with pl.masked(model, cut_one(i, 0.5, method)):
            now = log_p(probe)
        moved = F.kl_div(now, reference, log_target=True, reduction="batchmean")
        kl[method].append(moved.item())
        lost.append(right(reference) - right(now))

# %%
figure, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
at = torch.arange(L)
ax.bar(at - 0.2, kl["random"], 0.4, label="half removed at random",
       color="C1", hatch="//", edgecolor="black")
ax.bar(at + 0.2, kl["fisher"], 0.4, label="half removed by fisher",
       color="C0", edgecolor="black")
ax.set(xlabel="the one layer that is cut", xticks=at, ylabel="KL divergence",
       yscale="log", title="Every layer alone, cut by half: how far do answers move?")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2)
plt.show()
order = torch.tensor(kl["random"]).argsort()
print(f"at random, minds least: layer {order[0]} | minds most: layer {order[-1]}")
print(f"accuracy lost by one cut: {100 * min(lost):.1f} "
      f"to {100 * max(lost):.1f} points")

# %% tags=["nbval-check-output"]
pl.claim("cuts chosen by fisher move the answers less than dice do",
         sum(kl["fisher"]) < sum(kl["random"]))

# %% [markdown]
# *The picture in words: for each layer two bars on a logarithmic axis, half removed at random (hatched) and half chosen by fisher
# (plain). Over all layers together the chosen cut moves the answers less. The lines below name the extremes.*
#
# One layer cut by half is forgiven, even where dice choose. Sixty percent out of every layer at once were not, in the first picture. Errors
# add up on the way through the network. Keep that in mind for the repair.

# %% [markdown]
# ## Choose under a budget
#
# A budget of $k$ neurons for the whole model. The simplest rule: rank all of them in one list, keep the best $k$ (you write it in
# exercise 2). Layers then come out **uneven**: one keeps many, another few. The careful rule: the same number in each layer
# (`even=True`), which is what tools need that cannot store uneven layers.

# %%
overall = {m: pl.select(scores[m], model, keep_neurons=KEEP)
           for m in ("fisher", "magnitude")}
figure, ax = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
for (method, masks), marker, line in zip(overall.items(), "os", ("-", "--")):
    ax.plot(masks.neurons.sum(1).tolist(), marker=marker, linestyle=line,
            label=f"{method}, over all layers")
ax.axhline(KEEP // L, color="black", linestyle=":", label="even")
ax.set(xlabel="layer", xticks=range(L), ylim=(0, N), ylabel="neurons that stay",
       title=f"{KEEP:,} neurons: who gets them?")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncol=3)
plt.show()

# %% [markdown]
# *The picture in words: neurons kept in each layer. Fisher (circles) and magnitude (squares) give every layer another number; the
# dotted line is the same number for all.*
#
# Hold this against the scan: does the layer that minds least keep the fewest neurons? Scan and scores are two looks at one question.

# %%
rows = [("rule", "over all layers", "even")]
for method in overall:
    even = accuracy(keep_neurons(method, KEEP, even=True), validation)
    rows.append((method, f"{chosen[method]:.1%}", f"{even:.1%}"))
single = accuracy(keep_neurons("fisher", KEEP, rearrange=False), validation)
rows.append(("fisher, each neuron for itself", f"{single:.1%}", ""))
pl.table(rows)

# %% [markdown]
# Read the table before you believe a rule, and remember that with 200 sentences one answer is half a point. Fisher's two numbers are nearly the
# same. Where magnitude gains by being uneven, look at the picture: it empties the last layer, which the scan found to mind least. An uneven
# choice is safe when scores mean the same in every layer. Gradients of one loss do. Sizes of weights need not, for a LayerNorm rescales what
# comes out.
#
# The last row leaves out a step that `select` takes by itself when it has gradients, **rearrangement**. The diagonal $I_j$
# looks at each neuron alone. But what is lost together is $\sum_i \big(\sum_{j\,\text{gone}} g_{ij}\big)^2$: two neurons whose
# gradients cancel can go as a pair. Inside every layer `select` exchanges neurons as long as that sum falls.

# %% [markdown]
# ## Remove them for real
#
# `prune` cuts rows and columns out. It must give what the masks give:

# %%
masks = overall["fisher"]
small = pl.prune(model, masks)
batch = calibration[-1]
inputs = {k: batch[k] for k in ("input_ids", "attention_mask")}
with torch.no_grad():
    with pl.masked(model, masks):
        from_masks = model(**inputs).logits
    difference = (small(**inputs).logits - from_masks).abs().max().item()
print(f"masked and pruned differ by {difference:.0e}")
assert difference < 1e-3

after = pl.summary(small)
rest = 1 - share
print(f"MACs: {whole.macs / after.macs:.2f} times fewer; "
      f"with no neurons at all {1 / rest:.1f} times fewer")
pl.latency({"whole": model, f"{KEEP / (L * N):.0%} of the neurons": small})

# %% [markdown]
# Time falls, and less than the number of neurons does: attention is still whole. The second number of the MACs line is what would be left
# if *all* neurons went, the limit of this lesson (**Amdahl's law**). Heads come next, in lesson 05.
#
# ### Round numbers
#
# A layer with 613 neurons, is that slower than one with 616? Processors multiply in blocks of 8 or 16 numbers, and a block
# that is not full costs as much as a full one. Let us time widths next to each other, in turns:

# %%
d = model.config.hidden_size
pairs = {n: (torch.nn.Linear(d, n), torch.nn.Linear(n, d))
         for n in range(N // 2 - 8, N // 2 + 9)}
x, times = torch.randn(256, d), {n: [] for n in pairs}
with torch.inference_mode():
    for _ in range(25):
        for n, (up, down) in pairs.items():
            begin = time.perf_counter()
            down(F.gelu(up(x)))
            times[n].append(1000 * (time.perf_counter() - begin))
ms = {n: statistics.median(t[5:]) for n, t in times.items()}
full = statistics.mean(ms[n] for n in ms if n % 8 == 0)
odd = statistics.mean(ms[n] for n in ms if n % 2)
print(f"an odd width takes {odd / full:.2f} times as long as a multiple of 8")

# %%
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
for eight, marker, label in ((True, "o", "multiples of 8"), (False, "x", "others")):
    widths = [n for n in ms if (n % 8 == 0) == eight]
    ax.plot(widths, [ms[n] for n in widths], marker, label=label)
ax.set(xlabel="neurons", ylabel="ms", ylim=(0, 1.4 * max(ms.values())),
       title="One feed-forward part, 256 tokens")
ax.legend(loc="lower right", ncol=2)
plt.show()

# %% [markdown]
# *The picture in words: milliseconds for widths next to each other; circles are multiples of 8, crosses the others. The
# line above it compares their means.*
#
# On a CPU the difference is often small; on graphics cards, whose units take fixed blocks, it can be large. Rounding costs next to
# nothing, so do it: `multiple=16` buys neurons in blocks.

# %%
masks_16 = pl.select(scores["fisher"], model, keep_neurons=KEEP, multiple=16)
counts = masks_16.neurons.sum(1).tolist()
print("neurons that stay:", counts)
print(f"validation: {accuracy(pl.prune(model, masks_16), validation):.1%}, "
      f"unrounded {chosen['fisher']:.1%}")
assert all(n % 16 == 0 for n in counts)

# %% [markdown]
# ## Repair one matrix by hand
#
# Some neurons are gone. The others could take over part of their work, if their outgoing weights were told to. No training is
# needed for that. Take one layer. Let the rows of $X$ be the activations of the *kept* neurons at each calibration token, and $Y$ what
# the whole layer gave there. We look for new outgoing weights $W'$ that come close to $Y$, and hold them near the old ones $W$, so
# that they do not learn the calibration set by heart (**ridge regression**):
#
# $$W' = \arg\min_{W'} \;\lVert X W'^\top + b - Y\rVert^2 + \lambda \lVert W' - W\rVert^2$$
#
# Set the derivative to zero. With $Z = Y - b$:
#
# $$2X^\top(XW'^\top - Z) + 2\lambda(W' - W)^\top = 0 \quad\Longrightarrow\quad
# (X^\top X + \lambda I)\,W'^\top = X^\top Z + \lambda W^\top$$
#
# $G = X^\top X$ is the **Gram matrix**: neurons × neurons, however many tokens went in. One linear system, solved exactly:

# %%
def ridge(X, Z, W, lam):
    """X: (tokens, kept), Z: (tokens, d), W: (d, kept) → the new W: (d, kept)."""
    X, Z, W = X.double(), Z.double(), W.double()
    G = X.T @ X                                  # (kept, kept)
    C = X.T @ Z                                  # (kept, d)
    I = torch.eye(len(G), dtype=G.dtype)
    return torch.linalg.solve(G + lam * I, C + lam * W.T).T.float()


# %%
masks_one = cut_one(HERE, 0.8)        # a fifth stays in this layer, all in the others
kept = masks_one.neurons[HERE]
W = second.weight[:, kept]


def inputs_and_targets(batches):
    """What the kept neurons give, and what all neurons wrote, without the bias."""
    a = tokens_into(second, batches)             # (tokens, neurons)
    return a[:, kept], a @ second.weight.T


def error(W, X, Z):
    """What is missed, relative to how much Z varies: 1 is no better than its mean."""
    return ((X @ W.T - Z).norm() / (Z - Z.mean(0)).norm()).item()


X, Z = inputs_and_targets(calibration)
print(f"{len(X):,} tokens, {X.shape[1]} neurons kept; "
      f"unrepaired error {error(W, X, Z):.2f}")

# %% [markdown]
# How strong should $\lambda$ be? It has the unit of $G$, so we give it as a share of the mean of $G$'s diagonal. To see both ends we
# fit on every fourth batch alone, and look at other sentences, too:

# %%
few = inputs_and_targets(calibration[::4])
other = inputs_and_targets(calibration[1::4])
unit = few[0].square().sum(0).mean().item()      # the mean of G's diagonal
LAMBDAS = [10.0 ** e for e in range(-6, 3)]
refitted = {lam: ridge(*few, W, lam * unit) for lam in LAMBDAS}
errors = {lam: (error(new, *few), error(new, *other)) for lam, new in refitted.items()}
best = min(errors, key=lambda lam: errors[lam][1])
before, after = error(W, *other), errors[best][1]
print(f"other sentences: {before:.2f} before repair, {after:.2f} after")

# %%
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.semilogx(LAMBDAS, [e[1] for e in errors.values()], "o-", label="other sentences")
ax.semilogx(LAMBDAS, [e[0] for e in errors.values()], "s--", label="fitted sentences")
ax.axhline(before, color="black", linestyle=":", label="others, unrepaired")
ax.axvline(best, color="gray", linewidth=1)
ax.annotate(" best λ", (best, 0.02), color="black")
ax.set(xlabel="λ, as a share of the mean of G's diagonal", ylabel="relative error",
       ylim=(0, None), title="The error falls; too small a λ learns by heart")
ax.legend(loc="center left")
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("on sentences not fitted, repair makes the error smaller", after < 0.9 * before)

# %% [markdown]
# *The picture in words: relative error against λ. At the far right little moves, and both curves come near the unrepaired error. To the
# left the error on the fitted sentences keeps falling. On others it is lowest at the marked λ; further left it can be worse than no
# repair at all.*
#
# ## Repair the whole model
#
# `pl.repair` does this for every output matrix of the model, attention's too, and adds three things:
#
# 1. The bias is refitted as well: a column of ones beside $X$, not held back by λ.
# 2. Tokens are weighted. A LayerNorm follows, which divides by each token's standard deviation; so the error is divided by it.
# 3. It goes from the first layer to the last, with $X$ from the *pruned* model and $Y$ from the original. Each layer also makes up
#    for the errors of those before it. λ is chosen on batches that were held out.
#
# With only one layer cut we can follow it. Ten lines, the same weights:

# %%
half = calibration[::2]
one = pl.repair(pl.prune(model, masks_one), model, half, ridges=(best,))

X, Z = inputs_and_targets(half)
spread = tokens_into(layer.output.LayerNorm, half).var(dim=1, keepdim=True).sqrt()
ones = torch.ones(len(X), 1)
A = (torch.cat([X, ones], dim=1) / spread).double()           # (tokens, kept + 1)
B = ((Z + second.bias) / spread).double()                     # (tokens, d)
old = torch.cat([W, second.bias[:, None]], dim=1).double()    # (d, kept + 1)
G = A.T @ A
penalty = (best * G.diagonal()[:-1].mean()).repeat(len(G))
penalty[-1] = 0                                               # the bias is free
new = torch.linalg.solve(G + penalty.diag(), A.T @ B + penalty[:, None] * old.T).T

theirs = one.base_model.encoder.layer[HERE].output.dense
difference = ((theirs.weight - new[:, :-1]).norm() / theirs.weight.norm()).item()
print(f"by hand and by pl.repair: relative difference {difference:.0e}")
assert difference < 1e-2
del one

# %% [markdown]
# And now for all layers at once, at a budget that hurts:

# %%
FEW = round(0.2 * N) * L


def report(pruned):
    return accuracy(pruned, test), accuracy(pruned, unseen)


cut = keep_neurons("fisher", FEW)
fixed = pl.repair(cut, model, calibration)
intact = report(model)
plain, repaired = {("fisher", 0.2): report(cut)}, {("fisher", 0.2): report(fixed)}
rows = [("model", "test", "zero-shot languages")]
for name, found in (("whole", intact), (f"{FEW:,} neurons", plain["fisher", 0.2]),
                    ("the same, repaired", repaired["fisher", 0.2])):
    rows.append((name, *(f"{a:.1%}" for a in found)))
assert pl.summary(fixed).macs == pl.summary(cut).macs
pl.table(rows)

# %% tags=["nbval-check-output"]
pl.claim("repair brings back more than five points of test accuracy",
         repaired["fisher", 0.2][0] > plain["fisher", 0.2][0] + 0.05)

# %%
name = f"{FEW / (L * N):.0%} of the neurons"
pl.latency({"whole": model, name: cut, "the same, repaired": fixed}, repeats=20)

# %% [markdown]
# The repaired model has the same shapes as the cut one, so it costs no time at all. No label was used, and no gradient step was taken.
# (Is a repaired model even *better* than the whole one in some column? With so few sentences that is luck, see lesson 00.)
#
# ## The sweep
#
# Now everything together, on test sentences: fewer and fewer neurons, three ways to choose, with and without repair; languages that
# were trained on, and languages that were not. This is the longest cell of the lesson.

# %%
SHARES, REPAIRED = (0.6, 0.4, 0.2), (0.4, 0.2)
WAYS = ("fisher", "magnitude", "random")
kept_masks = {}
del cut, fixed, small                  # memory for the next ones
for way in WAYS:
    plain[way, 1.0], kept_masks[way, 1.0] = intact, pl.Masks.keep_all(model)
    for s in SHARES:
        masks = pl.select(scores[way], model, keep_neurons=round(s * N) * L)
        kept_masks[way, s] = masks
        if (way, s) in plain:          # done above
            continue
        cut = pl.prune(model, masks)
        plain[way, s] = report(cut)
        if s in REPAIRED:
            repaired[way, s] = report(pl.repair(cut, model, calibration))

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
percent = lambda values: [100 * v for v in values]
titles = "languages it was trained on", "zero-shot languages"
for side, (ax, title) in enumerate(zip(axes, titles)):
    for i, (way, marker) in enumerate(zip(WAYS, "os^")):
        style, points = dict(marker=marker, color=f"C{i}"), (1.0, *SHARES)
        ax.plot(percent(points), percent(plain[way, s][side] for s in points),
                linestyle="--", markerfacecolor="white", label=way, **style)
        ax.plot(percent(REPAIRED), percent(repaired[way, s][side] for s in REPAIRED),
                linestyle="-", label=f"{way}, repaired", **style)
    ax.set(title=title, xlabel="neurons that stay, %", xlim=(104, 14), ylim=(0, 102))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("accuracy, %")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=3)
plt.show()

# %%
at_few = {way: (plain[way, 0.2][0], repaired[way, 0.2][0]) for way in WAYS}
spread = [max(a) - min(a) for a in zip(*at_few.values())]
print(f"at {0.2:.0%} of the neurons the best and the worst score are "
      f"{100 * spread[0]:.0f} points apart, repaired {100 * spread[1]:.0f}")

# %% tags=["nbval-check-output"]
pl.claim("at a fifth of the neurons repair helps whichever score chose",
         all(after > before for before, after in at_few.values()))
pl.claim("there dice with repair beat magnitude without",
         at_few["random"][1] > at_few["magnitude"][0])
pl.claim("repair brings the scores closer together", spread[1] < spread[0])

# %% [markdown]
# *The picture in words: two panels, trained and zero-shot languages; accuracy against the share of neurons that stay,
# falling from left to right. Dashed lines with hollow markers are unrepaired: fisher (circles), magnitude (squares), random (triangles). Solid lines
# with filled markers are repaired, and lie above their dashed ones at a fifth of the neurons.*

# %%
rows = [("neurons that stay", "score", "test", "repaired",
         "zero-shot", "zero-shot, repaired")]
for s in REPAIRED:
    for way in WAYS:
        (a, b), (c, e) = plain[way, s], repaired[way, s]
        rows.append((f"{s:.0%}", way, f"{a:.1%}", f"{c:.1%}", f"{b:.1%}", f"{e:.1%}"))
rows.append(("100%", "whole model", f"{intact[0]:.1%}", "", f"{intact[1]:.1%}", ""))
pl.table(rows)

# %% [markdown]
# Three things to see:
#
# - The score decides how far you get without repair.
# - At a fifth of the neurons, dice *with* repair beat magnitude without it, and repair brings the three scores closer together.
#   What you do after the cut can count for more than how you choose. So compare methods with the repair that you will really use.
# - Read the zero-shot columns as well. A cut that looks harmless on your test set may have cost a language that is not in it.
#
# ## Try it
#
# Choose a score and a share. Left: which neurons go, on the scale of their scores. Right: how many stay in each layer. The accuracy
# comes from the sweep above. The picture below is the same for one setting, for readers without a running kernel.

# %%
def show(way, share):
    s, stay = scores[way].neurons, kept_masks[way, share].neurons
    level = (s / s.mean()).clamp(min=1e-4).log10()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.7), layout="constrained")
    left.hist([level[stay].numpy(), level[~stay].numpy()], 40, histtype="stepfilled",
              stacked=True, color=["C0", "white"], edgecolor="black",
              label=["stay", "go"])
    left.set(xlabel="log10 of score / mean", ylabel="neurons",
             title=f"{way}: {share:.0%} stay")
    left.legend(loc="upper left")
    right.bar(range(L), stay.sum(1).tolist(), color="C0", edgecolor="black")
    right.set(xlabel="layer", xticks=range(L), ylim=(0, N), ylabel="neurons that stay")
    title = f"test {plain[way, share][0]:.0%}, zero-shot {plain[way, share][1]:.0%}"
    if (way, share) in repaired:
        on_test, on_unseen = repaired[way, share]
        title += f"\nrepaired {on_test:.0%} and {on_unseen:.0%}"
    right.set_title(title)
    plt.show()


show("fisher", 0.2)

# %% [markdown]
# *The picture in words: left, a histogram of fisher scores; the filled area is neurons that stay, the white one those that go, mostly low scores. The two
# overlap, because rearrangement keeps some low ones and lets some higher ones go; the leftmost bar holds all that lie lower. Right, a bar for each layer: the neurons it keeps. The title gives the accuracies.*

# %%
try:
    import ipywidgets
    way = ipywidgets.Dropdown(options=WAYS, value="fisher", description="score")
    points = [(f"{s:.0%}", s) for s in (*reversed(SHARES), 1.0)]
    stay = ipywidgets.SelectionSlider(options=points, value=0.4, description="stay",
                                      continuous_update=False)
    display(way, stay, ipywidgets.interactive_output(show, {"way": way, "share": stay}))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# Stay at one share and switch between magnitude and fisher. Which layers does the one starve, and the other feed?

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. Magnitude** (easy, five minutes). The score of each neuron by its weights: the length of its way in times the length of its way
# out. `w_in` has one row for each neuron, `w_out` one column. A neuron that writes nothing scores zero.
#
# <details><summary>Hint</summary><code>.norm(dim=…)</code> gives the lengths of rows or columns. Which <code>dim</code> must disappear from
# <code>w_in</code>, so that one number for each neuron is left?</details>

# %%
def magnitude(w_in, w_out):
    """w_in: (neurons, d), w_out: (d, neurons) → (neurons,)"""
    # solution
    return w_in.norm(dim=1) * w_out.norm(dim=0)
    # end


# %% tags=["nbval-check-output"]
pl.check("04.magnitude", magnitude)

# %% [markdown]
# **2. The k best** (medium, eight minutes). From scores `(layers, neurons)` make the mask that keeps exactly the `k` best neurons
# of the whole model. Some layers may keep none; `k` may be 0.
#
# <details><summary>Hint</summary>Flatten, take the indices of the <code>k</code> largest (<code>topk</code>), set those places of a flat mask to
# <code>True</code>, and give it the old shape with <code>view_as</code>.</details>

# %%
def keep_best(scores, k):
    """scores: (layers, neurons) → a bool mask of the same shape, True keeps."""
    # solution
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().topk(k).indices] = True
    return mask.view_as(scores)
    # end


# %% tags=["nbval-check-output"]
pl.check("04.keep_best", keep_best)

# %% [markdown]
# **3. Repair, batch by batch** (hard, fifteen minutes). A million tokens do not fit into memory, but their Gram matrix does. Write the ridge
# solution for inputs that come in pieces: `inputs[i]` is $(\text{tokens}_i, \text{kept})$ and `targets[i]` is $(\text{tokens}_i, d)$, with the
# bias already taken off. The answer must be the one for all tokens at once.
#
# <details><summary>Hint</summary>G is a sum over tokens. So it is the sum of the pieces' own Gram matrices; likewise C. Add up
# both, then solve once, with λ once, pulling towards <code>W</code>.</details>

# %%
def refit(inputs, targets, W, lam):
    """Lists of tensors, W: (d, kept), lam: a number → the new W: (d, kept)"""
    # solution
    G = sum(x.T @ x for x in inputs)
    C = sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W.T).T
    # end


# %% tags=["nbval-check-output"]
pl.check("04.refit", refit)

# %% [markdown]
# ## Quiz
#
# **1. Why do we square each example's gradient before averaging? Why not average first?**
# <details><summary>Answer</summary>In a trained model the gradients of different examples cancel: their mean is about zero for every neuron, and says
# little. The squares do not cancel. They say how strongly single answers hang on the neuron.</details>
#
# **2. Half of the neurons are gone. Why is the model not twice as fast?**
# <details><summary>Answer</summary>Attention, embeddings and the fixed cost of starting each operation are still there. Only the feed-forward share of
# the time can shrink.</details>
#
# **3. A paper says that its score beats magnitude by many points at the same budget, with no repair after either. What do you ask?**
# <details><summary>Answer</summary>What is left of the difference after repair or fine-tuning. In the sweep, repair brought the scores closer together.</details>
#
# **4. What happens to W' if λ is very large? And if it is zero, with fewer tokens than neurons?**
# <details><summary>Answer</summary>Very large: W' stays W, nothing is repaired. Zero with few tokens: G cannot be inverted, for many W' fit the
# tokens perfectly; whichever comes out was learned by heart.</details>
#
# **5. Does `pl.repair` need labels?**
# <details><summary>Answer</summary>No. Its targets are what the original model computes inside. Any sentences of the right kind will do. Fisher
# scores here did use labels.</details>
#
# ## What to remember
#
# - A neuron is a row, a bias and a column. Without it two matrices are smaller, on any machine.
# - Scores from gradients ask what the answers need; scores from weights only ask what is large.
# - Scan layers one by one with a fine measure (KL). One cut layer is forgiven, many add up.
# - Repair by least squares: one linear system for each matrix, no labels, no training, and no cost in speed.
# - Compare methods after repair. Watch the zero-shot languages.
#
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: Fisher scores and search (section 4.1), rearrangement
#   (4.2), tuning by least squares (4.3).
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: gates and their gradients (section 4).
# - Molchanov et al. 2017, *Pruning Convolutional Neural Networks for Resource Efficient Inference*: Taylor scores (section 2).
# - Yang et al. 2022, *TextPruner*: neurons of XLM-R, even and uneven.
# - Hassibi and Stork 1993, *Optimal Brain Surgeon*, and Frantar and Alistarh 2023, *SparseGPT* (section 3): making up for what is removed, in closed form.
