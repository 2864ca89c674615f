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
# # 05 · Repair
#
# **You will be able to** repair a pruned model with one formula, no labels and no training; choose how strongly to repair without
# fooling yourself; and choose what to remove *for the model after the repair*, as Optimal Brain Surgeon and SparseGPT do.
#
# {minutes, 2 computing} *Lesson 04 comes first.*
#
# Lesson 04 chose neurons and cut them out. What was left kept its weights, as if nothing had happened. But much of what a removed neuron wrote
# can be predicted from the activations of those that stay. They could take over, if we adjusted their output weights. That
# is [**repair**](glossary.md#repair), and it takes seconds.

# %% tags=["setup"]
import torch
import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# Repair uses the sentences of the [calibration set](glossary.md#calibration-set); their labels are used for scores only. Results are measured
# on test sentences, and on sentences in languages on which the classifier was never trained ([zero-shot](glossary.md#zero-shot)). Nothing is
# chosen on these two sets. We note the accuracy on each, and the [KL divergence](glossary.md#kl-divergence) from the whole model's answers, the
# finer measure (lesson 04), on both together.

# %%
model, tokenizer = pl.load(pl.prepare())
model.requires_grad_(False)                      # no weight is trained in this lesson
layers = model.base_model.encoder.layer
L, N = pl.Masks.keep_all(model).neurons.shape    # layers, neurons in each

train = pl.load_intents("train", limit=256, seed=SEED).by_length()
calibration = list(train.batches(tokenizer, batch_size=16))
sets = {"trained languages": pl.load_intents("test", limit=200, seed=SEED),
        "zero-shot languages": pl.load_intents("zero_shot", limit=200, seed=SEED)}
sets = {name: list(data.by_length().batches(tokenizer)) for name, data in sets.items()}


# %%
def log_p(pruned, batches):
    with torch.inference_mode():
        return torch.cat([pl.outputs(pruned, b) for b in batches]).log_softmax(-1)


# %%
reference = {name: log_p(model, batches) for name, batches in sets.items()}


def measure(pruned):
    """For each set: which answers are right, and each one's KL from the whole model's."""
    found = {}
    for name, batches in sets.items():
        q, p = log_p(pruned, batches), reference[name]
        labels = torch.cat([batch["labels"] for batch in batches])
        found[name] = (q.argmax(-1) == labels).float(), (p.exp() * (p - q)).sum(-1)
    return found


def said(found):
    """Two accuracies and the mean KL on both sets, for a row of a table."""
    kl = torch.cat([kl for _, kl in found.values()]).mean()
    return *(f"{right.mean():.1%}" for right, _ in found.values()), f"{kl:.3f}"


# %% [markdown]
# ## What the cut lost
#
# One fifth of the neurons stay, chosen by their Fisher scores:

# %%
scores = {"fisher": pl.importance(model, calibration, "fisher")}


def cut(way, share):
    """The model without the neurons that score lowest."""
    masks = pl.select(scores[way], model, keep_neurons=round(share * N) * L)
    return pl.prune(model, masks)


HEAD = ("model", *sets, "KL divergence")
small = cut("fisher", 0.2)
whole, plain = measure(model), measure(small)
pl.table([HEAD, ("whole", *said(whole)), ("a fifth of the neurons", *said(plain))])

# %%
pl.quiz("05.guess_repair")

# %% [markdown]
# ## Repair one matrix by hand
#
# We begin with a single layer. Let the rows of $X$ be the activations of the *kept* neurons, one row for each calibration token, and $Y$ what
# the feed-forward network gave there when it was whole. Which output weights come closest to $Y$?

# %%
pl.figures.columns_left()

