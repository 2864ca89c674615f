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
# **You will be able to** say why attention replaced recurrence, write it from its equation, rebuild a whole model around your
# function and get the original's own numbers, and read a picture of attention without being fooled by it.
#
# {minutes, 1 computing} Lesson 00 comes first.
#
# Before you remove a head you should have built one.

# %% tags=["setup"]
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.benchmark import Timer

import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other random weights
pl.check_environment();

# %% [markdown]
# ## Why attention: the bottleneck
#
# In 2014 a neural translator was two [recurrent networks](glossary.md#recurrent-neural-network). The first read the source word by word
# and kept one vector as its memory, rewriting it at every step. The last state of that vector was all that the second network got to
# write the translation from. Five words or fifty, everything had to fit into the same thousand numbers or so, and long sentences
# were translated badly (Cho et al. 2014).
#
# Bahdanau, Cho and Bengio (2015) removed the bottleneck. They kept the vectors of *all* source words. Before each word that it wrote, the
# second network looked back at them and took a weighted mean, with weights computed anew each time. They called this **attention**. Two years
# later Vaswani et al. (2017) dropped the recurrence and kept the attention: that is the [Transformer](glossary.md#transformer).

# %%
pl.figures.bottleneck()

# %% [markdown]
# ### One step at a time
#
# A recurrent network, **RNN** for short, needs step 6 before it can do step 7. Attention compares all tokens with all tokens in one matrix
# product. Both get the same inputs, of growing length, on one thread. The recurrent network is an [LSTM](glossary.md#lstm):

# %%
D, HEADS = 384, 12                  # as in the course's model
torch.manual_seed(SEED)
lstm = nn.LSTM(D, D, batch_first=True)
built_in = nn.MultiheadAttention(D, HEADS, batch_first=True)


@torch.inference_mode()
def milliseconds(call):
    """Milliseconds of a call: the median of many, on one thread."""
    timer = Timer("call()", globals={"call": call})
    timer.timeit(20)                                       # to warm up
    return 1000 * timer.blocked_autorange(min_run_time=0.1).median


# %%
LENGTHS = [8, 16, 32, 64, 128]
inputs = [torch.randn(1, n, D) for n in LENGTHS]
ms = {"LSTM": [milliseconds(lambda: lstm(x)) for x in inputs],
      "attention": [milliseconds(lambda: built_in(x, x, x)) for x in inputs]}
pl.figures.curves(LENGTHS, ms, title="One step after the other, or all at once",
                  xlabel="tokens", ylabel="milliseconds", ylim=(0, None))

# %% [markdown]
# The LSTM pays for every step. Attention does more arithmetic as the text grows, since every pair of tokens is compared, but it never waits,
# so a processor with many cores can do all of it at once.
#
# ### How far does a word reach?
#
# The other weakness is memory. How much does the last output still depend on the first word? Its gradient tells. Predict first:

# %%
pl.quiz("01.far_word")


# %%
def influence(read, T=60):
    """How much the last output depends on each input: gradient norms, the largest is 1."""
    x = torch.randn(1, T, D, requires_grad=True)
    gradient, = torch.autograd.grad(read(x)[0][0, -1].sum(), x)
    norms = gradient[0].norm(dim=-1)
    return (norms / norms.max()).tolist()


torch.manual_seed(SEED)
rnn, loud = (nn.RNN(D, D, batch_first=True) for _ in range(2))
open_gate = nn.LSTM(D, D, batch_first=True)
with torch.no_grad():
    loud.weight_hh_l0.mul_(4)
    open_gate.bias_hh_l0[D:2 * D] = 3      # the forget gate now keeps about 95 %

# %%
readers = {"RNN": rnn, "RNN, weights × 4": loud, "LSTM": lstm,
           "LSTM, gate held open": open_gate, "attention": lambda x: built_in(x, x, x)}
reach = {name: influence(read) for name, read in readers.items()}
pl.figures.how_far(reach)

# %% tags=["nbval-check-output"]
pl.claim("after 59 steps under a millionth is left in the RNN and in the LSTM as PyTorch "
         "makes it", max(reach["RNN"][0], reach["LSTM"][0]) < 1e-6)
pl.claim("over a tenth is left where the gate is held open, and in attention",
         min(reach["LSTM, gate held open"][0], reach["attention"][0]) > 0.1)
