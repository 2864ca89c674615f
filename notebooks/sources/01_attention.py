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
# # 01 · Attention
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/01_attention.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/01_attention.ipynb)
#
# **You will be able to** say what attention does that recurrent networks could not, build it in twenty lines and get a real
# model's own numbers out of it, and read a picture of attention.
#
# *Forty-five minutes of yours, half a minute of computing. Lesson 00 comes first.*
#
# Heads, queries, keys, values: before you remove any of them you should have built one.

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
                    f"pruning-lessons[views] @ {source}"], check=True)
    importlib.invalidate_caches()

import statistics
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

import pruning_lessons as pl
from pruning_lessons.tables import table

pl.check_environment();

# %% [markdown]
# ## What recurrence could not do
#
# A **recurrent neural network** (RNN) reads a sentence word by word. Its memory is one vector, rewritten at each step; an **LSTM**
# has gates that decide what to keep. Step 7 needs the result of step 6, so steps cannot run side by side. **Attention**
# compares all words with all words in one matrix product. Same input, same size, growing length:

# %%
D = 64
lstm, mha = nn.LSTM(D, D, batch_first=True), nn.MultiheadAttention(D, 4, batch_first=True)


def median_ms(call, repeats=9):
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


LENGTHS = [32, 64, 128, 256, 512]
inputs = [torch.randn(1, n, D) for n in LENGTHS]
ms = {"LSTM": [median_ms(lambda: lstm(x)) for x in inputs],
      "attention": [median_ms(lambda: mha(x, x, x, need_weights=False)) for x in inputs]}

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, times), style in zip(ms.items(), ("o-", "s--")):
    ax.plot(LENGTHS, times, style, label=name)
ax.set(xlabel="words", ylabel="milliseconds", ylim=(0, None), xticks=LENGTHS,
       title="One step after the other, or all at once")
ax.legend()
plt.show()
print(f"at {LENGTHS[-1]} words attention is {ms['LSTM'][-1] / ms['attention'][-1]:.1f} times as fast")

# %% [markdown]
# *The picture in words: milliseconds against the number of words. The LSTM's line climbs with every word; attention's stays
# low.*
#
# The second weakness is memory. How much does the last output still depend on word $t$? Its gradient says so.

# %%
torch.manual_seed(0)
rnn, x = nn.RNN(D, D, batch_first=True), torch.randn(1, 60, D)


def influence(outputs, x):
    """The norm of the last output's gradient by each input, relative to the largest: (T,)"""
    gradient, = torch.autograd.grad(outputs[0, -1].sum(), x)
    return (gradient[0].norm(dim=-1) / gradient[0].norm(dim=-1).max()).tolist()


x.requires_grad_()
found = {"RNN": influence(rnn(x)[0], x), "attention": influence(mha(x, x, x)[0], x)}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for (name, values), style in zip(found.items(), ("-", "--")):
    ax.semilogy(range(-59, 1), values, style, label=name)
ax.set(xlabel="word, counted back from the last", ylabel="influence on the last output",
       title="The RNN forgets by a factor a step, attention does not")
ax.legend()
plt.show()
assert found["RNN"][0] < 1e-3 * max(found["attention"][0], 1e-3)

# %% [markdown]
# *The picture in words: influence on a logarithmic axis. The RNN's line falls steeply towards the first words; attention's is
# flat but for the last word.*
#
# Both networks are untrained. Training can slow the RNN's forgetting; LSTMs were invented for it (Hochreiter and Schmidhuber 1997).
# But distance stays a cost, and for attention it is none.
#
# ## What attention gave up: order
#
# Shuffle the words, and attention gives the same outputs, shuffled. It sees a bag of words:

# %%
shuffle = torch.randperm(60)
y = mha(x, x, x)[0]
z = mha(x[:, shuffle], x[:, shuffle], x[:, shuffle])[0]
print("outputs of the shuffled sentence are the shuffled outputs:", torch.allclose(z, y[:, shuffle], atol=1e-5))
assert torch.allclose(z, y[:, shuffle], atol=1e-5)

# %% [markdown]
# So each word gets a vector added that says where it stands, its **positional embedding**. XLM-RoBERTa learned one for each
# position. Near positions have like vectors:

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(CHECKPOINT)
embeddings = model.base_model.embeddings
first = embeddings.padding_idx + 1                  # positions start after the padding's number
P = embeddings.position_embeddings.weight.detach()[first:first + 40]
P = F.normalize(P - P.mean(0), dim=-1)

