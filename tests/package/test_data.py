"""Texts, tagged words and questions reach the model as they are; what is wrong with a file or with
rows is said at once.
"""

import csv
import io
import random
import warnings
from types import SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer

from pruning_lessons.measuring.data import (
    Intents,
    Questions,
    Tagged,
    Texts,
    as_data,
    in_order_of,
    load_intents,
    mask_tokens,
    read_conll,
    read_csv,
)
from pruning_lessons.measuring.texts import token_limit
from pruning_lessons.models.checkpoints import EMBEDDED

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] turn on off the light it is cold ##s ##ing".split()


@pytest.fixture(scope="module")
def xlmr():
    return AutoTokenizer.from_pretrained(EMBEDDED)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return transformers.BertTokenizer.from_pretrained(folder)


def roberta_at(folder, **options):
    words = ByteLevelBPETokenizer()
    lines = ["turn on the light", "it is cold in the kitchen"] * 5
    words.train_from_iterator(
        lines, 400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    words.save_model(str(folder))
    return transformers.RobertaTokenizer.from_pretrained(folder, **options)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return roberta_at(tmp_path_factory.mktemp("roberta"))


def model_with(*names, problem_type=None):
    """What `read_csv(model=)` looks at."""
    config = transformers.XLMRobertaConfig(
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        problem_type=problem_type,
    )
    return SimpleNamespace(config=config)


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        file = tmp_path / "mine.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return file

    return write


def reasons(call, *args, **options) -> str:
    with pytest.raises(ValueError) as error:
        call(*args, **options)
    return str(error.value)


# --- what batches hold ---


def test_labels_have_the_type_of_their_kind(xlmr):
    for labels, kind, dtype, shape in (
        ([1, 0, 1], "classes", torch.int64, (3,)),
        ([1, 0.5, -2], "numbers", torch.float32, (3,)),
        ([[1, 0], [0, 0], [1, 1]], "several", torch.float32, (3, 2)),
        (torch.tensor([[1.0, 0.0]] * 3), "several", torch.float32, (3, 2)),
    ):
        data = Texts(["on", "turn on the light", "it is cold"], labels)
        (batch,) = data.batches(xlmr)
        assert data.kind == kind and batch["labels"].dtype == dtype
        assert batch["labels"].shape == shape and set(data.languages) == {"all"}
        assert batch["labels"].tolist() == list(data.labels)
        assert data.subset([0]).kind == kind  # [1] is a number still
    (batch,) = Texts(["on"]).batches(xlmr)
    assert set(batch) == {"input_ids", "attention_mask"} and Texts(["on"]).kind is None
    assert Intents is Texts


def test_pairs_are_joined_as_the_family_joins_them(xlmr, bert):
    data = Texts(["turn on"], [0], ["en"], ["a"], ["the light"])
    (batch,) = data.batches(bert)
    assert bert.decode(batch["input_ids"][0]) == "[CLS] turn on [SEP] the light [SEP]"
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    (batch,) = data.batches(xlmr)
    assert xlmr.decode(batch["input_ids"][0]).split("</s>")[1] == ""
    assert "token_type_ids" not in batch
    whole = xlmr("turn on", "the light", return_tensors="pt")
    assert torch.equal(batch["input_ids"], whole["input_ids"])


@pytest.mark.parametrize(
    "unlimited", [int(1e30), transformers.tokenization_utils_base.LARGE_INTEGER]
)
def test_a_tokenizer_without_a_limit_is_cut(xlmr, unlimited, monkeypatch):
    data = Texts(["turn on the light " * 400, "on"])
    length = lambda **how: next(data.batches(xlmr, **how))["input_ids"].shape[1]
    assert length() == 512 and length(max_length=700) == 512
    monkeypatch.setattr(xlmr, "model_max_length", unlimited)
    assert length() == 512 and length(max_length=700) == 700 and length(max_length=40) == 40
    monkeypatch.setattr(xlmr, "model_max_length", 32)
    assert length() == 32 and length(max_length=40) == 32
    assert "max_length: is 4, must be above the 4" in reasons(data.batches, xlmr, max_length=4)
    assert "max_length: is 0" in reasons(data.batches, xlmr, max_length=0)
    assert "batch_size: is 0" in reasons(
        data.batches, xlmr, 0
    )  # before the first batch is asked for
    assert token_limit(SimpleNamespace()) == 512


def test_order_and_length(xlmr):
    data = Texts(["bbb", "a", "ccc", "d"], [0, 1, 2, 3], list("wxyz"), list("abcd"), list("pppp"))
    assert data.by_length().sentences == ["a", "d", "bbb", "ccc"]
    assert data.subset(range(2, 4)).languages == ["y", "z"] and len(data.subset([])) == 0
    assert list(data.subset([]).batches(xlmr)) == []
    assert "places: has 4" in reasons(data.subset, [4])
    split = [batch["labels"].tolist() for batch in data.batches(xlmr, 3)]
    assert split == [[0, 1, 2], [3]]


@pytest.mark.parametrize(
    "parts, words",
    [
        (dict(sentences="on"), "sentences: is 'on'"),
        (dict(sentences=["on", None]), "sentences: has None at place 1"),
        (dict(sentences=["on", "\ud83d"]), "place 1 has half a character"),
        (dict(labels=[0]), "labels: has 1, must have one for each of the 2"),
        (dict(labels=[0, 3], label_names=["a"]), "labels: is 3 at place 1, must be below 1"),
        (dict(labels=[0, -1]), "labels: is -1 at place 1"),
        (dict(labels=[0.0, float("nan")]), "labels: is nan at place 1"),
        (dict(labels=["a", "b"]), "labels: is 'a' at place 0"),
        (dict(labels=[[1, 0], [1, 2]]), "place 1, must be a row of 2"),
        (dict(labels=[[1, 0], [1]]), "place 1, must be a row of 2"),
        (dict(label_names="abc"), "label_names: is 'abc'"),
        (dict(label_names=["a", "a"]), "label_names: has 'a' twice"),
        (dict(languages=["en"]), "languages: has 1"),
        (dict(pairs=["a"]), "pairs: has 1"),
    ],
)
def test_texts_that_do_not_agree(parts, words):
    assert words in reasons(Texts, **dict(sentences=["on", "off"]) | parts)


def test_load_intents_has_a_limit_above_nothing():
    for limit in (0, -1, 2.5, True):
        assert f"limit: is {limit!r}" in reasons(load_intents, "test", limit=limit)


# --- tagged words ---

NOTHING = ["\u200b", "\x07", ""]  # words of which BERT's tokenizer leaves nothing
some_words = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.sampled_from(["turn", "lights", "turning", "</s>", "[SEP]", " ", *NOTHING]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(some_words, min_size=1, max_size=3), seed=st.integers(0, 9))
@pytest.mark.parametrize("family", ["xlmr", "bert", "roberta"])
def test_each_label_stands_at_its_words_first_piece(family, rows, seed, request):
    tokenizer = request.getfixturevalue(family)
    draw = random.Random(seed)
    labels = [[draw.randrange(9) for _ in words] for words in rows]
    (batch,) = Tagged(rows, labels).batches(tokenizer, max_length=16)
    spaced = rows
    if family == "roberta":
        spaced = [words[:1] + [w and f" {w}" for w in words[1:]] for words in rows]
    encoded = tokenizer(
        spaced, is_split_into_words=True, truncation=True, max_length=16, padding=True
    )
    assert batch["input_ids"].tolist() == encoded["input_ids"]
    for row in range(len(rows)):
        ids = encoded.word_ids(row)
        for token, word in enumerate(ids):
            first = word is not None and word not in ids[:token]
            assert batch["labels"][row, token] == (labels[row][word] if first else -100)
            assert batch["counts"][row, token] == first
    (bare,) = Tagged(rows).batches(tokenizer, max_length=16)
    assert "labels" not in bare and torch.equal(bare["counts"], batch["counts"])


def test_a_word_that_leaves_no_piece_moves_no_label(bert):
    words = ["turn", "\u200b", "\x07", "lights", "on"]
    (batch,) = Tagged([words], [[0, 1, 2, 3, 4]]).batches(bert)
    assert bert.convert_ids_to_tokens(batch["input_ids"][0])[1:-1] == ["turn", "light", "##s", "on"]
    assert batch["labels"].tolist() == [[-100, 0, 3, -100, 4, -100]]


def test_words_that_were_cut_off_do_not_count(xlmr):
    (batch,) = Tagged([["light"] * 50], [list(range(50))]).batches(xlmr, max_length=12)
    assert batch["labels"][batch["counts"]].tolist() == list(range(10))


def test_a_label_that_does_not_count(xlmr):
    (batch,) = Tagged([["turn", "on"]], [[-100, 1]], None, ["a", "b"]).batches(xlmr)
    assert batch["counts"].sum() == 1 and batch["labels"][batch["counts"]].tolist() == [1]


@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_byte_level_words_are_those_of_the_sentence(tmp_path, add_prefix_space):
    tokenizer = roberta_at(tmp_path, add_prefix_space=add_prefix_space)
    data = Tagged([["turn", "on", "the", "light"]])
    (batch,) = data.batches(tokenizer)
    assert batch["input_ids"].tolist() == tokenizer(data.sentences)["input_ids"]


def test_tagged_words_that_do_not_agree(xlmr):
    assert "place 0, must have one for each of the 2" in reasons(Tagged, [["a", "b"]], [[0]])
    assert "has -1 at place 0" in reasons(Tagged, [["a"]], [[-1]])
    assert "words: is 'on it'" in reasons(Tagged, ["on it"])
    assert "below 1" in reasons(Tagged, [["a"]], [[1]], None, ["O"])
    slow = SimpleNamespace(is_fast=False)
    assert "tokenizer: is a SimpleNamespace, must be a fast one" in reasons(
        Tagged([["a"]]).batches, slow
    )
    data = Tagged([["on", "it"], ["a"]], [[0, 1], [2]], ["en", "de"])
    assert data.by_length().sentences == ["a", "on it"] and data.kind == "tags"
    assert data.by_length().labels == [[2], [0, 1]]


# --- questions ---

CONTEXT = "The light is cold. Turn on the light in the kitchen, it is 😀 cold."


def asked(answer, start=None, context=CONTEXT):
    start = context.index(answer) if start is None else start
    return Questions(["is it cold"], [context], [[answer]], [[start]])


@pytest.mark.parametrize("family", ["xlmr", "bert", "roberta"])
@pytest.mark.parametrize(
    "answer", ["The", "light", "Turn on the", "kitchen", "😀", "cold.", CONTEXT]
)
def test_an_answer_comes_back_from_its_tokens(family, answer, request):
    tokenizer = request.getfixturevalue(family)
    data = asked(answer)
    (batch,) = data.batches(tokenizer)
    first, last = batch["labels"][0].tolist()
    assert first <= last and batch["counts"][0, first] and batch["counts"][0, last]
    assert data.answer_texts(tokenizer, [(first, last)]) == [answer]
    assert data.answer_texts(tokenizer, [(0, last)]) == [""]
    assert data.answer_texts(tokenizer, [(last, first - 1)]) == [""]


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.sampled_from("turn the light kitchen über 光 กา".split()), min_size=1))
@pytest.mark.parametrize("family", ["xlmr", "roberta"])
def test_any_words_of_a_context_come_back(family, words, request):
    tokenizer, context = request.getfixturevalue(family), " ".join(words)
    answers = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1)][:9]
    starts = [len(" ".join(words[:i] + [""])) for i, _ in answers]
    texts = [" ".join(words[i:j]) for i, j in answers]
    n = len(answers)
    data = Questions(["is it"] * n, [context] * n, [[t] for t in texts], [[s] for s in starts])
    places = [row for batch in data.batches(tokenizer, 4) for row in batch["labels"].tolist()]
    assert data.answer_texts(tokenizer, places, 4) == texts


