"""Serve a page in the browser: vocode, interpolate latents, see likelihoods.

Everything runs on this machine, without network requests. Only --share opens the page to the
internet, at an address of gradio's. Ctrl-C stops the server and deletes the uploads.
Needs: pip install 'waveflow[demo]'.

Examples:
  waveflow demo
  waveflow demo --model runs/source_filter/model --port 8080
  waveflow demo --host 0.0.0.0        # for the whole local network
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from waveflow.cli.arguments import number
from waveflow.cli.messages import say

SUMMARY = "serve a page in the browser to vocode on"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--model",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="folders of models, such as RUN/model, to offer before the bundled ones; the first "
        "is selected at the start",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is all addresses of this machine "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=number(int, high=2**16),
        default=7860,
        metavar="P",
        help="port to listen on; 0 picks a free port (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=number(int, low=1),
        metavar="N",
        help="requests processed at a time (default: one per core, 8 at most)",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="publish the page on the internet at an address of gradio's; needs the network",
    )


def run(arguments: Namespace) -> int:
    """Serve until interrupted; the result is the exit code."""
    from waveflow.demo.serve import serve

    serve(
        arguments.model,
        host=arguments.host,
        port=arguments.port,
        share=arguments.share,
        workers=arguments.workers,
        say=say,
    )
    return 0
