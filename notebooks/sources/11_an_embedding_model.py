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
# # 11 · An embedding model
#
# **You will be able to** cut the multilingual embedder behind a search to a third of its work without a single label,
# measure retrieval in 22 languages in a way that you can defend, and make both the model and the index smaller.
#
# {minutes, 2 computing}
#
# Lessons 04 and 05 come first; 08 and 09 help.
#
# So far every model had labels to be right or wrong about. An **embedder** has none: it turns a text into a vector, and
# promises only that texts of similar meaning get similar vectors. Search engines, and chatbots that look things up, run one on
# every query while somebody waits, and on every document when the index is built. So it pays to make it small. What does that cost, and whom?

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import torch
import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# ## A vector for a sentence
#
# The model is **multilingual-e5-small**, the one from which the course's classifier was fine-tuned. It has the same layers,
# but no classifier on top. (The course stores its weights in four bits and unpacks them; the original may do a little better.)

# %%
model, tokenizer = pl.load(task="embedding")
L, H = pl.Masks.keep_all(model).heads.shape                 # layers, heads in each
d = model.config.hidden_size
PREFIX = getattr(model.config, "prompts", {}).get("query", "")
print(f"{L} layers × {H} heads, hidden size {d}, {len(tokenizer):,} pieces")
print(f"before every text: {PREFIX!r}")

# %% [markdown]
# E5 was trained with a prefix: `query: ` before questions and before texts that are compared with one another, `passage: ` before
# documents that answer questions. Leaving it out is a common mistake with this family of models: nothing fails, and the vectors get worse.
#
# The last layer gives a vector for every token. To get one for the sentence, E5 takes their mean and scales it to length 1:
#
# $$u = \frac{v}{\lVert v\rVert} \qquad v = \frac{\sum_t m_t\, h_t}{\sum_t m_t}$$
#
# Here $h_t$ is the vector of token $t$, and the attention mask $m_t$ is 1 for a real token and 0 for
# [padding](glossary.md#padding). This is [**mean pooling**](glossary.md#mean-pooling). With vectors of length 1, the
# **cosine** of two is simply their dot product. The whole lesson rests on this function, so you write it.
#
# ### Exercise 1: pool (medium, 7 minutes)
#
# Turn hidden states and mask into one vector of length 1 for each sentence.
#
# <details><summary>Hint</summary>The mask lacks a dimension: <code>mask[..., None]</code> is (B, T, 1) and multiplies all d numbers
# of a token. Does the division by the number of tokens matter, if you scale to length 1 afterwards?</details>

# %%
def pool(hidden, mask):
    """hidden: (B, T, d), mask: (B, T) of 0 and 1 → (B, d), each row of length 1"""
    # solution
    total = (hidden * mask[..., None]).sum(dim=1)
    return total / total.norm(dim=-1, keepdim=True)
    # end


# %% tags=["nbval-check-output"]
pool = pl.check("11.pool", pool)

# %% [markdown]
# Now your function embeds three sentences. The shortest has been filled up with padding, which must leave no trace:

# %%
SENTENCES = ["Where is my order?", "Wo ist meine Bestellung?", "The cat is asleep."]
batch = tokenizer([PREFIX + text for text in SENTENCES], padding=True, return_tensors="pt")
ids, mask = batch["input_ids"], batch["attention_mask"]
with torch.inference_mode():
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state    # (3, T, d)
    gap = (pool(hidden, mask) - pl.outputs(model, batch)).abs().max().item()
u = pool(hidden, mask)                                                      # (3, d)
print(f"your vectors and the library's differ by {gap:.0e}")
short = int(mask.sum(1).argmin())
pl.figures.pooling(hidden[short], mask[short],
                   tokenizer.convert_ids_to_tokens(ids[short]), u[short])

# %% [markdown]
# The first and the last sentence have nothing in common. How similar are their vectors? Predict first.

# %%
pl.quiz("11.guess_cosine")

# %%
pl.table([("cosine", *SENTENCES),
          *((text, *(f"{x:.2f}" for x in row)) for text, row in zip(SENTENCES, u @ u.T))])

# %% [markdown]
# The translation is closer than the stranger, but the stranger is not far away either. Is that an accident of three sentences? The course
# brings **parallel sentences**: messages of web software in English and 21 other languages, translated by volunteers.
# We draw 100 pairs of each language, and a few more, the **validation set**, for the challenge at the end.