def test_answers_as_transformers_examples_find_them(xlmr):
    """The tokens that a model of transformers' own example was trained on."""
    for answer in ("The light", "kitchen", "on the"):
        encoded = xlmr(["is it cold"], [CONTEXT], return_offsets_mapping=True)
        offsets, sequence = encoded["offset_mapping"][0], encoded.sequence_ids(0)
        start = CONTEXT.index(answer)
        end = start + len(answer)
        first = sequence.index(1)
        last = len(sequence) - 1 - sequence[::-1].index(1)
        while first <= last and offsets[first][0] <= start:
            first += 1
        while offsets[last][1] >= end:
            last -= 1
        (batch,) = asked(answer).batches(xlmr)
        assert batch["labels"].tolist() == [[first - 1, last + 1]]


def test_answers_that_were_cut_off(xlmr):
    context = "light " * 30 + "kitchen"
    data = Questions(
        ["is it", "is it", "is it"],
        [context] * 3,
        [["kitchen"], ["kitchen", "light"], []],
        [[180], [180, 0], []],
    )
    (batch,) = data.batches(xlmr, max_length=16)
    assert batch["labels"].tolist()[0] == batch["labels"].tolist()[2] == [-100, -100]
    assert data.answer_texts(xlmr, batch["labels"].tolist(), max_length=16) == ["", "light", ""]
    ids = batch["input_ids"][0][batch["counts"][0]]
    assert xlmr.decode(ids) == "light " * (len(ids) - 1) + "light" and batch["counts"].sum() > 9
    assert "labels" not in next(Questions(["is it"], [context]).batches(xlmr))


