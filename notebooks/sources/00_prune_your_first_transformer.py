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
# # 00 · Prune your first Transformer
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/00_prune_your_first_transformer.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/00_prune_your_first_transformer.ipynb)
#
# **You will be able to** load a multilingual Transformer, look at its attention, remove parts of it for real, and
# say honestly what that did to its size, its speed and its answers.
#
# *Thirty minutes of yours, under a minute of computing. You need some Python and a little PyTorch.*
#
# A Transformer that answers a million requests a day costs money for each of them. **Pruning** removes parts of a
# trained network so that it answers with less work. Which parts may go? In this lesson we choose by rolling dice.
# It will be fast, and it will be wrong far too often, and you will know why the rest of the course exists.

# %% [markdown]
# ## Setup
#
# On your own machine the package is there already. On Colab this cell installs it; run it as often as you like.

# %% tags=["setup"]
import copy
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

import pruning_lessons as pl

plt.rcParams["text.parse_math"] = False                  # a $ in a text is a $, no formula
pl.check_environment();

# %% [markdown]
# ## A real model
#
# `load` opens the model that comes with the course: **XLM-RoBERTa**'s architecture with 12 layers. Each layer has two
# parts: *attention*, made of 12 **heads**, where the words of a sentence look at each other, and a *feed-forward* part,
# made of 1,536 **neurons**, which works on each word alone. The model reads a sentence to a voice assistant and names what
# the speaker wants: the **intent**.
#
# <details><summary>The whole course on the full XLM-RoBERTa, or on another checkpoint</summary>Set the environment variable
# <code>PRUNING_LESSONS_CHECKPOINT=FacebookAI/xlm-roberta-base</code> before you start Jupyter, or change
# <code>CHECKPOINT</code> below in each lesson (1.1 GB from the hub; a folder will do, too). That model has never been trained
# on intents, so <code>prepare</code> first fine-tunes it, once, and keeps the result for all lessons. It shows how long that
# takes: by the time of its steps about an hour on two cores of a CPU; on a GPU as Colab has it minutes, we estimate, and have not
# measured it. After an interruption it goes on where it was. What the
# lessons say about numbers is about the embedded model; lines that start with ✓ or ✗ tell what is true of yours.</details>

# %% tags=["nbval-check-output"]
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))

sentences = ["Could you switch on the lamp?", "Wie lange läuft der Timer noch?",
             "¿Qué tiempo hace en Sevilla?"]
for sentence in sentences:
    encoded = tokenizer(sentence, return_tensors="pt")
    with torch.no_grad():
        logits = model(**encoded).logits                          # (1, intents)
    print(f"{sentence:35} → {model.config.id2label[logits.argmax().item()]}")

# %% [markdown]
# The tokenizer has cut the sentence into **tokens**: words, or pieces of words (▁ marks the start of a word). `<s>` and
# `</s>` mark its beginning and end.
#
# The same network can also guess a masked token, with another last step on top. That part of it learned from sentences
# said at home, so expect a homely answer, in any language.

