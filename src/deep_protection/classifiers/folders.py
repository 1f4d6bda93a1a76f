"""How folders of labelled images are named."""

from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.imagenet import wordnet_ids


def class_folders(classifier: Classifier) -> dict[str, int]:
    """Everything that a class's folder may be called, in small letters: name, index, WordNet id; to its index."""
    labels = classifier.labels or []
    names = {label.lower(): number for number, label in enumerate(labels)}
    names |= {str(number): number for number in range(max(len(labels), 1000))}
    if len(labels) in (0, 1000):
        names |= {wordnet_id: number for number, wordnet_id in enumerate(wordnet_ids())}
    return names
