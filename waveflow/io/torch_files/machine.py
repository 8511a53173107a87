"""A pickle machine that builds plain data and runs nothing.

A pickle is a program for a machine with a stack
(https://docs.python.org/3/library/pickletools.html). This machine is the one that Python's library
has in plain Python, which ``torch.package`` extends as well. It has only the operations that
picklers write in protocols 2 to 5 for such data, and its own form of those that call, set
attributes or hash. It looks up names in :mod:`waveflow.io.torch_files.names`, and a pickle can only
call one of a dozen constructors there.

``pickle.Unpickler``, the machine in C, cannot be bounded: it hashes the keys of dicts before any
hook can check them. A pair of a pair twice, and so on, takes forever in a pickle of 300 bytes, and
the hash of deep tuples crashes the interpreter.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pickletools import opcodes
from typing import Any

from waveflow.io.torch_files.names import Name, Record, find, scalar, shown
from waveflow.io.torch_files.source import Source

_MOST_STEPS = 1_000_000
"""Largest number of operations and copied elements; WaveGlow's files have less than a tenth."""

_LARGEST_INTEGER = 128
"""Largest number of bits of an integer."""

_COPIED = (list, tuple, dict, set, str)

_OPERATIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_SET", "ADDITEMS", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
}
"""The supported operations, by their names in :mod:`pickletools`."""


class Machine(pickle._Unpickler):
    """Builds the value of one pickle.

    Args:
        source: source at the start of the pickle; after the run it is at its end.
        persistent: function from an id to its object, such as a storage.
        classes: pattern of more classes whose objects become records.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        source: Source,
        persistent: Callable[[Any], Any] | None = None,
        classes: str = "",
    ):
        super().__init__(source, encoding="latin-1")  # of strings of Python 2
        self._persistent = persistent
        self._classes = classes
        self._steps = _MOST_STEPS

    def run(self) -> Any:
        """The value of the pickle.

        Raises:
            ValueError: the pickle contains something other than data.
            Exception: the pickle is damaged.
        """
        value = self.load()
        if isinstance(value, Name):
            raise ValueError(f"the name {shown(value.name)} instead of data")
        return value

    def spend(self, steps: int) -> None:
        """Count operations, or elements that are copied.

        Raises:
            ValueError: the pickle has too many.
        """
        self._steps -= steps
        if self._steps < 0:
            raise ValueError(f"a pickle of more than {_MOST_STEPS} operations")

    def find_class(self, module: str, name: str) -> Any:
        return find(module, name, self._classes)

    def persistent_load(self, saved_id: Any) -> Any:
        if self._persistent is None:
            raise ValueError("a damaged pickle (an unexpected id)")
        return self._persistent(saved_id)

    def load_long1(self) -> None:
        """Push an integer."""
        super().load_long1()  # type: ignore[misc]
        if self.stack[-1].bit_length() > _LARGEST_INTEGER:
            raise ValueError(f"an integer of more than {_LARGEST_INTEGER} bits")

    def load_reduce(self) -> None:
        """Push the result of the constructor of a name."""
        arguments, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Name) or type(arguments) is not tuple:
            raise ValueError(f"a pickle that calls {_described(name)}")
        self.spend(sum(len(value) for value in arguments if isinstance(value, _COPIED)))
        try:
            made = name.make(*arguments)
        except TypeError:
            raise ValueError(f"a pickle that calls {name.name} with other arguments") from None
        self.append(made)

    def load_newobj(self) -> None:
        """Push a record of a class."""
        _, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, Name) or not name.inert:
            raise ValueError(f"a pickle that makes an object of {_described(name)}")
        self.append(Record(name.name))

    def load_build(self) -> None:
        """Set the attributes of a record; those of an ordered dict (model versions) are dropped."""
        state, value = self.stack.pop(), self.stack[-1]
        if type(state) is not dict or type(value) not in (Record, dict):
            raise ValueError(f"a pickle that sets attributes of {_described(value)}")
        if isinstance(value, Record):
            self.spend(len(state))
            value.state.update(state)

    def load_setitem(self) -> None:
        """Add a key and its value to a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def load_setitems(self) -> None:
        """Add alternating keys and values to a dict."""
        self._update(self.pop_mark())

    def load_additems(self) -> None:
        """Add elements to a set."""
        elements = self.pop_mark()
        self._last(set).update(map(scalar, elements))

    def _update(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("a damaged pickle (a key without a value)")
        entries = self._last(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[scalar(key)] = value

    def _last(self, kind: type) -> Any:
        """The last value, which must have the type ``kind``."""
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"a damaged pickle ({kind.__name__} expected)")
        return self.stack[-1]


def _described(value: Any) -> str:
    return shown(value.name) if isinstance(value, Name | Record) else type(value).__name__


def _operation(code: int, name: str) -> Callable[[Any], None]:
    """An operation of the machine, counted, or refused."""

    def operation(machine: Machine) -> None:
        if name not in _OPERATIONS:
            raise ValueError(
                f"a pickle with {name}, which no checkpoint needs and which could run code"
            )
        machine.spend(1)
        getattr(machine, pickle._Unpickler.dispatch[code].__name__)()

    return operation


Machine.dispatch = {
    ord(opcode.code): _operation(ord(opcode.code), opcode.name) for opcode in opcodes
}
