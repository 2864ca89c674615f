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
    clone = next((p for p in Path.cwd().resolve().parents if (p / "pyproject.toml").exists()), None)
    source = clone.as_uri() if clone else f"git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet",
                    f"pruning-lessons[views,train] @ {source}"], check=True)
    importlib.invalidate_caches()

import copy
import json
from importlib.resources import files
from math import comb

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import pruning_lessons as pl
from pruning_lessons.tables import table

pl.check_environment();

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(CHECKPOINT)
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
K = L // 3
alone = [accuracy(without([i])) for i in range(L)]
rules = {"top": "the last", "bottom": "the first", "alternate": "every other"}
dropped = {rule: pl.layers_to_drop(model, K, rule) for rule in rules}
by_rule = {rule: accuracy(without(layers)) for rule, layers in dropped.items()}

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3), sharey=True, layout="constrained",
                                     width_ratios=(2, 1))
left.bar(range(L), [100 * a for a in alone], color="C0", edgecolor="black")
left.set(xlabel="the one layer that is removed", ylabel="accuracy, %", xticks=range(L), title="One layer goes")
right.bar([f"{words}\n{K}" for words in rules.values()], [100 * a for a in by_rule.values()],
          color="C1", hatch="//", edgecolor="black")
right.set(title=f"{K} layers go", ylim=(0, 105))
for ax in (left, right):
    ax.axhline(100 * start, color="black", linestyle="--")
plt.show()
print(", ".join(f"{words} {K}: {by_rule[rule]:.0%}" for rule, words in rules.items()))
assert min(alone) > max(0.5, min(by_rule.values()))

# %% [markdown]
# *The picture in words: left, a bar for each layer, the accuracy without it; all are near the dashed line of the whole model. Right, three bars for a
# third of the layers removed by rule; they differ greatly.*
#
# Any one layer can go: the stream of hidden states passes around each layer (the **residual connection**), and the next ones
# make up for it. Several at once are another matter, and the choice decides.
#
# And what do we get for it?

