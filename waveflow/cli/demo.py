"""A page in the browser: vocode, walk through latents, see likelihoods.

Everything runs on this machine and nothing is asked of another one; only --share opens a way in
from outside, by an address of gradio's. Ctrl-C stops the page and deletes what was uploaded.
Needs: pip install 'waveflow[demo]'.

Examples:
  waveflow demo
  waveflow demo --model runs/source_filter/model --port 8080
  waveflow demo --host 0.0.0.0        # for the whole local network
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import number
from waveflow.cli.messages import say

SUMMARY = "a page to vocode on, in the browser"


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--model",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="folders of models, such as RUN/model, to offer besides the bundled ones; the first "
        "is chosen at the start",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is all of this machine's (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=number(int, high=2**16),
        default=7860,
        metavar="P",
        help="port to listen on; 0 is any that is free (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=number(int, low=1),
        metavar="N",
        help="requests that are worked on at a time (default: one a core, 8 at most)",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="let the world in by an address of gradio's; needs the network",
    )


def work(arguments: Namespace) -> int:
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
