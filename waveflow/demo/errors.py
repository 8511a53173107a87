"""Errors, shown to the visitor in one line."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any

LOG = logging.getLogger("waveflow.demo")


def report_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that the page shows its errors in one line.

    Errors that the visitor can fix are shown without the paths of the server. Other errors are
    logged and shown as a generic message.
    """
    import gradio as gr

    @wraps(function)
    def wrapped(*values: Any) -> Any:
        try:
            return function(*values)
        except (ValueError, OSError, ImportError) as error:
            text = readable(error)
        except Exception:
            LOG.exception("a request failed")
            text = "Something went wrong on the server; the error has been logged."
        raise gr.Error(escape(text), title="That did not work", print_exception=False)

    return wrapped


def readable(error: Exception) -> str:
    """The text of an error in one line, without the paths of this machine."""
    from gradio.utils import get_upload_folder

    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{os.path.basename(str(error.filename or 'file'))}: {error.strerror}"
    text = re.sub(rf"{re.escape(get_upload_folder())}/(?:[^/:\n]+/)*", "", text)
    return " ".join(text.split())
