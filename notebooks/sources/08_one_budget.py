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
# # 08 · One budget
#
# **You will be able to** share one budget between heads and neurons, decide by measuring whether whole layers should go
# first, choose by milliseconds instead of multiplications, and say when distillation is worth its time.
#
# {minutes, 2 computing}
# Lessons 04 to 07 come first.
#
# So far every lesson had one tool: neurons (04), [repair](glossary.md#repair) (05), heads (06), layers (07). A model that
# ships has usually met all of them. The question of this lesson is how much of each. We answer it with a budget: a number
# of [MACs](glossary.md#mac), or of milliseconds, that must not be exceeded, and everything else follows from measuring.

# %% [markdown]
# ## Setup

# %% tags=["setup"]
import torch

import pruning_lessons as pl

SEED = 0               # another seed: other sentences, other dice
pl.check_environment();

# %% [markdown]
# Scores and repair look at the [calibration set](glossary.md#calibration-set), 256 training sentences. We compare choices
# on 400 [validation](glossary.md#validation-set) sentences. `right` keeps the verdict on every single sentence, because two
# models that answer the same sentences should be compared sentence by sentence.

# %%
CHECKPOINT = "embedded"
model, tokenizer = pl.load(pl.prepare(CHECKPOINT))
L, H = pl.Masks.keep_all(model).heads.shape              # layers, heads in each
train = pl.load_intents("train", limit=256, seed=SEED)
calibration = list(train.by_length().batches(tokenizer, batch_size=16))
validation = pl.load_intents("validation", limit=400, seed=SEED).by_length()


@torch.no_grad()
def right(m, data=validation):
    """Which sentences does m answer correctly? One bool for each, in the data's order."""
    batches = data.batches(tokenizer, batch_size=50)
    return torch.cat([pl.outputs(m, b).argmax(-1) == b["labels"] for b in batches])


start = right(model)
print(f"unpruned: {start.float().mean():.1%} of {len(start)} validation sentences")

# %% [markdown]
# We score with Optimal Brain Surgeon ([OBS](glossary.md#optimal-brain-surgeon), lesson 05). Its score estimates by how much the
# loss grows if a part goes *and the others make up for it*, which is what repair will let them do. Heads and neurons are scored
# in the same unit, loss, so their scores can be added and compared.

# %%
scores = pl.importance(model, calibration, "obs", seed=SEED)
print("scores of heads", tuple(scores.heads.shape), "and of neurons",
      tuple(scores.neurons.shape))


def repaired(masks):
    return pl.repair(pl.prune(model, masks), model, calibration, inputs=True)


# %% [markdown]
# ## Why one kind of part is not enough
#
# Guess first how the prices of the two kinds compare:

# %%
pl.quiz("08.guess_price")

# %%
whole = pl.encoder_macs(model)
head_cost, neuron_cost = pl.unit_macs(model)             # for 24 tokens
attention = L * H * head_cost / whole
print(f"a head {head_cost:,} MACs, a neuron {neuron_cost:,}: one head costs as much as "
      f"{head_cost / neuron_cost:.0f} neurons")
print(f"all heads together: {attention:.0%} of the encoder's MACs; "
      f"all neurons: {1 - attention:.0%}")

# %% [markdown]
# Suppose that 40% of the MACs may stay. Heads alone cannot get us there: even without a single one, the neurons need more than that.
# Neurons alone can, but only just, since the untouched heads use up most of the budget. Layers alone can. And so can
# heads and neurons together. Each of these models is pruned to the same budget (layers, to the nearest whole layer) and repaired in the
# same way:

# %%
KEEP = 0.4
drop = L - round(KEEP * L)
gone = pl.layers_to_drop(model, drop, "block_influence", calibration[:4])
neurons_left = int((KEEP * whole - L * H * head_cost) / neuron_cost)
ways = {"at random": pl.random_masks(model, KEEP, seed=SEED),
        f"{drop} of {L} layers go": pl.layer_masks(model, gone)}
