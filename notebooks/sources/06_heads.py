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
# # 06 · Head pruning
#
# **You will be able to** score all attention heads of a model with one backward pass, say how far such scores can be
# trusted, compare two choices on the same sentences with their uncertainty, and explain which heads a task needs, and why.
#
# {minutes, 2 computing}
#
# Lessons 00 and 01 come first; lesson 04 introduces [gates](glossary.md#gate).
#
# “Are sixteen heads really better than one?” asked a paper in 2019, and found many layers that did as well with a single
# [head](glossary.md#attention-head). This lesson asks the same of our model. The answer turns out to depend less on the
# heads than on which token the task reads, and a rule that measures nothing at all will come surprisingly far.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import time

import torch
import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# The [calibration set](glossary.md#calibration-set) comes from the training sentences; scores are computed on it. Choices
# are compared on validation sentences. The test sentences are looked at once, at the end.

# %%
model, tokenizer = pl.load(pl.prepare("embedded"))
L, H = pl.Masks.keep_all(model).heads.shape              # layers, heads in each
THIRD, FEW = L * H // 3, 2 * H            # numbers of heads: FEW is what two layers have

train = pl.load_intents("train", limit=192, seed=SEED).by_length()
calibration = list(train.batches(tokenizer, 16))         # 12 batches, short sentences first
validation = pl.load_intents("validation", limit=200, seed=SEED).by_length()


# %%
@torch.inference_mode()
def answers(pruned, data=validation):
    """Which sentences are answered rightly: (n,), True or False."""
    batches = data.batches(tokenizer, 64)
    return torch.cat([pl.outputs(pruned, b).argmax(-1) == b["labels"] for b in batches])


def percent(right):
    return 100 * right.float().mean().item()


whole = answers(model)
full = percent(whole)
print(f"{L} layers × {H} heads = {L * H}; "
      f"{full:.1f}% of {len(whole)} validation sentences right")

# %% [markdown]
# ## The problem in one picture
#
# The direct way to find out what a head is worth is to take it away, measure, and put it back:
# [leave-one-out](glossary.md#leave-one-out). We measure the loss (cross-entropy, in nats), since it moves even when no
# answer flips.

# %%
pl.quiz("06.guess_single")


# %%
def timed(way, batches):
    """The scores of a method, and the seconds of computing that they took."""
    start = time.process_time()
    found = pl.importance(model, batches, way, seed=SEED)
    return found, time.process_time() - start


first, second = calibration[2::6], calibration[3::6]         # 32 sentences each
scored = {"leave_one_out": timed("leave_one_out", first)}
alone = scored["leave_one_out"][0].heads                     # loss without − loss with
pl.figures.head_changes(alone, title="Increase of the loss when one head is removed",
                        label="change of the loss, nats")

# %% tags=["nbval-check-output"]
pale = int((alone.abs() < alone.abs().max() / 10).sum())
pl.claim("most heads, removed alone, change the loss by less than a tenth of the largest "
         "change", pale > L * H / 2)


# %% [markdown]
# So most heads can go? Each of them was removed while all the others were still there to step in. What if the two thirds
# with the lowest scores go at once?

# %%
def best(heads, k):
    """Masks that keep the k heads with the highest scores; heads: (layers, heads)."""
    every = pl.Masks.keep_all(model)
    stays = torch.zeros(L * H, dtype=torch.bool)
    stays[heads.flatten().topk(k).indices] = True
    return pl.Masks(stays.view(L, H), every.neurons, every.layers)


# %%
@torch.inference_mode()
def loss(pruned, batches):
    each = [torch.nn.functional.cross_entropy(pl.outputs(pruned, b), b["labels"],
                                              reduction="none") for b in batches]
    return torch.cat(each).mean().item()


third = best(alone, THIRD)
before, after = loss(model, first), loss(pl.prune(model, third), first)
print(f"loss of the whole model:                       {before:.3f}")
print(f"the lower two thirds, single costs added up:  {alone[~third.heads].sum():+.3f}")
print(f"the lower two thirds, all removed together:   {after - before:+.3f}")

# %% tags=["nbval-check-output"]
pl.claim("together they cost more than their single costs add up to",
         after - before > alone[~third.heads].sum())

