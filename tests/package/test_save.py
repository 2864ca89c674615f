"""What is saved opens again, bit for bit; a folder changes whole or not at all, and only where it
is ours.
"""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import pruning_lessons as pl
from pruning_lessons.models import files
from pruning_lessons.models.anatomy import FAMILIES
from pruning_lessons.models.families import AUTO_CLASSES
from pruning_lessons.models.files import settle, written_beside
from pruning_lessons.models.tasks import dense, task_of

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make, posix, small_tokenizer

WORDS = small_tokenizer()
KILL = getattr(signal, "SIGKILL", None)  # not on Windows


def tiny(family="xlm-roberta", kind="ForSequenceClassification", **changes):
    """A random model; all its weights count, biases and LayerNorms too."""
    sizes = dict(hidden_size=24, num_hidden_layers=4, num_attention_heads=4, intermediate_size=10)
    places = dict(vocab_size=99, max_position_embeddings=40, pad_token_id=1)
    config = getattr(transformers, FAMILIES[family] + "Config")(**(sizes | places | changes))
    torch.manual_seed(0)
    model = getattr(transformers, FAMILIES[family] + kind)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.tie_weights()
    return model


def uneven(model):
    masks = pl.Masks.keep_all(model)
    masks.layers[0] = False
    masks.heads[1], masks.neurons[2], masks.heads[2, 1:3], masks.neurons[3, 4] = (False,) * 4
    return pl.prune(model, masks)


def even(model):
    """A shape that plain transformers can express: two layers gone, six neurons in each."""
    masks = pl.Masks.keep_all(model)
    masks.layers[[0, 2]], masks.neurons[:, 3:7] = False, False
    return pl.prune(model, masks)


def batch():
    ids = torch.randint(5, 99, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:], mask[2, 2:] = 0, 0
    return {"input_ids": ids.where(mask.bool(), 1), "attention_mask": mask}


