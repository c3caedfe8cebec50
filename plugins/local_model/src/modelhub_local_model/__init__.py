"""A language model inside the process as a modelhub provider, with no server and no key."""
