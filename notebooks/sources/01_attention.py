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
from torch import nn
from torch.nn import functional as F

import pruning_lessons as pl

plt.rcParams["text.parse_math"] = False                  # a $ in a text is a $, no formula
pl.check_environment();

# %% [markdown]
# ## What recurrence could not do
#
# A **recurrent neural network** (RNN) reads a sentence word by word. Its memory is one vector, rewritten at each step; an **LSTM**
# has gates that decide what to keep. Step 7 needs the result of step 6, so steps cannot run side by side. **Attention**
# compares all words with all words in one matrix product. Same input, same width, growing length:

# %%
D = 384                                       # as wide as the course's model
lstm = nn.LSTM(D, D, batch_first=True)
mha = nn.MultiheadAttention(D, 12, batch_first=True)


def median_ms(calls, repeats=21):
    """The median of each call; they take turns, so that a slow moment hits all alike."""
    times = [[] for _ in calls]
    with torch.inference_mode():
        for _ in range(10 + repeats):                       # ten to warm up
            for call, own in zip(calls, times):
                start = time.perf_counter()
                call()
                own.append(1000 * (time.perf_counter() - start))
    return [statistics.median(own[10:]) for own in times]


# %%
LENGTHS = [8, 16, 32, 64, 128]
inputs = [torch.randn(1, n, D) for n in LENGTHS]
both = median_ms([lambda x=x: lstm(x) for x in inputs] +
                 [lambda x=x: mha(x, x, x) for x in inputs])
ms = {"LSTM": both[:len(LENGTHS)], "attention": both[len(LENGTHS):]}

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, times), style in zip(ms.items(), ("o-", "s--")):
    ax.plot(LENGTHS, times, style, label=name)
ax.set(xlabel="words", ylabel="milliseconds", ylim=(0, None), xticks=LENGTHS,
       title="One step after the other, or all at once")
ax.legend()
plt.show()
for n, slow, fast in zip(LENGTHS, *ms.values()):
    print(f"{n:4} words: LSTM {slow:5.2f} ms, attention {fast:5.2f} ms")

# %% [markdown]
# *The picture in words: milliseconds against the number of words. The LSTM's line lies above attention's and climbs with every
# word.*
#
# Attention's work grows with the square of the length, so on a CPU a very long text closes the gap. What is gone is the waiting: no
# step needs the one before, and a processor with many cores does all of them at once.
#
# The second weakness is memory. How much does the last output still depend on word $t$? Its gradient says so.

# %%
torch.manual_seed(0)
rnn, x = nn.RNN(D, D, batch_first=True), torch.randn(1, 60, D)


def influence(outputs, x):
    """Norm of the last output's gradient by each input, as a share of the largest: (T,)"""
    gradient, = torch.autograd.grad(outputs[0, -1].sum(), x)
    return (gradient[0].norm(dim=-1) / gradient[0].norm(dim=-1).max()).tolist()


x.requires_grad_()
found = {"RNN": influence(rnn(x)[0], x), "LSTM": influence(lstm(x)[0], x),
         "attention": influence(mha(x, x, x)[0], x)}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for (name, values), style in zip(found.items(), ("-", ":", "--")):
    ax.semilogy(range(-59, 1), values, style, label=name)
ax.set(xlabel="word, counted back from the last", ylabel="influence on the last output",
       title="Recurrence forgets by a factor a step, attention does not")
ax.legend()
plt.show()
assert max(found["RNN"][0], found["LSTM"][0]) < 1e-3 * found["attention"][0]

# %% [markdown]
# *The picture in words: influence on a logarithmic axis. The lines of RNN and LSTM fall steeply towards the first words; attention's is
# nearly flat.*
#
# All three are untrained. Training slows the forgetting, and LSTMs were invented to be trained so (Hochreiter and Schmidhuber 1997): their
# gates can learn to stay open. But distance stays a cost there, and for attention it is none.
#
# ## What attention gave up: order
#
# Shuffle the words, and attention gives the same outputs, shuffled. It sees a bag of words:

# %%
shuffle = torch.randperm(60)
y = mha(x, x, x)[0]
z = mha(x[:, shuffle], x[:, shuffle], x[:, shuffle])[0]
same = torch.allclose(z, y[:, shuffle], atol=1e-5)
print("outputs of the shuffled sentence are the shuffled outputs:", same)
assert same

# %% [markdown]
# So each word gets a vector added that says where it stands, its **positional embedding**. XLM-RoBERTa learned one for each
# position. Near positions have like vectors:

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
embeddings = model.base_model.embeddings
first = embeddings.padding_idx + 1         # positions start after the padding's number
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

