"""Draw the intents data set from sentence templates: `python scripts/make_data.py`.

Templates come from home-assistant-intents; words for their slots from `scripts/fillers.json`.
A template belongs to one split, so that no test sentence comes from a template seen in
training. Templates are terse, so `scripts/phrases/` adds sentences as people speak, also split.
Writes `pruning_lessons/assets/data/intents.tsv` (split, language, intent, text).
"""

import argparse
import collections
import hashlib
import json
import random
import re
import unicodedata
from pathlib import Path

from hassil import Intents
from hassil.expression import (
    Alternative,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.intents import RangeSlotList, TextSlotList
from sources import fetch

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "pruning_lessons" / "assets" / "data"
TRAINED = "en de fr es ru zh-CN ar fi el pl".split()
ZERO_SHOT = "nl it pt ca ro sv da cs uk bg th hu".split()
PER_INTENT = {"train": 60, "validation": 8, "test": 12, "zero_shot": 10}  # sentences a language

# Source intents that map to one label whatever their slots. Merged, because their sentences
# share wording: the two kinds of list, vacuum a room and start the vacuum, volume to and by a
# number.
LABELS = {
    "HassNevermind": "nevermind",
    "HassBroadcast": "broadcast",
    "HassGetCurrentTime": "get_time",
    "HassGetCurrentDate": "get_date",
    "HassGetWeather": "get_weather",
    "HassClimateGetTemperature": "get_temperature",
    "HassClimateSetTemperature": "set_temperature",
    "HassGetState": "ask_state",
    "HassSetPosition": "set_position",
    "HassFanSetSpeed": "set_fan_speed",
    "HassStartTimer": "start_timer",
    "HassCancelTimer": "cancel_timer",
    "HassCancelAllTimers": "cancel_all_timers",
    "HassPauseTimer": "pause_timer",
    "HassUnpauseTimer": "resume_timer",
    "HassIncreaseTimer": "increase_timer",
    "HassDecreaseTimer": "decrease_timer",
    "HassTimerStatus": "timer_status",
    "HassMediaNext": "media_next",
    "HassMediaPrevious": "media_previous",
    "HassMediaPause": "media_pause",
    "HassMediaUnpause": "media_resume",
    "HassMediaSearchAndPlay": "media_play",
    "HassSetVolume": "set_volume",
    "HassSetVolumeRelative": "set_volume",
    "HassMediaPlayerMute": "mute",
    "HassMediaPlayerUnmute": "unmute",
    "HassListAddItem": "list_add",
    "HassShoppingListAddItem": "list_add",
    "HassListRemoveItem": "list_remove",
    "HassListCompleteItem": "list_remove",
    "HassShoppingListCompleteItem": "list_remove",
    "HassVacuumStart": "vacuum_start",
    "HassVacuumCleanArea": "vacuum_start",
    "HassVacuumReturnToBase": "vacuum_dock",
}
# Left out: HassRespond (small talk), lawn mowers and fan modes (few languages), and of
# HassTurnOn scenes, scripts and buttons: “movie night” alone does not say what it wants.
SWITCHED = {"light", "switch", "fan", "media_player", "input_boolean", "climate"}
FILLER_OF_DOMAIN = {
    "input_boolean": "switch",
    "binary_sensor": "sensor",
    "weather": "place",
    "todo": "list",
}
FILLER_OF_SLOT = {
    "area": "area",
    "floor": "floor",
    "zone": "area",
    "message": "message",
    "timer_name": "timer_name",
    "search_query": "search",
    "shopping_list_item": "item",
    "todo_list_item": "item",
}
QUESTIONS = {"get_time", "get_date", "get_weather", "get_temperature", "ask_state", "timer_status"}


def label_of(intent: str, domains: set, template: str) -> str | None:
    """The label that a template's meaning settles, or None where its words leave it open."""
    if intent in LABELS:
        # “turn on the light in five minutes” is a command as much as a timer.
        return None if "{timer_command" in template else LABELS[intent]
    if intent == "HassLightSet":
        bright, colour = "{brightness" in template, "{color" in template
        return None if bright == colour else "set_brightness" if bright else "set_color"
    if intent in ("HassTurnOn", "HassTurnOff"):
        on = intent == "HassTurnOn"
        if domains and domains <= SWITCHED:
            return "turn_on" if on else "turn_off"
        if domains and domains <= {"cover", "valve"}:
            return "open_cover" if on else "close_cover"
        if domains == {"lock"}:
            return "lock" if on else "unlock"
    return None


class Sampler:
    """Draws sentences from the templates of one language by a random walk down the expression."""

    def __init__(self, language: str, source: dict, fillers: dict, seed: int):
        self.intents = Intents.from_dict(source)
        self.fillers, self.polite = fillers, source.get("skip_words", [])
        self.random = random.Random(f"{seed} {language}")

    def draw(self, expression, domains: list) -> str:
        if isinstance(expression, TextChunk):
            return expression.original_text
        if isinstance(expression, Alternative):
            return self.draw(self.random.choice(expression.items), domains)
        if isinstance(expression, Permutation):
            items = self.random.sample(expression.items, len(expression.items))
            return " ".join(self.draw(item, domains) for item in items)
        if isinstance(expression, Group):
            return "".join(self.draw(item, domains) for item in expression.items)
        if isinstance(expression, RuleReference):
            return self.draw(self.intents.expansion_rules[expression.rule_name].expression, domains)
        assert isinstance(expression, ListReference), expression
        return (
            (expression.prefix or "")
            + self.fill(expression.list_name, domains)
            + (expression.suffix or "")
        )

    def fill(self, slot: str, domains: list) -> str:
        if slot == "name":
            domain = self.random.choice(domains or ["light", "switch"])
            return self.random.choice(self.fillers[FILLER_OF_DOMAIN.get(domain, domain)])
        if slot in FILLER_OF_SLOT:
            return self.random.choice(self.fillers[FILLER_OF_SLOT[slot]])
        values = self.intents.slot_lists[slot]
        if isinstance(values, RangeSlotList):
            return str(self.random.randrange(values.start, values.stop + 1, values.step))
        assert isinstance(values, TextSlotList), slot
        return self.draw(self.random.choice(values.values).text_in, domains)

    def sentence(self, expression, domains: list, label: str) -> str:
        """One sentence, maybe with a polite word, a capital or a closing mark, as people type."""
        text = self.draw(expression, domains)
        if self.polite and self.random.random() < 0.15:
            word = self.random.choice(self.polite)
            if not re.search(r"[\[\](){}<>|]", word):
                text = f"{word} {text}"
        text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()
        if self.random.random() < 0.3:
            text = text[:1].upper() + text[1:]
        if self.random.random() < 0.2:
            text += "?" if label in QUESTIONS else "."
        return text


def templates(source: dict, intents: Intents):
    """(label, domains, template text, expression) for every template that settles a label."""
    for name, intent in intents.intents.items():
        for block in intent.data:
            domains = sorted(block.domains)
            for text, parsed in zip(block.sentence_texts, block.sentences):
                label = label_of(name, set(domains), expand(text, source["expansion_rules"]))
                if label:
                    yield label, domains, text, parsed.expression


def expand(template: str, rules: dict) -> str:
    """The template with its <rules> written out, so that the slots they hold are seen."""
    for _ in range(8):
        template, n = re.subn(r"<(\w+)>", lambda m: rules.get(m.group(1), ""), template)
        if not n:
            break
    return template


def split_templates(items: list, key: str) -> dict:
    """Share one label's templates out, by hash: about 15 % to test, 10 % to validation."""
    items = sorted(items, key=lambda item: hashlib.sha256(f"{key}|{item[2]}".encode()).hexdigest())
    n_test = 0 if len(items) < 2 else max(1, round(0.15 * len(items)))
    n_validation = 0 if len(items) < 4 else max(1, round(0.10 * len(items)))
    return {
        "test": items[:n_test],
        "validation": items[n_test : n_test + n_validation],
        "train": items[n_test + n_validation :],
    }


def key_of(text: str) -> str:
    """Sentences with the same key count as the same: case, spacing and closing marks aside."""
    return re.sub(r"\s+", " ", text.casefold().rstrip(".?! ")).strip()


def draw_language(language: str, source: dict, fillers: dict, seed: int):
    """Rows (split, language, label, text, template) of one language."""
    sampler = Sampler(language, source, fillers, seed)
    by_label = collections.defaultdict(dict)
    for label, domains, text, expression in templates(source, sampler.intents):
        by_label[label].setdefault(text, (label, domains, text, expression))
    for label, items in sorted(by_label.items()):
        items = list(items.values())
        shares = (
            {"zero_shot": items}
            if language in ZERO_SHOT
            else split_templates(items, f"{language}|{label}")
        )
        for split, share in shares.items():
            found = {}
            for attempt in range(20 * PER_INTENT[split] if share else 0):
                if len(found) == PER_INTENT[split]:
                    break
                if (
                    attempt % len(share) == 0
                ):  # every template gets its turn before any gets a second
                    share = sampler.random.sample(share, len(share))
                _, domains, template, expression = share[attempt % len(share)]
                text = sampler.sentence(expression, domains, label)
                if text:
                    found.setdefault(key_of(text), (split, language, label, text, template))
            yield from found.values()


def phrases(language: str):
    """Rows of the sentences written for this course, each its own template."""
    file = ROOT / "scripts" / "phrases" / f"{language}.tsv"
    by_label = collections.defaultdict(list)
    for line in file.read_text("utf-8").splitlines() if file.exists() else ():
        label, text = line.split("\t")
        by_label[label].append((label, None, unicodedata.normalize("NFC", text.strip())))
    for label, items in sorted(by_label.items()):
        for split, share in split_templates(items, f"{language}|{label}").items():
            yield from ((split, language, label, text, text) for _, _, text in share)


def clean(rows: list) -> tuple[list, dict]:
    """Drop sentences with two labels, and any held-out sentence that training also holds."""
    labels = collections.defaultdict(set)
    for _, language, label, text, _ in rows:
        labels[language, key_of(text)].add(label)
    trained = {key_of(row[3]) for row in rows if row[0] == "train"}
    dropped, kept = collections.Counter(), []
    for row in rows:
        if len(labels[row[1], key_of(row[3])]) > 1:
            dropped["two labels"] += 1
        elif row[0] != "train" and key_of(row[3]) in trained:
            dropped[f"{row[0]}: also in training"] += 1
        else:
            kept.append(row)
    return kept, dict(dropped)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "build", help="where downloads are kept"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = fetch("home-assistant-intents", args.cache) / "home_assistant_intents" / "data"
    fillers = json.loads((ROOT / "scripts" / "fillers.json").read_text("utf-8"))
    rows = []
    for language in TRAINED + ZERO_SHOT:
        source = json.loads((folder / f"{language}.json").read_text("utf-8"))
        # One word must not be both a lock and a cover: “open the gate” would have two labels.
        fillers[language]["lock"] = [
            w for w in fillers[language]["lock"] if w not in fillers[language]["cover"]
        ]
        rows += draw_language(language, source, fillers[language], args.seed)
        rows += phrases(language) if language in TRAINED else ()
    labels = {row[2] for row in rows}
    assert labels == {row[2] for row in rows if row[0] == "train"}, (
        "an intent has no training sentences"
    )
    rows, dropped = clean(rows)
    DATA.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(("split", "language", "intent", "text"))]
    lines += ["\t".join(row[:4]) for row in rows]
    (DATA / "intents.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    templates_of = collections.defaultdict(set)
    for row in rows:
        templates_of[row[1], row[2], row[0]].add(row[4])
    for (
        language,
        label,
        split,
    ), share in templates_of.items():  # the promise, checked on what is written
        assert split == "train" or not share & templates_of.get((language, label, "train"), set())
    print(f"{len(rows)} sentences, {len({row[2] for row in rows})} intents; dropped: {dropped}")
    print(collections.Counter(row[0] for row in rows))


if __name__ == "__main__":
    main()
