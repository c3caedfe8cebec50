"""`ModelHub`, the one object that applications use, and the models bound to it."""

from modelhub.hub.facade import ModelHub

__all__ = ["ModelHub"]
