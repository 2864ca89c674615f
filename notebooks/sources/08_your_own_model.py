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
# This lesson is a **template**: copy it, delete the two cells of *A stand-in*, change *Your settings*, run all. As it stands it works on a model that
# is not the course's, made below by plain transformers.

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
                    f"pruning-lessons[views,train,export] @ {source}"], check=True)
    importlib.invalidate_caches()

import csv
import random
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from transformers import AutoTokenizer, XLMRobertaForSequenceClassification, logging

import pruning_lessons as pl

logging.disable_progress_bar()
logging.set_verbosity_error()
pl.check_environment();

# %% [markdown]
# ## What will work
#
# The layers of XLM-RoBERTa, RoBERTa, CamemBERT and BERT are laid out alike, so all four can be cut, of any size: heads,
# neurons, layers and vocabulary, with ONNX and int8 at the end. `pl.load` refuses what is built differently, with a
# reason, before anything happens.
#
# What your checkpoint was trained for decides its loss, its score and its answers; `pl.load` reads it from the
# configuration. Here are the tasks that it knows, and the score that each is measured by:

# %%
pl.table([("task", "transformers class", "score"),
          *((task.name, f"…{task.kind}", task.scores[0]) for task in pl.TASKS.values())])

# %% [markdown]
# This lesson takes a classifier. For a tagger read your texts with `pl.read_conll`; lists of dicts and data sets are taken
# as they are; texts without labels do, too, and are then scored by agreement with the model as it was. And if you would
# rather not open a notebook, `python -m pruning_lessons CHECKPOINT TEXTS --out FOLDER` does what this one does, for every
# task.

# %% [markdown]
# ## A stand-in for your model
#
# You have a checkpoint and a table of texts. So that this notebook runs before you have put them in, the next two cells make
# both: CSV files whose labels are six kinds of command, and a classifier of half the course's layers with six labels, made and saved by plain
# transformers, and trained for half a minute. *In your copy, delete these two cells.*

# %%
folder = Path(tempfile.mkdtemp())
SPOKEN = ["en", "de", "fr", "es"]
GROUPS = {"timer": "timer", "media": "media", "cover": "cover",
          "turn_o": "switch", "list": "list"}


def group(intent):
    return next((name for part, name in GROUPS.items() if part in intent), "other")


def write(file, data):
    with open(file, "w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["text", "label", "language"])
        for text, label, language in zip(data.sentences, data.labels, data.languages):
            out.writerow([text, group(data.label_names[label]), language])


write(folder / "texts.csv", pl.load_intents("test", SPOKEN))
write(folder / "trained_on.csv", pl.load_intents("train", SPOKEN, limit=1000, seed=2))

# %%
torch.manual_seed(0)
labels = sorted({*GROUPS.values(), "other"})
plain = XLMRobertaForSequenceClassification.from_pretrained(
    pl.EMBEDDED, num_hidden_layers=6, ignore_mismatched_sizes=True, dtype=torch.float32,
    id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)})
tokenizer = AutoTokenizer.from_pretrained(pl.EMBEDDED)
seen = pl.read_csv(folder / "trained_on.csv", language="language", label_names=labels)
pl.fine_tune(plain, tokenizer, seen, epochs=2, learning_rate=3e-4, progress=False)
plain.save_pretrained(folder / "checkpoint")
tokenizer.save_pretrained(folder / "checkpoint")
print(f"{type(plain).__name__}: {plain.config.num_hidden_layers} layers, labels {labels}")

# %% [markdown]
# ## Your settings
#
# Change these lines, and nothing below.

# %%
CHECKPOINT = folder / "checkpoint"       # a folder of save_pretrained, or a hub id
TEXTS = folder / "texts.csv"             # UTF-8, with a header line
TEXT, LABEL = "text", "label"            # the names of its columns
LANGUAGE = "language"                    # a column to report by, or None
BUDGETS = (0.6, 0.3, 0.15)               # shares of the encoder's MACs
POINTS = 1.0                             # so many points of accuracy may be lost
LENGTH = 16                              # tokens in a typical text of yours, see below
CALIBRATION = 384                        # texts for scores and repair
EPOCHS = 1                               # of distillation for each budget; 0 for none
THREADS = 2                              # as many as will serve
OUT = folder / "to_serve"                # temporary here; name a folder that stays

