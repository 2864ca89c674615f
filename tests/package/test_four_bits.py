"""Four bits are stored and read without loss, and the embedded embedder is what its card says."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer, XLMRobertaModel

from pruning_lessons.models.files import ASSETS
from pruning_lessons.models.four_bits import pack, read_four_bits, unpack

FOLDER = ASSETS / "embedder"
WEIGHTS = FOLDER / "model-4bit.safetensors"


def drawn(rows, blocks, seed):
    """Random numbers (rows, columns) and scales (rows, blocks)."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 16, (rows, 32 * blocks), dtype=torch.uint8, generator=generator)
    return numbers, torch.randn(rows, blocks, generator=generator).half()


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 5), blocks=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_round_trip(tmp_path_factory, rows, blocks, seed):
    numbers, scales = drawn(rows, blocks, seed)
    expected = (numbers.double() - 8) * scales.double().repeat_interleave(32, dim=1)
    packed = pack(numbers)
    assert packed.shape == (rows, blocks, 16)
    assert torch.equal(unpack(packed, scales).double(), expected)
    file = tmp_path_factory.mktemp("bits") / "a.safetensors"
    save_file(
        {"a.weight.blocks": packed, "a.weight.scales": scales, "a.bias": scales[:, 0].clone()}, file
    )
    read = read_four_bits(file)
    assert set(read) == {"a.weight", "a.bias"}
    assert all(weight.dtype == torch.float32 for weight in read.values())
    assert torch.equal(read["a.weight"].double(), expected)


def test_low_halves_come_first():
    numbers = torch.arange(32).remainder(16).to(torch.uint8)[None]
    assert pack(numbers)[0, 0].tolist() == [17 * i for i in range(16)]
    blocks = torch.tensor([[[0xF0] + [0x88] * 15]], dtype=torch.uint8)
    values = unpack(blocks, torch.tensor([[0.5]]).half())[0]
    assert values[0] == -4 and values[16] == 3.5 and values.count_nonzero() == 2


@pytest.mark.parametrize(
    "numbers",
    [
        torch.zeros(2, 33, dtype=torch.uint8),
        torch.zeros(32, dtype=torch.uint8),
        torch.zeros(2, 32),
        torch.full((1, 32), 16, dtype=torch.uint8),
    ],
)
def test_what_cannot_be_packed(numbers):
    with pytest.raises(ValueError, match="^numbers: "):
        pack(numbers)


def damage(stored, how):
    name = "a.weight"
    if how == "no scales":
        del stored[f"{name}.scales"]
    elif how == "no blocks":
        del stored[f"{name}.blocks"]
    elif how == "scales of another shape":
        stored[f"{name}.scales"] = stored[f"{name}.scales"][:, :1].clone()
    elif how == "blocks of another type":
        stored[f"{name}.blocks"] = stored[f"{name}.blocks"].float()
    else:
        stored[f"{name}.scales"][0, 0] = float("nan")


@pytest.mark.parametrize(
    "how",
    ["no scales", "no blocks", "scales of another shape", "blocks of another type", "not a number"],
)
def test_a_file_in_another_format_is_named(tmp_path, how):
    numbers, scales = drawn(3, 2, 0)
    stored = {"a.weight.blocks": pack(numbers), "a.weight.scales": scales}
    damage(stored, how)
    save_file(stored, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"^file: .*odd\.safetensors.*a\.weight"):
        read_four_bits(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"no safetensors", "half"])
def test_a_damaged_file_is_named(tmp_path, content):
    file = tmp_path / "bad.safetensors"
    if content == "half":
        content = WEIGHTS.read_bytes()[: WEIGHTS.stat().st_size // 2]
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.safetensors"):
        read_four_bits(file)


def test_the_embedder_has_every_weight():
    config = AutoConfig.from_pretrained(FOLDER)
    assert config.architectures == ["XLMRobertaModel"]
    model = XLMRobertaModel(config, add_pooling_layer=False)
    weights = read_four_bits(WEIGHTS)
    assert model.load_state_dict(weights, strict=True)
    assert not weights["embeddings.position_embeddings.weight"][:2].any()
    assert WEIGHTS.stat().st_size < 25e6
    stored = load_file(WEIGHTS)
    matrices = {name[: -len(".blocks")] for name in stored if name.endswith(".blocks")}
    assert len(matrices) == 12 * 6 + 1
    for name in matrices:
        rows, columns = weights[name].shape
        assert stored[f"{name}.blocks"].shape == (rows, columns // 32, 16)


def test_the_embedder_finds_translations():
    config = AutoConfig.from_pretrained(FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert len(tokenizer) == config.vocab_size and tokenizer.model_max_length == 512
    model = XLMRobertaModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(read_four_bits(WEIGHTS))
    texts = ["The cat sat on the mat.", "Die Katze saß auf der Matte.", "Prices rose in spring."]
    batch = tokenizer(["query: " + text for text in texts], padding=True, return_tensors="pt")
    assert not (batch.input_ids == tokenizer.unk_token_id).any()
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch.attention_mask.unsqueeze(2)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.88 and cosines[0, 1] > cosines[0, 2] + 0.08


def test_what_sentence_transformers_reads():
    read = lambda name: json.loads((FOLDER / name).read_text("utf-8"))
    kinds = [(module["path"], module["type"].split(".")[-1]) for module in read("modules.json")]
    assert kinds == [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modes = {name for name, on in read("1_Pooling/config.json").items() if on is True}
    assert modes == {"pooling_mode_mean_tokens"}
    prompts = read("config_sentence_transformers.json")["prompts"]
    assert prompts == {"query": "query: ", "passage": "passage: "}


def test_the_card_and_the_results_agree():
    card = (FOLDER / "README.md").read_text("utf-8")
    results = json.loads((FOLDER / "results.json").read_text("utf-8"))
    assert f"{results['pieces']:,} word pieces" in card
    assert results["largest difference of vectors"] < 1e-6
    assert f"{results['mean']['to English']:.1%}" in card
    assert "MIT License" in (FOLDER / "LICENSE").read_text("utf-8")
