"""Pure decisions about where a call goes, how often, and how fast: values, a clock and a random source in."""