# %% [markdown]
# ## Three sets, no text in two
#
# **Calibration** texts are looked at by scores and repair, **validation** texts choose, **test** texts have the last word.
# A text that stands twice in your file must not be on both sides, or the test flatters you. Leave texts out that the model was trained on: on them its
# accuracy is flattered, and what pruning costs on new texts is not measured.

# %%
model, tokenizer = pl.load(CHECKPOINT)
names = [model.config.id2label[i] for i in range(model.config.num_labels)]
data = pl.read_csv(TEXTS, TEXT, LABEL, LANGUAGE, names)
unique = {}
for place, text in enumerate(data.sentences):
    unique.setdefault(text.strip().lower(), place)
places = list(unique.values())
random.Random(0).shuffle(places)
third = len(places) // 3
calibration, validation, test = (
    data.subset(places[i * third:(i + 1) * third]) for i in range(3))
lengths = [len(ids) for ids in tokenizer(calibration.sentences)["input_ids"]]
print(f"{len(data)} lines, {len(unique)} different texts: {third} for each set")
print(f"median length: {sorted(lengths)[third // 2]} tokens; LENGTH is {LENGTH}")

# %%
some = calibration.subset(range(min(CALIBRATION, third))).by_length()
batches = list(some.batches(tokenizer, 16))             # of like length: less padding

# %% [markdown]
# ## Before

# %%
pl.summary(model, length=LENGTH)

# %%
before = pl.evaluate(model, tokenizer, validation)
commonest = max(map(validation.labels.count, set(validation.labels)))
print(f"validation: {before.accuracy:.1%}; guessing the commonest label: "
      f"{commonest / len(validation):.1%}")

# %% [markdown]
# If these two are close, stop here: there is nothing to prune yet. Check the order of the labels first.
#
# ## The front
#
# One scoring pass for all budgets; then for each: choose, cut, repair, and, if `EPOCHS` is not 0, distil on the calibration texts. The scores
# (`"obs"`, for Optimal Brain Surgeon) say what removing a part costs once the others have made up for it, since they will; and the repair also refits the
# matrices that read, `inputs=True`. `pl.compress` does these four steps in one call. (With many budgets
# or texts, this is the long part. `distill(..., folder=…)` goes on after an interruption.)

# %%
scores = pl.importance(model, batches, "obs")
models = {"100%": model}
for keep in BUDGETS:
    masks = pl.select(scores, model, keep_macs=keep, length=LENGTH, multiple=8,
                      rearrange=False)
    small = pl.repair(pl.prune(model, masks), model, batches, inputs=True)
    if EPOCHS:
        pl.distill(small, model, tokenizer, calibration, epochs=EPOCHS,
                   learning_rate=1e-4, progress=False)
    models[f"{keep:.0%}"] = small

# %%
found = {name: pl.evaluate(m, tokenizer, validation) for name, m in models.items()}
times = pl.latency(models, length=LENGTH, threads=THREADS, repeats=20)
rows = [(name, times.median[name], found[name].accuracy) for name in models]
pl.table([("MACs kept", "ms", "times faster", "validation"),
       *((name, f"{ms:.1f}", f"{rows[0][1] / ms:.1f}", f"{a:.1%}")
         for name, ms, a in rows)])

# %% [markdown]
# ## Choose a point
#
# The fastest model that loses no more than you allow:

# %%
allowed = [row for row in rows if row[2] >= before.accuracy - POINTS / 100]
chosen, ms, accuracy = min(allowed, key=lambda row: row[1])
small = models[chosen]

figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot([r[1] for r in rows], [100 * r[2] for r in rows], "o-", label="models")
for name, x, y in rows:
    ax.annotate(name, (x, 100 * y), textcoords="offset points", xytext=(4, -12))
