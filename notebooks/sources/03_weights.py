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
# **You will be able to** set weights to zero by any score and in any pattern; tell what the score contributes from what the
# scope does; find out which parts of a model are sensitive, and use it; recover accuracy step by step; and say when zeros
# save time, when they save bytes, and when neither.
#
# {minutes, 2 computing} Lessons 00 and 02 come first.
#
# The oldest idea in pruning looks at single weights: a weight close to zero changes little, so let it *be* zero.
# It is the sharpest knife in this course: you can cut away a lot before the model notices. And yet, as a rule, it saves no
# time. See both for yourself.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import copy
import time
import warnings
import zlib

import torch
import pruning_lessons as pl

warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
SEED = 0               # another seed: other sentences, other random zeros
pl.check_environment();

# %% [markdown]
# We use three sets of sentences, each for one purpose. Scores come from the [calibration set](glossary.md#calibration-set), a batch of training
# sentences without their labels. We compare and choose on validation sentences. The test sentences wait until the end.

# %%
model, tokenizer = pl.load(pl.prepare("embedded"))
KINDS = {"query": "attention.self.query", "key": "attention.self.key",
         "value": "attention.self.value", "attention output": "attention.output.dense",
         "feed-forward in": "intermediate.dense", "feed-forward out": "output.dense"}


def matrices(m):
    """{(layer, kind): the matrix} of the six matrices in every layer."""
    return {(i, kind): layer.get_submodule(path)
            for i, layer in enumerate(m.base_model.encoder.layer)
            for kind, path in KINDS.items()}


WEIGHTS = {key: matrix.weight.detach() for key, matrix in matrices(model).items()}
ALL = sum(weight.numel() for weight in WEIGHTS.values())
print(f"{len(WEIGHTS)} matrices with {ALL / 1e6:.1f} million weights")

# %%
train = pl.load_intents("train", limit=128, seed=SEED)
calibration = next(iter(train.batches(tokenizer, batch_size=128)))
validation = pl.load_intents("validation", limit=160, seed=SEED).by_length()
BATCHES = list(validation.batches(tokenizer, batch_size=40))
LABELS = torch.cat([batch["labels"] for batch in BATCHES])


@torch.no_grad()
def answers(m, batches=BATCHES):
    """Logits of all sentences: (n, intents)."""
    return torch.cat([pl.outputs(m, batch) for batch in batches])


def share_right(logits):
    return (logits.argmax(-1) == LABELS).float().mean().item()


def accuracy(m):
    return share_right(answers(m))


print(f"whole model: {accuracy(model):.1%} of {len(LABELS)} validation sentences right")

# %% [markdown]
# ## Score and scope
#
# To prune weights you decide two things, and it pays to keep them apart.
#
# - The **score**: what is a weight worth? The simplest answer is its size, $|w|$: [magnitude
#   pruning](glossary.md#magnitude-pruning).
# - The **scope**: which weights compete with each other? All weights of the model (*global*), those of one matrix, or those of one *row*,
#   that is, of one output.
#
# In each group, the share $s$ with the lowest scores goes:
#
# $$m_{ij} = \begin{cases} 0 & \text{score}_{ij} \text{ among the } s\cdot n \text{ lowest of its group of } n\\
# 1 & \text{otherwise}\end{cases} \qquad w \leftarrow m \odot w$$
#
# **Exercise 1. The mask** (medium, 7 minutes). From the scores of one matrix, `(out, in)`, make the mask: True where a weight stays. With scope
# `"matrix"` all weights are ranked together, with `"row"` those of each row. In each group exactly
# `round(sparsity * size)` go.
#
# <details><summary>Hint</summary>View the matrix as one long row for <code>"matrix"</code>; then both scopes are the same
# code. <code>topk(n, dim=1, largest=False)</code> gives the places of the lowest, <code>scatter</code> writes False there.</details>

# %%
def keep_mask(scores, sparsity, scope):
    """A bool tensor of the scores' shape; scope is "matrix" or "row"."""
    # solution
    groups = scores if scope == "row" else scores.reshape(1, -1)
    n = round(sparsity * groups.shape[1])
    lowest = groups.topk(n, dim=1, largest=False).indices
    stays = torch.ones_like(groups, dtype=torch.bool).scatter(1, lowest, False)
    return stays.view_as(scores)
    # end


# %% tags=["nbval-check-output"]
keep_mask = pl.check("03.keep_mask", keep_mask)

