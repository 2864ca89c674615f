"""More wrong answers of lesson 00, of which no hint knows, with what they are told."""

from right import RIGHT, divided

MORE = [
    (
        "00.cut",
        lambda name, W, heads, neurons: RIGHT["00.cut"](name, W, heads, neurons)[1:],
        "the shape is",
    ),
    (
        "00.cut",
        lambda name, W, heads, neurons: RIGHT["00.cut"](name, W, heads, neurons).flatten(),
        "flattened",
    ),
    (
        "00.cut",
        lambda name, W, heads, neurons: 2 * RIGHT["00.cut"](name, W, heads, neurons),
        "2 times",
    ),
    ("00.cut", lambda name, W, heads, neurons: heads, "True and False|the shape is"),
    ("00.cut", lambda name, W, heads, neurons: W[heads], "Where: line|size"),
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
]
