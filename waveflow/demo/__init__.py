"""The demo: a page to vocode on, to edit latents, and to see likelihoods.

The computation (:class:`Backend`, ``vocoding``, ``latent_edits``, ``inspection``, ``pictures``)
does not depend on the page; the page (``page``, one module for each tab) computes nothing.
``serve`` serves it on a port.
"""

from waveflow.demo.backend import Backend
from waveflow.demo.limits import Limits
from waveflow.moved import former_names

__all__ = ["Backend", "Limits"]

__getattr__ = former_names(__name__)
