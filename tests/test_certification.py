"""Certificates: the bound on a classifier whose probabilities are known, the noise, the table, the command."""

import json
import math
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.certification import DENOISERS, CertifiedRow, CertifiedTable, Smoothing, certified_accuracy
from deep_protection.certification.bounds import certified_radius, lower_bound, plan_looks
from deep_protection.certification.smoothing import NoisyClassifier
from deep_protection.cli.certify import certify_command
from deep_protection.restoration.dct import thresholded

SIDE = 4
SIGMA = 0.25


class Halfspace(nn.Module):
    """Two classes, divided by a plane: its probabilities under noise are known, and its radius is the distance."""

    normal: Tensor

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        weights = torch.randn(3 * SIDE * SIDE, generator=torch.Generator().manual_seed(7))
        self.register_buffer("normal", weights / weights.norm())
        self.outputs = outputs
        self.least, self.asked = 0.0, 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.least, self.asked = min(self.least, pixels.min().item()), self.asked + len(pixels)
        distance = (pixels.flatten(1) - 0.5) @ self.normal
        return distance if self.outputs == 1 else torch.stack([-distance, distance], dim=1)

    def at(self, distance: float) -> Tensor:
        """An image so far on the side of class 1."""
        return (0.5 + distance * self.normal).reshape(3, SIDE, SIDE)


@pytest.fixture
def halfspace() -> Halfspace:
    return Halfspace()


def test_the_radius_is_larger_than_the_true_one_no_more_often_than_alpha_allows(halfspace: Halfspace) -> None:
    true, alpha = 0.2, 0.05
    image = halfspace.at(true)
    found = [
        dp.certify(image, halfspace, sigma=SIGMA, samples=200, alpha=alpha, selection=10, seed=seed, batch=256)
        for seed in range(200)
    ]
    wrong = sum(each.radius > true for each in found)
    assert all(each.prediction in (1, None) for each in found)
    # 10 are allowed on average; more than 20 would come by chance once in 860 times, and the seeds are fixed.
    assert wrong <= 20
    assert wrong > 0, "the bound is so loose that it says little"


def test_the_radius_is_near_the_true_one_after_many_samples(halfspace: Halfspace) -> None:
    found = dp.certify(halfspace.at(0.2), halfspace, sigma=SIGMA, samples=40_000, batch=4000)
    assert (found.prediction, found.label, found.abstains) == (1, "1", False)
    assert 0.19 < found.radius < 0.2
    assert found.samples == sum(found.counts.values()) == 40_000
    assert found.counts[1] / found.samples == pytest.approx(NormalDist().cdf(0.2 / SIGMA), abs=0.01)


def tail(count: int, draws: int, share: float) -> float:
    """How probable it is that something of probability ``share`` comes ``count`` times or more."""
    return sum(math.comb(draws, k) * share**k * (1 - share) ** (draws - k) for k in range(count, draws + 1))


@pytest.mark.parametrize(("count", "draws"), [(1, 30), (16, 30), (21, 30), (29, 30), (30, 30), (87, 100), (100, 100)])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_the_bound_is_where_what_was_counted_is_as_rare_as_alpha(count: int, draws: int, alpha: float) -> None:
    lower = lower_bound(count, draws, alpha)
    assert tail(count, draws, lower) == pytest.approx(alpha, rel=1e-6)
    radius = certified_radius(lower, 2.0)
    if lower > 1 / 2:
        assert NormalDist(0, 2.0).cdf(radius) == pytest.approx(lower)
    else:
        assert radius == 0
    assert lower_bound(0, draws, alpha) == 0


def test_it_abstains_on_the_plane_and_says_what_it_counted(halfspace: Halfspace) -> None:
    found = dp.certify(halfspace.at(0.0), halfspace, sigma=SIGMA, samples=100)
    assert (found.prediction, found.label, found.radius, found.abstains) == (None, None, 0.0, True)
    assert set(found.counts) == {0, 1}
    assert found.lower == pytest.approx(lower_bound(found.counts[found.candidate], 100, 0.001))
    assert found.lower <= 1 / 2