# %% [markdown]
# Here is what your mask does to a corner of the model's first query matrix. (For “2 of every 4” it gets the corner reshaped to rows of four.)

# %%
corner = WEIGHTS[0, "query"][:6, :8].contiguous()
by_fours = keep_mask(corner.abs().reshape(-1, 4), 0.5, "row").view_as(corner)
pl.figures.scopes(corner, {"half of the matrix": keep_mask(corner.abs(), 0.5, "matrix"),
                           "half of each row": keep_mask(corner.abs(), 0.5, "row"),
                           "2 of every 4": by_fours}, title="One score, three scopes")

# %% [markdown]
# The smaller the groups, the less freely one can choose: a large weight may go because the others in its group are larger still. Now the
# whole model.

# %%
MAGNITUDE = {key: weight.abs() for key, weight in WEIGHTS.items()}


def zeroed(masks):
    """A copy of the model, with weights at zero where a mask is False."""
    pruned = copy.deepcopy(model)
    for key, matrix in matrices(pruned).items():
        matrix.weight.data.mul_(masks[key])
    return pruned


def prune_by(scores, sparsity, scope):
    return zeroed({key: keep_mask(s, sparsity, scope) for key, s in scores.items()})

# %%
def apart(one, other):
    """The share of weights that are zero in one of two models only."""
    pairs = zip(matrices(one).values(), matrices(other).values())
    return sum(((a.weight == 0) != (b.weight == 0)).sum().item() for a, b in pairs) / ALL


pl.claim("your zeros are the library's, but for a few weights of equal size",
         apart(prune_by(MAGNITUDE, 0.5, "matrix"),
               pl.prune_weights(model, 0.5, scope="matrix", permanent=True)) < 0.001)

# %%
pl.quiz("03.guess_sixty")

# %%
SPARSITIES = [0.4, 0.6, 0.7, 0.8]


def library_curve(sparsities=SPARSITIES, **options):
    return [100 * accuracy(pl.prune_weights(model, s, permanent=True, **options))
            for s in sparsities]


curves = {"row": [100 * accuracy(prune_by(MAGNITUDE, s, "row")) for s in SPARSITIES],
          "matrix": library_curve(scope="matrix"), "global": library_curve(scope="global")}

# %%
dice = [library_curve(SPARSITIES[:2], scope="matrix", method="random", seed=SEED + i)
        for i in range(2)]
low, high = ([limit(found) for found in zip(*dice)] for limit in (min, max))
nothing = [float("nan")] * 2                               # not measured: a gap
curves["random"] = [(a + b) / 2 for a, b in zip(low, high)] + nothing

# %%
start = 100 * accuracy(model)
pl.figures.curves([0, *SPARSITIES],
                  {name: [start, *curve] for name, curve in curves.items()},
                  bands={"random": ([start, *low, *nothing], [start, *high, *nothing])},
                  ylim=(0, 102), xlabel="share of zeros",
                  ylabel="accuracy, %", title="The smallest weights go; no training")

# %% tags=["nbval-check-output"]
at_60, at_70 = ({name: curve[SPARSITIES.index(s)] for name, curve in curves.items()}
                for s in (0.6, 0.7))
pl.claim("at 60% zeros magnitude is at least 30 points ahead of random zeros",
         at_60["matrix"] > at_60["random"] + 30)
pl.claim("at 70% zeros rows are better than matrices", at_70["row"] > at_70["matrix"])

# %% [markdown]
# How can 60% of the weights be nearly nothing? Look at their sizes, and at what you set to zero at each share:

# %%
sample = torch.cat([weight.flatten()[::7] for weight in WEIGHTS.values()])
ranked = sample.abs().sort().values
energy = ranked.square().cumsum(0) / ranked.square().sum()


def show(zeros):
    n = round(zeros * len(ranked))
    edge = ranked[n - 1] if n else -1.0
    lost = energy[n - 1].item() if n else 0.0
    return pl.figures.weight_histogram(
        sample, sample.abs() > edge,
        title=f"{zeros:.0%} of the weights hold {lost:.0%} of the sum of squares")


pl.explore(show, zeros=[0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9], start={"zeros": 0.6})

# %% [markdown]
# The smaller half of the weights holds a small part of the sum of squares. Random zeros take large weights as often as small
# ones, and ruin the model. And why do rows do better than matrices? Each row makes one output. How much of it is left, if 70% of its
# matrix goes?

# %%
left = torch.cat([keep_mask(score, 0.7, "matrix").float().mean(1)
                  for score in MAGNITUDE.values()])