# %%
filler, _ = pl.load(CHECKPOINT, task="fill-mask")
SENTENCE = "Hello, i am looking <mask> Jammie"
for sentence in ["turn on the <mask> in the kitchen", SENTENCE]:
    batch = tokenizer(sentence, return_tensors="pt")
    place = batch["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    with torch.no_grad():
        best = filler(**batch).logits[0, place].topk(5).indices
    print(sentence, "→", ", ".join(tokenizer.convert_ids_to_tokens(best.tolist())))
del filler

# %% [markdown]
# ## Look inside: attention
#
# In every layer each head lets every token look at all tokens, itself included, and take something from them. How
# much it takes from each is its **attention**: one number for every pair of tokens, the numbers of a row adding up
# to one.
#
# Below is **BertViz**'s *head view*. Left: the token that looks; right: what it looks at. Choose a layer in the
# menu; double-click a coloured square to see one head alone. The picture beneath shows the same as heat maps.

# %%
pl.show_heads(model, tokenizer, SENTENCE, layer=2)

# %% [markdown]
# All 144 heads at once: the *model view*. Click one to enlarge it. Many look alike: a column of dark cells is a head
# that looks at one token whatever is said. That is a first hint that some heads may not be needed.

# %%
pl.show_model(model, tokenizer, SENTENCE)

# %% [markdown]
# ## Measure before you cut
#
# Three questions about any model: how large is it, how much work is a sentence, how often is it right? Work is counted
# in **MACs**, multiply-accumulates: one multiplication and one addition.
#
# An accuracy from $n$ sentences is itself uncertain, by about $\sqrt{p(1-p)/n}$: with 600 sentences and 95% right that is a
# point, with 200 sentences a point and a half. Smaller differences, in this course and elsewhere, may be luck.

# %% tags=["nbval-check-output"]
before = pl.summary(model)
before

# %% tags=["nbval-check-output"]
test = pl.load_intents("test", limit=600, seed=0)
accuracy_before = pl.evaluate(model, tokenizer, test)
accuracy_before

# %% [markdown]
# ## Cut at random
#
# A **mask** says for every part whether it stays (`True`) or goes (`False`): here one for each of the 12 × 12 heads,
# one for each of the 12 × 1,536 neurons. We keep half of each, and let dice say which.

# %%
masks = pl.random_masks(model, keep=0.5, seed=0)
print(masks)

figure, ax = plt.subplots(figsize=(5, 4))
ax.imshow(masks.heads, cmap="Greys", vmin=0, vmax=2)
for layer in range(masks.heads.shape[0]):
    for head in range(masks.heads.shape[1]):
        sign = "●" if masks.heads[layer, head] else "×"
        ax.text(head, layer, sign, ha="center", va="center", fontsize=9)
stay, total = int(masks.heads.sum()), masks.heads.numel()
ax.set(xlabel="head", ylabel="layer",
       title=f"{stay} of {total} heads stay (●), the others go (×)")
plt.show()

# %% [markdown]
# *The picture in words: a grid of layers (rows) and heads (columns); a dot is a head that stays, a cross one that
# goes. Layers keep different numbers of heads.*
#
# There are two ways to apply masks. `masked` multiplies what should go by zero; the model still computes it all.
# `prune` cuts the weights out and gives you a smaller model. Both must give the same answers, and they do:

# %%
small = pl.prune(model, masks)

batch = tokenizer(SENTENCE, return_tensors="pt")
with torch.no_grad():
    with pl.masked(model, masks):
        from_masks = model(**batch).logits
    from_surgery = small(**batch).logits
difference = (from_masks - from_surgery).abs().max().item()
print(f"largest difference of the answers: {difference:.0e}")
assert difference < 1e-4

# %% [markdown]
# Every layer's matrices, before and after. Query, key and value lose rows, the attention's output loses columns; of
# the feed-forward part the first matrix loses rows and the second columns. (Lesson 01 builds query, key and value.)

# %% tags=["nbval-check-output"]
before.layers()

# %% tags=["nbval-check-output"]
after = pl.summary(small)
after.layers()

# %% tags=["nbval-check-output"]
after

# %% tags=["nbval-check-output"]
print(f"encoder and head: {before.macs / after.macs:.2f} times fewer MACs")
print(f"parameters: {before.parameters / 1e6:.1f} M → {after.parameters / 1e6:.1f} M")

# %% [markdown]
# The removed heads are empty maps now, and the others keep their numbers.

# %%
pl.show_heads(small, tokenizer, SENTENCE, layer=2)

# %% [markdown]
# ## Is it faster?
#
# We time the same number of tokens as in our sentence, with the models taking turns. A copy under masks is in the
# race, too. Milliseconds depend on your machine; look at the ratios.

# %%
length = batch["input_ids"].shape[1]
twin = copy.deepcopy(model)
with pl.masked(twin, masks):
    models = {"original": model, "only masked": twin, "pruned": small}
    times = pl.latency(models, length=length)
times

# %% [markdown]
# Multiplying by zero costs as much as multiplying by anything else: masks alone save no time.
#
# ## Is it still right?

# %% tags=["nbval-check-output"]
accuracy_after = pl.evaluate(small, tokenizer, test)
accuracy_after

# %%
languages = sorted(accuracy_before.by_language)
figure, ax = plt.subplots(figsize=(8, 3.5))
at = torch.arange(len(languages))
ax.bar(at - 0.2, [100 * accuracy_before.by_language[x] for x in languages], 0.4,
       label="original", color="#1f5a99")
ax.bar(at + 0.2, [100 * accuracy_after.by_language[x] for x in languages], 0.4,
       label="half removed at random", color="#f2b134", hatch="//", edgecolor="black")
ax.set(xticks=at, xticklabels=languages, xlabel="language",
       ylabel="accuracy, %", ylim=(0, 105),
       title=f"Random pruning: {accuracy_before.accuracy:.0%} right before, "
             f"{accuracy_after.accuracy:.0%} after")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=2)