# %% [markdown]
# These two thirds include every head that seemed to do harm, so their single costs add up to little, or to less than nothing.
# Removed together, they cost more. Heads that can stand in for each other look unimportant one by one, and every score
# in this lesson has this blind spot. So the last word belongs to a measurement of the pruned model.
#
# ## The chain rule scores all heads at once
#
# Leave-one-out runs the model once per head. Michel, Levy and Neubig (2019) put a gate $\xi_h$ on the output of each head,
# $\mathrm{Att}_h(x)$, and ask for the derivative of the loss. By the chain rule
#
# $$\frac{\partial\mathcal L}{\partial\xi_h} = \sum_{t,\,k} \mathrm{Att}_h(x)_{t,k}\;
# \frac{\partial\mathcal L}{\partial\mathrm{Att}_h(x)_{t,k}} \qquad
# I_h = \frac1n\sum_i\left|\frac{\partial\mathcal L_i}{\partial\xi_h}\right|$$
#
# (at $\xi_h=1$), with tokens $t$, the head's dimensions $k$, and $\mathcal L_i$ the loss of sentence $i$ of $n$. One backward
# pass yields these derivatives for all heads. $I_h$ is the [Taylor score](glossary.md#taylor-score).
#
# **Exercise 1: the scores of a layer's heads** (medium, 6 minutes). `context` holds the outputs of a layer's heads, `gradient`
# the derivatives of each sentence's loss with respect to them. Your scores will prune the model below.
#
# <details><summary>Hint</summary>Multiply, sum over the dimensions that the gate multiplies (tokens and the head's own), take the
# absolute value, and only then the mean over sentences.</details>

# %%
def head_scores(context, gradient):
    """both: (sentences, tokens, heads, size) → (heads,)"""
    # solution
    return (context * gradient).sum(dim=(1, 3)).abs().mean(dim=0)
    # end


# %% tags=["nbval-check-output"]
head_scores = pl.check("06.head_scores", head_scores)


# %% [markdown]
# The concatenated head outputs of a layer flow into its matrix `attention.output.dense`. A [hook](glossary.md#hook) there
# catches them, and the gradient comes from `torch.autograd`.

# %%
def taylor(batch):
    """The scores of all heads on one batch, by your function: (layers, heads)."""
    caught, hooks = [], []                               # head outputs, layer by layer
    for layer in model.base_model.encoder.layer:
        hooks.append(layer.attention.output.dense.register_forward_pre_hook(
            lambda module, inputs: caught.append(inputs[0])))
    logits = pl.outputs(model, batch)
    for hook in hooks:
        hook.remove()
    total = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="sum")
    by_head = lambda x: x.unflatten(-1, (H, -1))         # (sentences, tokens, heads, size)
    return torch.stack([head_scores(by_head(c), by_head(g))
                        for c, g in zip(caught, torch.autograd.grad(total, caught))])


# %%
yours = torch.stack([taylor(batch) for batch in calibration]).mean(0)
library = pl.importance(model, calibration[:1], "taylor").heads
gap = (taylor(calibration[0]) - library).abs().max() / library.max()
print(f"on one batch, yours and the library's differ by {gap:.0e} of the largest at most")

# %% [markdown]
# ## Can the scores be trusted?
#
# Leave-one-out is exact, for 32 sentences. How much of its ranking belongs to the model, and how much to these sentences?
# We run it once more, on 32 others, and compare rankings by [Spearman's rank
# correlation](glossary.md#spearmans-rank-correlation): 1 for the same order, 0 for no relation.

# %%
pl.quiz("06.guess_again")


# %%
def spearman(a, b):
    ranks = [x.flatten().argsort().argsort().float() for x in (a, b)]
    return torch.corrcoef(torch.stack(ranks))[0, 1].item()


scored |= {way: timed(way, first)
           for way in ("taylor", "fisher", "activation", "magnitude", "random")}
again = pl.importance(model, second, "leave_one_out").heads
agreement = {way: (spearman(found.heads, again), spearman(found.heads.abs(), again.abs()))
             for way, (found, _) in scored.items()}
pl.table([("score, from the first 32", "CPU seconds", "with the change", "with its size"),
          *((way, f"{scored[way][1]:.1f}", f"{signed:.2f}", f"{size:.2f}")
            for way, (signed, size) in agreement.items())])

# %% tags=["nbval-check-output"]
pl.claim("leave-one-out repeats itself on other sentences only in part (below 0.85)",
         max(agreement["leave_one_out"]) < 0.85)
pl.claim("Taylor predicts the size of the change about as well (to within 0.2, or better)",
         agreement["taylor"][1] > agreement["leave_one_out"][1] - 0.2)

