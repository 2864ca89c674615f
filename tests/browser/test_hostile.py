"""A checkpoint whose tokens and labels are scripts, in JupyterLab, in a real browser: none runs."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from lab import browser_page, jupyterlab, needs_chromium, open_and_run, photograph

needs_chromium()

# Leaves a mark wherever it gets to run: in its own page, and in the notebook's.
RUN = "window.ran=1;try{top.ran=1}catch(e){}"
TOKENS = {  # in place of words of the sentence below; a view shows 16 characters of each
    "<s>": f"</script><script>{RUN}</script>",
    "turn": "</script><svg a=",  # and the next one, as they would stand in a list in a script
    "on": "x onload=ran=1 b",
    "off": "$x$ $\\frac{",
    "the": f"'\"><img src=x onerror='{RUN}'>",
}
LABELS = [
    f"<img src=x onerror='{RUN}'>",
    "$\\href{javascript:top.ran=1}{x}$",
    "</td></table><script>top.ran=1</script>",
]
CELLS = [
    "import pruning_lessons as pl\n"
    "model, tokenizer = pl.load('checkpoint')\n"
    "pl.show_heads(model, tokenizer, SENTENCE, layer=1)",
    "pl.show_model(model, tokenizer, SENTENCE)",
    "data = pl.Texts([SENTENCE] * 3, [0, 1, 2], list(model.config.id2label.values()))\n"
    "pl.evaluate(model, tokenizer, data)",
    "pl.show_heads(model, tokenizer, ' ')",
]


def checkpoint(folder: Path) -> None:
    """A tiny model whose tokenizer writes scripts, and whose labels are some."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig
    from transformers import XLMRobertaForSequenceClassification as Classifier

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = [TOKENS.get(word, word) for word in [*special, *"turn on off the light".split()]]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    made.post_processor = processors.TemplateProcessing(
        single=[words[0], "$A", "</s>"],
        special_tokens=[(words[0], 0), ("</s>", 2)],
    )
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), words))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token=words[0], sep_token="</s>", **names
    )
    config = XLMRobertaConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=16,
        max_position_embeddings=40,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    Classifier(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def notebook(file: Path) -> None:
    sentence = "|".join(TOKENS.get(word, word) for word in "turn on off the light".split())
    sources = [f"SENTENCE = {sentence!r}", *CELLS]
    cell = dict(cell_type="code", metadata={}, outputs=[], execution_count=None)
    cells = [cell | {"id": f"c{i}", "source": source} for i, source in enumerate(sources)]
    kernel = dict(name="python3", display_name="Python 3", language="python")
    content = dict(cells=cells, metadata={"kernelspec": kernel}, nbformat=4, nbformat_minor=5)
    file.write_text(json.dumps(content), encoding="utf-8")


def test_nothing_of_a_hostile_checkpoint_runs(tmp_path):
    folder, scratch, outside = tmp_path / "work", tmp_path / "scratch", []
    folder.mkdir(), scratch.mkdir()
    checkpoint(folder / "checkpoint")
    notebook(folder / "hostile.ipynb")
    with jupyterlab(folder, scratch) as address, browser_page(outside) as page:
        open_and_run(page, address, "hostile.ipynb")
        photograph(page, ROOT / "artefacts" / "hostile.png")
        frames = [frame for frame in page.frames if frame.parent_frame]
        assert len(frames) == 2
        for frame in page.frames:
            assert not frame.evaluate("window.ran"), frame.url
        for frame in frames:  # even what would run there does not reach out
            assert frame.evaluate("self.origin") == "null"
            assert frame.evaluate("try { top.document; 1 } catch (e) { 0 }") == 0
            assert frame.locator("img, body > svg").count() == 0
        for view, layers in zip(frames, (1, 2)):  # one at a time, or both
            assert view.locator("svg line").count() == layers * 4 * 7 * 7
        shown = frames[0].locator("svg text").all_text_contents()
        assert all(token[:10] in "\n".join(shown) for token in TOKENS.values()), shown
        use(frames[0])
        look_at_the_page(page)
    assert not outside, outside


def use(view) -> None:
    """The head view answers: another layer draws other lines, a click puts a head out."""
    strengths = (
        "[...document.querySelectorAll('line')].map(l => l.getAttribute('stroke-opacity')).join()"
    )
    before = view.evaluate(strengths)
    assert view.locator("#layer option").count() == 2
    view.select_option("#layer", "0")
    after = view.evaluate(strengths)
    assert after != before
    squares = view.locator("svg > g:last-child > rect")
    assert squares.count() == 4
    squares.first.click()
    assert view.evaluate(strengths) != after


def look_at_the_page(page) -> None:
    """Labels are text in the table, formulas are not set, and a blank sentence gives a line."""
    output = page.locator(".jp-OutputArea-output")
    said = "\n".join(output.all_text_contents())
    for label in LABELS:
        assert label in said, label
    assert page.locator("mjx-container").count() == 0
    assert page.locator(".jp-OutputArea-output img:not([alt*='heads'])").count() == 0
    assert "sentence: is ' ', must be text" in said and "Traceback" not in said
