"""Parts of the Adversarial Robustness Toolbox (Nicolae et al. 2018, arXiv:1807.01069): a preprocessor and a detector.

Over 300 lines by a few, as ART wants every part to say its parameters twice.

A protected classifier needs no part of its own: ``PyTorchClassifier(dp.protect(classifier), …, clip_values=(0, 1))``.

Both are exactly as strong as :func:`deep_protection.purify` and :func:`deep_protection.detect`, whose limits are
theirs: an attacker who knows of them gets past them.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deep_protection.classifiers import Classifier
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.detection import Calibration, Detection, calibrate, detect
from deep_protection.optional import import_optional
from deep_protection.protection import straight_through
from deep_protection.restoration import Preset, find_preset, purify
from deep_protection.seeds import checked_seed
from deep_protection.stopping import StopRule

_preprocessor = import_optional(
    "art.defences.preprocessor.preprocessor", needed_for="DeepPriorPreprocessor", extra="art"
)
_detector = import_optional(
    "art.defences.detector.evasion.evasion_detector", needed_for="DeepPriorDetector", extra="art"
)
Floats = NDArray[np.floating[Any]]


class Report(TypedDict):
    """A value an image, but for the rate."""

    score: NDArray[np.float64]
    p_value: NDArray[np.float64]
    agreement: NDArray[np.float64]
    label_before: NDArray[np.int64]
    label_after: NDArray[np.int64]
    probability_before: NDArray[np.float64]
    probability_after: NDArray[np.float64]
    evidence: dict[str, NDArray[np.float64]]
    false_positive_rate: float


class DeepPriorPreprocessor(_preprocessor.PreprocessorPyTorch):  # type: ignore[misc, name-defined]
    """
    Implement restoration by Deep Image Prior as a preprocessing defence in PyTorch. It restores and no more: the answer
    by contrast needs the classifier, and is that of a `PyTorchClassifier` around `deep_protection.protect`.

    | Paper link: https://arxiv.org/abs/1711.10925

    | Please keep in mind the limitations of defences. An attacker who knows of this one and attacks through it gets
        past it; see docs/attackers.md for how far. For more information on the limitations of such defences, see
        https://arxiv.org/abs/1802.00420 . For details on how to evaluate classifier security in general, see
        https://arxiv.org/abs/1902.06705
    """

    params: ClassVar[list[str]] = [
        "preset", "stop", "seed", "batch_size", "channels_first", "clip_values", "workers", "verbose"
    ]  # fmt: skip

    def __init__(
        self,
        preset: str | Preset = "fast",
        stop: str | StopRule | None = None,
        seed: int | None = 0,
        batch_size: int = 32,
        channels_first: bool = True,
        clip_values: tuple[float, float] = (0.0, 1.0),
        apply_fit: bool = False,
        apply_predict: bool = True,
        device_type: str = "gpu",
        workers: int | None = None,
        verbose: bool = False,
    ) -> None:
        """
        Create an instance of the restoration.

        :param preset: `fast`, `thorough`, `paper` or a `deep_protection.Preset`.
        :param stop: When to end a fit, such as `fixed:50`; `None` takes the preset's rule, which has no classifier to
               ask here and takes a fixed count.
        :param seed: With an image's content it decides all that is drawn at random; `None` draws fresh randomness at
               every call, which an attacker can only average over.
        :param batch_size: Images restored at once; does not change results. ART hands over whole data sets.
        :param channels_first: Set channels first or last.
        :param clip_values: Tuple of the form `(min, max)` representing black and white.
        :param apply_fit: True if applied during fitting/training.
        :param apply_predict: True if applied during predicting.
        :param device_type: Type of device on which the generators are fitted, either `gpu` or `cpu`.
        :param workers: Images fitted at once on the CPU; `None` is one a core.
        :param verbose: Show a progress bar.
        """
        super().__init__(is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict, device_type=device_type)
        self.preset, self.stop, self.seed = preset, stop, seed
        self.batch_size, self.channels_first, self.clip_values = batch_size, channels_first, clip_values
        self.workers, self.verbose = workers, verbose
        self._check_params()

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """
        Restore images `x`, `N×3×H×W` (or `N×H×W×3`) within `clip_values`. The gradient is that of the identity
        (BPDA); `y` is passed on.
        """
        if x.ndim != 4:
            raise ValueError(f"Unrecognized input dimension. Images are N×C×H×W or N×H×W×C, got {tuple(x.shape)}.")
        if not x.dtype.is_floating_point:
            raise ValueError(f"Images have to be floats within clip_values, got {x.dtype}; use x.astype(np.float32).")
        return straight_through(x, self._restored), y

    def estimate_forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The identity, whose gradient stands for that of the restoration (BPDA); nothing is fitted."""
        del y
        return x

    def _restored(self, x: Tensor) -> Tensor:
        black, white = self.clip_values
        pixels = (x - black) / (white - black)
        pixels = pixels if self.channels_first else pixels.permute(0, 3, 1, 2)
        parts = [
            purify(part, preset=self.preset, stop=self.stop, seed=self.seed, device=self.device, workers=self.workers)
            for part in self._shown(pixels.split(self.batch_size))
        ]
        restored = torch.cat([pixels[:0], *parts]).to(x)
        restored = restored if self.channels_first else restored.permute(0, 2, 3, 1)
        return restored * (white - black) + black

    def _shown(self, parts: Sequence[Tensor]) -> Iterator[Tensor]:
        from tqdm.auto import tqdm

        yield from tqdm(parts, desc="Deep prior", disable=not self.verbose)

    def _check_params(self) -> None:
        find_preset(self.preset).rule(self.stop).check()
        checked_seed(self.seed)
        _check_positive("Batch size", self.batch_size)
        if self.workers is not None:
            _check_positive("Number of workers", self.workers)
        for name in ("channels_first", "verbose"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"'{name}' has to be a boolean.")
        if self.clip_values is None or np.shape(self.clip_values) != (2,):
            raise ValueError("'clip_values' should be a tuple of 2 floats, black and white.")
        if not np.isfinite(self.clip_values).all() or self.clip_values[0] >= self.clip_values[1]:
            raise ValueError("Invalid 'clip_values': min >= max.")