# %% [markdown]
# This is least squares. We hold the new weights $W'$ near the old ones $W$, so that they do not [**overfit**](glossary.md#overfitting) the
# calibration set ([**ridge regression**](glossary.md#ridge-regression)):
#
# $$W' = \arg\min_{W'} \;\lVert X W'^\top + b - Y\rVert^2 + \lambda \lVert W' - W\rVert^2$$
#
# Set the derivative to zero. With $Z = Y - b$:
#
# $$2X^\top(XW'^\top - Z) + 2\lambda(W' - W)^\top = 0 \quad\Longrightarrow\quad
# (X^\top X + \lambda I)\,W'^\top = X^\top Z + \lambda W^\top$$
#
# $X^\top X$ is the [**Gram matrix**](glossary.md#gram-matrix): kept neurons × kept neurons, however many tokens went in. One linear system,
# solved exactly: that is the whole repair.
#
# **Exercise 1: the ridge, batch by batch** (hard, 12 minutes). A million tokens do not fit into memory, but their Gram matrix does. Write the
# solution for inputs that come in pieces: `inputs[i]` is $(\text{tokens}_i, \text{kept})$ and `targets[i]` is $(\text{tokens}_i, d)$, with the
# bias already subtracted. The answer must be the same as for all tokens at once.
#
# <details><summary>Hint</summary>The Gram matrix is a sum over tokens, so it is the sum of the pieces' own Gram matrices. The same holds for
# the right side. Add up both, then solve once with <code>torch.linalg.solve</code>; λ comes in once, and pulls towards <code>W</code>.</details>

# %%
def refit(inputs, targets, W, lam):
    """Lists of tensors, W: (d, kept), lam: a number → the new W: (d, kept)"""
    # solution
    G = sum(x.T @ x for x in inputs)
    C = sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W.T).T
    # end


# %% tags=["nbval-check-output"]
refit = pl.check("05.refit", refit)

# %% [markdown]
# Now *your* ridge repairs a layer. We catch what flows into the second matrix with a hook, as in lesson 04, and keep the fifth of
# this layer's neurons with the highest scores.

