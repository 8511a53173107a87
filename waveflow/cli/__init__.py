"""The command ``waveflow``: what the library does, from a shell.

Every command is a module of this package and a line in the table of ``waveflow/cli/main.py``. Its
docstring is what ``waveflow COMMAND --help`` tells, its ``SUMMARY`` what ``waveflow --help`` tells
of it, its ``describe`` adds its arguments and its ``work`` does its work. What is heavy is imported
by the latter, so that ``--help`` is quick and only ``train`` needs Lightning.
"""

from waveflow.cli.main import main

__all__ = ["main"]