class DeepPriorDetector(_detector.EvasionDetector):  # type: ignore[misc, name-defined]
    """
    Detect adversarial images by how much a classifier's answer changes when the image is restored in part,
    mirrored, resized and compressed.

    | Please keep in mind the limitations of detectors. An attacker who knows of this one can attack it together with
        the classifier; see docs/detection.md, https://arxiv.org/abs/1705.07263 and, on evaluating classifier security
        in general, https://arxiv.org/abs/1902.06705
    """

    defence_params: ClassVar[list[str]] = ["false_positive_rate", "quick", "seed", "workers"]

    def __init__(
        self,
        classifier: Any,
        false_positive_rate: float = 0.05,
        quick: bool = False,
        calibration: Calibration | str | os.PathLike[str] | None = None,
        seed: int | None = 0,
        workers: int | None = None,
    ) -> None:
        """
        Create an instance of the detector.

        :param classifier: An ART classifier of images with three channels and clip values, whose `predict` gives
               logits or probabilities; its own preprocessing stays. Or a classifier of this package.
        :param false_positive_rate: How many clean images may be flagged.
        :param quick: Fit nothing; a low-pass copy stands for the restoration.
        :param calibration: What `fit` would find, or its file; `None` takes the one that comes with the package for
               `lite0`, or waits for `fit`.
        :param seed: As for `deep_protection.detect`.
        :param workers: Images fitted at once on the CPU; `None` is one a core.
        """
        super().__init__()
        self.classifier = classifier
        self.false_positive_rate, self.quick, self.seed, self.workers = false_positive_rate, quick, seed, workers
        self.calibration = Calibration.load(calibration) if isinstance(calibration, str | os.PathLike) else calibration
        self._channels_first = bool(getattr(classifier, "channels_first", True))
        self._range = _range_of(classifier)
        self._check_params()

    def fit(self, x: Floats, y: Any = None, batch_size: int = 128, nb_epochs: int = 20, **kwargs: Any) -> None:
        """
        Calibrate on clean images, at least 20; nothing is trained.

        :param x: Clean images.
        :param y: Not used.
        :param batch_size: Not used.
        :param nb_epochs: Not used.
        """
        del y, batch_size, nb_epochs, kwargs
        if len(x) < 20:
            raise ValueError(f"A calibration needs at least 20 clean images, got {len(x)}.")
        self.calibration = calibrate(
            list(self._pixels(x)),
            self._model("calibrated"),
            quick=self.quick,
            description=f"{len(x)} images given to fit",
            seed=self.seed,
            workers=self.workers,
        )

    def detect(self, x: Floats, batch_size: int = 128, **kwargs: Any) -> tuple["Report", NDArray[np.bool_]]:
        """
        Perform detection of adversarial data and return prediction as tuple.

        :param x: Data sample on which to perform detection.
        :param batch_size: Images looked at together.
        :return: (report, is_adversarial):
                where report holds an array of a value an image for `score` (in standard deviations of clean images),
                `p_value` (how often a clean image scores as high), `agreement` (how much everything that was done to
                the image moves the answer in one direction, from -1 to 1), `label_before`, `label_after`,
                `probability_before` and `probability_after` (the classifier's first answer to the image and to its
                partial restoration), every piece of `evidence` by name, and the `false_positive_rate`;
                where is_adversarial is a boolean list of per-sample prediction whether the sample is adversarial
        """
        del kwargs
        given = self._given_classifier()
        name = self.calibration.classifier if self.calibration is not None else given.name if given else None
        if name is None:
            raise ValueError("There is no calibration for this classifier; call fit on at least 20 clean images.")
        model = self._model(name)
        found: list[Detection] = []
        for part in self._pixels(x).split(batch_size):
            found += detect(
                list(part),
                model,
                false_positive_rate=self.false_positive_rate,
                quick=self.quick,
                calibration=self.calibration,
                seed=self.seed,
                workers=self.workers,
            )
        report: Report = {
            "score": np.array([each.score for each in found]),
            "p_value": np.array([each.p_value for each in found]),
            "agreement": np.array([each.agreement for each in found]),
            "label_before": np.array([each.label_before.index for each in found], dtype=int),
            "label_after": np.array([each.label_after.index for each in found], dtype=int),
            "probability_before": np.array([each.label_before.probability for each in found]),
            "probability_after": np.array([each.label_after.probability for each in found]),
            "evidence": {
                name: np.array([each.evidence[name] for each in found]) for name in (found[0].evidence if found else ())
            },
            "false_positive_rate": self.false_positive_rate,
        }
        return report, np.array([each.is_suspicious for each in found], dtype=bool)

    def _check_params(self) -> None:
        if not 0 < self.false_positive_rate < 1:
            raise ValueError("'false_positive_rate' has to be between 0 and 1.")
        if not isinstance(self.quick, bool):
            raise ValueError("'quick' has to be a boolean.")
        checked_seed(self.seed)
        if self.workers is not None:
            _check_positive("Number of workers", self.workers)

    def _given_classifier(self) -> Classifier | None:
        """A classifier of this package, where ART has nothing in front of it."""
        inner = getattr(self.classifier, "model", self.classifier)
        plain = not getattr(self.classifier, "preprocessing_defences", None)
        return inner if isinstance(inner, Classifier) and plain else None

    def _model(self, name: str) -> Classifier:
        given = self._given_classifier()
        if given is not None and given.name == name:
            return given
        network = given or _Predict(self.classifier, self._channels_first, self._range)
        return Classifier(network, name=name, preprocess=ResizeAndCrop(resize=256, crop=224))

    def _pixels(self, x: Floats) -> Tensor:
        """``N×3×H×W`` float32 in ``[0, 1]``."""
        if np.ndim(x) != 4:
            raise ValueError(f"Unrecognized input dimension. Images are N×C×H×W or N×H×W×C, got {np.shape(x)}.")
        black, white = self._range
        pixels = (torch.from_numpy(np.array(x, dtype=np.float32)) - black) / (white - black)
        return pixels if self._channels_first else pixels.permute(0, 3, 1, 2).contiguous()


