"""Classifiers behind HTTP. Needs the extra ``remote``, so this room is imported only when one is asked for.

A new kind is one file here and one row of ``SOURCES``.
"""

from collections.abc import Callable

from deep_protection.classifiers.black_box import BlackBox
from deep_protection.classifiers.remote.clarifai import clarifai
from deep_protection.classifiers.remote.service import Service as Service
from deep_protection.classifiers.remote.service import read_service
from deep_protection.classifiers.remote.transport import classifier_of as classifier_of

SOURCES: dict[str, Callable[[str], BlackBox]] = {
    "clarifai": lambda model: classifier_of(clarifai(model)),
    "http": lambda path: classifier_of(read_service(path)),
}
"""What stands before the colon of a name, to what loads what stands behind it."""
