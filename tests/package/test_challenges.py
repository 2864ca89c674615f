"""Challenges: what counts, what is kept of it, and that nothing of it gets lost or worse."""

import json
import math
import re

import pytest
import torch

import pruning_lessons as pl
from pruning_lessons.teaching import challenges, exercises, record
from pruning_lessons.teaching import progress as shown
from pruning_lessons.teaching.challenges import Challenge


@pytest.fixture
def file(tmp_path, monkeypatch):
    found = tmp_path / "progress.json"
    monkeypatch.setenv(record.VARIABLE, str(found))
    monkeypatch.setattr(record, "_unwritten", {})
    return found


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """One challenge about shares, one about milliseconds; both gone afterwards."""
    for number in shown.LESSONS:  # registered once, where they stay
        challenges.of_lesson(number)
    monkeypatch.setattr(challenges, "CHALLENGES", dict(challenges.CHALLENGES))
    Challenge("00.few", "share of layers", "accuracy", least=0.9, target=0.5)
    Challenge("00.fast", "milliseconds", "answers", least=90, target=4.0, form="{:.2f}")


def kept(file) -> dict:
    return json.loads(file.read_text("utf-8"))["challenges"]


def test_every_challenge_can_be_met_and_says_what_it_is():
    for number in shown.LESSONS:
        for asked in challenges.of_lesson(number):
            assert re.fullmatch(r"\d\d\.[a-z][a-z0-9_]*", asked.name)
            numbers = asked.least, asked.target
            assert all(map(math.isfinite, numbers)) and asked.cost and asked.quality
            assert "%" not in asked.form or all(0 < value <= 1 for value in numbers), asked
            assert re.search(r"\d", asked.form.format(asked.target))


def test_what_counts_is_kept_and_the_best_stays(file, capsys):
    said = []
    for cost in (0.75, 0.8, 0.5, 0.6, 0.25):
        pl.challenge("00.few", cost, 0.95)
        said.append(capsys.readouterr().out)
    assert kept(file) == {"00.few": 0.25}
    assert said[0] == (
        "✓ 00.few: share of layers 75.0%, accuracy 95.0%.\n  Target 50.0%: not yet reached.\n"
    )
    assert said[1].endswith("not yet reached.\n  Your best before: 75.0%.\n")
    assert said[2].endswith("Target 50.0%: reached.\n  Your best before: 75.0%. A new best!\n")
    assert said[3].endswith("not yet reached.\n  Your best before: 50.0%.\n")
    assert said[4].endswith("reached.\n  Your best before: 50.0%. A new best!\n")


def test_a_result_that_is_not_good_enough_is_not_kept(file, capsys):
    pl.challenge("00.few", 0.1, 0.899)
    assert not file.exists()
    assert capsys.readouterr().out == (
        "✗ 00.few: share of layers 10.0%, accuracy 89.9%. It does not count: at least 90.0% is "
        "needed.\n"
    )
    pl.challenge("00.few", 0.1, 0.9)  # exactly as good as asked
    assert kept(file) == {"00.few": 0.1}


@pytest.mark.parametrize("given", [(..., ...), (0.5, ...), (..., 0.95)])
def test_dots_are_not_attempted(given, file, capsys):
    pl.challenge("00.few", *given)
    assert not file.exists()
    assert capsys.readouterr().out == (
        "… 00.few: not attempted yet. Make the share of layers small while the accuracy stays at "
        "least 90.0%; target 50.0%.\n"
    )


NO_NUMBERS = [None, "0.5", "half", math.nan, math.inf, True, [0.5], {}, 1j, 10**400, torch.rand(2)]


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=lambda x: type(x).__name__)
def test_a_bad_number(bad, file):
    for cost, quality, name in ((bad, 0.95, "cost"), (0.5, bad, "quality")):
        with pytest.raises(ValueError, match=f"{name}: is .*must be a finite number") as found:
            pl.challenge("00.few", cost, quality)
        assert found.value._render_traceback_() == [f"✗ {found.value}"]
    assert not file.exists()


@pytest.mark.parametrize(
    "cost, quality, said",
    [
        (50, 0.95, "cost: is 50, must be a share, 0.5 for 50%"),
        (0.5, 95.0, "quality: is 95.0, must be a share"),
        (-0.1, 0.95, "cost: is -0.1, must not be below 0"),
    ],
)
def test_percent_for_a_share(cost, quality, said, file):
    with pytest.raises(ValueError, match=re.escape(said)):
        pl.challenge("00.few", cost, quality)
    assert not file.exists()
    pl.challenge("00.few", 0.75, 1.02)  # of the whole model's: a little better than that
    assert kept(file) == {"00.few": 0.75}
    file.unlink()
    pl.challenge("00.fast", 50, 95.0)  # these are no shares
    assert kept(file) == {"00.fast": 50.0}


