"""Tiny random models, and no way out to the network."""

import os
import socket

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # before torch: busy waiting makes processes side by side crawl
os.environ.pop("PRUNING_LESSONS_CHECKPOINT", None)

import pytest
import torch
from transformers import (
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForSequenceClassification,
)

posix = pytest.mark.skipif(os.name == "nt", reason="kills or forks, as Windows does not")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def make(layers=3, heads=4, neurons=10, seed=0, task="intents", attention="sdpa"):
    """A tiny XLM-R with random biases and LayerNorms, too: zeros would hide what is forgotten."""
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=99,
        hidden_size=24,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=neurons,
        max_position_embeddings=40,
        type_vocab_size=1,
        num_labels=5,
    )
    config._attn_implementation = attention
    model = (XLMRobertaForSequenceClassification if task == "intents" else XLMRobertaForMaskedLM)(
        config
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def make_pretrained(folder, width=48, layers=5, heads=6, neurons=80):
    """A checkpoint as the hub has XLM-R: fill-mask alone, random, in proportions that are not the
    embedded model's.
    """
    from transformers import AutoTokenizer

    from pruning_lessons.models.checkpoints import EMBEDDED

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=neurons,
        max_position_embeddings=130,
        type_vocab_size=1,
    )
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def logits(model, seed=0):
    """Logits of a padded batch."""
    ids = torch.randint(5, 99, (3, 9), generator=torch.Generator().manual_seed(seed))
    attention = torch.ones_like(ids)
    attention[1, 5:], attention[2, 2:] = 0, 0
    with torch.no_grad():
        return model(ids, attention_mask=attention).logits


@pytest.fixture(scope="session")
def embedded():
    from pruning_lessons import load

    return load()


def small_tokenizer(pieces=99):
    """Whole words, XLM-R's special tokens: for models with fewer pieces than the embedded one's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = dict(
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>"
    )
    words = [*special.values(), *"turn on off the light it is cold play music".split()]
    words += [f"w{i}" for i in range(pieces - len(words))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **special
    )
