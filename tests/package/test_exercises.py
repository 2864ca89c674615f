"""Every exercise takes its solution in any form, and turns plausible wrong answers away: those that
are known with the hint that is meant for them, others with what they look like.
"""

import linecache
import math
import re
import statistics
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import pruning_lessons
from pruning_lessons.teaching.answers import numbers
from pruning_lessons.teaching.exercises import EXERCISES, Exercise, WrongAnswer, check, claim

for file in sorted(
    (Path(pruning_lessons.__file__).parent / "teaching" / "lessons").glob("lesson_*.py")
):
    import_module(f"pruning_lessons.teaching.lessons.{file.stem}")
ALL = sorted(EXERCISES.values(), key=lambda e: e.name)
BOTH = pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.name)
RIGHT = {e.name: e.reference for e in ALL}


def told(name, answer) -> str:
    """The message of a wrong answer; it must show all that a message shows."""
    with pytest.raises(WrongAnswer) as found:
        check(name, answer)
    text = str(found.value)
    assert text.startswith(f"{name}: not yet.")
    for part in (r"^  \w+\($|^  \w+\(.*\)$", r"^  expected .", r"^  got      ."):
        assert re.search(part, text, re.MULTILINE), text
    assert re.search("^  (Looks like|Hint|Where): .", text, re.MULTILINE), text
    assert re.search(r"\d", text.split("\n", 1)[1]) and "case by hand" not in text, text
    assert text.endswith(EXERCISES[name].look)
    return text


@BOTH
def test_exercise(exercise, capsys):
    check(exercise.name, exercise.reference)
    n = len(exercise.cases)
    assert capsys.readouterr().out == f"✓ {exercise.name}: right, on {n} cases.\n"
    check(exercise.name, lambda *arguments: ...)
    assert capsys.readouterr().out == (
        f"… {exercise.name}: not attempted yet. Replace the dots, run the cell, then this one.\n"
    )
    assert len(exercise.wrong) >= 8 and len(exercise.cases) >= 3 and exercise.look
    hints = [hint for _, hint in exercise.wrong]
    for wrong, hint in exercise.wrong:
        assert f"  Hint: {hint}\n" in told(exercise.name, wrong)
    assert len(set(hints)) >= len(hints) - 1


@BOTH
def test_hints_are_not_all_there_is(exercise, monkeypatch):
    """Without its hint, too, a wrong answer sees numbers, and what it looks like or where."""
    wrong = exercise.wrong
    monkeypatch.setattr(exercise, "wrong", [])
    for answer, _ in wrong:
        text = told(exercise.name, answer)
        assert re.search(r"^  (Looks like|Where): ", text, re.MULTILINE)


@BOTH
def test_wrong_kinds_of_answer(exercise):
    right = exercise.reference
    assert "returns nothing" in told(exercise.name, lambda *a: None)
    assert "itself: are the brackets missing" in told(exercise.name, lambda *a: right)
    assert "has not run yet" in told(exercise.name, lambda *a: (x for x in [right(*a)]))
    assert "1" in told(exercise.name, lambda *a: (right(*a), 1))
    assert "Where: line" in told(exercise.name, lambda *a: a[0].nothing)
    assert "ZeroDivisionError" in told(exercise.name, lambda *a: 1 // 0)
    told(exercise.name, lambda *a: "text")


@BOTH
@pytest.mark.parametrize(
    "form",
    [np.array, torch.tensor, lambda x: x, lambda x: tuple(x) if isinstance(x, list) else x],
    ids=["numpy", "tensor", "list", "tuple"],
)
def test_right_in_any_form(exercise, form):
    def answer(*arguments):
        found = exercise.reference(*arguments)
        values = numbers(found)
        return found if values is None else form(values.tolist())

    check(exercise.name, answer)


def divided(name, by):
    return lambda *a: RIGHT[name](*a) / by


def without_ridge(inputs, targets, W, lam):
    G, C = sum(x.T @ x for x in inputs), sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W).T


