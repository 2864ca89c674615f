"""The files of sentence-transformers: how vectors of words become one of the text.

modules.json names the steps; 1_Pooling/config.json the pooling; config_sentence_transformers.json
the prompts; sentence_bert_config.json the longest text.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

MODULES, PROMPTS, LENGTH = (
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
)
POOLING = "1_Pooling"
# sentence-transformers before version 6 had a switch for each way to pool
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Pooling:
    """How an embedder pools: the mean of all tokens or the first one ("cls"), divided by its length
    or not; what is put before a text, by name; the most tokens a text may have.
    """

    pooling: str = "mean"
    normalize: bool = True
    prompts: dict = field(default_factory=dict)
    default_prompt_name: str | None = None
    max_length: int | None = None
    lower_case: bool = False

    def put_into(self, config) -> None:
        """Write it into a transformers configuration, where everything that embeds reads it."""
        config.pooling, config.normalize = self.pooling, self.normalize
        config.prompts = dict(self.prompts)
        if self.default_prompt_name is not None:
            config.default_prompt_name = self.default_prompt_name


def take_from(config) -> None:
    """Remove what `Pooling.put_into` wrote."""
    for name in ("pooling", "normalize", "prompts", "default_prompt_name"):
        if hasattr(config, name):
            delattr(config, name)


def read(folder: Path) -> dict:
    """The files that are there, parsed, by name; the pooling's as "pooling", if modules.json names
    one. Raises `OSError` or `ValueError` if one cannot be read.
    """
    names = [name for name in (MODULES, PROMPTS, LENGTH) if (folder / name).is_file()]
    found = {name: json.loads((folder / name).read_text("utf-8")) for name in names}
    for name, content in found.items():
        if not isinstance(content, list if name == MODULES else dict):
            raise ValueError(f"{name} holds a {type(content).__name__}")
    for module in found.get(MODULES, []):
        if _kind(module) == "Pooling":
            file = folder / module.get("path", "") / "config.json"
            if Path(module.get("path", "")).name != module.get("path", ""):
                raise ValueError(f"{MODULES} names the folder {module.get('path')!r}")
            found["pooling"] = json.loads(file.read_text("utf-8"))
            if not isinstance(found["pooling"], dict):
                raise ValueError(f"{file.name} of the pooling holds no names and values")
    return found


def _kind(module) -> str:
    if not isinstance(module, dict) or not isinstance(module.get("type"), str):
        raise ValueError(f"{MODULES} holds {module!r}, must hold steps with a type")
    return module["type"].rsplit(".", 1)[-1]


def pooling_of(files: dict) -> Pooling | None:
    """What the parsed files say; None if they name no pooling.

    Raises `ValueError` for what an encoder with mean or cls pooling does not compute.
    """
    modules = files.get(MODULES, [])
    kinds = [_kind(module) for module in modules]
    if not any("Pooling" in kind for kind in kinds):
        return None
    for kind in kinds:
        if kind not in ("Transformer", "Pooling", "Normalize"):
            raise ValueError(
                f"{MODULES} names a step {kind!r}, must name Transformer, Pooling and Normalize "
                "alone: vectors without it would be others"
            )
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ValueError(f"{MODULES} names the steps {kinds}, in an order that is not known")
    if modules[0].get("path"):
        raise ValueError(
            f"{MODULES} has the encoder in the folder {modules[0]['path']!r}, must have it beside "
            "itself: save it again with sentence-transformers"
        )
    pooling, said, length = files["pooling"], files.get(PROMPTS, {}), files.get(LENGTH, {})
    mode = pooling.get("pooling_mode") or [
        mode for switch, mode in SWITCHES.items() if pooling.get(switch)
    ]
    modes = [mode] if not isinstance(mode, list) else mode or ["mean"]
    if modes not in (["mean"], ["cls"]):
        raise ValueError(f"the pooling is {' and '.join(map(str, modes))}, must be mean or cls")
    if pooling.get("include_prompt") is False:
        raise ValueError("the pooling leaves prompts out (include_prompt), must take them in")
    taken = _nested(length, "modality_config", "text", "method_output_name")
    if taken not in (None, "last_hidden_state"):
        raise ValueError(f"the pooling is over {taken!r}, must be over 'last_hidden_state'")
    prompts, longest = said.get("prompts") or {}, length.get("max_seq_length")
    check_prompts(prompts, f"{PROMPTS} has")
    if longest is not None and (type(longest) is not int or longest < 1):
        raise ValueError(f"{LENGTH} has max_seq_length {longest!r}, must be a whole number above 0")
    return Pooling(
        modes[0],
        kinds[-1] == "Normalize",
        prompts,
        said.get("default_prompt_name"),
        longest,
        bool(length.get("do_lower_case")),
    )


def check_prompts(prompts, whose: str) -> None:
    """`ValueError` unless these are texts by their names."""
    if not isinstance(prompts, dict) or not all(isinstance(p, str) for p in prompts.values()):
        raise ValueError(f"{whose} prompts {str(prompts)[:60]}, must have texts by their names")


def _nested(content, *names: str):
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def write(folder: Path, config, max_length: int) -> None:
    """The files with which sentence-transformers opens a folder as the embedder that it is.

    config: with `pooling`, `normalize` and `prompts`. max_length: the most tokens a text may have.
    """
    steps = [("Transformer", ""), ("Pooling", POOLING)]
    if config.normalize:
        steps.append(("Normalize", "2_Normalize"))
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, (kind, path) in enumerate(steps)
    ]
    switches = {switch: mode == config.pooling for switch, mode in SWITCHES.items()}
    prompts = {
        "prompts": dict(getattr(config, "prompts", None) or {}),
        "default_prompt_name": getattr(config, "default_prompt_name", None),
        "similarity_fn_name": "cosine",
    }
    (folder / POOLING).mkdir(exist_ok=True)
    for name, content in (
        (MODULES, modules),
        (f"{POOLING}/config.json", {"word_embedding_dimension": config.hidden_size} | switches),
        (PROMPTS, prompts),
        (LENGTH, {"max_seq_length": max_length, "do_lower_case": False}),
    ):
        text = json.dumps(content, ensure_ascii=False, indent=2)
        (folder / name).write_text(text + "\n", encoding="utf-8")