print(f"of {len(left):,} rows, one in a hundred keeps at most {left.quantile(0.01):.0%} "
      f"of its weights, another one at least {left.quantile(0.99):.0%}")

# %% [markdown]
# Some outputs simply have smaller weights than others. Ranked with the whole matrix, they pay for all.
#
# ## Look at the inputs
#
# Magnitude sees only half of a product. A small weight on a large input may matter more than a large weight on a small one.
# [**Wanda**](glossary.md#wanda) (Sun et al. 2023) multiplies the two:
#
# $$S_{ij} = |W_{ij}| \cdot \lVert X_j \rVert_2$$
#
# where $X_j$ is column $j$ of the inputs, over all real tokens of the calibration set. It needs one forward pass and no labels.
#
# **Exercise 2. Wanda** (hard, 6 minutes). Compute the scores from a weight matrix `(out, in)`, its inputs `(batch, T, in)` and the attention mask `(batch, T)`,
# which is 1 at real tokens and 0 at padding.
#
# <details><summary>Hint</summary>Padding must not count: pick the real tokens first, then take one norm for each input
# column.</details>

# %%
def wanda(weight, inputs, mask):
    """Scores of weight's shape."""
    # solution
    real = inputs[mask.bool()]                           # (tokens, in)
    return weight.abs() * real.norm(dim=0)
    # end


# %% tags=["nbval-check-output"]
wanda = pl.check("03.wanda", wanda)

# %% [markdown]
# A [hook](glossary.md#hook) on each matrix shows your function what goes in, and your scores prune the model:

# %%
def wanda_scores(m, batch):
    scores, hooks = {}, []
    for key, matrix in matrices(m).items():
        def score(module, inputs, key=key):
            scores[key] = wanda(module.weight.detach(), inputs[0], batch["attention_mask"])

        hooks.append(matrix.register_forward_pre_hook(score))
    with torch.no_grad():
        pl.outputs(m, batch)
    for hook in hooks:
        hook.remove()
    return scores


WANDA = wanda_scores(model, calibration)

# %% tags=["nbval-check-output"]
pl.claim("your scores and the library's give the same zeros, but for one in a thousand",
         apart(prune_by(WANDA, 0.7, "row"),
               pl.prune_weights(model, 0.7, method="wanda", batches=[calibration],
                                permanent=True)) < 0.001)

# %% [markdown]
# As published, Wanda ranks within rows. So two things differ from magnitude within matrices, the score *and* the scope.

# %%
pl.quiz("03.score_or_scope")

# %% [markdown]
# Accuracy is coarse: an answer flips or it does not. The [**KL divergence**](glossary.md#kl-divergence) from the whole model's answers
# $p$ to the pruned model's $q$ also sees the answers that nearly flip, and needs no labels:
# $\mathrm{KL}(p\,\Vert\,q) = \sum_c p_c \log (p_c / q_c)$, averaged over sentences.

# %%
def kl(whole, pruned):
    """Mean KL divergence of two sets of logits (n, classes)."""
    p, q = whole.log_softmax(-1), pruned.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1).mean().item()

# %%
WHOLE = answers(model)
two_by_two = {(name, scope): answers(prune_by(scores, 0.7, scope))
              for name, scores in (("magnitude", MAGNITUDE), ("Wanda", WANDA))
              for scope in ("matrix", "row")}
right = {way: (logits.argmax(-1) == LABELS) for way, logits in two_by_two.items()}
divergence = {way: kl(WHOLE, logits) for way, logits in two_by_two.items()}
pl.table([("score, 70% zeros", "scope", "accuracy", "KL divergence"),
          *((*way, f"{share_right(two_by_two[way]):.1%}", f"{divergence[way]:.2f}")
            for way in two_by_two)])

# %% [markdown]
# Read the table in both directions: from matrix to row, and from magnitude to Wanda. How sure is each step? All four saw the same
# sentences, so count the sentences where two of them differ. The standard error of a paired difference is about
# $\sqrt{b + c}\,/\,n$, where $b$ sentences turned right and $c$ turned wrong.

# %%
def paired(before, after):
    """Points gained, and their standard error."""
    b, c = (after & ~before).sum().item(), (before & ~after).sum().item()
    return 100 * (b - c) / len(before), 100 * (b + c) ** 0.5 / len(before)


STEPS = {"rows in place of matrices": (("magnitude", "matrix"), ("magnitude", "row")),
         "then Wanda's score": (("magnitude", "row"), ("Wanda", "row"))}
