"""The command ``waveflow``: what the library does, from a shell.

Every command is a module of this package and a line in the table of ``waveflow/cli/commands.py``.
Its docstring is what ``waveflow COMMAND --help`` tells, its ``SUMMARY`` what ``waveflow --help``
tells of it, its ``describe`` adds its arguments and its ``work`` does its work. What is heavy is
imported by the latter, so that ``--help`` is quick and only ``train`` needs Lightning.
"""

from __future__ import annotations

from collections.abc import Sequence

from waveflow.io.signals import INTERRUPTED, end_when_interrupted

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0: done; 1: an error, told in a line on stderr (with a traceback if WAVEFLOW_DEBUG is set);
    2: wrong arguments; 130: interrupted; 141: nobody reads the output any more.

    Args:
        argv: the arguments; by default those of this process, which then answers to signals as a
            command does, and is about to end.
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
