"""Needs what is not installed."""

import acme_client_that_nobody_has  # noqa: F401  importing it is the point