pl.claim("with larger weights the RNN depends most on what is oldest",
         reach["RNN, weights × 4"][0] > reach["RNN, weights × 4"][-1])

# %% [markdown]
# All five are untrained, so this says nothing about how good they become. It shows the difficulty. Recurrence multiplies the influence of a
# word by some factor at every step: below 1 the influence vanishes, above 1 it explodes, and only a factor held close to 1 carries a word far.
# The LSTM was made to hold it there (Hochreiter and Schmidhuber 1997); the forget gate, which learns when to let go, was added later (Gers et
# al. 2000). Attention has no such factor, because every word is one step away.
#
# ### What it costs
#
# Some tutorials add that Transformers need less memory than RNNs. It is the other way round. While it reads, a recurrent network keeps one
# vector (an LSTM two), however long the text. Attention keeps two for *each* token, its key and value (next section), and computes one number
# for each pair of tokens in each head:

# %%
def megabytes(T):
    """Sizes of the LSTM's state, of keys and values, and of all pairs, 4 bytes a number."""
    return [f"{4 * n / 1e6:,.3f} MB" for n in (2 * D, 2 * T * D, HEADS * T * T)]


pl.table([("tokens", "LSTM's state", "keys and values", f"all pairs, {HEADS} heads"),
          *((T, *megabytes(T)) for T in (32, 512, 8192))])

# %% [markdown]
# That is for one layer and one text. Twice the length costs four times the pairs. Good kernels never store the last column (see “At LLM scale”),
# but they still have to compute it. In training the comparison is milder, since an RNN must also keep the states of all steps.
#
# ## Query, key, value
#
# > Bill bought Oreos and salad. He also paid in cash.
#
# To make sense of *He*, one has to look back to *Bill*. Attention does this as a soft dictionary. **Every** token makes three vectors:
# a **[query](glossary.md#query-key-value)** (what am I looking for?), a **key** (what can I be found by?) and a **value** (what do I pass
# on when I am found?). Each is the token's vector times a learned matrix: with all tokens as the rows of $X$,
#
# $$Q = XW_q,\qquad K = XW_k,\qquad V = XW_v.$$
#
# Some tutorials give the query to one word and keys and values to the others. No: each token has all three, and all look at once. Why three
# matrices? With one for all three, *Bill* would score *he* exactly as *he* scores *Bill*, most tokens would match themselves best, and
# what a token is found by would also be all it could say.
#
# ### By hand: three tokens, two numbers each

# %%
WORDS = ["Bill", "paid", "he"]
X = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
W_query = torch.tensor([[1.0, 1], [1, -1]])
W_key = torch.tensor([[2.0, 0], [-1, 1]])
W_value = torch.tensor([[4.0, 0], [-4, 2]])
pl.table([("token", "x", "query", "key", "value")] + [
    (word, *(str(v.int().tolist()) for v in (x, x @ W_query, x @ W_key, x @ W_value)))
    for word, x in zip(WORDS, X)])

# %% [markdown]
# Take the last row. The query of *he* meets each key in a dot product, which is large where the two point the same way. Work out the three
# dot products on paper, then answer:

# %%
pl.quiz("01.by_hand")

# %%
pl.figures.attention_by_hand(WORDS, X, W_query, W_key, W_value)

# %% [markdown]
# The **scores** are divided by $\sqrt d$, with $d$ the size of a query (here 2; we shall see why). A softmax turns each row of them into positive
# numbers that add up to 1, the **[attention weights](glossary.md#attention-weights)**. The output is the mean of all values under these weights. So *he* leaves
# this layer as little more than the value of *Bill*: nothing was copied or looked up, and yet it works like a lookup.
#
# ## The equation
#
# $$\mathrm{Attention}(Q,K,V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d}}\right)V$$
#
# **Exercise 1: write it** (medium, 8 minutes). The rest of this lesson runs on your function. There may be more dimensions in front, such as a
# batch and heads, so transpose the last two only. `allowed`, if given, is `True` where a query (row) may look at a key (column); it has the
# shape of the scores, or can be broadcast to it. A key that is not allowed must get weight 0, and the other weights must still add up to 1.
# Return the weighted means of the values.
#
# <details><summary>First hint</summary>Three lines do: scores, mask, softmax and mean. <code>K.transpose(-1, -2)</code> swaps the last
# two.</details>
# <details><summary>Second hint</summary>What score becomes 0 in a softmax? <code>scores.masked_fill(~allowed, -torch.inf)</code>, and only
# if <code>allowed is not None</code>.</details>

