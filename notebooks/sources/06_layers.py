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
# # 06 · Greedy layer pruning
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/06_layers.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/06_layers.ipynb)
#
# **You will be able to** drop whole layers by rule, greedily and optimally, say what each search costs, and recover with
# distillation between the steps.
#
# *Forty minutes of yours, about a minute and a half of computing. Lesson 00 comes first; 04 and 05 help.*
#
# Removing layers is the plainest cut: no odd shapes, nothing to explain to the runtime. Milliseconds fall by the layers' share. It is
# also the coarsest, so everything depends on *which* layers.

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

import json
from importlib.resources import files
from math import comb

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import pruning_lessons as pl

pl.check_environment();

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
L = len(pl.Masks.keep_all(model).layers)
search = pl.load_intents("validation", limit=64, seed=0)     # decides
test = pl.load_intents("test", limit=240, seed=0)            # reports
batches = list(pl.load_intents("train", limit=64, seed=0).batches(tokenizer, 32))


def without(layers):
    return pl.prune(model, pl.layer_masks(model, layers))


def accuracy(m, data=test):
    return pl.evaluate(m, tokenizer, data).accuracy


start = accuracy(model)
print(f"{L} layers, {start:.1%} on test sentences")

# %% [markdown]
# ## The problem in one picture
#
# Left: each layer removed alone. Right: a third of the layers removed at once, by three rules that people use.

# %%
K = max(2, L // 3)
alone = [accuracy(without([i])) for i in range(L)]
rules = {"top": "the last", "bottom": "the first", "alternate": "every other"}
dropped = {rule: pl.layers_to_drop(model, K, rule) for rule in rules}
by_rule = {rule: accuracy(without(layers)) for rule, layers in dropped.items()}

print(", ".join(f"{words} {K}: {by_rule[rule]:.0%}" for rule, words in rules.items()))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3), sharey=True,
                                     layout="constrained", width_ratios=(2, 1))
left.bar(range(L), [100 * a for a in alone], color="C0", edgecolor="black")
left.set(xlabel="the one layer that is removed", ylabel="accuracy, %",
         xticks=range(L), title="One layer goes")
right.bar([f"{words}\n{K}" for words in rules.values()],
          [100 * a for a in by_rule.values()],
          color="C1", hatch="//", edgecolor="black")
right.set(title=f"{K} layers go", ylim=(0, 105))
for ax in (left, right):
    ax.axhline(100 * start, color="black", linestyle="--")
plt.show()

# %% tags=["nbval-check-output"]
pl.claim("the worst single layer costs less than the worst rule for a third",
         min(alone) > min(by_rule.values()) + 0.3)
pl.claim("without its last third the model is useless", by_rule["top"] < 0.2)

# %% [markdown]
# *The picture in words: left, a bar for each layer, the accuracy without it; most are near the dashed line of the whole model, the first and the last
# lose several points. Right, three bars for a third of the layers removed by rule; they differ greatly.*
#
# Most single layers can go: the stream of hidden states passes around each layer (the **residual connection**), and the next ones
# make up for it. Several at once are another matter, and the choice decides.
#
# Why must the last layers stay? The classifier reads the first token alone, `<s>`, which is the same in every sentence. Where does it learn what the
# sentence says? Let us see by how much it differs between sentences, after each layer:

# %%
with torch.inference_mode():
    b = batches[0]
    states = model.base_model(b["input_ids"], attention_mask=b["attention_mask"],
                              output_hidden_states=True).hidden_states
spread = []
for state in states:
    first = state[:, 0]                                 # (batch, d): the token <s>
    spread.append((first - first.mean(0)).norm(dim=1).mean() / first.norm(dim=1).mean())
print("after 0, 1, 2, … layers:", " ".join(f"{s:.2f}" for s in spread))

# %% tags=["nbval-check-output"]
pl.claim("most of what <s> knows of the sentence comes in the last two layers",
         spread[-3] < spread[-1] / 2)

# %% [markdown]
# So here the top must stay. Sajjad and others (2023) found the reverse, that lower layers matter most. They drop layers *before* fine-tuning, and the
# layers left over learn the job anew; we cut a model that is trained already.
#
# And what do we get for it?