figure, ax = plt.subplots(figsize=(4.4, 3.4), layout="constrained")
shown = ax.imshow(P @ P.T, cmap="RdBu_r", vmin=-1, vmax=1)
ax.set(xlabel="position", ylabel="position", title="How alike are positions?")
figure.colorbar(shown, label="cosine (mean taken off)")
plt.show()
near = (P[:-1] * P[1:]).sum(-1).mean()
far = (P[:-20] * P[20:]).sum(-1).mean()
print(f"neighbours {near:.2f}, twenty apart {far:.2f}")
assert near > far

# %% [markdown]
# *The picture in words: a square of cosines, position against position. The diagonal and what is near it are warm, far
# corners are not.*

# %% [markdown]
# ## Query, key, value
#
# > Bill bought Oreos and salad. He also paid in cash.
#
# To understand *He* one must look back for *Bill*. Attention is a soft dictionary. **Every** token makes three vectors: a
# **query** (what am I looking for?), a **key** (what can I be found by?) and a **value** (what do I say, if I am
# found?). Some tutorials give the query to one word and keys to the others. No: each token has all three, and all look at
# once.

# %%
TEXT = "Bill bought Oreos and salad. He also paid in cash."
batch = tokenizer(TEXT, return_tensors="pt")
tokens = [t.replace("▁", "") or "▁" for t in tokenizer.convert_ids_to_tokens(batch["input_ids"][0])]
BILL, HE = (batch.char_to_token(TEXT.index(word)) for word in ("Bill", "He"))
print(" ".join(f"{i}:{t}" for i, t in enumerate(tokens)))
maps = torch.stack(pl.attention_maps(model, tokenizer, TEXT).maps)[:, 0]      # (layers, heads, T, T)
layer, head = divmod(int(maps[:, :, HE, BILL].argmax()), maps.shape[1])
row = maps[layer, head, HE]

figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
ax.bar(range(len(tokens)), row, color=["C1" if i == BILL else "C0" for i in range(len(tokens))],
       hatch=["//" if i == BILL else "" for i in range(len(tokens))], edgecolor="black")
ax.set(xticks=range(len(tokens)), ylabel="share", ylim=(0, 1),
       title=f"Where “{tokens[HE]}” looks, layer {layer}, head {head}")
ax.set_xticklabels(tokens, rotation=45, ha="right")
plt.show()
print(f"of {maps[:, :, 0, 0].numel()} heads, this one looks from “{tokens[HE]}” to “{tokens[BILL]}” most: "
      f"{row[BILL]:.0%}; the shares add up to {row.sum():.2f}")
assert abs(row.sum() - 1) < 1e-3

# %% [markdown]
# *The picture in words: a bar for each token, how much of its attention “He” spends on it, in the head that looks at “Bill” most; Bill's
# bar is hatched.*
#
# We searched all heads for this one. That a head looks there does not prove that the model *understands* the pronoun; it shows
# where information can flow.

# %% [markdown]
# ## The equation
#
# $$\mathrm{Attention}(Q,K,V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d}}\right)V$$
#
# Row $i$ of $QK^\top$ compares query $i$ with all keys. The softmax turns it into shares that add up to 1. The output is the
# mean of the values, weighted by the shares.

# %%
def attention(Q, K, V, allowed=None):
    """Q: (…, T, d), K and V: (…, S, d); allowed: bool (…, T, S) or None → (…, T, d) and the shares"""
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5           # (…, T, S)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    shares = scores.softmax(-1)
    return shares @ V, shares


Q, K, V = torch.randn(3, 6, 32)
assert torch.allclose(attention(Q, K, V)[0], F.scaled_dot_product_attention(Q, K, V), atol=1e-5)
print("by hand and by PyTorch: equal")

# %% [markdown]
# Why divide by $\sqrt d$? The dot product of two random vectors of size $d$ has a spread of about $\sqrt d$. With large scores the
# softmax gives everything to one token, and its gradient vanishes:

# %%
rows = [("d", "spread of scores", "largest share", "divided by √d")]
for d in (4, 64, 1024):
    Q, K = torch.randn(2, 200, 16, d)
    scores = Q @ K.transpose(-1, -2)
    shares = [s.softmax(-1).amax(-1).mean() for s in (scores, scores / d ** 0.5)]
    rows.append((d, f"{scores.std():.1f}", *(f"{s:.0%}" for s in shares)))