# %% [markdown]
# The first row is the yardstick: so much of the ranking repeats when the sentences change. A head that seems to do harm on 32
# sentences need not do so on the next 32. (With 144 heads, chance alone gives correlations up to about ±0.16.) The two
# gradient scores have no sign: they say how much a head matters, not whether it helps or harms. So judge them by the last
# column. There they do about as well as the yardstick, or better (a score with less noise can), in a fraction of the time.
#
# ## The rule to beat
#
# Before clever choices, a rule that looks at nothing: **keep the heads of the last two layers, remove all others.** To
# compare choices fairly we need one more tool.
#
# Two models that answer the *same* sentences make mostly the same mistakes. So compare sentence by sentence. The change on
# one sentence is −1 (lost), 0 or +1 (won). Its mean over $n$ sentences is the change of accuracy, and the standard error of
# that mean is the standard deviation of the changes divided by $\sqrt n$.
#
# **Exercise 2: a change and its error** (easy, 5 minutes). Every comparison below will use it.
#
# <details><summary>Hint</summary><code>.float()</code> makes 1 and 0 of True and False; <code>.std()</code> is the standard
# deviation as it is estimated from a sample.</details>

# %%
def paired_change(before, after):
    """both: (n,) bool, which sentences are right → [mean change, its standard error]"""
    # solution
    change = after.float() - before.float()
    return [change.mean().item(), change.std().item() / len(change) ** 0.5]
    # end


# %% tags=["nbval-check-output"]
paired_change = pl.check("06.paired_change", paired_change)

# %% [markdown]
# Now predict:

# %%
pl.quiz("06.guess_last_two")


# %%
def only(layers):
    """Masks that keep all heads of these layers, and no others."""
    every = pl.Masks.keep_all(model)
    stays = torch.tensor([layer in layers for layer in range(L)])
    return pl.Masks(every.heads & stays[:, None], every.neurons, every.layers)


def points(before, after):
    change, error = paired_change(before, after)
    return f"{100 * change:+.1f} ± {100 * error:.1f}"


# %%
LAST = {L - 1, L - 2}
rules = {"all but those of the last layer": only(range(L - 1)),
         "all but those of the last but one": only({*range(L)} - {L - 2}),
         "all but those of the last two": only({*range(L)} - LAST),
         "only those of the last two": only(LAST)}
by_rule = {name: answers(pl.prune(model, masks)) for name, masks in rules.items()}
pl.table([("heads that stay", "how many", "accuracy", "change, points"),
          ("all", L * H, f"{full:.1f}%", ""),
          *((name, int(rules[name].heads.sum()), f"{percent(found):.1f}%",
             points(whole, found)) for name, found in by_rule.items())])

# %% tags=["nbval-check-output"]
either, other_one, neither, rule_alone = map(percent, by_rule.values())
pl.claim("the last two layers' heads alone answer at least 50 points more than all others "
         "together", rule_alone > neither + 50)
pl.claim("either of the two layers can spare its heads, but not both",
         min(either, other_one) > neither + 40)

# %% [markdown]
# A sixth of the heads, chosen without looking at a single sentence, keeps most of the accuracy; without them the other five
# sixths are worth next to nothing. And here is the blind spot again: without the heads of the last layer, or without those of the
# one before it, the model still works. Each layer can largely stand in for the other.
#
# ### Why there?
#
# The classifier reads one vector: that of `<s>` after the last layer. The
# [residual connections](glossary.md#residual-connection) and feed-forward networks carry every word upwards, with or without
# heads. But only attention moves anything from one token to another: whatever `<s>` knows about the words, some head has
# brought. Where does that happen?
#
# We let a very simple reader (a **probe**) try after every layer. It knows the mean vector of each intent, from 400 training
# sentences, and names the intent whose mean is nearest. It reads either `<s>` or the average over the words.

# %%
@torch.inference_mode()
def states(pruned, data):
    """`<s>`, and the mean over the words, after each layer: (2, layers + 1, n, d)."""
    found = []
    for b in data.batches(tokenizer, 64):
        hidden = torch.stack(pruned.base_model(
            b["input_ids"], b["attention_mask"], output_hidden_states=True).hidden_states)
        words = (b["input_ids"] > tokenizer.eos_token_id)[..., None].float()   # no specials
        mean = (hidden * words).sum(2) / words.sum(1).clamp(min=1)
        found.append(torch.stack([hidden[:, :, 0], mean]))
    return torch.cat(found, dim=2)