# %%
def attention(Q, K, V, allowed=None):
    """Q: (…, T, d); K: (…, S, d); V: (…, S, v); allowed: bool (…, T, S) → (…, T, v)"""
    # solution
    scores = Q @ K.transpose(-1, -2) / Q.shape[-1] ** 0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1) @ V
    # end


# %% tags=["nbval-check-output"]
attention = pl.check("01.attention", attention)

# %% [markdown]
# Now compare it with PyTorch's own, on random numbers: twelve heads, six tokens, some pairs forbidden. And a trick that we shall use below: if
# the values are the identity matrix, the output is the weights themselves.

# %%
torch.manual_seed(SEED)
QKV = torch.randn(3, HEADS, 6, 32)
some = (torch.rand(6, 6) < 0.7) | torch.eye(6).bool()
mine, theirs = attention(*QKV, some), F.scaled_dot_product_attention(*QKV, attn_mask=some)
print(f"largest difference to PyTorch: {(mine - theirs).abs().max():.0e}")
print("weights of the three words:")
print(attention(X @ W_query, X @ W_key, torch.eye(3)).numpy().round(2))

# %% [markdown]
# Why divide by $\sqrt d$? The dot product of two vectors of $d$ independent entries with variance 1 has a spread (standard deviation) of
# $\sqrt d$. Large scores make the softmax give everything to one token, and then its gradient vanishes and nothing is learned:

# %%
def spread(d):
    """Spread of the scores of 200 × 16 queries; mean largest weight without and with √d."""
    queries, keys = torch.randn(2, 200, 16, d)
    scores = queries @ keys.transpose(-1, -2)
    largest = [s.softmax(-1).amax(-1).mean() for s in (scores, scores / d ** 0.5)]
    return d, f"{scores.std():.1f}", *(f"{weight:.0%}" for weight in largest)


torch.manual_seed(SEED)
pl.table([("d", "spread of scores", "largest weight", "largest weight, divided by √d"),
          *map(spread, (4, 64, 1024))])

# %% [markdown]
# ## What attention gave up: order
#
# Shuffle the words, and attention gives the same outputs, shuffled. It sees a bag of words:

# %%
torch.manual_seed(SEED)
bag, order = torch.randn(60, 32), torch.randperm(60)
shuffled = bag[order]
same = attention(shuffled, shuffled, shuffled) - attention(bag, bag, bag)[order]
print(f"largest difference: {same.abs().max():.0e}")

# %% [markdown]
# So each token gets a vector added that says where it stands, its **[positional embedding](glossary.md#positional-embedding)**. This model
# learned one for each position (most current language models rotate queries and keys instead). Neighbouring positions have similar vectors
# (the stripes: so do some that are further apart):

# %%
model, tokenizer = pl.load(pl.prepare("embedded"))
embeddings, blocks = model.base_model.embeddings, model.base_model.encoder.layer
L, H = model.config.num_hidden_layers, model.config.num_attention_heads
first = embeddings.padding_idx + 1         # positions start after the padding's number
P = embeddings.position_embeddings.weight.detach()[first:first + 40]
P = F.normalize(P - P.mean(0), dim=-1)
near, far = (P[:-1] * P[1:]).sum(-1).mean(), (P[:-20] * P[20:]).sum(-1).mean()
pl.claim("neighbours are more similar than positions twenty apart", near > far)
pl.figures.similarity(P @ P.T, "How similar are positions? (mean taken off)")

# %% [markdown]
# ## A whole layer, and a whole model
#
# One set of attention weights can follow one kind of relation. **Multi-head attention** cuts queries, keys and values into
# [heads](glossary.md#attention-head), lets each head look for itself, puts their outputs side by side again and mixes them with an output
# matrix. The cut is yours to write.
#
# **Exercise 2: split into heads** (easy, 4 minutes). From `(batch, T, heads · size)` to `(batch, heads, T, size)`. Head 0 owns the first
# `size` numbers of each token's vector, head 1 the next, and so on.
#
# <details><summary>Hint</summary>Two steps. Which dimension has to be split, and into what? Then which two have to change places?</details>