def test_a_question_is_never_cut(xlmr):
    data = Questions(["is it", "turn on the light " * 9], ["cold"] * 2)
    words = reasons(data.batches, xlmr, max_length=20)
    assert "questions: 1 are too long, at places 1:" in words


def test_questions_that_do_not_agree():
    assert "the context has 'The light', the answer is 'the light'" in reasons(
        asked, "the light", start=0
    )
    assert "starts: are given without" in reasons(Questions, ["q"], ["c"], None, [[0]])
    assert "1 answers and 0 starts" in reasons(Questions, ["q"], ["c"], [["c"]], [[]])
    assert "contexts: has 2" in reasons(Questions, ["q"], ["c", "d"])
    data = asked("light")
    assert data.labels == [[[4, "light"]]] and data.kind == "answers"
    assert Questions(["q"], ["c"], [["c"]]).labels == [[[None, "c"]]]
    assert data.sentences == [f"is it cold {CONTEXT}"] and len(data.by_length()) == 1


# --- masked tokens ---


@pytest.mark.parametrize("family", ["xlmr", "bert"])
def test_masks_belong_to_the_text(family, request):
    tokenizer = request.getfixturevalue(family)
    texts = [f"turn {'on ' * i}the light <mask> </s> [SEP] it is cold" for i in range(12)]
    hidden = mask_tokens(Texts(texts, [0] * 12), 0.3, seed=1)

    def masks(data, **how):
        rows = []
        for batch in data.batches(tokenizer, **how):
            assert set(batch) - {"token_type_ids"} == {
                *("input_ids", "attention_mask", "labels", "counts"),
            }
            assert torch.equal(batch["labels"] != -100, batch["counts"])
            assert (batch["input_ids"][batch["counts"]] == tokenizer.mask_token_id).all()
            special = torch.tensor(tokenizer.all_special_ids)
            assert not torch.isin(batch["labels"][batch["counts"]], special).any()
            rows += [row.nonzero()[:, 0].tolist() for row in batch["counts"]]
        return rows

    found = masks(hidden, batch_size=5)
    assert found == masks(hidden, batch_size=12) and len({tuple(row) for row in found}) > 6
    order = list(range(11, -1, -1))
    assert masks(hidden.subset(order), batch_size=2) == [found[i] for i in order]
    assert masks(hidden.by_length()) == found
    assert found != masks(mask_tokens(Texts(texts), 0.3, seed=2))
    plain = next(Texts(texts).batches(tokenizer, 12))
    batch = next(hidden.batches(tokenizer, 12))
    back = batch["input_ids"].where(~batch["counts"], batch["labels"])
    assert torch.equal(back, plain["input_ids"])
    assert hidden.kind == "pieces" and hidden.labels is None and len(hidden) == 12


def test_how_many_tokens_are_hidden(bert, xlmr):
    data = mask_tokens(Texts(["on", "unknown", "turn on the light it is cold " * 10]))
    (batch,) = data.batches(bert)
    assert batch["counts"].sum(1).tolist() == [1, 0, round(0.15 * 70)]
    words = mask_tokens(Tagged([["turn", "on"]], [[0, 1]]), share=1)
    assert next(words.batches(bert))["counts"].sum() == 2
    pairs = mask_tokens(Texts(["turn on"], pairs=["the light"]), share=1)
    assert next(pairs.batches(bert))["counts"].sum() == 4