gains = {step: paired(right[a], right[b]) for step, (a, b) in STEPS.items()}
pl.table([("step", "points gained", "standard error"),
          *((step, f"{gain:+.1f}", f"{error:.1f}")
            for step, (gain, error) in gains.items())])

# %% tags=["nbval-check-output"]
pl.claim("rows are better than matrices for both scores, by KL",
         all(divergence[score, "row"] < divergence[score, "matrix"]
             for score in ("magnitude", "Wanda")))
pl.claim("Wanda's score is better than magnitude in both scopes, by KL",
         all(divergence["Wanda", scope] < divergence["magnitude", scope]
             for scope in ("matrix", "row")))

# %% [markdown]
# Both help, and neither deserves all the credit. So a comparison of “magnitude” with “Wanda” that changes the scope on the way
# says little about either. (Sun et al. 2023 compare scopes, too. They found rows far better than matrices for language models,
# and not for image classifiers.)
#
# ## Which parts are sensitive?
#
# Not all matrices depend on their weights equally. A [**sensitivity scan**](glossary.md#sensitivity-scan) prunes one part at a time, by
# several shares, and measures what each costs. Our parts are the attention and the feed-forward half of every layer; the measure is the KL
# divergence, since most single cuts flip no answer at all.

# %%
pl.quiz("03.guess_sensitive")

# %%
SHARES = [0.5, 0.7, 0.8, 0.9]
LAYERS = range(model.config.num_hidden_layers)
HALVES = {"attention": list(KINDS)[:4], "feed-forward": list(KINDS)[4:]}
PARTS = {(i, half): [(i, kind) for kind in kinds]
         for i in LAYERS for half, kinds in HALVES.items()}
SIZE = {part: sum(WEIGHTS[key].numel() for key in keys) for part, keys in PARTS.items()}
scanned = pl.load_intents("train", limit=32, seed=SEED + 1).by_length()
SCANNED = list(scanned.batches(tokenizer, batch_size=16))
before_scan = answers(model, SCANNED)

# %%
def cost_of(trial, part, share):
    """trial is a copy of the model, and whole again afterwards."""
    places = {key: matrices(trial)[key].weight.data for key in PARTS[part]}
    for key, weight in places.items():
        weight.mul_(keep_mask(WANDA[key], share, "row"))
    found = kl(before_scan, answers(trial, SCANNED))
    for key, weight in places.items():
        weight.copy_(WEIGHTS[key])                       # as it was
    return found

# %%
def sensitivity(trial):
    return {part: [cost_of(trial, part, share) for share in SHARES] for part in PARTS}


scan = sensitivity(copy.deepcopy(model))

# %%
lines = {f"{half}, {share:.0%} zeros": [scan[i, half][SHARES.index(share)] for i in LAYERS]
         for half in HALVES for share in (0.7, 0.9)}
pl.figures.log_curves(list(LAYERS), lines, title="Zeros in one half of one layer",
                      xlabel="layer", ylabel="KL divergence")

# %% tags=["nbval-check-output"]
at_90_zeros = {part: prices[-1] for part, prices in scan.items()}
pl.claim("at 90% zeros, attention in the last layer costs more than any other part",
         max(at_90_zeros, key=at_90_zeros.get) == (LAYERS[-1], "attention"))

# %% [markdown]
# Attention in the last layers costs the most by far: it brings what the classifier reads to the first token (lesson 06).
# So a scan says *which* parts are sensitive. How much each should lose is another question, because a part that is less sensitive may also hold
# fewer weights. So look at the price of a zero. Start with the lowest share everywhere. Then, again and again, raise the share of the part where
# the next step costs the least KL divergence *per additional zero*, until there are enough.

# %%
def allocate(budget):
    """{part: share of zeros}, together `budget` of all weights."""
    step = dict.fromkeys(PARTS, 0)

    def price(part):
        at = step[part]
        more = SIZE[part] * (SHARES[at + 1] - SHARES[at])
        return (scan[part][at + 1] - scan[part][at]) / more

    while sum(SIZE[p] * SHARES[step[p]] for p in PARTS) < budget * ALL:
        step[min((p for p in PARTS if step[p] + 1 < len(SHARES)), key=price)] += 1
    return {part: SHARES[at] for part, at in step.items()}

# %%
BUDGET = 0.75
chosen = allocate(BUDGET)
uneven = {key: keep_mask(WANDA[key], share, "row")
          for part, share in chosen.items() for key in PARTS[part]}
