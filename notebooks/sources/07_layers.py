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
# # 07 · Layer pruning
#
# **You will be able to** choose the layers to remove by a rule, by one forward pass or by a search, say what each choice costs, and win back most of
# what the cut lost.
#
# {minutes, 2 computing}
# Lessons 00 and 05 come first.
#
# Dropping whole [layers](glossary.md#layer) is the simplest cut: every remaining matrix keeps its shape, any runtime can run the result, and the time
# falls with the number of layers. It is also the coarsest cut, so everything depends on *which* layers go. You can follow a rule of thumb. You
# can look at the model once. Or you can search, and try out dozens of smaller models. Searching sounds better, and it costs far more. So one
# question runs through this lesson: **can a search beat one forward pass?**

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import json
import re
from importlib.resources import files
from math import comb

import torch
from torch.nn import functional as F

import pruning_lessons as pl

SEED = 0               # another seed: other sentences
pl.check_environment();

# %% [markdown]
# Three sets of sentences have three jobs: `search` chooses layers, `batches` show the model real text (no labels needed), and `test` reports.

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
L = len(pl.Masks.keep_all(model).layers)
K = max(2, L // 3)                                          # so many layers go
search = pl.load_intents("validation", limit=40, seed=SEED)
test = pl.load_intents("test", limit=240, seed=SEED).by_length()
batches = list(pl.load_intents("train", limit=96, seed=SEED).batches(tokenizer, 16))


def without(layers):
    """→ a copy of the model that lacks these layers"""
    return pl.prune(model, pl.layer_masks(model, layers))


# %% [markdown]
# What does a removed layer save? Time falls almost in proportion to depth, whichever layers go:

# %%
depths = (L, L - K // 2, L - K, L // 2)
pl.latency({f"{n} layers": without(range(n, L)) for n in depths}, repeats=20)

# %% [markdown]
# ## The problem in one picture
#
# Here are three rules that look neither at the model nor at data: drop the last layers (*top*), the first ones (*bottom*), or every other one
# (Sajjad et al. 2023). A third of the layers goes, and nothing is trained afterwards.

# %%
pl.quiz("07.guess_rule")

# %%
gone, said, hits = {}, {}, {}   # by name: layers that go, logits, which answers are right


@torch.inference_mode()
def logits(pruned, data=test):
    """→ (sentences, labels)"""
    return torch.cat([pl.outputs(pruned, b) for b in data.batches(tokenizer, 64)])


def right(pruned, data=test):
    """→ whether each answer is right: bool, (sentences,)"""
    return logits(pruned, data).argmax(-1) == torch.tensor(data.labels)


def measure(name, layers, pruned=None):
    """Note what is left of the model without these layers"""
    gone[name] = list(layers)
    said[name] = logits(without(layers) if pruned is None else pruned)
    hits[name] = said[name].argmax(-1) == torch.tensor(test.labels)


# %%
def share(name):
    return hits[name].float().mean().item()


def strips(title, names):
    """One strip of layers a name; beside it the right answers, and their 95% interval"""
    half = {n: 1.96 * (share(n) * (1 - share(n)) / len(test)) ** 0.5 for n in names}
    return pl.figures.strips(
        {n: [i not in gone[n] for i in range(L)] for n in names}, title=title,
        beside={n: f"{share(n):.0%} ± {half[n]:.0%}" for n in names})


# %%
measure("whole", [])
for name, method in {"top": "top", "bottom": "bottom", "every other": "alternate"}.items():
    measure(name, pl.layers_to_drop(model, K, method))
strips(f"{K} of {L} layers go by a rule; right answers of {len(test)}", list(gone))

# %% tags=["nbval-check-output"]
rules = "top", "bottom", "every other"
pl.claim("without its last third the model is useless", share("top") < 0.2)
pl.claim("every one of these rules costs more than ten points",
         max(share(rule) for rule in rules) < share("whole") - 0.1)

# %% [markdown]
# (± gives a 95% interval for these test sentences.) Why must the last layers stay? The classifier reads one token, `<s>`, which is the same in every
# sentence. So let us see, layer by layer, how much the [hidden states](glossary.md#hidden-states) differ from one sentence to the next, at `<s>` and at the
# words.

# %%
@torch.inference_mode()
def states_of(batch):
    """→ the hidden states before the first layer and after each: L + 1 of (batch, T, d)"""
    return model.base_model(batch["input_ids"], attention_mask=batch["attention_mask"],
                            output_hidden_states=True).hidden_states


def spread(x):
    """x: (batch, d). Mean distance from the mean, as a share of the mean length"""
    return ((x - x.mean(0)).norm(dim=1).mean() / x.norm(dim=1).mean()).item()


batch = next(pl.load_intents("train", limit=32, seed=SEED).batches(tokenizer, 32))
words = batch["attention_mask"][:, 1:, None].float()        # 1 at all tokens but <s>
states = states_of(batch)

# %%
first = [spread(s[:, 0]) for s in states]
others = [spread((s[:, 1:] * words).sum(1) / words.sum(1)) for s in states]
pl.figures.curves(range(L + 1), {"<s>": first, "mean of the other tokens": others},
                  title="How much the states differ between sentences", ylim=(0, 1),
                  xlabel="layers passed", ylabel="spread, as a share of the length")

# %% tags=["nbval-check-output"]
pl.claim("most of what <s> knows of the sentence arrives in the last two layers",
         first[-3] < first[-1] / 2)

# %% [markdown]
# The words carry the sentence all along, and `<s>` gathers it from them only at the very end. Cut the top, and the classifier reads a token that looks
# nearly the same for every sentence. Yet Sajjad et al. report that the lower layers are the critical ones, and that the *top* layers can go. They are not wrong, and
# neither are we. Keep this contradiction in mind until [Train after the cut](#Train-after-the-cut).
#
# ## One forward pass
#
# **Block influence** (Men et al. 2024, *ShortGPT*) looks at the model once. It measures how much a layer turns the hidden states, on average over real
# tokens:
#
# $$\mathrm{BI}_i = 1 - \mathbb E_t\left[\frac{x_{i,t}\cdot x_{i+1,t}}{\lVert x_{i,t}\rVert\,\lVert x_{i+1,t}\rVert}\right]$$
#
# with $x_{i,t}$ the state of token $t$ in front of layer $i$. If a layer barely changes the states' direction, the model can probably do without it, because a layer only
# adds to what the [residual connection](glossary.md#residual-connection) carries past it. (Sajjad et al. have a rule of this kind too, based on the
# [cosine similarity](glossary.md#cosine-similarity) of a layer's input and output.)
#
# ### Exercise 1: block influence
#
# (medium, 5 minutes) Write one layer's block influence from its input and its output. The mask is 1 at real tokens, 0 at padding. The next cell ranks
# all layers with your function.
#
# <details><summary>Hint</summary><code>F.cosine_similarity(…, dim=-1)</code> returns one number for each token. Padding must not count, and a mask of 0
# and 1 selects nothing until it is boolean.</details>

# %%
def influence(before, after, mask):
    """before, after: (batch, T, d), mask: (batch, T) → one number"""
    # solution
    return (1 - F.cosine_similarity(before, after, dim=-1))[mask.bool()].mean()
    # end


# %% tags=["nbval-check-output"]
influence = pl.check("07.block_influence", influence)

# %%
def influences(batches):
    """→ the block influence of every layer, (L,): a mean over the tokens of all batches"""
    total, tokens = torch.zeros(L), 0
    for b in batches:
        mask, x = b["attention_mask"], states_of(b)
        for i in range(L):
            total[i] += mask.sum() * influence(x[i], x[i + 1], mask)
        tokens += mask.sum()
    return total / tokens


turns = influences(batches[:4])
lowest = turns.argsort(stable=True).tolist()[:K]
measure("block influence", lowest)
print("to go first:", lowest, "by hand,",
      pl.layers_to_drop(model, K, "block_influence", batches[:4]), "by the library")

# %%
pl.figures.bars({str(i): turns[i].item() for i in range(L)}, upright=True, form="{:.2f}",
                hatched=[str(i) for i in lowest], label="block influence",
                title=f"How much each layer turns the states (hatched: the {K} to go)")

# %% [markdown]
# That took one pass over a few batches: no labels, no trials. Before we see how good the choice is, its rival gets its turn.
#
# ## Search greedily
#
# Why not simply try? Remove each layer in turn, keep the best of these models, and start again from there. This is **greedy layer pruning** (Peer et
# al. 2022). It measures again after every step, because costs do not add up: of two layers, each may be cheap to lose only because the other one makes up for it.
#
# ### Exercise 2: the greedy step
#
# (medium, 8 minutes) `score(layers)` says how good the model is without the layers in this list. Larger is better. Some layers are `gone` already.
# Which one goes next? The search below takes its steps with your function.
#
# <details><summary>Hint</summary>The candidates are the layers that are not gone. A candidate lacks all of <code>gone</code> and one layer more.
# <code>max(…, key=…)</code> returns the first of the best.</details>

# %%
def greedy_step(gone, layers, score):
    """gone: list of layers, layers: how many there are → the layer that goes next"""
    # solution
    left = [i for i in range(layers) if i not in gone]
    return max(left, key=lambda i: score([*gone, i]))
    # end


# %% tags=["nbval-check-output"]
greedy_step = pl.check("07.greedy_step", greedy_step)

# %% [markdown]
# On 40 sentences many candidates get equally many right, so we score by the loss (the cross-entropy), which moves before an answer flips. Here are two
# steps with your function. Then the library takes all the steps, in a cheaper way (see [The price](#The-price)):

# %%
parts = list(search.by_length().batches(tokenizer, 40))


@torch.inference_mode()
def score(layers):
    """Minus the mean loss on the search sentences, without these layers"""
    with pl.masked(model, pl.layer_masks(model, layers)):
        losses = [F.cross_entropy(pl.outputs(model, b), b["labels"], reduction="sum")
                  for b in parts]
    return -sum(losses).item() / len(search)


by_hand = []
while len(by_hand) < 2:
    by_hand.append(greedy_step(by_hand, L, score))
print("by hand, two steps:", by_hand)

# %%
found = pl.greedy_layer_pruning(model, tokenizer, search, drop=K, objective="loss",
                                progress=False)
measure("greedy search", found.order)
found

# %% [markdown]
# ## Who wins?

# %%
pl.quiz("07.guess_search")

# %%
strips(f"Who chooses best? Right answers of {len(test)}",
       [*rules, "block influence", "greedy search"])

# %%
def against(one, other):
    """Print how far apart two models are on the same sentences → whether it is noise"""
    apart = hits[one].float() - hits[other].float()
    mean, half = 100 * apart.mean().item(), 196 * apart.std().item() / len(apart) ** 0.5
    print(f"{one} against {other}: {mean:+.1f} ± {half:.1f} points "
          f"({int((apart > 0).sum())} sentences won, {int((apart < 0).sum())} lost)")
    return abs(mean) <= half


against("greedy search", "block influence")
searched = found.scores[-1].accuracy - found.start.accuracy
reported = share("greedy search") - share("whole")
print(f"what the search lost: {100 * searched:+.1f} points on its own {len(search)} "
      f"sentences, {100 * reported:+.1f} on the test")

# %% tags=["nbval-check-output"]
pl.claim("block influence beats every rule that does not look",
         share("block influence") > max(share(rule) for rule in rules))
pl.claim("a search of dozens of models does not beat it by more than three points",
         share("greedy search") < share("block influence") + 0.03)

# %% [markdown]
# Looking at the model pays; searching on top of that shows no gain beyond the noise of 240 sentences.
#
# The last line printed is about [overfitting](glossary.md#overfitting). The search kept whatever did best on its own sentences, luck included, so the drop that it reports tends to be too
# small, and the fewer the sentences, the more so. Report on sentences that it has not seen, and compare *drops* in accuracy rather than levels, since one set may be easier than the other.
#
# ## The price
#
# What did each choice cost? One **layer evaluation** is one layer run over all the data, so one forward pass costs $L$ of them. In each step the plain search tries to remove
# every layer that is left, and runs each of these candidates from its first layer to its last.
#
# ### Exercise 3: the bill
#
# (easy, 4 minutes) How many layer evaluations does the plain greedy search pay to drop `drop` of `layers` layers?
#
# <details><summary>Hint</summary>Begin with the first step: how many candidates are there, and how many layers does each of them run? After a
# removal there is one fewer of both.</details>

# %%
def evaluations(layers, drop):
    """→ a whole number"""
    # solution
    return sum(m * (m - 1) for m in range(layers, layers - drop, -1))
    # end


# %% tags=["nbval-check-output"]
evaluations = pl.check("07.evaluations", evaluations)

# %% [markdown]
# The library pays about half of that. Up to layer 6, a model without layer 7 computes exactly what the model with layer 7 does. So the library keeps the hidden states
# in front of every layer, and each candidate starts at its gap. One more search is worth pricing, the one that misses nothing: `pl.best_layers` tries *all* choices, here all pairs.

# %%
pairs = pl.best_layers(model, tokenizer, search.subset(range(8)), 2, progress=False)
pl.table([
    ("layers to go", "way", "layer evaluations", "needs labels"),
    (K, "block influence", L, "no"),
    (K, "greedy, plain", f"{evaluations(L, K):,}", "yes"),
    (K, "greedy, shared states", f"{found.evaluations:.0f}", "yes"),
    (2, f"all {comb(L, 2)} pairs, shared states", f"{pairs.evaluations:.0f}", "yes"),
    (K, f"all {comb(L, K)} choices, plain", f"{comb(L, K) * (L - K):,}", "yes"),
])

# %% [markdown]
# ## Is greedy good enough?
#
# The bill explains why one would like to be greedy. But perhaps greed is what fails here, and a perfect search would win? To try all choices of four layers on many more
# sentences takes minutes, so this was done beforehand with the command that the cell prints:

# %%
file = files("pruning_lessons") / "assets/sweeps/layers.json"
sweep = json.loads(file.read_text("utf-8"))
ways = {"greedy search": sweep["greedy"]["points"], **sweep["rules"]}
exact = sweep["exact"][-1]                                  # of all choices of four layers
points = {"best of all choices": exact,
          **{name.replace("_", " "): ways[name][exact["drop"] - 1]
             for name in ("greedy search", "block_influence")}}
chose, told = sweep["sentences"]["validation"], sweep["sentences"]["test"]
print(f"{sweep['command']} | {sweep['date']} | {chose} sentences choose, {told:,} report")
pl.figures.strips(
    {name: [i not in p["layers"] for i in range(sweep["layers"])]
     for name, p in points.items()},
    beside={name: f"{p['test']:.1%}" for name, p in points.items()},
    title=f"The best of all {exact['choices']} choices, and two that were cheaper")

# %%
shown = "block_influence", "greedy search", "random", "alternate", "bottom", "top"
pl.figures.panels(
    range(len(ways["top"]) + 1),
    {title: {name.replace("_", " "): [100 * p[kind] for p in (sweep["whole"], *ways[name])]
             for name in shown}
     for title, kind in (("languages it was trained on", "test"),
                         ("other languages (zero-shot)", "zero_shot"))},
    title="Layers removed, nothing trained", xlabel="layers removed",
    ylabel="accuracy, %", ylim=(0, 102))

# %% tags=["nbval-check-output"]
pl.claim("the best of all choices is within a point and a half of block influence",
         all(abs(e["test"] - ways["block_influence"][e["drop"] - 1]["test"]) < 0.015
             for e in sweep["exact"]))

# %% [markdown]
# So greed is not to blame. The choice that was best of all on hundreds of validation sentences does no better on the test set than that of one forward pass, and the three
# agree on few layers. In the middle of this model many choices are nearly equal, and there is little for any search to find. (With 1,000 sentences, a difference of a point and a half is within
# the noise. *Random* is the mean of three draws; up to four layers it is better than each of the three rules.)
#
# ## Repair after each removal
#
# So far nothing made up for the cut. [Repair](glossary.md#repair) (lesson 05) can, without labels: every layer that is left is refitted by least squares, and the one in front of a gap
# learns to return what the last of the removed layers returned.

# %%
chosen = "top", "block influence", "greedy search"
for name in chosen:
    measure(f"{name}, repaired", gone[name], pl.repair(without(gone[name]), model, batches))

# %% [markdown]
# Repair gives the search a second chance: it can take each step from a model that has been repaired already. `greedy_layer_pruning` accepts any function that improves a
# pruned model in place (`recover`), calls it after each removal, and goes on from the improved model.

# %%
def mend(pruned):
    pruned.load_state_dict(pl.repair(pruned, model, batches).state_dict())


mended = pl.greedy_layer_pruning(model, tokenizer, search, drop=K, objective="loss",
                                 recover=mend, progress=False)
measure("search with repair", mended.order, mended.model)
strips("Repaired", [*(f"{name}, repaired" for name in chosen), "search with repair"])

# %%
against("block influence, repaired", "block influence")
against("search with repair", "block influence, repaired");

# %% [markdown]
# Where the choice was good there was little to win back, and no difference here stands out from the noise of 240 sentences. The search has had its second chance, at the price of a repair after
# every removal. So the answer to our question is: not on this model and this task. It may be yes where the layers differ more in what they are worth, or where you cut so deep that no choice is
# good. Then search with repair, on as many sentences as you can afford.
#
# The surprise is *top*. Repair alone, with fewer than a hundred sentences and no labels, lifts it far above guessing. So `<s>` does hold something of the sentence before the last layers. Its states there
# differ by a percent or two of their length, which is little but not nothing, and least squares can amplify what is there, noise included.
#
# ## Train after the cut
#
# Back to the contradiction. Sajjad et al. take a *pretrained* model, drop layers, and only then [fine-tune](glossary.md#fine-tuning) it. The layers that are left learn
# the task, and bringing the sentence to `<s>` is a part of it. We cut a model that was trained already, and nothing tells the lower layers that this job is theirs now. If that is
# the whole difference, a short training should close most of the gap.

# %%
pl.quiz("07.guess_top")

# %%
lessons = pl.load_intents("train", limit=320, seed=SEED + 1)
held_out = pl.load_intents("validation", limit=120, seed=SEED + 1)
rising, EPOCHS = {}, 2


def train(name):
    """Fine-tune what is left without these layers, and note how it goes"""
    student = without(gone[name])
    run = pl.fine_tune(student, tokenizer, lessons, epochs=EPOCHS, seed=SEED,
                       learning_rate=5e-4, batch_size=16, validation=held_out,
                       progress=False)
    rising[name] = [100 * accuracy for accuracy in (run.start, *run.accuracies)]
    measure(f"{name}, fine-tuned", gone[name], student)
    return run.steps


steps = train("top")

# %%
steps = train("bottom")
pl.figures.curves([round(steps * e / EPOCHS) for e in range(EPOCHS + 1)],
                  {f"{name} {K} layers gone": y for name, y in rising.items()},
                  title="Fine-tuned after the cut", xlabel="training steps",
                  ylabel="validation accuracy, %", ylim=(0, 100))

# %%
against("top, fine-tuned", "bottom, fine-tuned")
closed = share("bottom, fine-tuned") - share("top, fine-tuned")
print(f"test: top {share('top'):.1%} → {share('top, fine-tuned'):.1%}, "
      f"bottom {share('bottom'):.1%} → {share('bottom, fine-tuned'):.1%}")

# %% tags=["nbval-check-output"]
pl.claim("training brings top from nothing to more than two thirds",
         share("top") < 0.2 and share("top, fine-tuned") > 2 / 3)
pl.claim("of bottom's lead over top, less than a third is left",
         closed < (share("bottom") - share("top")) / 3)

# %% [markdown]
# Within these few steps *top* rises from guessing to most of the answers, and little is left of bottom's lead. The layers that remain have learned to bring the
# sentence to `<s>`, which was most of what was missing. So both findings stand. Sajjad et al. speak of models that are trained after the cut, we of one that is not. (Which of the two ends
# higher is another question. They find that top does, with whole training sets; a few hundred sentences, as here, need not show it.) And compare both with *block influence, repaired*,
# which needed no labels and no training: a choice that looks at the model leaves less to win back.
#
# ## Learn from the teacher
#
# Fine-tuning needs labels. **[Distillation](glossary.md#distillation)** does not: the cut model, the *student*, learns to answer as the whole one does, the *teacher*. A teacher's answer says
# more than a label: not only *turn on the light*, but also how close *set the brightness* came. A **[temperature](glossary.md#temperature)** $T$ brings these small probabilities out:
#
# $$\mathcal L = T^2\; \mathrm{KL}\big(p \,\Vert\, q\big) \qquad p = \mathrm{softmax}(z_{\text{teacher}}/T),\quad q = \mathrm{softmax}(z_{\text{student}}/T)$$
#
# The [KL divergence](glossary.md#kl-divergence), $\sum p\log(p/q)$, is zero when both agree. Gradients shrink roughly as $1/T^2$, and the factor $T^2$ makes up for that. `pl.distill` trains with this
# loss, as lesson 08 will; here you measure with it. (`pl.distill` also compares hidden states, those of each student layer with those of the last teacher layer that it now replaces, and adds the loss on
# labels where there are labels.)
#
# ### Exercise 4: the distillation loss
#
# (medium, 8 minutes) Write $T^2\,\mathrm{KL}(p\Vert q)$ from the logits of both, as the mean over sentences. The next cell measures four of today's models with it.
#
# <details><summary>Hint</summary><code>F.kl_div(log q, log p, log_target=True, reduction="batchmean")</code> is KL(p‖q): the student comes first.</details>

# %%
def distillation_loss(student, teacher, T):
    """logits (n, labels) of both → one number"""
    # solution
    q, p = (student / T).log_softmax(-1), (teacher / T).log_softmax(-1)
    return T**2 * F.kl_div(q, p, log_target=True, reduction="batchmean")
    # end


# %% tags=["nbval-check-output"]
distillation_loss = pl.check("07.distillation_loss", distillation_loss)

# %%
versions = ("block influence", "block influence, repaired", "top, repaired",
            "top, fine-tuned")
whole = logits(model)
pl.table([("removed", "distance from the teacher", "right"),
          *((name, f"{float(distillation_loss(said[name], whole, 2.0)):.2f}",
             f"{share(name):.1%}") for name in versions)])

# %% [markdown]
# ## Try it: beat the search
#
# Type the numbers of the layers that should go, and see what the search would have seen. Can you find a better set than its own?

# %%
def try_out(remove):
    """A strip for the layers in this text, and one for those that the search removed"""
    layers = sorted({int(word) for word in re.findall("[0-9]+", remove[:100])})
    losses = {"yours": -score(layers), "greedy search": found.scores[-1].loss}
    both_sets = {"yours": layers, "greedy search": found.order}
    return pl.figures.strips(
        {n: [i not in out for i in range(L)] for n, out in both_sets.items()},
        beside={n: f"loss {loss:.2f}" for n, loss in losses.items()},
        title=f"{len(layers)} layers go: loss on the {len(search)} search sentences")


pl.explore(try_out, remove=" ".join(map(str, gone["block influence"])))

# %% [markdown]
# <details><summary>At LLM scale</summary>
#
# Layers are what people remove first from a large language model: no kernel, no file format and no serving code has to change.
#
# - *One pass.* ShortGPT (Men et al. 2024) ranks the layers of LLaMA 2 and others by block influence and removes about a quarter of them. The least influential ones
#   lie deep in the model, side by side, in front of the last. Such models normalise in front of each sublayer (pre-norm), so that the stream they add to grows and a deep layer turns it less and
#   less. Our model normalises after each sublayer; do not expect the same layers.
# - *Search.* SLEB (Song et al. 2024) is the greedy search of this lesson: remove the block without which the model predicts text best, measure again, repeat.
# - *When scores mislead.* EvoPress (Sieberling et al. 2025) shows that removing more can even make a model better, which no sum of single scores foresees. It searches by mutation
#   and selection instead, and finds better models than scores that treat layers one by one.
# - *Heal.* Gromov et al. 2024 remove a run of neighbouring layers, chosen by the angle between the states before and after it, and fine-tune a little. On benchmarks of questions and
#   answers some models lose little until half of their layers are gone, others only until a fifth.
# - *Prepare for it.* LayerDrop (Fan, Grave, Joulin 2020) skips random layers during training. Such a model can be made shallower later without fine-tuning.
#
# An LLM is read at every token, not at `<s>` alone, so the last layers matter for another reason there: they turn states into the next word.
#
# </details>
#
# ## Challenge: the fewest layers
#
# How few layers can you keep and still have 90% of the validation sentences right? Here is a first attempt that leaves much to do: two layers are gone, and nothing made up for them. You
# may use everything in this lesson: choose, repair, fine-tune, distil, in any order.

# %%
validation = pl.load_intents("validation", limit=240, seed=SEED).by_length()
remove = gone["block influence"][:2]
attempt = without(remove)
pl.challenge("07.fewest", cost=1 - len(remove) / L,
             quality=right(attempt, validation).float().mean())

# %% [markdown]
# When you are done choosing, and only then, look at the sentences that no choice has seen.

# %%
print(f"test: {right(attempt).float().mean():.1%}, whole model {share('whole'):.1%}")

# %% [markdown]
# ## What to remember
#
# - Removing layers is the simplest cut, and time falls with their number on any machine.
# - A bad choice of layers ruins the model, and good choices are nearly equal. Look at the model at least once: block influence takes one forward pass and no labels.
# - A search can beat one pass only if there is something to find. Share hidden states, give the search enough sentences, and report on others.
# - This classifier reads one token, and the last layers fill it. Without training afterwards, keep them; with training, they can go as well.

# %%
pl.quiz("07")

# %%
pl.progress("07")

# %% [markdown]
# ## Sources
#
# - Sajjad, Dalvi, Durrani, Nakov 2023, *On the effect of dropping layers of pre-trained transformer models*: the rules, each followed by fine-tuning.
# - Men et al. 2024, *ShortGPT: Layers in Large Language Models are More Redundant Than You Expect*: block influence.
# - Peer, Stabinger, Engl, Rodríguez-Sánchez 2022, *Greedy-layer pruning: Speeding up transformer models for natural language processing*. They fine-tune every candidate.
# - Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network*.
# - Jiao et al. 2020, *TinyBERT: Distilling BERT for Natural Language Understanding*: distillation of hidden states.
# - Song et al. 2024, *SLEB: Streamlining LLMs through Redundancy Verification and Elimination of Transformer Blocks*.
# - Sieberling, Kuznedelev, Kurtic, Alistarh 2025, *EvoPress: Accurate Dynamic Model Compression via Evolutionary Search*.
# - Gromov, Tirumala, Shapourian, Glorioso, Roberts 2024, *The Unreasonable Ineffectiveness of the Deeper Layers*.
# - Fan, Grave, Joulin 2020, *Reducing Transformer Depth on Demand with Structured Dropout* (LayerDrop).
