"""lapflow: whiten the spectral envelope in one lapped domain, find its phases in another."""

from __future__ import annotations

from typing import Any

from waveflow.bijections import Bijection
from waveflow.models.source_filter import source_filter


def lapflow(**sizes: Any) -> Bijection:
    """:func:`source_filter` without a source: filter and innovation alone.

    Args:
        **sizes: every argument of :func:`source_filter` but ``long_term``.
    """
    return source_filter(long_term=None, **sizes)
