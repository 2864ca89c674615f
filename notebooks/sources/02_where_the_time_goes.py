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
# # 02 · Where the time goes
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/02_where_the_time_goes.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/02_where_the_time_goes.ipynb)
#
# **You will be able to** say which part of a Transformer holds its parameters, which does its work and which takes its
# time; time a model so that others believe you; and remove the part that costs most bytes and no time at all.
#
# *Forty minutes of yours, under a minute of computing. Lesson 00 comes first.*
#
# Before you cut, find out what is large. It is not the same part for memory and for time, and people who prune
# the wrong one are disappointed.

# %% [markdown]
# ## Setup

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

import copy
import statistics
import time

import matplotlib.pyplot as plt
import torch
from torch.utils.flop_counter import FlopCounterMode

import pruning_lessons as pl

CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))

# %% [markdown]
# ## Three models, one picture
#
# The course's model, and XLM-RoBERTa *base* and *large* as they come from the hub. To count we need no weights: on
# PyTorch's `meta` device a network has shapes and no numbers, so that even the large one fits anywhere.

# %%
with torch.device("meta"):
    base, large = (pl.untrained(size)[0] for size in ("base", "large"))
models = {"this course's": model, "base": base, "large": large}
sizes = {name: pl.summary(m) for name, m in models.items()}
for name, s in sizes.items():
    words = s.parts["word embeddings"][0] / s.parameters
    print(f"{name:13} {s.parameters / 1e6:6.1f} M parameters, {s.bytes / 1e6:6.0f} MB, "
          f"{s.macs / 1e9:6.2f} G MACs, word embeddings hold {words:.0%}")
assert sizes["base"].parts["word embeddings"][1] == 0      # no multiplication

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
hatches = ["", "//", "..", "xx", "++"]
for ax, place, what in ((axes[0], 0, "parameters"), (axes[1], 1, "MACs for 24 tokens")):
    for row, found in enumerate(sizes.values()):
        total, left = sum(part[place] for part in found.parts.values()), 0
        for hatch, (name, part) in zip(hatches, found.parts.items()):
            share = part[place] / total
            ax.barh(row, share, left=left, hatch=hatch, edgecolor="black",
                    linewidth=0.5, color=f"C{hatches.index(hatch)}",
                    label=name if row == 0 else None)
            if share > 0.08:
                ax.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center",
                        bbox=dict(facecolor="white", edgecolor="none", pad=1))
            left += share
    ax.set(title=f"share of the {what}", yticks=range(3), yticklabels=sizes, xlim=(0, 1))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=5)
plt.show()

# %% [markdown]
# *The picture in words: stacked bars for three models. On the left, of the parameters, the word embeddings are the
# longest piece of base; on the right, of the work, they have no piece at all, and attention and feed-forward parts share
# nearly everything.*
#
# In XLM-RoBERTa base more than half of all parameters are **word embeddings**: one row of numbers for each of 250,002
# word pieces of a hundred languages. Looking a row up costs no multiplication. So the largest part of the model costs
# bytes and no time, and the parts that cost time hold the smaller share of the bytes. (The model of this course shows less of it, because its
# vocabulary was trimmed when it was made.)

# %% [markdown]
# ## Count the work yourself
#
# A **MAC**, multiply-accumulate, is one multiplication and one addition; most tools count **FLOPs**, two for each MAC.
# A matrix of $m \times n$ numbers applied to one token costs $m\,n$ MACs. With $T$ tokens, hidden size $d$, $H$ heads of size
# $d_h$ and $n$ neurons a layer costs
#
# $$\underbrace{4\,T d\,H d_h}_{\text{query, key, value, output}} + \underbrace{2\,T^2 H d_h}_{\text{tokens look at tokens}}
# + \underbrace{2\,T d\,n}_{\text{feed-forward}}$$
#
# Ten lines, held against the library and against PyTorch's own counter, which watches every operation:

# %%
def encoder_macs(model, T):
    config = model.config
    d, H = config.hidden_size, config.num_attention_heads
    size, n = d // H, config.intermediate_size
    matrices = 4 * T * d * H * size              # query, key, value, output
    looking = 2 * T * T * H * size               # scores, and their mix of values
    feed_forward = 2 * T * d * n
    return config.num_hidden_layers * (matrices + looking + feed_forward)


T = 24
mine = encoder_macs(model, T)
parts = pl.summary(model, length=T).parts
library = parts["attention"][1] + parts["feed-forward"][1]

ids = torch.randint(5, model.config.vocab_size, (1, T))
model.set_attn_implementation("eager")       # the counter cannot see the fused kernel
with FlopCounterMode(display=False) as counter, torch.no_grad():
    model.base_model(ids, attention_mask=torch.ones_like(ids))
model.set_attn_implementation("sdpa")
counted = counter.get_total_flops() // 2
print(f"by hand {mine:,}\nlibrary {library:,}\ncounted {counted:,}")
assert mine == library == counted

# %% [markdown]
# The middle term grows with the square of the length. When does that matter?

# %%
def shares(d, H, size, n, T):
    parts = torch.tensor([4 * T * d * H * size, 2 * T * T * H * size, 2 * T * d * n])
    return parts / parts.sum()


NAMES = ["query, key, value, output", "tokens look at tokens", "feed-forward"]


def draw_shares(T):
    figure, ax = plt.subplots(figsize=(7, 1.9), layout="constrained")
    c = model.config
    d, H = c.hidden_size, c.num_attention_heads
    found = shares(d, H, d // H, c.intermediate_size, T)
    ax.barh(NAMES, found, color=["C2", "C1", "C0"], edgecolor="black")
    for y, share in enumerate(found):
        ax.text(float(share) + 0.01, y, f"{share:.1%}", va="center")
    ax.set(xlim=(0, 1), title=f"share of a layer's MACs at {T} tokens")
    plt.show()


draw_shares(24)
draw_shares(512)

# %% [markdown]
# *The pictures in words: three bars each. At 24 tokens the feed-forward part does most of the work and looking at tokens
# nearly none; at 512 tokens looking takes a visible share.*
#
# For short sentences the famous “attention is quadratic” hardly counts: matrices do the work. Move the slider (it
# needs a running kernel; the two pictures above are its ends).

# %%
try:
    import ipywidgets
    slider = ipywidgets.IntSlider(24, 24, 512, 8, description="tokens",
                                  continuous_update=False)
    display(slider, ipywidgets.interactive_output(draw_shares, {"T": slider}))
except ImportError:
    print("ipywidgets is not installed: look at the pictures above.")

# %% [markdown]
# ## Time it wrong
#
# Now milliseconds. Somebody has a new version of our model, and times it against the old one, once each, as people do:

# %%
def naive(model, ids):
    start = time.perf_counter()
    model(ids)
    return 1000 * (time.perf_counter() - start)


old, _ = pl.load(pl.prepare(CHECKPOINT))
old.train()                                                   # as it is after training
new = copy.deepcopy(old).eval()                               # the very same model
cold = torch.randint(5, model.config.vocab_size, (1, 37))     # a length not run before
first, second = naive(old, cold), naive(new, cold)
print(f"old {first:.1f} ms, new {second:.1f} ms: {first / second:.1f} times as fast?")

# %% [markdown]
# Nothing is new about the new one: it is a copy. It won because it ran second, after the **warm-up** (memory is allocated, code is chosen on
# the first run), and because the old one was left in training mode, where dropout works. And both recorded gradients, for a backward pass that
# never comes. Repeat, take the median, and the difference goes away:

# %%
def median_ms(call, repeats=15, warm_up=5):
    times = []
    with torch.inference_mode():
        for _ in range(warm_up + repeats):
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[warm_up:])