# %% tags=["nbval-check-output"]
pl.claim("neighbouring positions are more alike than distant ones", near > far)

# %% [markdown]
# *The picture in words: a square of cosines, position against position. A warm band runs along the diagonal; beside it paler stripes,
# warm and cold by turns: the vectors repeat a little, like waves.*

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
found = pl.attention_maps(model, tokenizer, TEXT)
tokens = found.tokens
BILL, HE = (batch.char_to_token(TEXT.index(word)) for word in ("Bill", "He"))
print(" ".join(f"{i}:{t}" for i, t in enumerate(tokens)))
maps = torch.stack(found.maps)[:, 0]                    # (layers, heads, T, T)
layer, head = divmod(int(maps[:, :, HE, BILL].argmax()), maps.shape[1])
row = maps[layer, head, HE]

# %% [markdown]
# Some words fell into two tokens. `<s>` and `</s>`, which mark beginning and end, are called **separators**. Now look for the head that
# looks from *He* to *Bill* most:

# %%
figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
colours, hatches = ["C0"] * len(tokens), [""] * len(tokens)
colours[BILL], hatches[BILL] = "C1", "//"
ax.bar(range(len(tokens)), row, color=colours, hatch=hatches, edgecolor="black")
ax.set(xticks=range(len(tokens)), ylabel="share", ylim=(0, 1),
       title=f"Where “{tokens[HE]}” looks, layer {layer}, head {head}")
ax.set_xticklabels(tokens, rotation=45, ha="right")
plt.show()
print(f"of all {maps.shape[0] * maps.shape[1]} heads this one looks most from "
      f"“{tokens[HE]}” to “{tokens[BILL]}”: {row[BILL]:.0%}; "
      f"the shares add up to {row.sum():.2f}")
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
    """Q: (…, T, d); K, V: (…, S, d); allowed: bool (…, T, S) or None.

    Gives the mixed values (…, T, d) and the shares (…, T, S).
    """
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5           # (…, T, S)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    shares = scores.softmax(-1)
    return shares @ V, shares


Q, K, V = torch.randn(3, 6, 32)
theirs = F.scaled_dot_product_attention(Q, K, V)
assert torch.allclose(attention(Q, K, V)[0], theirs, atol=1e-5)
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
pl.table(rows)

# %% [markdown]
# ## Many heads
#
# One softmax can follow one kind of relation. **Multi-head attention** cuts queries, keys and values into pieces, lets each piece look
# for itself, puts the results side by side, and mixes them with an output matrix. The layer then adds what came in (the **residual**), and
# brings each token's vector to one scale (**LayerNorm**). Here it is with the weights of every layer of our model, held against that layer:

# %%
@torch.no_grad()
def multi_head_attention(part, x, heads):
    """part: a layer's attention; x: (batch, T, d) → its output (batch, T, d), the shares"""
    matrices = part.self.query, part.self.key, part.self.value
    Q, K, V = (m(x).unflatten(-1, (heads, -1)).transpose(1, 2) for m in matrices)
    mixed, shares = attention(Q, K, V)                  # (batch, heads, T, size)
    together = mixed.transpose(1, 2).flatten(2)         # (batch, T, heads · size)
    return part.output.LayerNorm(x + part.output.dense(together)), shares


# %%
H = model.config.num_attention_heads
with torch.no_grad():
    x = embeddings(input_ids=batch["input_ids"])
    for i, block in enumerate(model.base_model.encoder.layer):
        mine, shares = multi_head_attention(block.attention, x, H)
        theirs = block.attention(x)[0]
        assert torch.allclose(mine, theirs, atol=1e-5)
        assert torch.allclose(shares[0], maps[i], atol=1e-4)
        x = block(x)
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
    ax.add_patch(plt.Rectangle((left, bottom), 2.6, 0.7, facecolor=colour,
                               edgecolor="black", alpha=0.6))
    ax.text(left + 1.3, bottom + 0.35, name, ha="center", va="center")
arrow = dict(arrowstyle="->", linewidth=1.5)
for x0, y0, x1, y1 in ((1.8, 0.4, 1.8, 1), (1.8, 1.7, 1.8, 2.2), (5.8, 0.2, 5.8, 0.7),
                       (5.8, 1.4, 5.8, 1.9), (5.8, 2.6, 5.8, 3.1), (5.8, 3.8, 5.8, 4.2),
                       (3.1, 2.55, 4.5, 2.25)):
    ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