def test_numbers_of_any_type_are_kept_as_floats(file, capsys):
    pl.challenge("00.few", torch.tensor(1), torch.tensor(0.95))
    assert file.read_text("utf-8").count('"00.few": 1.0') == 1
    pl.challenge("00.few", 0, 1)
    assert kept(file) == {"00.few": 0.0} == record.read()["challenges"]
    assert "share of layers 0.0%, accuracy 100.0%" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["00.none", "99.few", "", "..", None, 3, ["00.few"]])
def test_an_unknown_name(name, file):
    with pytest.raises(ValueError, match="name: is .*must be one of .*'00.few'") as found:
        pl.challenge(name, 0.5, 0.95)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]
    assert not file.exists()


def test_a_lesson_that_needs_what_is_not_there_says_so(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name="torch.none")

    monkeypatch.setattr(exercises, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        challenges.of_lesson("00")


def test_two_files_come_together(file):
    for mine, theirs in ((0.5, 0.25), (0.25, 0.5)):
        one, two = (record.EMPTY | {"challenges": {"00.few": c}} for c in (mine, theirs))
        assert record.merged(one, two)["challenges"] == {"00.few": 0.25}
        assert one["challenges"] == {"00.few": mine}  # unchanged
    assert record.EMPTY["challenges"] == {}


def test_another_kernels_better_result_stays(file, monkeypatch):
    """It came between the look at the best and the writing."""
    look = record.read

    def late():
        found = look()
        monkeypatch.setattr(record, "read", look)
        record.met("00.few", 0.1)
        return found

    monkeypatch.setattr(record, "read", late)
    pl.challenge("00.few", 0.4, 0.95)
    assert kept(file) == {"00.few": 0.1}


def test_an_older_file_has_none(file):
    file.write_text('{"exercises": {"00.kept_share": true}, "quiz": {}}')
    assert record.read()["challenges"] == {}
    assert re.search(r"^challenge 00.few +… not yet: share of layers, target 50.0%$", one(), re.M)
    pl.challenge("00.few", 0.75, 0.95)
    assert kept(file) == {"00.few": 0.75}
    assert record.read()["exercises"] == {"00.kept_share": True}


def test_a_damaged_value_sets_the_file_aside(file):
    text = '{"exercises": {}, "quiz": {}, "challenges": {"00.few": "0.1"}}'
    file.write_text(text)
    with pytest.warns(UserWarning, match=r"progress\.json\.damaged"):
        pl.challenge("00.few", 0.75, 0.95)
    assert kept(file) == {"00.few": 0.75}
    assert file.with_name("progress.json.damaged").read_text() == text


def one() -> str:
    return repr(pl.progress("00"))


def test_progress_shows_them(file):
    whole = repr(pl.progress()).split("\n")
    n = len(challenges.of_lesson("00"))
    assert re.search(rf" 0 of {n}$", next(line for line in whole if line.startswith("00 ·")))
    pl.challenge("00.few", 0.75, 0.95)
    line = r"^challenge 00.few +… not yet reached: share of layers, your best 75.0%, target 50.0%$"
    assert re.search(line, one(), re.M)
    pl.challenge("00.few", 0.5, 0.95)
    line = r"^challenge 00.few +✓ reached: share of layers, your best 50.0%, target 50.0%$"
    assert re.search(line, one(), re.M)
    pl.challenge("00.fast", 4.004, 91)  # not reached, though it looks like it to two decimals
    whole = repr(pl.progress()).split("\n")
    assert re.search(rf" 1 of {n}$", next(line for line in whole if line.startswith("00 ·")))
    assert re.search(r" 1 of \d+$", next(line for line in whole if line.startswith("all")))
    assert whole[0].endswith("challenges met")


def test_a_third_is_a_third(file, capsys):
    Challenge("00.third", "share", "accuracy", least=0.9, target=1 / 3)
    pl.challenge("00.third", 1 - 2 / 3, 1)  # a little more, to rounding
    assert "Target 33.3%: reached" in capsys.readouterr().out


def test_names_of_another_edition_do_not_count(file):
    record.met("00.gone", 0.1)
    assert "00.gone" not in one() and " 1 of" not in repr(pl.progress())


def test_off_keeps_nothing(monkeypatch, capsys):
    monkeypatch.setenv(record.VARIABLE, "off")
    for _ in range(2):
        pl.challenge("00.few", 0.4, 0.95)
    assert "best before" not in capsys.readouterr().out
    assert "… not yet: share" in one()
