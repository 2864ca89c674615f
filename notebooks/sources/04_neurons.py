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
# **You will be able to** score every neuron of a Transformer in four ways, explain why the size of its weights is a poor score, find out
# which layers are sensitive, and remove neurons for real under a budget that you set.
#
# {minutes, 2 computing} *Lesson 00 comes first; 02 and 03 help.*
#
# Single zeros saved no time (lesson 03). So we now remove something larger: a whole [**neuron**](glossary.md#neuron) of the
# [feed-forward network](glossary.md#feed-forward-network). Then two matrices really get smaller, and the model gets faster on any machine:
# [**structured pruning**](glossary.md#structured-pruning). This lesson chooses and cuts; lesson 05 repairs what is left.

# %% tags=["setup"]
import torch
import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# Each set of sentences has one purpose. Scores are computed on the [calibration set](glossary.md#calibration-set), which comes from the
# training sentences; choices are compared on the [validation sentences](glossary.md#validation-set). The test sentences wait until the
# very end.

# %%
model, tokenizer = pl.load(pl.prepare())
model.requires_grad_(False)                      # no weight is trained in this lesson
layers = model.base_model.encoder.layer
L, N = pl.Masks.keep_all(model).neurons.shape    # layers, neurons in each

train = pl.load_intents("train", limit=192, seed=SEED).by_length()
calibration = list(train.batches(tokenizer, batch_size=16))
validation = pl.load_intents("validation", limit=200, seed=SEED)

whole = pl.summary(model)
share = whole.parts["feed-forward"][1] / whole.macs
print(f"{L} layers × {N:,} neurons; they do {share:.0%} of the multiplications")
pl.claim("more than half of all work is done by neurons", share > 0.5)

# %% [markdown]
# More than half of all work is done by neurons, so this is the first place to save time.
#
# ## The problem in one picture
#
# We keep the same number of neurons nine times, so all nine models are equally large and equally fast. Only the choice differs: four
# scores, which the lesson explains below, and five random draws. Predict first:

# %%
pl.quiz("04.guess_magnitude")

# %%
METHODS = ("magnitude", "activation", "taylor", "fisher")
scores = {way: pl.importance(model, calibration, way) for way in METHODS}
dice = [pl.importance(model, None, "random", seed=5 * SEED + i) for i in range(5)]
KEEP = round(0.4 * N) * L              # neurons that stay, in all layers together


def accuracy(pruned, data=validation):
    return pl.evaluate(pruned, tokenizer, data).accuracy


def best(score, k=KEEP, rearrange=False):
    """A smaller model: the k neurons that score highest stay."""
    masks = pl.select(score, model, keep_neurons=k, rearrange=rearrange)
    return pl.prune(model, masks)


# %%
start = accuracy(model)
chosen = {way: accuracy(best(scores[way])) for way in METHODS}
thrown = [accuracy(best(score)) for score in dice]
pl.figures.choices({way: 100 * a for way, a in chosen.items()},
                   [100 * a for a in thrown], 100 * start,
                   title=f"{KEEP / (L * N):.0%} of the neurons stay: the choice decides",
                   label=f"accuracy on {len(validation)} validation sentences, %")

# %% tags=["nbval-check-output"]
luck = sum(thrown) / len(thrown)
pl.claim("fisher and taylor keep at least ten points more than the dice do on average",
         min(chosen["fisher"], chosen["taylor"]) > luck + 0.1)
pl.claim("magnitude stays at least twenty points behind them",
         chosen["magnitude"] < min(chosen["fisher"], chosen["taylor"]) - 0.2)
pl.claim("the best of the five draws beats magnitude", max(thrown) > chosen["magnitude"])

# %% [markdown]
# The two scores made from gradients stand far to the right. The random draws differ so much from each other that a single one proves nothing:
# look at all five, and at their mean. And magnitude, which was so good for single weights in lesson 03, is no better here than chance.
# Why? It looks at every weight, after all. To find out, we need to know what a neuron is, and what each score looks at.
#
# ## What a neuron is
#
# After attention, each token's vector $x$ goes through the feed-forward network: it is expanded to many numbers, passed through a
# nonlinearity (GELU), and projected back down.

