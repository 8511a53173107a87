"""The operations of pickles that the machine supports, by their codes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waveflow.io.torch_files.machine import Machine


def _protocol(machine: Machine) -> None:
    if not 2 <= machine.source.number(1) <= 5:
        raise ValueError("a pickle of an unknown protocol")


def _pushes(read: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda machine: machine.push(read(machine))


def _integer(machine: Machine) -> int:
    count = machine.source.number(1)
    if count > 16:
        raise ValueError(f"an integer of {count} bytes")
    return machine.source.number(count, signed=True)


def _text(size: int) -> Callable[[Machine], str]:
    def read(machine: Machine) -> str:
        return machine.text(machine.source.number(size)).decode("utf-8", "surrogatepass")

    return read


def _bytes(size: int) -> Callable[[Machine], bytes]:
    return lambda machine: machine.text(machine.source.number(size))


def _old_text(size: int) -> Callable[[Machine], str]:
    """A string of Python 2."""
    return lambda machine: machine.text(machine.source.number(size)).decode("latin-1")


OPERATIONS: dict[int, Callable[[Machine], Any]] = {
    0x80: _protocol,
    0x95: lambda machine: machine.source.take(8),  # the length of a frame
    ord("("): lambda machine: machine.mark(),
    ord("0"): lambda machine: machine.pop(),
    ord("1"): lambda machine: machine.pop_mark(),
    ord("N"): _pushes(lambda machine: None),
    0x88: _pushes(lambda machine: True),
    0x89: _pushes(lambda machine: False),
    ord("J"): _pushes(lambda machine: machine.source.number(4, signed=True)),
    ord("K"): _pushes(lambda machine: machine.source.number(1)),
    ord("M"): _pushes(lambda machine: machine.source.number(2)),
    0x8A: _pushes(_integer),
    ord("G"): _pushes(lambda machine: struct.unpack(">d", machine.source.take(8))[0]),
    ord("X"): _pushes(_text(4)),
    0x8C: _pushes(_text(1)),
    ord("T"): _pushes(_old_text(4)),
    ord("U"): _pushes(_old_text(1)),
    ord("B"): _pushes(_bytes(4)),
    ord("C"): _pushes(_bytes(1)),
    ord("]"): _pushes(lambda machine: []),
    ord("}"): _pushes(lambda machine: {}),
    ord(")"): _pushes(lambda machine: ()),
    0x8F: _pushes(lambda machine: set()),
    ord("t"): _pushes(lambda machine: tuple(machine.pop_mark())),
    0x85: _pushes(lambda machine: tuple(machine.last(1))),
    0x86: _pushes(lambda machine: tuple(machine.last(2))),
    0x87: _pushes(lambda machine: tuple(machine.last(3))),
    ord("a"): lambda machine: machine.append(machine.last(1)),
    ord("e"): lambda machine: machine.append(machine.pop_mark()),
    ord("s"): lambda machine: machine.update(machine.last(2)),
    ord("u"): lambda machine: machine.update(machine.pop_mark()),
    0x90: lambda machine: machine.add(machine.pop_mark()),
    ord("h"): lambda machine: machine.get(machine.source.number(1)),
    ord("j"): lambda machine: machine.get(machine.source.number(4)),
    ord("q"): lambda machine: machine.put(machine.source.number(1)),
    ord("r"): lambda machine: machine.put(machine.source.number(4)),
    0x94: lambda machine: machine.memoize(),
    ord("c"): lambda machine: machine.name(machine.source.line(), machine.source.line()),
    0x93: lambda machine: machine.name(*machine.last(2)),
    ord("R"): lambda machine: machine.call(),
    0x81: lambda machine: machine.new(),
    ord("b"): lambda machine: machine.build(),
    ord("Q"): lambda machine: machine.persistent(),
}
"""The action of each code; other codes are refused."""