# %%
def split_heads(x, heads):
    """x: (batch, T, heads · size) → (batch, heads, T, size)"""
    # solution
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
    # end


# %% tags=["nbval-check-output"]
split_heads = pl.check("01.split_heads", split_heads)

# %% [markdown]
# After the heads, the layer adds what came in (the **[residual connection](glossary.md#residual-connection)**) and brings each token's vector
# to one scale (**[LayerNorm](glossary.md#layernorm)**). Then comes the other half, the
# **[feed-forward network](glossary.md#feed-forward-network)**, which treats each token by itself: one matrix up to the
# [neurons](glossary.md#neuron), GELU, one matrix down, residual and LayerNorm again. Attention moves information between tokens; the
# feed-forward half works on what has arrived, and it is the larger half of the work. Pruning removes heads from the one and neurons from the other.

# %%
def queries_keys_values(block, x):
    """Each (batch, heads, T, size)"""
    part = block.attention.self
    return [split_heads(matrix(x), H) for matrix in (part.query, part.key, part.value)]


@torch.inference_mode()
def layer_by_hand(block, x, allowed=None):
    """x: (batch, T, d) → (batch, T, d)"""
    out = block.attention.output
    mixed = attention(*queries_keys_values(block, x), allowed)
    x = out.LayerNorm(x + out.dense(mixed.transpose(1, 2).flatten(2)))
    neurons = F.gelu(block.intermediate.dense(x))
    return block.output.LayerNorm(x + block.output.dense(neurons))


# %% [markdown]
# Those few lines are a complete Transformer layer. Twelve of them make the model. At the end each token has a vector, but the intent is one
# answer: the [classification head](glossary.md#task-head) reads the vector of the first token, **`<s>`**, and nothing else. So `<s>` is no mere
# separator: whatever the model knows about the sentence must have been collected there by the last layer. `</s>` only marks the end.
# (We call these two **special tokens** *the marks*.)

# %%
TEXT = "Bill bought Oreos and salad. He also paid in cash."
ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
everyone = lambda layer, T: torch.ones(T, T).bool()      # who may look at whom, later


@torch.inference_mode()
def answer_by_hand(ids, pattern=everyone):
    """Logits of the intents; pattern(layer, T): bool (T, T). All may see themselves."""
    x, T = embeddings(input_ids=ids), ids.shape[1]
    for i, block in enumerate(blocks):
        x = layer_by_hand(block, x, pattern(i, T) | torch.eye(T).bool())
    return model.classifier(x)                           # reads x[:, 0], that of <s>


with torch.inference_mode():
    apart = (answer_by_hand(ids) - model(ids).logits).abs().max()
print(f"{L} layers by hand, the answer differs from the model's by {apart:.0e} at most")

# %% tags=["nbval-check-output"]
pl.claim("your attention makes this model's own answers", apart < 1e-3)

# %% [markdown]
# You have rebuilt the model around your own function. To get the attention weights from the original, load it with
# `attn_implementation="eager"`, because the fused kernels never write them down, and pass `output_attentions=True`. Then take
# `outputs.attentions`; `outputs[-1]`, which some tutorials use, is something else if that argument is missing. `pl.attention_maps` does all this.
#
# ## He and She
#
# Does any head look from *He* to *Bill*? We search the weights of all heads, the **attention maps**, of shape (layers, heads, T, T).

# %%
def look_from_to(text, start, end):
    """The weight from the word `start` to the word `end`, in all heads: (layers, heads)"""
    maps = torch.stack(pl.attention_maps(model, tokenizer, text).maps)[:, 0]
    at, places = text.index(end), tokenizer(text)
    there = {places.char_to_token(at + i) for i in range(len(end))}
    return maps[:, :, places.char_to_token(text.index(start)), sorted(there)].sum(-1)


to_bill = look_from_to(TEXT, "He", "Bill")
LAYER, HEAD = divmod(int(to_bill.argmax()), H)
found = pl.attention_maps(model, tokenizer, TEXT)
he, bill = (tokenizer(TEXT).char_to_token(TEXT.index(word)) for word in ("He", "Bill"))
pl.figures.where_it_looks(found.tokens, found.maps[LAYER][0, HEAD, he], bill,
                          f"Where “He” looks, layer {LAYER}, head {HEAD}")

