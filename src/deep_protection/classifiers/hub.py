"""Image classifiers in the format of the Hugging Face hub: by id, or from a local directory.

Such a model comes with an image processor that resizes, crops, scales and normalises in one go. It is split: what
makes pixels in ``[0, 1]`` becomes the classifier's ``preprocess``, the affine rest its ``mean`` and ``std``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from deep_protection.classifiers.classifier import Classifier, is_multi_label
from deep_protection.errors import ClassifierError
from deep_protection.images import to_rgb8
from deep_protection.optional import import_optional


def load_hub(model: str | os.PathLike[str]) -> Classifier:
    """A classifier by hub id (downloaded once, then from the cache) or from a directory of the same format."""
    transformers = _transformers()
    name = os.fspath(model)
    # Construction draws random weights before the stored ones replace them; the caller's state must not notice.
    with _quiet(transformers), torch.random.fork_rng(devices=[]):
        try:
            processor, network, loading = _load(transformers, name)
        except ClassifierError:
            raise
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            where = f"directory {name}" if Path(name).is_dir() else f"hub model {name}"
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ClassifierError(
                f"{where} cannot be loaded as an image classifier ({reason}); it needs config.json, "
                "preprocessor_config.json and weights of an image-classification model"
            ) from error
    lacking = [*loading["missing_keys"], *loading["mismatched_keys"]]
    if lacking:
        raise ClassifierError(
            f"{name} holds no trained weights for {len(lacking)} parts of an image classifier (such as {lacking[0]}); "
            "it is a backbone, choose a model that was trained to classify"
        )
    preprocess = ProcessorPixels(processor)
    mean, std, flipped = normalisation(processor, preprocess, name)
    return Classifier(
        LogitsOnly(network.float(), flipped=flipped),
        name=name,
        preprocess=preprocess,
        labels=label_names(network.config, name),
        mean=mean,
        std=std,
        multi_label=is_multi_label(network),
    )


def label_names(config: Any, name: str) -> list[str]:
    """Of every output, by the model's configuration; its number where that leaves it out.

    Raises :class:`ClassifierError` for a model that gives numbers and not classes.
    """
    if config.problem_type == "regression":
        raise ClassifierError(f"{name} is a regression, not a classifier; give a model whose outputs are classes")
    return [str(config.id2label.get(index, index)) for index in range(config.num_labels)]


SWITCHES = ("do_flip_channel_order", "include_top", "rescale_offset")
"""Of image processors, besides ``do_normalize``, that change colours: off while pixels are made. What they do is found
again in what the processor does as a whole."""

_Loaded = tuple[Any, Any, dict[str, Any]]
"""Image processor, network, and what was missing of its weights."""


def _load(transformers: Any, name: str) -> _Loaded:
    """From the directory or the cache where that is complete, else from the hub."""
    is_local = Path(name).is_dir()
    if is_local or is_cached(name):
        try:
            return _from_pretrained(transformers, name, local_only=True)
        except OSError:
            if is_local:
                raise
            # A download that was interrupted leaves a part of the model in the cache.
    _check_reachable(name)
    return _from_pretrained(transformers, name, local_only=False)


def _from_pretrained(transformers: Any, name: str, *, local_only: bool) -> _Loaded:
    processor = transformers.AutoImageProcessor.from_pretrained(name, local_files_only=local_only)
    network, loading = transformers.AutoModelForImageClassification.from_pretrained(
        name, local_files_only=local_only, output_loading_info=True
    )
    return processor, network, loading


class LogitsOnly(nn.Module):
    """A transformers model whose output is the logits themselves."""

    def __init__(self, model: nn.Module, *, flipped: bool = False) -> None:
        super().__init__()
        self.model, self.flipped = model, flipped
        """Whether the model wants blue first."""

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=pixels.flip(-3) if self.flipped else pixels).logits
        return logits


class ProcessorPixels:
    """The part of an image processor that makes pixels in ``[0, 1]``: its own resizing and cropping."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.options = {
            **{name: False for name in SWITCHES if hasattr(processor, name)},
            "do_normalize": False,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
        }

    def __call__(self, image: Image.Image) -> Tensor:
        """``3×H×W`` float32 RGB in ``[0, 1]``."""
        made = self.processor(images=to_rgb8(image), return_tensors="pt", **self.options)
        pixels: Tensor = made["pixel_values"][0]
        return pixels.to(torch.float32).clamp(0, 1)


