"""A state dict of any family by its canonical names, which checks every tensor that is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from waveflow.interop.families import Place, is_unused, places, table_of

_NORMED = "parametrizations.weight.original"


class Weights:
    """Tensors by their canonical names; errors have the names in the file.

    Args:
        tensors: state dict of a WaveGlow of any family.

    Attributes:
        dtype: float64 if all tensors are float64, float32 otherwise.
        counts: numbers of ``flow`` and ``layer``, each at least 1.

    Raises:
        ValueError: the first matrix or the first dilated layer is missing.
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = {name: value for name, value in tensors.items() if not is_unused(name)}
        self._left = dict.fromkeys(self._tensors)
        self._table = table_of(self._tensors)
        types = {getattr(value, "dtype", None) for value in self._tensors.values()}
        self.dtype = torch.float64 if types == {torch.float64} else torch.float32
        self.counts: dict[str, int] = {}
        self.counts["flow"] = self._count("convinv.{}.conv.weight")
        self.counts["layer"] = self._count("WN.0.in_layers.{}.bias")

    def __contains__(self, name: str) -> bool:
        return all(place.name in self._tensors for place in self._places(name))

    def __getitem__(self, name: str) -> Tensor:
        return _joined([self._rows(place) for place in self._places(name)])

    def held(self, name: str) -> str:
        """The names in the file of a canonical layer or tensor, for an error."""
        return " + ".join(place.name for place in self._places(name))

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a canonical tensor."""
        first, *others = self._places(name)
        shape = tuple(self._tensor(first.name).shape)
        if len(shape) != dimensions or 0 in shape:
            raise ValueError(f"{first.name}: expected {dimensions} dimensions; got shape {shape}")
        return (shape[0] * (1 + len(others)) // first.parts, *shape[1:])

    def layer_shape(self, name: str) -> tuple[int, ...]:
        """The shape of the weight of a canonical layer."""
        return self.shape(f"{name}.{self._spelling(self._places(name)[0].name)[-1]}", 3)

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Take a canonical tensor of this shape with finite numbers, converted to ``dtype``."""
        return _joined([self._take(*part) for part in self._parts(name, shape)])

    def layer(self, name: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Take a layer whose weight has this shape, in any spelling of weight norm.

        Returns:
            Its tensors, by their names in torch's parametrisation. Weight norm acts on each row
            separately, so joined layers are exact.
        """
        layers = [self._layer(*part) for part in self._parts(name, shape)]
        names = ("bias", f"{_NORMED}0", f"{_NORMED}1")
        return {name: _joined(values) for name, *values in zip(names, *layers, strict=True)}

    def require_all_read(self) -> None:
        """Raise ValueError if a tensor has not been taken; names it."""
        for name in self._left:
            raise ValueError(f"expected the state dict of a WaveGlow; got {str(name)[:80]} as well")

    def _count(self, template: str) -> int:
        self._tensor(self._places(template.format(0))[0].name)
        count = 1
        while template.format(count) in self and count < len(self._tensors):
            count += 1
        return count

    def _places(self, name: str) -> list[Place]:
        return places(self._table, name, self.counts)

    def _parts(self, name: str, shape: tuple[int, ...]) -> list[tuple[Place, tuple[int, ...]]]:
        """The places of a canonical layer or tensor of this shape, each with its own shape."""
        found = self._places(name)
        return [(place, (shape[0] // len(found), *shape[1:])) for place in found]

    def _layer(self, place: Place, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Bias, magnitudes and directions: the weight is ``g * v / |v|``, row by row."""
        *magnitude, direction = self._spelling(place.name)
        shapes = {"bias": shape[:1], direction: shape} | dict.fromkeys(magnitude, (shape[0], 1, 1))
        bias, v, *g = (
            self._take(place._replace(name=f"{place.name}.{tensor}"), rows)
            for tensor, rows in shapes.items()
        )
        silent = ~v.flatten(1).any(1)[:, None, None]
        if not g:
            norm = torch.linalg.vector_norm(v.double(), dim=(1, 2), keepdim=True).to(v.dtype)
            return bias, norm, torch.where(silent, 1, v)  # without a direction it would be 0 / 0
        if silent.any():
            raise ValueError(
                f"{place.name}.{direction}: expected a direction in every row; got one of zeros"
            )
        return bias, *g, v

    def _take(self, place: Place, shape: tuple[int, ...]) -> Tensor:
        value = self._rows(place, shape)
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(
                f"{place.name}: expected finite numbers; got {value.dtype}, NaN or infinity"
            )
        self._left.pop(place.name, None)
        return value.detach().to(self.dtype)

    def _rows(self, place: Place, shape: tuple[int, ...] | None = None) -> Tensor:
        """The rows of a place; ValueError if they do not have this shape."""
        value = self._tensor(place.name)
        whole = (shape[0] * place.parts, *shape[1:]) if shape else tuple(value.shape)
        if tuple(value.shape) != whole:
            raise ValueError(f"{place.name}: expected shape {whole}; got {tuple(value.shape)}")
        return value.tensor_split(place.parts)[place.part]

    def _spelling(self, name: str) -> tuple[str, ...]:
        if f"{name}.{_NORMED}1" in self._tensors:
            return f"{_NORMED}0", f"{_NORMED}1"
        return ("weight",) if f"{name}.weight" in self._tensors else ("weight_g", "weight_v")

    def _tensor(self, name: str) -> Tensor:
        value = self._tensors.get(name)
        if not isinstance(value, Tensor):
            got = "it is missing" if value is None else f"got {type(value).__name__}"
            raise ValueError(f"expected the state dict of a WaveGlow, with {name}; {got}")
        return value


def _joined(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.cat(list(values))