# %%
N = 100                                                      # pairs of each language
test = pl.load_parallel(limit=N, seed=SEED)
validation = pl.load_parallel(["de", "fi", "ru", "th", "zh-CN"], "validation", 60, SEED)
texts = sorted({*test.sentences, *validation.sentences})     # each one once
place = {text: i for i, text in enumerate(texts)}


@torch.inference_mode()
def embed(model, texts, tokenizer=tokenizer):
    """The vectors of texts, (texts, d), in their order."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))   # less padding
    data = pl.Texts([PREFIX + texts[i] for i in order])
    made = [pool(model(**b).last_hidden_state, b["attention_mask"])
            for b in data.batches(tokenizer, 32)]
    return torch.cat(made)[torch.tensor(order).argsort()]


# %%
def sides(vectors, pairs):
    """(English, foreign) vectors of some pairs, (n, d) each"""
    return [vectors[[place[t] for t in side]] for side in (pairs.english, pairs.foreign)]


def cosines(pairs):
    english, foreign = sides(whole, pairs)
    return foreign @ english.T                               # (n, n): a row is foreign


whole = embed(model, texts)                                  # the long part: some seconds
tables = [cosines(pairs) for pairs in test.by_language().values()]
same = torch.cat([c.diagonal() for c in tables])
other = torch.cat([c[~torch.eye(len(c), dtype=torch.bool)] for c in tables])
pl.figures.cosines({"translations": same, "other pairs": other},
                   title=f"{len(same):,} translations and {len(other):,} other pairs")

# %% tags=["nbval-check-output"]
pl.claim("sentences that have nothing to do with each other have a cosine above 0.7",
         other.mean() > 0.7)
pl.claim("translations have a higher one", same.mean() > other.mean() + 0.05)

# %% [markdown]
# All vectors lie in a narrow cone. E5's training asks only that the right text comes out *ahead of* the others, and at a low
# temperature a small lead is enough. So a cosine of 0.85 means nothing by itself: compare cosines with one
# another, and do not carry a threshold from one model to the next. That the histograms overlap need not harm a search: there, each
# translation competes only with its own 99 rivals.

# %% [markdown]
# ## Retrieval in 22 languages
#
# [**Retrieval accuracy**](glossary.md#retrieval) counts who wins. Given a foreign sentence (the **query**), is its translation
# the nearest of all English ones (the **documents**)? There are two directions: *to English*, where foreign sentences search
# among English ones, and *from English*.
#
# ### Exercise 2: found (easy, 4 minutes)
#
# Query $i$ belongs to document $i$. Say for each query whether that document is the most similar of all.

# %%
def found(queries, documents):
    """(n, d) each, rows of length 1 → (n,) bool: is document i the nearest to query i?"""
    # solution
    best = (queries @ documents.T).argmax(dim=1)
    return best == torch.arange(len(queries))
    # end


# %% tags=["nbval-check-output"]
found = pl.check("11.found", found)

# %% [markdown]
# Your function now answers yes or no for every pair, in both directions. We keep all the answers and not only their mean, so that
# we can later compare two models **on the same sentences**.

# %%
WAYS = ("to English", "from English")


def hits(queries, documents, data=test):
    """{language: {way: (n,) bool}} for vectors of all texts"""
    def both(pairs):
        (english, foreign), (e, f) = sides(queries, pairs), sides(documents, pairs)
        return dict(zip(WAYS, (found(foreign, e), found(english, f))))
    return {name: both(pairs) for name, pairs in data.by_language().items()}


def percent(answers):
    return 100 * answers.float().mean().item()


before = hits(whole, whole)
pl.figures.dumbbells(
    {name: tuple(percent(h[way]) for way in WAYS) for name, h in before.items()}, WAYS,
    title="The same vectors, searched in two directions", xlabel=f"found, % of {N}")

# %% [markdown]
# How sure are these figures? Each stands on 100 sentences, so near 85 % its **standard error** is about
# $\sqrt{0.85 \cdot 0.15 / 100}$, or 3.6 points. Two languages a few points apart may well be equal, and they have different sentences anyway.
# The mean over all pairs is more certain, but less so than their number suggests: one English sentence is in up to 21 pairs, and a
# difficult one is difficult in all of them. So we let pairs with the same English sentence count as *one* draw (a **clustered** standard error):

# %%
groups = torch.tensor([place[text] for text in test.english])


def mean_and_error(values, where=slice(None)):
    """Of values (pairs,), or some of them: mean and standard error, both in percent"""
    values = 100 * values.float()[where]
    off = torch.zeros(len(texts)).index_add(0, groups[where], values - values.mean())
    return values.mean().item(), off.square().sum().sqrt().item() / len(values)


def said(values, where=slice(None)):
    return "{:.1f} ± {:.1f}".format(*mean_and_error(values, where))


def joined(hits, way):
    return torch.cat([h[way] for h in hits.values()]).float()


# %%
for way in WAYS:
    print(f"{way}: {said(joined(before, way))} % of {len(groups):,} pairs")
difference = joined(before, WAYS[0]) - joined(before, WAYS[1])
print("difference, pair by pair:", said(difference))

# %% tags=["nbval-check-output"]
def sure(values):
    """Whether the mean is above zero by more than two standard errors"""
    mean, error = mean_and_error(values)
    return mean > 2 * error


pl.claim("to English more is found, by over two standard errors", sure(difference))

# %% [markdown]
# **Why do the directions differ?** Both read the same table of cosines. One looks for the largest number in each row, the other in each
# column. If all documents were equally easy to reach, both would find about as much. They are not. In many dimensions some
# vectors lie near very many others and keep coming first: **hubs** (Radovanović et al. 2010). Where a hub comes first again and again, other
# documents never do, and cannot be found. How many of those are there on each side?

# %%
def firsts(similarity):
    """How often each document comes first: (documents,)"""
    return torch.bincount(similarity.argmax(dim=1), minlength=similarity.shape[1])


share = lambda yes: f"{percent(yes):.0f} %"
english, foreign = (torch.cat([firsts(c) for c in side])
                    for side in (tables, [c.T for c in tables]))
pl.table([("documents", "never first", "once", "twice or more"),
          *((name, share(n == 0), share(n == 1), share(n > 1))
            for name, n in (("English", english), ("foreign", foreign)))])

# %% tags=["nbval-check-output"]
pl.claim("more foreign than English documents never come first",
         (foreign == 0).float().mean() > (english == 0).float().mean())

# %% [markdown]
# Both sides have hubs, but more foreign sentences than English ones never come first, by about as much as the two directions differ. (We can only guess why:
# E5 saw more English in training than any other language.) Hubs can be held back. If a document is near to *every* query, its nearness to yours
# says little. So subtract from its cosines the mean of its largest:
#
# $$s'_{ij} = s_{ij} - \frac1k \sum_{i' \in \mathrm{top}_k(j)} s_{i'j}$$
#
# where $s_{ij}$ is the cosine of query $i$ and document $j$, and $\mathrm{top}_k(j)$ are the $k$ queries most similar to document $j$.
#
# ### Exercise 3: without hubs (medium, 7 minutes)
#
# Correct a table of cosines. A row is a query, a column a document.

# %%
def without_hubs(similarity, k):
    """(queries, documents) → the same shape: each column less the mean of its k largest"""
    # solution
    largest = similarity.topk(k, dim=0).values               # (k, documents)
    return similarity - largest.mean(dim=0)
    # end


# %% tags=["nbval-check-output"]
without_hubs = pl.check("11.without_hubs", without_hubs)

# %%
def corrected(k):
    """Which are found in the corrected tables: {way: (pairs,) bool}"""
    right = lambda c: c.argmax(dim=1) == torch.arange(len(c))
    fair = (lambda c: without_hubs(c, min(k, len(c)))) if k else (lambda c: c)
    return {way: torch.cat([right(fair(c)) for c in side])
            for way, side in zip(WAYS, (tables, [c.T for c in tables]))}


by_k = {k: corrected(k) for k in (0, 2, 5, 20)}
pl.table([("k", *WAYS), *((k or "as it was", *(said(v[way]) for way in WAYS))
                          for k, v in by_k.items())])

# %% tags=["nbval-check-output"]
gain = {way: by_k[2][way].float() - by_k[0][way].float() for way in WAYS}
pl.claim("without hubs more is found from English, by over two standard errors",
         sure(gain["from English"]))
pl.claim("and more is gained from English than to English",
         gain["from English"].mean() > gain["to English"].mean())

# %% [markdown]
# The model has not changed, and yet both directions find more. The test makes this easy: all queries are
# there at once, and each has exactly one document. That is so when two collections of translations are matched, where such corrections are
# standard (Artetxe and Schwenk 2019; CSLS, Conneau et al. 2018). A search, however, sees one query at a time. Whether yesterday's queries can
# stand in for the others has to be measured. From here on we do without the correction, as most searches do.

# %% [markdown]
# ## Scores without labels
#
# To choose what to remove, lessons 04 and 06 scored each part by the gradient of the loss. A loss needs a right answer, and here
# there is none. Could the model's own vector be the answer, with $1-\cos$ as the loss? Try it:

# %%
CALIBRATING = "es el pl pt it nl sv uk ca ro".split()
pairs = pl.load_parallel(CALIBRATING, "calibration", seed=SEED)
every = sorted({*pairs.sentences})
drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(SEED))[:512]
single = [every[i] for i in drawn]                           # sentences, no pairs
data = pl.Texts([PREFIX + text for text in single]).by_length()
batches = list(data.batches(tokenizer, 32))


def gradients(loss, batch):
    """Of loss(u), with u the batch's vectors, for each example's gates of neurons"""
    with pl.gates(model, examples=len(batch["input_ids"])) as gate:
        u = pool(model(**batch).last_hidden_state, batch["attention_mask"])
        return torch.autograd.grad(loss(u), gate.neurons)[0]     # (L, examples, neurons)


to_itself = gradients(lambda u: (1 - (u * u.detach()).sum(-1)).sum(), batches[0])
print(f"largest gradient of 1 - cos to itself: {to_itself.abs().max():.0e}")

# %% [markdown]
# Zero, to rounding. Of course: the model agrees with itself perfectly, and at a minimum every gradient vanishes. What we need is how
# *steeply* the valley rises. The trick is the one from lesson 04, the [Fisher information](glossary.md#fisher-information) of the model's own
# answers. Take the vector $u$ as the centre of a Gaussian, draw a target around it, $u + \varepsilon$, and ask for the gradient of
# $-\log p = \tfrac12\lVert u - (u+\varepsilon) \rVert^2$ when a gate $\xi_j$ moves $u$. It is $-\varepsilon\cdot\partial u/\partial\xi_j$, so
# over many draws
#
# $$\mathbb E_\varepsilon\!\left[\Big(\varepsilon\cdot\frac{\partial u}{\partial\xi_j}\Big)^{\!2}\right] = \Big\lVert\frac{\partial u}{\partial\xi_j}\Big\rVert^2$$
#
# In words: how far the vector moves, in whatever direction, when the part fades. One draw for each sentence is enough, since
# hundreds are averaged. No labels, no translations: single sentences from a log are enough.

# %%
import numpy as np

first = batches[0]
noise = torch.stack([torch.from_numpy(np.random.default_rng([SEED, i]).standard_normal(d))
                     for i in range(len(first["input_ids"]))]).float()
by_hand = gradients(lambda u: (u * noise).sum(), first).square().mean(1)      # (L, neurons)
library = pl.importance(model, [first], "fisher", seed=SEED).neurons
print(f"by hand and by the library, largest relative difference: "
      f"{((by_hand - library).abs().max() / library.max()).item():.0e}")

# %% [markdown]
# `pl.compress` goes one step further and scores by **Optimal Brain Surgeon** (lesson 05): what removing a part costs *once the others
# have made up for it*. It draws its targets in the same way.

# %% [markdown]
# ## Cut and repair
#
# The classifier of lesson 08, cut to a third of its multiply-accumulates and repaired, kept nearly all of its answers. Here is the same encoder
# with another task. Predict first:

# %%
pl.quiz("11.guess_harder")

# %%
KEEP = 1 / 3
scores = pl.importance(model, batches, "obs", seed=SEED)

# %%
cut = pl.prune(model, pl.select(scores, model, keep_macs=KEEP, rearrange=False))
small = pl.compress(model, tokenizer, batches, keep_macs=KEEP, scores=scores)   # + repair

# %%
after = embed(small, texts)
vectors = {"whole": whole, "a third, cut": embed(cut, texts), "a third, repaired": after}
answers = {name: hits(v, v) for name, v in vectors.items()}
pl.table([("model", *(f"{way}, %" for way in WAYS), "cosine with the whole's"),
          *((name, *(said(joined(h, way)) for way in WAYS),
             f"{(vectors[name] * whole).sum(-1).mean():.3f}")
            for name, h in answers.items())])

# %% tags=["nbval-check-output"]
middle = {name: sum(joined(h, way) for way in WAYS) / 2 for name, h in answers.items()}
pl.claim("a third of the work finds less, by over two standard errors",
         sure(middle["whole"] - middle["a third, repaired"]))
pl.claim("repair wins back much of what the cut lost, by over two standard errors",
         sure(middle["a third, repaired"] - middle["a third, cut"]))
print("whole - a third, both directions:",
      said(middle["whole"] - middle["a third, repaired"]), "points")

# %% [markdown]
# Look at the last column first. Even the model that was only cut gives vectors with a high cosine to the original's, and yet they find much
# less. Most of a vector is the part that all sentences share, and that part survives the cut. So do not judge a compressed embedder by its
# cosine with the original. Measure what it is used for.
#
# Repair works as in lesson 05, without labels and without training, and wins back a large part of what the cut had lost, but not all of it. The likely reason:
# a classifier of a few dozen intents has wide margins, while here every sentence competes with 99 others, some of them nearly alike
# (“Choose another image”, “Choose another page”). **The same cut costs a fine task more than a coarse one.** Keeping more costs less: try `KEEP = 1 / 2`.
#
# <details><summary>And training? Distillation needs no labels either.</summary>
#
# <code>pl.distill(small, model, tokenizer, data)</code> trains the small model to give the original's vectors. For this task its loss is $1-\cos$ of the two
# vectors, plus the differences of their hidden states. (Reimers and Gurevych 2020 use vectors as targets to teach an embedder new languages.) One pass over
# 512 sentences is too little to be worth the minute; with tens of thousands of sentences from your logs and a GPU, it is the next step.
#
# </details>
#
# ### Which language pays?
#
# The calibration sentences were in ten languages and English. Eleven others were never seen, neither by the scores nor by the repair.

# %%
change = middle["a third, repaired"] - middle["whole"]       # (pairs,)
spoken = lambda names: torch.tensor([language in names for language in test.languages])
rows = {name: (mean_and_error(middle["whole"], spoken([name]))[0],
               mean_and_error(middle["a third, repaired"], spoken([name]))[0])
        for name in before}
pl.figures.dumbbells(
    rows, ("whole", "a third"), marked=CALIBRATING, note="in the calibration set",
    errors={name: mean_and_error(change, spoken([name]))[1] for name in before},
    title="A third of the work: what each language pays",
    xlabel=f"found, mean of both directions, % of {N} (± one standard error of the change)")

# %%
unseen = [name for name in before if name not in CALIBRATING]
for kind, names in (("in the calibration set", CALIBRATING), ("not in it", unseen)):
    print(f"{len(names)} languages {kind}: {said(change, spoken(names))} points")

# %% [markdown]
# Some languages lost several standard errors, others less than one. So they do not all pay alike. But 100 sentences cannot say in which order:
# of 21 languages, those at the ends are there partly by luck. Each of the two groups has about ten times as many pairs. As long as they differ by less
# than about three times their errors, this test has not shown that calibration in a language helps it. In the course's benchmarks, with 2,048
# calibration sentences and 200 pairs a language, the unseen languages do pay more, in each of three draws (`benchmarks/README.md`).

# %% [markdown]
# ## A vocabulary for three languages
#
# A third of the encoder is left, but is the file a third as large? No: it also holds the vocabulary, which this cut leaves alone.
# (This copy of E5 has already been trimmed to the course's languages. With all of XLM-R's 250,002 pieces the
# [word embeddings](glossary.md#word-embeddings) alone would take 384 MB.)
#
# Say that your shop serves English, German and French. Then keep the pieces that texts in these languages use
# ([vocabulary trimming](glossary.md#vocabulary-trimming), lesson 02). Take as many texts as you can find: a piece that none of them contains is gone.

# %%
HOME = ["de", "fr"]                                          # and English
own = pl.load_parallel(HOME, "calibration").sentences
own += pl.load_intents("train", ["en", *HOME]).sentences
local, local_tokenizer = pl.prune_vocabulary(small, tokenizer, [PREFIX, *own])


def megabytes(model):
    return 4 * sum(p.numel() for p in model.parameters()) / 1e6


sizes = [("whole", model, tokenizer), ("a third", small, tokenizer),
         ("a third, three languages", local, local_tokenizer)]
pl.table([("model", "pieces", "MB in float32", "of which vocabulary"),
          *((name, f"{len(t):,}", f"{megabytes(m):.0f}",
             f"{4 * len(t) * d / 1e6 / megabytes(m):.0%}") for name, m, t in sizes)])

# %%
def trimmed(name):
    """In percent: split differently, with unknown pieces, found to English before, after"""
    pairs, old = test.by_language()[name], answers["a third, repaired"][name]["to English"]
    report = pl.vocabulary_report(tokenizer, local_tokenizer, pairs.foreign, d)
    english, foreign = (embed(local, side, local_tokenizer)
                        for side in (pairs.english, pairs.foreign))
    return (100 * report.split_differently, 100 * report.with_unknown[1], percent(old),
            percent(found(foreign, english)))


pl.table([("language", "split differently", "with unknown pieces", "found before", "after"),
          *((name, *(f"{x:.0f} %" for x in trimmed(name)))
            for name in ("de", "fr", "it", "fi", "ru"))])

# %% [markdown]
# A sentence whose pieces are all there keeps its vector exactly. But our texts are few, and many German and French sentences need a piece that none of
# them contained. They are split into smaller pieces, and fewer are found. So collect texts until few new ones are split differently. Italian keeps its
# letters but few of its pieces, so its words fall apart. Of Russian little but unknown pieces is left. **Nothing fails and nothing warns you:**
# a vector comes out in any case. Find out which languages your users write before you trim.
#
# ## A small search
#
# Here is what all of this is for: a search by meaning over every sentence above, in 22 languages. It answers when you press Enter. Try your own
# language; the whole model and a third of it; nothing at all; a smiley; Korean, whose letters this vocabulary lacks; a page of text.

# %%
SPOKEN = {text: language for pairs in (test, validation)
          for text, language in zip(pairs.foreign, pairs.languages)}
INDEX = {"whole": (model, whole), "a third": (small, after),
         "a third in the old index": (small, whole)}


def remarks(text):
    pieces = tokenizer(PREFIX + text, truncation=True)["input_ids"]
    unknown = pieces.count(tokenizer.unk_token_id)
    if len(pieces) >= tokenizer.model_max_length:
        yield f"Only the first {len(pieces)} tokens were read."
    if unknown:
        yield (f"{unknown} of {len(pieces)} pieces are unknown to this vocabulary: this is "
               "little more than a guess.")


# %%
def search(text, encoder, among):
    if not text.strip():
        return "Type a few words, in any of the languages, and press Enter."
    who, index = INDEX[encoder]
    places = [i for i, t in enumerate(texts) if among == "all languages" or t not in SPOKEN]
    best = (index[places] @ embed(who, [text])[0]).topk(5)
    shown = [texts[places[i]] for i in best.indices]
    return [pl.table([("cosine", "language", "sentence"),
                      *((f"{x:.3f}", SPOKEN.get(t, "en"), t)
                        for x, t in zip(best.values, shown))]), *remarks(text)]


# %%
pl.explore(search, text="how do I delete a page?", encoder=list(INDEX),
           among=["all languages", "English"])

# %% [markdown]
# Did you try the third button? It is a tempting shortcut: embedding a million documents again takes hours, exchanging the model that reads
# the queries a minute. The vectors have as many numbers as before, so nothing complains. Does it work?

# %%
old_index = hits(after, whole)                               # queries, documents
three = (("whole", "whole", before), ("a third", "a third", answers["a third, repaired"]),
         ("a third", "whole", old_index))
pl.table([("queries by", "index by", *(f"{way}, %" for way in WAYS)),
          *((q, i, *(said(joined(h, way)) for way in WAYS)) for q, i, h in three)])

# %% tags=["nbval-check-output"]
mixed = sum(joined(old_index, way) for way in WAYS) / 2
pl.claim("the small model finds as much in the old index as in its own, within two points",
         (mixed - middle["a third, repaired"]).mean() > -0.02)

# %% [markdown]
# Here it does, since repair has pulled the small model's vectors back towards the original's. It may even pay: documents are embedded once, while
# nobody waits, so the larger model can do that, and the small one can read the queries. But nothing guarantees it. A model
# trained anew has axes of its own, and the old index is noise to it. Measure, or embed all documents again.
#
# ## Serve it
#
# As in lesson 09: [ONNX](glossary.md#onnx) runs the same model without PyTorch, and [int8](glossary.md#int8) stores its weights in a quarter
# of the bytes. Pooling and normalisation are inside the file.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
pl.quantize_onnx(pl.export_onnx(small, tokenizer, folder))
in_onnx, in_int8 = (pl.OnnxModel(folder, quantized=q, threads=2) for q in (False, True))
compact = torch.from_numpy(in_int8([PREFIX + text for text in texts]))      # (texts, d)

# %%
forms = {"whole, PyTorch": model, "a third, PyTorch": small,
         "a third, ONNX": in_onnx, "a third, ONNX int8": in_int8}
times = pl.latency(forms, length=16, threads=2, repeats=20)
results = [before, *[answers["a third, repaired"]] * 2, hits(compact, compact)]
bytes_of = [megabytes(model), megabytes(small),
            *(m.file.stat().st_size / 1e6 for m in (in_onnx, in_int8))]
pl.table([("form", "MB", "ms", *(f"{way}, %" for way in WAYS)),
          *((name, f"{mb:.0f}", f"{times.median[name]:.1f}",
             *(said(joined(h, way)) for way in WAYS))
            for name, mb, h in zip(forms, bytes_of, results))])

# %% [markdown]
# Milliseconds are for one query of 16 tokens on two threads. From row to row, the first step is the cut, the second the runtime,
# the third int8. The last two need no calibration and cost little or nothing, so do them first, and prune when they are not enough.
# (In float32 PyTorch and ONNX give the same vectors to rounding; they were measured once.)

# %% [markdown]
# ## Smaller vectors
#
# A million documents with 384 numbers in float32 each make an index of 1.5 GB. Pruning the model does not change that. Vectors
# can be shrunk in two ways: **fewer bits** for each number, or **fewer numbers**.

# %%
pl.quiz("11.guess_truncate")

# %%
def score(vectors, data=test):
    """Found in percent, mean over both directions"""
    unit = vectors / vectors.norm(dim=-1, keepdim=True)
    every_hit = hits(unit, unit, data)
    return sum(percent(joined(every_hit, way)) for way in WAYS) / 2


def eight_bits(vectors):
    """Whole numbers, -127 to 127, a scale for each vector; cosines do not need it back."""
    return (127 * vectors / vectors.abs().amax(dim=-1, keepdim=True)).round()


# %%
memory = embed(model, single)                                # calibration sentences
centre = memory.mean(dim=0)
spread, axes = torch.linalg.svd(memory - centre, full_matrices=False)[1:]
pca = lambda k: (whole - centre) @ axes[:k].T                # (texts, k)
KS = [d, d // 2, d // 4, d // 8]
lines = {"first k, float32": {4 * k: score(whole[:, :k]) for k in KS},
         "first k, int8": {k: score(eight_bits(whole[:, :k])) for k in KS},
         "k directions (PCA), int8": {k: score(eight_bits(pca(k))) for k in KS},
         "one bit a number": {d // 8: score((whole - centre).sign())}}
pl.figures.sizes(lines, title="Retrieval against bytes", ylabel=f"found, % of {len(same)}")

# %%
dice = torch.Generator().manual_seed(SEED)
quarter, eight = lines["first k, float32"][d], lines["first k, int8"][d]    # d bytes each
quarters = [score(whole[:, torch.randperm(d, generator=dice)[:d // 4]]) for _ in range(5)]
print(f"all {d} numbers: float32 {score(whole):.1f} %, "
      f"float16 {score(whole.half().float()):.1f} %, int8 {eight:.1f} %")
print(f"the first {d // 4}: {quarter:.1f} %; five random choices of {d // 4}: "
      f"{min(quarters):.1f} to {max(quarters):.1f} %")

# %% tags=["nbval-check-output"]
pl.claim("int8 changes less than a point", abs(eight - score(whole)) < 1)
pl.claim("a quarter of the numbers costs more than five points", quarter < score(whole) - 5)
pl.claim("the first quarter is like random ones: within three points of their mean",
         abs(quarter - sum(quarters) / 5) < 3)
pl.claim("as many directions by PCA find more than as many first numbers",
         lines["k directions (PCA), int8"][d // 4] > quarter)

# %% [markdown]
# **Bits are nearly free.** In int8 an index takes a quarter of the bytes, and the score hardly changes. Even one bit a number (above the average or not?)
# keeps most of it. What counts is the order of the cosines, and the rounding errors of 384 numbers average out.
#
# **Numbers are not**, if you just drop the last ones. Training treated all alike, so the first quarter is worth as much as any other.
# Models trained by **Matryoshka representation learning** (Kusupati et al. 2022) are different: their loss is also taken on the first 8, 16, 32, …
# numbers, so that these carry the most. The model's card says whether yours is one of them; its architecture does not show it.
#
# For all others there is **PCA** (principal component analysis): rotate the vectors onto the directions in which they vary most, found on calibration
# sentences, and keep the first of those.

# %% [markdown]
# ## Challenge: the smallest index
#
# **Fewest bytes a vector, with at least 97 % of the whole model's retrieval on the validation pairs.** The function below is a poor first attempt.
# The target is 32 bytes, a 48th of float32; it can be beaten. All you need is above: `centre`, `axes`, `spread`, fewer directions, fewer bits.
# (Directions divided by a power of their `spread` count more evenly: **whitening**, Su et al. 2021. And four bits are half a byte.)

# %%
def squeeze(vectors):
    """(n, d) → what the index holds, as numbers to compare, (n, …), and bytes a vector"""
    return vectors[:, :d // 2].half().float(), 2 * (d // 2)


def kept(data):
    stored, size = squeeze(whole)
    return size, score(stored, data) / score(whole, data)


pl.challenge("11.fewest_bytes", *kept(validation))

# %% [markdown]
# When you are content, look at the test pairs, once:

# %%
print("on the test pairs: {} bytes, {:.1%} of the retrieval kept".format(*kept(test)))

# %% [markdown]
# ## What stands beside it
#
# A search over a million documents has three stages, and an embedder is the first of them.

# %%
print(f"the query, 16 tokens: {pl.encoder_macs(model, 16) / 1e6:.0f} million MACs, "
      f"with a third of the model {pl.encoder_macs(small, 16) / 1e6:.0f} million")
print(f"a million dot products of {d} numbers: {d} million MACs")
pl.figures.stages([
    ("1,000,000 documents", "embedder and index",
     "the model once, for the query; then the nearest\n"
     "of the documents' vectors, made long before"),
    ("100 candidates", "reranker",
     "the model 100 times, query and document together:\nslow, and more accurate"),
    ("10 results", "the page", "what the user sees")], title="A search in stages")

# %% [markdown]
# **The index.** We compared the query with every vector. That is exact, but for a million documents it costs more than the model does.
# An **approximate nearest-neighbour index** looks at a few thousand vectors only. HNSW (Malkov and Yashunin 2020) links each
# vector to some near ones and walks along the links; inverted lists with product quantisation (Jégou et al. 2011) sort vectors into cells and store
# short codes. Both miss some true neighbours. Measure their **recall** by itself, against exact search with the same vectors.
#
# **The reranker** is a [cross-encoder](glossary.md#reranker) (Nogueira and Cho 2019): it reads query and document together and gives one number. With a
# hundred passes a query, it is where pruning pays most, and lesson 10 prunes it as any model with one output. Measure it on the candidates that the
# embedder really hands over. A reranker mends their order; what the embedder has missed, it never sees.
#
# <details><summary><b>At LLM scale</b></summary>
#
# Many leading embedders are large language models, fine-tuned with the same contrastive loss (E5-Mistral, Wang et al. 2024: 7 billion parameters, vectors of 4,096
# numbers, 16 kB a document in float32). The order of this lesson is a good start there, too: first bits; then directions; then
# the model. In decoders, the last layers can be dropped before the contrastive training: up to 30 % of them with negligible loss in four models (Thennal, Fischer and
# Biemann 2024, abstract). Mean pooling is often replaced by the last token's vector, for only the last token has seen the whole text.
#
# </details>
#
# ## What to remember
#
# - An embedder needs no labels to be scored, repaired or distilled: single sentences from a log will do. It needs pairs to be *measured*.
# - Cosines are for comparing, within one model. A vector close to the original's by cosine may still find less.
# - State the number of candidates, n and a standard error; compare on the same sentences.
# - Calibrate on the languages that you serve, and trim the vocabulary only to those that come in.
# - Bits are cheaper than numbers. Cutting vectors short is for models trained for it; PCA is for the others.

# %%
pl.quiz("11")

# %%
pl.progress("11")

# %% [markdown]
# ## Sources
#
# - Wang et al. 2022, *Text Embeddings by Weakly-Supervised Contrastive Pre-training* (E5); 2024, *Multilingual E5 Text Embeddings*; 2024, *Improving Text Embeddings with Large Language Models*. Conneau et al. 2020, *Unsupervised Cross-lingual Representation Learning at Scale* (XLM-R).
# - Reimers, Gurevych 2019, *Sentence-BERT* (section 3: pooling; the library is sentence-transformers); 2020, *Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation*.
# - Artetxe, Schwenk 2019, *Massively Multilingual Sentence Embeddings* (retrieval of translations) and *Margin-based Parallel Corpus Mining*; Conneau et al. 2018, *Word Translation Without Parallel Data* (CSLS); Radovanović et al. 2010, *Hubs in Space*.
# - Kusupati et al. 2022, *Matryoshka Representation Learning*; Su et al. 2021, *Whitening Sentence Representations*.
# - Malkov, Yashunin 2020, *Hierarchical Navigable Small World Graphs*; Jégou et al. 2011, *Product Quantization for Nearest Neighbor Search*; Nogueira, Cho 2019, *Passage Re-ranking with BERT*.
# - Ushio et al. 2023, *An Efficient Multilingual Language Model Compression through Vocabulary Trimming*; Thennal et al. 2024, *Large Language Models Are Overparameterized Text Encoders*; Cameron, Miller 2015, *A Practitioner's Guide to Cluster-Robust Inference*.
# - The parallel sentences are from the message catalogues of Django, Wagtail, django CMS, django-allauth and Oscar (`assets/parallel/README.md`).
