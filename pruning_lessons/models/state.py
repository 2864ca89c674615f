"""The state of a model while it is looked at: set for each module, and restored exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

from .memory import advised, give_back


@contextmanager
def at_rest(*models, gradients: bool = False) -> Iterator[None]:
    """Inside the `with` every module is in eval mode and no weight asks for a gradient (unless
    `gradients`); afterwards each module and each parameter is as it was, frozen parts frozen.

    Where memory is used up, `MemoryError` says what to lower. At the end the system gets back what
    is free (`give_back`).
    """
    modules = [(module, module.training) for model in models for module in model.modules()]
    parameters = [(p, p.requires_grad) for model in models for p in model.parameters()]
    with advised():
        try:
            for model in models:
                model.eval()
            for parameter, _ in [] if gradients else parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for module, training in modules:
                module.training = training
            for parameter, wanted in parameters:
                parameter.requires_grad_(wanted)
            give_back()