if neurons_left > 0:
    ways["neurons alone"] = pl.select(scores, model, keep_neurons=neurons_left)
ways["heads and neurons"] = pl.select(scores, model, keep_macs=KEEP)
share = lambda m: right(m).float().mean().item()           # of sentences that are right
cut = {way: 100 * share(pl.prune(model, masks)) for way, masks in ways.items()}

# %%
fixed = {way: 100 * share(repaired(masks)) for way, masks in ways.items()}

# %%
untouched = {"whole model": 100 * start.float().mean().item()}
pl.figures.bars({"cut": cut | untouched, "cut and repaired": fixed | untouched},
                label="validation accuracy, %",
                title=f"{KEEP:.0%} of the MACs, spent in different ways")

# %% tags=["nbval-check-output"]
together = fixed["heads and neurons"]
behind = max(points for way, points in fixed.items() if way != "heads and neurons")
pl.claim("heads and neurons together, repaired, lose at most five points",
         together > 100 * start.float().mean() - 5)
pl.claim("at the same budget every other way is at least two points behind",
         together > behind + 2)

# %% [markdown]
# Some heads and some neurons are almost free to remove, others are expensive. The more kinds of parts you may choose from, the
# more cheap ones you find. Repair lifts even a random cut far, and it lifts the good choice to the top. (At a more generous budget the
# careful ways lie closer together. Exercise 2 shows how to tell such gaps from chance.)

# %% [markdown]
# ## One budget
#
# We want the largest sum of scores $I$ that a budget $B$ can pay for:
#
# $$\max \sum_{h\,\in\,\text{kept heads}} I_h + \sum_{j\,\in\,\text{kept neurons}} I_j \qquad\text{such that}\qquad
# n_{\text{heads}}\,c_{\text{head}} + n_{\text{neurons}}\,c_{\text{neuron}} \le B$$
#
# This looks like a knapsack problem, and those are hard. But this one is easy, because every head costs the same, and so does every neuron.
# For any number of heads it is best to take those with the highest scores, and to buy the best neurons with whatever is left of the
# budget. So try every number of heads (Kwon et al. 2022).
#
# **Exercise 1. Split the budget** (medium, 10 minutes). Given the scores of heads and of neurons, the two prices and a budget, return
# how many heads and how many neurons to keep: the pair with the largest sum of scores. If two pairs are equally good, take the one with
# fewer heads. Your function then splits the model's budgets.
#
# <details><summary>Hint</summary>Sort both lists, largest first. For each number of heads that the budget can pay, buy as many neurons as
# the rest pays for (there are only so many), add up the scores, and remember the best pair.</details>