# %%
pl.figures.neuron()

# %% [markdown]
# Neuron $j$ reads $x$ with **row** $j$ of the first matrix. That gives one number, its [**activation**](glossary.md#activation) $a_j$. The
# neuron writes with **column** $j$ of the second matrix. So the whole network is a sum with one term for each neuron:
#
# $$\mathrm{FFN}(x) = b^{\text{out}} + \sum_{j} a_j(x)\; w^{\text{out}}_j \qquad a_j(x) = \mathrm{GELU}\big(w^{\text{in}}_j \cdot x + b_j\big)$$
#
# To remove a neuron is to drop one term of the sum: one row, one bias, one column. To check that the model really computes this sum, we
# need what flows into one of its modules. A [hook](glossary.md#hook) catches it:

# %%
def tokens_into(module, batches):
    """What goes into `module` at every real token, without padding: (tokens, width)."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        for batch in batches:
            pl.outputs(model, batch)
    finally:
        hook.remove()
    return torch.cat([x[b["attention_mask"].bool()] for x, b in zip(seen, batches)])


# %%
HERE = L // 3                                                      # a layer to look at
w_in, w_out = layers[HERE].intermediate.dense, layers[HERE].output.dense   # d → N → d
x = tokens_into(layers[HERE].intermediate, calibration[-1:])       # (tokens, d)
a = torch.nn.functional.gelu(x @ w_in.weight.T + w_in.bias)        # (tokens, N)
total = w_out.bias + sum(a[:, [j]] * w_out.weight[:, j] for j in range(N))
own = w_out(layers[HERE].intermediate(x))
gap = ((total - own).norm() / own.norm()).item()
print(f"the sum over {N:,} neurons against the model's own layer: {gap:.0e} apart")

# %% [markdown]
# ## Four ways to score
#
# **By the weights** ([magnitude](glossary.md#magnitude-pruning)). A neuron with short vectors in and out can do little. Its score is
# $\lVert w^{\text{in}}_j\rVert \cdot \lVert w^{\text{out}}_j\rVert$, which takes no data at all.
#
# **Exercise 1: magnitude** (easy, 5 minutes). Score each neuron: the norm of its input weights times the norm of its output weights.
# `w_in` has one row for each neuron, `w_out` one column.
#
# <details><summary>Hint</summary><code>.norm(dim=…)</code> gives the norms of rows or columns. Which <code>dim</code> must disappear from
# <code>w_in</code>, so that one number for each neuron is left?</details>

# %%
def magnitude(w_in, w_out):
    """w_in: (neurons, d), w_out: (d, neurons) → (neurons,)"""
    # solution
    return w_in.norm(dim=1) * w_out.norm(dim=0)
    # end


# %% tags=["nbval-check-output"]
magnitude = pl.check("04.magnitude", magnitude)

# %%
by_hand = torch.stack([magnitude(layer.intermediate.dense.weight, layer.output.dense.weight)
                       for layer in layers])                       # (layers, neurons)
gap = (by_hand - scores["magnitude"].neurons).abs().max().item()
print(f"{by_hand.numel():,} scores, by hand and by the library: they differ by {gap:.0e}")

# %% [markdown]
# **By the activations.** Run the calibration set and ask how much the neuron really writes, on average over the tokens $t$:
#
# $$A_j = \frac{1}{T}\sum_t |a_j(x_t)| \cdot \lVert w^{\text{out}}_j \rVert$$

# %%
a = tokens_into(w_out, calibration)                                # (tokens, neurons)
by_hand = a.abs().mean(0) * w_out.weight.norm(dim=0)
gap = (by_hand / scores["activation"].neurons[HERE] - 1).abs().max().item()
print(f"activation, by hand and by the library: they differ by {gap:.1e} of the score")

# %% [markdown]
# **By the gradients.** A neuron may write a lot without changing any answer. So we ask the loss. Give each neuron a
# [**gate**](glossary.md#gate) $\xi_j$, a factor on its activation: 1 leaves it as it is, 0 removes it. How does the loss $\mathcal L$
# change when some gates close? Expand it around the point where all gates are open, with $g = \partial\mathcal L/\partial\xi$ and $H$ the
# matrix of second derivatives:
#
# $$\mathcal L(\xi) - \mathcal L(1) \approx -\,g^\top(1-\xi) + \tfrac12\,(1-\xi)^\top H\,(1-\xi)$$
#
# Training has brought the mean of $g$ close to zero. And where the model's probabilities fit the labels, $H$ is close to the mean of
# $g\,g^\top$ over examples, the (empirical) [**Fisher information**](glossary.md#fisher-information). Its diagonal gives each neuron a score:
#
# $$I_j = \frac1n \sum_{i=1}^n \left(\frac{\partial \mathcal L_i}{\partial \xi_j}\right)^{\!2}$$
#
# Square first, then average: a neuron that raises the loss of one sentence and lowers that of another matters to both. So we need the
# gradient of *every example*. `pl.gates(model, examples=n)` gives each example gates of its own, and one backward pass finds all gradients.
# `taylor` is the sister score: the mean of $|\partial \mathcal L_i/\partial\xi_j|$, in which a few hard sentences weigh less.

# %%
def gate_gradients(batch):
    n = len(batch["labels"])
    with pl.gates(model, examples=n) as gate:           # gate.neurons: (layers, n, neurons)
        log_p = pl.outputs(model, batch).log_softmax(-1)
        loss = -log_p[torch.arange(n), batch["labels"]].sum()
        return torch.autograd.grad(loss, gate.neurons)[0]


by_hand = gate_gradients(calibration[-1]).square().mean(dim=1)     # (layers, neurons)
library = pl.importance(model, calibration[-1:], "fisher").neurons
gap = ((by_hand - library).abs().max() / library.max()).item()
print(f"fisher, by hand and by the library: they differ by {gap:.0e} of the largest score")

# %% [markdown]
# How unequal are these scores? Predict:

# %%
pl.quiz("04.guess_top_tenth")

# %%
pl.figures.histograms({way: scores[way].neurons
                       for way in ("magnitude", "activation", "fisher")})

# %% tags=["nbval-check-output"]
g = scores["fisher"].gradients[1].flatten(1)                # (sentences, neurons)
mean_part = (g.mean(0).square().sum() / g.square().mean(0).sum()).item()
each = g.square().sum(1).sort(descending=True).values
hardest = (each[:len(g) // 20].sum() / each.sum()).item()
ranked = scores["fisher"].neurons.flatten().sort(descending=True).values
top_tenth = (ranked[:len(ranked) // 10].sum() / ranked.sum()).item()
pl.claim("by fisher a tenth of the neurons holds over half of the sum", top_tenth > 0.5)
pl.claim("the squared mean gradient is under a tenth of the mean square", mean_part < 0.1)
pl.claim("a twentieth of the sentences holds over half of the sum", hardest > 0.5)

# %% [markdown]
# By `fisher` the answers depend on few neurons, so many can go cheaply. The second line checks the assumption that we made above: the mean
# gradient is small beside the single ones. And note the third: most sentences are answered with such certainty that they have hardly any gradient, and a
# handful of hard ones does the choosing. With few calibration sentences a gradient score is noisy.
#
# ## Why magnitude fails
#
# Three measurements. **First: few neurons are small.** Take the sum of all squared weights of the first matrices. How much of it lies in
# the smaller half of the single weights, and how much in the smaller half of the neurons?

# %%
def smaller_half(squares):
    """The share of the sum that lies in the smaller half of the numbers."""
    ordered = squares.flatten().sort().values
    return (ordered[:len(ordered) // 2].sum() / ordered.sum()).item()


squares = torch.stack([layer.intermediate.dense.weight.square() for layer in layers])
singles, rows_of = smaller_half(squares), smaller_half(squares.sum(2))
print(f"in the smaller half of the single weights: {singles:.0%} of the sum")
print(f"in the smaller half of the neurons: {rows_of:.0%}")
pl.claim("the smaller half of the neurons holds more than twice as much",
         rows_of > 2 * singles)

# %% [markdown]
# Half of the single weights are next to nothing. But a neuron's norm is taken over hundreds of weights, large and small ones even out,
# and the smaller half of the neurons holds a good part of the sum. (The small heap at the far left of all three histograms is the
# exception: nearly all of it is in the last layer.)
#
# **Second: what is large is seldom used.** A neuron fires at a token if its activation is above zero.

# %%
fires = 100 * (a > 0).float().mean(0)               # (neurons,), of layer HERE
norms = w_in.weight.norm(dim=1)
pl.figures.cloud(norms, fires, title=f"Layer {HERE}: large input weights, rare activity",
                 xlabel="norm of a neuron's input weights",
                 ylabel="fires at % of the tokens")

# %% [markdown]
# The neurons with the largest input weights fire at hardly any token, those with small ones many times as often. Large rows go with
# negative biases, as we check below: such a neuron is a strict detector, which waits for something special and is silent otherwise. The
# neurons that do the everyday work have rows of small norm, and magnitude removes them first. Is it so in every layer? We compare the order of the
# neurons by different scores, within each layer, with [**Spearman's rank correlation**](glossary.md#spearmans-rank-correlation): 1 is the
# same order, 0 no relation, −1 the reverse.

# %%
def agreement(s, t):
    """Spearman's rank correlation of two scores."""
    ranks = [v.argsort().argsort().float() for v in (s, t)]
    return torch.corrcoef(torch.stack(ranks))[0, 1].item()


