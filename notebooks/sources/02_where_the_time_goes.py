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
# **You will be able to** say which part of a Transformer holds its bytes, which does its work and which takes its time;
# time a model so that others can believe you; stop paying for padding; and remove the part that costs the most bytes
# and no time at all.
#
# {minutes, 1 computing} Lesson 00 comes first.
#
# Before you cut anything, find out what is large. What takes the most memory need not take the most time. Prune the wrong
# part and you gain nothing.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import copy
import statistics
import time

import torch
import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other random models
pl.check_environment();

# %% [markdown]
# ## Three models, one picture
#
# We compare the course's model with XLM-RoBERTa *base* and *large*, as they come from the hub. Counting needs no weights:
# on PyTorch's `meta` device a network has shapes but no numbers, so that even the large one takes no memory.
#
# First, a guess:

# %%
pl.quiz("02.guess_largest")

# %%
def timed(call):
    """Milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


model, tokenizer = pl.load(pl.prepare("embedded"))
first_of_all = timed(lambda: model(torch.full((1, 24), 5)))     # we come back to this

# %%
with torch.device("meta"):
    base, large = (pl.untrained(size)[0] for size in ("base", "large"))
sizes = {"this course's": pl.summary(model), "XLM-R base": pl.summary(base),
         "XLM-R large": pl.summary(large)}
megabytes = {name: {part: 4 * n / 1e6 for part, (n, _) in size.parts.items()}
             for name, size in sizes.items()}
pl.figures.parts(megabytes, title="What three models hold", xlabel="MB in float32",
                 form="{:,.0f} MB")

# %%
work = {name: {part: macs / 1e9 for part, (_, macs) in size.parts.items()}
        for name, size in sizes.items()}
pl.figures.parts(work, title="What they do for a sentence of 24 tokens", form="{:.1f} G",
                 xlabel="billions of multiply-accumulates (MACs)")

# %% [markdown]
# The [word embeddings](glossary.md#word-embeddings) are one row of numbers for each of 250,002 word pieces, in a hundred
# languages. They are most of XLM-R base, and in the second picture they do not appear at all: looking up a row takes
# no multiplication. So the largest part of the model costs bytes and no time, and the parts that cost time hold the
# smaller share of the bytes. (The effect is weaker in the course's model: its vocabulary has been trimmed already.)
#
# <details><summary><b>At LLM scale</b></summary>
#
# In today's language models the embeddings are a small part. By arithmetic from the published configurations: Llama-2 7B has 32,000
# pieces × 4,096 numbers, once for what goes in and once for what comes out, which is 4% of its parameters; Llama-3 8B, with 128,256
# pieces, has 13%. And bytes *are* time when an LLM writes for few users at once: for each new token every weight must be fetched from
# memory, and little is computed with it, so a model of half the bytes can write nearly twice as fast (on these costs: Pope et al.
# 2023, section 2). What this lesson says of bytes and time holds for models that read a whole text in one call, as encoders do.
# </details>

# %% [markdown]
# ## Count the work yourself
#
# A [**MAC**](glossary.md#mac), multiply-accumulate, is one multiplication and one addition; many tools count **FLOPs**, two for
# each MAC. A matrix of $m \times n$ numbers applied to one token costs $m\,n$ MACs. With $T$ tokens, hidden size $d$, $H$ heads of size
# $d_h$ and $n$ neurons, a layer costs
#
# $$\underbrace{4\,T d\,H d_h}_{\text{attention's four matrices}} + \underbrace{2\,T^2 H d_h}_{\text{tokens × tokens}}
# + \underbrace{2\,T d\,n}_{\text{feed-forward}}$$
#
# Let's hold the formula against the library and against PyTorch's own counter, which watches every operation.

# %%
def layer_macs(d, H, size, n, T):
    return {"attention's matrices": 4 * T * d * H * size,   # query, key, value, output
            "tokens × tokens": 2 * T * T * H * size,        # scores, and the mix of values
            "feed-forward": 2 * T * d * n}


config, T = model.config, 24
L, H, d, n = (config.num_hidden_layers, config.num_attention_heads, config.hidden_size,
              config.intermediate_size)
by_hand = L * sum(layer_macs(d, H, d // H, n, T).values())
library = pl.encoder_macs(model, length=T)
print(f"by hand {by_hand:,}\nlibrary {library:,}")

# %%
from torch.utils.flop_counter import FlopCounterMode

counting = copy.deepcopy(model)
counting.set_attn_implementation("eager")     # the counter cannot see the fused kernel
ids = torch.randint(5, config.vocab_size, (1, T),
                    generator=torch.Generator().manual_seed(SEED))
with FlopCounterMode(display=False) as counter, torch.no_grad():
    counting.base_model(ids)
counted = counter.get_total_flops() // 2      # two FLOPs are one MAC
print(f"counted {counted:,}")
assert by_hand == library == counted

# %% [markdown]
# They agree to the last multiplication. The middle term grows with the *square* of the length, for which attention is notorious.
# Move the slider: from what length on does that matter?

# %%
def shares_at(tokens):
    shares = layer_macs(d, H, d // H, n, tokens)
    return pl.figures.parts({"a layer's MACs": shares}, form="", xlabel="MACs", height=2,
                            title=f"{tokens:,} tokens")


pl.explore(shares_at, tokens=[24, 64, 128, 256, 512, 1024, 2048, 4096, 8192])

# %% [markdown]
# For short sentences it hardly counts: the matrices do the work. You can compute where that ends.
#
# **Exercise 1. The crossover** (medium, 6 minutes). From what length $T$ on do tokens × tokens cost as many MACs as the
# attention's matrices and the feed-forward part *together*? Set the middle term of the formula equal to the sum of the other two, and
# solve for $T$. `heads` and `neurons` are those of one layer, perhaps a pruned one.
#
# <details><summary>Hint</summary>Divide all three terms by 2T.</details>

# %%
def crossover(d, heads, size, neurons):
    """The length T, in tokens: a number, not rounded."""
    # solution
    return 2 * d + d * neurons / (heads * size)
    # end


# %% tags=["nbval-check-output"]
crossover = pl.check("02.crossover", crossover)

# %%
def crossover_of(c):
    size = c.hidden_size // c.num_attention_heads
    return crossover(c.hidden_size, c.num_attention_heads, size, c.intermediate_size)


CONFIGS = {"this course's": config, "XLM-R base": base.config, "XLM-R large": large.config}
pl.table([("model", "crossover, tokens", "longest text it reads"),
          *((name, f"{crossover_of(c):,.0f}", f"{c.max_position_embeddings - 2:,}")
            for name, c in CONFIGS.items())])

# %% [markdown]
# None of the three models can read a text that long. “Attention is quadratic” is true, but in an encoder of sentences the quadratic term
# is not where the time goes. (In documents of ten thousand tokens it is.)
#
# ## Time it wrong
#
# Now for milliseconds. Somebody has a new version of our model. They run the old one once, then the new one once, and
# compare. The new one is a copy of the old one.

# %%
pl.quiz("02.guess_copy")

# %%
old, _ = pl.load(pl.prepare("embedded"))
old.train()                                              # as training leaves it
new = copy.deepcopy(old).eval()                          # the very same weights
sentence = torch.randint(5, config.vocab_size, (1, 37))
first, second = timed(lambda: old(sentence)), timed(lambda: new(sentence))
print(f"old {first:.1f} ms, new {second:.1f} ms: {first / second:.1f} times as fast?")

# %% [markdown]
# Nothing is new about the new one. The comparison made several mistakes at once, so let's make each of them *alone*: the
# same model, the same 24 tokens, one thing done wrong. All of them take turns, so that a slow moment of the machine hits all alike.

# %%
def run(m, tokens=ids, gradients=False):
    with torch.inference_mode(not gradients):
        return timed(lambda: m(tokens))


def on_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ms = run(model)
    torch.set_num_threads(before)
    return ms


def turns(calls, repeats=15, warm_up=5):
    """{name: milliseconds of each turn}; the first turns do not count."""
    every = [{name: calls[name]() for name in list(calls)[::(-1) ** turn]}    # to and fro
             for turn in range(warm_up + repeats)]
    return {name: [found[name] for found in every[warm_up:]] for name in calls}

# %%
padded = torch.ones(1, 128, dtype=torch.long)
padded[:, :T] = ids                                      # 1 is the padding piece
MISTAKES = {"none": lambda: run(model),
            "gradients recorded": lambda: run(model, gradients=True),
            "training mode (dropout)": lambda: run(old),
            "other attention kernel (eager)": lambda: run(counting),
            "another number of threads": on_one_thread,
            "padded to 128 tokens": lambda: run(model, padded)}
mistake_ms = turns(MISTAKES)

# %%
typical = {name: statistics.median(ms) for name, ms in mistake_ms.items()}
typical["the first call of all, after loading"] = first_of_all
typical["a single call, the luckiest"] = min(mistake_ms["none"])
typical["a single call, the unluckiest"] = max(mistake_ms["none"])
ratio = {name: ms / typical["none"] for name, ms in typical.items()}
pl.table([("the mistake", "ms", "times the honest median"),
          *((name, f"{ms:.1f}", f"{ratio[name]:.2f}") for name, ms in typical.items())])

# %%
pl.figures.ranges(mistake_ms, title="The same model on the same sentence, 15 turns")

# %%
pl.claim("the first call of all, and training mode, take longer than they should",
         min(ratio["the first call of all, after loading"],
             ratio["training mode (dropout)"]) > 1.02)
pl.claim("padding to 128 tokens costs more than twice the time",
         ratio["padded to 128 tokens"] > 2)

# %% [markdown]
# - **First call.** Memory is allocated, libraries start their threads and choose kernels. (We kept the time of the first call in this notebook;
#   run the notebook twice, and it will have changed.) Call a model several times before you start the clock: the [warm-up](glossary.md#warm-up).
# - **Training mode.** Dropout draws random numbers and rules out the fast attention kernel. Say `model.eval()`.
# - **Gradients.** PyTorch keeps every intermediate result for a backward pass that never comes. Say `torch.inference_mode()`.
# - **Kernel, threads, padding, length, batch.** None of these is a mistake in itself. Comparing two models that differ in one of them is.
#   A row near 1.00 is no excuse: on another machine, or with larger batches, the same mistake can double the time.
# - **A single call** can land anywhere in the row of dots. Take many, and report the median.
#
# **On a GPU** there is one more, and it is the worst. A call to a CUDA kernel returns at once, while the GPU is still working.
# The clock then measures how fast Python can *ask*. Put `torch.cuda.synchronize()` before you start the clock and again before you read it.
# `pl.latency` does, and so does PyTorch's own stopwatch, `torch.utils.benchmark`, which warms up and repeats as
# well. That stopwatch uses one thread unless you say otherwise:

# %%
from torch.utils import benchmark

timer = benchmark.Timer("model(ids)", globals={"model": model, "ids": ids},
                        num_threads=torch.get_num_threads())
with torch.inference_mode():
    found = timer.blocked_autorange(min_run_time=0.5)
print(f"median {1000 * found.median:.1f} ms, middle half {1000 * found.iqr:.1f} ms wide")

# %% [markdown]
# ## Padding, the free win
#
# Sentences of one [batch](glossary.md#batch) must be equally long, so the shorter ones get
# [padding](glossary.md#padding). Many recipes pad everything to 128 tokens. The attention mask hides padding from the words. Does that
# save any time?

# %%
pl.quiz("02.guess_padding")

# %%
sentences = pl.load_intents("test", limit=32, seed=SEED).sentences
lengths = [len(row) for row in tokenizer(sentences)["input_ids"]]
shortest_first = sorted(range(len(sentences)), key=lambda i: lengths[i])


def batches_of(order, size=8, width=None):
    """Batches of `size` sentences, padded to `width` or to the longest of the batch."""
    how = dict(padding="max_length", max_length=width) if width else dict(padding=True)
    return [tokenizer([sentences[i] for i in order[k:k + size]], return_tensors="pt", **how)
            for k in range(0, len(order), size)]


WAYS = {"all padded to 128": batches_of(range(32), width=128),
        "to the longest of the batch": batches_of(range(32)),
        "sorted by length first": batches_of(shortest_first)}

# %%
def seen(batches):
    """Of each batch its width, then the lengths of its sentences."""
    return [[batch["input_ids"].shape[1], *batch["attention_mask"].sum(1).tolist()]
            for batch in batches]


pl.figures.padding({name: seen(batches) for name, batches in WAYS.items()},
                   title="32 sentences in four batches (dark: text, hatched: padding)")

# %%
@torch.inference_mode()
def answer(batches):
    return torch.cat([model(**batch).logits for batch in batches])


def median_ms(ways, repeats=5):
    calls = {way: lambda b=batches: timed(lambda: answer(b))
             for way, batches in ways.items()}
    return {way: statistics.median(ms) for way, ms in turns(calls, repeats, 1).items()}


padding_ms = median_ms(WAYS)
slowest = padding_ms["all padded to 128"]
pl.table([("32 sentences", "ms", "times as fast"),
          *((way, f"{ms:.0f}", f"{slowest / ms:.1f}") for way, ms in padding_ms.items())])

# %% tags=["nbval-check-output"]
plain, ordered = answer(WAYS["all padded to 128"]), answer(WAYS["sorted by length first"])
difference = (plain[shortest_first] - ordered).abs().max().item()
pl.claim("the answers are the same, to rounding", difference < 1e-3)

# %%
pl.claim("sorted by length is at least three times as fast",
         slowest > 3 * padding_ms["sorted by length first"])

# %% [markdown]
# A padding token costs as much as a real one: the mask only removes it from the others' attention, and every matrix is still applied to it. So
# before you prune anything, pad to the longest of the batch and sort by length. You have just made the model several times as fast,
# without touching a weight and without losing an answer. Nothing else in this course is that cheap.
#
# How large should a batch be? Larger ones use a processor better, but pad more. We measure all of them; then choose a size and an order.

# %%
ORDERS = {"as they come": list(range(32)), "sorted": shortest_first}
BATCH_SIZES = [1, 2, 4, 8, 16, 32]
tried = {(order, size): batches_of(ORDERS[order], size)
         for order in ORDERS for size in BATCH_SIZES}
tried_ms = median_ms(tried, repeats=3)


def show(batch_size, order):
    picture = pl.figures.padding({order: seen(tried[order, batch_size])},
                                 title=f"batches of {batch_size}")
    return [picture, f"{tried_ms[order, batch_size] / 32:.1f} ms per sentence"]


pl.explore(show, batch_size=BATCH_SIZES, order=list(ORDERS), start={"batch_size": 8})

# %% [markdown]
# <details><summary>Padding in servers, and at LLM scale</summary>
#
# A server cannot sort what has not arrived yet. It can wait some milliseconds and sort what came in that time, at the price of that wait. Then
# report the 95th percentile of the time a user waits, because a median hides the slow answers. Kernels that take sentences of different
# lengths without padding go further: ModernBERT concatenates all sentences of a batch into one row (Warner et al. 2024, on
# unpadding), and LLM servers let a new request join as soon as another has finished (*continuous batching*; Yu et al. 2022, who
# call it iteration-level scheduling).
# </details>

# %% [markdown]
# ## Time it right
#
# Two models take turns, some thirty times. How do you turn two lists of milliseconds into an answer? Comparing two medians wastes
# something: in each turn both ran within the same few milliseconds, on the same machine in the same mood. So compare *in pairs*.
#
# **Exercise 2. A fair comparison** (medium, 8 minutes). `old` and `new` are lists of milliseconds, turn by turn. Leave out the first `warm_up`
# turns. In each other turn, the speed-up is the old time over the new one. Return two numbers: the median of these speed-ups, and the
# share of turns in which the new model was faster.
#
# <details><summary>Hint</summary><code>zip(old[warm_up:], new[warm_up:])</code> gives the pairs;
# <code>statistics.median</code> takes a list.</details>

# %%
def compare(old, new, warm_up):
    """(median speed-up, share of turns that the new one won)"""
    # solution
    pairs = list(zip(old[warm_up:], new[warm_up:]))
    won = sum(b < a for a, b in pairs) / len(pairs)
    return statistics.median([a / b for a, b in pairs]), won
    # end


# %% tags=["nbval-check-output"]
compare = pl.check("02.compare", compare)

# %% [markdown]
# Now your function judges. First the copy, which cannot be faster. Then a model with half of its heads and neurons.

# %%
half = pl.prune(model, pl.random_masks(model, keep=0.5, even=True, seed=SEED))
RIVALS = {"a copy": new, "half of heads and neurons": half}


def race(whole, other, tokens=ids):
    pair = turns({"old": lambda: run(whole, tokens), "new": lambda: run(other, tokens)},
                 repeats=35, warm_up=0)
    return compare(pair["old"], pair["new"], 5)


verdicts = {name: race(model, rival) for name, rival in RIVALS.items()}
pl.table([("against the whole model", "speed-up", "turns won"),
          *((name, f"{faster:.2f}", f"{won:.0%}")
            for name, (faster, won) in verdicts.items())])

# %%
pl.claim("the copy's speed-up lies between 0.9 and 1.1", 0.9 < verdicts["a copy"][0] < 1.1)
pl.claim("the half model wins nine turns in ten, or more",
         verdicts["half of heads and neurons"][1] >= 0.9)

# %% [markdown]
# Read the two numbers together. The copy has a speed-up of about one, and then the turns won mean little: a difference of one percent, such
# as from where its weights happen to lie in memory, can win or lose most of them. The half model is faster by far more than that, and in nearly
# every turn. `pl.latency` does all of this for you: warm-up, inference mode, turns, medians, quartiles. How does the speed-up compare with
# the MACs saved?

# %%
print(f"{pl.summary(model).macs / pl.summary(half).macs:.2f} times fewer MACs")
both = {"whole": model, "half": half}
at_once = {1: pl.latency(both, batch_size=1, length=24),
           32: pl.latency(both, batch_size=32, length=24, repeats=10)}
pl.table([("sentences at once", "whole, ms", "half, ms", "times as fast"),
          *((k, *(f"{ms:.1f}" for ms in t.median.values()), f"{t.ratio['half']:.2f}")
            for k, t in at_once.items())])

# %% [markdown]
# With one sentence at a time, part of the time is not multiplication: Python, memory, starting each operation. With a batch the
# multiplications weigh more, and the ratio comes closer to that of the MACs. (It can even pass it: smaller matrices fit the processor's
# cache better.) Say with each number: batch, length, threads, and what it is compared with.
#
# ## Which part takes the time?
#
# A [**hook**](glossary.md#hook) is a function that PyTorch calls before or after a part of the model. Two hooks on each part make a stopwatch.

# %%
def watch(kind, modules, spent):
    """Hooks that add the milliseconds of these modules to spent[kind]."""
    began = {}

    def begin(module, inputs):
        began[module] = time.perf_counter()

    def end(module, inputs, output):
        spent[kind] += 1000 * (time.perf_counter() - began[module])

    return [hook for module in modules
            for hook in (module.register_forward_pre_hook(begin),
                         module.register_forward_hook(end))]

# %%
layers = model.base_model.encoder.layer
two_halves = [part for layer in layers for part in (layer.intermediate, layer.output)]
KINDS = {"embeddings": [model.base_model.embeddings],
         "attention": [layer.attention for layer in layers],
         "feed-forward": two_halves, "task head": [model.classifier]}


def time_by_part(calls=20, warm_up=5):
    spent, found = dict.fromkeys(KINDS, 0.0), []
    hooks = [hook for kind in KINDS for hook in watch(kind, KINDS[kind], spent)]
    for _ in range(calls):
        spent.update(dict.fromkeys(KINDS, 0.0))
        run(model)
        found.append(dict(spent))
    for hook in hooks:
        hook.remove()
    return {kind: statistics.median(f[kind] for f in found[warm_up:]) for kind in KINDS}

# %%
def share(values):
    return {kind: value / sum(values.values()) for kind, value in values.items()}


macs = {kind: sizes["this course's"].parts.get(kind, (0, 0))[1] for kind in KINDS}
held = {kind: sum(weight.numel() for part in modules for weight in part.parameters())
        for kind, modules in KINDS.items()}
pl.figures.parts({"bytes": share(held), "MACs": share(macs), "time": share(time_by_part())},
                 form="", xlabel="share", title="One model, three measures (24 tokens)")

# %% [markdown]
# Three measures, three different pictures. Compare the last two bars. As a rule attention takes a larger share of the time than of the MACs: it consists of
# many small operations, the feed-forward part of two large ones, and a MAC in a small operation costs more time. A budget in MACs is a good guide; a budget in
# milliseconds, as in lesson 08, is a better one.
#
# ## Prune the vocabulary
#
# You serve German and English. What are the pieces of a hundred languages for? [**Vocabulary
# trimming**](glossary.md#vocabulary-trimming) keeps the pieces that your texts use. The surgery is three lines: choose the ids that stay, keep their
# rows, give them new numbers. The third one is yours.
#
# **Exercise 3. Renumber** (easy, 5 minutes). After trimming, the pieces have new ids: row 0, 1, 2, … of the smaller table. Given a sentence's token
# ids and the sorted list `keep` of old ids that stay, return the new ids. A piece that is gone becomes `unknown`, which is a new id already.
#
# <details><summary>Hint</summary>The new id of a piece is its place in <code>keep</code>.</details>

# %%
def renumber(ids, keep, unknown):
    """A list as long as ids."""
    # solution
    place = {old: i for i, old in enumerate(keep)}
    return [place.get(old, unknown) for old in ids]
    # end


# %% tags=["nbval-check-output"]
renumber = pl.check("02.renumber", renumber)

# %%
texts = pl.load_intents("train", ["de", "en"]).sentences
used = {piece for row in tokenizer(texts)["input_ids"] for piece in row}
batch = tokenizer(texts[:64], padding=True, return_tensors="pt")
table, by_surgery = model.get_input_embeddings().weight.detach(), copy.deepcopy(model)

keep = sorted(used | set(tokenizer.all_special_ids))                      # 1. choose
rows = torch.nn.Embedding.from_pretrained(table[keep])                    # 2. cut
unknown = keep.index(tokenizer.unk_token_id)
new_ids = [renumber(row, keep, unknown) for row in batch["input_ids"].tolist()]      # 3.

# %% tags=["nbval-check-output"]
by_surgery.set_input_embeddings(rows)
with torch.inference_mode():
    as_before = model(**batch).logits
    now = by_surgery(torch.tensor(new_ids), attention_mask=batch["attention_mask"]).logits
print(f"{len(table):,} rows, {len(keep):,} stay")
pl.claim("64 sentences are answered as before, bit for bit", torch.equal(as_before, now))

# %% [markdown]
# The same answers from a much smaller table. And XLM-R base, which has the same kind of tokenizer and 250,002 pieces?

# %%
pl.quiz("02.guess_base")

# %%
small, small_tokenizer = pl.prune_vocabulary(model, tokenizer, texts)
pieces, stay = base.config.vocab_size, len(small_tokenizer)
trimmed_base = dict(megabytes["XLM-R base"])
trimmed_base["word embeddings"] *= stay / pieces
pl.figures.parts({f"{pieces:,} pieces": megabytes["XLM-R base"],
                  f"{stay:,} pieces": trimmed_base}, form="{:,.0f} MB",
                 title="XLM-R base, for German and English", xlabel="MB in float32")

# %% [markdown]
# Two thirds of the bytes are gone, and not one multiplication with them. (`pl.prune_vocabulary` keeps a few pieces
# more than we did by hand: all single characters of the scripts in use, so that no word becomes unknown.)
#
# ## What it costs
#
# Why is a text made of kept pieces split exactly as before? The tokenizer has a score for each piece, and splits a word so that the sum of scores is
# largest. Taking other pieces away removes competitors of the best split, never the best split itself. But a new sentence may need a piece that is gone:

# %%
test = pl.load_intents("test", ["de", "en"], limit=300, seed=SEED)
words = sorted({word for text in test.sentences for word in text.split()})
splits = [(word, *(" ".join(t.tokenize(word)) for t in (tokenizer, small_tokenizer)))
          for word in words]
differ = [split for split in splits if split[1] != split[2]]
print(f"{len(differ)} of {len(words)} words are split differently, such as")
pl.table([("word", "before", "after"), *differ[::max(1, len(differ) // 6)][:6]])

# %% [markdown]
# (▁ marks the start of a word.) Such words arrive as syllables and letters, which the model has rarely seen in their place. Do the
# answers suffer, and only there? We compare sentence by sentence, the same 300 before and after.

# %%
@torch.inference_mode()
def right(m, tokens, data):
    """Whether each sentence is answered correctly: (n,) of True and False."""
    return torch.cat([m(batch["input_ids"], attention_mask=batch["attention_mask"])
                      .logits.argmax(-1) == batch["labels"]
                      for batch in data.batches(tokens, batch_size=32)])


def split_alike(data):
    return torch.tensor([tokenizer.tokenize(s) == small_tokenizer.tokenize(s)
                         for s in data.sentences])


finnish = pl.load_intents("test", ["fi"], limit=200, seed=SEED)
TESTS = {"German and English": test, "Finnish": finnish}

# %%
cost_of = {}
for name, data in TESTS.items():
    pair = right(model, tokenizer, data), right(small, small_tokenizer, data)
    alike = split_alike(data)
    for how, which in (("split as before", alike), ("split differently", ~alike)):
        cost_of[f"{name}, {how}"] = [which.sum().item(),
                                     *(x[which].sum().item() for x in pair),
                                     (pair[0] != pair[1])[which].sum().item()]
pl.table([("sentences", "number", "right before", "right after", "answers that changed"),
          *((name, *map(str, found)) for name, found in cost_of.items())])

# %% tags=["nbval-check-output"]
def lost(name):
    """The share of all sentences that is no longer right."""
    n, was, now, _ = map(sum, zip(*(cost_of[key] for key in cost_of if name in key)))
    return (was - now) / n


pl.claim("right stays right and wrong stays wrong where the split is the same",
         all(found[3] == 0 for name, found in cost_of.items() if "as before" in name))
pl.claim("Finnish, which was not kept, loses at least twenty points more",
         lost("Finnish") > lost("German and English") + 0.2)

# %% [markdown]
# Nothing changes where the split is the same: the price is paid by the sentences with a missing piece, and above all by a
# language whose texts were not in the list. More text to choose from, or a few thousand of the commonest pieces besides, lowers
# it. So may trimming before fine-tuning rather than after it (Ushio et al. 2023 try both). And the time?

# %%
filler, _ = pl.load("embedded", task="fill-mask")
short, _ = pl.prune_vocabulary(filler, tokenizer, texts)
common = ids.clamp(max=stay - 1)                         # ids that both tables have
trimmed = {"intents": race(model, small, common), "fill-mask": race(filler, short, common)}
pl.table([("trimmed against whole", "speed-up", "turns won"),
          *((name, f"{faster:.2f}", f"{won:.0%}")
            for name, (faster, won) in trimmed.items())])

# %% [markdown]
# The classifier does the same multiplications, so it takes the same time. A fill-mask head is another matter: it scores every piece at every token, with
# the word embeddings themselves ([**tied weights**](glossary.md#tied-weights)), so there fewer pieces do save time. For an app that must be
# downloaded, trimming is the first thing to do; for a classifier that is too slow it is no help.
#
# ## Challenge: the smallest vocabulary
#
# How few pieces are enough for German and English? **Keep at least 90% of the validation sentences right, with as small a share of the pieces as you can.**
# The first attempt keeps all pieces of the training sentences. You may keep other texts, or ids: pieces that occur often enough
# in them, or (in this tokenizer a small id means a common piece) the first few thousand. Change `candidates`.

# %%
validation = pl.load_intents("validation", ["de", "en"], limit=400, seed=SEED)
candidates = texts                                       # texts, or ids of pieces
mine, my_tokenizer = pl.prune_vocabulary(model, tokenizer, candidates)
cost = len(my_tokenizer) / len(tokenizer)
quality = right(mine, my_tokenizer, validation).float().mean().item()
pl.challenge("02.vocabulary", cost, quality)

# %% [markdown]
# When you are content, look at the test set, once:

# %%
final = right(mine, my_tokenizer, test).float().mean()
print(f"test: {final:.1%} of {len(test)} sentences")

# %% [markdown]
# ## What to remember
#
# - Bytes, MACs and milliseconds are three things. A part's share of one says little about its share of another.
# - Time with warm-up, `eval()`, inference mode, and in turns; compare in pairs; on a GPU, synchronise. State batch, length and threads.
# - Padding costs as much as text. Pad to the longest of the batch, and sort by length, before you prune.
# - Most of XLM-R base's bytes are its vocabulary. Trimming it changes no answer for texts made of kept pieces, and saves no time in a classifier.

# %%
pl.quiz("02")

# %%
pl.progress("02")

# %% [markdown]
# ## Sources
#
# - Conneau et al. 2020, *Unsupervised Cross-lingual Representation Learning at Scale*: the vocabulary (section 3).
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: the cost of a model as a sum over heads and neurons.
# - Kudo 2018, *Subword Regularization*: the split with the largest sum of scores (section 3.2).
# - Ushio, Zhou, Camacho-Collados 2023, *An Efficient Multilingual Language Model Compression through Vocabulary Trimming*.
# - Yang et al. 2022, *TextPruner*: vocabulary pruning of XLM-R.
# - Press, Wolf 2017, *Using the Output Embedding to Improve Language Models*: tied weights.
# - PyTorch documentation, *CUDA semantics* (asynchronous execution) and *Benchmark utils* (`torch.utils.benchmark`).
# - Pope et al. 2023, *Efficiently Scaling Transformer Inference*; Warner et al. 2024, *Smarter, Better, Faster, Longer* (ModernBERT); Yu et al. 2022,
#   *Orca: A Distributed Serving System for Transformer-Based Generative Models*.
