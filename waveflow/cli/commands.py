"""The table of commands, and the function that runs one."""

from __future__ import annotations

import warnings
from argparse import ArgumentError, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

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

COMMANDS: dict[str, ModuleType] = {
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
            say(f"error: {error} (see waveflow --help)")
            return 2
        except EXPECTED as error:
            report_error(error)
            return 1


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    for name, value in vars(arguments).items():
        if "" in (value if isinstance(value, list) else [value]):
            what = "a name" if name in ("model", "convention", "host", "init_from") else "a path"
            raise ArgumentError(None, f"{name}: expected {what}; got an empty string")
    if argv is None:
        import waveflow.vocoder  # noqa: F401, the slowest import, which every command needs

        raise_when_interrupted()
    return COMMANDS[arguments.command].run(arguments)


class _Parser(ArgumentParser):
    """A parser that raises its errors, and those of stdout, to which it writes its help."""

    def error(self, message: str) -> NoReturn:
        raise ArgumentError(None, message)

    def _print_message(self, message: str, file: Any = None) -> None:
        deliver(message.rstrip())


def _parser() -> ArgumentParser:
    style: dict[str, Any] = {
        "formatter_class": RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    parser = _Parser(
        prog="waveflow",
        description="A flow-based vocoder with an exact likelihood: mel spectrograms to speech.",
        epilog="example: waveflow vocode speech.wav -o copy.wav",
        **style,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    for name, command in COMMANDS.items():
        description = (command.__doc__ or "").rstrip()
        command.add_arguments(
            commands.add_parser(name, help=command.SUMMARY, description=description, **style)
        )
    return parser