def layer_by_layer(one, other):
    one, other = scores[one].neurons, scores[other].neurons
    return [agreement(one[i], other[i]) for i in range(L)]


pairs = [("activation", "fisher"), ("magnitude", "fisher"), ("magnitude", "activation")]
within = {f"{one} and {other}": layer_by_layer(one, other) for one, other in pairs}
pl.figures.curves(list(range(L)), within, xlabel="layer", ylabel="rank correlation",
                  title="Do two scores rank a layer's neurons alike?",
                  levels={"no relation": 0.0})

# %% tags=["nbval-check-output"]
reverse = within["magnitude and activation"]
dense = [layer.intermediate.dense for layer in layers]
biased = [agreement(matrix.weight.norm(dim=1), matrix.bias) for matrix in dense]
pl.claim("in most layers magnitude ranks against activation",
         sum(r < 0 for r in reverse) > L / 2)
pl.claim("in most layers large input weights go with negative biases",
         sum(r < 0 for r in biased) > L / 2)
pl.claim("activation agrees better with fisher than magnitude does",
         sum(within["activation and fisher"]) > sum(within["magnitude and fisher"]))

# %% [markdown]
# In most layers magnitude ranks not at random but *against* activity; only the last layers differ. But there is another possible cause: norms
# have no common unit. A norm of 1 may be large in one layer and small in another, and one list over all layers mixes them. **Third: which
# mistake costs more**, the wrong number of neurons in each layer, or the wrong neurons within it? We cross the two: one score says how many
# each layer keeps, and the same or another one says which.

