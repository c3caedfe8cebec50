"""Never comes back from its import, as far as anybody will wait."""

import threading

threading.Event().wait(300)