# %%
def split_budget(heads, neurons, head_cost, neuron_cost, budget):
    """heads, neurons: scores, (n,) and (m,) → (how many heads, how many neurons)"""
    # solution
    heads = heads.double().sort(descending=True).values
    neurons = neurons.double().sort(descending=True).values
    best = (-1.0, 0, 0)
    for n in range(len(heads) + 1):
        if n * head_cost > budget:
            break
        m = min(int((budget - n * head_cost) // neuron_cost), len(neurons))
        worth = (heads[:n].sum() + neurons[:m].sum()).item()
        if worth > best[0] + 1e-12:
            best = (worth, n, m)
    return best[1:]
    # end


# %% tags=["nbval-check-output"]
split_budget = pl.check("08.split_budget", split_budget)

# %% [markdown]
# The table splits four budgets with your function and with the library's `select`.

# %%
flat = (scores.heads.flatten(), scores.neurons.flatten())
mine, theirs = {}, {}
for budget in (0.5, 0.33, 0.25, 0.15):
    split = split_budget(*flat, head_cost, neuron_cost, budget * whole)
    mine[budget] = tuple(map(int, split))
    kept = pl.select(scores, model, keep_macs=budget)
    theirs[budget] = (int(kept.heads.sum()), int(kept.neurons.sum()))
pl.table([("share of the MACs", "heads, neurons: yours", "the library's"),
          *((f"{b:.0%}", "{} and {:,}".format(*mine[b]), "{} and {:,}".format(*theirs[b]))
            for b in mine)])

# %% tags=["nbval-check-output"]
pl.claim("your function and the library split every budget alike", mine == theirs)

# %% [markdown]
# How much is lost by a wrong split? For three budgets, the share of all scores that is given up with each possible number of heads:

# %%
def given_up(n, budget):
    """The share of all scores that goes if n heads stay, and neurons for the rest."""
    heads, neurons = (x.double().sort(descending=True).values for x in flat)
    rest = int((budget * whole - n * head_cost) // neuron_cost)
    lost_sum = heads[n:].sum() + neurons[max(rest, 0):].sum()
    total = heads.sum() + neurons.sum()
    return (lost_sum / total).item() if rest >= 0 else float("nan")


pl.figures.splits({f"{b:.0%} of the MACs": [given_up(n, b) for n in range(L * H + 1)]
                   for b in (0.5, 0.25, 0.15)}, title="Too few heads, or too many")

# %% [markdown]
# The bottom of each curve is flat: a few heads more or fewer hardly matter. The ends are not: with no heads at all, many times
# as much is given up; with too many, up to several times. Move the slider to see which layers a budget is taken from:

# %%
def layers_keep(keep_macs):
    kept = pl.select(scores, model, keep_macs=keep_macs)
    return pl.figures.curves(
        list(range(L)),
        {"heads": (100 * kept.heads.float().mean(1)).tolist(),
         "neurons": (100 * kept.neurons.float().mean(1)).tolist()},
        title=f"What each layer keeps at {keep_macs:.0%} of the MACs", xlabel="layer",
        ylabel="kept, %", ylim=(-3, 103))


pl.explore(layers_keep, keep_macs=[0.75, 0.5, 0.33, 0.25, 0.15, 0.1],
           start={"keep_macs": 0.25})

# %% [markdown]
# The budget knows nothing of layers. That some layers keep most of their heads, and others only a few, is decided by the scores
# alone.
#
# <details><summary>What a sum of scores leaves out: K-prune and ZipLM</summary>Adding up scores assumes that parts do not
# depend on each other, and that a score stays right while the model shrinks. Kwon et al. correct the first assumption within a layer
# (<a href="glossary.md#rearrangement">rearrangement</a>); repair does so better. K-prune (Park, Choi, Kang 2024) corrects the second: it
# goes through the sublayers from the bottom up, scores what is not yet cut on the model as it is by then, cuts one sublayer, refits its
# output matrix, and subtracts what that sublayer kept from the budget. ZipLM (Kurtic, Frantar, Alistarh 2023) prepares every sublayer at many widths, already compensated as in OBS, and
# searches over the combinations by measured loss and measured time.</details>

# %% [markdown]
# ## A budget in milliseconds
#
# Nobody waits for a multiplication. People wait for milliseconds, and attention costs more of those than its MACs say
# (lesson 02). So measure the prices: a [latency table](glossary.md#latency-table) says how long one layer's attention takes with so many heads, and
# its feed-forward part with so many neurons. Then choose a width for every layer, so that the sum of the times stays below the limit. Now
# the next head or neuron has another price at every width, so this is a true knapsack problem; `select` solves it by dynamic programming.
#
# Is it worth the trouble? Two models can only be compared at equal time. So for each limit we also look for the largest share of
# MACs that keeps the same promise:

# %%
times = pl.latency_table(model, widths=8, repeats=15)
now = times.promise(pl.Masks.keep_all(model))


def within(limit):
    """Masks by the largest share of the MACs that the table promises to keep the limit."""
    fits, low, high = None, 0.0, 1.0
    for _ in range(7):                                   # halve the interval, seven times
        middle = (low + high) / 2
        masks = pl.select(scores, model, keep_macs=middle, multiple=8)
        in_time = times.promise(masks) <= limit
        low, high = (middle, high) if in_time else (low, middle)
        fits = masks if in_time or fits is None else fits
    return fits


print(f"whole {now:.1f} ms, of which {times.rest:.1f} ms outside the layers")

# %%
chosen = {}
for part in (0.45, 0.22):
    limit = times.rest + part * (now - times.rest)     # the embeddings take their time, too
    by_time = pl.select(scores, model, max_latency_ms=limit, table=times, multiple=8)
    chosen[f"{limit:.2f} ms", "MACs"] = within(limit)
    chosen[f"{limit:.2f} ms", "milliseconds"] = by_time

# %% [markdown]
# All four models are repaired, asked the same sentences, and timed in turns with the whole one:

# %%
def measured(models):
    """Their latency, in turns with the whole model's, their verdicts and their MACs."""
    speed = pl.latency({"whole": model, **models}, repeats=20)
    return (speed, {key: right(m) for key, m in models.items()},
            {key: pl.encoder_macs(m) for key, m in models.items()})


speed, verdicts, _ = measured({key: repaired(masks) for key, masks in chosen.items()})
clock = speed.median
rows = [("promised at most", "chosen by", "heads", "neurons", "measured ms", "right")]
for (promise, how), kept in chosen.items():
    rows.append((promise, how, int(kept.heads.sum()), f"{int(kept.neurons.sum()):,}",
                 f"{clock[promise, how]:.1f}",
                 f"{verdicts[promise, how].float().mean():.1%}"))
pl.table(rows)

# %%
lines = {"chosen by MACs": [], "chosen by milliseconds": []}
for (promise, how), verdict in verdicts.items():
    ones = verdict.float()
    place = clock[promise, how], ones.mean().item(), ones.std().item() / len(ones) ** 0.5
    lines[f"chosen by {how}"].append(place)
pl.figures.against_time(lines, title="At equal time: chosen by MACs or by milliseconds",
                        level=("whole model", start.float().mean().item()))

# %% [markdown]
# First compare what was promised with what was measured: where the two are far apart, the machine was busy at one time or the other.
# Then compare the two lines at one and the same time. The whiskers are two standard errors for 400 sentences; where they overlap
# widely, this experiment does not tell the two ways apart. Then choose by MACs, which are the same on every machine, unless your machine's
# table shows a price that MACs know nothing of: a layer that costs time even when nearly empty, or widths that are slow. (Comparing “half of the MACs” with “half of the milliseconds” would have told us nothing: the two take different times.)
#
# There is one price of that kind in every Transformer, and it is worth a section of its own.

# %% [markdown]
# ## With or without layers?
#
# A third of the MACs can be twelve thin layers, or nine thicker ones. Which is faster?

# %%
pl.quiz("08.guess_depth")

# %% [markdown]
# Scores cannot tell which is more accurate: they describe single parts, and a lost layer is a large step. So build both. For the second
# model a quarter of the layers goes first; what is left is scored again, cut to the same budget, and repaired.

# %%
THIRD = 1 / 3
thin, thick = f"{L} layers", f"{L - L // 4} layers"
first_gone = pl.layers_to_drop(model, L // 4, "block_influence", calibration[:4])


def shallow_first():
    """Layers go first, then heads and neurons of those that stay."""
    shallow = pl.prune(model, pl.layer_masks(model, first_gone))
    again = pl.importance(shallow, calibration, "obs", seed=SEED)
    share_left = THIRD * whole / pl.encoder_macs(shallow)
    shape = pl.select(again, shallow, keep_macs=share_left, multiple=8)
    return pl.repair(pl.prune(shallow, shape), model, calibration, inputs=True)


# %%
same_budget = pl.select(scores, model, keep_macs=THIRD, multiple=8)
depth_speed, depth_right, macs = measured({thin: repaired(same_budget),
                                           thick: shallow_first()})
pl.table([("model", "MACs", "ms, batch 1", "times as fast", "right"),
          *((name, f"{macs[name] / whole:.1%}", f"{depth_speed.median[name]:.1f}",
             f"{depth_speed.ratio[name]:.2f}", f"{verdict.float().mean():.1%}")
            for name, verdict in depth_right.items())])

# %%
pl.claim("at equal MACs the model with fewer layers is faster",
         depth_speed.median[thick] < depth_speed.median[thin])

# %% [markdown]
# Equal multiplications, unequal milliseconds: every layer has a fixed overhead, the time it takes to launch its operations. And
# the accuracies? They differ, but by how much must two accuracies differ before it means something?
#
# **Exercise 2. Compare in pairs** (easy, 6 minutes). Two models have answered the same sentences. Subtract sentence by sentence: the
# difference $d_i$ is 1 where only the first is right, −1 where only the second is, else 0. Return the mean of $d$ and its standard error, the
# standard deviation of $d$ (with $n-1$) divided by $\sqrt{n}$.
#
# <details><summary>Hint</summary>A bool tensor becomes one of zeros and ones with <code>.float()</code>. <code>.std()</code> uses n − 1
# already.</details>

# %%
def paired(first, second):
    """first, second: bool tensors (n,) → (mean difference, its standard error)"""
    # solution
    d = first.float() - second.float()
    return d.mean().item(), d.std().item() / len(d) ** 0.5
    # end


# %% tags=["nbval-check-output"]
paired = pl.check("08.paired", paired)

# %%
def say(name, first, second):
    mean, error = map(float, paired(first, second))
    known = "more than chance" if abs(mean) > 2 * error else "no more than chance may give"
    print(f"{name}: {100 * mean:+.1f} ± {200 * error:.1f} points, {known}")


say(f"{thick} against {thin}", depth_right[thick], depth_right[thin])
say(f"{thick} against the whole model", depth_right[thick], start)

# %% [markdown]
# The ± is two standard errors. For two different sets of sentences it would be larger: here, what is hard for one model is mostly hard
# for the other too, and cancels. If the two depths cannot be told apart, take the faster one. For a large batch, where the overhead counts
# for little, or with more sentences, the answer may be another one: let your own validation set decide.

# %% [markdown]
# ## All of it in one call
#
# `pl.compress` does in one call what lessons 05 and 08 have built by hand. There is no magic in it: score by OBS, split the budget,
# prune, repair.

# %%
QUARTER = 0.25
masks = pl.select(scores, model, keep_macs=QUARTER)
in_one = pl.compress(model, tokenizer, calibration, keep_macs=QUARTER, scores=scores)
with torch.no_grad():
    one, other = (pl.outputs(m, calibration[0]) for m in (repaired(masks), in_one))
print(f"by hand and in one call: largest difference of the logits "
      f"{(one - other).abs().max():.0e}")

# %% [markdown]
# What does each step contribute? At the same budget, the table shows [Fisher scores](glossary.md#fisher-information) (lesson 04), rearranged as
# by Kwon et al. or repaired instead, and OBS scores without repair and with it. Beside the accuracy stands the
# [KL divergence](glossary.md#kl-divergence) from the whole model's answers, which moves before an answer flips:

# %%
@torch.no_grad()
def answers(m):
    """Log-probabilities, (validation sentences, labels)."""
    batches = validation.batches(tokenizer, batch_size=50)
    return torch.cat([pl.outputs(m, b) for b in batches]).log_softmax(-1)


THEIRS = answers(model)
LABELS = torch.cat([b["labels"] for b in validation.batches(tokenizer, batch_size=50)])


def judged(m):
    """Verdicts as of `right`, and the KL divergence from the whole model's answers."""
    own = answers(m)
    return own.argmax(-1) == LABELS, (THEIRS.exp() * (THEIRS - own)).sum(-1).mean().item()


# %%
fisher = pl.importance(model, calibration, "fisher", seed=SEED)
plain, moved = (pl.select(fisher, model, keep_macs=QUARTER, rearrange=how)
                for how in (False, True))

# %%
steps = {"Fisher, rearranged": judged(pl.prune(model, moved)),
         "Fisher, repaired": judged(repaired(plain)),
         "OBS, cut": judged(pl.prune(model, masks)),
         "OBS, repaired (compress)": judged(in_one)}
lost = {name: kl for name, (_, kl) in steps.items()}
pl.table([("a quarter of the MACs", "right", "KL divergence"),
          *((name, f"{verdict.float().mean():.1%}", f"{kl:.2f}")
            for name, (verdict, kl) in steps.items())])

# %% tags=["nbval-check-output"]
pl.claim("repair takes back most of the divergence", lost["Fisher, repaired"]
         < lost["Fisher, rearranged"] / 2)
pl.claim("after repair OBS scores beat Fisher scores",
         lost["OBS, repaired (compress)"] < lost["Fisher, repaired"])

# %% [markdown]
# OBS chooses for the model *after* repair, and there it pays off, if only in the divergence: the two accuracies may be too close to tell
# apart. `compress(…, effort="thorough")` goes one step further. How much each sublayer may keep follows from sums of scores, which are
# estimates. So it multiplies the scores of each sublayer by a factor, prunes and refits on half of the sentences, measures the divergence
# on the other half, and keeps a factor that helps, sixty times (the idea is SPDY's, Frantar and Alistarh 2022). This search takes minutes
# instead of seconds, and pays where most is cut.

# %% [markdown]
# ## Distil
#
# Repair fitted the layers to their old outputs, one after the other. [Distillation](glossary.md#distillation) (lesson 07) trains them together
# towards the whole model's answers. It helps where there is something left to win, so we cut deep: to 15% of the MACs. Two students
# get the same few steps, one from the bare cut, one from the repaired model. Guess first:

# %%
pl.quiz("08.guess_start")

# %%
DEEP = 0.15
masks_deep = pl.select(scores, model, keep_macs=DEEP, multiple=8)
lessons = pl.load_intents("train", limit=640, seed=SEED + 1)


def taught(student):
    """Its training, and what `judged` says of it before and after."""
    before = judged(student)
    training = pl.distill(student, model, tokenizer, lessons, epochs=3, learning_rate=3e-4,
                          validation=validation, seed=SEED, progress=False)
    return training, before, judged(student)


# %%
bare, mended = "from the bare cut", "from the repaired model"
students = {bare: taught(pl.prune(model, masks_deep)), mended: taught(repaired(masks_deep))}

# %%
epochs = list(range(4))
pl.figures.curves([20 * e for e in epochs],
                  {name: [100 * a for a in (training.start, *training.accuracies)]
                   for name, (training, *_) in students.items()},
                  levels={"whole model": 100 * start.float().mean().item()},
                  title=f"Distilled at {DEEP:.0%} of the MACs", xlabel="training steps",
                  ylabel="validation accuracy, %")

# %%
rows = [("start", "KL before", "KL after", "right before", "right after")]
before, after = {}, {}
for name, (_, (was, before[name]), (is_now, after[name])) in students.items():
    rows.append((name, f"{before[name]:.2f}", f"{after[name]:.2f}",
                 f"{was.float().mean():.1%}", f"{is_now.float().mean():.1%}"))
    say(f"distilled {name}, against before", is_now, was)
pl.table(rows)

# %% [markdown]
# Read the table by rows. From the bare cut distillation gains far more, because so much was lost; all its steps bring this student only about as
# far as repair brought the other one in seconds, with no labels and no training. From the repaired model the same steps gain less, but on top of
# a better start, and that student ends ahead. So repair first, then distil.
#
# And at the budget of the first picture? There repair leaves so little to win that 60 steps, judged on 400 sentences, could hardly show a gain.
# Distillation pays where the cut was deep and the training is long: the models in the last picture of the next lesson were distilled on thousands of
# sentences. What a long training wins back after the deepest cut, here and on the embedder of lesson 11, stands in the repository's
# `benchmarks/distil.md`. (`distill` keeps the epoch that is best on the validation sentences, so what the table shows after training is a little flattered.)

# %% tags=["nbval-check-output"]
pl.claim("after the same steps the model that was repaired is still ahead",
         after[mended] < after[bare])
pl.claim("distillation brings the repaired model closer to the whole one",
         after[mended] < before[mended])

# %% [markdown]
# <details><summary>At LLM scale</summary>
#
# - *Width or depth?* Minitron (Muralidharan et al. 2024) cuts neurons, heads, the hidden size and whole layers of a model with 15 billion
#   parameters, scored by forward passes over a small calibration set, and then distils, with up to 40 times fewer tokens than training a model of that
#   size from scratch takes. In a second report (Sreenivas et al. 2024) cutting width keeps more accuracy, and cutting depth gives more speed.
# - *The hidden size.* SliceGPT (Ashkboos et al. 2024, section 3) rotates the hidden states so that their last coordinates carry little, and slices
#   these off every matrix. A rotation passes through RMSNorm, and a model that normalises the *input* of each sublayer can be rewritten with it. Ours
#   normalises after each sum, with learned factors, and there the trick is not exact.
# - *The budget.* CoFi (Xia, Zhong, Chen 2022, section 3) learns masks over layers, heads, neurons and the hidden size of BERT while it distils. ZipLM
#   (Kurtic, Frantar, Alistarh 2023) prunes for a given speed-up, measured on a given machine, and reports better BERTs than CoFi's at the same
#   speed.
#
# </details>
#
# ## Challenge: the fewest MACs
#
# How deep can you cut and still get 90% of the validation sentences right? Here is a first attempt that leaves much to do. You may use
# everything: more calibration sentences (there are thousands in `pl.load_intents("train")`), fewer layers, `effort="thorough"`, distillation.

# %%
attempt = pl.prune(model, pl.select(scores, model, keep_macs=0.6))
pl.challenge("08.fewest", cost=pl.encoder_macs(attempt) / whole,
             quality=right(attempt).float().mean())

# %% [markdown]
# When you are done choosing, and only then, look at sentences that no choice has seen. If your model falls further behind the whole one than
# before, choosing has flattered it.

# %%
test = pl.load_intents("test", limit=400, seed=SEED).by_length()
print(f"test: {right(attempt, test).float().mean():.1%}, "
      f"unpruned {right(model, test).float().mean():.1%}")
say("the attempt against the whole model, test", right(attempt, test), right(model, test))

# %% [markdown]
# ## What to remember
#
# - Spend one budget on all kinds of parts. Where parts of a kind cost the same, the best split is found by trying every number of heads.
# - Compare models at equal time, on the same sentences, in pairs, with the error beside the difference.
# - At equal MACs fewer layers are faster. Whether they are as accurate, find out by building both.
# - `pl.compress` is score (OBS), split, prune, repair; `effort="thorough"` also searches the shares of the sublayers.
# - Repair first, then distil. Distillation wins where the cut was deep.

# %%
pl.quiz("08")

# %%
pl.progress("08")

# %% [markdown]
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: the search over numbers of heads.
# - Park, Choi, Kang 2024, *Accurate Retraining-free Pruning for Pretrained Encoder-based Language Models* (K-prune): score, cut and refit sublayer by sublayer.
# - Kurtic, Frantar, Alistarh 2023, *ZipLM: Inference-Aware Structured Pruning of Language Models*: OBS for whole structures, budgets in measured time.
# - Frantar, Alistarh 2022, *SPDY: Accurate Pruning with Speedup Guarantees*: a search over factors of the layers' sensitivities.
# - Xia, Zhong, Chen 2022, *Structured Pruning Learns Compact and Accurate Models* (CoFi): pruning with distillation (section 3.2).
# - Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network*.
# - Muralidharan et al. 2024, *Compact Language Models via Pruning and Knowledge Distillation*, and Sreenivas et al. 2024, *LLM
#   Pruning and Distillation in Practice: The Minitron Approach*.
# - Ashkboos et al. 2024, *SliceGPT: Compress Large Language Models by Deleting Rows and Columns* (section 3).
