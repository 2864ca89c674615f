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
# # 08 · Your own model
#
# [Open in Colab](https://colab.research.google.com/github/OWNER/pruning_lessons/blob/main/notebooks/08_your_own_model.ipynb) ·
# [Open in Binder](https://mybinder.org/v2/gh/OWNER/pruning_lessons/main?urlpath=lab/tree/notebooks/08_your_own_model.ipynb)
#
# **You will be able to** take a classifier of your own and a file of texts, get its front of accuracy against time, choose
# a point, and leave with a folder to serve.
#
# *Thirty minutes of yours for the example, about a minute of computing. Lesson 07 comes first.*
#
# This lesson is a **template**: copy it, change the first cell, run all. As it stands it works on a model that is not the
# course's, made below by plain transformers.

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
                    f"pruning-lessons[views,train,export] @ {source}"], check=True)
    importlib.invalidate_caches()

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import (DistilBertConfig, XLMRobertaConfig,
                          XLMRobertaForSequenceClassification, logging)

import pruning_lessons as pl
from pruning_lessons.selection import encoder_macs
from pruning_lessons.tables import table

logging.disable_progress_bar()
pl.check_environment();

# %% [markdown]
# ## What will work
#
# The layers of XLM-RoBERTa, RoBERTa, CamemBERT and BERT are laid out alike, so all four can be cut, of any size, with any
# number of labels. What is different is refused before anything happens:

