"""A plugin that is an instance of a class of its own."""