# %% [markdown]
# A head that understands pronouns? We picked it from all heads because it fits, so the picture proves nothing yet. An experiment changes one
# thing: ours changes the pronoun, and watches the head named above the bars. Predict:

# %%
pl.quiz("01.he_she")

# %%
def swapped(word):
    text = TEXT.replace("He ", f"{word} ")
    return f"{look_from_to(text, word, 'Bill')[LAYER, HEAD]:4.0%} on Bill in: {text}"


print(swapped("He"), swapped("She"), sep="\n")

# %% [markdown]
# Now it is tempting to write that the head knows Bill to be a man. One swap is an anecdote. If the story is true, names of women must do the
# opposite, so we cross names with pronouns, in three sentences that had no part in choosing the head.

# %%
pl.quiz("01.women")

# %%
NAMES = {"men's names": ("Bill", "Tom", "John", "Peter", "Paul", "David"),
         "women's names": ("Mary", "Anna", "Julia", "Sarah", "Emma", "Maria")}
FRAMES = ("{} bought bread and milk. {} also paid in cash.",
          "{} went home. {} was tired.", "{} plays the piano. {} also sings.")


def crossed(names):
    """The weight on the name with He and with She: (names · sentences, 2)"""
    return torch.stack([
        torch.stack([look_from_to(frame.format(name, word), word, name)[LAYER, HEAD]
                     for word in ("He", "She")])
        for name in names for frame in FRAMES])


weights_on_names = {group: crossed(names) for group, names in NAMES.items()}
pl.figures.pronouns(weights_on_names, ("He", "She"),
                    f"Layer {LAYER}, head {HEAD}: six names, three sentences each")

# %% tags=["nbval-check-output"]
men, women = weights_on_names.values()
for group, pairs in weights_on_names.items():
    he_wins = int((pairs[:, 0] > pairs[:, 1]).sum())
    print(f"{group}: more from He than from She in {he_wins} of {len(pairs)} pairs")
pl.claim("men's names get more from He than from She, in every pair",
         (men[:, 0] > men[:, 1]).all())
pl.claim("women's names do not get more from She than from He on average",
         women[:, 1].mean() <= women[:, 0].mean())

# %% [markdown]
# Half of the story survives. From *He* this head finds the name, above all a man's name. From *She* it finds hardly any name, not even a woman's.
# So it does not match pronouns with names; it responds to *He*. From *Bill* alone, or from one lucky name, we would have concluded the
# opposite. And 18 of 18 alone proves little: a head picked because of *He* favours *He* in an untrained model, too, though by next to nothing.
# The evidence is the size of the difference.
#
# All this shows only where information *can* flow. Whether the model uses it shows when the head is taken away (lesson 06). Whether attention
# weights explain anything is disputed: Jain and Wallace (2019) say no, Wiegreffe and Pinter (2019) object.
#
# ## Read the pictures
#
# BertViz's **head view** draws a line from each token (left) to those it looks at (right). It opens with only our head switched on. **Hover over
# “He”**: its lines alone stay. Then choose other layers in the menu; click a square to switch a head on or off, double-click it to see that
# head alone. There are ten colours, so heads 0 and 10 share one.

# %%
pl.show_heads(model, tokenizer, TEXT, layer=LAYER, heads=[HEAD])

# %% [markdown]
# The same weights can be drawn as a map, where a **row** is the token that looks and a **column** the token that is looked at. A few shapes come
# back in every Transformer (Clark et al. 2019):

# %%
pl.figures.pictograms()

# %% [markdown]
# Now the **model view**: rows are layers, each with its colour, columns are heads. Click a map to enlarge it. How many of the shapes
# can you find?

# %%
pl.show_model(model, tokenizer, "The cat saw the cat.")

# %% [markdown]
# How many heads show which shape? Let us count, on forty test sentences, each said twice so that words come back.

