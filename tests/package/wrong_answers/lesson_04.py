"""More wrong answers of lesson 04, of which no hint knows, with what they are told."""

from right import RIGHT

MORE = [
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b).sqrt(), "the square root of"),
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b)[:, None], "size 1 is too many"),
    ("04.magnitude", lambda a, b: RIGHT["04.magnitude"](a, b).sort().values, "order|too|shifted"),
    ("04.keep_best", lambda s, k: RIGHT["04.keep_best"](s, k + 1), "and 1 more"),
    ("04.keep_best", lambda s, k: RIGHT["04.keep_best"](s, k).float(), "True and False"),
    ("04.keep_best", lambda s, k: s > s.mean(), "it keeps"),
    ("04.glu_scores", lambda *a: RIGHT["04.glu_scores"](*a).sqrt(), "the square root of"),
    ("04.glu_scores", lambda x, g, u, d: d @ (u.T @ x.T), "shape|rows|columns"),
    ("04.glu_scores", lambda *a: RIGHT["04.glu_scores"](*a)[:, None], "size 1 is too many"),
    ("04.glu_scores", lambda *a: RIGHT["04.glu_scores"](*a) / 2, "half"),
]