table(rows)

# %% [markdown]
# ## Many heads
#
# One softmax can follow one kind of relation. **Multi-head attention** cuts queries, keys and values into pieces, lets each piece look
# for itself, puts the results side by side, and mixes them with an output matrix. Here it is with the weights of a layer of our model,
# held against that layer:

# %%
@torch.no_grad()
def multi_head_attention(block, x, heads):
    """block: one layer's attention; x: (batch, T, d) → (batch, T, d)"""
    matrices = block.self.query, block.self.key, block.self.value
    Q, K, V = (m(x).unflatten(-1, (heads, -1)).transpose(1, 2) for m in matrices)   # (batch, heads, T, size)
    mixed, shares = attention(Q, K, V)
    together = mixed.transpose(1, 2).flatten(2)                     # (batch, T, heads · size)
    return block.output.LayerNorm(x + block.output.dense(together)), shares


H = model.config.num_attention_heads
with torch.no_grad():
    x = embeddings(input_ids=batch["input_ids"])
    for i, layer_of in enumerate(model.base_model.encoder.layer):
        mine, shares = multi_head_attention(layer_of.attention, x, H)
        theirs = layer_of.attention(x)[0]
        assert torch.allclose(mine, theirs, atol=1e-5) and torch.allclose(shares[0], maps[i], atol=1e-4)
        x = layer_of(x)
print(f"all {i + 1} layers: outputs and shares by hand equal the model's; shapes "
      f"{tuple(mine.shape)} and {tuple(shares.shape)}")

# %% [markdown]
# To get the shares out of the model itself, ask: `model(**batch, output_attentions=True).attentions`, and only with
# `attn_implementation="eager"`, for the fast kernels never write the shares down. (`outputs[-1]` is what some tutorials use; it is
# attention only if that was asked for, and something else otherwise.) `pl.attention_maps` does all that.

# %% [markdown]
# ## Three kinds of attention
#
# XLM-R is an **encoder**: it reads a sentence. Translators and chatbots also have a **decoder**, which writes one, word by word. The first
# Transformer had both:

# %%
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
boxes = {"self-attention": (0.5, 1, "C0"), "feed-forward": (0.5, 2.2, "0.85"),
         "masked self-attention": (4.5, 0.7, "C1"), "cross-attention": (4.5, 1.9, "C2"),
         "feed-forward ": (4.5, 3.1, "0.85")}
for name, (left, bottom, colour) in boxes.items():
    ax.add_patch(plt.Rectangle((left, bottom), 2.6, 0.7, facecolor=colour, edgecolor="black", alpha=0.6))
    ax.text(left + 1.3, bottom + 0.35, name, ha="center", va="center")
arrow = dict(arrowstyle="->", linewidth=1.5)
for x0, y0, x1, y1 in ((1.8, 0.4, 1.8, 1), (1.8, 1.7, 1.8, 2.2), (5.8, 0.2, 5.8, 0.7), (5.8, 1.4, 5.8, 1.9),
                       (5.8, 2.6, 5.8, 3.1), (5.8, 3.8, 5.8, 4.2), (3.1, 2.55, 4.5, 2.25)):
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
for left, bottom, words in ((1.8, 0.2, "the text"), (5.8, 0.02, "written so far"), (5.8, 4.3, "next word"),
                            (3.8, 2.75, "keys, values"), (1.8, 3.3, "encoder"), (7.9, 1.9, "decoder")):
    ax.text(left, bottom, words, ha="center", va="center", style="italic")
ax.set(xlim=(0, 8.6), ylim=(-0.2, 4.5), title="Encoder and decoder, one layer of each")
ax.axis("off")
plt.show()

# %% [markdown]
# *The picture in words: two stacks. Left, the encoder: self-attention, then feed-forward. Right, the decoder: masked self-attention,
# cross-attention, which takes keys and values from the encoder, then feed-forward.*
#
# All three are the function `attention` from above. They differ in who asks, who answers, and what is allowed:

