"""The command line: `main`, which ``modelhub`` and ``python -m modelhub`` call. Everything else is loaded when wanted.

The command line is an extra: parsing and drawing need typer, which the core does without.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line on the arguments of this process.

    Returns:
        The exit code: 0 done; 1 it failed; 2 the arguments cannot be used; 130 stopped with Ctrl-C; 141 nobody reads
        the output any more.
    """
    try:
        import typer  # noqa: F401, PLC0415  it is an extra: its absence is an answer, not a traceback
    except ModuleNotFoundError:
        from modelhub.cli.texts import _  # noqa: PLC0415  wanted only here

        install = "pip install 'modelhub-core[cli]'"
        print(_("error: the command line needs more packages: {install}").format(install=install), file=sys.stderr)
        return 1
    from modelhub.cli.app import run  # noqa: PLC0415  it imports typer

    return run(sys.argv[1:])
