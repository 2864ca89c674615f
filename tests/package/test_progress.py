"""What a learner has done is kept, whole, in one file of theirs, and nothing else is."""

import json
import multiprocessing
import os
import re
import sys
from pathlib import Path

import pytest

import pruning_lessons as pl
from pruning_lessons.models import files
from pruning_lessons.teaching import challenges, record
from pruning_lessons.teaching import progress as shown
from pruning_lessons.teaching.challenges import Challenge
from pruning_lessons.teaching.exercises import EXERCISES, WrongAnswer, check
from pruning_lessons.teaching.quiz import of_lesson

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path, monkeypatch):
    found = tmp_path / "data" / "progress.json"
    monkeypatch.setenv(record.VARIABLE, str(found))
    monkeypatch.setattr(record, "_unwritten", {})
    return found


def asked() -> int:
    """How many exercises the lessons have; other tests may have made some of their own."""
    return sum(name[:2].isdigit() for name in EXERCISES)


def kept(file) -> dict:
    return json.loads(file.read_text("utf-8"))


def share(mask):
    return mask.float().mean().item()


def test_a_passed_exercise_is_noted_and_nothing_else(file):
    with pytest.raises(WrongAnswer):
        check("00.kept_share", lambda mask: 0)
    check("00.kept_share", lambda mask: ...)
    assert not file.exists()
    check("00.kept_share", share)
    assert kept(file) == {"exercises": {"00.kept_share": True}, "quiz": {}, "challenges": {}}
    assert os.listdir(file.parent) == ["progress.json"]


def test_tries_are_counted_up_to_the_first_right_one(file):
    for right in (False, False, True, False, True):
        record.answered("02.padding", right)
    assert kept(file)["quiz"] == {"02.padding": {"right": True, "tries": 3}}


def test_tables(file):
    check("00.kept_share", share)
    first, second = (question.name for question in of_lesson("00")[:2])
    record.answered(first, False)
    record.answered(second, True)
    a, c = len([name for name in EXERCISES if name[:2] == "00"]), len(of_lesson("00"))
    whole, one = repr(pl.progress()), repr(pl.progress("00"))
    assert re.search(rf"^00 · .+ +1 of {a} +1 of {c} +(–|0 of \d)$", whole, re.M), whole
    assert re.search(rf"^all +1 of {asked()} +1 of \d+ +(–|0 of \d+)$", whole, re.M)
    for line in (
        "exercise 00.kept_share +✓ passed",
        "exercise 00.layer_macs +… not yet",
        f"quiz {first} +✗ not yet right, 1 try",
        f"quiz {second} +✓ right, 1 try",
        "Next: 01 · Attention, 01_attention.ipynb",
    ):
        assert re.search(f"^{line}$", one, re.M), one
    assert '<a href="01_attention.ipynb">01_attention.ipynb</a>' in pl.progress("00")._repr_html_()
    assert repr(pl.progress(max(shown.LESSONS))).endswith("This was the last lesson.")


def test_a_lesson_without_a_quiz(file, monkeypatch):
    monkeypatch.setattr(shown.quiz, "of_lesson", lambda lesson: [])
    assert re.search(r"^all +0 of \d+ +– ", repr(pl.progress()), re.M)


def test_names_of_another_edition_do_not_count(file):
    record.passed("00.gone")
    assert f"0 of {asked()}" in repr(pl.progress())
    assert "00.gone" not in repr(pl.progress("00"))


def test_the_lessons_are_the_notebooks():
    sources = sorted((ROOT / "notebooks" / "sources").glob("*.py"))
    titles = [re.search(r"^# # (\d\d) · (.+)$", s.read_text("utf-8"), re.M) for s in sources]
    assert shown.LESSONS == {
        title[1]: (title[2], f"{source.stem}.ipynb") for title, source in zip(titles, sources)
    }


@pytest.mark.parametrize("lesson", ["3", "99", 3, "", ["00"]])
def test_an_unknown_lesson(lesson, file):
    with pytest.raises(ValueError, match="lesson: is .*'00'"):
        pl.progress(lesson)


def test_off_keeps_nothing_and_shows_the_same_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(record.VARIABLE, "off")
    before = repr(pl.progress("00")), repr(pl.progress())
    check("00.kept_share", share)
    record.answered(of_lesson("00")[0].name, True)
    assert (repr(pl.progress("00")), repr(pl.progress())) == before
    assert before[1].endswith("Not kept: PRUNING_LESSONS_PROGRESS is 'off'.")
    assert not list(tmp_path.iterdir())


