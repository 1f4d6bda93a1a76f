"""The 1,000 ImageNet classes: standard index, WordNet id and name.

Index order and WordNet ids are those of ILSVRC 2012; the short names are torchvision's (BSD-3-Clause). See NOTICE.
"""

import csv
from functools import cache
from importlib.resources import files


@cache
def _rows() -> tuple[dict[str, str], ...]:
    source = files("deep_protection.classifiers") / "data" / "imagenet_classes.csv"
    return tuple(csv.DictReader(source.read_text(encoding="utf-8").splitlines()))


def class_names() -> list[str]:
    """Names in index order."""
    return [row["name"] for row in _rows()]


def wordnet_ids() -> list[str]:
    """WordNet ids such as ``n01440764`` in index order."""
    return [row["wnid"] for row in _rows()]