for left, bottom, words in ((1.8, 0.2, "the text"), (5.8, 0.02, "written so far"),
                            (5.8, 4.3, "next word"), (3.8, 2.75, "keys, values"),
                            (1.8, 3.3, "encoder"), (7.9, 1.9, "decoder")):
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
text = torch.randn(7, 16)                  # seven words read
written = torch.randn(5, 16)               # five words written
causal = torch.ones(5, 5).tril().bool()    # word i may look at words 0 … i
W_query, W_key = torch.randn(2, 16, 16) / 4


def looks(askers, answerers, allowed=None):
    """The shares, with a query and a key matrix as a layer has them; here random ones."""
    return attention(askers @ W_query, answerers @ W_key, answerers, allowed)[1]


kinds = {"self\n(the text at itself)": looks(text, text),
         "masked self\n(at what came before)": looks(written, written, causal),
         "cross\n(the written at the text)": looks(written, text)}
assert kinds["masked self\n(at what came before)"].triu(1).max() == 0

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, shares) in zip(axes, kinds.items()):
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(shares.tolist()):
        for j, share in enumerate(row):
            if share == 0:
                ax.text(j, i, "×", ha="center", va="center", color="C3")
    ax.set(title=name, xlabel="key", ylabel="query")
    ax.title.set_fontsize(10)
plt.show()

# %% [markdown]
# *The picture in words: three grids of shares, a row for each query, a column for each key; darker is more. The second has a triangle of
# crosses, the pairs that are forbidden: the future. The third is not square: five queries, seven keys.*

# %% [markdown]
# ## Read the pictures
#
# **Head view**: lines from each token (left) to those it looks at (right), one colour a head. Choose the layer above, and double-click a
# colour to see that head alone: the one that looked from *He* to *Bill*, say.

# %%
pl.show_heads(model, tokenizer, TEXT, layer=layer)

# %% [markdown]
# In the small maps below it a **row** is the token that looks, a **column** the token that is looked at. A diagonal: each token looks at
# itself. A line just below the diagonal: at the token before; just above it: at the next token. Squares away from the diagonal, where a word
# comes back: at the same word. A vertical stripe: everybody looks at one token, often a separator, where little is to be learned. This is how a
# head says “nothing here for me” (Clark et al. 2019).
#
# How many heads do which? Let us count, on forty sentences, each said twice, so that words come back.

# %%
patterns = dict.fromkeys(("token before", "token after", "same word", "separators"), 0)
for sentence in pl.load_intents("test", limit=40, seed=0).sentences:
    twice = f"{sentence} {sentence}"
    found = torch.stack(pl.attention_maps(model, tokenizer, twice).maps)[:, 0]
    ids = torch.tensor(tokenizer(twice)["input_ids"])
    again = (ids[:, None] == ids).fill_diagonal_(False)       # elsewhere, not itself
    rows = found[:, :, 1:-1]                                  # the words' own rows
    patterns["token before"] += found.diagonal(-1, 2, 3)[..., 1:-1].mean(-1) / 40
    patterns["token after"] += found.diagonal(1, 2, 3)[..., 1:-1].mean(-1) / 40
    patterns["same word"] += (rows * again[1:-1]).sum(-1).mean(-1) / 40
    patterns["separators"] += (rows[..., 0] + rows[..., -1]).mean(-1) / 40
for name, share in patterns.items():
    print(f"{name:12} half of the attention or more in {(share >= 0.5).sum()} heads")

# %%
figure, axes = plt.subplots(2, 2, figsize=(8, 7), layout="constrained")
for ax, (name, share) in zip(axes.flat, patterns.items()):
    shown = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    l, h = divmod(int(share.argmax()), share.shape[1])
    ax.plot(h, l, "o", markersize=15, fillstyle="none", color="C3")
    ax.set(title=f"{name}\nmost: layer {l}, head {h}, {share.max():.0%}",
           xlabel="head", ylabel="layer",
           xticks=range(0, share.shape[1], 2), yticks=range(0, share.shape[0], 2))
figure.colorbar(shown, ax=axes, label="mean share of attention", shrink=0.7)
plt.show()

# %% [markdown]
# *The picture in words: four grids, a row for each layer, a column for each head; the darker, the more of its attention the head spends on
# the token before, on the token after, on the same word elsewhere, on the separators. A ring marks the strongest, named in the title.*
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
    text = w.Text(TEXT, description="sentence", continuous_update=False,
                  layout=w.Layout(width="520px"))
    which = (w.IntSlider(l, 0, maps.shape[0] - 1, description="layer",
                         continuous_update=False),
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
# - Recurrence goes step by step, and what is far is easily forgotten. In attention near and far cost the same, and all steps run at once; but
#   every pair costs.
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