# %%
HERE = 3 * L // 4
second = layers[HERE].output.dense                                 # its matrix: (d, N)
stay = scores["fisher"].neurons[HERE].argsort(descending=True)[:N // 5].sort().values
W = second.weight[:, stay].double()                                # (d, kept)


# %%
def tokens_into(module, batch):
    """What goes into `module` at every real token: (tokens, width)."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        pl.outputs(model, batch)
    finally:
        hook.remove()
    return seen[0][batch["attention_mask"].bool()]


def layer_data(batches):
    """Two lists: what the kept neurons give, and what all wrote, without the bias."""
    a = [tokens_into(second, batch).double() for batch in batches]
    return [x[:, stay] for x in a], [x @ second.weight.T.double() for x in a]


# %% [markdown]
# **How strong should λ be?** It decides how far the weights may move. We fit with many values, and measure the error on the sentences that were
# fitted and on others. Predict:

# %%
pl.quiz("05.guess_lambda")

# %% [markdown]
# Mind the roles of the sentences: some are **fitted**, others **choose** λ, and a third group **judges**. On the sentences that chose λ, its
# error looks a little too good: of many values we took the luckiest. A third set costs nothing here.

# %%
data = {"fit": layer_data(calibration[0::2]),
        "choose": layer_data(calibration[1::4]), "judge": layer_data(calibration[3::4])}
LAMBDAS = [10.0 ** e for e in range(-6, 3)]      # shares of the Gram matrix's mean diagonal


def error(weights, inputs, targets):
    """What is missed, relative to how much the targets vary: 1 is as bad as their mean."""
    X, Z = torch.cat(inputs), torch.cat(targets)
    return ((X @ weights.T - Z).norm() / (Z - Z.mean(0)).norm()).item()


def ridges(batches):
    """Fit the first so many batches: λ → the new weights."""
    inputs, targets = (part[:batches] for part in data["fit"])
    unit = sum(x.square().sum() for x in inputs).item() / len(stay)
    return {lam: refit(inputs, targets, W, lam * unit) for lam in LAMBDAS}


# %%
def curves_for(sentences):
    batches = sentences // 16
    fits = ridges(batches)
    seen = [error(new, *(part[:batches] for part in data["fit"])) for new in fits.values()]
    other = [error(new, *data["choose"]) for new in fits.values()]
    lam = LAMBDAS[other.index(min(other))]
    picture = pl.figures.strengths(
        LAMBDAS, {"fitted sentences": seen, "other sentences": other},
        error(W, *data["choose"]), title=f"Fitted to {sentences} sentences")
    return picture, lam, fits[lam], other


# %%
fitted = {sentences: curves_for(sentences) for sentences in (16, 32, 64, 128)}


def show_curves(sentences):
    return fitted[sentences][0]


pl.explore(show_curves, sentences=list(fitted), start={"sentences": 32})

# %% [markdown]
# On the right the weights hardly move, and both curves come near the error without repair. To the left, the error on the fitted sentences keeps
# falling; on other sentences it reaches a lowest point and rises again. Move the slider: with more sentences the best λ tends to get smaller,
# and too small a λ does less harm. The third set judges:

# %%
_, BEST, new, _ = fitted[128]
before, after = error(W, *data["judge"]), error(new, *data["judge"])
print(f"third sentences: error {before:.2f} before the repair, {after:.2f} after it")

# %% tags=["nbval-check-output"]
few = fitted[32][3]
pl.claim("on sentences that neither fitted nor chose, repair makes the error smaller",
         after < 0.9 * before)
pl.claim("fitted to few sentences, the smallest λ is worse than the best one",
         few[0] > 1.1 * min(few))

# %% [markdown]
# ## Repair the whole model
#
# `pl.repair` does this for every output matrix of the model, those of attention too, and adds three things:
#
# 1. The bias is refitted as well: a column of ones beside $X$, not held back by λ.
# 2. Tokens are weighted. The LayerNorm that follows divides each token by its standard deviation, so its error is divided by the same number.
# 3. It goes from the first layer to the last, with $X$ from the *pruned* model and $Y$ from the original. Each layer thus also makes up
#    for the errors of those before it.
#
# As above, it chooses λ on sentences that were held out. If only one layer is cut, we can follow it by hand. A trick lets your `refit`
# find the bias as well: with a column of 1,000s in place of ones, the weight on it is 1,000 times smaller, and λ hardly affects it.

# %%
masks = pl.Masks.keep_all(model)
masks.neurons[HERE] = False
masks.neurons[HERE, stay] = True
one = pl.repair(pl.prune(model, masks), model, calibration[::2], ridges=(BEST,))


def whole_layer(batches):
    """X with a column of 1,000s, and Y, each token divided by its deviation."""
    inputs, targets = [], []
    for batch, x, z in zip(batches, *layer_data(batches)):
        normalised = tokens_into(layers[HERE].output.LayerNorm, batch).double()
        deviation = normalised.std(1, keepdim=True)
        inputs.append(torch.cat([x, torch.full((len(x), 1), 1000.0)], dim=1) / deviation)
        targets.append((z + second.bias) / deviation)
    return inputs, targets


# %%
A, B = whole_layer(calibration[::2])
unit = sum(x[:, :-1].square().sum() for x in A).item() / len(stay)
by_hand = refit(A, B, torch.cat([W, second.bias[:, None] / 1000], dim=1), BEST * unit)
theirs = one.base_model.encoder.layer[HERE].output.dense.weight
gap = ((theirs - by_hand[:, :-1]).norm() / theirs.norm()).item()
print(f"by hand and by pl.repair: relative difference {gap:.0e}")

# %% [markdown]
# And now all layers, in the model that we cut at the beginning:

# %%
fixed = pl.repair(small, model, calibration)
repaired = measure(fixed)
pl.table([HEAD, ("whole", *said(whole)), ("a fifth of the neurons", *said(plain)),
          ("the same, repaired", *said(repaired))])

# %% tags=["nbval-check-output"]
KNOWN, UNSEEN = sets
accuracy = lambda found, name: found[name][0].mean().item()
lost = accuracy(whole, KNOWN) - accuracy(plain, KNOWN)
back = accuracy(repaired, KNOWN) - accuracy(plain, KNOWN)
pl.claim("repair brings back more than half of the accuracy that was lost", back > lost / 2)
pl.claim("the repaired model costs as much as the one that was cut",
         pl.summary(fixed).macs == pl.summary(small).macs)

# %% [markdown]
# The repair used no label and took no gradient step. The shapes are those of the cut model, so the repair costs no time later. (Is a repaired
# model *better* than the whole one in some column? With 200 sentences, two points can well be luck: see lesson 00.)
#
# ## From Taylor to SparseGPT
#
# So far we first chose and then repaired, and the choice knew nothing of the repair. That is a pity: a neuron whose work the others can take
# over is cheap to remove, however much it does. Most of the methods in this course come from one expansion. Change the weights
# $w$ by $\delta$:
#
# $$\mathcal L(w + \delta) - \mathcal L(w) \;\approx\; g^\top\delta + \tfrac12\,\delta^\top H\,\delta$$
#
# | method | what it keeps of this | do the other weights adjust? |
# | --- | --- | --- |
# | Taylor score (lesson 04) | the first term | no |
# | Optimal Brain Damage, 1990; Fisher score | the diagonal of $H$ | no |
# | Optimal Brain Surgeon, 1993 | all of $H$ | **yes** |
# | Wanda, 2023 (lesson 03) | per layer, the diagonal of $H = 2X^\top X$ | no |
# | SparseGPT, 2023 | per layer, all of $H = 2X^\top X$ | **yes** |
#
# [**Optimal Brain Surgeon**](glossary.md#optimal-brain-surgeon) (OBS) asks: if weight $q$ must become zero and all others may move, what is
# the least that this can cost? Minimise $\tfrac12\delta^\top H\delta$ under $\delta_q = -w_q$. A Lagrange multiplier gives both the best change and its price:
#
# $$\delta = -\frac{w_q}{[H^{-1}]_{qq}}\,H^{-1}e_q \qquad\qquad \text{price}_q = \frac12\,\frac{w_q^2}{[H^{-1}]_{qq}}$$
#
# For a whole model $H$ is hopelessly large. SparseGPT asks less: each matrix should keep its own output. If $W$ changes by $\delta$, the error is
# $\lVert X\delta^\top\rVert^2$, which is quadratic without any expansion. With $A = X^\top X$, the Gram matrix of the repair, each row
# $\delta_r$ adds $\delta_r A\,\delta_r^\top$. If neuron $j$ goes, every row loses its weight $j$, and the rows' prices add up:
#
# $$\text{price}_j = \frac{\sum_r W_{rj}^2}{[A^{-1}]_{jj}} \qquad\text{against}\qquad \sum_r W_{rj}^2\,A_{jj} \;\text{ if the others stay as they are.}$$
#
# **Exercise 2: what a neuron costs after repair** (medium, 8 minutes). Compute the price of every neuron.
#
# <details><summary>Hint</summary>Sum the squares over the rows of <code>W</code>. Invert the whole matrix with
# <code>torch.linalg.inv</code>, and only then take its <code>.diagonal()</code>.</details>

# %%
def prices(A, W):
    """A: (neurons, neurons), W: (d, neurons) → (neurons,)"""
    # solution
    return W.square().sum(dim=0) / torch.linalg.inv(A).diagonal()
    # end


# %% tags=["nbval-check-output"]
prices = pl.check("05.prices", prices)

# %% [markdown]
# A price is a promise: *if you remove neuron j and repair, this will be your error*. Let us test your two functions against each other. One
# more neuron of our repaired layer has to go. We take the cheapest, a middle one and the dearest, really remove it, refit, and measure.

# %%
X = torch.cat(data["fit"][0])
tiny = 1e-6 * X.square().sum().item() / len(stay)
gram = X.T @ X + tiny * torch.eye(len(stay))
price = prices(gram, new)
alone = new.square().sum(0) * gram.diagonal()


def really(j):
    """The squared error after neuron j is removed and the others are refitted."""
    rest, target = torch.arange(len(stay)) != j, X @ new.T
    repaired_rest = refit([X[:, rest]], [target], new[:, rest], tiny)
    return (X[:, rest] @ repaired_rest.T - target).square().sum().item()


three = price.argsort()[[0, len(stay) // 2, -1]].tolist()
errors = [really(j) for j in three]
pl.table([("neuron", "others stay as they are", "your price", "measured after refit"),
          *((f"{name}: {j}", f"{alone[j]:.3g}", f"{price[j]:.3g}", f"{e:.3g}")
            for name, j, e in zip(("cheapest", "middle", "dearest"), three, errors))])

# %% tags=["nbval-check-output"]
pl.claim("the price is what the repair leaves, to one percent",
         all(abs(price[j].item() / e - 1) < 0.01 for j, e in zip(three, errors)))
made_up = 1 - (price / alone).median().item()
pl.claim("the others make up for more than half of what a typical neuron wrote",
         made_up > 0.5)

# %% [markdown]
# The promise is kept, though computing it took no repair. And compare the two columns of costs: most of what a typical neuron of this layer
# writes, the others can write as well. That is why repair works.
#
# ## Choose for the model after repair
#
# It is not enough to compute all prices once. Of two neurons that say the same, both are cheap, until one is gone. So OBS removes the
# cheapest, brings $A^{-1}$ and $W$ up to date, and looks again. `pl.importance(model, batches, "obs")` does so for every neuron, and weights
# the error by its effect on the loss: with $G$ the mean of $g\,g^\top$ for the gradient $g$ where the layer writes, a change $\delta$ costs
# about $\mathrm{tr}(G\,\delta A\,\delta^\top)$ (K-FAC; Martens, Grosse 2015). That makes prices comparable between layers as well.
#
# Now `fisher` and `obs` each choose a fifth of the neurons, and both models are repaired.

# %%
pl.quiz("05.guess_obs")

# %%
scores["obs"] = pl.importance(model, calibration, "obs")
found = {("fisher", 0.2, "cut"): plain, ("fisher", 0.2, "repaired"): repaired}


def result(way, share, state):
    """Measured once: a model cut, repaired, or repaired with its reading matrices."""
    if (way, share, state) not in found:
        pruned = cut(way, share)
        if state != "cut":
            pruned = pl.repair(pruned, model, calibration, inputs=state == "inputs, too")
        found[way, share, state] = measure(pruned)
    return found[way, share, state]


pl.table([HEAD, *((f"{way}, {state}", *said(result(way, 0.2, state)))
                  for state in ("cut", "repaired") for way in ("fisher", "obs"))])

# %% [markdown]
# After repair, `obs` is closer to the whole model. By luck? The two repaired models answered the same sentences, so we can compare them
# sentence by sentence: a paired difference is less noisy than two means. Beyond two standard errors, luck is a poor explanation.

# %%
def paired(one, other):
    """Mean difference of KL over all sentences, and its standard error."""
    kl = [torch.cat([kl for _, kl in run.values()]) for run in (one, other)]
    apart = kl[0] - kl[1]
    return apart.mean().item(), (apart.std() / len(apart) ** 0.5).item()


gain, noise = paired(result("fisher", 0.2, "repaired"), result("obs", 0.2, "repaired"))
print(f"KL, fisher minus obs, both repaired: {gain:.3f} ± {2 * noise:.3f} "
      f"(two standard errors)")

# %% tags=["nbval-check-output"]
pl.claim("after repair, obs is closer to the whole model than fisher", gain > 0)

# %% [markdown]
# ### The matrices that read
#
# So far only the matrices that *write* were refitted. But in a pruned model the hidden states differ from the original's, while the matrices that
# read them (query, key, value, and the first of the feed-forward network) are unchanged. `inputs=True` refits these first: on the pruned
# model's states they should give what the original's gave on the original's states (an idea from quantisation: GPTAQ, Li et al. 2025).

# %%
pl.table([HEAD, *((f"{way}, {state}", *said(result(way, 0.2, state)))
                  for way in ("fisher", "obs") for state in ("repaired", "inputs, too"))])

# %% tags=["nbval-check-output"]
both, _ = paired(result("fisher", 0.2, "repaired"), result("obs", 0.2, "inputs, too"))
pl.claim("obs with all matrices refitted is closer to the whole model than fisher repaired",
         both > 0)

# %% [markdown]
# At this size the second refit adds little: before you believe in a gain, compare it with the spread of the paired difference above. It may
# help more where less is kept, or with more sentences: try it in the challenge below. Both steps together, choosing with `obs` and
# refitting everything, do come closer to the whole model than `fisher` with the first repair, mostly through the choice.
#
# ## Does the choice still matter?
#
# Four ways to choose a fifth of the neurons, with and without repair. This is the longest cell of the lesson.

# %%
WAYS = ("obs", "fisher", "magnitude", "random")
scores["magnitude"] = pl.importance(model, None, "magnitude")
scores["random"] = pl.importance(model, None, "random", seed=SEED)
percent = lambda run: {name: 100 * accuracy(run, name) for name in sets}
swept = {}
for way in WAYS:
    raw, done = (percent(result(way, 0.2, state)) for state in ("cut", "repaired"))
    swept[way] = {name: (raw[name], done[name]) for name in sets}

# %%
pl.figures.before_after(swept, percent(whole), label="accuracy, %",
                        title="A fifth of the neurons")

# %% tags=["nbval-check-output"]
in_order = [sorted(run[KNOWN][i] for run in swept.values()) for i in (0, 1)]
spread = [accuracies[-1] - accuracies[0] for accuracies in in_order]
pl.claim("at a fifth of the neurons repair helps, whichever score chose",
         all(after > before for run in swept.values() for before, after in run.values()))
pl.claim("there the dice with repair beat magnitude without it",
         swept["random"][KNOWN][1] > swept["magnitude"][KNOWN][0])
pl.claim("repair brings the choices closer together", spread[1] < spread[0])

# %% [markdown]
# Three things to see:
#
# - Without repair the score decides how far you get.
# - Repair brings the choices closer together. A random choice *with* repair (one draw only) beats magnitude without it: what you do after the cut
#   can count for more than how you choose. So compare methods with the repair that you will really use.
# - Look at the zero-shot panel as well. No sentence of these languages was in the calibration set, and yet much comes back.
#
# Each panel has 200 sentences: differences of a few points mean nothing.
#
# <details><summary>At LLM scale</summary>
#
# With this lesson's mathematics SparseGPT sets half or more of the weights of the largest open models of its time (OPT-175B, BLOOM-176B) to
# zero, in under 4.5 hours; GPTQ (Frantar et al. 2022) uses the same formula for rounding instead of removing. Both go from layer to layer, as
# <code>pl.repair</code> does, so that only one layer at a time has to be in the GPU's memory. For whole columns, ZipLM (Kurtic et al. 2023; on BERT and
# GPT-2) removes neurons by the price of exercise 2, and LLM Surgeon (van der Ouderaa et al. 2024) adds a matrix of the loss's gradients, as
# <code>obs</code> does, so it needs backward passes; it removes 20 to 30% of OPT models and of Llama-2-7B with little loss. FLAP (An et al. 2024)
# adjusts biases alone, SliceGPT (Ashkboos et al. 2024) rotates the hidden states and cuts their width. In a GLU the matrix to refit is
# <code>down</code>, usually without a bias. Do not expect gains as large as ours: an LLM's tasks need far more of the model than a few dozen intents do.</details>
#
# ## Challenge: the fewest neurons, repaired
#
# The challenge of lesson 04 again, now with repair: keep at least 90% of the validation sentences right with as few neurons as you can.
# Everything in this lesson is allowed, and so are more calibration sentences. What can you do in two steps that you cannot do in one?

# %%
validation = pl.load_intents("validation", limit=300, seed=SEED)


def attempt():
    """Your smallest model that is still good enough."""
    return pl.repair(cut("fisher", 0.3), model, calibration)


best = attempt()
kept = sum(layer.intermediate.dense.out_features
           for layer in best.base_model.encoder.layer)
pl.challenge("05.fewest", kept / (L * N), pl.evaluate(best, tokenizer, validation).accuracy)

# %% [markdown]
# When you are done, look **once** at sentences on which you chose nothing:

# %%
pl.table([HEAD, ("whole", *said(whole)), ("yours", *said(measure(best)))])

# %% [markdown]
# ## What to remember
#
# - Repair is least squares: one linear system for each matrix, no labels, no training, no cost in speed.
# - λ keeps it from overfitting. Fit on some sentences, choose λ on others, judge on a third set.
# - OBS asks what a removal costs *after* the others have made up for it. The price is the error that the repair leaves.
# - Taylor, Fisher, OBS, Wanda, SparseGPT are one expansion, cut off at different places.
# - Choose for the model that you will use: the one after repair. Repair brings choices closer together.
#
# ## Quiz

# %%
pl.quiz("05")

# %%
pl.progress("05")

# %% [markdown]
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: one factor for each part, tuned by least squares.
# - LeCun, Denker, Solla 1990, *Optimal Brain Damage*. Hassibi, Stork 1993, *Second order derivatives for network pruning: Optimal Brain Surgeon*.
# - Frantar, Alistarh 2023, *SparseGPT*. Sun et al. 2023, *A Simple and Effective Pruning Approach for Large Language Models* (Wanda).
# - Kurtic, Frantar, Alistarh 2023, *ZipLM*: prices of whole columns. Van der Ouderaa et al. 2024, *The LLM Surgeon*: with gradients.
# - Martens, Grosse 2015, *Optimizing Neural Networks with Kronecker-factored Approximate Curvature* (K-FAC).
# - Li et al. 2025, *GPTAQ*: refitting on the compressed model's own inputs. Frantar et al. 2022, *GPTQ*. Ashkboos et al. 2024, *SliceGPT*.
# - An et al. 2024, *Fluctuation-based Adaptive Structured Pruning for Large Language Models* (FLAP).