# %%
folder = Path(tempfile.mkdtemp())
(folder / "other").mkdir()
DistilBertConfig().save_pretrained(folder / "other")
(folder / "other" / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
try:
    pl.load(folder / "other")
except ValueError as error:
    print(str(error).split("cannot be loaded: ")[1])

# %%
table([("family", "heads, neurons, layers", "vocabulary pruning", "ONNX, int8"),
       ("XLM-RoBERTa", "yes", "yes", "yes"), ("CamemBERT", "yes", "if its tokenizer is Unigram", "yes"),
       ("RoBERTa", "yes", "no (byte pairs)", "yes"), ("BERT", "yes", "no (WordPiece)", "yes"),
       ("others, decoders", "refused", "refused", "refused")])

# %% [markdown]
# ## A stand-in for your model
#
# You have a checkpoint and a table of texts. So that this notebook runs before you have put them in, the next two cells make
# both: a CSV file whose labels are six kinds of command, and a classifier of half the course's layers with six labels, saved by plain
# transformers. It starts from every other layer of the course's model and is trained for half a minute. *In your copy, delete
# these two cells.*

# %%
import csv

source = pl.load_intents("train", ["en", "de", "fr", "es"], limit=6000, seed=2)
GROUPS = {"timer": "timer", "media": "media", "cover": "cover", "turn_o": "switch", "list": "list"}
known = []
for label in source.labels:
    intent = source.label_names[label]
    known.append(next((group for part, group in GROUPS.items() if part in intent), "other"))
picked, count = [], {group: 0 for group in set(known)}
for place, group in enumerate(known):                          # as many of each group
    if count[group] < 1600 // len(count):
        count[group] += 1
        picked.append(place)
with open(folder / "texts.csv", "w", encoding="utf-8", newline="") as stream:
    out = csv.writer(stream)
    out.writerow(["text", "label", "language"])
    out.writerows((source.sentences[i], known[i], source.languages[i]) for i in picked)
print(count)

# %%
torch.manual_seed(0)
parent, tokenizer = pl.load("embedded")
L = len(parent.base_model.encoder.layer)
thin = pl.prune(parent, pl.layer_masks(parent, range(0, L, 2)))         # every other layer goes
labels = sorted(count)
own = XLMRobertaConfig(id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
config = XLMRobertaConfig(**{k: v for k, v in parent.config.to_dict().items()
                             if k in ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads",
                                      "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
                                      "pad_token_id", "bos_token_id", "eos_token_id")})
config.num_hidden_layers = len(thin.base_model.encoder.layer)
config.id2label, config.label2id = own.id2label, own.label2id
plain = XLMRobertaForSequenceClassification(config)
weights = {k: v for k, v in thin.state_dict().items() if not k.startswith("classifier.out_proj")}
plain.load_state_dict(weights, strict=False)
data = pl.read_csv(folder / "texts.csv", language="language", label_names=labels)
order = torch.randperm(len(data), generator=torch.Generator().manual_seed(1)).tolist()
pl.fine_tune(plain, tokenizer, data.subset(order[:1000]), epochs=2, learning_rate=3e-4,
             progress=False)
plain.save_pretrained(folder / "checkpoint")
tokenizer.save_pretrained(folder / "checkpoint")
print(type(plain).__name__, "with", config.num_hidden_layers, "layers and labels", labels)

# %% [markdown]
# ## Your settings
#
# Change these lines, and nothing below.

# %%
CHECKPOINT = folder / "checkpoint"       # a folder that save_pretrained wrote, or a hub id
TEXTS = folder / "texts.csv"             # UTF-8, with a header line
TEXT, LABEL = "text", "label"            # the names of its columns
LANGUAGE = "language"                    # a column to report by, or None
BUDGETS = (0.75, 0.5, 0.3, 0.15)         # shares of the encoder's multiplications
POINTS = 1.0                             # so many points of accuracy may be lost
LENGTH = 24                              # tokens in a typical text of yours
OUT = folder / "to_serve"

# %% [markdown]
# ## Three sets, no text in two
#
# **Calibration** texts are looked at by scores and repair, **validation** texts choose, **test** texts have the last word.
# A text that stands twice in your file must not be on both sides, or the test flatters you. If the file holds texts that the
# model was trained on, its accuracy before pruning is flattered, too; the comparison before and after is still fair.

# %%
model, tokenizer = pl.load(CHECKPOINT)
id2label = model.config.id2label
data = pl.read_csv(TEXTS, TEXT, LABEL, LANGUAGE, [id2label[i] for i in range(len(id2label))])
unique = {text.strip().lower(): place for place, text in enumerate(data.sentences)}
order = torch.randperm(len(unique), generator=torch.Generator().manual_seed(0)).tolist()
places = [list(unique.values())[i] for i in order]
third = len(places) // 3
by_length = lambda d: d.subset(sorted(range(len(d)), key=lambda i: len(d.sentences[i])))
calibration, validation, test = (data.subset(places[i * third:(i + 1) * third]) for i in range(3))
batches = list(by_length(calibration.subset(list(range(min(384, third))))).batches(tokenizer, 16))
print(f"{len(data)} lines, {len(unique)} different texts: {third} for each set")

# %% [markdown]
# ## Before

# %%
pl.summary(model, length=LENGTH)

# %%
before = pl.evaluate(model, tokenizer, validation)
print(f"validation: {before.accuracy:.1%}; guessing the commonest label: "
      f"{max(map(validation.labels.count, set(validation.labels))) / len(validation):.1%}")

# %% [markdown]
# If these two are close, stop here: there is nothing to prune yet. Check the order of the labels first.
#
# ## The front
#
# One scoring pass for all budgets; then for each: choose, cut, repair.

# %%
scores = pl.importance(model, batches)
front = {1.0: model}
for keep in BUDGETS:
    masks = pl.select(scores, model, keep_macs=keep, length=LENGTH, multiple=8, rearrange=False)
    front[keep] = pl.repair(pl.prune(model, masks), model, batches)
found = {keep: pl.evaluate(m, tokenizer, validation) for keep, m in front.items()}
named = {f"{keep:.0%}": m for keep, m in front.items()}
times = pl.latency(named, length=LENGTH, repeats=20)
rows = [(f"{keep:.0%}", times.median[f"{keep:.0%}"], found[keep].accuracy) for keep in front]
table([("MACs kept", "ms", "times faster", "validation"),
       *((name, f"{ms:.1f}", f"{rows[0][1] / ms:.1f}", f"{a:.1%}") for name, ms, a in rows)])

# %% [markdown]
# ## Choose a point
#
# The fastest model that loses no more than you allow:

# %%
allowed = [row for row in rows if row[2] >= before.accuracy - POINTS / 100]
chosen, ms, accuracy = min(allowed, key=lambda row: row[1])
small = named[chosen]

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot([r[1] for r in rows], [100 * r[2] for r in rows], "o-", label="models")
for name, x, y in rows:
    ax.annotate(name, (x, 100 * y), textcoords="offset points", xytext=(4, -12))
ax.plot(ms, 100 * accuracy, "o", markersize=17, fillstyle="none", color="black", label="chosen")
ax.axhline(100 * before.accuracy - POINTS, color="black", linestyle="--", label="as much may be lost")
ax.set(xlabel="milliseconds, batch 1", ylabel="accuracy, %", xlim=(0, None),
       title=f"Chosen: {chosen} of the multiplications, {rows[0][1] / ms:.1f} times as fast")
ax.legend()
plt.show()

# %% [markdown]
# *The picture in words: accuracy against milliseconds, a point for each budget with its share of multiplications, a dashed line
# for what may be lost, a circle around the chosen point.*
#
# Not enough? Distil the next smaller one: `pl.distill(student, model, tokenizer, calibration, epochs=3)`. It trains, so give
# it many texts; it goes on after an interruption if you name a `folder`.
#
# ## The last word, and which language pays
#
# The choice was made on validation texts. So only the test texts, which nothing has looked at, say what it cost.

# %%
first, last = (pl.evaluate(m, tokenizer, test) for m in (model, small))
rows_by = [(k, f"{first.by_language[k]:.1%}", f"{last.by_language[k]:.1%}",
            f"{100 * (last.by_language[k] - first.by_language[k]):+.1f}") for k in sorted(first.by_language)]
table([("", "before", "after", "points"),
       ("all", f"{first.accuracy:.1%}", f"{last.accuracy:.1%}",
        f"{100 * (last.accuracy - first.accuracy):+.1f}"), *rows_by])

# %% [markdown]
# With few texts of a language one flipped answer is several points. Look for the pattern, not for the digit.
#
# ## Save and serve
#
# Two forms: a folder for PyTorch, which transformers opens after `import pruning_lessons`; and ONNX with int8 beside
# it, which needs neither.

# %%
pl.save(small, tokenizer, OUT / "torch")
pl.quantize_onnx(pl.export_onnx(small, tokenizer, OUT / "onnx"))
reloaded, _ = pl.load(OUT / "torch")
served = {kind: pl.OnnxClassifier(OUT / "onnx", quantized=kind, threads=2) for kind in (False, True)}
rows = [("form", "MB", "test")]
for name, m, file in (("PyTorch", reloaded, OUT / "torch" / "model.safetensors"),
                      ("ONNX", served[False], OUT / "onnx" / "model.onnx"),
                      ("ONNX int8", served[True], OUT / "onnx" / "model-int8.onnx")):
    rows.append((name, f"{file.stat().st_size / 1e6:.0f}", f"{pl.evaluate(m, tokenizer, test).accuracy:.1%}"))
assert pl.evaluate(reloaded, tokenizer, test).accuracy == last.accuracy
table(rows)

# %%
pl.latency({"before, PyTorch": model, "after, PyTorch": reloaded, "after, ONNX": served[False],
            "after, ONNX int8": served[True]}, length=LENGTH, threads=2, repeats=20)

# %% [markdown]
# If most of the megabytes are word embeddings (see *Before*), and your tokenizer is Unigram, `pl.prune_vocabulary(small,
# tokenizer, data.sentences)` before saving makes the files smaller, and changes no answer on these texts.

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, then the check beneath it. Solutions: `notebooks/solutions`.
#
# **1. The fastest that is good enough** (easy, five minutes). From rows (name, milliseconds, accuracy), the accuracy before, and the points
# that may be lost, give the name of the fastest row that is allowed, or `None`.
#
# <details><summary>Hint</summary>A point is 0.01. Filter first, then <code>min(…, key=…)</code>.</details>

# %%
def fastest(rows, base, points):
    """rows: [(name, ms, accuracy), …], accuracies from 0 to 1 → a name or None"""
    # solution
    good = [row for row in rows if row[2] >= base - points / 100 - 1e-12]
    return min(good, key=lambda row: row[1])[0] if good else None
    # end


# %% tags=["nbval-check-output"]
pl.check("08.fastest", fastest)

# %% [markdown]
# **2. Which language pays** (easy, three minutes). From accuracies by language before and after, the language that lost most.
#
# <details><summary>Hint</summary><code>max</code> over the languages, with the difference as <code>key</code>.</details>

# %%
def worst_language(before, after):
    """two dicts {language: accuracy} → a language"""
    # solution
    return max(before, key=lambda k: before[k] - after[k])
    # end


# %% tags=["nbval-check-output"]
pl.check("08.worst_language", worst_language)

# %% [markdown]
# **3. No text on both sides** (medium, ten minutes). Mark the texts that are held out for the test: `True` for the last `share` of all
# *different* texts, in order of first appearance, rounded to a whole number of them. Texts that differ in letter case or in spaces at
# their ends only are the same text, and all its lines go to the same side.
#
# <details><summary>Hint</summary>Give each different text a number when it first appears, in a dict. Held out are those with the
# highest numbers.</details>

# %%
def split(texts, share):
    """a list of texts, a share from 0 to 1 → a list of bools, True: held out"""
    # solution
    number = {}
    for text in texts:
        number.setdefault(text.strip().lower(), len(number))
    first = len(number) - round(share * len(number))
    return [number[text.strip().lower()] >= first for text in texts]
    # end


# %% tags=["nbval-check-output"]
pl.check("08.split", split)

# %% [markdown]
# ## Quiz
#
# **1. Why may the validation set not report the final accuracy?**
# <details><summary>Answer</summary>It chose among several models, and the winner was partly lucky on it. Fresh texts give luck no say.</details>
#
# **2. Your texts have 128 tokens, LENGTH says 24. What goes wrong?**
# <details><summary>Answer</summary>MACs of heads grow faster with the length than those of neurons, so the budget is split for other texts than
# yours, and the milliseconds are not yours either.</details>
#
# **3. After pruning, all budgets give the accuracy of guessing. What do you check first?**
# <details><summary>Answer</summary>The accuracy before. If that is a guess, too: the labels' order, the tokenizer, the checkpoint's head.</details>
#
# **4. Which texts belong in the calibration set?**
# <details><summary>Answer</summary>Texts like those that will be served, of every language and kind. Repair needs no labels, so logs will
# do; scores can draw labels from the model's own answers.</details>
#
# ## What to remember
#
# - Load, measure, score, choose, cut, repair, measure, save: one pass through this notebook.
# - Three sets; the last one is looked at once.
# - State batch, length and threads with each time; report every language.
#
# ## Sources
#
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: pruning without training (sections 3 and 5).
# - Liu et al. 2019, *RoBERTa*; Devlin et al. 2019, *BERT*; Martin et al. 2020, *CamemBERT*; Conneau et al. 2020, *XLM-R*: the families.
# - Lewis, Stenetorp, Riedel 2021, *Question and Answer Test-Train Overlap*: what doubles on both sides do to a test (section 3).
