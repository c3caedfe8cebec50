"""A second provider of the same distribution, over server-sent events, described by its manifest alone."""