# More wrong answers, of which no hint knows, with what they are told.
MORE = [
    ("00.kept_share", lambda mask: round(mask.float().mean().item(), 2), "rounded to 2 digits"),
    ("00.kept_share", lambda mask: mask.float().mean(-1, keepdim=True), "size 1 is too many"),
    ("00.kept_share", lambda mask: mask.float().mean().item() ** 2, "square of what is expected"),
    ("00.kept_share", lambda mask: mask.all(), "where numbers are expected"),
    ("00.kept_share", lambda mask: mask.float().mean()[None], "size 1 is too many"),
    ("00.layer_macs", divided("00.layer_macs", 2), "it is 0.5 times"),
    (
        "00.layer_macs",
        lambda h, n, T, d, s: RIGHT["00.layer_macs"](h, n, T, d, s) * T,
        "times .*is T",
    ),
    (
        "00.layer_macs",
        lambda h, n, T, d, s: RIGHT["00.layer_macs"](h, n, T, d, s) + 1,
        "off by one",
    ),
    ("01.attention", lambda Q, K, V, real: RIGHT["01.attention"](Q, K, V, real).T, "transposed"),
    ("01.attention", lambda Q, K, V, real: V, "2 too large"),
    ("01.attention", lambda Q, K, V, real: (Q @ K.T).softmax(-1), "the shape is"),
    ("01.causal_mask", lambda n: [[j >= i for j in range(n)] for i in range(n)], "transposed"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool()[0], "only the first of"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool()[None], "size 1 is too many"),
    ("01.causal_mask", lambda n: torch.ones(n, n).tril().bool().flatten(), "flattened"),
    ("01.split_heads", lambda x, heads: list(x.chunk(heads, -1)), r"permute\(1, 0, 2, 3\)"),
    ("01.split_heads", lambda x, heads: x, "the right numbers|the shape is"),
    (
        "02.embedding_share",
        lambda p, d, o: 1 / RIGHT["02.embedding_share"](p, d, o + 1),
        "0.025 too large",
    ),
    ("02.embedding_share", lambda p, d, o: p * d / (p * d + o) / d, "divided by .*is d"),
    (
        "02.fair",
        lambda t, w, b: (statistics.median(t[w:]), t[0] / statistics.median(t[w:])),
        r"\[1\]",
    ),
    ("02.fair", lambda t, w, b: statistics.median(t[w:]) / 1000, "the shape is"),
    ("02.fair", lambda t, w, b: tuple(x / 1000 for x in RIGHT["02.fair"](t, w, b)), "0.001 times"),
    ("02.renumber", lambda i, k, u: RIGHT["02.renumber"](i, k, u)[::-1], "in reverse order"),
    (
        "02.renumber",
        lambda i, k, u: sorted(RIGHT["02.renumber"](i, k, u)),
        "in another order|of the 2|too",
    ),
    ("02.renumber", lambda i, k, u: RIGHT["02.renumber"](i, k, u)[:1], "1 entry in place of 3"),
    ("03.zeros", lambda w: (w == 0).all(), "where numbers are expected"),
    ("03.zeros", lambda w: (w == 0).float().mean().item() * 2, "it is 2 times"),
    ("03.zeros", lambda w: w.abs().mean(), "too"),
    (
        "03.n_of_m",
        lambda w, n, m: RIGHT["03.n_of_m"](w, n, m).bool().logical_not(),
        "wrong way round",
    ),
    ("03.n_of_m", lambda w, n, m: RIGHT["03.n_of_m"](w, 1, m), "it keeps|same everywhere"),
    ("03.n_of_m", lambda w, n, m: w.abs().reshape(-1, m).topk(n, dim=1).indices, "the shape is"),
    ("03.wanda", lambda w, x, mask: RIGHT["03.wanda"](w, x, mask) ** 2, "the square of"),
    (
        "03.wanda",
        lambda w, x, mask: RIGHT["03.wanda"](w, x, mask).flatten().argsort(),
        "flattened|shape",
    ),
    ("03.wanda", divided("03.wanda", 3), "0.3333 times what is expected"),
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b).sqrt(), "the square root of"),
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b)[:, None], "size 1 is too many"),
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b).sort().values, "order|too|shifted"),
    ("04.keep_best", lambda s, k: RIGHT["04.keep_best"](s, k + 1), "and 1 more"),
    ("04.keep_best", lambda s, k: RIGHT["04.keep_best"](s, k).float(), "True and False"),
    ("04.keep_best", lambda s, k: s > s.mean(), "it keeps"),
    ("04.refit", without_ridge, "too|shape|size"),
    ("04.refit", lambda i, t, W, lam: W, "too|fails on"),
    ("04.refit", lambda i, t, W, lam: (RIGHT["04.refit"](i, t, W, lam), 0), "number 0 is right"),
    ("05.head_scores", divided("05.head_scores", 0.5), "2 times what is expected"),
    (
        "05.head_scores",
        lambda c, g: (c * g).sum((1, 3)).abs().sum(0) / c.shape[0] / c.shape[1],
        r"divided by .*is c.shape\[1\]",
    ),
    (
        "05.head_scores",
        lambda c, g: (c * g).sum((1, 3)).abs(),
        "the mean over dimension 0 is missing",
    ),
    ("05.without_heads", lambda w, gone, size: w[:, size:], "column"),
    (
        "05.without_heads",
        lambda w, gone, size: RIGHT["05.without_heads"](w, gone, size).T,
        "transposed",
    ),
    (
        "05.without_heads",
        lambda w, gone, size: 0 * RIGHT["05.without_heads"](w, gone, size),
        "same every",
    ),
    ("05.keep_with_floor", lambda s, k: RIGHT["05.keep_with_floor"](s, k).flatten(), "flattened"),
    ("05.keep_with_floor", lambda s, k: torch.ones_like(s).bool(), "the same everywhere"),
    (
        "05.keep_with_floor",
        lambda s, k: RIGHT["05.keep_with_floor"](s, k - 1),
        "it keeps 2 of the 3",
    ),
    ("06.evaluations", lambda m, drop: RIGHT["06.evaluations"](m, drop) + 1, "off by one"),
    ("06.evaluations", lambda m, drop: math.factorial(m), "too small"),
    ("06.evaluations", lambda m, drop: RIGHT["06.evaluations"](m, drop) * m, "times .*is m"),
    ("06.block_influence", lambda b, a, m: F.cosine_similarity(b, a, -1).mean(), "1 minus|too"),
    (
        "06.block_influence",
        lambda b, a, m: RIGHT["06.block_influence"](b, a, m) / 2,
        "it is 0.5 times",
    ),
    ("06.block_influence", lambda b, a, m: RIGHT["06.block_influence"](b, a, m)[None], "size 1"),
    (
        "06.distillation_loss",
        lambda s, t, T: RIGHT["06.distillation_loss"](s, t, T) * T,
        "times .*is T",
    ),
    ("06.distillation_loss", lambda s, t, T: F.kl_div(s, t, reduction="sum"), "too|nan"),
    (
        "06.distillation_loss",
        lambda s, t, T: (
            T**2 * ((t / T).softmax(-1) * ((t / T).softmax(-1) / (s / T).softmax(-1)).log())
        ),
        "is missing|the shape is",
    ),
    ("07.split_budget", lambda h, n, hc, nc, b: 0, "the shape is"),
    ("07.split_budget", lambda h, n, hc, nc, b: (0, 0), "same everywhere"),
    (
        "07.split_budget",
        lambda *a: tuple(x + 1 for x in RIGHT["07.split_budget"](*a)),
        "off by one",
    ),
    ("07.int8", lambda w: RIGHT["07.int8"](w).round(), "rounded|too"),
    ("07.int8", lambda w: -RIGHT["07.int8"](w), "the sign is turned round"),
    ("07.int8", lambda w: RIGHT["07.int8"](w).to(torch.int8), "too|rounded"),
    ("07.front", lambda points: {*RIGHT["07.front"](points)}, "set, length"),
    ("07.front", lambda points: RIGHT["07.front"](points)[:1], "1 row in place of"),
    ("07.front", lambda points: len(RIGHT["07.front"](points)), "shape"),
    ("08.fastest", lambda rows, base, points: rows[-1][0], "not '|where None"),
    ("08.fastest", lambda rows, base, points: [r[0] for r in rows], "4 values|3 values|list"),
    ("08.fastest", lambda rows, base, points: sorted(rows)[0][0], "not '|where None"),
    ("08.worst_language", lambda b, a: list(b)[-1], "not '"),
    (
        "08.worst_language",
        lambda b, a: (RIGHT["08.worst_language"](b, a), 0.1),
        "number 0 is right",
    ),
    ("08.worst_language", lambda b, a: sorted(b)[0], "not '"),
    (
        "08.split",
        lambda texts, share: RIGHT["08.split"](texts, share)[::-1],
        "reverse|it keeps|wrong",
    ),
    ("08.split", lambda texts, share: [False for t in texts], "the same everywhere|0 of the"),
    ("08.split", lambda texts, share: sum(RIGHT["08.split"](texts, share)), "shape"),
]