# %%
torch.manual_seed(1)
text, written = torch.randn(7, 16), torch.randn(5, 16)      # seven words read, five words written
causal = torch.ones(5, 5).tril().bool()                     # word i may look at words 0 … i
kinds = {"self\n(the text at itself)": attention(text, text, text)[1],
         "masked self\n(what is written at what came before)": attention(written, written, written, causal)[1],
         "cross\n(what is written at the text)": attention(written, text, text)[1]}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, shares) in zip(axes, kinds.items()):
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), share in zip(torch.cartesian_prod(*map(torch.arange, shares.shape)).tolist(), shares.flatten()):
        if share == 0:
            ax.text(j, i, "×", ha="center", va="center", color="C3")
    ax.set(title=name, xlabel="key", ylabel="query")
    ax.title.set_fontsize(10)
plt.show()
assert kinds[list(kinds)[1]].triu(1).abs().max() == 0

# %% [markdown]
# *The picture in words: three grids of shares, a row for each query, a column for each key; darker is more. The second has a triangle of
# crosses, the pairs that are forbidden: the future. The third is not square: five queries, seven keys.*

# %% [markdown]
# ## Read the pictures
#
# **Head view**: lines from each token (left) to those it looks at (right), one colour a head; choose the layer above.

# %%
pl.show_heads(model, tokenizer, TEXT, layer=layer)

# %% [markdown]
# In the small maps below it a **row** is the token that looks, a **column** the token that is looked at. A diagonal: each token looks at
# itself. A line just below the diagonal: at the token before. A vertical stripe: everybody looks at one token, often a separator,
# where little is to be learned. This is how a head says “nothing here for me” (Clark et al. 2019).
#
# How many heads do which? Let us count, on more sentences than one.

# %%
sentences = pl.load_intents("test", limit=40, seed=0).sentences
patterns = {"token before": 0, "itself": 0, "separators": 0}
for sentence in sentences:
    found = torch.stack(pl.attention_maps(model, tokenizer, sentence).maps)[:, 0]      # (layers, heads, T, T)
    inner = found[:, :, 1:-1]                                       # the words' own rows
    patterns["token before"] += found.diagonal(-1, 2, 3)[..., :-1].mean(-1) / len(sentences)
    patterns["itself"] += found.diagonal(0, 2, 3)[..., 1:-1].mean(-1) / len(sentences)
    patterns["separators"] += (inner[..., 0] + inner[..., -1]).mean(-1) / len(sentences)

figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.5), layout="constrained")
for ax, (name, share) in zip(axes, patterns.items()):
    shown = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    l, h = divmod(int(share.argmax()), share.shape[1])
    ax.plot(h, l, "o", markersize=13, fillstyle="none", color="C3")
    ax.set(title=f"{name}\nmost: layer {l}, head {h}, {share.max():.0%}", xlabel="head", ylabel="layer",
           xticks=range(0, share.shape[1], 2), yticks=range(0, share.shape[0], 2))
figure.colorbar(shown, ax=axes, label="mean share of attention", shrink=0.8)
plt.show()

# %% [markdown]
# *The picture in words: three grids, a row for each layer, a column for each head; the darker, the more of its attention the head spends on
# the token before, on the token itself, on the separators. A ring marks the strongest, named in the title.*
#
# Heads that do the same job are candidates for pruning (lesson 05). Now all of them at a glance, the **model view**: rows are layers, columns are
# heads. Find one of each kind.

# %%
pl.show_model(model, tokenizer, "Bill paid. He smiled.")

# %% [markdown]
# ## Try it: an explorer
#
# Type a sentence, choose layer and head. The picture below is the same for one setting, for readers without a running
# kernel.

# %%
def explore(sentence, layer, head):
    found = pl.attention_maps(model, tokenizer, sentence or TEXT)
    shares, words = found.maps[layer][0, head], found.tokens
    figure, ax = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set(xticks=range(len(words)), yticks=range(len(words)), yticklabels=words,
           ylabel="looks", xlabel="is looked at", title=f"layer {layer}, head {head}")
    ax.set_xticklabels(words, rotation=60, ha="right")
    plt.show()


l, h = divmod(int(patterns["token before"].argmax()), H)
explore(TEXT, l, h)

# %% [markdown]
# *The picture in words: one head's map on the sentence, with tokens on both axes: the head that looks most at the token before. Its dark
# squares lie one below the diagonal.*