old.eval()
first, second = median_ms(lambda: old(cold)), median_ms(lambda: new(cold))
print(f"old {first:.1f} ms, new {second:.1f} ms: {first / second:.2f} times as fast")
del old, new

# %% [markdown]
# Two more mistakes change the result without being seen: threads and padding.

# %%
all_threads = torch.get_num_threads()
for threads in sorted({1, all_threads}):
    torch.set_num_threads(threads)
    print(f"{threads} thread(s): {median_ms(lambda: model(ids)):6.1f} ms")
torch.set_num_threads(all_threads)

# %%
sentences = pl.load_intents("test", limit=32, seed=0).sentences
lengths = [len(ids) for ids in tokenizer(sentences)["input_ids"]]
order = sorted(range(len(sentences)), key=lambda i: lengths[i])
WAYS = {"all padded to 128": (sentences, dict(padding="max_length", max_length=128)),
        "as they come": (sentences, dict(padding=True)),
        "sorted by length": ([sentences[i] for i in order], dict(padding=True))}
for name, (texts, options) in WAYS.items():
    batches = [tokenizer(texts[i:i + 8], return_tensors="pt", **options)
               for i in range(0, len(texts), 8)]
    places = sum(b["input_ids"].numel() for b in batches)
    ms = median_ms(lambda: [model(**b) for b in batches], repeats=3, warm_up=1)
    print(f"{name:18} {places:6,} tokens, {sum(lengths) / places:4.0%} of them words, "
          f"{ms:7.1f} ms")

# %% [markdown]
# Padding is multiplied like words. Many recipes pad everything to 128 tokens and pay for it at each call. Pad to the longest of the
# batch, and sort by tokens first: it costs nothing, and the answers are the same.
#
# ## Time it right
#
# `pl.latency` warms up, runs in `inference_mode`, fixes the threads, lets the models take turns (so that a slow moment
# of the machine hits all of them), and gives the median with the middle half of all times. Before you believe a ratio, look at the
# middle halves: if they overlap much, the run cannot tell the models apart. Say with each number: batch, length, threads, and what it
# is compared with.

# %%
half = pl.prune(model, pl.random_masks(model, keep=0.5, even=True))
pair = {"whole": model, "half of heads and neurons": half}
print(f"{pl.summary(model).macs / pl.summary(half).macs:.2f} times fewer MACs")
pl.latency(pair, batch_size=1, length=24)

# %%
pl.latency(pair, batch_size=32, length=24, repeats=10)

# %% [markdown]
# Compare the two ratios with that of the MACs. With one sentence at a time much of the time is not multiplication: Python, memory,
# starting each operation. With a batch the multiplications weigh more; and smaller matrices fit the processor's cache better, so
# that the ratio can even pass that of the MACs.
#
# ## Which part takes the time?
#
# A **hook** is a function that PyTorch calls before or after a part of the model. Two for each kind of part, and a stopwatch:

# %%
def time_by_part(model, ids, repeats=15):
    layers, watch, spent, hooks = model.base_model.encoder.layer, {}, {}, []
    kinds = {"embeddings": [model.base_model.embeddings],
             "attention": [layer.attention for layer in layers],
             "feed-forward": [m for l in layers for m in (l.intermediate, l.output)],
             "task head": [model.classifier]}
    for kind, modules in kinds.items():
        def begin(module, inputs):
            watch[module] = time.perf_counter()

        def end(module, inputs, output, kind=kind):
            spent[kind] = spent.get(kind, 0) + time.perf_counter() - watch[module]

        for module in modules:
            hooks.append(module.register_forward_pre_hook(begin))
            hooks.append(module.register_forward_hook(end))
    median_ms(lambda: model(ids), repeats, 5)
    for hook in hooks:
        hook.remove()
    return spent