def test_no_test_writes_to_the_home_folder():
    assert os.environ[record.VARIABLE] == "off"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="where Linux keeps data")
def test_where_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.delenv(record.VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    for said, folder in (
        ("", tmp_path / ".local" / "share"),
        ("relative", tmp_path / ".local" / "share"),
        (str(tmp_path / "x"), tmp_path / "x"),
    ):
        monkeypatch.setenv("XDG_DATA_HOME", said)
        assert record.place() == folder / "pruning_lessons" / "progress.json"
    monkeypatch.setenv(record.VARIABLE, "~/mine.json")
    assert record.place() == tmp_path / "mine.json"
    assert repr(pl.progress()).endswith("Kept in ~/mine.json.")
    assert record.place(tmp_path) == tmp_path / "progress.json"  # a folder
    with pytest.raises(TypeError, match="file: is a int"):
        record.place(3)


DAMAGED = [
    b"",
    b'{"exercises": {"00.kept_',
    b"[" * 100_000,
    b"\xff\xfe",
    b"[]",
    b'{"exercises": [], "quiz": {}}',
    b'{"exercises": {"a": "code"}, "quiz": {}}',
    b'{"exercises": {}, "quiz": {"a": {"right": 1, "tries": 1}}}',
    b'{"exercises": {}, "quiz": {"a": {"right": true, "tries": -1}}}',
    b'{"exercises": {}, "quiz": {"a": true}}',
    b'{"exercises": {}, "quiz": {}, "challenges": []}',
    b'{"exercises": {}, "quiz": {}, "challenges": {"a": "0.5"}}',
    b'{"exercises": {}, "quiz": {}, "challenges": {"a": true}}',
    b'{"exercises": {}, "quiz": {}, "challenges": {"a": NaN}}',
    b'{"exercises": {}, "quiz": {}, "challenges": {"a": Infinity}}',
    b'{"exercises": {}, "quiz": {}, "challenges": {"a": {"cost": 0.5}}}',
    b'{"exercises": {}, "quiz": {}, "challenges": null}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_set_aside_and_named(text, file):
    file.parent.mkdir()
    for turn in (1, 2):
        file.write_bytes(text)
        with pytest.warns(UserWarning, match=r"progress\.json.*progress\.json\.damaged"):
            record.passed("00.kept_share")
        assert kept(file)["exercises"] == {"00.kept_share": True}
        aside = [f for f in file.parent.iterdir() if f != file]
        assert len(aside) == turn and all(f.read_bytes() == text for f in aside)


def test_looking_sets_a_damaged_file_aside_too(file):
    file.parent.mkdir()
    file.write_text("{")
    with pytest.warns(UserWarning, match="damaged"):
        assert "✓" not in repr(pl.progress("00"))
    assert (file.parent / "progress.json.damaged").read_text() == "{"


def test_what_other_versions_keep_there_stays(file):
    file.parent.mkdir()
    file.write_text('{"exercises": {}, "quiz": {}, "records": {"challenge": 3}}')
    record.passed("00.kept_share")
    assert kept(file)["records"] == {"challenge": 3}


def test_a_place_that_cannot_be_written_to_is_said_once(tmp_path, monkeypatch, capsys):
    """A file is where the folder must be: so even root cannot write there."""
    (tmp_path / "data").write_text("")
    monkeypatch.setenv(record.VARIABLE, str(tmp_path / "data" / "progress.json"))
    monkeypatch.setattr(record, "_unwritten", {})
    name = of_lesson("00")[0].name
    with pytest.warns(UserWarning, match="not kept.*PRUNING_LESSONS_PROGRESS can name") as found:
        check("00.kept_share", share)
        check("00.layer_macs", EXERCISES["00.layer_macs"].reference)
        record.answered(name, False)
        record.answered(name, True)
    assert len(found) == 1
    assert capsys.readouterr().out.count("✓") == 2
    one = repr(pl.progress("00"))  # as long as this kernel lives
    assert one.count("✓ passed") == 2 and "✓ right, 2 tries" in one
    (tmp_path / "data").unlink()
    record.passed("01.attention")  # the disk is back: what was not written is written now
    assert len(kept(record.place())["exercises"]) == 3 and not record._unwritten


def test_no_home_folder(monkeypatch):
    monkeypatch.delenv(record.VARIABLE)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(record, "_unwritten", {})

    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.setattr(record, "_data_folder", nowhere)
    with pytest.warns(UserWarning, match="not kept"):
        record.passed("00.kept_share")
    assert "✓ passed" in repr(pl.progress("00"))
    assert repr(pl.progress()).endswith("Not kept: there is no home folder here.")


def work(kernel: int) -> None:
    for i in range(40):
        record.passed(f"{kernel}.e{i}")
        record.answered("00.same", False)
        record.met("00.best", (7 * i + kernel) % 41 + 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kernels are copies of this process")
@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_two_kernels_at_once_lose_nothing(file, locks, monkeypatch):
    if not locks:
        monkeypatch.setattr(files, "fcntl", None)
    fork = multiprocessing.get_context("fork")
    kernels = [fork.Process(target=work, args=(i,)) for i in (1, 2)]
    for kernel in kernels:
        kernel.start()
    for kernel in kernels:
        kernel.join(60)
    assert [kernel.exitcode for kernel in kernels] == [0, 0]
    found = kept(file)
    assert len(found["exercises"]) == 80
    assert 40 <= found["quiz"]["00.same"]["tries"] <= 80
    assert found["challenges"] == {"00.best": 1.0}
    assert os.listdir(file.parent) == ["progress.json"]


def test_a_killed_kernel_holds_others_up_once(file, monkeypatch):
    """Without locks of folders, it leaves the file that stands for one."""
    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(record, "PATIENCE", 0.1)
    file.parent.mkdir()
    (file.parent / ".progress-is-written").write_text("")
    record.passed("00.kept_share")
    assert kept(file)["exercises"] and os.listdir(file.parent) == ["progress.json"]


def test_a_kernel_that_dies_while_it_writes_leaves_the_old_file(file, monkeypatch):
    record.passed("00.kept_share")
    before = file.read_bytes()

    def dies(part, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "put_in_place", dies)
    with pytest.raises(KeyboardInterrupt):
        record.passed("00.layer_macs")
    assert file.read_bytes() == before and os.listdir(file.parent) == ["progress.json"]


def test_two_copies_come_together():
    one = {
        "exercises": {"a": True},
        "quiz": {"q": {"right": True, "tries": 1}},
        "challenges": {"c": 0.5, "d": 3.0},
    }
    two = {
        "exercises": {"b": True},
        "quiz": {"q": {"right": False, "tries": 3}},
        "challenges": {"c": 0.25, "e": 1.0},
    }
    both = {
        "exercises": {"a": True, "b": True},
        "quiz": {"q": {"right": True, "tries": 3}},
        "challenges": {"c": 0.25, "d": 3.0, "e": 1.0},
    }
    assert record.merged(one, two) == record.merged(two, one) == both
    assert one["quiz"] == {"q": {"right": True, "tries": 1}}  # unchanged
    assert one["challenges"] == {"c": 0.5, "d": 3.0}


def test_a_teacher_gathers_files(tmp_path, capsys, file, monkeypatch):
    monkeypatch.setattr(challenges, "CHALLENGES", dict(challenges.CHALLENGES))
    Challenge("00.test", "share of layers", "accuracy", least=0.9, target=0.5)
    for name, exercises in (("ann", ["00.kept_share", "07.evaluations"]), ("bob", [])):
        (tmp_path / name).mkdir()
        text = {"exercises": dict.fromkeys(exercises, True), "quiz": {}}
        if name == "ann":  # bob's is of a time without challenges
            text["challenges"] = {"00.test": 0.5}
        (tmp_path / name / "progress.json").write_text(json.dumps(text))
    (tmp_path / "cy.json").write_text("{")
    whole = [tmp_path / "ann" / "progress.json", tmp_path / "bob" / "progress.json"]
    more = [tmp_path / "cy.json", tmp_path / "none.json"]
    assert shown.main(list(map(str, whole))) == 0
    assert shown.main(list(map(str, whole + more))) == 1
    said = capsys.readouterr()
    assert re.search(r"^file +00 +01 .*all +challenges$", said.out, re.M)
    line = r"^ann/progress.json +1/\d+ 0/\d+ +0/\d+ .* 2/\d+ 0/\d+ +1/\d+$"
    assert re.search(line, said.out, re.M)
    assert re.search(r"^bob/progress.json +0/\d+ 0/\d+ .* 0/\d+$", said.out, re.M)
    assert "cy.json: is not a record of progress" in said.err and "none.json: No such" in said.err
    assert (tmp_path / "cy.json").read_text() == "{"  # a learner's file stays as it is
    assert shown.main([]) == 2
    assert "usage: python -m pruning_lessons.teaching.progress" in capsys.readouterr().out