share_of_zeros = 1 - sum(mask.sum().item() for mask in uneven.values()) / ALL
by_scan = {"the same share everywhere": answers(prune_by(WANDA, share_of_zeros, "row")),
           "as the scan chose": answers(zeroed(uneven))}
pl.table([(f"{share_of_zeros:.1%} zeros, Wanda in rows", "accuracy", "KL divergence"),
          *((name, f"{share_right(found):.1%}", f"{kl(WHOLE, found):.3f}")
            for name, found in by_scan.items())])

# %% tags=["nbval-check-output"]
pl.claim("the scan's choice stays closer to the whole model than the same share everywhere",
         kl(WHOLE, by_scan["as the scan chose"])
         < kl(WHOLE, by_scan["the same share everywhere"]))

# %%
pl.table([("share of zeros, layer", *LAYERS),
          *((half, *(f"{chosen[i, half]:.0%}" for i in LAYERS)) for half in HALVES)])

# %% [markdown]
# The same number of zeros, better placed. Two warnings. The scan cut one part while all others were whole; when all are pruned, errors
# accumulate and no intact part is left to compensate: the scan is only a guide. And it needs a fine measure: by accuracy
# on a hundred sentences, nearly every difference would be noise.
#
# ## Step by step
#
# The cure for “together it is worse” is to cut a little, look again, and recover. Han et al. (2015) pruned and trained in turns from the
# beginning ([iterative pruning](glossary.md#iterative-pruning)); Zhu and Gupta (2017) raise the share of zeros gradually, every few hundred
# training steps. Let's compare three small cuts with one large cut that leaves the same share of zeros, with the same training in all: fifteen
# training steps of 16 sentences. The masks must stay while we train: `torch.nn.utils.prune`, which the library
# uses, keeps `weight_orig` and `weight_mask` and multiplies the two before each forward pass.

# %%
masked = matrices(pl.prune_weights(model, 0.7, scope="matrix"))[0, "query"]
print([name for name, _ in masked.named_parameters()],
      [name for name, _ in masked.named_buffers()])

# %%
examples = pl.load_intents("train", limit=240, seed=SEED + 2)


def cut_and_trained(shares):
    """Cut to each share of zeros in turn; after each cut an equal part of the training."""
    m, n = model, len(examples) // len(shares)
    for i, share in enumerate(shares):
        m = pl.prune_weights(m, share, scope="matrix")
        part = examples.subset(list(range(i * n, (i + 1) * n)))
        pl.fine_tune(m, tokenizer, part, 1, 2e-4, batch_size=16, progress=False, seed=SEED)
    return m


def judged(m):
    return pl.weight_sparsity(m).all, answers(m)

# %%
trained = {"cut to 70% zeros": judged(pl.prune_weights(model, 0.7, scope="matrix")),
           "then trained": judged(cut_and_trained([0.7])),
           "in three steps": judged(cut_and_trained([0.5, 0.6, 0.7]))}
pl.table([("magnitude within matrices", "zeros", "accuracy", "KL divergence"),
          *((name, f"{zeros:.1%}", f"{share_right(found):.1%}", f"{kl(WHOLE, found):.2f}")
            for name, (zeros, found) in trained.items())])

# %% tags=["nbval-check-output"]
(_, cut), (_, then_trained), (_, in_three) = trained.values()
pl.claim("fifteen steps of training bring back at least ten points, in one go or in three",
         min(share_right(then_trained), share_right(in_three)) > share_right(cut) + 0.1)

# %% [markdown]
# A little training brings much back. (The first row differs from the earlier table because ties are broken differently.) Whether three small
# cuts beat one large cut depends on how much training follows each: five training steps are very few, and with 160 sentences a few points
# are noise. Han et al. trained for long in between, and made AlexNet 9 times smaller, instead of 5, without loss. Now compare with Wanda in
# rows, in the table further up, which has as many zeros and needed no training. A better score comes first, then training.
#
# ## Zeros in a pattern: N:M
#
# NVIDIA's GPUs since 2020 can use zeros if at least two of every four neighbours are zero: **2:4 sparsity** (Mishra et al. 2021).
#
# **Exercise 3. N of M** (medium, 6 minutes). Make the mask that keeps the `n` largest $|w|$ of every `m` neighbours in a row. The length of a row is
# a multiple of `m`, and `n` may be 0.
#
# <details><summary>Hint</summary>Reshape to <code>(-1, m)</code>, <code>topk</code>, <code>scatter</code>, reshape back.</details>