def test_noise_is_not_clipped_and_depends_on_image_and_seed_alone(halfspace: Halfspace) -> None:
    images = [halfspace.at(0.1), halfspace.at(-0.1)]
    seen: list[Tensor] = []

    def watch(noisy: Tensor) -> Tensor:
        seen.append(noisy)
        return noisy

    both = dp.certify(images, halfspace, sigma=SIGMA, samples=50, selection=7, denoiser=watch, batch=10)
    assert halfspace.least < 0
    first = torch.cat(seen)[:57]
    noise = (first - images[0]) / SIGMA
    assert first.max() > 1
    assert noise.mean().item() == pytest.approx(0, abs=0.06)
    assert noise.std().item() == pytest.approx(1, abs=0.06)
    assert len(torch.unique(noise, dim=0)) == 57
    assert both[0].denoiser == "watch"

    def same(one: dp.Certificate, other: dp.Certificate) -> bool:
        return (one.radius, one.counts, one.lower) == (other.radius, other.counts, other.lower)

    alone = dp.certify(images[1], halfspace, sigma=SIGMA, samples=50, selection=7, batch=33)
    assert same(alone, both[1])
    other = dp.certify(images[1], halfspace, sigma=SIGMA, samples=50, selection=7, seed=1)
    assert not same(alone, other)
    seen.clear()
    for _ in range(2):
        dp.certify(images[0], halfspace, sigma=SIGMA, samples=50, seed=None, denoiser=watch)
    assert not torch.equal(seen[0], seen[len(seen) // 2])


def test_one_logit_has_two_classes(halfspace: Halfspace) -> None:
    alone = Halfspace(outputs=1)
    for distance, prediction in ((0.3, 1), (-0.3, 0)):
        image = halfspace.at(distance)
        one, two = (dp.certify(image, each, sigma=SIGMA, samples=60) for each in (alone, halfspace))
        assert (one.prediction, one.radius) == (two.prediction, two.radius) == (prediction, one.radius)
        assert one.radius > 0


def test_asked_for_one_radius_it_is_wrong_no_more_often_than_alpha_allows(halfspace: Halfspace) -> None:
    alpha, true = 0.05, 0.2
    image = halfspace.at(true * 0.999)  # where the radius just does not hold
    found = [
        dp.certify(
            image, halfspace, sigma=SIGMA, samples=400, alpha=alpha, selection=10, radius=true, seed=seed, batch=100
        )
        for seed in range(200)
    ]
    wrong = sum(each.prediction is not None for each in found)
    assert wrong <= 20
    assert all(each.radius == 0 or each.radius >= true for each in found)


def test_asked_for_one_radius_it_ends_early_either_way(halfspace: Halfspace) -> None:
    def ask(distance: float, batch: int = 50) -> dp.Certificate:
        found: dp.Certificate = dp.certify(
            halfspace.at(distance), halfspace, sigma=SIGMA, samples=1000, radius=0.2, batch=batch
        )
        return found

    plan = plan_looks(SIGMA, 0.2, 1000, 0.001)
    assert [look.draws for look in plan.looks] == [63, 125, 250, 500, 1000]
    assert plan.share == 0.001 / 5
    for look in plan.looks:
        bounds = [lower_bound(count, look.draws, plan.share) for count in (look.needed - 1, look.needed)]
        short, reached = (certified_radius(each, SIGMA) for each in bounds)
        assert short < 0.2 <= reached
    far, near, beyond = ask(1.0), ask(0.15), ask(0.26)
    assert (far.prediction, far.samples) == (1, 63)
    assert far.radius >= 0.2
    assert near.prediction is None
    assert near.samples < 1000
    misses = near.samples - near.counts[1]
    assert misses == plan.misses + 1, "at the first draw after which no look can find it"
    assert (near.samples, near.counts) == (ask(0.15, batch=7).samples, ask(0.15, batch=7).counts)
    look = next(each for each in plan.looks if each.draws == beyond.samples)
    assert look is not plan.looks[0], "one that was not sure at once"
    assert beyond.counts[1] >= look.needed
    assert beyond.lower == lower_bound(beyond.counts[1], look.draws, plan.share)
    assert beyond.radius == certified_radius(beyond.lower, SIGMA) >= 0.2


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_take_values_outside_the_range_and_take_noise_away(
    name: str, recognised: tuple[Tensor, Tensor]
) -> None:
    clean = recognised[0][:2, :, 80:144, 80:128]
    noisy = clean + 0.2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    denoise = DENOISERS[name](0.2, 0)
    made = denoise(noisy)
    assert (made.shape, made.dtype) == (clean.shape, torch.float32)
    torch.testing.assert_close(denoise(noisy[1:]), made[1:])
    left = ((made - clean).square().mean() / (noisy - clean).square().mean()).item()
    assert left == 1 if name == "none" else left < 0.8


def test_a_classifier_of_images_is_certified_behind_a_denoiser(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    heard: list[dp.Progress] = []
    found = dp.certify(
        recognised[0][:1], lite0, sigma=0.05, samples=20, selection=4, denoiser="tv", progress=heard.append
    )
    assert [each.prediction for each in found] == recognised[1][:1].tolist()
    assert found[0].label == lite0.label(int(recognised[1][0]))
    assert found[0].radius == pytest.approx(0.05 * NormalDist().inv_cdf(0.001 ** (1 / 20)))
    assert found[0].seconds > 0
    assert [each.iteration for each in heard] == [4, 24, 24]
    assert heard[-1].fraction == 1


def test_what_refuses_values_outside_the_range_is_certified_behind_a_clip(halfspace: Halfspace) -> None:
    protected = dp.protect(halfspace, quick=True)
    asked: dict[str, Any] = {"sigma": SIGMA, "samples": 12, "selection": 2}
    with pytest.raises(dp.ImageError, match=r"\[0, 1\]"):
        dp.certify(halfspace.at(0.9), protected, **asked)
    clip = dp.certify(halfspace.at(0.9), protected, denoiser=lambda noisy: noisy.clamp(0, 1), **asked)
    assert clip.candidate == 1


def test_a_black_box_gets_pixels() -> None:
    def service(pixels: Tensor) -> list[dict[str, float]]:
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        return [{"dark": 0.9, "bright": 0.1} if each.mean() < 0.5 else {"bright": 1.0} for each in pixels]

    found = dp.certify(torch.zeros(3, 8, 8), dp.load_classifier(service), samples=20, selection=2)
    assert found.label == "dark"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigma": 0}, "sigma must be positive and finite, got 0"),
        ({"sigma": "0.1"}, "sigma must be a number"),
        ({"radius": float("inf")}, "radius must be positive and finite"),
        ({"alpha": 1.0}, "alpha must be between 0 and 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"selection": 1.5}, "selection must be a whole number"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"samples": 9}, "9 samples certify nothing at alpha 0.001; take at least 10"),
        ({"radius": 0.5}, "1000 samples at sigma 0.12 and alpha 0.001 certify 0.296 at most"),
        ({"denoiser": "blur"}, "unknown denoiser 'blur'; there are: none, tv, dct, fast"),
        ({"denoiser": lambda noisy: noisy[:, :1]}, r"gives shape \(32, 1, 4, 4\)"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"device": "none"}, "device 'none' cannot be used"),
    ],
)
def test_what_cannot_be_asked_is_one_error(halfspace: Halfspace, options: dict[str, Any], said: str) -> None:
    with pytest.raises(dp.OptionError, match=said):
        dp.certify(halfspace.at(0.1), halfspace, **options)
    assert halfspace.asked <= 1, "before anything is computed, but for trying the classifier out"


def test_multi_label_classifiers_and_answers_that_are_no_numbers_are_refused(halfspace: Halfspace) -> None:
    labels = dp.load_classifier(Halfspace(), multi_label=True)
    with pytest.raises(dp.OptionError, match="a certificate asks which one class is right"):
        dp.certify(halfspace.at(0.1), labels)
    with pytest.raises(dp.ClassifierError, match="not finite"):
        dp.certify(halfspace.at(0.1), halfspace, denoiser=lambda noisy: noisy * math.nan)


def test_it_can_be_cancelled_between_batches(halfspace: Halfspace) -> None:
    asked = iter([False, False, True])
    with pytest.raises(dp.CancelledError, match="after 20 draws"):
        dp.certify(halfspace.at(0.1), halfspace, batch=10, is_cancelled=lambda: next(asked))


def certificate(prediction: int | None, radius: float, seconds: float = 1.5) -> dp.Certificate:
    return dp.Certificate(
        prediction=prediction,
        label=None,
        radius=radius,
        candidate=prediction or 0,
        lower=0.9,
        counts={},
        samples=10,
        sigma=0.12,
        alpha=0.001,
        denoiser="none",
        seconds=seconds,
    )


def test_the_table_is_that_of_cohens_code_and_is_gone_on_with(tmp_path: Path) -> None:
    file, images = tmp_path / "certificates.tsv", ["a.png", "b.png", "c.png"]
    table = CertifiedTable(file, {"sigma": 0.12}, images)
    rows = [
        CertifiedRow.of(0, 3, certificate(3, 0.2999999999)),
        CertifiedRow.of(1, 3, certificate(None, 0.0)),
        CertifiedRow.of(2, -1, certificate(None, 0.0, seconds=100_000.25)),
    ]
    for row in rows:
        table.add(row)
    lines = file.read_text().splitlines()
    assert lines[0] == "idx\tlabel\tpredict\tradius\tcorrect\ttime"
    assert lines[1] == "0\t3\t3\t0.299999\t1\t0:00:01.500000", "no radius is rounded up"
    assert lines[2].split("\t")[2:5] == ["-1", "0.000000", "0"]
    assert lines[3].split("\t")[1:] == ["-1", "-1", "0.000000", "0", "1 day, 3:46:40.250000"]
    assert list(CertifiedTable(file, {"sigma": 0.12}, images).rows.values()) == rows
    assert certified_accuracy(rows[:2], 0.25) == 0.5
    assert certified_accuracy(rows[:2], 0.3) == 0
    with file.open("a") as opened:
        opened.write("3\t0\t0\t0.1")  # cut off by a kill
    assert len(CertifiedTable(file, {"sigma": 0.12}, images).rows) == 3
    assert file.read_text().splitlines() == lines


def test_a_table_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "certificates.tsv"
    CertifiedTable(file, {"sigma": 0.12}, ["a.png"])
    with pytest.raises(dp.OptionError, match=r"made with sigma 0.12, and 0.25 is asked for; choose another --out"):
        CertifiedTable(file, {"sigma": 0.25}, ["a.png"])
    with pytest.raises(dp.OptionError, match="made of 1 images, which are not the 2 given now"):
        CertifiedTable(file, {"sigma": 0.12}, ["a.png", "b.png"])
    file.write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\nnot a row\n")
    with pytest.raises(dp.OutputError, match="line 2 of"):
        CertifiedTable(file, {"sigma": 0.12}, ["a.png"])
    other = tmp_path / "notes.tsv"
    other.write_text("mine\n")
    with pytest.raises(dp.OptionError, match=r"notes.tsv is there, and notes.tsv.json beside it does not say"):
        CertifiedTable(other, {"sigma": 0.12}, ["a.png"])
    assert other.read_text() == "mine\n"


MODULE = """
import torch

class Bright(torch.nn.Module):
    def forward(self, pixels):
        return 40 * (pixels.mean(dim=(1, 2, 3)) - 0.5)
"""
HANGS = """
    def __call__(self, pixels):
        import pathlib, time
        while len(pathlib.Path("rows.tsv").read_text().splitlines()) > 1:
            time.sleep(0.05)
        return super().__call__(pixels)
"""
"""Once a row is there."""
BRIGHT = "bright_or_not:Bright"
OPTIONS: dict[str, Any] = {"classifier": BRIGHT, "sigma": 0.5, "samples": 30, "selection": 4}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Classes 0 (dark) and 1 (bright) in folders, one image in the wrong one, and a classifier that can tell."""
    (tmp_path / "bright_or_not.py").write_text(MODULE)
    for name, colours in {"0": ("black", "navy", "white"), "1": ("white",)}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for colour in colours:
            Image.new("RGB", (16, 16), colour).save(tmp_path / "images" / name / f"{colour}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bright_or_not", raising=False)
    return tmp_path


def test_the_command_fills_a_table_and_goes_on_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "rows.tsv"
    assert certify_command(["images"], **OPTIONS, out=table, limit=2, as_json=True) == 0
    begun, told = capsys.readouterr()
    assert told == ""
    first = table.read_text().splitlines()
    assert len(first) == 3
    done = {each["input"] for each in json.loads(begun)["results"]}
    broken = next(
        each for each in ("images/0/navy.png", "images/0/black.png", "images/1/white.png") if each not in done
    )
    (folder / broken).write_bytes(b"no image")
    assert certify_command(["images"], **OPTIONS, out=table, as_json=True) == 1
    whole, told = capsys.readouterr()
    assert told.startswith("error: ")
    said = json.loads(whole)
    assert [each["input"] for each in said["failed"]] == [broken]
    lines = table.read_text().splitlines()
    assert (len(lines), lines[:3]) == (4, first), "what is there is not computed again"
    for each in said["results"]:
        bright, label = each["input"].endswith("white.png"), int("/1/" in each["input"])
        assert (each["prediction"], each["name"], each["label"]) == (bright, str(int(bright)), label)
        assert each["correct"] == (bright == label)
        assert each["radius"] == pytest.approx(0.5 * NormalDist().inv_cdf(0.001 ** (1 / 30)), abs=2e-6)
    right = [each["correct"] for each in said["results"]]
    assert said["certified_accuracy"]["0.1"] == sum(right) / len(right)
    with pytest.raises(dp.OptionError, match=r"rows.tsv was made with alpha 0.001, and 0.01 is asked for"):
        certify_command(["images"], **OPTIONS, out=table, alpha=0.01)
    assert table.read_text().splitlines() == lines


def test_the_command_tells_of_images_without_a_class(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert certify_command(["images/0/black.png"], **OPTIONS, out=folder / "rows.tsv") == 0
    shown, told = capsys.readouterr()
    assert "the class of 1 images is not known" in " ".join(told.split())
    assert "black.png" in shown
    assert "right:" not in shown
    (folder / "images/else").mkdir()
    Image.new("RGB", (16, 16)).save(folder / "images/else/black.png")
    with pytest.raises(dp.OptionError, match="some folders name classes of Bright and others do not: else"):
        certify_command(["images"], **OPTIONS)
    with pytest.raises(dp.OutputError, match="is a folder, and the table is one file"):
        certify_command(["images/0"], **OPTIONS, out=folder)


def test_ctrl_c_keeps_what_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bright_or_not.py").write_text(MODULE + HANGS)
    table = folder / "rows.tsv"
    line = [sys.executable, "-m", "deep_protection", "certify", "images", "--out", "rows.tsv", "--classifier", BRIGHT]
    line += ["--sigma", "0.5", "--samples", "30", "--selection", "4"]
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell runs behind itself
    ) as running:
        while running.poll() is None and not (table.exists() and len(table.read_text().splitlines()) > 1):
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        said, told = running.communicate()
    assert running.returncode == 130, told
    assert "what was written is whole" in told
    assert "certified L2 radius" in " ".join(said.split())
    lines = table.read_text().splitlines()
    assert len(lines) == 2
    (folder / "bright_or_not.py").write_text(MODULE)
    assert certify_command(["images"], **OPTIONS, out=Path("rows.tsv")) == 0
    assert (len(table.read_text().splitlines()), table.read_text().splitlines()[:2]) == (5, lines)
    assert "right: 75% of 4" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (33, 50)])
def test_cosines_leave_what_has_no_noise_and_take_noise_out(size: tuple[int, int]) -> None:
    values = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(thresholded(values, 0.0), values, atol=1e-5, rtol=0)
    flat = torch.tensor([0.2, 0.5, 0.9])[None, :, None, None].expand(2, 3, *size)
    left = (thresholded(flat + 0.1 * values, 0.1) - flat).std() / (0.1 * values).std()
    assert left < 0.5 or size == (1, 1), "a single pixel has its mean alone, which stays"


def test_cosines_mind_nothing_that_a_host_has_set() -> None:
    values = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    plain = thresholded(values, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(thresholded(values, 0.1), plain)
    with torch.inference_mode():
        assert torch.equal(thresholded(values, 0.1), plain)
    given = values.double().requires_grad_()
    thresholded(given, 0.1).sum().backward()
    assert given.grad is not None
    torch.testing.assert_close(thresholded(values.double(), 0.1).float(), plain, atol=1e-4, rtol=0)


def test_two_views_are_the_mean_of_the_image_and_its_half_restored_mirror_image() -> None:
    """A classifier of the left edge: a mirrored view shows it the right one."""

    class LeftEdge(torch.nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            bright = pixels[..., 0].mean(dim=(1, 2))
            return 10 * torch.stack([bright, 1 - bright], dim=1)

    left, right = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    left[..., 0], right[..., 0] = 0.9, 0.3
    left[..., -1], right[..., -1] = 0.0, 0.0
    model = dp.load_classifier(LeftEdge())

    def answers(*, views: bool) -> list[int]:
        settings = Smoothing(sigma=0.1, views=views)
        return [int(NoisyClassifier(model, settings, torch.device("cpu"))(each)[0]) for each in (left, right)]

    assert answers(views=False) == [0, 1]
    assert answers(views=True) == [1, 1], "the dark right edge is the surer answer"
    with pytest.raises(dp.OptionError, match="views must be True or False"):
        dp.certify(left[0], model, views="yes")  # type: ignore[arg-type]