# %%
spent = time_by_part(model, ids)
work = {kind: 0 if kind == "embeddings" else parts[kind][1] for kind in spent}
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
at = torch.arange(len(spent))
share = lambda values: [values[kind] / sum(values.values()) for kind in spent]
ax.bar(at - 0.2, share(work), 0.4, label="share of the MACs", color="C0")
ax.bar(at + 0.2, share(spent), 0.4, label="share of the time", color="C1",
       hatch="//", edgecolor="black")
ax.set(xticks=at, xticklabels=spent, ylim=(0, 1), title="one sentence of 24 tokens")
ax.legend()
plt.show()

# %% [markdown]
# *The picture in words: for four parts a pair of bars. Embeddings and head take little of either; attention takes a larger
# share of the time than of the MACs, the feed-forward part a smaller one.*
#
# Attention is many small operations, the feed-forward part two large ones: a MAC in a small operation costs more time. So
# a budget in MACs is a good guide, and a budget in milliseconds (lesson 07) is better still.

# %% [markdown]
# ## Prune the vocabulary
#
# You serve German and English. What are the pieces of a hundred languages for? **Vocabulary trimming** keeps the
# pieces that your texts use (and all single characters of their scripts, so that nothing becomes unknown). A text made of kept
# pieces is split exactly as before, so the answers stay the same to the last bit:

# %%
texts = pl.load_intents("train", ["de", "en"]).sentences
small, small_tokenizer = pl.prune_vocabulary(model, tokenizer, texts)
test = pl.load_intents("test", ["de", "en"], limit=300)
pl.vocabulary_report(tokenizer, small_tokenizer, test.sentences, model.config.hidden_size)

# %%
same = texts[:64]
with torch.inference_mode():
    old = model(**tokenizer(same, padding=True, return_tensors="pt")).logits
    new = small(**small_tokenizer(same, padding=True, return_tensors="pt")).logits
assert torch.equal(old, new)
print("answers on kept texts: equal, bit for bit")

for name, m, t in (("whole", model, tokenizer), ("trimmed", small, small_tokenizer)):
    right = pl.evaluate(m, t, test).accuracy
    print(f"{name:8} {pl.summary(m).bytes / 1e6:6.1f} MB, "
          f"{right:.1%} of the German and English test sentences right")

# %% [markdown]
# Megabytes fall. Sentences made of kept pieces are answered as before, to the last bit. The table says how many *new* sentences are split
# differently: they use pieces that the training sentences never did, and now come in smaller pieces, or letters. Some of them are answered
# wrong. More text to choose the pieces from, or a little fine-tuning afterwards, makes this price smaller. And the time?

# %%
pl.latency({"whole": model, "trimmed vocabulary": small}, repeats=60)

# %% [markdown]
# The same multiplications, so the same time: the middle halves overlap. For a phone, or an app that must be downloaded, trimming is the first
# thing to do; for a server that is too slow it is no help. The larger price is paid by languages that you did not keep:

# %%
finnish = pl.load_intents("test", ["fi"], limit=200)
for name, m, t in (("whole", model, tokenizer), ("trimmed", small, small_tokenizer)):
    print(f"{name:8} Finnish: {pl.evaluate(m, t, finnish).accuracy:.1%}")

# %% [markdown]
# Fill-mask goes along: its output matrix is the embedding matrix (**tied weights**), so it is cut with it. The same question in English,
# in German, and in Finnish, which was not kept:

# %%
filler, _ = pl.load(CHECKPOINT, task="fill-mask")
short, short_tokenizer = pl.prune_vocabulary(filler, tokenizer, texts)
QUESTIONS = ("turn on the <mask> in the kitchen", "mach das <mask> in der Küche an",
             "laita <mask> päälle keittiössä")
for question in QUESTIONS:
    print(question)
    for m, t in ((filler, tokenizer), (short, short_tokenizer)):
        batch = t(question, return_tensors="pt")
        place = batch["input_ids"][0].tolist().index(t.mask_token_id)
        with torch.inference_mode():
            best = m(**batch).logits[0, place].topk(4).indices
        print(f"  {len(t):6,} pieces:", ", ".join(t.convert_ids_to_tokens(best.tolist())))