@pytest.mark.parametrize("name, wrong, says", MORE, ids=lambda x: x if isinstance(x, str) else "")
def test_more_wrong_answers(name, wrong, says):
    text = told(name, wrong)
    assert re.search(says, text.split("\n", 1)[1]), text


def test_each_exercise_has_more():
    assert {name for name, *_ in MORE} == set(RIGHT)


def test_the_smallest_failing_case_is_shown():
    at_most = lambda n: lambda x: x.sum() if len(x) <= n else x.sum() + 1
    Exercise(
        "test.small",
        lambda x: x.sum(),
        [(f"{n}", (torch.ones(n),)) for n in (9, 3, 5)],
        look="here",
    )
    text = told("test.small", at_most(3))
    assert "fails on 2 of 3 cases; the smallest of them, “5”" in text
    assert "answer(x=torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0]))" in text
    EXERCISES.pop("test.small")


def test_a_message_in_full():
    assert told("02.renumber", lambda ids, keep, unknown: [keep.index(i) + 1 for i in ids]).split(
        "\n"
    ) == [
        "02.renumber: not yet. It fails on 4 of 5 cases; the smallest of them, “nothing to do”:",
        "  answer(ids=[0, 1, 2], keep=[0, 1, 2, 3], unknown=3)",
        "  expected list, length 3: [0, 1, 2]",
        "  got      list, length 3: [1, 2, 3]",
        "  first difference at [0]: expected 0, got 1; 3 of 3 differ",
        "  Looks like: every number is 1 too large: off by one.",
        "  Look at “Prune the vocabulary”.",
    ]


