"""The demo: a page to vocode on, to walk through latents, and to see likelihoods.

The computation (:class:`Studio`, ``vocoding``, ``walks``, ``inspection``, ``pictures``) does not
depend on the page; the page (``page``, one module for each tab) computes nothing. ``serve`` serves
it on a port.
"""

from waveflow.demo.limits import Limits
from waveflow.demo.studio import Studio

__all__ = ["Limits", "Studio"]
