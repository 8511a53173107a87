"""How ``make docs`` builds these pages: Markdown by MyST, the reference by autodoc, offline."""

from waveflow.version import __version__

project = "waveflow"
copyright = "waveflow's contributors"  # noqa: A001
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"waveflow {__version__}"
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True

nitpicky = True
_OTHERS = "argparse|collections|datetime|lightning|nn|np|numpy|onnx|os|pathlib|torch|types|typing"
nitpick_ignore_regex = [  # a build without a network cannot see the pages of other packages
    ("py:.*", rf"({_OTHERS})\..*"),
    ("py:class", "Path"),
    ("py:class", r"(dict|tuple)\[str"),  # of a signature with a default that has no spelling
    ("py:class", "Noise"),  # an alias of Literal["input", "graph"]
    ("py:class", r"waveflow\.bijections\.base\.Axis"),  # of the shape that a layer states
    ("py:class", r"waveflow\.streaming\..*"),  # what stages are made of
    ("py:class", r"waveflow\.audio\.fields\.Section"),  # the base of configs, which has no page
]
