"""Labelled images: a folder with one folder a class, foolbox's samples, or any folder, labelled by the classifier."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from deep_protection.classifiers import Classifier, class_folders
from deep_protection.errors import OptionError
from deep_protection.evaluation.samples import imagenet_samples
from deep_protection.images import read_image
from deep_protection.logits import as_classes

SAMPLES = "samples"
PREDICTED = "predicted"
UNKNOWN = -1
SUFFIXES = {".bmp", ".dcm", ".dicom", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image whose class is known, not opened yet."""

    name: str
    label: int
    source: Path | Image.Image

    def labelled_by(self, classifier: Classifier) -> "Labelled":
        """With the classifier's own first answer for a label."""
        return replace(self, label=answer_to(classifier, self.pixels(classifier)))

    def pixels(self, classifier: Classifier) -> Tensor:
        """``3×H×W`` in ``[0, 1]``, as the classifier sees it."""
        image = self.source if isinstance(self.source, Image.Image) else read_image(self.source)[0]
        return classifier.preprocess(image).clamp(0, 1)


def labelled_images(
    images: str, classifier: Classifier, limit: int | None = None, labels: str = "folders"
) -> list[Labelled]:
    """The images of a folder with one folder a class, in a fixed random order; or "samples".

    A class's folder is named by its WordNet id (ImageNet), its index or its name. With ``labels`` "predicted" a folder
    may hold images in any order, and an image's label is the classifier's own first answer on it. Shuffled, so that
    the first few of a ``limit`` are no worse a sample than any others.
    """
    if images == SAMPLES:
        samples = enumerate(imagenet_samples())
        found = [Labelled(f"sample-{number:02}", label, image) for number, (image, label) in samples]
    elif labels == PREDICTED:
        found = list(_anywhere_in(_folder(images)))
    else:
        found = _in_folder(_folder(images), classifier)
    random.Random(0).shuffle(found)  # noqa: S311  (an order, not a secret)
    if labels == PREDICTED:
        return [image.labelled_by(classifier) for image in found[:limit]]
    return found[:limit]


@torch.no_grad()
def answer_to(classifier: Classifier, pixels: Tensor) -> int:
    """The class that the classifier finds most probable for ``3×H×W`` pixels."""
    return int(as_classes(classifier(pixels[None])).argmax())


def recognised(images: Iterable[Labelled], classifier: Classifier, limit: int | None = None) -> list[Labelled]:
    """The first ``limit`` that the classifier gets right as they are."""
    right = (each for each in images if answer_to(classifier, each.pixels(classifier)) == each.label)
    return list(islice(right, limit))


def _folder(images: str) -> Path:
    folder = Path(images)
    if not folder.is_dir():
        raise OptionError(
            f"{folder} is no folder; give one with one folder a class, {SAMPLES!r}, or any folder of images with "
            f"labels {PREDICTED!r}"
        )
    return folder


def _anywhere_in(folder: Path) -> Iterator[Labelled]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise OptionError(f"no images in {folder}; it has to hold some, in folders or not")
    for file in files:
        yield Labelled(file.relative_to(folder).as_posix(), UNKNOWN, file)


def _in_folder(folder: Path, classifier: Classifier) -> list[Labelled]:
    classes = class_folders(classifier)
    found, unknown = [], []
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        label = classes.get(group.name.lower())
        if label is None:
            unknown.append(group.name)
            continue
        files = sorted(file for file in group.rglob("*") if file.suffix.lower() in SUFFIXES)
        found += [Labelled(file.relative_to(folder).as_posix(), label, file) for file in files]
    if unknown:
        raise OptionError(
            f"{folder} has folders that name no class of {classifier.name}: {', '.join(unknown[:3])}; name each by "
            "WordNet id (n01440764), class index (0) or class name (tench)"
        )
    if not found:
        raise OptionError(f"no images in {folder}; it has to hold one folder a class with images in it")
    return found
