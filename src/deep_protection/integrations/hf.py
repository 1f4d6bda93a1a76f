"""The protection inside an image-classification pipeline of transformers (Wolf et al. 2020, arXiv:1910.03771)."""

import copy
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn

from deep_protection import protection
from deep_protection.classifiers import Classifier, is_multi_label
from deep_protection.classifiers.hub import LogitsOnly, ProcessorPixels, label_names, normalisation
from deep_protection.errors import ClassifierError
from deep_protection.optional import import_optional

if TYPE_CHECKING:
    from transformers import BatchFeature, ImageClassificationPipeline, PreTrainedModel
    from transformers.image_processing_utils import BaseImageProcessor
    from transformers.modeling_outputs import ImageClassifierOutput

transformers = import_optional("transformers", needed_for="dp.hf.protect", extra="hub")


def protect(
    pipeline: "ImageClassificationPipeline", **options: Unpack[protection.ProtectKeywords]
) -> "ImageClassificationPipeline":
    """The same pipeline with the protection between its image processor's resizing and its normalisation.

    >>> import deep_protection as dp
    >>> from transformers import pipeline                                           # doctest: +SKIP
    >>> classify = dp.hf.protect(pipeline("image-classification", "google/vit-base-patch16-224"))   # doctest: +SKIP

    Args:
        pipeline: an ``image-classification`` pipeline of RGB images; it is left as it is and shares its network with
            the one that is returned, which takes and gives the same: images, paths and URLs, one, a list or a
            generator, ``batch_size``, ``top_k``. Images of a batch are fitted side by side.
        options: those of :func:`deep_protection.protect`: ``answer``, ``quick``, ``preset``, ``seed``, ``device``,
            ``when``, ``calibration`` and so on. No calibration comes with the package for models of the hub, so unless
            one is given a fixed threshold says what is suspicious. ``pipeline.model.protected`` is the protected
            classifier, for its ``explain``.

    Raises:
        ClassifierError: this is no such pipeline, or its image processor does more than scale and shift colours after
            resizing.

    What it protects against is what :func:`deep_protection.protect` protects against: not an attacker who knows of it.
    """
    if getattr(pipeline, "task", None) != "image-classification":
        task = getattr(pipeline, "task", None) or type(pipeline).__name__
        raise ClassifierError(
            f"only pipelines for image-classification can be protected, got {task}; "
            "make one with transformers.pipeline('image-classification', model=…)"
        )
    if isinstance(pipeline.model, _ProtectedModel):
        raise ClassifierError("this pipeline is protected already")
    network, name = pipeline.model, pipeline.model.config.name_or_path or type(pipeline.model).__name__
    pixels = ProcessorPixels(pipeline.image_processor)
    mean, std, flipped = normalisation(pipeline.image_processor, pixels, name)
    classifier = Classifier(
        _Logits(network, flipped=flipped),
        name=name,
        preprocess=pixels,
        labels=label_names(network.config, name),
        mean=mean,
        std=std,
        multi_label=is_multi_label(network),
    )
    protected = copy.copy(pipeline)
    protected.image_processor = _PixelsOnly(pipeline.image_processor, pixels.options)
    protected.model = _ProtectedModel(network, protection.protect(classifier, **options))
    return protected


class _PixelsOnly:
    """An image processor that leaves out its normalisation; everything else about it is its own."""

    def __init__(self, processor: "BaseImageProcessor", settings: dict[str, Any]) -> None:
        self._processor, self._settings = processor, settings

    def __call__(self, images: Any, **options: Any) -> "BatchFeature":
        made = self._processor(images=images, **{**options, **self._settings})
        made["pixel_values"] = made["pixel_values"].to(torch.float32).clamp(0, 1)  # resizing overshoots a little
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_processor", "_settings"):  # copying asks before there is one
            raise AttributeError(name)
        return getattr(self._processor, name)


class _Logits(LogitsOnly):
    """In the network's own type, whatever the pixels' type is."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels.to(self.model.dtype)).float()  # type: ignore[arg-type]


class _ProtectedModel(nn.Module):
    """What a pipeline wants of its model: outputs by name, a configuration, a device."""

    dtype = torch.float32
    """Of the pixels that it takes: those of a half-precision network must not be rounded before the restoration."""

    def __init__(self, network: "PreTrainedModel", protected: protection.ProtectedClassifier) -> None:
        super().__init__()
        self.network, self.protected = network, protected

    def forward(self, pixel_values: Tensor) -> "ImageClassifierOutput":
        return transformers.modeling_outputs.ImageClassifierOutput(logits=self.protected(pixel_values))

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)