# %%
def n_of_m(weight, n, m):
    """A bool tensor of weight's shape, True where a weight stays."""
    # solution
    groups = weight.abs().reshape(-1, m)
    best = groups.topk(n, dim=1).indices
    return torch.zeros_like(groups, dtype=torch.bool).scatter(1, best, True).view_as(weight)
    # end


# %% tags=["nbval-check-output"]
n_of_m = pl.check("03.n_of_m", n_of_m)

# %% [markdown]
# Your function takes scores as well as weights, so we try both. What does the pattern cost, compared with half of each row?

# %%
patterns = {}
for name, scores in (("magnitude", MAGNITUDE), ("Wanda", WANDA)):
    by_pattern = {key: n_of_m(score, 2, 4) for key, score in scores.items()}
    patterns[name, "half of each row"] = answers(prune_by(scores, 0.5, "row"))
    patterns[name, "2 of every 4"] = answers(zeroed(by_pattern))
pl.table([("score", "half of the weights stay", "accuracy", "KL divergence"),
          *((*way, f"{share_right(found):.1%}", f"{kl(WHOLE, found):.3f}")
            for way, found in patterns.items())])

# %% tags=["nbval-check-output"]
pl.claim("the pattern costs more than half of each row does (by KL), for both scores",
         all(kl(WHOLE, patterns[name, "2 of every 4"])
             > kl(WHOLE, patterns[name, "half of each row"])
             for name in ("magnitude", "Wanda")))

# %% [markdown]
# What do you get for it? Fewer bytes: half of the values, with two bits each to say where they stood, are 56% of the bytes in half precision. And
# up to twice the multiplications per second, on a GPU with sparse tensor cores, in half precision or int8, for large matrices and batches
# (`torch.sparse.to_sparse_semi_structured`). Everything around them costs what it did: PyTorch's tutorial reports 1.3 times for a whole BERT. A
# CPU gains nothing. Other patterns bring no more: 1:4 runs as 2:4 does, and PyTorch has no kernels for 4:8.
#
# ## Why zeros are not speed

# %%
pl.quiz("03.nine_tenths")

# %%
def race(models, batch, repeats=12):
    """Milliseconds of each, sorted; they run in turns (lesson 02)."""
    times = {name: [] for name in models}
    with torch.inference_mode():
        for _ in range(3 + repeats):
            for name, m in models.items():
                begin = time.perf_counter()
                m(batch)
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: sorted(ms[3:]) for name, ms in times.items()}

# %%
sentence = torch.randint(5, model.config.vocab_size, (1, 24))
zeros_ms = race({"no zeros": model, "90% zeros": prune_by(WANDA, 0.9, "row")}, sentence)
pl.table([("one sentence of 24 tokens", "ms"),
          *((name, f"{ms[len(ms) // 2]:.1f}") for name, ms in zeros_ms.items())])

# %% [markdown]
# The same time. A dense multiplication fetches every number and multiplies it, zero or not. Two formats store only
# the rest. **COO** lists row, column and value of each; [**CSR**](glossary.md#csr) sorts them by row, so that it needs only the
# columns, and where each row begins. Take the largest matrix of a layer, with 24 and with 128 tokens, on one thread. (We compare the fastest of 25
# runs: for something this short, other programs can only add time.)

# %%
FORMATS = {"dense": lambda w: w, "CSR": lambda w: w.to_sparse_csr(),
           "COO": lambda w: w.to_sparse_coo()}
ONE = WEIGHTS[0, "feed-forward in"]


def times_as_fast(share, tokens):
    pruned, x = ONE * keep_mask(ONE.abs(), share, "row"), torch.randn(ONE.shape[1], tokens)
    made = {name: make(pruned) for name, make in FORMATS.items()}
    ms = race({name: lambda x, w=w: w @ x for name, w in made.items()}, x, repeats=25)
    return [ms["dense"][0] / ms[name][0] for name in ("CSR", "COO")]     # the fastest runs


threads = torch.get_num_threads()
torch.set_num_threads(1)
ZEROS = [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]
ratios = {tokens: [times_as_fast(share, tokens) for share in ZEROS] for tokens in (24, 128)}
torch.set_num_threads(threads)

# %%
pl.figures.log_curves(
    ZEROS, {f"{name}, {tokens} tokens": [ratio[i] for ratio in ratios[tokens]]
            for i, name in enumerate(("CSR", "COO")) for tokens in (24, 128)},
    level=("dense", 1), title="One matrix in formats for zeros",
    xlabel="share of zeros", ylabel="times as fast as dense")