plt.show()

# %% [markdown]
# *The picture in words: for every language a pair of bars; the pruned model's is the shorter one in each.*

# %% tags=["nbval-check-output"]
lost = accuracy_before.accuracy - accuracy_after.accuracy
pl.claim("random pruning to a half loses more than twenty points", lost > 0.2)

# %% [markdown]
# Faster, and spoiled: nobody keeps a voice assistant that misunderstands so often. The surgery was exact; the choice
# was bad.

# %% [markdown]
# ## The same at full size
#
# XLM-RoBERTa *base* is twice as wide: 12 × 12 heads of size 64 and 12 × 3,072 neurons. To see what the cut saves
# there we need no trained weights: `untrained` builds a network of that size. (Only its word list is kept short
# here: looking words up takes memory, not time.)

# %%
del small
big, _ = pl.untrained("base", pieces=20_000)
big_masks = pl.random_masks(big, keep=0.5, seed=0)
big_small = pl.prune(big, big_masks)
print(f"{pl.summary(big).macs / pl.summary(big_small).macs:.2f} times fewer MACs")
models = {"base": big, "base, half removed": big_small}
pl.latency(models, length=24, repeats=15, warm_up=5)

# %%
del big, big_small, models

# %% [markdown]
# The larger the matrices, the closer the time follows the work, for fixed costs weigh less.
#
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. What stays** (easy, three minutes). Write a function that takes a mask and gives the share of its places that
# are kept: 1.0 if all stay, 0.0 if none does.
#
# <details><summary>Hint</summary>A bool tensor becomes one of zeros and ones with <code>.float()</code>.</details>

# %%
def kept_share(mask):
    """mask: a bool tensor of any shape, True keeps → a number from 0 to 1."""
    # solution
    return mask.float().mean().item()
    # end


# %% tags=["nbval-check-output"]
pl.check("00.kept_share", kept_share)

# %% [markdown]
# **2. Count the work** (medium, ten minutes). How many MACs does one layer need for a sentence of `T` tokens, if it has so many
# `heads` of the given `size` and so many `neurons`, at hidden size `d`? Look at the table of shapes: for each token every
# number of a matrix takes part in one multiplication. Do not forget that tokens look at each other.
#
# <details><summary>Hint</summary>A head: query, key, value and output are d × size each. Then, for each pair of tokens, one product
# of query and key, and one of attention and value, of <code>size</code> numbers each.</details>

# %%
def layer_macs(heads, neurons, T, d, size):
    """The multiply-accumulates of one layer, as a whole number."""
    # solution
    one_head = 4 * T * d * size + 2 * T * T * size
    one_neuron = 2 * T * d
    return heads * one_head + neurons * one_neuron
    # end


# %% tags=["nbval-check-output"]
pl.check("00.layer_macs", layer_macs)

# %% [markdown]
# ## Quiz
#
# **1. You multiply half of the neurons by zero. What happens to the time?**
# <details><summary>Answer</summary>Nothing. The same matrices are multiplied. Time falls when matrices get smaller,
# which is what <code>prune</code> does.</details>
#
# **2. The masked and the pruned model gave the same answers. Does that mean the pruning was good?**
# <details><summary>Answer</summary>No. It means that the surgery was exact. Whether the right parts were removed shows only in the
# accuracy.</details>
#
# **3. Half of the heads and neurons are gone. Why are far more than half of the parameters still there?**
# <details><summary>Answer</summary>The word embeddings were not touched, and they hold a large share (see the summary). Lesson 02 is about them.</details>
#
# ## What to remember
#
# - Masks say what should go; `prune` makes it go; both give the same answers, only one saves time.
# - Measure three things, always: size, time, accuracy. Per language, if there are several.
# - Random choice ruins a model. The rest of the course chooses: by size of weights (03), by what neurons do (04), by
#   what heads contribute (05), by whole layers (06); it repairs what was cut, and ships the result (07).
#
# ## Sources
#
# - Conneau et al. 2020, *Unsupervised Cross-lingual Representation Learning at Scale*: XLM-RoBERTa (section 3).
# - Vig 2019, *A Multiscale Visualization of Attention in the Transformer Model*: BertViz, head and model view.
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: masks on heads (section 2).
# - Yang et al. 2022, *TextPruner*: pruning heads, neurons and vocabulary of XLM-R.
