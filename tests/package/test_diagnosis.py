"""What a wrong answer looks like: one sentence, borne out by the numbers; and how answers are read
and written.
"""

import re

import numpy as np
import pytest
import torch

from pruning_lessons.teaching.answers import call, count, describe, equal, number, numbers, write
from pruning_lessons.teaching.diagnosis import Failure, diagnose

E = torch.tensor([[0.3, 1.7, 2.5], [0.9, 4.2, 0.6]])
SQUARE = torch.tensor([[0.3, 1.7], [2.5, 0.9]])
MASK = torch.tensor([[True, False, False, True], [False, True, False, False]])
NAN, INF = float("nan"), float("inf")


def generator():
    yield 1


@pytest.mark.parametrize(
    "expected, got, says",
    [
        # types
        (E, None, "returns nothing"),
        (E, generator(), "generator, which has not run yet"),
        ([1, 2], map(abs, [1, 2]), "map, which has not run yet"),
        (E, abs, "function abs itself"),
        (E, "0.3", "str, which is no number"),
        (E, {"a": 1}, "dict, length 1, which is no number"),
        (E, (E, torch.ones(2)), "2 values where 1 is expected: number 0 is right"),
        (E, (torch.ones(2), E), "number 1 is right"),
        (E, (torch.ones(2), torch.ones(3)), "tuple, length 2, which is no number"),
        ([0, 3, 2], [0, None, 2], "entry 1 is None"),
        ("half", ("half", 11.0), "number 0 is right"),
        ("half", "third", "'third' and not 'half'"),
        ("half", 0.3, "0.3 where 'half'"),
        (None, "half", "'half' where None"),
        # shapes
        (E, E.T, "transposed: the 3 rows should be columns, the shape is (3, 2)"),
        (SQUARE, SQUARE.T, "transposed"),
        (E[None], E.T[:, None], "permute(1, 2, 0)"),
        (E, E[None], "dimension of size 1 is too many"),
        (E[None], E, "dimension of size 1 is missing"),
        (E, E.flatten(), "flattened"),
        (E, E.reshape(3, 2), "in another shape"),
        (E, E.flatten().flip(0), "in another shape and order"),
        (E.sum(0), E, "the sum over dimension 0 is missing"),
        (E.mean(1), E, "the mean over dimension 1 is missing"),
        (E, E.amax(0), "the maximum over dimension 0 is one too many"),
        (E, E[0], "only the first of the 2 along dimension 0"),
        (E, E[:, -1], "only the last of the 3 along dimension 1"),
        ([1, 2, 3], [1, 3], "2 entries in place of 3; 1 missing: 2"),
        ([(1.0, 2.0)], [(1.0, 2.0), (3.0, 4.0)], "1 too many: (3, 4)"),
        (E, E[:, :2], "2 columns in place of 3; 1 missing"),
        ([(1.0, 2.0)], [], "empty, 0 entries in place of 1"),
        (E, torch.ones(4, 5), "the shape is (4, 5), it must be (2, 3)"),
        # masks
        (MASK, MASK.int(), "True and False are expected; with 0 for False 8 of 8 are right"),
        (MASK, 1 - MASK.int(), "with 0 for False 0 of 8 are right"),
        (MASK, ~MASK, "the wrong way round: all 8 have True for False"),
        (MASK.float(), 1 - MASK.float(), "the wrong way round: all 8 have 1 for 0"),
        (MASK, torch.ones_like(MASK), "the same everywhere: all 8 are True"),
        (MASK, MASK & torch.tensor([1, 0, 0, 0]).bool(), "it keeps 1 of the 3 right places"),
        (
            MASK,
            MASK | torch.tensor([0, 0, 1, 0]).bool(),
            "keeps all that is right (3 places), and 2",
        ),
        (MASK[:, :3], MASK[:, [2, 0, 1]], "shifted by 1 along dimension 1"),
        # one rule for all numbers
        (E, 2 * E, "every number is 2 times what is expected (is each counted twice"),
        (E, E / 2, "0.5 times"),
        (E, 100 * E, "100 times what is expected (percent"),
        (E, E / 100, "0.01 times"),
        (E, 0.37 * E, "0.37 times"),
        (E, -E, "-1 times what is expected (the sign"),
        (E, E + 1, "1 too large: off by one"),
        ([3, 5, 9], [2, 4, 8], "1 too small: off by one"),
        (E, E - 0.25, "every number is 0.25 too small"),
        (E, E.square(), "the square of"),
        (E, E.sqrt(), "the square root of"),
        (E, 1 / E, "1 divided by what is expected (3.333 for 0.3)"),
        (E, E.log(), "the logarithm of"),
        (E, E.exp(), "the exponential of"),
        (E - 1, (E - 1).abs(), "the size, without the sign"),
        (E / 10, 1 - E / 10, "1 minus what is expected"),
        (torch.tensor(0.36), torch.tensor(0.6), "it is the square root of"),
        (torch.tensor(8.0), torch.tensor(9.0), "it is 1 too large: off by one"),
        (torch.tensor(0.25), 25.0, "it is 100 times"),
        (torch.tensor(0.25), 0.7, "0.45 too large, 2.8 times"),
        # some numbers, or in other places
        (E - 1, (E - 1) * torch.tensor([1, -1, 1]), "right but for the sign of 2 of 6"),
        (E, E * torch.tensor([[2.0], [3.0]]), "each row is right up to a factor of its own (2, 3)"),
        (E, E / E.sum(0), "each column is right up to a factor of its own"),
        (E, E.flip(1), "the right 3 in reverse order along dimension 1"),
        ([1, 2, 5], [5, 2, 1], "reverse order"),
        ((4.0, 2.0), (2.0, 4.0), "reverse order: sorted the wrong way, or swapped"),
        ([1, 2, 5, 7], [7, 1, 2, 5], "shifted by 1"),
        ([1, 2, 5, 7], [2, 1, 7, 5], "in another order: 4 of 4 are out of place"),
        ([1, 2, 5, 7], [1, 3, 8, 15], "running sums (cumsum)"),
        ([1, 3, 8, 15], [1, 2, 5, 7], "a running sum (cumsum) over dimension 0 is missing"),
        (
            E.T,
            torch.cat([E.T[:1], E.T[1:] * torch.rand(2, 2)]),
            "right for the first of 3 rows only",
        ),
        ([1, 2, 5, 7], [1, 2, 5, 9], "right but for the last of 4 entries"),
        ((4.0, 2.0), (4.0, 0.5), "number [1] alone is wrong: it is 1 divided by"),
        ([1, 2, 3, 4, 5], [1, 20, 3, 40, 5], "of the 2 that differ, each is 10 times"),
        ([1, 2, 5, 8], [2, 2, 6, 6], "the total, 16, is right"),
        (E, E * torch.tensor([[1, 2, 0.1], [1, 0.3, 9]]), "right for the first of 3 columns only"),
        (SQUARE.repeat(1, 2), SQUARE.repeat(1, 2) + MASK * E[:, [0, 0, 1, 2]], "; only in column"),
        # too early, too far
        ([0.123456, 0.98765], [0.12, 0.99], "rounded to 2 digits after the point"),
        ([0.6, 2.9, 3.3], [0, 2, 3], "rounded down"),
        (E, torch.zeros(2, 3), "the same everywhere: all 6 are 0"),
        (E, E / torch.tensor([1, 1, 0]), "inf in 2 of 6 places"),
        (E, E * NAN, "nan in 6 of 6 places"),
    ],
)
def test_one_sentence(expected, got, says):
    assert says in diagnose([Failure(expected, got)])