ax.plot(ms, 100 * accuracy, "o", markersize=17, fillstyle="none", color="black",
        label="chosen")
ax.axhline(100 * before.accuracy - POINTS, color="black", linestyle="--",
           label="least that is allowed")
ax.margins(y=0.15)
ax.set(xlabel="milliseconds, batch 1", ylabel="accuracy, %",
       xlim=(0, 1.15 * max(row[1] for row in rows)),
       title=f"Chosen: {chosen} of the MACs, {rows[0][1] / ms:.1f} times as fast")
ax.legend()
plt.show()

# %% [markdown]
# *The picture in words: accuracy against milliseconds, a point for each budget with its share of MACs, a dashed line for the least accuracy that is
# allowed, a circle around the chosen point.*
#
# Not enough? Give distillation more epochs and more texts, or drop layers first and let validation decide, as lesson 07 does.
#
# ## The last word, and which language pays
#
# The choice was made on validation texts. So only the test texts, which nothing has looked at, say what it cost.

# %%
first, last = (pl.evaluate(m, tokenizer, test) for m in (model, small))
known = [] if LANGUAGE is None else sorted(first.by_language)
pairs = [("all", first.accuracy, last.accuracy)]
pairs += [(name, first.by_language[name], last.by_language[name]) for name in known]
pl.table([("", "before", "after", "points"),
       *((name, f"{a:.1%}", f"{b:.1%}", f"{100 * (b - a):+.1f}") for name, a, b in pairs)])

# %% [markdown]
# One answer among 140 is 0.7 points; among 20 it is five. Look for the pattern, not for the digit. (A model may even gain: distillation trains on the
# labels of the calibration texts, too.)
#
# ## Save and serve
#
# Two forms: a folder for PyTorch, which transformers opens after `import pruning_lessons`; and ONNX with int8 beside
# it, which needs neither.

# %%
pl.save(small, tokenizer, OUT / "torch")
pl.quantize_onnx(pl.export_onnx(small, tokenizer, OUT / "onnx"))
reloaded, _ = pl.load(OUT / "torch")
served = {int8: pl.OnnxModel(OUT / "onnx", quantized=int8, threads=THREADS)
          for int8 in (False, True)}
forms = {"PyTorch": (reloaded, "torch/model.safetensors"),
         "ONNX": (served[False], "onnx/model.onnx*"),    # large weights lie beside it
         "ONNX int8": (served[True], "onnx/model-int8.onnx")}
rows = [("form", "MB", "test")]
for name, (m, files) in forms.items():
    size = sum(file.stat().st_size for file in OUT.glob(files))
    right = pl.evaluate(m, tokenizer, test).accuracy
    rows.append((name, f"{size / 1e6:.0f}", f"{right:.1%}"))
assert pl.evaluate(reloaded, tokenizer, test).accuracy == last.accuracy
pl.table(rows)

# %%
timed = {"before, PyTorch": model} | {f"after, {name}": m for name, (m, _) in forms.items()}
pl.latency(timed, length=LENGTH, threads=THREADS, repeats=20)

# %% [markdown]
# And this is how it answers where neither PyTorch nor this package is installed, from its folder alone:

# %%
answer = subprocess.run([sys.executable, OUT / "onnx" / "answer.py", test.sentences[0]],
                        capture_output=True, text=True, check=True)
print(answer.stdout)

# %% [markdown]
# If most of the megabytes are word embeddings (see *Before*), `pl.prune_vocabulary(small, tokenizer, data.sentences)` before saving makes the files smaller, and changes no answer on these texts. Words that your users say and this file does
# not are then spelled in smaller pieces (lesson 02).

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
# - Kwon et al. 2022, *A Fast Post-Training Pruning Framework for Transformers*: pruning without training (sections 4 and 5).
# - Liu et al. 2019, *RoBERTa*; Devlin et al. 2019, *BERT*; Martin et al. 2020, *CamemBERT*; Conneau et al. 2020, *XLM-R*: the families.
# - Lewis, Stenetorp, Riedel 2021, *Question and Answer Test-Train Overlap*: what doubles on both sides do to a test (section 3).
