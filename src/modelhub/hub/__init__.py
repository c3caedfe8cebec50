"""`ModelHub`, the one object that applications use, and the models bound to it."""

from modelhub.hub.bound import BoundModel
from modelhub.hub.facade import ModelHub

__all__ = ["BoundModel", "ModelHub"]