many = pl.load_intents("train", limit=400, seed=SEED).by_length()
labels, wanted = torch.tensor(many.labels), torch.tensor(validation.labels)


# %%
def readable(pruned):
    """The share of sentences that the simple reader gets right: (2, layers + 1)."""
    seen, asked = states(pruned, many), states(pruned, validation)
    kinds = labels.unique()
    means = torch.stack([seen[:, :, labels == k].mean(2) for k in kinds], dim=2)
    scale = seen.std(2, keepdim=True) + 1e-6             # no dimension drowns the others
    nearest = torch.cdist(asked / scale, means / scale).argmin(-1)
    return 100 * (kinds[nearest] == wanted).float().mean(-1)


from_s, from_words = readable(model)
cut_s, cut_words = readable(pl.prune(model, rules["all but those of the last two"]))
pl.figures.curves(range(L + 1),
                  {"mean over the words": from_words.tolist(), "<s>": from_s.tolist(),
                   "<s>, last two cut": cut_s.tolist()},
                  title="What a simple reader finds after each layer",
                  xlabel="layers passed", ylabel="intents named, %", ylim=(0, 103))

# %%
silent = rules["all but those of the last two"]
with torch.inference_mode(), pl.masked(model, silent):
    given = torch.cat([pl.outputs(model, b).argmax(-1)
                       for b in validation.batches(tokenizer, 64)])
print("without the last two layers' heads, the model's own classifier gives")
print(f"{given.bincount().max() / len(given):.0%} of the sentences one and the same answer")

# %% tags=["nbval-check-output"]
by_classifier = percent(by_rule["all but those of the last two"])
pl.claim("the last two layers add at least 10 points to what can be read from <s>",
         from_s[-1] > from_s[-3] + 10)
pl.claim("without their heads, that reader still finds 30 points more there "
         "than the model's classifier", cut_s[-1] > by_classifier + 30)

# %% [markdown]
# At the start `<s>` knows nothing: it is the same vector in every sentence. It picks up part of the intent in the middle of the
# model, and the rest in the last two layers, as the average over the words does. Now look at the third curve. Without the
# heads of these two layers `<s>` lacks what they would have added, but *not* what it knew before. The simple reader, with means
# from the cut model, still names most intents; the model's own classifier names next to none. What the cut took away is
# less the knowledge than the **form**: the classifier has only ever seen `<s>` as the last two layers leave it.
#
# Two things follow. In the last layer only *one row* of attention is ever read, that of `<s>`; what the words look at there no longer
# matters. And “an important head” means: important for a task that reads *this token*.
#
# <details><summary>Why so late?</summary>
#
# This model was fine-tuned from an embedder that averages over all tokens (lesson 11), so that `<s>` had never been read by itself. That may be
# why; we have not tested it.
#
# </details>
#
# ## Choose and measure
#
# Now the scores have something to beat. Four ways to choose: your Taylor scores in one list; the same, each layer first divided by
# its norm, as Michel and others do; [Fisher](glossary.md#fisher-information), the mean square in place of the mean absolute value;
# and magnitude. Beside them three random draws.

# %%
fisher = pl.importance(model, calibration, "fisher")
ways = {"Taylor": yours, "Taylor, by layer": yours / yours.norm(dim=1, keepdim=True),
        "Fisher": fisher.heads, "magnitude": scored["magnitude"][0].heads}
