"""Constant folding: copies of modules in which every constant is computed beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.utils import parametrize


def fold_constants(module: nn.Module, form: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """A copy without weight norm, in which each module is replaced by a form of it.

    Args:
        module: Any module.
        form: The function that returns the form of a module, such as :func:`constant` or
            :func:`fused`; it may use the module up.
    """
    return _replaced(copy.deepcopy(module), form)


def constant(module: nn.Module) -> nn.Module:
    """The form of a module for tracing: the result of its method ``constant``, if it has one."""
    return _form("constant", module)


def fused(module: nn.Module) -> nn.Module:
    """The form of a module for a GPU: the result of its method ``fused``, if it has one."""
    return _form("fused", module)


def _form(name: str, module: nn.Module) -> nn.Module:
    make: Any = getattr(module, name, None)
    return module if make is None else make()


def _replaced(module: nn.Module, form: Callable[[nn.Module], nn.Module]) -> nn.Module:
    if parametrize.is_parametrized(module, "weight"):
        module = parametrize.remove_parametrizations(module, "weight")
    module = form(module)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, form))
    return module