class _Predict(nn.Module):
    """An ART classifier of any framework as a module: pixels in ``[0, 1]`` to logits, through its own ``predict``."""

    def __init__(self, classifier: Any, channels_first: bool, clip_values: tuple[float, float]) -> None:
        super().__init__()
        self.predict, self.channels_first, self.clip_values = classifier.predict, channels_first, clip_values

    def forward(self, pixels: Tensor) -> Tensor:
        black, white = self.clip_values
        x = pixels if self.channels_first else pixels.permute(0, 2, 3, 1)
        answers = torch.from_numpy(np.array(self.predict((x * (white - black) + black).numpy()), dtype=np.float32))
        sums = answers.sum(dim=-1)
        if bool((answers >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
            return answers.clamp(min=torch.finfo(torch.float32).tiny).log()  # probabilities, not logits
        return answers


def _range_of(classifier: Any) -> tuple[float, float]:
    """Black and white of an ART classifier."""
    values = (0.0, 1.0) if isinstance(classifier, Classifier) else getattr(classifier, "clip_values", None)
    if values is None or not all(np.ndim(value) == 0 or np.unique(value).size == 1 for value in values):
        raise ValueError("The classifier needs clip_values of 2 floats, black and white.")
    return float(np.ravel(values[0])[0]), float(np.ravel(values[1])[0])


def _check_positive(what: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what} has to be a positive integer.")