# %%
models = {"whole": model} | {f"{n} layers": without(range(n, L)) for n in (3 * L // 4, L // 2)}
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
# A layer that hardly turns them is hardly needed. One forward pass gives it for all layers:

# %%
@torch.inference_mode()
def block_influence(batches):
    turned, tokens = torch.zeros(L), 0
    for batch in batches:
        real = batch["attention_mask"].bool()
        states = model.base_model(batch["input_ids"], attention_mask=batch["attention_mask"],
                                  output_hidden_states=True).hidden_states      # L + 1 of (batch, T, d)
        for i in range(L):
            turned[i] += (1 - F.cosine_similarity(states[i], states[i + 1], dim=-1))[real].sum()
        tokens += real.sum()
    return turned / tokens


influence = block_influence(batches)
mine = influence.argsort(stable=True).tolist()[:K]
assert mine == pl.layers_to_drop(model, K, "block_influence", batches)
print("by hand and by the library, to go first:", mine)
by_rule["block_influence"] = accuracy(without(mine))
print(f"without them: {by_rule['block_influence']:.1%}")

# %% [markdown]
# ## Search greedily
#
# Why not try it out? Remove each layer in turn, keep the best of these models, and start again from there. This is **greedy layer
# pruning** (Peer et al. 2021). In ten lines:

# %%
def score(layers):
    """Accuracy on the search set; ties go to the smaller loss."""
    with pl.masked(model, pl.layer_masks(model, layers)), torch.inference_mode():
        outs = [(model(b["input_ids"], attention_mask=b["attention_mask"]).logits, b["labels"])
                for b in search.batches(tokenizer, 64)]
    logits, labels = (torch.cat(part) for part in zip(*outs))
    right = (logits.argmax(-1) == labels).float().mean().item()
    return right, -F.cross_entropy(logits, labels).item()


def greedy(n):
    gone = []
    for _ in range(n):
        left = [i for i in range(L) if i not in gone]
        gone.append(max(left, key=lambda i: score([*gone, i])))
    return gone


found = pl.greedy_layer_pruning(model, tokenizer, search, drop=K, progress=False)
assert greedy(2) == found.order[:2]
print("by hand and by the library, first two:", found.order[:2])
found

# %%
print(f"on the {len(search)} sentences of the search {found.scores[-1].accuracy:.1%}, "
      f"on test sentences {accuracy(found.model):.1%}")

# %% [markdown]
# The two numbers need not agree: the search picked what was good on *its* sentences, luck included. The fewer they are, the more it
# fits their luck. So report on others.
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
print(f"with shared hidden states: {found.evaluations:.0f}, {found.evaluations / plain:.0%}; same order of layers")

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
print(f"best of all {comb(L, 2)} pairs: {exact.order}; greedy: {greedy_two.order}, place {place}")
print(f"layer evaluations: {exact.evaluations:.0f} exact, {greedy_two.evaluations:.0f} greedy")

# %% [markdown]
# For three and four layers, on more sentences, this takes minutes. It was computed beforehand by the command that the cell prints:

# %%
sweep = json.loads((files("pruning_lessons") / "assets/sweeps/layers.json").read_text())
print(sweep["command"], "|", sweep["date"], "| torch", sweep["torch"], "|",
      f"{sweep['seconds'] / 60:.0f} minutes |", sweep["sentences"])
rows = [("removed", "search", "layers", "validation", "test", "layer evaluations", "seconds")]
by_drop = {p["drop"]: p for p in sweep["greedy"]["points"]}
for e in sweep["exact"]:
    g = by_drop[e["drop"]]
    rows += [(e["drop"], "exact", str(e["layers"]), f"{e['validation']:.1%}", f"{e['test']:.1%}",
              f"{e['evaluations']:,.0f}", f"{e['seconds']:.0f}"),
             ("", f"greedy (place {e['greedy_rank']} of {e['choices']})", str(sorted(g["layers"])),
              f"{g['validation']:.1%}", f"{g['test']:.1%}", "", "")]
table(rows)

# %% [markdown]
# Greedy is not the optimum, and stands near the top of all choices for a small part of the price. Compare *validation* and *test* as well.
#
# ## The whole front

# %%
STYLES = {"greedy": "o-", "block_influence": "s--", "alternate": "^-.", "random": "x:", "bottom": "v:", "top": "D:"}
curves = {"greedy": sweep["greedy"]["points"], **sweep["rules"]}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
for ax, kind, title in zip(axes, ("test", "zero_shot"), ("trained languages", "zero-shot languages")):
    for i, (name, style) in enumerate(STYLES.items()):
        points = {0: sweep["whole"][kind]} | {p["drop"]: p[kind] for p in curves[name]}
        ax.plot(points.keys(), [100 * a for a in points.values()], style, color=f"C{i}",
                label=name.replace("_", " "))
    ax.set(xlabel="layers removed", title=title, ylim=(0, 102))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("accuracy, %")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=6)
plt.show()
last = {name: c[-1]["test"] for name, c in curves.items()}
best = max(last, key=last.get)
print(f"with {curves['greedy'][-1]['drop']} layers removed the best on test sentences is {best}, {last[best]:.1%}; "
      f"greedy has {last['greedy']:.1%}")

# %% [markdown]
# *The picture in words: two panels, trained and zero-shot languages; accuracy against the number of removed layers, one line for each way to
# choose. Greedy and block influence stay high longest; top falls at once.*
#
# A search is not always better than a rule that looks at the model once. Whoever measures both knows.

# %% [markdown]
# ## Recover between the steps
#
# **Distillation** trains the cut model (the student) to answer like the whole one (the teacher). A teacher's answer says more than a label: not
# only *turn on the light*, but also how near *set the brightness* was. A **temperature** $T$ brings these small probabilities out:
#
# $$\mathcal L = T^2\; \mathrm{KL}\big(p_T \,\Vert\, q_T\big) \qquad p_T = \mathrm{softmax}(z_{\text{teacher}}/T),\quad q_T = \mathrm{softmax}(z_{\text{student}}/T)$$
#
# `pl.distill` adds the labels' cross-entropy, and the distance of hidden states: a student's layer is held against the last teacher's layer
# that it stands for. Two steps, one removal each, with a short training after each:

# %%
lessons = pl.load_intents("train", limit=320, seed=1)
student, removed = model, []
rows = [("removed", "cut", "distilled")]
for layer in found.order[:2]:
    now = sorted(set(range(L)) - set(removed)).index(layer)           # its place among those left
    student = pl.prune(student, pl.layer_masks(student, [now]))
    removed.append(layer)
    cut = accuracy(student)
    pl.distill(student, model, tokenizer, lessons, learning_rate=1e-4, progress=False)
    rows.append((str(removed), f"{cut:.1%}", f"{accuracy(student):.1%}"))
table(rows)

# %% [markdown]
# Little was lost, so little comes back. It shows with more layers, and more sentences; from the same sweep:

# %%
r = sweep["recovery"]
between = {p["drop"]: p for p in r["between"]}
rows = [("removed", "no training", "distilled between", "distilled at the end", "fine-tuned at the end", "steps")]
for once, tuned in zip(r["distill_once"], r["fine_tune_once"]):
    n = once["drop"]
    rows.append((n, f"{by_drop[n]['test']:.1%}", f"{between[n]['test']:.1%}", f"{once['test']:.1%}",
                 f"{tuned['test']:.1%}", once["steps"]))
table(rows)

# %%
rows = [("way, six layers removed", "layer evaluations", "training steps", "test", "zero-shot")]
n = max(between)
rows += [("greedy alone", f"{sweep['greedy']['evaluations']:.0f}", 0, f"{by_drop[n]['test']:.1%}",
          f"{by_drop[n]['zero_shot']:.1%}"),
         ("greedy, distilled at the end", f"{sweep['greedy']['evaluations']:.0f}", r["distill_once"][-1]["steps"],
          f"{r['distill_once'][-1]['test']:.1%}", f"{r['distill_once'][-1]['zero_shot']:.1%}"),
         ("greedy, distilled between", f"{r['evaluations_between']:.0f}", between[n]["steps"],
          f"{between[n]['test']:.1%}", f"{between[n]['zero_shot']:.1%}")]
table(rows)

# %% [markdown]
# Training in between has a price that the table does not show: the hidden states of the step before are stale, so the search shares less and
# pays more layer evaluations. Is it worth it here? Read the two tables, not the papers' titles.

# %% [markdown]
# ## Try it: switch layers off
#
# Buttons for layers; milliseconds and accuracy on a few sentences follow. The picture at the top of the lesson shows the same for single
# layers, for readers without a running kernel.

# %%
tiny = next(test.subset(range(40)).batches(tokenizer, 40))
depths = {n: without(range(n, L)) for n in (1, L // 2, L)}
timed = pl.latency({str(n): m for n, m in depths.items()}, repeats=12).median
slope = (timed[str(L)] - timed["1"]) / (L - 1)


@torch.inference_mode()
def with_layers(on):
    masks = pl.layer_masks(model, [i for i, stays in enumerate(on) if not stays])
    with pl.masked(model, masks):
        logits = model(tiny["input_ids"], attention_mask=tiny["attention_mask"]).logits
    right = (logits.argmax(-1) == tiny["labels"]).float().mean().item()
    return f"{sum(on)} layers, about {timed['1'] + slope * (sum(on) - 1):.0f} ms, {right:.0%} right of {len(logits)}"


print("all:", with_layers([True] * L))
print("greedy:", with_layers([i not in found.order for i in range(L)]))
try:
    import ipywidgets as w
    buttons = [w.ToggleButton(True, description=str(i), layout=w.Layout(width="40px")) for i in range(L)]
    said = w.HTML()

    def update(_=None):
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
# **2. Block influence** (medium, five minutes). For one layer, from its inputs and outputs and a mask that is 1 at real tokens.
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
# **2. Greedy has 95 % on the sentences of its search and 92 % on others. Is something broken?**
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
# - Which ones matters most. Top layers of a fine-tuned classifier are the last you want to lose.
# - Share hidden states, and the search costs about half; compare it with a rule that costs one pass.
# - Report on data that the search has not seen.
#
# ## Sources
#
# - Peer, Stabinger, Engl, Rodríguez-Sánchez 2021, *Greedy-layer pruning: Speeding up transformer models for natural language processing* (section 3).
# - Sajjad, Dalvi, Durrani, Nakov 2023, *On the effect of dropping layers of pre-trained transformer models* (section 3).
# - Men et al. 2024, *ShortGPT: Layers in Large Language Models are More Redundant Than You Expect*: block influence (section 2).
# - Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network* (section 2).
# - Jiao et al. 2020, *TinyBERT*: hidden states (section 3). Fan, Grave, Joulin 2020, *Reducing Transformer Depth on Demand* (LayerDrop).