# %%
models = {"whole": model}
for n in (3 * L // 4, L // 2):
    models[f"{n} layers"] = without(range(n, L))
pl.latency(models, repeats=20)

# %% [markdown]
# Time falls nearly with the number of layers. (The answers of these cut models mean little; the time is the same whichever layers go.)
#
# ## Rules of thumb
#
# *Top*, *bottom* and *alternate* (Sajjad et al. 2023) look at nothing. **Block influence** (Men et al. 2024) looks at how much a layer turns
# the hidden states, at real tokens:
#
# $$\mathrm{BI}_i = 1 - \mathbb E_t\left[\frac{x_{i,t}\cdot x_{i+1,t}}{\lVert x_{i,t}\rVert\,\lVert x_{i+1,t}\rVert}\right]$$
#
# with $x_{i,t}$ the hidden state of token $t$ before layer $i$. A layer that hardly turns them is hardly needed. One forward pass gives it for all
# layers:

# %%
@torch.inference_mode()
def block_influence(batches):
    turned, tokens = torch.zeros(L), 0
    for batch in batches:
        real = batch["attention_mask"].bool()
        states = model.base_model(                           # L + 1 of (batch, T, d)
            batch["input_ids"], attention_mask=batch["attention_mask"],
            output_hidden_states=True).hidden_states
        for i in range(L):
            likeness = F.cosine_similarity(states[i], states[i + 1], dim=-1)
            turned[i] += (1 - likeness)[real].sum()
        tokens += real.sum()
    return turned / tokens


# %%
influence = block_influence(batches)
to_go = influence.argsort(stable=True).tolist()[:K]
assert to_go == pl.layers_to_drop(model, K, "block_influence", batches)
print("by hand and by the library, to go first:", to_go)
by_rule["block_influence"] = accuracy(without(to_go))
print(f"without them: {by_rule['block_influence']:.1%}")

# %% [markdown]
# ## Search greedily
#
# Why not try it out? Remove each layer in turn, keep the best of these models, and start again from there. This is **greedy layer
# pruning** (Peer et al. 2021, who fine-tune every candidate: 57 trainings for six of twelve layers; we only score them). In a few lines:

# %%
def score(layers):
    """Accuracy on the search set; ties go to the smaller loss."""
    parts = list(search.batches(tokenizer, 64))
    with pl.masked(model, pl.layer_masks(model, layers)), torch.inference_mode():
        logits = torch.cat([model(b["input_ids"], attention_mask=b["attention_mask"])
                            .logits for b in parts])
    labels = torch.cat([b["labels"] for b in parts])
    right = (logits.argmax(-1) == labels).float().mean().item()
    return right, -F.cross_entropy(logits, labels).item()


def greedy(n):
    gone = []
    for _ in range(n):
        left = [i for i in range(L) if i not in gone]
        gone.append(max(left, key=lambda i: score([*gone, i])))
    return gone


# %%
found = pl.greedy_layer_pruning(model, tokenizer, search, drop=K, progress=False)
assert greedy(2) == found.order[:2]
print("by hand and by the library, first two:", found.order[:2])
found

# %%
for name, before, after in (
        ("search", found.start.accuracy, found.scores[-1].accuracy),
        ("test", start, accuracy(found.model))):
    print(f"{name:6} {before:.1%} → {after:.1%}, {100 * (after - before):+.1f} points")

# %% [markdown]
# Compare the losses, not the levels, for one set may be easier than the other. The search picked what was good on *its* sentences, luck
# included, so its own loss is flattered; the fewer they are, the more. So report on others.
#
# ## The price
#
# The plain search tries $m$ models in a step with $m$ layers left, and each of them runs $m-1$ layers. One **layer evaluation** is one layer
# run over all the data. But a model without layer 7 computes, up to layer 6, exactly what the model before it computed. So these hidden
# states need not be computed again; the candidate starts at the gap:

# %%
plain = sum(m * (m - 1) for m in range(L, L - K, -1))
assert plain == found.plain_evaluations
print(f"plain search: {plain} layer evaluations")
print(f"with shared hidden states: {found.evaluations:.0f}, "
      f"{found.evaluations / plain:.0%}")

# %% [markdown]
# It takes longer on more data, and an interruption should cost nothing: with `resume="a-folder"` each finished step is written down, and
# the same call goes on from there.
#
# ## Is greedy good enough?
#
# For few layers all choices can be tried, again with shared hidden states: here all pairs.

# %%
few = search.subset(range(32))
exact = pl.best_layers(model, tokenizer, few, drop=2, progress=False)
greedy_two = pl.greedy_layer_pruning(model, tokenizer, few, drop=2, progress=False)
ranked = sorted(exact.choices.values(), key=lambda s: (-s.accuracy, s.loss))
place = 1 + ranked.index(exact.choices[tuple(sorted(greedy_two.order))])
print(f"best of all {comb(L, 2)} pairs: {exact.order}; "
      f"greedy: {greedy_two.order}, place {place}")
print(f"layer evaluations: {exact.evaluations:.0f} exact, "
      f"{greedy_two.evaluations:.0f} greedy")

# %% [markdown]
# For three and four layers, on more sentences, this takes minutes. It was computed beforehand by the command that the cell prints:

# %%
file = files("pruning_lessons") / "assets/sweeps/layers.json"
sweep = json.loads(file.read_text())
print(f"{sweep['command']} | {sweep['date']} | torch {sweep['torch']} | "
      f"{sweep['seconds'] / 60:.0f} minutes\n"
      f"{sweep['sentences']['validation']} validation sentences decide, "
      f"{sweep['sentences']['test']} test sentences report")


def price(n, layers=sweep["layers"]):
    """Greedy's layer evaluations with shared hidden states."""
    return layers + sum(m * (m - 1) // 2 for m in range(layers, layers - n, -1))


rows = [("removed", "search", "layers", "validation", "test", "layer evaluations")]
by_drop = {p["drop"]: p for p in sweep["greedy"]["points"]}
for e in sweep["exact"]:
    n, rank = e["drop"], f"greedy (place {e['greedy_rank']} of {e['choices']})"
    for name, p, cost in (("exact", e, e["evaluations"]), (rank, by_drop[n], price(n))):
        rows.append((n, name, str(sorted(p["layers"])), f"{p['validation']:.1%}",
                     f"{p['test']:.1%}", f"{cost:,.0f}"))
pl.table(rows)

# %% [markdown]
# Greedy is not the optimum, and stands near the top of all choices for a sixth to a quarter of the price. The three searches on this page do
# not agree on the layers to go first, for they looked at different sentences, few of them: in the middle of the model many choices are nearly
# equal.
#
# ## The whole front

# %%
STYLES = {"greedy": "o-", "block_influence": "s--", "alternate": "^-.",
          "random": "x:", "bottom": "v:", "top": "D:"}
curves = {"greedy": sweep["greedy"]["points"], **sweep["rules"]}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
for ax, kind, title in zip(axes, ("test", "zero_shot"), ("trained", "zero-shot")):
    for i, (name, style) in enumerate(STYLES.items()):
        points = {0: sweep["whole"][kind]} | {p["drop"]: p[kind] for p in curves[name]}
        ax.plot(points.keys(), [100 * a for a in points.values()], style, color=f"C{i}",
                label=name.replace("_", " "))
    ax.set(xlabel="layers removed", title=f"{title} languages", ylim=(0, 102))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("accuracy, %")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=6)
plt.show()

# %% [markdown]
# *The picture in words: two panels, trained and zero-shot languages; accuracy against the number of removed layers, one line for each way to
# choose (random: the mean of three draws). Greedy and block influence stay high longest; top falls to guessing with two layers removed.*
#
# The two best ways, in numbers:

# %%
rows = [("removed", "greedy", "block influence", "greedy, zero-shot",
         "block influence, zero-shot")]
for g, b in zip(curves["greedy"], curves["block_influence"]):
    rows.append((g["drop"], f"{g['test']:.1%}", f"{b['test']:.1%}",
                 f"{g['zero_shot']:.1%}", f"{b['zero_shot']:.1%}"))
pl.table(rows)

# %% tags=["nbval-check-output"]
wins = sum(b["test"] > g["test"]
           for g, b in zip(curves["greedy"], curves["block_influence"]))
pl.claim("block influence is ahead of greedy at half of the points or more",
         2 * wins >= len(curves["greedy"]))

# %% [markdown]
# Block influence, one pass, keeps up with a whole search. (On 1,000 sentences a point and a half is not much more than luck.) So try the rule first,
# and search if you can pay for it.
#
# ## Recover between the steps
#
# **Distillation** trains the cut model (the student) to answer like the whole one (the teacher). A teacher's answer says more than a label: not
# only *turn on the light*, but also how near *set the brightness* was. A **temperature** $T$ brings these small probabilities out:
#
# $$\mathcal L = T^2\; \mathrm{KL}\big(p_T \,\Vert\, q_T\big) \qquad p_T = \mathrm{softmax}(z_{\text{teacher}}/T),\quad q_T = \mathrm{softmax}(z_{\text{student}}/T)$$
#
# The **KL divergence**, $\sum p\log(p/q)$, is zero when both agree; $T^2$ makes up for the gradients, which shrink with $1/T^2$. `pl.distill` adds the
# labels' cross-entropy, and the squared distance of hidden states, in units of how much the teacher's vary: a student's layer is held against the last of the teacher's layers that it stands for. With
# layer 8 gone, the student's layer 7 answers for 7 and 8. Two steps, one removal each, with a short training after each:

# %%
lessons = pl.load_intents("train", limit=320, seed=1)
student, removed = model, []
rows = [("removed", "cut", "distilled")]
for layer in found.order[:2]:
    left = [i for i in range(L) if i not in removed]    # `layer` has another place now
    student = pl.prune(student, pl.layer_masks(student, [left.index(layer)]))
    removed.append(layer)
    cut = accuracy(student)
    pl.distill(student, model, tokenizer, lessons, learning_rate=1e-4, progress=False)
    rows.append((str(removed), f"{cut:.1%}", f"{accuracy(student):.1%}"))
pl.table(rows)

# %% [markdown]
# `pl.greedy_layer_pruning(model, tokenizer, search, drop=6, recover=train)` does both, where `train(pruned)` is a function that trains in
# place. Little was lost here, so little comes back. It shows with more layers, and more sentences; from the same sweep:

# %%
r = sweep["recovery"]
between = {p["drop"]: p for p in r["between"]}
rows = [("removed", "no training", "distilled between", "distilled at the end",
         "fine-tuned at the end", "steps")]
for once, tuned in zip(r["distill_once"], r["fine_tune_once"]):
    n = once["drop"]
    four = (by_drop[n], between[n], once, tuned)
    rows.append((n, *(f"{p['test']:.1%}" for p in four), once["steps"]))
pl.table(rows)

# %%
n, cost, once = max(between), sweep["greedy"]["evaluations"], r["distill_once"][-1]
ways = {"greedy alone": (cost, 0, by_drop[n]),
        "greedy, distilled at the end": (cost, once["steps"], once),
        "greedy, distilled between": (r["evaluations_between"], between[n]["steps"],
                                      between[n])}
pl.table([(f"{n} layers removed", "layer evaluations", "steps", "test", "zero-shot"),
       *((way, f"{paid:.0f}", steps, f"{p['test']:.1%}", f"{p['zero_shot']:.1%}")
         for way, (paid, steps, p) in ways.items())])

# %% tags=["nbval-check-output"]
trained = between[n]["test"], once["test"], r["fine_tune_once"][-1]["test"]
pl.claim("with six layers gone, training brings back more than eight points",
         min(trained) > by_drop[n]["test"] + 0.08)
pl.claim("and the three ways to train are within one point",
         max(trained) - min(trained) < 0.01)

# %% [markdown]
# With six layers gone a short training brings back most of what was lost, and it hardly matters which: distilled between the steps, at the end, or
# fine-tuned on labels. Training between the steps makes stored hidden states stale, so the search pays for more evaluations. Here it is not worth
# it. With two layers gone even training may take a point: few sentences, and not much to win.

# %% [markdown]
# ## Try it: switch layers off
#
# Buttons for layers (a pressed one is on, one with a dash is off); milliseconds and accuracy on a few sentences follow. The picture at the top of
# the lesson shows the same for single layers, for readers without a running kernel.

# %%
tiny = next(test.subset(range(40)).batches(tokenizer, 40))
depths = {n: without(range(n, L)) for n in (1, L)}
timed = pl.latency({str(n): m for n, m in depths.items()}, repeats=12).median
slope = (timed[str(L)] - timed["1"]) / (L - 1)


@torch.inference_mode()
def with_layers(on):
    masks = pl.layer_masks(model, [i for i, stays in enumerate(on) if not stays])
    with pl.masked(model, masks):
        logits = model(tiny["input_ids"], attention_mask=tiny["attention_mask"]).logits
    right = (logits.argmax(-1) == tiny["labels"]).sum().item()
    ms = timed["1"] + slope * (sum(on) - 1)
    return f"{sum(on)} layers, about {ms:.0f} ms, {right} of {len(logits)} right"


print("all:", with_layers([True] * L))
print("greedy:", with_layers([i not in found.order for i in range(L)]))
try:
    import ipywidgets as w
    size = w.Layout(width="40px")
    buttons = [w.ToggleButton(True, description=str(i), layout=size) for i in range(L)]
    said = w.HTML()

    def update(_=None):
        for i, button in enumerate(buttons):
            button.description = str(i) if button.value else "–"
        said.value = with_layers([b.value for b in buttons])

    for button in buttons:
        button.observe(update, "value")
    update()
    display(w.VBox([w.HBox([w.Label("layers"), *buttons]), said]))
except ImportError:
    print("ipywidgets is not installed: look at the lines above.")

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. The bill** (easy, five minutes). How many layer evaluations does the plain greedy search pay to drop `drop` of `layers` layers?
#
# <details><summary>Hint</summary>With m layers left there are m candidates, and each of them runs m − 1 layers.</details>

# %%
def evaluations(layers, drop):
    """→ a whole number"""
    # solution
    return sum(m * (m - 1) for m in range(layers, layers - drop, -1))
    # end


# %% tags=["nbval-check-output"]
pl.check("06.evaluations", evaluations)

# %% [markdown]
# **2. Block influence** (medium, five minutes). Give one layer's block influence, from its inputs and outputs and a mask that is 1 at real
# tokens.
#
# <details><summary>Hint</summary><code>F.cosine_similarity(…, dim=-1)</code> has one number for each token; padding must not
# count.</details>

# %%
def influence_of(before, after, mask):
    """before, after: (batch, T, d), mask: (batch, T) → one number"""
    # solution
    return (1 - F.cosine_similarity(before, after, dim=-1))[mask.bool()].mean()
    # end


# %% tags=["nbval-check-output"]
pl.check("06.block_influence", influence_of)

# %% [markdown]
# **3. Learn from the teacher** (medium, eight minutes). The distillation loss $T^2\,\mathrm{KL}(p_T\Vert q_T)$ from logits, the mean over sentences.
#
# <details><summary>Hint</summary><code>F.kl_div(log q, log p, log_target=True, reduction="batchmean")</code> is KL(p‖q): the student comes first.</details>

# %%
def distillation_loss(student, teacher, T):
    """logits (n, labels) of both → one number"""
    # solution
    q, p = (student / T).log_softmax(-1), (teacher / T).log_softmax(-1)
    return T ** 2 * F.kl_div(q, p, log_target=True, reduction="batchmean")
    # end


# %% tags=["nbval-check-output"]
pl.check("06.distillation_loss", distillation_loss)

# %% [markdown]
# ## Quiz
#
# **1. Each layer alone can go at little cost. Why not remove all that are cheap alone?**
# <details><summary>Answer</summary>Each was cheap with the others present to make up for it. Costs do not add up; they grow.</details>
#
# **2. Greedy lost one point on the sentences of its search and three on others. Is something broken?**
# <details><summary>Answer</summary>No. The best of many candidates is partly lucky on the data that chose it. Report on other data, and search on more.</details>
#
# **3. Why does a candidate without layer 7 not have to run layers 0 to 6?**
# <details><summary>Answer</summary>Their hidden states are those of the model before the removal. Only what comes after the gap changes.</details>
#
# **4. Why does the search cost more when you train between the steps?**
# <details><summary>Answer</summary>Training changes all layers, so stored hidden states are no longer true, and the next step begins from nothing; and each training
# must be paid.</details>
#
# ## What to remember
#
# - Layers are the plainest cut: time falls with their number, on any machine.
# - Which ones matters most. This classifier reads its first token, and the last layers fill it: without training after, keep them.
# - Share hidden states, and the search costs about half; compare it with a rule that costs one pass.
# - Report on data that the search has not seen.
#
# ## Sources
#
# - Peer, Stabinger, Engl, Rodríguez-Sánchez 2021, *Greedy-layer pruning: Speeding up transformer models for natural language processing* (section 3).
# - Sajjad, Dalvi, Durrani, Nakov 2023, *On the effect of dropping layers of pre-trained transformer models* (section 3).
# - Men et al. 2024, *ShortGPT: Layers in Large Language Models are More Redundant Than You Expect*: block influence (section 2).
# - Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network* (section 2).
# - Jiao et al. 2020, *TinyBERT*: hidden states (section 3).