# %%
def patterns_in(sentence):
    """Mean share of the words' attention by pattern: {name: (layers, heads)}"""
    twice = f"{sentence} {sentence}"
    maps = torch.stack(pl.attention_maps(model, tokenizer, twice).maps)[:, 0]
    numbers = torch.tensor(tokenizer(twice)["input_ids"])
    again = (numbers[:, None] == numbers).fill_diagonal_(False)      # elsewhere, not itself
    of_words = maps[:, :, 1:-1]
    return {"token before": maps.diagonal(-1, 2, 3)[..., 1:-1].mean(-1),
            "token after": maps.diagonal(1, 2, 3)[..., 1:-1].mean(-1),
            "same word elsewhere": (of_words * again[1:-1]).sum(-1).mean(-1),
            "start, <s>": of_words[..., 0].mean(-1),
            "end, </s>": of_words[..., -1].mean(-1),
            "<s> and </s>": (of_words[..., 0] + of_words[..., -1]).mean(-1)}


# %%
SENTENCES = pl.load_intents("test", limit=40, seed=SEED).sentences
counts = [patterns_in(sentence) for sentence in SENTENCES]
shares = {name: torch.stack([c[name] for c in counts]).mean(0) for name in counts[0]}
pl.figures.patterns(shares)

# %% tags=["nbval-check-output"]
half = {name: int((share >= 0.5).sum()) for name, share in shares.items()}
pl.claim("most heads spend more than half of their attention on <s> and </s>",
         half["<s> and </s>"] > L * H / 2)
pl.claim("hardly any head spends half of it on the token before, after, or the same word",
         max(half[name] for name in list(half)[:3]) <= 4)

# %% [markdown]
# A handful of heads do something one can name. Most look at the two marks: the lower layers at `<s>`, the upper ones at both alike. The weights
# of a row must add up to 1, so they have to go somewhere, and Clark et al. *speculate* that a head looks at such tokens when it has nothing to
# do. May one then prune most heads? Look around first: type a sentence, in any language, and move through layers and heads.

# %%
def one_map(sentence, layer, head):
    places, notes = tokenizer(sentence, verbose=False), []
    if len(places["input_ids"]) > 42:
        sentence = sentence[:places.token_to_chars(38).end]
        notes.append("The text is too long for the map: these are its first tokens.")
    if tokenizer.unk_token_id in places["input_ids"]:
        notes.append("<unk>: the course's model has no piece for these characters.")
    seen = pl.attention_maps(model, tokenizer, sentence)
    return [pl.figures.attention_map(seen.tokens, seen.maps[layer][0, head],
                                     f"layer {layer}, head {head}"), *notes]


l, h = divmod(int(shares["token after"].argmax()), H)
pl.explore(one_map, sentence="The cat saw the cat.", layer=list(range(L)),
           head=list(range(H)), start={"layer": l, "head": h})

# %% [markdown]
# ## Looked at, and taken
#
# What a token receives from a head is a sum: weight × value for each token it looks at, sent through the head's columns of the output matrix. A
# large weight on a value that is almost zero brings almost nothing. So compare the *sizes* of these terms (Kobayashi et al. 2020).
#
# **Exercise 3: what is taken** (medium, 6 minutes). Compute, for one head, the size of the term that each token $i$ (row) takes from each token
# $j$ (column), $\lVert w_{ij}\, W_o v_j \rVert$, as a share of the sum of its row.
#
# <details><summary>Hint</summary>The size of $W_o v_j$ does not depend on $i$. Compute it once for each column, multiply, then divide each row
# by its sum.</details>

# %%
def taken(weights, values, W_out):
    """weights: (T, S); values: (S, size); W_out: (d, size) → (T, S), rows add up to 1"""
    # solution
    sizes = weights * (values @ W_out.T).norm(dim=-1)
    return sizes / sizes.sum(-1, keepdim=True)
    # end


# %% tags=["nbval-check-output"]
taken = pl.check("01.taken", taken)

# %%
pl.quiz("01.taken_from_marks")


# %%
def by_kind(maps):
    """Means of the words' rows on <s>, on </s>, on words: (heads, T, T) → (heads, 3)"""
    rows = maps[:, 1:-1]
    return torch.stack([rows[..., 0], rows[..., -1], rows[..., 1:-1].sum(-1)], -1).mean(1)