def test_masking_refuses():
    assert "share: is 0" in reasons(mask_tokens, Texts(["on"]), share=0)
    assert "share: is nan" in reasons(mask_tokens, Texts(["on"]), share=float("nan"))
    assert "data: is a Masked" in reasons(mask_tokens, mask_tokens(Texts(["on"])))
    assert "data: is a list" in reasons(mask_tokens, ["on"])
    assert "tokenizer: is a SimpleNamespace without a mask" in reasons(
        mask_tokens(Texts(["on"])).batches, SimpleNamespace()
    )


# --- labels in the model's order ---


def test_labels_are_compared_by_name():
    data = Texts(["a", "b", "c"], [0, 1, 2], None, ["cold", "light", "music"])
    moved = in_order_of(data, ["music", "light", "cold"])
    assert moved.labels == [2, 1, 0] and moved.label_names == ["music", "light", "cold"]
    assert in_order_of(data, data.label_names) is data
    assert in_order_of(data, ["x", "cold", "light", "music"]).labels == [1, 2, 3]
    words = reasons(in_order_of, data, ["cold", "light", "MUSIC"], "validation")
    assert words.startswith("validation:") and "'music'" in words and "'MUSIC'" in words
    several = Texts(["a", "b"], [[1, 0], [1, 1]], None, ["x", "y"])
    assert in_order_of(several, ["z", "y", "x"]).labels == [[0, 0, 1], [0, 1, 1]]
    tags = Tagged([["a", "b"]], [[-100, 1]], None, ["O", "PER"])
    assert in_order_of(tags, ["PER", "O"]).labels == [[-100, 0]]


def test_names_that_name_nothing():
    generic = ["LABEL_0", "LABEL_1", "LABEL_2"]
    data = Texts(["a", "b"], [0, 1], None, ["cold", "light"])
    assert "has 2 labels ('cold', 'light'), the model has 3" in reasons(in_order_of, data, generic)
    assert in_order_of(data, generic[:2]) is data
    numbers = Texts(["a", "b"], [0, 1], None, ["0", "2"])
    assert in_order_of(numbers, generic).labels == [0, 2]
    unnamed = Texts(["a", "b"], [0, 2])
    assert in_order_of(unnamed, generic).label_names == generic
    assert "data: has 3 labels, the model has 2" in reasons(in_order_of, unnamed, generic[:2])
    for other in (Texts(["a"]), Texts(["a"], [0.5]), Questions(["q"], ["c"])):
        assert in_order_of(other, generic) is other