def test_numbers_that_look_alike_are_shown_to_more_digits():
    text = told("03.zeros", lambda w: RIGHT["03.zeros"](w) + 4e-5)
    assert "expected float: 0.5\n" in text and "got      float: 0.50004\n" in text


@pytest.mark.parametrize("name", ["no.such", "99.none"])
def test_bad_name(name):
    with pytest.raises(ValueError, match=f"name.*'{name}'") as found:
        check(name, abs)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


def test_an_answer_is_a_function():
    with pytest.raises(TypeError, match="answer.*int.*function") as found:
        check("00.kept_share", 3)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


def test_a_wrong_answer_shows_no_traceback():
    with pytest.raises(WrongAnswer) as found:
        check("00.kept_share", abs)
    assert found.value._render_traceback_() == [f"✗ {found.value}"]


CELL = """import statistics
def split_heads(x, heads):
    return wider(x, heads)
def wider(x, heads):
    return x.unflatten(-1, (heads, 7))
def fair(times, warm_up, before_ms):
    return statistics.median([])
"""


@pytest.mark.parametrize(
    "name, function, where",
    [
        (
            "01.split_heads",
            "split_heads",
            "line 5 of your code: return x.unflatten(-1, (heads, 7))",
        ),
        ("02.fair", "fair", "line 7 of your code: return statistics.median([])"),
    ],
)
def test_an_error_is_where_the_learners_code_is(name, function, where, monkeypatch):
    """The error is raised inside PyTorch or Python; the learner's last line stands in a cell."""
    file, names = "/tmp/ipykernel_7/123.py", {}
    monkeypatch.setitem(linecache.cache, file, (len(CELL), None, CELL.splitlines(True), file))
    exec(compile(CELL, file, "exec"), names)
    text = told(name, names[function])
    assert f"  Where: {where}\n" in text and f"  {function}(" in text and "got      " in text


def test_a_function_with_other_parameters():
    text = told("00.layer_macs", lambda heads, neurons: 0)
    assert (
        "Where: the call itself: the function gets 5 arguments, heads, neurons, T, d, size" in text
    )


def test_a_check_runs_the_function_once(capsys):
    """Once for each case: prints inside appear once, whether the answer is right or wrong."""
    cases = len(EXERCISES["00.kept_share"].cases)

    def answer(mask, right=True):
        print("here")
        return mask.float().mean() * (1 if right else 2)

    check("00.kept_share", lambda mask: answer(mask))
    assert capsys.readouterr().out.count("here") == cases
    told("00.kept_share", lambda mask: answer(mask, right=False))
    assert capsys.readouterr().out.count("here") == cases


def test_not_attempted_runs_one_case_only():
    seen = []
    check("00.kept_share", lambda mask: seen.append(1) or ...)
    assert seen == [1]


def test_no_decoder_without_tokens_is_wrong(capsys):
    """What many write first is right, at n = 0, too; so is a NumPy matrix."""
    check("01.causal_mask", lambda n: torch.tensor([[j <= i for j in range(n)] for i in range(n)]))
    check("01.causal_mask", lambda n: np.tril(np.ones((n, n), bool)))
    assert capsys.readouterr().out.count("✓") == 2


@pytest.mark.parametrize(
    "name, answer",
    [
        (
            "08.fastest",
            lambda r, b, p: [None, *(x[0] for x in r if x[2] >= b - p / 100 - 1e-9)][-1],
        ),
        ("03.zeros", lambda w: round((w == 0).float().mean().item(), 2)),
        ("03.zeros", lambda w: round((w == 0).float().mean().item(), 3)),
    ],
)
def test_what_once_was_taken_for_right(name, answer):
    told(name, answer)


@pytest.mark.parametrize(
    "holds, said", [(True, "✓ it rains"), (False, "✗ Not so with this model: it rains")]
)
def test_claims(holds, said, capsys):
    claim("it rains", holds)
    assert capsys.readouterr().out == said + "\n"


def test_an_answer_cannot_spoil_its_input():
    def spoil(x, d):
        d["a"].append(x.mul_(2))
        return x.sum() / 2

    cases = [(name, (torch.ones(2), {"a": []})) for name in "ab"]
    Exercise("test.spoil", lambda x, d: x.sum(), cases, look="here")
    check("test.spoil", spoil)
    check("test.spoil", spoil)
    x, d = EXERCISES.pop("test.spoil").cases[0][1]
    assert x.sum() == 2 and d == {"a": []}