draws = [pl.importance(model, None, "random", seed=3 * SEED + i).heads for i in range(3)]
COUNTS = sorted([L * H // 2, THIRD, FEW], reverse=True)   # heads that stay

right = {(way, k): answers(pl.prune(model, best(heads, k)))
         for way, heads in ways.items() for k in COUNTS}
random_right = torch.tensor([[percent(answers(pl.prune(model, best(draw, k))))
                              for k in COUNTS] for draw in draws])          # (3, counts)

# %%
lines = {way: [full, *(percent(right[way, k]) for k in COUNTS)] for way in ways}
lines["random, mean of 3"] = [full, *random_right.mean(0).tolist()]
band = [[full, *end.tolist()] for end in (random_right.amin(0), random_right.amax(0))]
pl.figures.curves([L * H, *COUNTS], lines, bands={"random, mean of 3": band}, falling=True,
                  levels={f"the rule ({2 * H} heads)": rule_alone},
                  title="Heads removed by score, no training after", ylim=(0, 103),
                  xlabel="heads that stay", ylabel="validation accuracy, %")

# %% [markdown]
# Look at the band first: random draws of the same size differ by tens of points, probably by what they happen to leave in the last
# two layers. One random draw is no yardstick.
#
# With as many heads as the rule keeps, sentence by sentence against the rule:

# %%
def in_steps(pruned, counts):
    """Cut to each of the counts in turn, scoring again before every cut."""
    for k in counts:
        scores = pl.importance(pruned, calibration, "fisher")
        pruned = pl.prune(pruned, pl.select(scores, pruned, keep_heads=k))
    return pruned


rule = by_rule["only those of the last two"]
against = {way: paired_change(rule, right[way, FEW]) for way in ways if way != "magnitude"}
against["Fisher, in steps"] = paired_change(
    rule, answers(in_steps(model, [k for k in COUNTS if k >= FEW][-2:])))
pl.figures.differences({way: (100 * c, 100 * e) for way, (c, e) in against.items()},
                       title=f"{FEW} heads, chosen by score", zero="the rule",
                       xlabel="points of accuracy more than the rule")

# %% [markdown]
# Each dot is a difference between two accuracies on the same 200 sentences, with two standard errors to each side; an open dot is one
# that these sentences cannot tell from zero. This is what 192 calibration sentences and a backward pass win over a rule that looks at
# nothing. (Change `SEED`: the gain varies by several points.) Dividing each layer's scores by their norm gives every layer its share, and
# that does not help here: this task *is* lopsided. Scoring again before every cut
# ([iterative pruning](glossary.md#iterative-pruning)) works against the blind spot, since a head whose stand-ins are gone gets a
# higher score. From so few steps expect little; try it in the challenge, with fewer heads and more steps.
#
# ## Other tasks, other heads
#
# The intents ask little of attention: most can be told from a few words, in any order, and are read at one token. The course has
# two more tasks. **Fill-mask** guesses hidden words, with a [task head](glossary.md#task-head) of its own on *the same encoder*.
# **Retrieval** finds the English translation of a sentence among all others, with the embedder of lesson 11, which averages over all tokens.

# %%
pl.quiz("06.guess_task")

# %%
filler, _ = pl.load(task="fill-mask")
embedder, words_of = pl.load(task="embedding")

hidden_train, hidden_validation = (
    pl.mask_tokens(data, seed=SEED) for data in
    (train, pl.load_intents("validation", limit=150, seed=SEED)))
pairs = pl.load_parallel(["de", "fi"], "validation", limit=70, seed=SEED)
unlabelled = pl.load_parallel(["de", "fi"], "calibration", limit=48, seed=SEED)

tasks = {"intents": (model, tokenizer, validation, fisher.heads)}
for name, other, pieces, data, seen in (
        ("fill-mask", filler, tokenizer, hidden_validation, hidden_train),
        ("retrieval", embedder, words_of, pairs, unlabelled)):
    own = pl.importance(other, list(seen.batches(pieces, 16)), "fisher", seed=SEED).heads
    tasks[name] = (other, pieces, data, own)

# %% [markdown]
# Who gets the heads? The same number for each task, chosen by Fisher scores on that task:

# %%
chosen = {name: best(task[-1], FEW) for name, task in tasks.items()}
pl.figures.head_maps({name: masks.heads for name, masks in chosen.items()},
                     title=f"The {FEW} heads that Fisher keeps for each task (● stays)")


# %%
def score(name, masks):
    """A task's own score with these heads, in percent."""
    other, pieces, data, _ = tasks[name]
    return 100 * pl.evaluate(pl.prune(other, masks), pieces, data).score


# %%
choices = {"all": only(range(L)), "only those of the last two layers": only(LAST),
           "all but those of the last two": only({*range(L)} - LAST),
           f"the {FEW} best for the intents": chosen["intents"]}
by_choice = {row: {name: score(name, masks) for name in tasks}
             for row, masks in choices.items()}
by_choice[f"the {FEW} best for the task itself"] = {
    name: score(name, masks) for name, masks in chosen.items()}
by_choice[f"{FEW} at random, mean of 2"] = {
    name: sum(score(name, best(draw, FEW)) for draw in draws[:2]) / 2 for name in tasks}
pl.table([("heads that stay", "intents, accuracy", "fill-mask, top 5", "retrieval"),
          *((row, *(f"{value:.0f}%" for value in cells.values()))
            for row, cells in by_choice.items())])

# %% tags=["nbval-check-output"]
_, ends_only, ends_cut, *_ = by_choice.values()
pl.claim("intents: the last two layers alone beat all the others together",
         ends_only["intents"] > ends_cut["intents"] + 30)
pl.claim("fill-mask, on the same encoder: it is the other way round",
         ends_cut["fill-mask"] > ends_only["fill-mask"] + 30)

# %% [markdown]
# The encoder of the first two columns is the same, weight for weight (it was trained on both tasks at once), and yet the answer is
# the opposite. Fill-mask reads the vector at the hidden word's own place. That place starts out empty, and its
# neighbours have to tell it what they are, layer by layer, from early on; the last two layers alone come too late for that.
# The heads that are best for the intents are of little use to fill-mask. So “which heads matter” is not a property of the model:
# score on the task that you serve.
#
# The third column (140 pairs, so one standard error is 3 or 4 points) teaches something else. The embedder averages over the words and
# can live on what they bring along: it hardly misses the heads of its last two layers. And yet Fisher gives these layers most of the heads
# that stay. Probably the score asks the wrong question: how far a vector *moves*. Retrieval asks only which vector is *nearest*,
# and if all move alike, nothing changes. Compare a score's choice with the other rows, even with the heads chosen for the intents,
# before you trust it.
#
# **Exercise 3: no layer goes silent** (medium, 8 minutes). One list for all layers can leave some with no head at all. Write the cautious
# version: keep exactly `k` heads of the whole model, the best one of each layer, and beyond that the best of all others. `k` is at
# least the number of layers.
#
# <details><summary>Hint</summary>Mark each layer's <code>argmax</code> first. Give the marked ones a score of minus infinity in a
# copy, and take the best <code>k − layers</code> of the rest.</details>

# %%
def keep_with_floor(scores, k):
    """scores: (layers, heads) → a bool mask of the same shape, True keeps."""
    # solution
    floor = torch.zeros_like(scores, dtype=torch.bool)
    floor.scatter_(1, scores.argmax(1, keepdim=True), True)
    rest = scores.masked_fill(floor, -torch.inf).flatten()
    mask = floor.flatten()
    mask[rest.topk(k - len(scores)).indices] = True
    return mask.view_as(scores)
    # end


# %% tags=["nbval-check-output"]
keep_with_floor = pl.check("06.keep_with_floor", keep_with_floor)

# %%
every = pl.Masks.keep_all(model)
rows = [("task", "layers without a head", "best in one list", "best with a floor")]
for name, (*_, own) in tasks.items():
    floored = pl.Masks(keep_with_floor(own, FEW), every.neurons, every.layers)
    empty = int((chosen[name].heads.sum(1) == 0).sum())
    listed = by_choice[f"the {FEW} best for the task itself"][name]
    rows.append((name, empty, f"{listed:.0f}%", f"{score(name, floored):.0f}%"))
pl.table(rows)

# %% [markdown]
# A layer without a head is not broken: the residual connection and the feed-forward network carry every token on. So the floor spends
# heads where the score sees no use for them. It insures against scores that are wrong about a whole layer, and is no improvement in
# itself (a few points, up or down, mean nothing with so few sentences).
#
# ## Remove them for real
#
# Head $h$ owns a block of **rows** in the query, key and value matrices, and a block of **columns** in the output
# matrix. `pl.prune` cuts them out (lesson 00). Layers come out uneven, which is no problem: each has matrices of its own.

# %%
lean = pl.prune(model, chosen["intents"])
share = pl.summary(lean).macs / pl.summary(model).macs
print(f"{FEW} of {L * H} heads, and still {share:.0%} of the multiplications; by layer:",
      *pl.summary(lean).heads)
pl.latency({"whole": model, f"{FEW} heads": lean}, repeats=15)

# %% [markdown]
# Most heads went, and most of the work stayed: the feed-forward networks do it (lesson 02). Removing heads pays
# together with removing neurons, in lesson 08.
#
# <details><summary>At LLM scale</summary>
#
# A decoder that writes token by token keeps the keys and values of all earlier tokens, and at long contexts this cache is a large part of the
# cost. With [grouped-query attention](glossary.md#grouped-query-attention) (Ainslie et al. 2023) several query heads share one key-value head: 32 query
# heads and 8 key-value heads in each layer of Llama 3 8B. Removing a single query head then saves its rows of Q and its columns of the output matrix,
# but not one byte of cache. The cache shrinks only if a whole group goes; so add up the scores over each group, and compare groups. Grouped-query
# attention is itself a way to remove heads: Ainslie and others average the key and value heads of each group, and train on with 5% of the original
# pretraining compute.
#
# Minitron (Muralidharan et al. 2024) scores heads by their activations alone, without gradients, and then distils. And beware of easy measures there
# as here: Wu et al. (2024) find, in the LLMs that they look at, that the heads which fetch facts from a long context are fewer than 5% of all. A
# measure that never asks for such facts will not miss these heads.
#
# </details>
#
# ## Do unseen languages lose more?
#
# One average can hide a lot. We compare the languages of the training with those that the classifier has never seen ([zero-shot](glossary.md#zero-shot)).

# %%
unseen = pl.load_intents("zero_shot", limit=len(validation), seed=SEED).by_length()
lost = {"languages of its training": (whole, answers(lean)),
        "zero-shot languages": (answers(model, unseen), answers(lean, unseen))}
lost = {name: paired_change(*pair) for name, pair in lost.items()}
(a, error_a), (b, error_b) = lost.values()
print(f"difference of the two changes: {100 * (b - a):+.1f} "
      f"± {100 * (error_a ** 2 + error_b ** 2) ** 0.5:.1f} points")
pl.figures.differences({name: (100 * c, 100 * e) for name, (c, e) in lost.items()},
                       title=f"{FEW} of {L * H} heads, {len(validation)} sentences each",
                       xlabel="change of accuracy, points", zero="no change")

# %% [markdown]
# Both lose. These sentences can say which loses more only if the difference is more than twice its error. (These are two *different*
# sets of sentences, so here the squares of the two errors add up.) And a single language has about a tenth of a group's sentences, so its
# bar would be three times as long: a chart of twenty-two languages would show mostly luck, and so there is none.
#
# <details><summary>What the literature says</summary>
#
# Nothing simple. Budhraja and others (2021) find that multilingual BERT is as robust to pruning as BERT on English tasks, but less robust
# across languages, and that it depends on the language family which layers matter. Ma and others (2021) find that removing some heads of
# mBERT and XLM-R in general even *helps*, in multilingual and cross-lingual tasks.
#
# </details>
#
# ## Does the choice matter if you train after?
#
# Budhraja and others (2020) pruned heads of a translation model and of BERT, at random and by rules, and fine-tuned them: random choices did
# nearly as well. Here is a small version: the same number of heads, chosen by Fisher and by three random draws, and then twelve steps of training.

# %%
def trained(masks):
    """Accuracy after the cut and twelve steps of training, in percent."""
    pruned = pl.prune(model, masks)
    data = pl.load_intents("train", limit=192, seed=1000 + SEED)
    pl.fine_tune(pruned, tokenizer, data, batch_size=16, learning_rate=2e-4,
                 progress=False, seed=SEED)
    return percent(answers(pruned))


at_few = COUNTS.index(FEW)
after_cut = {"Fisher": percent(right["Fisher", FEW])}
after_steps = {"Fisher": trained(chosen["intents"])}
for i, draw in enumerate(draws):
    after_cut[f"random draw {i + 1}"] = random_right[i, at_few].item()
    after_steps[f"random draw {i + 1}"] = trained(best(draw, FEW))

# %%
pl.figures.bars({"after the cut": after_cut, "after 12 steps": after_steps},
                title=f"{FEW} heads, then twelve steps of 16 sentences", limit=(0, 112),
                label="validation accuracy, %", levels={"whole model": full})

# %% tags=["nbval-check-output"]
gaps = [stage["Fisher"] - sum(list(stage.values())[1:]) / len(draws)
        for stage in (after_cut, after_steps)]
pl.claim("twelve steps of training narrow the gap between choice and dice",
         gaps[1] < 0.8 * gaps[0])

# %% [markdown]
# After a dozen steps the gap is narrower. To see whether it closes would take more training and more draws than fit here. (On BERT,
# Budhraja and others also found it better to spare the middle layers, and not to cut consecutive ones. So even there
# “random” was not the last word.) A good choice matters most to those who can train little, or not at all.
#
# <details><summary>Let training choose: L0 gates</summary>
#
# Voita and others (2019) multiply each head by a random gate that can be exactly 0 or 1, and fine-tune the model with a penalty on the expected
# number of open gates (the **L0 penalty** with the hard concrete gates of Louizos, Welling and Kingma 2018). Most gates close for good: an
# English-to-Russian translation model lost 38 of its 48 encoder heads this way, for 0.15 BLEU.
#
# </details>
#
# ## Try it: switch heads off
#
# At the start all heads of the last two layers are off, and the answer is wrong. Tick the last layer, or the one before it
# instead: one of them is enough. With both on, can a single head change the answer? Look for candidates in the first picture. The
# button before a row switches the whole layer.

# %%
@torch.inference_mode()
def show(layer, sentence):
    if not sentence.strip():
        raise ValueError("Type a sentence first.")
    encoded = tokenizer(sentence, return_tensors="pt", truncation=True, max_length=128)
    unknown = int((encoded["input_ids"] == tokenizer.unk_token_id).sum())
    with pl.masked(model, pl.Masks(layer, every.neurons, every.layers)):
        likely = pl.outputs(model, dict(encoded))[0].softmax(-1).topk(3)
    names = [model.config.id2label[i] for i in likely.indices.tolist()]
    said = f"{int(layer.sum())} heads on; {encoded['input_ids'].shape[1]} tokens read"
    return [said + (f", {unknown} of them unknown to the model" if unknown else ""),
            pl.figures.bars(dict(zip(names, (100 * likely.values).tolist())), height=1.7,
                            title="The three likeliest intents", label="probability, %",
                            limit=(0, 112))]


# %%
pl.explore(show, start={"layer": rules["all but those of the last two"].heads},
           layer=every.heads, sentence="turn off the lamp in the kitchen")

# %% [markdown]
# Type other sentences while both layers are off, in Italian if you like, or nonsense: nearly all get the same answer.
#
# ## Challenge
#
# How few heads can answer at least 90% of the validation sentences rightly? You may score as you like, in steps, with a floor, by any method of
# this lesson, and [repair](glossary.md#repair) with `pl.repair(pruned, model, calibration)` (lesson 05). No training. A first, poor attempt:

# %%
attempt = pl.prune(model, best(yours, L * H // 2))               # your way in its place
heads_left = sum(pl.summary(attempt).heads)
pl.challenge("06.fewest", heads_left / (L * H), answers(attempt).float().mean().item())

# %% [markdown]
# Done choosing? Then look at the test set, once. (The model that was chosen on the validation sentences looks a little better on them than it is.)

# %%
test = pl.load_intents("test", limit=200, seed=SEED).by_length()
on_test = answers(attempt, test)
print(f"{heads_left} heads, test: {percent(on_test):.1f}% of {len(test)} sentences right; "
      f"change from the whole model: {points(answers(model, test), on_test)} points")

# %% [markdown]
# ## What to remember
#
# - One backward pass scores all heads. Leave-one-out is exact for its sentences only, and every score is blind to heads that replace each other.
# - Compare on the same sentences, in pairs, and with a rule that measures nothing.
# - What matters is where the task reads. A classifier that reads `<s>` needs the heads that write it; fill-mask, on the same encoder, needs others.
# - Random draws differ by tens of points. One is no yardstick.
# - Training after the cut makes the choice matter less. Heads alone save little time.

# %%
pl.quiz("06")

# %%
pl.progress("06")

# %% [markdown]
# ## Sources
#
# - Michel, Levy, Neubig 2019, *Are Sixteen Heads Really Better than One?*: leave-one-out, gradient scores, iterative pruning.
# - Voita et al. 2019, *Analyzing Multi-Head Self-Attention: Specialized Heads Do the Heavy Lifting, the Rest Can Be Pruned*: what heads do, and gates that close them.
# - Louizos, Welling, Kingma 2018, *Learning Sparse Neural Networks through L0 Regularization*.
# - Budhraja, Pande, Nema, Kumar, Khapra 2020, *On the weak link between importance and prunability of attention heads*.
# - Budhraja, Pande, Kumar, Khapra 2021, *On the Prunability of Attention Heads in Multilingual BERT*.
# - Ma, Zhang, Lou, Wang, Vosoughi 2021, *Contributions of Transformer Attention Heads in Multi- and Cross-lingual Tasks*.
# - Prasanna, Rogers, Rumshisky 2020, *When BERT Plays the Lottery, All Tickets Are Winning*: even the worst subnetworks can be trained again.
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: Fisher scores.
# - At LLM scale: Ainslie et al. 2023, *GQA*; Muralidharan et al. 2024, *Compact Language Models via Pruning and Knowledge Distillation*; Wu et al. 2024, *Retrieval Head Mechanistically Explains Long-Context Factuality*.