# %%
@torch.inference_mode()
def looked_and_taken(sentence):
    """(2, layers, heads, 3): what is looked at, and what is taken"""
    x, layers = embeddings(tokenizer(sentence, return_tensors="pt")["input_ids"]), []
    for block in blocks:
        Q, K, V = (part[0] for part in queries_keys_values(block, x))   # (heads, T, size)
        weights = attention(Q, K, torch.eye(K.shape[1]))
        W_out = block.attention.output.dense.weight.unflatten(1, (H, -1)).transpose(0, 1)
        sizes = torch.stack([taken(*head) for head in zip(weights, V, W_out)])
        layers.append(torch.stack([by_kind(weights), by_kind(sizes)]))
        x = layer_by_hand(block, x)
    return torch.stack(layers, 1)


# %%
looked, took = torch.stack([looked_and_taken(s) for s in SENTENCES]).mean(0)
pl.figures.looked_and_taken(looked.mean(1), took.mean(1), ("<s>", "</s>", "words"))

# %% tags=["nbval-check-output"]
marks = [int((values[..., :2].sum(-1) >= 0.5).sum()) for values in (looked, took)]
print(f"heads with at least half on <s> and </s>: looked at {marks[0]}, taken {marks[1]}")
pl.claim("most heads look at the marks, and fewer than a quarter take most from them",
         marks[0] > L * H / 2 and marks[1] < L * H / 4)

# %% [markdown]
# In these sentences the marks are looked at most, yet most of what is passed on comes from words, because the values of the marks are
# small. (The last layer is the exception, but there only the row of `<s>` is ever read.) A head can park its attention on a mark and still do
# its work with the rest. So the count above is no list of heads to cut. How much a head matters shows in the answers when it is gone; lesson
# 06 measures that.
#
# ## Who may look where
#
# XLM-R is an **[encoder](glossary.md#encoder)**: it reads a finished text, so every token may see all of it. A
# **[decoder](glossary.md#decoder)** writes one token after the other. In training, the words to come are in the batch as well and must be hidden.
#
# **Exercise 4: no looking ahead** (easy, 2 minutes). The **[causal mask](glossary.md#causal-mask)** of `n` tokens: `True` where a query (row) may
# look at a key (column), which is itself and everything before it.

# %%
def causal_mask(n):
    """→ bool (n, n)"""
    # solution
    return torch.ones(n, n).tril().bool()
    # end


# %% tags=["nbval-check-output"]
causal_mask = pl.check("01.causal_mask", causal_mask)

# %%
torch.manual_seed(SEED)
read, written = torch.randn(7, 16), torch.randn(5, 16)     # seven tokens read, five written
W_a, W_b = torch.randn(2, 16, 16) / 4
kinds = {"self-attention\nthe text at itself": (read, read),
         "masked self-attention\nat what came before": (written, written, causal_mask(5)),
         "cross-attention\nthe written at the text": (written, read)}
pl.figures.kinds_of_attention({
    name: attention(who @ W_a, whom @ W_b, torch.eye(len(whom)), *mask)
    for name, (who, whom, *mask) in kinds.items()})

# %% [markdown]
# All three are your function. They differ in who asks, who answers and what is allowed. Three families of models are built from them:

# %%
pl.figures.architectures()

# %% [markdown]
# The first Transformer was a translator and had both halves, joined by **[cross-attention](glossary.md#cross-attention)**. BERT and XLM-R kept
# the encoder. GPT and nearly all of today's chatbots kept the decoder alone: masked self-attention, and no cross-attention anywhere.
#
# ## Challenge: how little looking is enough?
#
# Your model by hand takes a `pattern`: for each layer, who may look at whom. With `everyone`, all pairs are used. Allow as few as you can and keep
# at least 90 % of the validation sentences right. A token may always see itself, so $1/T$ of the pairs is the least. The attempt below lets
# each token see three neighbours on either side, and lets `<s>` see, and be seen by, all. Ask which layers need what: who must have seen the
# words by the end? Where do heads look that have nothing to do?

# %%
def pattern(layer, T):
    """Who (row) may look at whom (column): bool (T, T); token 0 is <s>."""
    place = torch.arange(T)
    allowed = (place[:, None] - place).abs() <= 3     # improve from here; use `layer`
    allowed[0, :] = True                              # <s> sees all
    allowed[:, 0] = True                              # all see <s>
    return allowed