# --- CSV: what is whole ---

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
texts = texts.filter(lambda text: text.strip())


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(texts, texts, st.sampled_from(["a", "b c", "10"])), min_size=1),
    separator=st.sampled_from(",;\t|"),
    named=st.booleans(),
    end=st.sampled_from(["\r\n", "\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    all_quoted=st.booleans(),
)
def test_what_csv_writes_is_read(
    rows, separator, named, end, encoding, all_quoted, tmp_path_factory
):
    file = tmp_path_factory.getbasetemp() / "round.csv"
    # Where lines end in "\n", csv.writer may leave a lone "\r" without quotes.
    quoting = csv.QUOTE_ALL if all_quoted or end == "\n" else csv.QUOTE_MINIMAL
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([("text", "label", "other"), *((a, c, b) for a, b, c in rows)])
    file.write_bytes(out.getvalue().encode(encoding))
    data = read_csv(file, pair="other", separator=separator if named else None)
    assert data.sentences == [a for a, _, _ in rows] and data.pairs == [b for _, b, _ in rows]
    assert [data.label_names[label] for label in data.labels] == [c for _, _, c in rows]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(write, separator):
    rows = [("label", "text"), ("a", 'turn on, please; "now" | or\tlater'), ("b", "on")]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(rows)
    data = read_csv(write(out.getvalue()))
    assert data.sentences == [text for _, text in rows[1:]]


def test_separators_of_other_kinds(write):
    file = write("text~label\non~a\n")
    assert "there is no column 'text'" in reasons(read_csv, file)
    assert read_csv(file, separator="~").sentences == ["on"]
    assert read_csv(write("sep=;\ntext;label\n1,5;a\n")).sentences == ["1,5"]
    for wrong in ("", ";;", '"', "\n", 5):
        assert "separator: is" in reasons(read_csv, file, separator=wrong)
    one = read_csv(write("text\nturn on, please\nit is cold\n"), label=None)
    assert one.sentences == ["turn on, please", "it is cold"] and one.labels is None


def test_encodings(write):
    text = "text,label\nhi,a\nöffne die Tür,b\n"
    words = reasons(read_csv, write(text, "cp1252"))
    assert "line 3" in words and "0xf6" in words and "encoding='cp1252'" in words
    file = write(text, "cp1252")
    assert read_csv(file, encoding="cp1252").sentences[1] == "öffne die Tür"
    assert "encoding: is 'cp99'" in reasons(read_csv, file, encoding="cp99")
    assert "line 3" in reasons(read_csv, file, encoding="utf-8")
    assert "encoding:" in reasons(read_csv, file, encoding="base64")
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        assert read_csv(write(text, encoding)).labels == [0, 1]
    assert "utf-16-le" in reasons(read_csv, write("text,label\nhi,a\n", "utf-16-le"))
    bare = write(text, "utf-16-le")
    assert "utf-16-le" in reasons(read_csv, bare)
    assert read_csv(bare, encoding="utf-16-le").labels == [0, 1]
    assert "line 2" in reasons(read_csv, write("text,label\nh\0i,a\n"))


def test_little_things_that_are_no_mistakes(write):
    spaced = read_csv(write("text, label\nhi,a\n\nho, a\n  she said so , a \n"))
    assert spaced.label_names == ["a"] and spaced.sentences[2] == "  she said so "
    assert read_csv(write('text,label\nhi, "a"\n "on, please",b\n')).sentences[1] == "on, please"
    inches = read_csv(write('text,label\na 5" screen,a\n'))
    assert inches.sentences == ['a 5" screen']
    assert read_csv(write("text,label\r" + "hi,a\r" + "ho,b\r")).labels == [0, 1]
    assert read_csv(write("text,label\n" + "x" * 200_000 + ",a\n")).sentences == ["x" * 200_000]
    assert read_csv(write("text,label,,\nhi,a,,\n")).labels == [0]
    quoted = write('text\tlabel\n"hi" she said\ta\n"\tb\n')
    assert read_csv(quoted, quotes=False).sentences == ['"hi" she said', '"']
    letter = read_csv(write('text,label\n"Dear Ann, hi\nsee you",b\nhi,a\n'))
    assert letter.sentences[0] == "Dear Ann, hi\nsee you"


# --- CSV: what is not whole ---


@pytest.mark.parametrize(
    "text, lines",
    [
        ("label,text\na,hi\nb,turn on, please, the light\n", ["line 3 has 4 columns"]),
        ("text,label\nhi,a\nho, you there,b\n", ["line 3 has 3 columns", "must stand in quotes"]),
        (
            "text,label\nhi,a\nho,\nhe,b\n , \n",
            ["line 3 has no label", "line 5 has no text, label"],
        ),
        ("text,label\nhi,a\nho\n", ["line 3 has 1 column, the header has 2"]),
        ("text,label\nhi\nyo\n", ["line 2 has 1 column", "line 3 has 1 column"]),
        ('text,label\nhi,a\n"it is cold,b\nx,b\n', ["line 3 opens a quote in column 1 that never"]),
        ('text,label\n"tv,b\nhi,a\n"x" y,c\n', ["line 2 opens a", "line 4 has text after the clo"]),
        (
            'text,label\nhi,a\n"tv off,b\nbye,a\ntv on",b\nend,a\n',
            ["line 3 opens a quote that swa"],
        ),
        ('label,text\na,"hi\nb,ho\na,he"\nb,x\n', ["line 2 opens a quote that swallows"]),
        ('text,label\n"hi\nthere\nyou",a\nho\n', ["line 5 has 1 column"]),
        ('text,label\r\n"hi\r\n\r\nyou",a\r\n\r\nho\r\n', ["line 6 has 1 column"]),
        ("text,label\n\nhi,a\n\n\n,b\n", ["line 6 has no text"]),
    ],
)
def test_every_bad_line_is_listed(write, text, lines):
    words = reasons(read_csv, write(text))
    assert all(line in words for line in lines), words
    assert words.startswith("file: ") and words.count("\n") == sum("line" in x for x in lines)


def test_bad_lines_can_be_skipped(write):
    file = write('text,label\nhi,a\n"tv off,b\nbye,a\ntv on",b\nend,a\nx\n')
    with pytest.warns(UserWarning, match="2 bad lines; 2 of 6 lines left out") as caught:
        data = read_csv(file, skip_bad=True)
    assert caught[0].filename == __file__
    assert data.sentences == ["hi", "bye", 'tv on"', "end"]
    words = reasons(read_csv, write("text,label\n" + "x\n" * 50 + "hi,a\n"))
    assert "50 bad lines" in words and "line 21 has" in words and "line 22" not in words
    assert "and 30 more" in words
    with pytest.warns(UserWarning):
        assert "no lines that could" in reasons(read_csv, write("text,label\nx\n"), skip_bad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_csv(write("text,label\nhi,a\n"), skip_bad=True)


@settings(max_examples=100, deadline=None)
@given(
    good=st.lists(st.sampled_from(["on", "turn off", '"a, b"', '"two\nlines"']), min_size=3),
    place=st.integers(0, 99),
    bad=st.sampled_from(["x", "a, b,light", ",light", "x,", '"x,light', '"x" y,light']),
)
def test_one_bad_line_spoils_no_other(good, place, bad, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "bad.csv"
    lines = [f"{text},{label}" for text, label in zip(good, ["light", "cover"] * len(good))]
    place %= len(lines) + 1
    number = 2 + sum(1 + line.count("\n") for line in lines[:place])
    file.write_text("\n".join(["text,label", *lines]) + "\n")
    whole = read_csv(file)
    file.write_text("\n".join(["text,label", *lines[:place], bad, *lines[place:]]) + "\n")
    words = reasons(read_csv, file)
    assert "1 bad line " in words and f"\n  line {number} " in words, words
    with pytest.warns(UserWarning):
        assert read_csv(file, skip_bad=True) == whole


@pytest.mark.parametrize(
    "text, options, words",
    [
        ("", {}, "is empty"),
        ("text,label\n", {}, "a header and no rows"),
        ("text,label,label\nhi,a,b\n", {}, "has columns twice: 'label'"),
        ("text,label\nhi,a\n", dict(text="body"), "text: there is no column 'body'"),
        ("text,label\nhi,a\n", dict(pair="b"), "pair: there is no column 'b'"),
        ("text,label\nhi,a\n", dict(text=0), "text: is 0"),
        ("text,label\nhi,a\n", dict(pair="text"), "pair: is 'text', which is the column of text"),
        ("text,label\nhi,a\n", dict(kind="class"), "kind: is 'class', must be one of"),
        ("text,label\nhi,a\n", dict(label_names="ab"), "label_names: is 'ab'"),
        ("text,label\nhi,a\n", dict(label_names=["x"]), "label_names: are 'x', and"),
        ("text,label\nhi,1\n", dict(kind="numbers", label_names=["1"]), "label_names: are given"),
        ('"text,label\nhi,a\n', {}, "line 1"),
    ],
)
def test_a_file_that_does_not_fit(write, text, options, words):
    assert words in reasons(read_csv, write(text), **options)


def test_no_file(tmp_path):
    assert "file: there is no file" in reasons(read_csv, tmp_path / "none.csv")
    assert "cannot be read" in reasons(read_csv, tmp_path)
    assert "file: is None" in reasons(read_csv, None)
    assert "file:" in reasons(read_conll, "a\0b")


pieces = st.sampled_from(['"', ",", "\n", "\r\n", "a", "text", "label", ";", " ", "\t", "-", "#"])


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        st.lists(pieces, max_size=40).map(lambda p: "".join(p).encode()), st.binary()
    ),
    options=st.sampled_from([{}, dict(label=None), dict(kind="several"), dict(kind="numbers")]),
    header=st.sampled_from([b"", b"text,label\n", b"text;label;x\r\n"]),
)
def test_any_file_is_read_or_refused_in_words(content, options, header, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(header + content)
    for read, how in ((read_csv, options), (read_conll, {}), (read_conll, dict(tag=None))):
        for skip_bad in (False, True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    assert len(read(file, skip_bad=skip_bad, **how))
                except ValueError as error:
                    assert type(error) is ValueError and ": " in str(error), error


# --- CSV: labels ---


def test_numbers_as_names_are_sorted_by_value(write):
    data = read_csv(write("text,label\n" + "".join(f"t,{i}\n" for i in range(11))))
    assert data.label_names == [str(i) for i in range(11)] and data.labels == list(range(11))


def test_numbers(write):
    data = read_csv(write("text;score\na;1\nb;-2.5e1\n"), label="score", kind="numbers")
    assert data.labels == [1.0, -25.0] and data.kind == "numbers" and data.label_names is None
    bad = "nan inf 1_0 0x1 1e999 1e39 x ١".split()
    text = "text;score\na;3,5\nb;\n" + "".join(f"t;{value}\n" for value in bad)
    words = reasons(read_csv, write(text), label="score", kind="numbers")
    assert "line 2 '3,5' has a decimal comma" in words and "line 3 has no number" in words
    assert f"{2 + len(bad)} bad lines" in words


def test_several_names_a_line(write):
    file = write("text,label\na,x|y\nb,\nc, y | z \nd,x\n")
    data = read_csv(file, kind="several")
    assert data.label_names == ["x", "y", "z"] and data.kind == "several"
    assert data.labels == [[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]]
    words = reasons(read_csv, file, kind="several", label_names=["x", "y"])
    assert "line 4 has the label 'z'" in words
    assert "empty name" in reasons(read_csv, write("text,label\na,x|\n"), kind="several")
    spaced = read_csv(write("text,label\na,x y\n"), kind="several", label_separator=" ")
    assert spaced.labels == [[1, 1]]
    assert "label_separator: is ''" in reasons(read_csv, file, kind="several", label_separator="")


def test_labels_come_in_the_models_order(write):
    file = write("text,label\nhi,cold\nho,music\n")
    model = model_with("music", "light", "cold")
    data = read_csv(file, model=model)
    assert data.labels == [2, 0] and data.label_names == ["music", "light", "cold"]
    assert read_csv(file, model=model.config).labels == [2, 0]
    words = reasons(read_csv, write("text,label\nhi,0\nho,1\n"), model=model)
    assert "'music', 'light', 'cold'" in words and "'0', '1'" in words
    assert "another order" in reasons(
        read_csv, file, model=model, label_names=["cold", "light", "music"]
    )
    assert "has 1 names, the model has 3" in reasons(read_csv, file, model=model, label_names=["x"])
    assert "line 3 has the label 'x'" in reasons(
        read_csv, write("text,label\nhi,cold\nho,x\n"), model=model
    )
    renamed = read_csv(write("text,label\nhi,kalt\n"), model=model, label_names=["m", "l", "kalt"])
    assert renamed.labels == [2] and renamed.label_names == ["music", "light", "cold"]


def test_label_0_is_0_on_request(write):
    model = model_with("LABEL_0", "LABEL_1", "LABEL_2")
    assert read_csv(write("text,label\nhi,2\nho,0\n"), model=model).labels == [2, 0]
    assert read_csv(write("text,label\nhi,LABEL_2\nho,0\n"), model=model).labels == [2, 0]
    assert "line 3 has the label '3'" in reasons(
        read_csv, write("text,label\nhi,2\nho,3\n"), model=model
    )
    file = write("text,label\nhi,cold\nho,music\n")
    words = reasons(read_csv, file, model=model)
    assert "'LABEL_0'" in words and "'cold', 'music'" in words and "label_names=" in words
    data = read_csv(file, model=model, label_names=["music", "light", "cold"])
    assert data.labels == [2, 0] and data.label_names == ["music", "light", "cold"]
    numbered = read_csv(write("text,label\nhi,2\nho,0\n"))
    assert in_order_of(numbered, ["LABEL_0", "LABEL_1", "LABEL_2"]).labels == [2, 0]


def test_the_model_says_what_labels_are(write):
    scores = write("text,label\nhi,0.5\nho,1\n")
    assert read_csv(scores, model=model_with("LABEL_0")).labels == [0.5, 1.0]
    assert "kind: is 'classes', the model takes 'numbers'" in reasons(
        read_csv, scores, model=model_with("LABEL_0"), kind="classes"
    )
    several = model_with("y", "x", problem_type="multi_label_classification")
    assert read_csv(write("text,label\nhi,x\nho,\n"), model=several).labels == [[0, 1], [0, 0]]
    many = model_with("a", "b", problem_type="regression")
    assert "several numbers" in reasons(read_csv, scores, model=many)
    assert read_csv(scores, label=None, model=many).labels is None
    assert "model: is a str" in reasons(read_csv, scores, model="me")


# --- CoNLL ---


def test_conll(write):
    file = write(
        "-DOCSTART- -X- O\n\n# text = a b c\nEU NNP B-ORG\nrejects VBZ O\n \n\n"
        "Peter  NNP\tB-PER\n# NN O\n\n-DOCSTART- -X- O\n\nin\u00a0Rom NNP B-LOC"
    )
    data = read_conll(file)
    assert data.words == [["EU", "rejects"], ["Peter", "#"], ["in\u00a0Rom"]]
    assert data.label_names == ["O", "B-LOC", "B-ORG", "B-PER"]
    assert data.labels == [[2, 0], [3, 0], [1]] and data.kind == "tags"
    assert read_conll(file, tag=1).label_names == ["NN", "NNP", "VBZ"]
    assert read_conll(file, tag=None).labels is None
    model = model_with("B-PER", "B-ORG", "B-LOC", "O")
    assert read_conll(file, model=model).labels == [[1, 3], [0, 3], [2]]
    generic = model_with(*[f"LABEL_{i}" for i in range(4)])
    assert "none is the same" in reasons(read_conll, file, model=generic)
    named = read_conll(file, model=generic, label_names=data.label_names)
    assert named.labels == data.labels


def test_conll_u(write):
    text = (
        "# newdoc\n# text = vom 10 000\n1-2\tvom\t_\n1\tvon\tADP\n2\tdem\tDET\n3\t10 000\tNUM\n"
        "8.1\tx\t_\n\n# sent_id = 2\n1\t#\tSYM\n"
    )
    data = read_conll(write(text), word=1, tag=2)
    assert data.words == [["von", "dem", "10 000"], ["#"]]
    assert data.label_names == ["ADP", "DET", "NUM", "SYM"]
    hashes = read_conll(write("# O\nme O\n\n# id\nyou O\n"))
    assert hashes.words == [["#", "me"], ["you"]]


def test_conll_bad_lines(write):
    text = "EU O\nsays\n\nPeter X Y\nx O\n\nRome O\n\na\tO\n"
    words = reasons(read_conll, write(text))
    assert "2 bad lines" in words and "line 2 has 1 column, most lines have 2" in words
    assert "line 4 has 3 columns" in words
    with pytest.warns(UserWarning, match="2 of 4 sentences left out"):
        assert read_conll(write(text), skip_bad=True).words == [["Rome"], ["a"]]
    tabs = reasons(read_conll, write("EU\tO\n\tO\nx\t\n"))
    assert "line 2 has no word" in tabs and "line 3 has no tag" in tabs
    assert "line 2 has the label 'B'" in reasons(
        read_conll, write("EU O\nx B\n"), label_names=["O"]
    )
    assert "has no words" in reasons(read_conll, write("\n\n"))
    assert "tag: is 5, " in reasons(read_conll, write("EU O\n"), tag=5)
    assert "word: is '0'" in reasons(read_conll, write("EU O\n"), word="0")
    assert "tag: is -1, the same column" in reasons(read_conll, write("EU\nhi\n"))
    assert "separator: is ''" in reasons(read_conll, write("EU O\n"), separator="")
    assert read_conll(write("EU;O\nx y;O\n"), separator=";").words == [["EU", "x y"]]


# --- rows in memory ---


class Dataset:
    """As much of a Hugging Face data set as is used."""

    def __init__(self, rows, **names):
        self.rows = rows
        self.features = {k: SimpleNamespace(names=v) for k, v in names.items()}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        if not isinstance(i, int):
            raise TypeError(i)
        return self.rows[i]


def test_rows_are_taken_as_they_are():
    data = as_data([dict(text="hi", label="b", id=7), dict(text="ho", label="a", id=8)])
    assert data == Texts(["hi", "ho"], [1, 0], None, ["a", "b"])
    assert as_data(data) is data
    assert as_data([dict(sentence="hi", lang="de", score=0.5)]) == Texts(["hi"], [0.5], ["de"])
    assert as_data([dict(text="hi", label=1)]) == Texts(["hi"], [1])
    for one, other in (
        ("sentence1", "sentence2"),
        ("premise", "hypothesis"),
        ("question", "sentence"),
        ("query", "document"),
        ("query", "passage"),
        ("text", "text_pair"),
        ("text", "pair"),
    ):
        assert as_data([{one: "a", other: "b"}]) == Texts(["a"], pairs=["b"])
    tagged = as_data([dict(tokens=["EU", "is"], ner_tags=["B", "O"])])
    assert tagged == Tagged([["EU", "is"]], [[1, 0]], None, ["O", "B"])
    assert as_data([dict(words=["EU", "is"], tags=[-100, 3])]).labels == [[-100, 3]]
    assert as_data([dict(tokens=["EU"])]) == Tagged([["EU"]])
    answers = {"text": ["cold"], "answer_start": [6]}
    asked = as_data([dict(question="q", context="It is cold", answers=answers, id="x")])
    assert asked == Questions(["q"], ["It is cold"], [["cold"]], [[6]])
    assert as_data([dict(question="q", context="c")]) == Questions(["q"], ["c"])
    assert as_data([dict(question="q", context="c", answers=None)]) == Questions(["q"], ["c"])
    assert as_data([dict(text="hi", label=torch.tensor(1))]).labels == [1]
    assert as_data([dict(text="hi", label=torch.tensor([0, 1]))]).labels == [[0, 1]]
    assert as_data([dict(tokens=["a"], tags=torch.tensor([1]))]).labels == [[1]]
    test_set = [dict(text="hi", label=-1), dict(text="ho", label=-1)]
    assert as_data(test_set).labels is None
    assert as_data([dict(text="hi", label=None)]).labels is None


def test_rows_in_the_models_order():
    model = model_with("music", "light", "cold")
    rows = [dict(text="hi", label="cold"), dict(text="ho", label="light")]
    assert as_data(rows, model).labels == [2, 1]
    numbers = as_data([dict(text="hi", label=2)], model)
    assert numbers.labels == [2] and numbers.label_names == ["music", "light", "cold"]
    hub = Dataset([dict(text="hi", label=0)], label=["cold", "music", "light"])
    assert as_data(hub).label_names == ["cold", "music", "light"]
    assert as_data(hub, model).labels == [2]
    assert "labels that the model does not know: 'x'" in reasons(
        as_data, Dataset([dict(text="hi", label=0)], label=["x", "cold"]), model
    )
    assert "has the label 3, must be a whole number below 3" in reasons(
        as_data, [dict(text="hi", label=3), dict(text="ho", label=0)], model
    )
    words = reasons(as_data, [dict(text="hi", label="x")], model)
    assert "'x'" in words and "'music', 'light', 'cold'" in words
    generic = model_with("LABEL_0", "LABEL_1")
    assert as_data([dict(text="hi", label="1")], generic).labels == [1]
    tags = Dataset([dict(tokens=["a", "b"], ner_tags=[0, 1])])
    tags.features = {"ner_tags": SimpleNamespace(feature=SimpleNamespace(names=["O", "PER"]))}
    assert as_data(tags, model_with("PER", "O")).labels == [[1, 0]]


def test_rows_have_the_labels_that_the_model_takes():
    number = model_with("LABEL_0")
    assert as_data([dict(text="hi", label=3), dict(text="ho", label=1)], number).labels == [
        3.0,
        1.0,
    ]
    assert as_data([dict(text="hi", label=3), dict(text="ho", label=0.5)]).labels == [3.0, 0.5]
    assert "the model takes 'numbers'" in reasons(as_data, [dict(text="hi", label="x")], number)
    assert "the model takes 'classes'" in reasons(
        as_data, [dict(text="hi", label=0.5)], model_with("a", "b")
    )
    several = model_with("y", "x", "z", problem_type="multi_label_classification")
    rows = lambda *labels: [dict(text="hi", labels=label) for label in labels]
    assert as_data(rows(["x"], [], ["z", "y"]), several).labels == [[0, 1, 0], [0] * 3, [1, 0, 1]]
    assert as_data(rows([1.0, 0.0, 1.0]), several).labels == [[1, 0, 1]]
    assert as_data(rows([1, 2], [0]), several).labels == [[0, 1, 1], [1, 0, 0]]
    assert as_data(rows(["b"], ["a"])).label_names == ["a", "b"]
    assert as_data(rows([0, 1], [1, 1])).labels == [[0, 1], [1, 1]]
    assert "different lengths" in reasons(as_data, rows([0], [1, 1]))
    assert "the model takes 'several'" in reasons(as_data, rows(1), several)


def test_bad_rows_are_listed():
    rows = [
        dict(text="hi", label="a"),
        dict(text=" ", label="a"),
        dict(label="a"),
        dict(text=None, label="a"),
        dict(text="hi", label=None),
        dict(text="hi", label=3),
        "hi",
    ]
    words = reasons(as_data, rows)
    assert "6 bad rows" in words and all(f"\n  row {i} " in words for i in range(1, 7)), words
    with pytest.warns(UserWarning, match="6 of 7 rows left out") as caught:
        assert as_data(rows, skip_bad=True) == Texts(["hi"], [0], None, ["a"])
    assert caught[0].filename == __file__
    right = dict(question="q", context="It is cold", answers={"text": ["It"], "answer_start": [0]})
    wrong = [
        right | dict(answers={"text": ["it"], "answer_start": [0]}),
        right | dict(answers={"text": ["It"], "answer_start": []}),
        right | dict(answers={"text": ["It"]}),
        right | dict(answers="It"),
        right | dict(context=""),
    ]
    assert "5 bad rows" in reasons(as_data, [right, *wrong])
    assert "5 bad rows" in reasons(as_data, [*wrong, right])
    tagged = [
        dict(tokens=["a"], tags=["O"]),
        dict(tokens=["a"], tags=[]),
        dict(tokens="a", tags=[]),
    ]
    assert "2 bad rows" in reasons(as_data, tagged)
    assert "1 bad row " in reasons(as_data, [dict(text="", label="a")], skip_bad=True)


@pytest.mark.parametrize(
    "rows, words",
    [
        ([dict(body="hi")], "rows: have the keys 'body', must have text or sentence"),
        ([], "rows: is empty"),
        ({"train": []}, "rows: is one dict with 'train'"),
        ("hi", "rows: is a str"),
        (["hi"], "rows: has 'hi' at 0, must be a dict"),
        (iter([]), "rows: is a list_iterator"),
        (None, "rows: is a NoneType"),
        (SimpleNamespace(iterrows=1), "to_dict"),
    ],
)
def test_what_is_no_data(rows, words):
    assert words in reasons(as_data, rows)
