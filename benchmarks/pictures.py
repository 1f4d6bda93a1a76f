"""The pictures that everything is measured on: the same ones, in the same order, under the same attacks."""

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deep_protection.attacks import attack, find_attack
from deep_protection.classifiers import Classifier, wordnet_ids
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import take_picture

CACHE = Path(__file__).parent / ".cache"
"""Attacked pictures, so that every method and every later run meets the very same ones. Never committed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One picture that the classifier gets right when nobody has tampered with it."""

    name: str
    clean: Tensor
    label: int


def subjects(folder: Path, classifier: Classifier) -> Iterator[Subject]:
    """The recognised pictures of a folder with one folder a class (WordNet id), in a fixed random order; or "samples".

    Shuffled, so that the first few are no worse a sample than any others.
    """
    if str(folder) == "samples":
        yield from _recognised(
            ((f"sample-{number}", picture, label) for number, (picture, label) in enumerate(imagenet_samples())),
            classifier,
        )
        return
    index = {wordnet_id: number for number, wordnet_id in enumerate(wordnet_ids())}
    files = sorted(file for file in folder.glob("n*/*") if file.parent.name in index)
    if not files:
        raise SystemExit(f"no pictures in {folder}: it has to hold one folder a class, named by WordNet id (n01440764)")
    random.Random(0).shuffle(files)  # noqa: S311  (an order, not a secret)
    opened = ((f"{file.parent.name}/{file.name}", _open(file), index[file.parent.name]) for file in files)
    yield from _recognised(opened, classifier)


def first(folder: Path, classifier: Classifier, count: int) -> list[Subject]:
    """The first ``count`` of the order, or as many as there are."""
    return list(islice(subjects(folder, classifier), count))


def sample_pixels(count: int) -> list[Tensor]:
    """Foolbox's first photographs at 224×224, for what is timed and not judged."""
    pixels = (take_picture(picture).pixels.unsqueeze(0) for picture, _ in imagenet_samples()[:count])
    return [F.interpolate(picture, size=(224, 224), mode="area")[0] for picture in pixels]


def _open(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _recognised(pictures: Iterable[tuple[str, Image.Image, int]], classifier: Classifier) -> Iterator[Subject]:
    for name, picture, label in pictures:
        clean = classifier.preprocess(picture).clamp(0, 1)
        with torch.no_grad():
            if classifier(clean.unsqueeze(0)).argmax().item() == label:
                yield Subject(name, clean, label)


def attacked(subject: Subject, name: str, classifier: Classifier) -> Tensor:
    """The picture under an attack; ``"none"`` gives it as it is. Each alone, so company changes nothing."""
    if name == "none":
        return subject.clean
    # The parameters, and not only the name: an attack of other strength, or of another step, is another one.
    path = CACHE / f"{digest(subject.clean, name, classifier.name, sorted(find_attack(name).parameters().items()))}.npy"
    if not path.exists():
        made = attack(classifier, subject.clean.unsqueeze(0), torch.tensor([subject.label]), name).adversarial[0]
        CACHE.mkdir(exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npy")  # several runs may want the same picture at once
        np.save(part, made.numpy())
        part.replace(path)
    return torch.from_numpy(np.load(path))


def digest(pixels: Tensor, *about: object) -> str:
    """A name for what is made of ``pixels`` in a way that ``about`` tells."""
    told = " ".join(map(str, about)).encode()
    return blake2b(pixels.detach().cpu().contiguous().numpy().tobytes() + told, digest_size=8).hexdigest()