def test_a_rule_that_holds_in_all_cases_goes_first():
    four = Failure(4.0, 2.0)  # half, the root, or 2 too small
    assert "half" in diagnose([four])
    assert "in all 2 cases that fail, it is the square root" in diagnose([four, Failure(9.0, 3.0)])
    assert "in all 2 cases that fail, it is 0.5 times" in diagnose([four, Failure(9.0, 4.5)])
    twice = [Failure(E, 2 * E), Failure(SQUARE, SQUARE.sqrt())]
    assert "2 times" in diagnose(twice)


def test_a_factor_is_named_by_a_size_that_fits_in_all_cases():
    cases = [
        Failure(E, E / 6, {"x.shape[0]": 6, "x.shape[1]": 6, "T": 3}),
        Failure(E, E / 5, {"x.shape[0]": 2, "x.shape[1]": 5, "T": 3}),
    ]
    assert "(divided by 6, and 6 is x.shape[1])" in diagnose(cases)
    assert "times 3 squared, and 3 is T" in diagnose([Failure(E, 9 * E, {"T": 3})])
    assert "divided by the root of 3, and 3 is T" in diagnose([Failure(E, E / 3**0.5, {"T": 3})])
    assert "T" not in diagnose([Failure(E, 0.77 * E, {"T": 3})])


@pytest.mark.parametrize(
    "expected, got",
    [(E, E * 1.3 + 0.2), (0.3, 0.4), (MASK, MASK.roll(1, 0) | MASK[:, :1]), ([3, 1, 2], [4, 1, 3])],
)
def test_what_the_numbers_do_not_bear_out_is_not_said(expected, got):
    said = diagnose([Failure(expected, got)])
    for wrong in ("times what is expected (", "square", "transposed", "wrong way", "in another"):
        assert wrong not in said
    assert any(c.isdigit() for c in said)


