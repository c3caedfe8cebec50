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
myst_heading_anchors = 4

default_role = "code"  # docstrings write names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are often properties too, which have their own entry
# A type in a signature links to its place where it has one here; type variables, aliases and other packages have none.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = "modelhub"
html_extra_path = ["schemas"]  # the JSON Schemas, for editors
exclude_patterns = ["_build"]
