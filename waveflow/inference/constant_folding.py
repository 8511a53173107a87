"""Copies of modules in which every constant is computed beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.utils import parametrize


def fold_constants(module: nn.Module, form: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """A copy without weight norm, with forms of modules in their place.

    Args:
        module: any.
        form: what takes the place of a module, such as :func:`constant` or :func:`fused`; it may
            use the module up.
    """
    return _replaced(copy.deepcopy(module), form)


def constant(module: nn.Module) -> nn.Module:
    """What takes the place of a module where it is traced: what its method ``constant`` makes."""
    return _made("constant", module)


def fused(module: nn.Module) -> nn.Module:
    """Likewise on a GPU, in few operators: what its method ``fused`` makes."""
    return _made("fused", module)


def _made(name: str, module: nn.Module) -> nn.Module:
    make: Any = getattr(module, name, None)
    return module if make is None else make()


def _replaced(module: nn.Module, form: Callable[[nn.Module], nn.Module]) -> nn.Module:
    if parametrize.is_parametrized(module, "weight"):
        module = parametrize.remove_parametrizations(module, "weight")
    module = form(module)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, form))
    return module