# %% [markdown]
# (▁ marks the start of a word.) With a fill-mask head the vocabulary costs time, too, for every piece gets a score at every token:

# %%
pl.latency({"fill-mask": filler, "trimmed": short}, repeats=15, warm_up=5)

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. How much is vocabulary** (easy, three minutes). Given the number of word pieces, the hidden size and the number of all other
# parameters: which share of all parameters are word embeddings?
#
# <details><summary>Hint</summary>One row of <code>d</code> numbers for each piece.</details>

# %%
def embedding_share(pieces, d, others):
    """A number from 0 to 1."""
    # solution
    return pieces * d / (pieces * d + others)
    # end


# %%
pl.check("02.embedding_share", embedding_share)

# %% [markdown]
# **2. A fair number** (medium, five minutes). From a list of times in milliseconds, in order, leave out the first `warm_up` of them
# and give the median of the rest and its speed-up over `before_ms`: a pair of numbers.
#
# <details><summary>Hint</summary><code>statistics.median</code>; twice as fast is a speed-up of 2.</details>

# %%
def fair(times, warm_up, before_ms):
    """(median in milliseconds, how many times as fast as before_ms)"""
    # solution
    median = statistics.median(times[warm_up:])
    return median, before_ms / median
    # end


# %%
pl.check("02.fair", fair)

# %% [markdown]
# **3. Renumber** (medium, ten minutes). After trimming, pieces have new numbers. Given token ids and the sorted list `keep` of old ids
# that stay, give the new ids; a piece that is gone becomes `unknown` (a new id).
#
# <details><summary>Hint</summary>The new id of a piece is its place in <code>keep</code>.</details>

# %%
def renumber(ids, keep, unknown):
    """A list as long as ids."""
    # solution
    new = {old: place for place, old in enumerate(keep)}
    return [new.get(old, unknown) for old in ids]
    # end


# %%
pl.check("02.renumber", renumber)

# %% [markdown]
# ## Quiz
#
# **1. Your app must shrink from 1.1 GB to be downloaded. Where do you cut first?**
# <details><summary>Answer</summary>The vocabulary: it is the largest part of XLM-R base's bytes, and costs no accuracy on texts made of kept pieces. Measure
# afterwards: texts that use dropped pieces are split differently.</details>
#
# **2. Your server is too slow. Same cut?**
# <details><summary>Answer</summary>No. Looking up a row takes no time, however many rows there are. Cut where the multiplications
# are: feed-forward neurons, heads, layers.</details>
#
# **3. A colleague reports “12.3 ms”. What do you ask?**
# <details><summary>Answer</summary>Batch size, length, threads, warm-up, how often and which average; and the time of the model before the
# change, from the same run.</details>
#
# **4. At 24 tokens you remove half of the heads. Will the quadratic term's share matter?**
# <details><summary>Answer</summary>Hardly: it is the smallest of the three at this length. Heads save time through their four matrices.</details>
#
# ## What to remember
#
# - Bytes, MACs and milliseconds are three things, and a different part leads in each.
# - Time with warm-up, medians, fixed threads, taking turns; report ratios.
# - Sort by length before you prune: padding is paid for.
# - The vocabulary is most of XLM-R base's bytes; trimming it changes no answer for texts made of kept pieces.
#
# ## Sources
#
# - Conneau et al. 2020, *Unsupervised Cross-lingual Representation Learning at Scale*: the vocabulary (section 3).
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: MACs of heads and neurons (section 4.1).
# - Ushio, Zhou, Camacho-Collados 2023, *An Efficient Multilingual Language Model Compression through Vocabulary Trimming* (section 3).
# - Yang et al. 2022, *TextPruner*: vocabulary pruning of XLM-R.
# - Press and Wolf 2017, *Using the Output Embedding to Improve Language Models*: tied weights.
