"""The table of commands, and the function that runs one."""

from __future__ import annotations

import sys
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Protocol

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from waveflow.cli import (
    bench,
    demo,
    evaluate,
    export,
    import_checkpoint,
    info,
    mel,
    score,
    shard,
    train,
    vocode,
)
from waveflow.cli.messages import (
    EXPECTED,
    deliver,
    discard_stdout,
    report_error,
    say,
    show_warning,
    standard_streams,
)
from waveflow.io.signals import raise_when_interrupted
from waveflow.version import __version__


class Command(Protocol):
    """What a command module defines; its docstring is the text of its ``--help``."""

    SUMMARY: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""

    def run(self, arguments: Namespace) -> int:
        """Run the command; the result is the exit code.

        Raises:
            ValueError, OSError, ImportError: an error that the user can fix, reported in one line.
        """


COMMANDS: dict[str, Command] = {
    "vocode": vocode,
    "mel": mel,
    "score": score,
    "evaluate": evaluate,
    "bench": bench,
    "train": train,
    "shard": shard,
    "export": export,
    "import": import_checkpoint,
    "info": info,
    "demo": demo,
}


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command; see :func:`waveflow.cli.main`."""
    with standard_streams(), warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            return _run(argv)
        except BrokenPipeError:
            discard_stdout()
            return 141
        except ArgumentError as error:
            text = str(error)
            for command in COMMANDS:
                text = text.replace(f" {command}.", " ")
            say(f"error: {text} (see waveflow --help)")
            return 2
        except EXPECTED as error:
            report_error(error)
            return 1


def _run(argv: Sequence[str] | None) -> int:
    chosen = _parser().parse_args(argv)
    arguments = chosen[chosen.command]
    for name, value in vars(arguments).items():
        if "" in (value if isinstance(value, list) else [value]):
            what = "a name" if name in ("model", "convention", "host", "init_from") else "a path"
            raise ArgumentError(None, f"{name}: expected {what}; got an empty string")
    if argv is None:
        import waveflow.vocoder  # noqa: F401, the slowest import, which every command needs

        raise_when_interrupted()
    return COMMANDS[chosen.command].run(arguments)


class _Parser(ArgumentParser):
    """A parser that raises an error if its help cannot be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            deliver(message.rstrip())
        else:
            super()._print_message(message, file)


def _parser() -> ArgumentParser:
    style: dict[str, Any] = {
        "formatter_class": RawDescriptionHelpFormatter,
        "exit_on_error": False,
        "allow_abbrev": False,
    }
    parser = _Parser(
        prog="waveflow",
        description="A flow-based vocoder with an exact likelihood: mel spectrograms to speech.",
        epilog="example: waveflow vocode speech.wav -o copy.wav",
        version=__version__,
        **style,
    )
    commands = parser.add_subcommands(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = _Parser(description=(command.__doc__ or "").rstrip(), **style)
        command.add_arguments(subparser)
        commands.add_subcommand(name, subparser, help=command.SUMMARY)
    return parser
