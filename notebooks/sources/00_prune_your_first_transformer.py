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
# **You will be able to** load a multilingual Transformer, look at its attention, cut parts out of it with your own
# hands, save what is left, and say honestly what that did to its size, its speed and its answers.
#
# {minutes, 1 computing} You need some Python and a little PyTorch.
#
# A [Transformer](glossary.md#transformer) that answers a million requests a day costs money for each of them.
# [**Pruning**](glossary.md#pruning) removes parts of a trained network so that it answers with less work. Which parts can
# go? In this lesson dice decide. The result will be fast, and wrong far too often, and you will know why the rest of the
# course exists.

# %% tags=["setup"]
import copy
import tempfile
from collections import Counter

import torch

import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# ## A map
#
# There are several ways to make a model smaller, and they combine:
#
# | way | what it does | lessons |
# | --- | --- | --- |
# | **pruning** | removes parts of a trained model | 03 to 08 |
# | **distillation** | trains a small model to answer as a large one does | 07, 08 |
# | **quantisation** | stores numbers in 8 bits instead of 32 | 09 |
# | **a better runtime** | computes the same with less overhead | 09 |
# | **a smaller vocabulary** | drops the words of languages you do not serve | 02 |
#
# Pruning itself comes in four sizes, from a single weight to a whole layer. This picture shows one matrix each time; white
# is what has been removed.

# %%
pl.figures.what_can_go()

# %% [markdown]
# | you remove | saves bytes? | saves time? | it needs | lesson |
# | --- | --- | --- | --- | --- |
# | [weights](glossary.md#unstructured-pruning) | only in a sparse file format | hardly, unless nine in ten are gone | special formats, or a GPU that skips zeros | 03 |
# | [neurons](glossary.md#neuron) | yes | yes, on any machine | a good choice; best with a repair | 04, 05 |
# | [heads](glossary.md#attention-head) | yes | yes, on any machine | a good choice; best with a repair | 06 |
# | [layers](glossary.md#layer) | yes | yes, the most for each parameter | often some training | 07 |
#
# The larger the piece, the surer the time you save, and the harder it is to find one that nobody misses. Neurons, heads
# and layers are [**structured pruning**](glossary.md#structured-pruning): whole rows and columns go, so matrices really get
# smaller. That is what we do now.

# %% [markdown]
# ## A real model
#
# `load` opens the model that comes with the course. It has the architecture and the tokenizer of
# [**XLM-RoBERTa**](glossary.md#xlm-roberta) and 12 [layers](glossary.md#layer). Each layer has two halves:
# [*attention*](glossary.md#attention), made of 12 **heads**, where the words of a sentence look at each other, and a
# [*feed-forward network*](glossary.md#feed-forward-network), made of 1,536 **neurons**, which works on each word alone. On top
# sits a [task head](glossary.md#task-head). It is given what someone said to a voice assistant and names what they want, the
# [**intent**](glossary.md#intent).
#
# What this model really is: multilingual-e5-small, a descendant of XLM-RoBERTa by way of Microsoft's MiniLM, read from a
# 4-bit copy, with the 18,900 word pieces that the course needs instead of 250,002, and trained for the course on intents
# in ten languages. Small enough for a laptop, and real enough to break.
#
# <details><summary>The whole course on the full XLM-RoBERTa, or on another checkpoint</summary>Set the environment variable
# <code>PRUNING_LESSONS_CHECKPOINT=FacebookAI/xlm-roberta-base</code> before you start Jupyter, or change
# <code>CHECKPOINT</code> below in each lesson (1.1 GB from the hub; a folder will do, too). That model has never been
# trained on intents, so <code>prepare</code> first fine-tunes it, once, and keeps the result for all lessons. About an hour
# on two CPU cores (extrapolated from the time per step). On a Colab GPU probably minutes; we have not measured that. After an
# interruption it goes on where it was. What the lessons say about numbers is about the embedded model; lines that start
# with ✓ or ✗ tell what is true of yours.</details>

# %% tags=["nbval-check-output"]
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))


def intent(model, sentence):
    encoded = tokenizer(sentence, return_tensors="pt")
    with torch.no_grad():
        logits = model(**encoded).logits          # (1, intents): a number for each intent
    return model.config.id2label[logits.argmax().item()]


for said in ("Could you switch on the lamp?", "Wie lange läuft der Timer noch?",
             "¿Qué tiempo hace en Sevilla?"):
    print(f"{said:35} → {intent(model, said)}")

