"""The detector: a real classifier, real attacks, calibrated on foolbox's photographs."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import refused, run
from PIL import Image
from torch import Tensor

import deep_protection as dp
from deep_protection.attacks.libraries import foolbox
from deep_protection.detection import (
    EVIDENCE,
    Calibration,
    Responses,
    classifier_images,
    classifier_responses,
    compute_evidence,
)
from deep_protection.detection._detect import _share
from deep_protection.detection.evidence import direction, odds_against, specks
from deep_protection.detection.specks import find_specks
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import as_image


@pytest.fixture(scope="module")
def known(lite0: dp.Classifier) -> dp.Calibration:
    """A quick calibration on foolbox's 20 photographs."""
    photographs = (image for image, _ in imagenet_samples())
    return dp.calibrate(photographs, lite0, quick=True, description="foolbox's 20 photographs")


@pytest.fixture(scope="module")
def attacked(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> Tensor:
    shorter = replace(dp.ATTACKS["pgd8"], build=lambda: foolbox().attacks.LinfPGD(steps=15, rel_stepsize=0.1))
    made = dp.attack(lite0, recognised[0][:2], recognised[1][:2], shorter)
    assert made.success_8bit.all()
    return made.adversarial.mul(255).round().div(255)


@pytest.mark.parametrize("quick", [True, False])
def test_attacked_images_are_told_from_clean_ones_as_shipped(
    quick: bool, lite0: dp.Classifier, attacked: Tensor, recognised: tuple[Tensor, Tensor]
) -> None:
    found = dp.detect([*attacked, *recognised[0][:2]], lite0, quick=quick, false_positive_rate=0.1)
    assert [each.is_suspicious for each in found] == [True, True, False, False]
    for each in found:
        assert each.is_suspicious == (each.p_value <= 0.1)
        most = max(each.evidence.values())
        assert most < each.score <= most + math.log(len(EVIDENCE)) / 2
        assert set(each.evidence) == set(EVIDENCE)
    assert found[0].label_before.index == lite0(attacked[:1]).argmax()


def test_salt_and_pepper_stands_out_by_its_specks(known: dp.Calibration, recognised: tuple[Tensor, Tensor]) -> None:
    peppered = recognised[0][0].clone()
    places = torch.randperm(224 * 224, generator=torch.Generator().manual_seed(0))[:200]
    peppered.view(3, -1)[:, places] = (torch.arange(200) % 2).float()
    (found,) = dp.detect([peppered], calibration=known)
    assert max(found.evidence, key=found.evidence.__getitem__) == "specks"
    assert found.is_suspicious
    assert specks(find_specks(recognised[0][0])) < specks(find_specks(peppered))


def test_a_batch_is_judged_as_its_images_are(
    lite0: dp.Classifier, known: dp.Calibration, attacked: Tensor, recognised: tuple[Tensor, Tensor]
) -> None:
    images = torch.cat([attacked[:1], recognised[0][:1]])
    together = dp.detect(images, lite0, calibration=known)
    alone = dp.detect(images[0], lite0, calibration=known), dp.detect(images[1], lite0, calibration=known)
    assert isinstance(together, list)
    for one, other in zip(together, alone, strict=True):
        assert isinstance(other, dp.Detection)
        assert one.score == pytest.approx(other.score, abs=1e-3)
        assert one.p_value == other.p_value
    assert dp.detect(images[:0], lite0, calibration=known) == []


def test_it_takes_what_purify_takes(lite0: dp.Classifier, known: dp.Calibration, photograph: Image.Image) -> None:
    path_like = lite0.preprocess(photograph)
    expected = dp.detect(photograph, lite0, calibration=known)
    (by_pixels,) = dp.detect([path_like], lite0, calibration=known)
    assert by_pixels.score == pytest.approx(expected.score, abs=1e-4)
    assert [each.score for each in dp.detect([photograph], lite0, calibration=known)] == [expected.score]
    # The same photograph as an array is an image too; floats are what the classifier has been given.
    by_array = dp.detect(np.asarray(photograph), lite0, calibration=known)
    assert isinstance(by_array, dp.Detection)
    assert by_array.score == expected.score
    (seen,), single = classifier_images(path_like, lite0)
    assert single
    assert torch.equal(seen.pixels, path_like)


@pytest.fixture
def of_any_size() -> dp.Classifier:
    """Three classes, and images as they come."""
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return dp.Classifier(network, name="any size", preprocess=lambda image: as_image(image).pixels)


def test_what_reading_has_to_tell_is_in_the_result(
    lite0: dp.Classifier, of_any_size: dp.Classifier, known: dp.Calibration, tmp_path: Path
) -> None:
    dark = Image.fromarray(np.full((16, 16), 1000, np.uint16))
    dark.save(tmp_path / "dark.png")
    found = dp.detect([tmp_path / "dark.png", Image.new("RGB", (16, 16))], lite0, calibration=known)
    assert ["counts as nearly black" in " ".join(each.notes) for each in found] == [True, False]
    result = run("detect", tmp_path / "dark.png", "--quick", "--json")
    assert json.loads(result.stdout)["results"][0]["notes"] == list(found[0].notes)
    assert b"counts as nearly black" in result.stderr
    with pytest.warns(UserWarning, match="nearly black"):
        dp.calibrate([dark] * 20, of_any_size, quick=True)


def test_progress_and_time_of_a_calibration_are_of_the_whole_call(of_any_size: dp.Classifier) -> None:
    told: list[dp.Progress] = []
    images = [Image.new("RGB", (16, 16), (number, 99, 99)) for number in range(34)]
    dp.calibrate(images, of_any_size, progress=told.append)
    assert {each.images_total for each in told} == {34}
    assert [each.fraction for each in told] == sorted(each.fraction for each in told)
    assert (told[-1].images_done, told[-1].fraction) == (34, 1)
    now = time.perf_counter()
    shares = [_share(dp.FitOptions(seconds=1000), done, count, 40, now).seconds for done, count in ((0, 32), (32, 8))]
    assert shares == [pytest.approx(800, abs=50), pytest.approx(1000, abs=50)]  # what is left is for those left
    assert (_share(dp.FitOptions(seconds=1), 32, 8, 40, now - 9).seconds or 0) > 0


def test_no_more_clean_images_are_flagged_than_was_asked_for() -> None:
    """Over many draws of calibration and image from one distribution, tails included, the rate holds on average."""
    draw = np.random.default_rng(0)
    draws, images = 600, 39
    flagged = np.zeros(draws)
    for number in range(draws):
        values = draw.standard_t(4, size=(images + 50, len(EVIDENCE))).tolist()
        evidence = [dict(zip(EVIDENCE, each, strict=True)) for each in values]
        made = Calibration.from_evidence(evidence[:images], classifier="any", iterations=0, description="drawn")
        flagged[number] = np.mean([made.p_value(made.score(each)) <= 0.1 for each in evidence[images:]])
    # 0.1 for scores that do not depend on the calibration; by a scale that has seen the images it is 0.125, and one
    # that each image is left out of errs on the safe side.
    assert 0.08 < flagged.mean() < 0.11


def test_p_values_count_the_clean_images_that_score_as_high(known: dp.Calibration) -> None:
    made = replace(known, scores=[1.0, 2.0, 2.0, 3.0])
    assert [made.p_value(score) for score in (0.5, 2.0, 2.5, 9.0)] == [1.0, 4 / 5, 2 / 5, 1 / 5]


def test_a_calibration_is_the_same_from_its_file(known: dp.Calibration, tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    known.save(path)
    again = dp.Calibration.load(path)
    assert again.scores == known.scores
    assert again.score(dict.fromkeys(EVIDENCE, 1.0)) == known.score(dict.fromkeys(EVIDENCE, 1.0))
    assert known.first_look is not None
    assert again.first_look == known.first_look
    before = {name: value for name, value in json.loads(path.read_text()).items() if name != "first_look"}
    path.write_text(json.dumps(before))
    assert dp.Calibration.load(path).first_look is None, "files from before there was a first look are used without"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "no calibration of version"),
        ({"median": {}}, "another version"),
        ({"colour": 1}, "colour"),
        ({"first_look": 3}, "no calibration of"),
        ({"first_look": {"version": 0}}, "no calibration of"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    change: dict[str, Any], message: str, known: dp.Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "known.json"
    known.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(dp.OptionError, match=message):
        dp.Calibration.load(path)


def test_what_cannot_be_kept_is_refused(known: dp.Calibration, recognised: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(dp.OptionError, match=r"must be from 0\.048"):
        dp.detect(recognised[0][0], calibration=known, false_positive_rate=0.01)
    with pytest.raises(dp.OptionError, match="made with classifier 'other', not 'lite0'"):
        dp.detect(recognised[0][0], calibration=replace(known, classifier="other"))
    with pytest.raises(dp.OptionError, match="no calibration for classifier 'mine'"):
        dp.Calibration.shipped("mine")
    with pytest.raises(dp.DeepProtectionError, match="at least 20 clean images, got 1"):
        Calibration.from_evidence([dict.fromkeys(EVIDENCE, 0.0)], classifier="any", iterations=0, description="one")
    with pytest.raises(dp.OptionError, match="cannot be read"):
        dp.Calibration.load("nowhere.json")


def test_a_network_is_asked_in_its_own_type(recognised: tuple[Tensor, Tensor]) -> None:
    class Picky(torch.nn.Module):
        """Doubles only, and counts its images."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64))

        def forward(self, pixels: Tensor) -> Tensor:
            return pixels.mean(dim=(2, 3)) @ self.weight

    image = recognised[0][:1].double()
    assert dp.protect(Picky())(image).dtype == torch.float64
    assert len(classifier_responses([image[0].float()], Picky(), iterations=0)) == 1
    broken = Picky()
    broken.weight.data.fill_(float("nan"))
    with pytest.raises(dp.ClassifierError, match="not finite"):
        classifier_responses([image[0].float()], broken, iterations=0)


def test_the_figures_are_what_their_formulas_say() -> None:
    first, second = torch.tensor([0.75, 0.25]), torch.tensor([0.25, 0.75])
    assert odds_against(0, first) == pytest.approx(-math.log(3), abs=1e-3)
    assert odds_against(1, first) == pytest.approx(math.log(3), abs=1e-3)
    rows = second.log().expand(4, 2)
    found = Responses(first.log(), torch.cat([first.log()[None], rows[1:]]), rows, rows, rows)
    assert found.agreement == pytest.approx(1, abs=1e-5)
    assert compute_evidence(torch.zeros(3, 8, 8), found)["compression"] == pytest.approx(
        odds_against(0, second), abs=1e-5
    )
    # The same shifts of a surer answer speak less for tampering; longer shifts of the same agreement speak more.
    surer = Responses(*(getattr(found, kind) for kind in ("original", "image", "restored", "compressed", "mild")))
    surer = replace(surer, original=torch.tensor([0.99, 0.01]).log())
    assert surer.shift.norm() > found.shift.norm()
    assert math.isfinite(direction(found))


def test_protect_restores_only_what_is_suspicious(
    lite0: dp.Classifier, known: dp.Calibration, attacked: Tensor, recognised: tuple[Tensor, Tensor]
) -> None:
    images = torch.stack([attacked[0], recognised[0][1]])
    assert [each.is_suspicious for each in dp.detect(list(images), lite0, calibration=known)] == [True, False]
    model = dp.protect(lite0, answer="restored", when="suspicious", calibration=known, stop="fixed:4")
    given = images.clone().requires_grad_()
    restored = model.purify(given)
    assert torch.equal(restored[1], images[1])
    assert torch.equal(restored[0], dp.purify(images[0], stop="fixed:4"))
    model(given).sum().backward()
    assert given.grad is not None
    assert (given.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
    assert model.purify(images[:0]).shape == (0, 3, 224, 224)
    with pytest.raises(dp.OptionError, match="when must be one of"):
        dp.protect(lite0, when="sometimes")  # type: ignore[arg-type]
    with pytest.raises(dp.OptionError, match="needs a calibration for this network"):
        dp.protect(lite0.network, answer="restored", when="suspicious")


def whole(pixels: Tensor, around: Image.Image, path: Path) -> None:
    """A file of 256×256 of which the classifier sees just these pixels."""
    image = around.resize((256, 256))
    inner = pixels.mul(255).round().byte().permute(1, 2, 0).numpy()
    image.paste(Image.fromarray(inner), (16, 16))
    image.save(path)


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory,
    attacked: Tensor,
    recognised: tuple[Tensor, Tensor],
    photograph: Image.Image,
) -> Sequence[Path]:
    """An attacked and a clean image."""
    folder = tmp_path_factory.mktemp("images")
    whole(attacked[0], photograph, folder / "attacked.png")
    whole(recognised[0][1], photograph, folder / "clean.png")
    return folder / "attacked.png", folder / "clean.png"


def test_the_command_names_what_is_suspicious(files: Sequence[Path]) -> None:
    result = run("detect", *files, "--quick", "--json")
    assert result.returncode == 3, result.stderr
    report = json.loads(result.stdout)
    assert [each["is_suspicious"] for each in report["results"]] == [True, False]
    assert report["results"][0]["label_before"]["label"] != report["results"][1]["label_before"]["label"]
    assert report["calibrated_on"]
    assert report["results"][0]["agreement"] > 0.8 > report["results"][1]["agreement"]
    clean = run("detect", files[1], "--quick")
    assert clean.returncode == 0
    assert b"ok" in clean.stdout
    assert b"agreement" in clean.stdout
    assert f"{report['results'][1]['agreement']:.2f}".encode() in clean.stdout


@pytest.mark.campaign
def test_the_command_tells_what_is_wrong(files: Sequence[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    result = run("detect", tmp_path / "bad.png", files[1], "--quick")
    assert result.returncode == 1
    assert b"bad.png" in result.stderr
    assert b"ok" in result.stdout
    refused(run("detect", files[1], "--false-positive-rate", "0"), "false-positive rate must be from")
    refused(
        run("purify", files[1], "-o", tmp_path / "o.png", "--when", "suspicious", "--seconds", "9"),
        "cannot go together",
    )
    refused(run("detect", files[1], "--calibration", tmp_path / "none.json"), "cannot be read")
    refused(run("detect", "calibrate", files[1].parent, "-o", tmp_path / "new.json"), "at least 20 clean images")
    assert not (tmp_path / "new.json").exists()


@pytest.mark.campaign
def test_a_calibration_is_made_and_used(files: Sequence[Path], tmp_path: Path) -> None:
    folder = tmp_path / "clean"
    folder.mkdir()
    for number, (image, _) in enumerate(imagenet_samples()):
        image.save(folder / f"{number:02}.png")
    out = tmp_path / "own.json"
    result = run("detect", "calibrate", folder, "-o", out, "--quick", "--about", "foolbox's photographs")
    assert result.returncode == 0, result.stderr
    found = run("detect", *files, "--calibration", out, "--json")
    assert json.loads(found.stdout)["calibrated_on"] == "foolbox's photographs"
    assert [each["is_suspicious"] for each in json.loads(found.stdout)["results"]] == [True, False]
    refused(run("detect", "calibrate", folder, "-o", out, "--quick"), "exists; add --overwrite")


@pytest.mark.campaign
def test_purify_leaves_alone_what_is_not_suspicious(files: Sequence[Path], tmp_path: Path) -> None:
    result = run("purify", *files, "-o", tmp_path / "out", "--when", "suspicious", "--stop", "fixed:4", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["summary"] == {"restored": 1, "left": 1, "skipped": 0, "failed": 0}
    assert (tmp_path / "out" / "clean.png").read_bytes() == files[1].read_bytes()
    with Image.open(tmp_path / "out" / "attacked.png") as restored, Image.open(files[0]) as before:
        assert restored.size == before.size
        assert restored.tobytes() != before.tobytes()
    other = run("purify", files[1], "-o", tmp_path / "clean.webp", "--when", "suspicious")
    assert other.returncode == 0
    assert b"1 left as they were" in other.stderr
    with Image.open(tmp_path / "clean.webp") as converted:
        assert converted.format == "WEBP"