# %%
def try_out(pattern, data):
    """(share of the pairs that are looked at, share of the sentences that are right)"""
    used = pairs = right = 0
    for batch in data.batches(tokenizer, 1):
        T = batch["input_ids"].shape[1]
        seen = torch.stack([pattern(i, T) | torch.eye(T).bool() for i in range(L)])
        used, pairs = used + int(seen.sum()), pairs + seen.numel()
        answer = answer_by_hand(batch["input_ids"], pattern).argmax()
        right += int(answer == batch["labels"])
    return used / pairs, right / len(data.sentences)


# %%
validation = pl.load_intents("validation", limit=200, seed=SEED)
whole, (cost, accuracy) = try_out(everyone, validation), try_out(pattern, validation)
print(f"everyone: {whole[0]:.0%} of the pairs, {whole[1]:.1%} of the sentences right")
pl.challenge("01.fewest_pairs", cost, accuracy)
pl.figures.who_may_look(torch.stack([pattern(i, 11) for i in range(L)]),
                        "Who may look at whom, for eleven tokens")

# %% [markdown]
# Done improving? Then look at the test set, once. You chose on 200 sentences, so expect a little less:

# %%
share, right = try_out(pattern, pl.load_intents("test", limit=300, seed=SEED))
print(f"test: {share:.0%} of the pairs, {right:.1%} of 300 sentences right "
      f"(standard error {(right * (1 - right) / 300) ** 0.5:.1%})")

# %% [markdown]
# Such a pattern saves no time here, because your function computes all pairs and then forbids some. Kernels that skip them exist for long
# texts. And these are short commands, in which a few words decide. To find out who *he* is on page 40, a model must look far.
#
# <details><summary><b>At LLM scale</b></summary>
#
# - **Windows.** Longformer (Beltagy et al. 2020) lets tokens see their neighbours and a few tokens see everything, as your pattern does. Mistral 7B
#   uses windows of 4,096 tokens in all layers (Jiang et al. 2023, <i>Mistral 7B</i>).
# - **Sinks.** A language model whose window drops the very first tokens breaks down, even if they mean nothing, because heads park their
#   attention there. If four of them are kept beside the window, it writes on (Xiao et al. 2024, <i>Efficient Streaming Language Models with
#   Attention Sinks</i>).
#   <code>&lt;s&gt;</code> is such a sink.
# - **Memory.** FlashAttention computes the softmax block by block and never stores the pairs (Dao et al. 2022). A decoder that writes keeps keys and
#   values of all tokens, the KV cache; grouped-query attention lets several heads share them (Ainslie et al. 2023, <i>GQA</i>).
#
# </details>
#
# ## What to remember
#
# - A recurrent network squeezes a text through one vector, step by step. Attention keeps all vectors and reaches any of them in one step, at
#   the price of a computation for every pair.
# - Each token has a query, a key and a value in each head; the weights of a row add up to 1.
# - Attention moves information between tokens, the feed-forward half works on each token alone. The classifier reads `<s>`.
# - A row looks, a column is looked at. Looking is not taking, and neither proves understanding: that needs an experiment, with a control.

# %%
pl.quiz("01")

# %%
pl.progress("01")

# %% [markdown]
# ## Sources
#
# - Cho et al. 2014, *On the Properties of Neural Machine Translation: Encoder–Decoder Approaches* (long sentences).
# - Bahdanau, Cho, Bengio 2015, *Neural Machine Translation by Jointly Learning to Align and Translate* (sections 1 and 3).
# - Vaswani et al. 2017, *Attention Is All You Need*: the equation (3.2.1), heads (3.2.2), three kinds (3.2.3), positions (3.5).
# - Hochreiter, Schmidhuber 1997, *Long Short-Term Memory* (section 3). Gers, Schmidhuber, Cummins 2000, *Learning to Forget: Continual
#   Prediction with LSTM*.
# - Clark et al. 2019, *What Does BERT Look At?* (section 3). Vig 2019, *A Multiscale Visualization of Attention in the Transformer Model*.
# - Kobayashi et al. 2020, *Attention is Not Only a Weight: Analyzing Transformers with Vector Norms*.
# - Jain, Wallace 2019, *Attention is not Explanation*. Wiegreffe, Pinter 2019, *Attention is not not Explanation*.
