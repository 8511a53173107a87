"""The demo: a page to vocode on, to walk through latents, and to see likelihoods.

What is computed (:class:`Studio`, ``vocoding``, ``walks``, ``damage``, ``pictures``) knows nothing
of the page; the page (``page``, one module a tab) computes nothing. ``serve`` puts it on a port.
"""

from waveflow.demo.limits import Limits
from waveflow.demo.studio import Studio

__all__ = ["Limits", "Studio"]
