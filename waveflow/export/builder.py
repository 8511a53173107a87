"""A small builder of ONNX graphs: operators by name, each constant stored once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import onnx

OPSET = 17
"""The version of the operators; ONNX Runtime reads it since 1.12 (2022)."""

IR_VERSION = 8
"""The version of the file format of that opset."""

Dims = Sequence[str | int]


class OnnxBuilder:
    """Nodes in the order of the calls; a value is the name of an output of a node.

    Shapes stay dynamic by ONNX's rules for a reshape: 0 is the size of the input, -1 the rest.

    >>> builder = OnnxBuilder()
    >>> builder.input("x", ["batch", 3])
    'x'
    >>> y = builder.op("Mul", "x", builder.constant(2.0))
    >>> model = builder.model(outputs={y: ("y", ["batch", 3])}, metadata={"made": "here"})
    >>> [node.op_type for node in model.graph.node]
    ['Mul', 'Identity']
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._numbers = itertools.count()
        self._inputs: list[onnx.ValueInfoProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []

    def input(self, name: str, dims: Dims) -> str:
        """A float32 input, with the sizes of its axes, or the names of dynamic ones."""
        from onnx import TensorProto, helper

        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims)))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator with one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """An operator with several outputs."""
        from onnx import helper

        number = next(self._numbers)
        names = [f"{kind.lower()}_{number}_{index}" for index in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=f"{kind}_{number}", **attributes)
        self._nodes.append(node)
        return names

    def subgraph(self, body: Callable[..., Sequence[str]], *, inputs: int) -> onnx.GraphProto:
        """A graph for an operator that repeats it; it can also use earlier values.

        Args:
            body: The function that adds the nodes; it takes the names of the inputs and returns
                the names of the outputs, each an output of a node of this graph.
            inputs: Number of inputs; all are float32.
        """
        from onnx import TensorProto, helper

        def infos(names: Sequence[str]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]

        number = next(self._numbers)
        names = [f"input_{number}_{index}" for index in range(inputs)]
        outside, self._nodes = self._nodes, []
        outputs = body(*names)
        inside, self._nodes = self._nodes, outside
        return helper.make_graph(inside, f"graph_{number}", infos(names), infos(outputs))

    def constant(self, value: Tensor | float | Sequence[int]) -> str:
        """A tensor, a float32 number, or int64 numbers; equal constants are stored once."""
        if isinstance(value, Tensor):
            array = value.detach().cpu().contiguous().numpy()
        elif isinstance(value, float):
            array = np.array(value, dtype=np.float32)
        else:
            array = np.array(value, dtype=np.int64)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            from onnx import numpy_helper

            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, name))
        return self._constants[key]

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 is the size of the input, -1 the rest."""
        return self.op("Reshape", x, self.constant(shape))

    def swap(self, x: str) -> str:
        """(batch, a, b) -> (batch, b, a)."""
        return self.op("Transpose", x, perm=[0, 2, 1])

    def slice(
        self, x: str, axis: int, start: int = 0, end: int | None = None, step: int = 1
    ) -> str:
        """``x[start:end:step]`` along an axis."""
        far = np.iinfo(np.int64).max if step > 0 else np.iinfo(np.int64).min
        bounds = ([start], [far if end is None else end], [axis], [step])
        return self.op("Slice", x, *(self.constant(bound) for bound in bounds))

    def flip(self, x: str, axis: int) -> str:
        """Reverse the order along an axis."""
        return self.slice(x, axis, start=-1, step=-1)

    def pad(self, x: str, *, rank: int, axis: int, before: int, after: int) -> str:
        """Add zeros at both ends of an axis; a negative number removes values."""
        if before == after == 0:
            return x
        pads = [0] * (2 * rank)
        pads[axis], pads[rank + axis] = before, after
        return self.op("Pad", x, self.constant(pads))

    def concat(self, axis: int, *parts: str) -> str:
        """Parts one after another along an axis."""
        return self.op("Concat", *parts, axis=axis)

    def split(self, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Parts of the given sizes along an axis."""
        return self.ops("Split", x, self.constant(sizes), outputs=len(sizes), axis=axis)

    def size(self, x: str, axis: int) -> str:
        """The size along an axis, (1,) int64."""
        return self.op("Gather", self.op("Shape", x), self.constant([axis]))

    def model(
        self, *, outputs: Mapping[str, tuple[str, Dims]], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The checked model.

        Args:
            outputs: The name and the sizes of the output for each value.
            metadata: The metadata of the file.
        """
        from onnx import TensorProto, checker, helper

        infos = []
        for value, (name, dims) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
            infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims)))
        graph = helper.make_graph(
            self._nodes, "waveflow", self._inputs, infos, initializer=self._initializers
        )
        model = helper.make_model(
            graph,
            producer_name="waveflow",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, dict(metadata))
        checker.check_model(model, full_check=True)
        return model
