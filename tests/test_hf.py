"""The protection inside real pipelines of transformers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples
from deep_protection.protection.contrast import is_agreement

pytestmark = pytest.mark.usefixtures("host_randomness")


@pytest.fixture(scope="module")
def pipe(hub_directory: Path) -> Any:
    return made_pipeline(hub_directory)


def made_pipeline(directory: Path, **options: Any) -> Any:
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    with torch.random.fork_rng(devices=[]):
        return pipeline("image-classification", model=str(directory), top_k=6, **options)


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return [image.resize((90, 80)) for image, _ in imagenet_samples()[:3]]


def scores(answers: Any) -> dict[str, float]:
    return {answer["label"]: answer["score"] for answer in answers}


def test_its_answers_are_the_networks_for_purified_images(
    pipe: Any, hub_directory: Path, images: list[Image.Image]
) -> None:
    ours = scores(dp.hf.protect(pipe, answer="restored", stop="fixed:5", seed=4)(images[0]))
    classifier = dp.load_classifier(hub_directory)
    restored = dp.purify(classifier.preprocess(images[0]), stop="fixed:5", seed=4)
    expected = {each.label: each.probability for each in classifier.top(restored[None], 6)[0]}
    assert ours == pytest.approx(expected, abs=1e-5)
    assert ours != pytest.approx(scores(pipe(images[0])), abs=1e-5)


@pytest.mark.parametrize("when", ["suspicious", "always"])
def test_its_answers_are_those_of_the_protected_network(
    when: Any, pipe: Any, hub_directory: Path, images: list[Image.Image]
) -> None:
    """By contrast, and without a calibration: none comes with the package for models of the hub."""
    protected = dp.hf.protect(pipe, when=when, seed=4)
    classifier = dp.load_classifier(hub_directory)
    pixels = torch.stack([classifier.preprocess(image) for image in images])
    ours = dp.protect(classifier, when=when, seed=4)
    with torch.no_grad():
        for said, best in zip(protected(images), classifier.best(ours(pixels), 6), strict=True):
            assert scores(said) == pytest.approx({each.label: each.probability for each in best}, abs=1e-5)
        explained = protected.model.protected.explain(pixels)
    assert {each.p_value for each in explained} == {None}
    bare = [scores(each) for each in pipe(images)]
    for said, found, before in zip(protected(images), explained, bare, strict=True):
        assert found.is_suspicious == (when == "always" or is_agreement(found.responses))
        assert (scores(said) == pytest.approx(before, abs=1e-5)) == (found.answer == "own")


def test_lists_batches_generators_and_files(pipe: Any, images: list[Image.Image], tmp_path: Path) -> None:
    protected = dp.hf.protect(pipe, stop="fixed:3")
    alone = [scores(protected(image)) for image in images]
    path = tmp_path / "photo.png"
    images[0].save(path)

    def each() -> Iterator[Image.Image]:
        yield from images

    calls: list[Callable[[], Any]] = [
        lambda: protected(images),
        lambda: protected(images, batch_size=2),
        lambda: list(protected(each(), batch_size=3)),
    ]
    for call in calls:
        answers = call()
        for answer, known in zip(answers, alone, strict=True):
            assert scores(answer) == pytest.approx(known, abs=1e-5)
    assert scores(protected(str(path))) == pytest.approx(alone[0], abs=1e-6)
    assert len(protected(images[0], top_k=2)) == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_in_every_gradient_mode(mode: Any, pipe: Any, images: list[Image.Image]) -> None:
    protected = dp.hf.protect(pipe, stop="fixed:3")
    expected = scores(protected(images[0]))
    with mode():
        assert scores(protected(images[0])) == pytest.approx(expected, abs=1e-6)


def test_the_given_pipeline_stays_as_it_was_and_its_processor_is_kept(pipe: Any, images: list[Image.Image]) -> None:
    before, processor, network = scores(pipe(images[0])), pipe.image_processor, pipe.model
    protected = dp.hf.protect(pipe, stop="fixed:2")
    assert scores(pipe(images[0])) == before
    assert pipe.image_processor is processor
    assert pipe.model is network
    assert protected.image_processor.size == processor.size
    assert protected.model.config is network.config
    assert protected.device == pipe.device
    assert sum(weights.numel() for weights in protected.model.parameters()) >= sum(
        weights.numel() for weights in network.parameters()
    )


def test_half_precision_networks_get_pixels_that_were_not_rounded(hub_directory: Path, images: Any) -> None:
    half = made_pipeline(hub_directory, dtype=torch.bfloat16)
    assert half.model.dtype == torch.bfloat16
    protected = dp.hf.protect(half, stop="fixed:3")
    whole = dp.hf.protect(made_pipeline(hub_directory), stop="fixed:3")
    assert scores(protected(images[0])) == pytest.approx(scores(whole(images[0])), abs=0.02)


def test_a_vision_transformer_with_another_processor(tmp_path: Path, images: list[Image.Image]) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=32,
            patch_size=8,
            num_labels=3,
        )
        ViTForImageClassification(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        """{"image_processor_type": "ViTImageProcessor", "do_normalize": true, "do_rescale": true, "do_resize": true,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 32, "width": 32}}"""
    )
    pipe = made_pipeline(tmp_path)
    ours = dp.hf.protect(pipe, stop="fixed:2", views=True)(images)
    assert [len(answers) for answers in ours] == [3, 3, 3]
    assert all(sum(answer["score"] for answer in answers) == pytest.approx(1, abs=1e-4) for answers in ours)


def test_what_is_no_image_classification_is_refused(pipe: Any) -> None:
    with pytest.raises(dp.ClassifierError, match="only pipelines for image-classification can be protected, got dict"):
        dp.hf.protect({})
    with pytest.raises(dp.ClassifierError, match="protected already"):
        dp.hf.protect(dp.hf.protect(pipe))
    with pytest.raises(dp.OptionError, match="unknown preset"):
        dp.hf.protect(pipe, preset="best")
    with pytest.raises(TypeError):
        dp.hf.protect(pipe, colour="red")
