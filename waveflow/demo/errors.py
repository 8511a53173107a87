"""Errors, shown to the visitor in one line."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import ParamSpec, TypeVar

import gradio as gr

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LOG = logging.getLogger("waveflow.demo")
EXPECTED = (ValueError, OSError, ImportError)


def report_errors(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wrap a function so that the page shows its errors in one line.

    Errors that the visitor can fix are shown without the paths of the server. Other errors are
    logged and shown as a generic message.
    """

    @wraps(function)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except gr.Error:
            raise
        except EXPECTED as error:
            raise _line(readable(error)) from None
        except Exception:
            LOG.exception("%s failed", function.__name__)
            raise _line("Something went wrong on the server; the error has been logged.") from None

    return wrapped


def readable(error: Exception) -> str:
    """The text of an error in one line, without the paths of this machine."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{os.path.basename(str(error.filename or 'file'))}: {error.strerror}"
    folder = os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()
    text = re.sub(rf"{re.escape(folder)}/(?:[^/:\n]+/)*", "", text)
    return " ".join(text.split())


def _line(text: str) -> gr.Error:
    return gr.Error(escape(text), title="That did not work", print_exception=False)
