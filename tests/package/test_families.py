"""Other families whose layers are laid out alike: the same promises, on tiny random models saved by
plain transformers.
"""

import sys
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification

import pruning_lessons as pl
from pruning_lessons.models.anatomy import FAMILIES, embed, layers_of
from pruning_lessons.models.tasks import finish

sys.path.insert(0, str(Path(__file__).parent))
from conftest import small_tokenizer

SIZES = dict(
    vocab_size=300,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=20,
    max_position_embeddings=40,
    pad_token_id=1,
    num_labels=5,
)


def tiny(family: str, kind: str = "ForSequenceClassification", **changes):
    name = FAMILIES[family]
    torch.manual_seed(0)
    model = getattr(transformers, name + kind)(
        getattr(transformers, f"{name}Config")(**SIZES | changes)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batch(n=6):
    ids = torch.randint(5, 299, (n, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return {
        "input_ids": ids.where(mask.bool(), 1),
        "attention_mask": mask,
        "labels": torch.arange(n) % 5,
    }


def logits(model):
    data = batch()
    with torch.no_grad():
        return model(data["input_ids"], attention_mask=data["attention_mask"]).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_load_score_cut_repair_save_and_export(family, tmp_path):
    """A checkpoint of plain transformers, from load to ONNX."""
    tokenizer = small_tokenizer(300)
    tiny(family).save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    model, _ = pl.load(tmp_path / "plain")
    assert model.config.num_labels == 5 and torch.equal(logits(model), logits(tiny(family)))
    data = batch()
    x, bias = embed(model, data)
    with torch.no_grad():
        for layer in layers_of(model):
            x = layer(x, bias)
        assert torch.allclose(finish(model, x, data), logits(model), atol=1e-5)
    scores = pl.importance(model, [data])
    masks = pl.select(scores, model, keep_macs=0.4, length=9)
    small = pl.repair(pl.prune(model, masks), model, [data, batch(3), batch(4)])
    pl.save(small, tokenizer, tmp_path / "small")
    again, _ = pl.load(tmp_path / "small")
    auto = AutoModelForSequenceClassification.from_pretrained(tmp_path / "small").eval()
    assert torch.equal(logits(again), logits(small)) and torch.equal(logits(auto), logits(small))
    if family == "bert":  # an export takes seconds; the others are like XLM-R
        folder = pl.export_onnx(small, tokenizer, tmp_path / "onnx")
        found = pl.OnnxClassifier(folder).run(data["input_ids"], data["attention_mask"])
        assert abs(found - logits(small).numpy()).max() < 1e-4


def test_two_labels_without_names_stay(tmp_path):
    tokenizer = small_tokenizer(300)
    tiny("roberta", num_labels=2).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, _ = pl.load(tmp_path)
    assert model.config.num_labels == 2


@pytest.mark.parametrize(
    "config",
    [transformers.DistilBertConfig(), transformers.RobertaConfig(is_decoder=True, **SIZES)],
)
def test_the_rest_is_refused(config, tmp_path):
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match="families|encoder"):
        pl.load(tmp_path)


def test_texts_of_ones_own(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(
        '\ufefftext,label,lang\n"on, please",light,en\nmach zu,cover,de\n', encoding="utf-8"
    )
    data = pl.read_csv(file, language="lang")
    assert data.sentences == ["on, please", "mach zu"] and data.label_names == ["cover", "light"]
    assert data.labels == [1, 0] and data.languages == ["en", "de"]
    assert pl.read_csv(file, label_names=["light", "cover", "music"]).labels == [0, 1]
    for wrong, options in (
        ("no column 'body'", dict(text="body")),
        ("line 2", dict(label_names=["cover"])),
    ):
        with pytest.raises(ValueError, match=wrong):
            pl.read_csv(file, **options)
    file.write_text("text,label\n ,light\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        pl.read_csv(file)
