"""A pickle machine that builds plain data and runs nothing.

A pickle is a program for a machine with a stack. This machine cannot import or call: it looks up
names in :mod:`waveflow.io.torch_files.names`, and a pickle can only call one of a dozen
constructors there. It supports the operations that Python's pickler writes in protocols 2 to 5
(https://docs.python.org/3/library/pickletools.html) for such data, and refuses all others.
"""

from __future__ import annotations

from collections.abc import Callable
from pickletools import opcodes
from typing import Any

from waveflow.io.torch_files.names import Name, Record, find, scalar, shown
from waveflow.io.torch_files.operations import OPERATIONS
from waveflow.io.torch_files.source import Source

_MOST_STEPS = 1_000_000
"""Largest number of operations and copied elements; WaveGlow's files have less than a tenth."""

_LONGEST_TEXT = 2**24
"""Largest number of bytes of all strings in a pickle."""

_COPIED = (list, tuple, dict, set, str)

_OPCODES = {ord(opcode.code): opcode.name for opcode in opcodes}


class Machine:
    """Builds the value of one pickle.

    Args:
        source: source at the start of the pickle; after the run it is at its end.
        persistent: function from an id to its object, such as a storage.
        classes: pattern of more classes whose objects become records.
    """

    source: Source

    def __init__(
        self,
        source: Source,
        persistent: Callable[[Any], Any] | None = None,
        classes: str = "",
    ):
        self.source = source
        self._classes = classes
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._steps = _MOST_STEPS
        self._texts = _LONGEST_TEXT

    def run(self) -> Any:
        """The value of the pickle.

        Raises:
            ValueError: the pickle is damaged, or contains something other than data.
        """
        while True:
            self._spend(1)
            code = self.source.take(1)[0]
            operation = OPERATIONS.get(code)
            if operation is not None:
                operation(self)
            elif code == ord("."):
                return _data(self.pop())
            else:
                raise ValueError(
                    f"a pickle with {_OPCODES.get(code, 'an unknown operation')}, which no "
                    "checkpoint needs and which could run code"
                )

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("a damaged pickle (a value is missing)")
        return self._stack.pop()

    def mark(self) -> None:
        """Remember this position of the stack."""
        self._marks.append(len(self._stack))

    def pop_mark(self) -> list[Any]:
        """Take all values since the last mark."""
        if not self._marks:
            raise ValueError("a damaged pickle (a mark is missing)")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def top(self, kind: type) -> Any:
        """The last value, which must have the type ``kind``."""
        value = self.pop()
        if type(value) is not kind:
            raise ValueError(f"a damaged pickle ({kind.__name__} expected)")
        self.push(value)
        return value

    def put(self, index: int) -> None:
        """Remember the last value under a number."""
        value = self.pop()
        self._memo[index] = value
        self.push(value)

    def memoize(self) -> None:
        """Remember the last value under the next number."""
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        """Put a remembered value on the stack."""
        if index not in self._memo:
            raise ValueError("a damaged pickle (an unknown memo)")
        self.push(self._memo[index])

    def text(self, count: int) -> bytes:
        """The next ``count`` bytes, of a string."""
        self._texts -= count
        if self._texts < 0:
            raise ValueError(f"a pickle with more than {_LONGEST_TEXT} bytes of text")
        return self.source.take(count)

    def name(self, module: Any, name: Any) -> None:
        """Push the meaning of a name."""
        if type(module) is not str or type(name) is not str:
            raise ValueError("a damaged pickle (a name that is not a string)")
        meaning = find(module, name, self._classes)
        self.push(meaning if meaning.value is None else meaning.value)

    def call(self) -> None:
        """Push the result of the constructor of a name."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, Name) or name.make is None or type(arguments) is not tuple:
            raise ValueError(f"a pickle that calls {_described(name)}")
        self._spend(sum(len(value) for value in arguments if isinstance(value, _COPIED)))
        try:
            made = name.make(*arguments)
        except TypeError:
            raise ValueError(f"a pickle that calls {name.name} with other arguments") from None
        self.push(made)

    def new(self) -> None:
        """Push a record of a class."""
        _, name = self.pop(), self.pop()
        if not isinstance(name, Name) or not name.inert:
            raise ValueError(f"a pickle that makes an object of {_described(name)}")
        self.push(Record(name.name))

    def build(self) -> None:
        """Set the attributes of a record; those of an ordered dict (model versions) are dropped."""
        state, value = self.pop(), self.pop()
        if type(state) is not dict or type(value) not in (Record, dict):
            raise ValueError(f"a pickle that sets attributes of {_described(value)}")
        if isinstance(value, Record):
            self._spend(len(state))
            value.state.update(state)
        self.push(value)

    def persistent(self) -> None:
        """Push the object of an id."""
        if self._persistent is None:
            raise ValueError("a damaged pickle (an unexpected id)")
        self.push(self._persistent(self.pop()))

    def append(self, values: list[Any]) -> None:
        """Extend the list on the stack."""
        self.top(list).extend(values)

    def add(self, values: list[Any]) -> None:
        """Extend the set on the stack."""
        self.top(set).update(map(scalar, values))

    def update(self, values: list[Any]) -> None:
        """Extend the dict on the stack by alternating keys and values."""
        if len(values) % 2:
            raise ValueError("a damaged pickle (a key without a value)")
        entries = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            entries[scalar(key)] = value

    def last(self, count: int) -> list[Any]:
        """Take ``count`` values off the stack, in the order of their pushes."""
        return [self.pop() for _ in range(count)][::-1]

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise ValueError(f"a pickle of more than {_MOST_STEPS} operations")


def _data(value: Any) -> Any:
    if isinstance(value, Name):
        raise ValueError(f"the name {shown(value.name)} instead of data")
    return value


def _described(value: Any) -> str:
    return shown(value.name) if isinstance(value, Name | Record) else type(value).__name__