def answers(model):
    with torch.no_grad():
        return dense(model, batch())


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("kind", AUTO_CLASSES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_and_head_comes_back(family, kind, tmp_path):
    for shape in (uneven, even):
        model = shape(tiny(family, kind))
        before = model.config.to_dict()
        folder = pl.save(model, WORDS, tmp_path / "model")
        assert model.config.to_dict() == before
        auto = AUTO_CLASSES[kind].from_pretrained(folder).eval()
        assert same(auto, model) and type(auto).__name__.startswith("Pruned") == (shape is uneven)
        assert torch.equal(answers(auto), answers(model))
        if kind != "Model":
            again, _ = pl.load(folder)
            assert same(again, model) and task_of(again) is task_of(model)
            assert again.config.kept_layers == model.config.kept_layers
            assert same(pl.load(pl.save(again, WORDS, folder))[0], model)
        assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("family", FAMILIES)
def test_embedders_come_back(family, pooling, tmp_path):
    config = dict(pooling=pooling, normalize=pooling == "cls", prompts={"query": "query: "})
    model = tiny(family, "Model", **config)
    model.pooler = None
    for shape in (uneven, even, lambda whole: whole):
        small = shape(model)
        again, words = pl.load(pl.save(small, WORDS, tmp_path / "model"))
        assert same(again, small) and torch.equal(answers(again), answers(small))
        assert {name: getattr(again.config, name) for name in config} == config
    modules = json.loads((tmp_path / "model" / "modules.json").read_text())
    kinds = [module["type"].rsplit(".")[-1] for module in modules]
    assert kinds == ["Transformer", "Pooling", "Normalize"][: 2 + config["normalize"]]


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_what_a_text_head_is_for_comes_back(problem, tmp_path):
    model = uneven(tiny(num_labels=3, problem_type=problem))
    again, _ = pl.load(pl.save(model, WORDS, tmp_path / "model"))
    assert same(again, model) and task_of(again) is task_of(model)


def test_plain_shapes_open_without_this_package(tmp_path):
    heads = ["ForSequenceClassification", "ForTokenClassification", "ForMaskedLM", "Model"]
    for family, kind in zip(FAMILIES, heads):
        model = even(tiny(family, kind))
        folder = pl.save(model, WORDS, tmp_path / kind)
        with torch.no_grad():
            out = model(**batch())
        torch.save(out[0], folder / "answers.pt")
    torch.save(batch(), tmp_path / "batch.pt")
    code = (
        "import sys, torch, transformers as t; from pathlib import Path\n"
        "place = Path(sys.argv[1]); batch = torch.load(place / 'batch.pt')\n"
        "for kind in sys.argv[2:]:\n"
        "    auto = getattr(t, 'AutoModel' + kind.removeprefix('Model'))\n"
        "    model = auto.from_pretrained(place / kind)\n"
        "    words = t.AutoTokenizer.from_pretrained(place / kind)\n"
        "    with torch.no_grad():\n"
        "        out = model.eval()(**batch)[0]\n"
        "    assert torch.equal(out, torch.load(place / kind / 'answers.pt')), kind\n"
        "    assert model.config.num_hidden_layers == 2 and len(words) == 99\n"
        "assert 'pruning_lessons' not in sys.modules\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path), *heads]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_layers_half_precision_and_train_mode(tmp_path):
    model = pl.prune(tiny(), pl.layer_masks(tiny(), range(4)))
    assert same(pl.load(pl.save(model, WORDS, tmp_path / "none"))[0], model)
    half = uneven(tiny()).half().train()
    again, _ = pl.load(pl.save(half, WORDS, tmp_path / "half"))
    assert same(again, half.float()) and half.training and not again.training
    raw = load_file(tmp_path / "half" / "model.safetensors")
    assert {tensor.dtype for tensor in raw.values()} == {torch.float16}


def test_other_files_stay(tmp_path):
    """Only a checkpoint's own files are replaced (cases bug 10, fault 02)."""
    folder = pl.save(tiny(), WORDS, tmp_path / "project")
    for name in (".git/HEAD", "runs/log", "README.md", "thesis.docx"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    model = uneven(tiny())
    pl.save(model, WORDS, folder)
    assert same(pl.load(folder)[0], model) and (folder / ".git/HEAD").read_text() == ".git/HEAD"
    assert {"runs", "README.md", "thesis.docx"} < {file.name for file in folder.iterdir()}
    for name, text in (("config.json", '{"my": "web app"}'), ("tokenizer.json", "{}")):
        other = tmp_path / name.split(".")[0]
        other.mkdir()
        (other / name).write_text(text)
        (other / "thesis.docx").write_text("three years")
        before = contents(other)
        with pytest.raises(ValueError, match=f"folder.*{name}.*no checkpoint"):
            pl.save(model, WORDS, other)
        assert contents(other) == before
    free = tmp_path / "free"
    free.mkdir()
    (free / "thesis.docx").write_text("three years")
    assert same(pl.load(pl.save(model, WORDS, free))[0], model)
    with pytest.raises(ValueError, match="folder.*is a file"):
        pl.save(model, WORDS, free / "thesis.docx")


@posix
def test_links_and_modes(tmp_path):
    disk, folder = tmp_path / "disk", tmp_path / "link"
    disk.mkdir()
    pl.save(tiny(), WORDS, disk / "model")
    folder.symlink_to(disk / "model")
    weights = folder / "model.safetensors"
    weights.rename(disk / "weights")
    weights.symlink_to(disk / "weights")
    os.chmod(folder / "config.json", 0o640)
    os.chmod(disk / "weights", 0o604)
    (folder / "tokenizer_config.json").unlink()
    before, model = os.umask(0o027), uneven(tiny())
    try:
        pl.save(model, WORDS, folder)
        fresh = pl.save(model, WORDS, tmp_path / "fresh")
    finally:
        os.umask(before)
    mode = lambda file: stat.S_IMODE(file.stat().st_mode)
    assert folder.is_symlink() and weights.is_symlink() and same(pl.load(folder)[0], model)
    assert (mode(folder / "config.json"), mode(disk / "weights")) == (0o640, 0o604)
    assert {mode(file) for file in fresh.iterdir()} == {mode(folder / "tokenizer_config.json")}
    assert (mode(fresh), mode(fresh / "model.safetensors")) == (0o750, 0o640)
    assert sorted(file.name for file in disk.iterdir()) == ["model", "weights"]


def shorter(model):
    layer = model.roberta.encoder.layer[0]
    layer.intermediate.dense, layer.output.dense = torch.nn.Linear(24, 5), torch.nn.Linear(5, 24)


def change_head(model):
    model.classifier.out_proj = torch.nn.Linear(24, 7)


def own_head(model):
    model.classifier.extra = torch.nn.Linear(24, 7)


def lose_layer(model):
    del model.roberta.encoder.layer[0]


def spoil(model):
    model.roberta.encoder.layer[1].output.dense.weight.data[0, 0] = float("nan")


def same_name_twice(model):
    model.config.id2label = {0: "cold", 1: "cold"}


def gap(model):
    model.config.id2label = {0: "cold", 2: "light"}


def no_json(model):
    model.config.mine = torch.zeros(1)


def small_vocabulary(model):
    model.config.vocab_size = 98


@pytest.mark.parametrize(
    "change, said",
    [
        (shorter, r"model.*shape \(5, 24\) as roberta.encoder.layer.0.*makes it shape \(10, 24\)"),
        (change_head, r"model.*shape \(7, 24\).*classifier.out_proj"),
        (own_head, r"model.*classifier.extra.weight.*nothing"),
        (lose_layer, "3 layers, its config says 4"),
        (spoil, "model.*NaN.*layer.1.output.dense.weight"),
        (same_name_twice, "model.*labels.*cold"),
        (gap, "model.*labels.*0 to 1"),
        (no_json, "model.*JSON"),
        (small_vocabulary, "tokenizer: has tokens.*98 rows"),
    ],
)
def test_what_would_not_open_is_not_saved(change, said, tmp_path):
    """Case fault 18: checked before, so what is there stays."""
    folder, model = pl.save(tiny(), WORDS, tmp_path / "model"), tiny()
    before = contents(tmp_path)
    change(model)
    with pytest.raises(ValueError, match=said):
        pl.save(model, WORDS, folder)
    assert contents(tmp_path) == before


def test_what_stands_in_the_way(tmp_path):
    """Files of others that would be read with ours."""
    folder, model = pl.save(tiny(), WORDS, tmp_path / "model"), tiny()
    for name, text, said in (
        ("adapter_config.json", "{}", "adapter"),
        ("added_tokens.json", '{"zzz": 99}', "no embedding for.*zzz"),
        ("special_tokens_map.json", '{"unk_token": "w60"}', "another tokenizer"),
        ("modules.json", "[]", None),
        ("modules.json", '[{"type": "a.Transformer"}, {"type": "a.SparsePooling"}]', "SparsePooli"),
        ("model.safetensors.index.json", "{", None),  # replaced
    ):
        (folder / name).write_text(text)
        before = contents(tmp_path)
        if said is None:
            assert same(pl.load(pl.save(model, WORDS, folder))[0], model)
        else:
            with pytest.raises(ValueError, match=f"folder.*{said}"):
                pl.save(model, WORDS, folder)
            assert contents(tmp_path) == before
        (folder / name).unlink()
    pl.save(embedder := tiny(kind="Model", pooling="mean", normalize=True), WORDS, folder)
    with pytest.raises(ValueError, match=r"another task.*modules.json"):
        pl.save(model, WORDS, folder)
    embedder.pooler = None
    assert same(pl.load(folder)[0], embedder)


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    folder = pl.save(tiny(), WORDS, tmp_path / "model")
    before = contents(tmp_path)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    for module, name in ((os, "fsync"), (type(WORDS), "save_pretrained"), (os, "chmod")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            for place in (folder, tmp_path / "new"):
                with pytest.raises(OSError, match="No space left"):
                    pl.save(uneven(tiny()), WORDS, place)
        assert contents(tmp_path) == before and [f.name for f in tmp_path.iterdir()] == ["model"]


CALLS = [(os, "rename"), (os, "replace"), (os, "fsync"), (os, "chmod"), (os, "unlink")]


def killed(job, n, monkeypatch, signal_number=KILL):
    """Run `job` in a fork that is sent a signal at the n-th call that touches a disk, before it or,
    for odd n, after it. Returns whether it lived to the end.
    """
    child = os.fork()
    if child == 0:
        count = [0]

        def counted(call):
            def inner(*args, **options):
                count[0] += 1
                if n == 2 * count[0]:
                    os.kill(os.getpid(), signal_number)
                found = call(*args, **options)
                if n == 2 * count[0] + 1:
                    os.kill(os.getpid(), signal_number)
                return found

            return inner

        try:
            torch.set_num_threads(1)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a job behind a & ignores it
            for module, name in CALLS:
                monkeypatch.setattr(module, name, counted(getattr(module, name)))
            job()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@posix
@pytest.mark.parametrize(
    "there, number, step",
    [
        ("folder", KILL, 1),
        ("nothing", KILL, 1),
        ("folder", signal.SIGINT, 3),
        ("nothing", signal.SIGINT, 3),
    ],
)
def test_killed_at_any_moment_it_is_old_or_new(there, number, step, tmp_path, monkeypatch):
    """Case fault 04; one of the folder's files is a link."""
    disk, names = tmp_path / "disk", ("config.json", "a", "sub/b")
    disk.mkdir()
    folder = disk / "model"

    def write(text):
        with written_beside(folder) as fresh:
            (fresh / "sub").mkdir()
            for name in names:
                (fresh / name).write_text(text)

    def read():
        return [(folder / name).read_text() for name in names] if folder.exists() else None

    outcomes = set()
    for n in range(2, 400, step):
        if there != "nothing":
            if not folder.exists():
                folder.mkdir()
                (folder / "thesis").write_text("mine")
            if not (folder / "a").exists():
                (disk / "elsewhere").mkdir()
                (folder / "a").symlink_to(disk / "elsewhere" / "a")
            write("old")
        lived = killed(lambda: write("new"), n, monkeypatch, number)
        settle(folder)
        found = read()
        assert found in (["old"] * 3 if there != "nothing" else None, ["new"] * 3), (n, found)
        hidden = [p for p in disk.rglob("*") if files.SAVING in p.name or files.SAVED in p.name]
        assert not hidden, (n, hidden)
        if there != "nothing":
            assert (folder / "thesis").read_text() == "mine"
            assert (folder / "a").is_symlink()
        elif found:
            for name in (*names, "sub", ""):
                path = folder / name
                path.rmdir() if path.is_dir() else path.unlink()
        outcomes.add(str(found))
        if lived:
            break
    assert lived and len(outcomes) == 2


@posix
def test_a_load_finishes_what_a_killed_save_began(tmp_path, monkeypatch):
    old, new = tiny(), uneven(tiny())
    folder = pl.save(old, WORDS, tmp_path / "model")
    outcomes = []
    for n in range(2, 400, 7):
        pl.save(old, WORDS, folder)
        lived = killed(lambda: pl.save(new, WORDS, folder), n, monkeypatch)
        found, _ = pl.load(folder)
        assert same(found, old) or same(found, new), n
        assert sorted(contents(tmp_path)) == sorted(
            f"model/{name}"
            for name in ("config.json", "model.safetensors", "tokenizer.json", WORDS_CONFIG)
        )
        outcomes.append(same(found, new))
        if lived:
            break
    assert lived and outcomes[0] is False and outcomes[-1] is True


WORDS_CONFIG = "tokenizer_config.json"


@posix
def test_a_load_beside_saves_sees_one_model(tmp_path):
    """Case fault 15."""
    two = [tiny(), tiny(num_hidden_layers=2)]
    folder = pl.save(two[0], WORDS, tmp_path / "model")
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        for i in range(200):
            pl.save(two[i % 2], WORDS, folder)
        os._exit(0)
    seen = set()
    try:
        for _ in range(12):
            model, _ = pl.load(folder)
            assert same(model, two[len(model.base_model.encoder.layer) == 2])
            seen.add(len(model.base_model.encoder.layer))
    finally:
        os.kill(child, KILL)
        os.waitpid(child, 0)
    assert same(pl.load(pl.save(two[0], WORDS, folder))[0], two[0]) and seen == {2, 4}
    assert not list(tmp_path.rglob(".*"))


def test_without_locks(tmp_path, monkeypatch):
    """As on Windows: readers see that files changed, and read again."""
    monkeypatch.setattr(files, "fcntl", None)
    model = make()
    folder = pl.save(model, WORDS, tmp_path / "model")
    assert same(pl.load(pl.save(model, WORDS, folder))[0], model)
    reads, changes = [], iter([1, 2, 3, 3, 4, 4])
    assert files.read_whole(folder, lambda: next(changes), lambda: reads.append(1) or "read")
    assert len(reads) == 2


def test_untied_words_are_not_tied_in_silence(tmp_path):
    model = tiny(kind="ForMaskedLM")
    model.lm_head.decoder.weight = torch.nn.Parameter(torch.randn(99, 24))
    with pytest.raises(ValueError, match="model.*lm_head.decoder.weight.*tie"):
        pl.save(model, WORDS, tmp_path / "model")
    model.config.tie_word_embeddings = False
    assert same(pl.load(pl.save(model, WORDS, tmp_path / "model"))[0], model)


def test_shards_give_way_to_one_file(tmp_path):
    """A checkpoint in several files: the index is replaced, other people's shards stay."""
    model = tiny()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    WORDS.save_pretrained(tmp_path)
    shards = {file.name for file in tmp_path.glob("*-of-*")}
    assert len(shards) > 1 and same(pl.load(tmp_path)[0], model)
    small = uneven(model)
    pl.save(small, WORDS, tmp_path)
    assert same(pl.load(tmp_path)[0], small)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {"model.safetensors"}
    assert {file.name for file in tmp_path.glob("*-of-*")} == shards


def test_old_safetensors_stay_readable_while_loaded(tmp_path):
    """A loaded model is a copy: writing into its file changes nothing."""
    model = tiny()
    folder = pl.save(model, WORDS, tmp_path / "model")
    again, _ = pl.load(folder)
    zeros = {name: torch.zeros_like(t) for name, t in model.state_dict().items()}
    save_file(zeros, tmp_path / "zeros")
    with open(folder / "model.safetensors", "r+b") as file:
        file.write((tmp_path / "zeros").read_bytes())
    assert same(again, model)
