"""More wrong answers of lesson 05, of which no hint knows, with what they are told."""

import torch
from right import RIGHT


def without_ridge(inputs, targets, W, lam):
    G, C = sum(x.T @ x for x in inputs), sum(x.T @ t for x, t in zip(inputs, targets))
    return torch.linalg.solve(G + lam * torch.eye(len(G)), C + lam * W).T


MORE = [
    ("05.refit", without_ridge, "too|shape|size"),
    ("05.refit", lambda i, t, W, lam: W, "too|fails on"),
    ("05.refit", lambda i, t, W, lam: (RIGHT["05.refit"](i, t, W, lam), 0), "number 0 is right"),
    ("05.prices", lambda A, W: RIGHT["05.prices"](A, W)[:, None], "size 1 is too many"),
    ("05.prices", lambda A, W: RIGHT["05.prices"](A, W) * 2, "twice"),
    ("05.prices", lambda A, W: RIGHT["05.prices"](A, W).argsort(), "too|differ|order"),
    ("05.prices", lambda A, W: W.square().sum(1), "shape|size"),
]
