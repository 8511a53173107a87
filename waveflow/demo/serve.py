"""Serve the page on a port until it is interrupted."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence

from waveflow.demo.backend import Backend
from waveflow.io.signals import sigterm_interrupts

SESSIONS = 64
"""Sessions whose last results gradio keeps, about a megabyte each. Older ones are dropped; the page
does not request them again."""


def serve(
    models: Sequence[str] = (),
    *,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
    workers: int | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C or SIGTERM, then delete uploads and results.

    Makes no network requests unless ``share`` is set.

    Args:
        models: folders or names of models in addition to the bundled ones.
        host: address to listen on; None is ``GRADIO_SERVER_NAME``, or this machine alone.
        port: port to listen on, 0 for any free one; None is ``GRADIO_SERVER_PORT``, or the first
            free one from 7860 on.
        share: publish the page on the internet at an address of gradio's.
        workers: requests processed at a time.
        say: called with the address as text.

    Raises:
        ImportError: gradio or matplotlib is missing; the text says how to install them.
        ValueError, OSError: a model cannot be loaded, or the port is in use.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    port = _usable(host, port)
    with tempfile.TemporaryDirectory(prefix="waveflow-demo-") as folder, sigterm_interrupts():
        os.environ["GRADIO_TEMP_DIR"] = os.path.realpath(folder)
        try:
            import matplotlib  # noqa: F401

            from waveflow.demo.page import build
            from waveflow.demo.style import HEAD, theme
        except ModuleNotFoundError as error:
            raise ImportError(f"the demo needs pip install 'waveflow[demo]' ({error})") from error

        backend = Backend(models, workers=workers)
        page = build(backend)
        try:
            _, address, shared = page.launch(
                server_name=host,
                server_port=port,
                share=share,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=backend.limits.megabytes * 2**20,
                ssr_mode=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                mcp_server=False,
                pwa=False,
                state_session_capacity=SESSIONS,
                theme=theme(),
                head_paths=HEAD,
            )
            say(f"serving on {address}" + (f" and {shared}" if shared else ""))
            threading.Event().wait()
        except KeyboardInterrupt:
            say("stopped")
        finally:
            page.close(verbose=False)
            backend.close()


def _usable(host: str | None, port: int | None) -> int | None:
    """The port, or a free one for 0; None leaves the choice to gradio.

    Raises:
        OSError: the port is in use, or not allowed for this user; checked before anything loads.
    """
    if port is None:
        return None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "127.0.0.1", port))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"port {port} of {host}: expected a free port; got: {reason}") from None
        return int(probe.getsockname()[1])