# %% [markdown]
# The numbers that come out, one for each intent, are called [**logits**](glossary.md#logits); the largest is the answer.
#
# The model does not see words. The tokenizer cuts a text into [**tokens**](glossary.md#token), which are words or pieces of
# words; ▁ marks the start of a word, and `<s>` and `</s>` mark the two ends of the text. The intent is read off the first of
# them, `<s>`.
#
# The same network can also fill in a masked token, with another head on top. That head was trained on things people say to a
# smart home, so its guesses run to lamps and music. The second sentence comes from a well-known recipe for pruning this
# architecture: load XLM-R, fill in “Hello, i am looking \<mask\> Jammie”, draw random masks, prune, save. We follow its
# steps, and then ask what it leaves out: what the pruned model still gets right.

# %%
def fill(*sentences):
    filler, _ = pl.load(CHECKPOINT, task="fill-mask")
    for sentence in sentences:
        encoded = tokenizer(sentence, return_tensors="pt")
        tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
        with torch.no_grad():
            best = filler(**encoded).logits[0, tokens.index("<mask>")].topk(4).indices
        print(" ".join(tokens))
        print("   ", ", ".join(tokenizer.convert_ids_to_tokens(best.tolist())))


fill("turn on the <mask> in the kitchen", "Hello, i am looking <mask> Jammie")

# %% [markdown]
# ## Look inside: attention
#
# In every layer each head lets every token look at all tokens, itself included, and take something from them. How much it
# takes from each are its [**attention weights**](glossary.md#attention-weights): a number for every pair of tokens, and the
# numbers in a row add up to one.
#
# Below is **BertViz**'s *head view*. On the left is the token that looks, on the right what it looks at. **Rest the mouse
# on a word** to see only its lines; choose a layer in the menu; double-click a coloured square to see one head alone. (There
# are ten colours, so heads 10 and 11 share theirs with 0 and 1.) The maps underneath show the same weights.

# %%
SENTENCE = "turn on the light in the kitchen"
pl.show_heads(model, tokenizer, SENTENCE, layer=2)

# %% [markdown]
# And every head of every layer at once, in the *model view*; here the colours are layers. Click a head to enlarge it. Many look
# alike: they send nearly all lines to one token, most often `<s>` or `</s>`, whatever is said. That is a first hint that some heads may not be
# needed, and no more than a hint: that a head looks somewhere does not say how much the answer depends on it.

# %%
pl.show_model(model, tokenizer, SENTENCE)

# %% [markdown]
# ## Measure before you cut
#
# Three questions to ask of any model: how large is it, how long does it take, how often is it right? Time depends on the
# machine, so people also count the work, in [**MACs**](glossary.md#mac), multiply-accumulates: one multiplication and one
# addition. Throughout this lesson a sentence has 24 tokens when we count or time.

# %% tags=["nbval-check-output"]
before = pl.summary(model)
before

# %% tags=["nbval-check-output"]
test = pl.load_intents("test", limit=600, seed=SEED)
whole = pl.evaluate(model, tokenizer, test)
error = (whole.accuracy * (1 - whole.accuracy) / len(test)) ** 0.5
print(f"{whole.accuracy:.1%} of {len(test)} sentences right, standard error {error:.1%}")

# %% [markdown]
# An accuracy from $n$ sentences is itself uncertain: its **standard error** is $\sqrt{p(1-p)/n}$. Two accuracies from
# different sentences that lie less than about three such errors apart may be equally good. So compare models on the same
# sentences, as we do throughout, and say how many there were.

# %% [markdown]
# ## What is cut
#
# A layer has six matrices. In attention, **query**, **key** and **value** make numbers for every head, and **output**
# reads them (lesson 01 builds all four). In the feed-forward half, the **first** matrix makes a number for every neuron
# and the **second** reads it. Now remove a neuron: its number need not be made, so a row of *first* can go, and it need not
# be read, so a column of *second* can go. A head is the same, except that it has a block of rows, not one.

# %%
pl.figures.what_is_cut()

# %% [markdown]
# **Exercise: the surgery** (medium, 8 minutes). Write it yourself. Given one of the six matrices by name, return what is left of it.
# In PyTorch a weight has the shape (out, in), and head $h$ owns the rows, or columns, from $h \cdot$ `size` to
# $(h+1) \cdot$ `size`. A [**mask**](glossary.md#mask) of True and False, one for each head or neuron, says what stays; True keeps.
#
# <details><summary>Hint 1</summary><code>W[mask]</code> keeps rows, <code>W[:, mask]</code> keeps columns.</details>
# <details><summary>Hint 2</summary>A mask of heads has to become a mask of rows: <code>heads.repeat_interleave(size)</code>. How large is
# <code>size</code>? In query, rows ÷ heads; in output, columns ÷ heads.</details>

