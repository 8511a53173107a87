"""The command ``waveflow``: what the library does, from a shell.

Every command is a module of this package and a line in the table of ``waveflow/cli/commands.py``.
``waveflow COMMAND --help`` prints the module's docstring and ``waveflow --help`` its ``SUMMARY``;
``add_arguments(parser)`` adds the arguments of the command, and ``run(arguments)`` runs it and
returns the exit code. A ValueError, OSError or ImportError of ``run`` is reported in one line.
``run`` imports the heavy modules, so ``--help`` is quick and only ``train`` needs Lightning.
"""

from __future__ import annotations

from collections.abc import Sequence

from waveflow.io.signals import INTERRUPTED, end_when_interrupted

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0: success; 1: an error, reported in a line on stderr (with a traceback if WAVEFLOW_DEBUG is
    set); 2: wrong arguments; 130: interrupted; 141: the reader of stdout has closed it.

    Args:
        argv: arguments of the command; None takes those of this process, which then handles
            signals as a command does and is about to end.
    """
    if argv is None:
        end_when_interrupted()
    try:
        from waveflow.cli.commands import run

        return run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if argv is None:
            end_when_interrupted()