# %%
try:
    import ipywidgets as w
    text = w.Text(TEXT, description="sentence", continuous_update=False, layout=w.Layout(width="520px"))
    which = (w.IntSlider(l, 0, maps.shape[0] - 1, description="layer", continuous_update=False),
             w.IntSlider(h, 0, H - 1, description="head", continuous_update=False))
    controls = dict(zip(("sentence", "layer", "head"), (text, *which)))
    display(text, *which, w.interactive_output(explore, controls))
except ImportError:
    print("ipywidgets is not installed: look at the picture above.")

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. Attention with padding** (medium, ten minutes). `real` says which keys are real tokens; padding must get no share at all. Give the output
# only.
#
# <details><summary>Hint</summary><code>masked_fill</code> with <code>-torch.inf</code>, before the softmax. <code>real</code> has one entry for each key, and
# broadcasts over queries.</details>

# %%
def masked_attention(Q, K, V, real):
    """Q: (T, d), K: (S, d), V: (S, v), real: bool (S,) → (T, v)"""
    # solution
    scores = Q @ K.T / Q.shape[-1] ** 0.5                      # (T, S)
    return scores.masked_fill(~real, -torch.inf).softmax(-1) @ V
    # end


# %% tags=["nbval-check-output"]
pl.check("01.attention", masked_attention)

# %% [markdown]
# **2. No looking ahead** (easy, three minutes). The mask of a decoder for `n` tokens: `True` where query (row) may look at key (column), which
# is itself and everything before.
#
# <details><summary>Hint</summary><code>torch.tril</code> keeps the lower triangle.</details>

# %%
def causal_mask(n):
    """→ bool (n, n)"""
    # solution
    return torch.ones(n, n).tril().bool()
    # end


# %% tags=["nbval-check-output"]
pl.check("01.causal_mask", causal_mask)

# %% [markdown]
# **3. Split into heads** (medium, five minutes). From `(batch, T, heads · size)` to `(batch, heads, T, size)`. Head 0 owns the first `size`
# places of each vector.
#
# <details><summary>Hint</summary><code>unflatten</code> the last dimension, then <code>transpose</code> two.</details>

# %%
def split_heads(x, heads):
    """x: (batch, T, heads · size) → (batch, heads, T, size)"""
    # solution
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
    # end


# %% tags=["nbval-check-output"]
pl.check("01.split_heads", split_heads)

# %% [markdown]
# ## Quiz
#
# **1. Which tokens have a query, which a key, which a value?**
# <details><summary>Answer</summary>All tokens have all three. In cross-attention queries come from the one text, keys and values from the other.</details>
#
# **2. Why does an encoder need no causal mask?**
# <details><summary>Answer</summary>It reads a text that is there already, so later words may help with earlier ones. A decoder writes; when it
# is trained the words to come are in the batch, and must be hidden.</details>
#
# **3. A head gives a separator nearly all of its attention. Is it an important separator?**
# <details><summary>Answer</summary>More likely the head found nothing to do on this sentence: the shares must add up to 1, so they go where they do
# no harm.</details>
#
# **4. Without positional embeddings, what could XLM-R not tell apart?**
# <details><summary>Answer</summary>“The dog bites the man” and “The man bites the dog”: the same tokens in another order.</details>
#
# **5. You remove a head. Which matrices get smaller?**
# <details><summary>Answer</summary>Its rows of the query, key and value matrices, and its columns of the output matrix. Lesson 05 does it.</details>
#
# ## What to remember
#
# - Recurrence is sequential and forgets by a factor a step. Attention is parallel, and distance costs nothing.
# - Attention sees no order; positional embeddings bring it.
# - Each token has a query, a key and a value, in each head.
# - A row looks, a column is looked at. Looking is not understanding.
#
# ## Sources
#
# - Vaswani et al. 2017, *Attention Is All You Need*: the equation (section 3.2.1), many heads (3.2.2), three kinds (3.2.3), positions (3.5).
# - Bahdanau, Cho, Bengio 2015, *Neural Machine Translation by Jointly Learning to Align and Translate* (section 3).
# - Hochreiter, Schmidhuber 1997, *Long Short-Term Memory* (section 3: why gradients vanish).
# - Clark et al. 2019, *What Does BERT Look At?* (section 3: patterns of heads).
# - Vig 2019, *A Multiscale Visualization of Attention in the Transformer Model* (BertViz).
# - Jain, Wallace 2019, *Attention is not Explanation*.
