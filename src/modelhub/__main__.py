"""``python -m modelhub``: the command line, where the ``modelhub`` script is not on the path."""

import sys

from modelhub.cli import main

sys.exit(main())
