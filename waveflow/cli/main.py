"""The commands, and how one is run."""

from __future__ import annotations

import sys
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, Protocol

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from waveflow.cli import (
    bench,
    convert,
    demo,
    evaluate,
    export,
    info,
    mel,
    score,
    shard,
    train,
    vocode,
)
from waveflow.cli.messages import EXPECTED, give_up_stdout, say, show_warning, tell
from waveflow.version import __version__


class Command(Protocol):
    """What a module has to be a command; its docstring is the text of its ``--help``."""

    SUMMARY: str

    def describe(self, parser: ArgumentParser) -> None:
        """Add the arguments."""

    def work(self, arguments: Namespace) -> int:
        """Do the work; the result is the exit code.

        Raises:
            ValueError, OSError, ImportError: what is the user's to mend; told in one line.
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
    "import": convert,
    "info": info,
    "demo": demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the result is the exit code.

    0: done; 1: an error, told in a line on stderr (with a traceback if WAVEFLOW_DEBUG is set);
    2: wrong arguments; 130: interrupted; 141: nobody reads the output any more.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            arguments = _parser().parse_args(argv)
            code = COMMANDS[arguments.command].work(arguments[arguments.command])
            sys.stdout.flush()
            return code
    except ArgumentError as error:
        text = str(error)
        for command in COMMANDS:
            text = text.replace(f" {command}.", " ")
        say(f"error: {text} (waveflow --help tells more)")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        give_up_stdout()
        return 141
    except EXPECTED as error:
        tell(error)
        return 1


def _parser() -> ArgumentParser:
    style: dict[str, Any] = {
        "formatter_class": RawDescriptionHelpFormatter,
        "exit_on_error": False,
        "allow_abbrev": False,
    }
    parser = ArgumentParser(
        prog="waveflow",
        description="A flow-based vocoder with an exact likelihood: mel spectrograms to speech.",
        epilog="example: waveflow vocode speech.wav -o copy.wav",
        version=__version__,
        **style,
    )
    commands = parser.add_subcommands(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = ArgumentParser(description=(command.__doc__ or "").rstrip(), **style)
        command.describe(subparser)
        commands.add_subcommand(name, subparser, help=command.SUMMARY)
    return parser