# %%
def shared_out(score, counts):
    """Accuracy if layer i keeps its counts[i] neurons with the highest scores."""
    masks = pl.Masks.keep_all(model)
    for row, s, n in zip(masks.neurons, score.neurons, counts):
        row[s.argsort(descending=True)[n:]] = False
    return accuracy(pl.prune(model, masks))


counts = {way: pl.select(scores[way], model, keep_neurons=KEEP, rearrange=False)
          .neurons.sum(1).tolist() for way in ("fisher", "magnitude")}
counts["even"] = [KEEP // L] * L
crossed = {}
for number, each_layer in counts.items():
    crossed[number] = {way: shared_out(scores[way], each_layer)
                       for way in ("fisher", "magnitude")}

# %%
order = list(crossed["even"])
pl.table([("how many in each layer, by", *(f"which ones, by {way}" for way in order)),
          *((number, *(f"{row[way]:.0%}" for way in order))
            for number, row in crossed.items())])

# %% tags=["nbval-check-output"]
pl.claim("however many each layer keeps, fisher's neurons beat magnitude's by 20 points",
         all(row["fisher"] > row["magnitude"] + 0.2 for row in crossed.values()))
pl.claim("with magnitude's numbers, fisher's neurons lose less than 10 points",
         crossed["magnitude"]["fisher"] > crossed["fisher"]["fisher"] - 0.1)

# %% [markdown]
# Read down the first column: as long as `fisher` names the neurons, it hardly matters which score says how many. Read across a row: each
# layer keeps the same number of neurons, but different ones, and the accuracy collapses. (With 200 sentences one standard error is at most 3.5 points.) So the
# damage is done within the layers: magnitude keeps the strict detectors and removes the neurons that do the everyday work. In another network
# weights, biases and activity may be related in another way; this test takes a minute.
#
# ## Which layer is sensitive?
#
# A [sensitivity scan](glossary.md#sensitivity-scan) removes half of one layer's neurons and leaves all other layers whole. What should we
# measure? Accuracy is coarse: it moves only when an answer flips. The [KL divergence](glossary.md#kl-divergence) sees every shift of the
# model's probabilities $p$ long before that:
#
# $$\mathrm{KL} = \frac1n\sum_i \sum_c p_{\text{whole}}(c\,|\,i)\,\big[\log p_{\text{whole}}(c\,|\,i) - \log p_{\text{cut}}(c\,|\,i)\big]$$

# %%
probe = list(validation.subset(range(80)).by_length().batches(tokenizer))


def log_p():
    with torch.inference_mode():
        return torch.cat([pl.outputs(model, b) for b in probe]).log_softmax(-1)


def divergence(score, i):
    """KL divergence from the whole model if layer i loses the lower half of its neurons."""
    masks = pl.Masks.keep_all(model)
    masks.neurons[i, score.neurons[i].argsort()[:N // 2]] = False
    with pl.masked(model, masks):
        cut = log_p()
    return (reference.exp() * (reference - cut)).sum(-1).mean().item()


# %%
reference = log_p()
ways = {"half removed at random": dice[0], "half removed by fisher": scores["fisher"]}
scan = {name: [divergence(score, i) for i in range(L)] for name, score in ways.items()}
pl.figures.scan(scan, title="Every layer alone, cut by half",
                xlabel="the one layer that is cut", ylabel="KL divergence")

# %% tags=["nbval-check-output"]
pl.claim("cuts chosen by fisher move the answers less than random ones",
         sum(scan["half removed by fisher"]) < sum(scan["half removed at random"]))

# %% [markdown]
# One layer cut by half does little harm, even if the choice is random: look how small these divergences are. Yet in the first picture a random cut
# of *all* layers did great harm. Errors accumulate on the way through the network, and no intact layer is left to compensate. So a scan
# compares layers; it cannot say how much all of them can lose together.
#
# ## Choose under a budget
#
# The budget: $k$ neurons for the whole model. The simplest rule ranks all of them in one list and keeps the best $k$.
#
# **Exercise 2: the k best** (medium, 8 minutes). From scores `(layers, neurons)` make the mask that keeps exactly the `k` best neurons of
# the whole model. Some layers may keep none; `k` may be 0.
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
keep_best = pl.check("04.keep_best", keep_best)

# %% [markdown]
# Now the model is cut with *your* mask:

# %%
everything = pl.Masks.keep_all(model)
best_neurons = keep_best(scores["fisher"].neurons, KEEP)
yours = pl.Masks(everything.heads, best_neurons, everything.layers)
small = pl.prune(model, yours)
print(f"{int(yours.neurons.sum()):,} of {L * N:,} neurons stay: {accuracy(small):.1%} "
      f"of the validation sentences right, whole model {start:.1%}")

# %%
stay = {"fisher, one list": yours.neurons.sum(1).tolist(),
        "magnitude, one list": counts["magnitude"], "even": counts["even"]}
pl.figures.curves(list(range(L)), stay, title=f"{KEEP:,} neurons: who gets them?",
                  xlabel="layer", ylabel="neurons that stay", ylim=(0, N))

# %% [markdown]
# One list leaves the layers **uneven**. That is safe if a score means the same in every layer: true of gradients of one loss, not of norms. An
# even choice (`even=True`) is for tools that cannot store layers of different widths.
#
# <details><summary>Two refinements of pl.select: rearrangement, and round numbers</summary>
#
# The diagonal $I_j$ looks at each neuron alone. What is lost together is $\sum_i \big(\sum_{j\,\text{gone}} g_{ij}\big)^2$: two
# neurons whose gradients cancel can go as a pair. <a href="glossary.md#rearrangement">Rearrangement</a> goes through the kept neurons of each layer once and exchanges
# them where that sum falls (Kwon et al. 2022); <code>pl.select</code> does so unless you say
# <code>rearrange=False</code>, as we did. Processors multiply in blocks of 8 or 16 numbers, graphics cards in larger ones;
# <code>multiple=16</code> keeps neurons in blocks of 16. Try both, and measure.</details>
#
# ## Remove them for real
#
# `pl.prune` cuts the rows and columns out. The smaller model must give what the masked one gives:

# %%
batch = calibration[-1]
with torch.inference_mode():
    with pl.masked(model, yours):
        from_masks = pl.outputs(model, batch)
    gap = (pl.outputs(small, batch) - from_masks).abs().max().item()
assert gap < 1e-3, "masked and pruned must agree"
print(f"masked and pruned differ by {gap:.0e}")

after = pl.summary(small)
print(f"MACs: {whole.macs / after.macs:.2f} times fewer; "
      f"with no neurons at all {1 / (1 - share):.1f} times fewer")
pl.latency({"whole": model, f"{KEEP / (L * N):.0%} of the neurons": small})

# %% [markdown]
# Time falls, but by less than the number of neurons: attention is still whole. The second number of the MACs line says how far we would get
# if *all* neurons went. That is the limit of this lesson ([**Amdahl's law**](glossary.md#amdahls-law)). Lesson 06 turns to attention.
#
# ## How far can you go?
#
# Now we keep fewer and fewer neurons. The band spans two random draws.

# %%
SHARES = (1.0, 0.7, 0.4, 0.2)


def sweep(score):
    """Accuracy at each share of the neurons, and the masks."""
    masks = [pl.select(score, model, keep_neurons=round(s * N) * L, rearrange=False)
             for s in SHARES]
    return [accuracy(pl.prune(model, m)) if m.neurons.sum() < L * N else start
            for m in masks], masks


swept = {way: sweep(scores[way]) for way in ("fisher", "magnitude")}
draws = [sweep(score) for score in dice[:2]]
swept["random"] = draws[0]

# %%
lines = {way: [100 * a for a in found] for way, (found, _) in swept.items()}
throws = [[100 * a for a in found] for found, _ in draws]
lines["random"] = [sum(column) / len(draws) for column in zip(*throws)]
band = [min(c) for c in zip(*throws)], [max(c) for c in zip(*throws)]
pl.figures.curves([100 * s for s in SHARES], lines, bands={"random": band}, falling=True,
                  title="How many neurons does the task need?",
                  xlabel="neurons that stay, %", ylabel="accuracy, %", ylim=(0, 102))

# %% [markdown]
# On the left the choices lie close together; small cuts prove little about a score. The curves part in the middle, and at the right end
# none is good enough. That is where lesson 05 begins. Look inside one choice: which scores go, and how many neurons does each layer keep?

# %%
def show(score, stay):
    i = [f"{s:.0%}" for s in SHARES].index(stay)
    found, masks = swept[score]
    ranking = dice[0] if score == "random" else scores[score]
    return pl.figures.stays(ranking.neurons, masks[i].neurons,
                            title=f"{score}: {stay} stay",
                            beside=f"accuracy {found[i]:.0%}")


pl.explore(show, score=list(swept), stay=[f"{s:.0%}" for s in SHARES],
           start={"score": "fisher", "stay": "40%"})

# %% [markdown]
# Stay at one share and switch between magnitude and fisher. Which layer does magnitude empty? And is that what it suffers from? (Look again
# at the crossed table.)
#
# ## At LLM scale: neurons with two rows
#
# Large language models of today (Llama, Mistral, Qwen, Gemma) have feed-forward networks of another kind, the [**GLU**](glossary.md#glu)
# (Shazeer 2020). A neuron there reads with *two* rows. What the first reads goes through a nonlinearity (SiLU; in Gemma it is GELU), and
# multiplies what the second reads:
#
# $$a_j(x) = \mathrm{SiLU}\big(w^{\text{gate}}_j \cdot x\big)\,\cdot\,\big(w^{\text{up}}_j \cdot x\big)$$
#
# (The model's own `gate` is not one of our gates $\xi$.) There are no biases. To remove a neuron you cut row $j$ of *both* matrices, and
# column $j$ of `down`. In Llama-2-7B these three matrices, 4,096 × 11,008 in each of 32 layers, hold 64% of all parameters, so the method
# pays there, too. LLM-Pruner (Ma, Fang, Wang 2023) scores such groups by gradients, as we did. Minitron (Muralidharan et al. 2024) scores by
# activations, since a backward pass through a large model is expensive, and then distils.
#
# **Exercise 3: score a GLU** (medium, 8 minutes). Write the activation score for a GLU: how much each neuron writes, on average over the
# tokens. The ingredients are this formula, $A_j$ above, and `torch.nn.functional.silu`.
#
# <details><summary>Hint</summary>First the activations of all neurons at all tokens, (tokens, neurons), gate and up multiplied place by place. Then their
# sizes, the mean over tokens, and the norms of the columns of <code>down</code>.</details>

# %%
def glu_scores(x, gate, up, down):
    """x: (tokens, d), gate and up: (neurons, d), down: (d, neurons) → (neurons,)"""
    # solution
    a = torch.nn.functional.silu(x @ gate.T) * (x @ up.T)
    return a.abs().mean(dim=0) * down.norm(dim=0)
    # end


# %% tags=["nbval-check-output"]
glu_scores = pl.check("04.glu_scores", glu_scores)

# %% [markdown]
# Try your score on a small GLU with random weights. The last row of the table makes a common mistake: it ranks the rows of `gate` and `up`
# separately, so that the rows that are multiplied no longer belong together.

# %%
draw = torch.Generator().manual_seed(SEED)
d, n = 64, 172                                          # Llama's proportions, much smaller
tokens = torch.randn(500, d, generator=draw)
gate, up = torch.randn(2, n, d, generator=draw) * torch.rand(2, n, 1, generator=draw) / 4
down = torch.randn(d, n, generator=draw)


def glu_error(rows, up_rows=None):
    """Relative error if only these rows stay (of up, other ones)."""
    def network(g, u):
        gated = torch.nn.functional.silu(tokens @ gate[g].T)
        return gated * (tokens @ up[u].T) @ down[:, g].T
    exact = network(range(n), range(n))
    found = network(rows, rows if up_rows is None else up_rows)
    return ((found - exact).norm() / exact.norm()).item()


# %%
half = lambda score: score.argsort(descending=True)[:n // 2]
errors = {"by your score": glu_error(half(glu_scores(tokens, gate, up, down))),
          "at random": glu_error(torch.randperm(n, generator=draw)[:n // 2]),
          "gate and up ranked apart": glu_error(half(gate.norm(dim=1)),
                                                half(up.norm(dim=1)))}
pl.table([("half of the neurons stay", "relative error"),
          *((name, f"{e:.2f}") for name, e in errors.items())])

# %% tags=["nbval-check-output"]
pl.claim("your score beats chance, and rows that are torn apart are worse than chance",
         errors["by your score"] < errors["at random"] < errors["gate and up ranked apart"])

# %% [markdown]
# ## Challenge: the fewest neurons
#
# Keep at least 90% of the validation sentences right with as few neurons as you can, without repair or training. The attempt below is
# a poor one. Some ideas: more calibration sentences, `taylor`, rearrangement. Above all, [iterative pruning](glossary.md#iterative-pruning):
# remove some neurons, score the smaller model again, remove more, since each cut changes what the others are worth. `pl.importance` and
# `pl.select` take a pruned model as well.

# %%
def attempt():
    """Your smallest model that is still good enough."""
    return best(scores["fisher"], round(0.6 * N) * L)


tried = attempt()
kept = sum(layer.intermediate.dense.out_features
           for layer in tried.base_model.encoder.layer)
pl.challenge("04.fewest", kept / (L * N), accuracy(tried))

# %% [markdown]
# When you are done, look at the test set **once**, and at languages on which the classifier was never trained
# ([**zero-shot**](glossary.md#zero-shot)). You have chosen on the validation sentences, so expect a little less here.

# %%
test = pl.load_intents("test", limit=200, seed=SEED)
unseen = pl.load_intents("zero_shot", limit=200, seed=SEED)
pl.table([("model", f"test, n = {len(test)}", f"zero-shot, n = {len(unseen)}"),
          *((name, f"{accuracy(m, test):.1%}", f"{accuracy(m, unseen):.1%}")
            for name, m in (("whole", model), ("yours", tried)))])

# %% [markdown]
# With 200 sentences, one standard error is 1.5 points near 95% and 2.8 points near 80%. A cut that looks harmless on your test set may still
# have cost a language that is not in it.
#
# ## What to remember
#
# - A neuron is a row, a bias and a column. Without it two matrices are smaller, which saves time on any machine.
# - Magnitude fails for this model's neurons. Norms over many weights are much alike, and in most layers the neurons with large input weights
#   are the ones that seldom fire.
# - Gradients of the loss ask what the answers need. Square each example's gradient before you average.
# - Compare with the mean of several random draws, never with one.
# - Scan layers one by one with a fine measure (KL). One cut layer does little harm; many add up.
#
# ## Quiz

# %%
pl.quiz("04")

# %%
pl.progress("04")

# %% [markdown]
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: Fisher scores, rearrangement.
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: gates and their gradients, for heads.
# - Molchanov et al. 2017, *Pruning Convolutional Neural Networks for Resource Efficient Inference*: Taylor scores.
# - Kunstner, Hennig, Balles 2019, *Limitations of the Empirical Fisher Approximation for Natural Gradient Descent*: what “empirical” costs.
# - Sanh, Wolf, Rush 2020, *Movement Pruning: Adaptive Sparsity by Fine-Tuning*: why magnitude is a poor guide in fine-tuned models, and a
#   score that is learned.
# - Yang, Cui, Chen 2022, *TextPruner: A Model Pruning Toolkit for Pre-Trained Language Models*: heads and neurons, with and without labels.
# - Shazeer 2020, *GLU Variants Improve Transformer*. Ma, Fang, Wang 2023, *LLM-Pruner: On the Structural Pruning of Large Language Models*.
#   Muralidharan et al. 2024, *Compact Language Models via Pruning and Knowledge Distillation* (Minitron).