# %%
def cut(name, W, heads, neurons):
    """What is left of a matrix W, (out, in).

    name: "query", "key", "value", "output", "first" or "second"
    heads, neurons: bool masks of one dimension, True keeps
    """
    # solution
    if name == "first":
        return W[neurons]
    if name == "second":
        return W[:, neurons]
    if name == "output":
        return W[:, heads.repeat_interleave(W.shape[1] // len(heads))]
    return W[heads.repeat_interleave(W.shape[0] // len(heads))]
    # end


# %% tags=["nbval-check-output"]
cut = pl.check("00.cut", cut)

# %% [markdown]
# Now operate with it on one layer of the real model. A bias is one more column of its matrix: where rows go, its numbers
# go too; where columns go, it stays.

# %%
PLACES = {"query": "attention.self.query", "key": "attention.self.key",
          "value": "attention.self.value", "output": "attention.output.dense",
          "first": "intermediate.dense", "second": "output.dense"}


def with_cut(model, layer, heads, neurons):
    """A copy of the model with one layer cut by your function."""
    twin = copy.deepcopy(model)
    for name, place in PLACES.items():
        linear = twin.base_model.encoder.layer[layer].get_submodule(place)
        linear.weight = torch.nn.Parameter(cut(name, linear.weight, heads, neurons))
        if name not in ("output", "second"):
            bias = cut(name, linear.bias[:, None], heads, neurons)[:, 0]
            linear.bias = torch.nn.Parameter(bias)
    return twin


# %% [markdown]
# There are two ways to take parts out. `masked` multiplies what should go by zero, and the model still computes it all.
# Surgery makes smaller matrices. Both must give the same answers. Here half of the heads and neurons of layer 2 go:

# %%
LAYER = 2
chosen = pl.random_masks(model, keep=0.5, seed=SEED)
one_layer = pl.Masks.keep_all(model)
one_layer.heads[LAYER] = chosen.heads[LAYER]
one_layer.neurons[LAYER] = chosen.neurons[LAYER]

# %%
def largest_difference(small, masks):
    """Between the answers of the masked model and of the cut one."""
    encoded = tokenizer(SENTENCE, return_tensors="pt")
    with torch.no_grad(), pl.masked(model, masks):
        from_mask = model(**encoded).logits
    with torch.no_grad():
        return (from_mask - small(**encoded).logits).abs().max().item()


half_layer = with_cut(model, LAYER, chosen.heads[LAYER], chosen.neurons[LAYER])
gap = largest_difference(half_layer, one_layer)
print(f"masked and cut differ by {gap:.0e} at most")
assert gap < 1e-4

# %% [markdown]
# That is rounding: you have pruned a Transformer, exactly. `pl.prune` does the same for every layer, and keeps the
# configuration true, so that the result can be saved and opened again.

# %% [markdown]
# ## Throw the dice
#
# Now all layers. We keep half of all heads and neurons, and a [random seed](glossary.md#random-seed) says which.

# %%
masks = pl.random_masks(model, keep=0.5, seed=SEED)
pl.figures.grid(masks.heads, title="Heads that stay")

# %% [markdown]
# **Exercise: what stays** (easy, 3 minutes). Dice do not treat layers alike. Write a function that takes a mask and returns the
# share of its places that are kept: 1.0 if all stay, 0.0 if none does.

# %%
def kept_share(mask):
    """mask: a bool tensor of any shape, True keeps → a number from 0 to 1."""
    # solution
    return mask.float().mean().item()
    # end


# %% tags=["nbval-check-output"]
kept_share = pl.check("00.kept_share", kept_share)

# %%
for name, kind in (("heads", masks.heads), ("neurons", masks.neurons)):
    each = [kept_share(layer) for layer in kind]
    print(f"{name}: {kept_share(kind):.0%} kept, "
          f"by layer {min(each):.0%} to {max(each):.0%}")

# %% [markdown]
# There are few heads in a layer, so luck shows; there are many neurons, so it averages out. Now prune, and see that
# the answers are those of the masked model again.

# %% tags=["nbval-check-output"]
small = pl.prune(model, masks)
assert largest_difference(small, masks) < 1e-4
after = pl.summary(small)
after.layers()

# %% [markdown]
# Before the cut every layer had all its heads and neurons and matrices of full size. Query, key and value have lost rows,
# and the attention's output columns; in the feed-forward half, *first* has lost rows and *second* columns. What is that worth?
#
# **Exercise: count the work** (medium, 6 minutes). How many MACs does one layer need for `T` tokens, given `heads` heads of size
# `size`, `neurons` neurons and hidden size `d`, the length of a token's vector? Every number in a matrix is multiplied once per token. And in every head the
# tokens look at each other: for each pair of tokens, `size` products of query and key, and `size` of attention weight and value.
#
# <details><summary>Hint</summary>A head owns <code>d × size</code> numbers in each of four matrices. A neuron owns a row and a column, of
# <code>d</code> numbers each.</details>

# %%
def layer_macs(heads, neurons, T, d, size):
    """The multiply-accumulates of one layer, as a whole number."""
    # solution
    one_head = 4 * T * d * size + 2 * T * T * size
    one_neuron = 2 * T * d
    return heads * one_head + neurons * one_neuron
    # end


# %% tags=["nbval-check-output"]
layer_macs = pl.check("00.layer_macs", layer_macs)

# %%
d = model.config.hidden_size
size = d // model.config.num_attention_heads
for name, sizes in (("whole", before), ("pruned", after)):
    yours = sum(layer_macs(h, n, 24, d, size) for h, n in zip(sizes.heads, sizes.neurons))
    ours = sizes.parts["attention"][1] + sizes.parts["feed-forward"][1]
    print(f"{name:7} yours {yours:,}   pl.summary {ours:,}")
print(f"parameters: {before.parameters / 1e6:.1f} M → {after.parameters / 1e6:.1f} M")

# %% [markdown]
# ## Is it faster?
#
# One copy of the model is pruned, another only masked. Guess first:

# %%
pl.quiz("00.masked_time")

# %%
def race():
    twin = copy.deepcopy(model)
    with pl.masked(twin, masks):
        return pl.latency({"whole": model, "only masked": twin, "pruned": small}, length=24)


race()

# %% [markdown]
# Multiplying by zero costs as much as multiplying by anything else: masks alone save no time. The pruned model is faster.
# Milliseconds are those of your machine; compare the ratios. Lesson 02 shows how to time so that the ratios can be believed.
#
# ## Is it still right?

# %%
pruned = pl.evaluate(small, tokenizer, test)
pl.figures.by_language(whole.by_language, pruned.by_language, Counter(test.languages))

# %%
lost = whole.accuracy - pruned.accuracy
print(f"{whole.accuracy:.1%} before, {pruned.accuracy:.1%} after, "
      f"on the same {len(test)} sentences")
pl.claim("random pruning to a half loses more than twenty points", lost > 0.2)

# %% [markdown]
# Faster, and ruined: nobody keeps a voice assistant that gets so many requests wrong. Every language pays. The whiskers are
# wide: with some sixty sentences each, only large differences between languages mean anything, and all of it is one throw
# of the dice. The surgery was exact; the choice was bad.
#
# ## How much can dice take?
#
# Was it bad luck, then? And is half too much? Before you look:

# %%
pl.quiz("00.guess_dice")

# %% [markdown]
# We keep six different shares, with five throws for each, and count what is right among 150 sentences. It takes some fifteen seconds.

# %%
SHARES, THROWS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 5
few = test.subset(range(150))
whole_few = pl.evaluate(model, tokenizer, few).accuracy


def accuracy_of(keep, throw):
    small = pl.prune(model, pl.random_masks(model, keep, seed=SEED + throw))
    return pl.evaluate(small, tokenizer, few).accuracy


thrown = {keep: [accuracy_of(keep, throw) for throw in range(THROWS)] for keep in SHARES}

# %% [markdown]
# Move the slider, and press *again* for another throw of the dice:

# %%
def show(keep, again):
    throw = again % THROWS
    masks = pl.random_masks(model, keep, seed=SEED + throw)
    return pl.figures.dice(masks, thrown, whole_few, keep, throw)


pl.explore(show, keep=SHARES, again=0, start={"keep": 0.5})

# %% tags=["nbval-check-output"]
mean = {keep: sum(thrown[keep]) / THROWS for keep in SHARES}
pl.claim("a tenth may go, and on average less than three points go with it",
         whole_few - mean[0.9] < 0.03)
pl.claim("at a half, two throws of the dice differ by more than ten points",
         max(thrown[0.5]) - min(thrown[0.5]) > 0.1)

# %% [markdown]
# Two findings, and the course is about both. First, a trained network has slack: take a tenth or a fifth away at random, and
# the loss is small, or too small to see with 150 sentences; a little further down, accuracy falls off a cliff. Second, at the same size one throw is
# far better than another: **which** parts stay matters as much as how many. A method that chooses well should beat the best
# throw, and from lesson 04 on it does, by a lot.
#
# Where this would not hold: with training after the cut, even randomly chosen heads can do well (Budhraja et al. 2020). What
# dice ruin here is a model that nobody trains again. And a harder task has less slack than naming 38 intents.
#
# <details><summary>At LLM scale</summary>The same cuts are made in large language models: Minitron cuts neurons, heads and coordinates
# of the hidden states out of a 15-billion-parameter model, chosen by activations on 1,024 samples, and distils the 8 or 4 billion
# that are left, with up to 40 times fewer training tokens than from scratch (Muralidharan et al. 2024). LLM-Pruner
# removes coupled rows and columns together, as you just did, and repairs with a short fine-tuning (Ma, Fang, Wang 2023).</details>

# %% [markdown]
# ## Save it, open it
#
# A pruned model is of use only if it can be stored and opened elsewhere. Plain transformers cannot describe layers of
# different sizes, so the course's package teaches it to: after `import pruning_lessons`, `AutoModel…` opens such folders too.

# %%
folder = pl.save(small, tokenizer, tempfile.mkdtemp())
reopened, _ = pl.load(folder)
encoded = tokenizer(SENTENCE, return_tensors="pt")
with torch.no_grad():
    same = torch.equal(reopened(**encoded).logits, small(**encoded).logits)
megabytes = (folder / "model.safetensors").stat().st_size / 1e6
print(f"{megabytes:.0f} MB, the same bits: {same}")
assert same

# %% [markdown]
# ## Challenge: cheat the dice
#
# Get the share of MACs as low as you can while at least 90% of 300 validation sentences stay right. Anything goes that you
# can do with masks: many throws, of which you keep the best; other shares for heads than for neurons; layers that you spare, or that
# you drop whole (`masks.layers`). Below is a first, poor attempt. Improve it; the course remembers your best.

# %%
validation = pl.load_intents("validation", limit=300, seed=SEED)


def attempt():
    masks = pl.random_masks(model, keep=0.95, seed=SEED)        # improve these lines
    return masks


attempted = pl.prune(model, attempt())
cost = pl.encoder_macs(attempted) / pl.encoder_macs(model)
pl.challenge("00.dice", cost, pl.evaluate(attempted, tokenizer, validation).accuracy)

# %% [markdown]
# When you are done, look at the test set once. You kept the best of several throws, so validation flatters your model:

# %%
print(f"test: {pl.evaluate(attempted, tokenizer, test).accuracy:.1%}")

# %% [markdown]
# ## What to remember
#
# - Masks say what should go; surgery makes it go. Both give the same answers, but only surgery saves time.
# - A removed head or neuron takes rows from what makes its numbers and columns from what reads them.
# - Measure three things, always: size, time, accuracy, on the same sentences before and after, and say how many.
# - Networks have slack, and dice find it by luck. The rest of the course chooses: by the size of weights (03), by what
#   neurons (04) and heads (06) contribute, by whole layers (07), all on one budget (08). It repairs what was cut (05) and ships
#   the result (09).

# %%
pl.quiz("00")

# %%
pl.progress("00")

# %% [markdown]
# ## Sources
#
# - Conneau et al. 2020, *Unsupervised Cross-lingual Representation Learning at Scale*: XLM-RoBERTa (section 3).
# - Wang et al. 2024, *Multilingual E5 Text Embeddings*; Wang et al. 2020, *MiniLM*: where the course's model comes from.
# - Yang, Cui, Chen 2022, *TextPruner: A Model Pruning Toolkit for Pre-Trained Language Models*: the tool of the recipe.
# - Vig 2019, *A Multiscale Visualization of Attention in the Transformer Model*: BertViz, head and model view.
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: masks on heads (section 2).
# - Budhraja et al. 2020, *On the weak link between importance and prunability of attention heads*: random choice, then training.
# - Muralidharan et al. 2024, *Compact Language Models via Pruning and Knowledge Distillation*; Ma, Fang, Wang 2023,
#   *LLM-Pruner: On the Structural Pruning of Large Language Models*.
