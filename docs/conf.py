"""How the documentation is built: Markdown through MyST, the reference from docstrings."""

from importlib.metadata import version as installed_version

project = "modelhub"
author = "the modelhub authors"
version = release = installed_version("modelhub-core")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "modelhub"
exclude_patterns = ["_build"]