# %%
at_90 = {tokens: ratios[tokens][ZEROS.index(0.9)] for tokens in ratios}
pl.claim("at 90% zeros and 24 tokens CSR beats dense, and COO does not",
         at_90[24][0] > 1 > at_90[24][1])

# %% [markdown]
# So it depends: on the format, on the share of zeros, and, as a rule, on the number of tokens. CSR gains most with few tokens: there the dense
# multiplication mostly waits for memory, and fetching less helps. With many tokens the dense one makes good use of every number it has fetched. Does a
# whole model get faster if every matrix is stored as CSR?

# %%
class SparseLinear(torch.nn.Module):
    """A linear layer that stores its weight as CSR."""

    def __init__(self, linear):
        super().__init__()
        self.weight, self.bias = linear.weight.detach().to_sparse_csr(), linear.bias

    def forward(self, x):                                        # (batch, T, in)
        columns = x.flatten(0, -2).T                             # (in, tokens)
        return (self.weight @ columns).T.unflatten(0, x.shape[:-1]) + self.bias


def stored_as_csr(m):
    sparse = copy.deepcopy(m)
    for i, kind in matrices(m):
        sparse.base_model.encoder.layer[i].set_submodule(KINDS[kind],
                                                         SparseLinear(matrices(m)[i, kind]))
    return sparse

# %%
def faster_and_right(share):
    pruned = prune_by(WANDA, share, "row")
    ms = race({"dense": model, "CSR": stored_as_csr(pruned)}, sentence)
    return ms["dense"][6] / ms["CSR"][6], accuracy(pruned)                      # medians


whole_models = {share: faster_and_right(share) for share in (0.5, 0.7, 0.8, 0.9)}
pl.table([("zeros, by Wanda in rows", "times as fast in CSR", "accuracy, no training"),
          *((f"{share:.0%}", f"{faster:.2f}", f"{right_share:.0%}")
            for share, (faster, right_share) in whole_models.items())])

# %% [markdown]
# The whole model gains less, if anything. Here is the honest rule. Zeros *can* save time on a CPU, with the right
# format, few tokens at a time and very many zeros. But with so many this model is ruined unless it is trained back, and where it
# still works, zeros save little or nothing.
# Engines made for sparse networks on CPUs, with zeros in blocks of four, move that line (Kurtic et al. 2022). To save time on any machine, whole
# rows and columns must go: neurons (lesson 04), heads (06), layers (07).
#
# ## Why 90% zeros are not 10% of the bytes

# %%
pl.quiz("03.guess_bytes")

# %%
SIGNS = {"word embeddings": "word_embeddings", "attention": ".attention.",
         "feed-forward": "encoder.layer", "other": ""}


def zipped(m):
    """Megabytes of each part in half precision, compressed as in a zip file."""
    sizes = dict.fromkeys(SIGNS, 0.0)
    for name, p in m.named_parameters():
        packed = zlib.compress(p.detach().half().numpy().tobytes(), 6)
        part = next(part for part, sign in SIGNS.items() if sign in name)
        sizes[part] += len(packed) / 1e6
    return sizes

# %%
files = {"no zeros": zipped(model), "90% zeros": zipped(prune_by(MAGNITUDE, 0.9, "row"))}
pl.figures.parts(files, title="Compressed files, to scale", xlabel="MB", form="{:.1f} MB")

# %%
total = {name: sum(sizes.values()) for name, sizes in files.items()}
inside = {name: sizes["attention"] + sizes["feed-forward"] for name, sizes in files.items()}
print(f"the file: {total['90% zeros'] / total['no zeros']:.0%} of before")
print(f"the pruned matrices in it: {inside['90% zeros'] / inside['no zeros']:.0%}")

# %% tags=["nbval-check-output"]
pl.claim("the file keeps more than 30%, the matrices in it between 10 and 30%",
         total["90% zeros"] > 0.3 * total["no zeros"]
         and 0.1 < inside["90% zeros"] / inside["no zeros"] < 0.3)

# %% [markdown]
# Two reasons. The word embeddings were not pruned, and they are now the largest part of the file; in XLM-R base, where they hold
# seven tenths of the parameters, even less would be saved (trim the vocabulary first: lesson 02). And a tenth of the weights takes more than a
# tenth of the bytes, because the file must also say *where* they stand. That costs about half a bit for each place, zero or not: the entropy of a
# one-in-ten event is 0.47 bits.
#
# ## Challenge: the fewest weights
#
# **Keep at least 90% of the validation sentences right with as few of the weights as you can, without training.** (Any score, scope and
# shares will do, also your own.) The first attempt is where the lesson began. Change it.