def normalisation(processor: Any, preprocess: ProcessorPixels, name: str) -> tuple[list[float], list[float], bool]:
    """Mean and std that the processor applies to RGB pixels in ``[0, 1]``, and whether it then puts blue first: found
    by trying it on a probe.

    Processors differ in attributes (offsets, factors, switches); what they do to an image is what counts. A processor
    whose effect is not one straight line a channel cannot be split and is refused.
    """
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    probe = Image.fromarray(noise).resize((256, 256), Image.Resampling.NEAREST)
    pixels = preprocess(probe).double()
    wanted = processor(images=probe, return_tensors="pt")["pixel_values"][0].double()
    if wanted.shape != pixels.shape or pixels.shape[0] != 3:
        raise ClassifierError(f"{name} takes {tuple(wanted.shape)} values an image; only RGB classifiers can be used")
    if _red_in(preprocess) != 0:
        raise ClassifierError(f"{name}'s image processor mixes the colours up; it cannot be split")
    for flipped in (False, True):
        lines = [_line(*each) for each in zip(pixels, wanted.flip(0) if flipped else wanted, strict=True)]
        if all(lines):
            return [mean for mean, _ in filter(None, lines)], [std for _, std in filter(None, lines)], flipped
    raise ClassifierError(f"{name}'s image processor does more than scale and shift; it cannot be split")


def _line(given: Tensor, seen: Tensor) -> tuple[float, float] | None:
    """Mean and std of the normalisation from ``given`` to ``seen`` (``H×W``), if it is one."""
    columns = torch.stack([given.flatten(), torch.ones_like(given).flatten()], dim=1)
    slope, offset = torch.linalg.lstsq(columns, seen.flatten()).solution.tolist()
    if slope <= 0 or (given * slope + offset - seen).abs().max() > 1e-3:
        return None
    return -offset / slope, 1 / slope


def _red_in(preprocess: ProcessorPixels) -> int:
    """Which channel of the pixels a red image is brightest in."""
    return int(preprocess(Image.new("RGB", (64, 64), (255, 0, 0))).mean(dim=(1, 2)).argmax())


def _transformers() -> Any:
    return import_optional("transformers", needed_for="a model of the Hugging Face hub", extra="hub")


def is_cached(name: str) -> bool:
    """Whether a hub model was downloaded before, at least in part."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError as error:
        raise ClassifierError(f"{name!r} is no hub model id; write it as owner/model") from error


def _check_reachable(name: str) -> None:
    """Fail at once when offline: loading would try again and again for minutes."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        HfApi().model_info(name, timeout=20)
    except GatedRepoError as error:
        raise ClassifierError(f"hub model {name} asks for its terms to be accepted first, on its page") from error
    except RepositoryNotFoundError as error:
        raise ClassifierError(f"the hub has no model {name!r}, or it is private; check the id or log in") from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise _offline(name, error) from error
    except Exception as error:
        # The hub library's transport has changed hands more than once, and its errors with it.
        if "Connect" in type(error).__name__ or "Timeout" in type(error).__name__ or "Network" in type(error).__name__:
            raise _offline(name, error) from error
        raise


def _offline(name: str, error: Exception) -> ClassifierError:
    return ClassifierError(
        f"hub model {name} is not in the local cache and the hub cannot be reached ({error}); connect once, give a "
        "local directory that holds the model, or use lite0, which needs no connection"
    )


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bars or advice on the caller's terminal while a model loads."""
    log = transformers.utils.logging
    level, had_bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if had_bars:
            log.enable_progress_bar()