def test_random_answers_always_get_a_sentence_with_a_number():
    draw = torch.Generator().manual_seed(0)
    for n in range(300):
        shape = torch.Size(torch.randint(0, 4, (n % 4,), generator=draw).tolist())
        other = (
            shape if n % 2 else torch.Size(torch.randint(1, 4, (n % 3,), generator=draw).tolist())
        )
        e, g = torch.randn(shape, generator=draw), torch.randn(other, generator=draw)
        if e.numel() and g.numel():
            for pair in ((e, g), (e > 0, g > 0), (e.round(), g.round()), (e > 0, g)):
                if not equal(pair[1], pair[0], 1e-5):
                    assert re.search(r"\d", said := diagnose([Failure(*pair)])), said


@pytest.mark.parametrize(
    "value, shape",
    [
        (3, ()),
        (np.float32(0.5), ()),
        (torch.nn.Parameter(torch.ones(2)), (2,)),
        (np.array([[True]]), (1, 1)),
        ([torch.tensor(1.0), torch.tensor(2.0)], (2,)),
        ([torch.ones(3), np.ones(3)], (2, 3)),
        (((1, 2), (3, 4)), (2, 2)),
        ([], (0,)),
        (range(3), (3,)),
        (torch.eye(2).to_sparse(), (2, 2)),
        (torch.ones(2, dtype=torch.bfloat16), (2,)),
    ],
)
def test_numbers(value, shape):
    assert numbers(value).shape == shape
    assert numbers(value).dtype in (torch.bool, torch.float64)


@pytest.mark.parametrize(
    "value", [None, "3", {"a": 1}, {1}, abs, [1, None], [[1], [1, 2]], 1j, torch.ones(1) * 1j, b"3"]
)
def test_no_numbers(value):
    assert numbers(value) is None


@pytest.mark.parametrize(
    "found, expected, right",
    [
        (np.array([1, 2]), [1, 2], True),
        ((1, 2.0), [1, 2], True),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 2.0]), True),
        ([[True, False]], torch.tensor([[True, False]]), True),
        ([1, 0], torch.tensor([True, False]), False),
        (True, torch.tensor([True]), False),
        (
            torch.zeros(0),
            torch.zeros(0, 0).bool(),
            True,
        ),  # [[… for j in range(0)] for i in range(0)]
        (torch.zeros(0), torch.tensor(0.0), False),
        (np.str_("a"), "a", True),
        (["a"], "a", False),
        (None, None, True),
        (0, None, False),
        (False, None, False),
        (torch.tensor([0.5]), 0.5, False),
        ([(1, 2)], [(1, 2), (3, 4)], False),
    ],
)
def test_equal(found, expected, right):
    assert equal(found, expected, 1e-5) is right


@pytest.mark.parametrize(
    "value, text",
    [
        (True, "True"),
        (250_002, "250002"),
        (2.0, "2.0"),
        (1e-12, "1e-12"),
        (1 / 3, "0.3333"),
        (NAN, "nan"),
        (-INF, "-inf"),
        (np.float64(0.5), "0.5"),
        ((1,), "(1,)"),
        ([1, "a", None], "[1, 'a', None]"),
        ({"de": 0.95}, "{'de': 0.95}"),
        (torch.tensor([[True]]), "[[True]]"),
        (torch.ones(30), "30 numbers from 1.0 to 1.0"),
        ([torch.ones(2)], "[torch.tensor([1.0, 1.0])]"),
        (list(range(60)), "[0, 1, 2, … 60 in all]"),
    ],
)
def test_write(value, text):
    assert write(value) == text


def test_a_long_matrix_is_written_a_row_a_line():
    text = describe(torch.arange(20.0).view(4, 5) / 3, indent=6)
    assert text.startswith("float32 tensor, shape (4, 5):\n      [[") and text.count("\n") == 4
    assert max(map(len, text.split("\n"))) < 100


def test_calls():
    def f(x, n):
        return x

    assert call(f, ["x", "n"], (torch.tensor([1.0]), 3)) == "f(x=torch.tensor([1.0]), n=3)"
    assert call(lambda x: x, ["x"], (1,)) == "answer(x=1)"
    long = call(f, ["x", "n"], (torch.ones(4, 5) / 3, list(range(40))))
    assert long.startswith("f(\n    x=torch.tensor([[") and long.endswith(",\n)")
    assert "x=<float32 tensor, shape (6, 6): 36 numbers" in call(f, ["x"], (torch.ones(6, 6),))


def test_numbers_are_counted_and_told_apart():
    assert count((torch.ones(2, 3), [1, (2, 3)], {"a": 1}, "text")) == 6 + 3 + 2 + 1
    assert number(0.5714285, 7) == "0.5714285" and number(3) == "3"