# %%
attempt = prune_by(MAGNITUDE, 0.5, "matrix")
pl.challenge("03.densest", 1 - pl.weight_sparsity(attempt).all, accuracy(attempt))

# %% [markdown]
# When you are content, look at the test set, once, and at the languages that the model was never trained on
# ([zero-shot](glossary.md#zero-shot)):

# %%
for split in ("test", "zero_shot"):
    final = pl.load_intents(split, limit=200, seed=SEED)
    was, now = (pl.evaluate(m, tokenizer, final).accuracy for m in (model, attempt))
    print(f"{split:9}: {was:.1%} → {now:.1%} of {len(final)} sentences")

# %% [markdown]
# <details><summary><b>At LLM scale</b></summary>
#
# One-shot weight pruning is best known from large language models, which nobody likes to train again. Perplexity of LLaMA-2 7B on WikiText with half of
# the weights at zero (Sun et al. 2023; lower is better): dense 5.12, magnitude 14.89, SparseGPT 6.51, Wanda 6.42. With 2:4: magnitude 54.59,
# SparseGPT 10.17, Wanda 11.02. Magnitude fails there because a few features of the hidden states are many times as large as the others, so
# looking at the inputs matters more than in our small encoder. SparseGPT also *adjusts* the weights that stay, as lesson 05 does
# (Frantar, Alistarh 2023).
# </details>
#
# <details><summary><b>Beyond this lesson</b></summary>
#
# - **Gradual schedules**: raise the share of zeros a little every few hundred steps while training goes on, fast at first, then slowly (Zhu, Gupta 2017).
# - **Movement pruning**: in a model that is being fine-tuned, keep the weights that move *away* from zero, whatever their size. At
#   high sparsity it beats magnitude, which mostly sees what pretraining left there (Sanh, Wolf, Rush 2020).
# - **Lottery tickets**: the weights that survive, set back to their initial values, can be trained to the accuracy of the whole network
#   (Frankle, Carbin 2019). In fine-tuned BERT such subnetworks exist, and those drawn from the rest of the model do worse. But if
#   whole heads and feed-forward parts are pruned, even the worst choice can be trained well (Prasanna, Rogers, Rumshisky 2020).
# - **L0 regularisation**: learn the masks themselves, by gradient descent on gates with a price for each open one (Louizos, Welling,
#   Kingma 2018).
# </details>
#
# ## What to remember
#
# - Pruning weights takes a score and a scope. Change one at a time; rows are a better scope than matrices here, and Wanda a better score than magnitude.
# - KL divergence tells models apart that accuracy cannot, and a scan with it says where zeros are cheap.
# - Masks hold the zeros while you train. Training brings much back; a better score loses less in the first place.
# - Zeros save time only in a format or on hardware that skips them, and bytes only in a compressed file.

# %%
pl.quiz("03")

# %%
pl.progress("03")

# %% [markdown]
# ## Sources
#
# - LeCun, Denker, Solla 1990, *Optimal Brain Damage*: single weights, by second derivatives (lesson 05). Han et al. 2015, *Learning both Weights
#   and Connections for Efficient Neural Networks*: magnitude, iterative pruning, sensitivity.
# - Sun et al. 2023, *A Simple and Effective Pruning Approach for Large Language Models*: Wanda, and scopes (section 3).
# - Frantar, Alistarh 2023, *SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot*.
# - Mishra et al. 2021, *Accelerating Sparse Deep Neural Networks*: 2:4. PyTorch tutorials, *Accelerating BERT with semi-structured (2:4) sparsity*.
# - Kurtic et al. 2022, *The Optimal BERT Surgeon: Scalable and Accurate Second-Order Pruning for Large Language Models*.
# - Zhu, Gupta 2017, *To prune, or not to prune*.
# - Sanh, Wolf, Rush 2020, *Movement Pruning: Adaptive Sparsity by Fine-Tuning*; Louizos, Welling, Kingma 2018, *Learning Sparse Neural Networks through
#   L0 Regularization*.
# - Frankle, Carbin 2019, *The Lottery Ticket Hypothesis*; Prasanna, Rogers, Rumshisky 2020, *When BERT Plays the Lottery, All Tickets Are Winning*.
