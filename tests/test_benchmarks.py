"""The benchmarks measure what they say: peers are what they claim to be, and interrupted runs lose nothing."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import rows
from benchmarks.peers.dipdefend import DipDefend
from benchmarks.peers.published import PublishedRecipe
from benchmarks.peers.published_restoration import NOTEBOOKS, PublishedRestoration
from benchmarks.studies import certification
from benchmarks.studies.performance import recovery, scale, stacked
from benchmarks.studies.performance.ideas import IDEAS
from benchmarks.studies.performance.long_fits import LONG
from benchmarks.studies.restoration.cases import FACTOR, Case, shrunk
from PIL import Image
from torch import Tensor

import deep_protection as dp
from deep_protection.attacks import find_attack
from deep_protection.evaluation.experiment import Subjects, make_settings
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.fitting.networks import Networks
from deep_protection.generators import PaperGenerator, find_generator
from deep_protection.generators.layers import Conv
from deep_protection.images import as_image


@pytest.fixture(scope="module")
def square(photograph: Image.Image) -> Tensor:
    return as_image(photograph.resize((64, 64))).pixels


def test_paper_and_the_published_recipe_do_the_same_maths(square: Tensor) -> None:
    """From the same weights and noise, our network and the one in plain PyTorch give the same image and gradient.

    Our Adam is compared with PyTorch's elsewhere; a few steps of both would drift apart by rounding alone.
    """
    published = PublishedRecipe(square, seed=0)
    theirs = list(published.network.parameters())

    class Given(PaperGenerator):
        def init_parameters(self, seed: int) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
            del seed
            return given, published.noise[0]

    generator = Given(64, 64)
    places = [(name, which) for name, layer in generator.layers().items() for which in ("weight", "bias")]
    given = {place: laid_out(weights.detach()) for place, weights in zip(places, theirs, strict=True)}
    ours = Networks(generator, 1, torch.float32, torch.device("cpu"))
    ours.init_row(0, square, seed=0)
    drawn, expected = ours(), published.network(published.noise)
    assert torch.allclose(drawn, expected, atol=1e-4)
    gradient = ours.gradient((drawn - square).square().mean())
    wanted = dict(zip(places, torch.autograd.grad((expected - square).square().mean(), theirs), strict=True))
    row = torch.cat([laid_out(wanted[place]).flatten() for place in ours.places])
    assert (gradient[0] - row).norm() < 1e-3 * row.norm()


def laid_out(weights: Tensor) -> Tensor:
    """As our layers keep them: channels last."""
    return weights.permute(0, 2, 3, 1) if weights.dim() == 4 else weights


@pytest.mark.parametrize("method", LONG)
def test_a_peer_that_was_put_away_goes_on_as_if_it_had_not_been(method: str, square: Tensor) -> None:
    make, _ = LONG[method]
    straight, first, second = make(square, 1), make(square, 1), make(square, 2)
    first.advance_only(2)
    second.load_state_dict(first.state_dict())
    assert second.iteration == 2
    second.advance_only(2)
    straight.advance_only(4)
    assert torch.equal(second.output(), straight.output())


@pytest.mark.parametrize("task", NOTEBOOKS)
def test_a_published_restoration_that_was_put_away_goes_on_as_if_it_had_not_been(task: str, square: Tensor) -> None:
    seen = shrunk(square[None], FACTOR)[0] if task == "upscale" else square
    case = Case(task, "square", square, seen)
    straight, first, second = (PublishedRestoration(task, seen, (64, 64), case.see, seed) for seed in (1, 1, 2))
    first.advance_only(1)
    second.load_state_dict(first.state_dict())
    second.advance_only(2)
    straight.advance_only(3)
    assert second.iteration == 3
    assert torch.equal(second.output(), straight.output())


def test_dipdefend_fits_every_tile_by_itself(square: Tensor) -> None:
    fit = DipDefend(square, 0)
    assert torch.equal(fit.to_image(fit.to_tiles(square)), square)
    before = fit.network(fit.noise).detach()
    with torch.no_grad():
        fit.noise[:, 0] += 1
    changed = (fit.to_image(fit.network(fit.noise).detach()) - fit.to_image(before)).abs().amax(dim=0) > 1e-6
    assert changed[:32, :32].any()
    changed[:32, :32] = False
    assert not changed.any()


def test_a_line_cut_off_in_writing_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows.append(path, [{"a": 1}, {"a": 2}])
    path.write_bytes(path.read_bytes()[:-4])
    rows.append(path, [{"a": 3}])
    assert rows.read(path) == [{"a": 1}, {"a": 3}]


def test_recovery_is_measured_once(tmp_path: Path) -> None:
    before = b""
    for _ in range(2):
        recovery.run("samples", tmp_path / "inputs", tmp_path, ["none", "fast"], ["none"], limit=2, iterations=10)
        written = (tmp_path / "recovery.parquet").read_bytes()
        assert written == (before or written)
        before = written
    found = read_table(tmp_path / "recovery.parquet")
    assert [(row["method"], row["iteration"]) for row in found] == [("fast", 10)] * 2 + [("none", 0)] * 2
    assert all(row["top1_correct"] and row["psnr_clean"] == 99 for row in found[2:])
    assert all(15 < row["psnr_clean"] < 40 and row["cpu_seconds"] > 0 for row in found[:2])


@pytest.mark.campaign
def test_a_point_of_scale_is_measured_in_processes_of_its_own() -> None:
    point = {"what": "cores", "count": 1, "size": 64, "workers": 1, "device": "cpu"}
    figures = scale.in_processes(point)
    assert figures["peak_mib"] >= figures["peak_mib_before"] > 50
    assert figures["images_a_second"] > 0
    with pytest.raises(SystemExit, match="failed"):
        scale.in_processes({**point, "workers": 0, "processes": 2})


@pytest.mark.campaign
def test_the_script_for_a_gpu_measures_batches_until_the_next_would_take_too_long(tmp_path: Path) -> None:
    """Its path on the CPU; a GPU adds the graph of an iteration."""
    given = {**os.environ, "PYTHON": sys.executable, "BATCHES": "1,2", "SECONDS_EACH": "0", "COMPARED": "2"}
    script = Path(__file__).parents[1] / "benchmarks/gpu.sh"
    subprocess.run(["/bin/sh", script, "cpu", tmp_path], env=given, check=True, capture_output=True)
    head, restored, answered, *measured = rows.read(tmp_path / "gpu.jsonl")
    assert head["device"] == "cpu"
    assert restored["psnr_least"] == 120
    assert answered["same_class"] == answered["same_kind_of_answer"] == answered["images"] == 2
    batches = [row for row in measured if "batch" in row]
    assert [row["batch"] for row in batches] == [1] * 5
    assert all(row["images_a_second"] == pytest.approx(1 / row["seconds"], rel=0.02) for row in batches)
    assert [row["draws_at_once"] for row in measured if row["what"] == "certificate"] == [1]
    assert [row["images"] for row in measured if row["what"] == "iteration"] == [1]
    convolutions = [row for row in measured if row["what"] == "convolution"]
    layers = find_generator("fast")(stacked.SIDE, stacked.SIDE).modules()
    assert sum(row["times"] for row in convolutions) == sum(isinstance(layer, Conv) for layer in layers)
    assert max(row["furthest"] for row in convolutions) < 0.02, "both ways are the same convolution, but for rounding"


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_patches_and_groups_are_the_same_convolution(kernel: int, stride: int) -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, 9, 6, generator=random)
    weight = torch.randn(3, 5, 4, kernel, kernel, generator=random)
    one, two = (way(maps, weight, stride, kernel // 2) for way in stacked.WAYS.values())
    torch.testing.assert_close(one, two)


def test_programs_that_run_together_are_counted_together() -> None:
    one = {"count": 4, "begin": 100.0, "end": 104.0, "cpu_seconds": 4.0, "peak_mib": 300.0, "peak_mib_before": 200.0}
    two = {**one, "begin": 101.0, "end": 105.0, "cpu_seconds": 2.0}
    assert scale.together([one, two]) == {
        "seconds_an_image": 5 / 8,
        "cpu_seconds_an_image": 6 / 8,
        "images_a_second": 8 / 5,
        "peak_mib": 600,
        "peak_mib_before": 400,
    }


def test_an_idea_says_what_it_was_measured_of() -> None:
    assert len({idea.settings for idea in IDEAS if not idea.views}) == len(IDEAS) - 1


def test_subjects_are_attacked_once_and_again_where_the_attack_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another strength was given out for the attack of today, as long as both had one name."""
    subjects = Subjects(make_settings({"attacks": "fgsm", "limit": 1, "recognised": True}), tmp_path)
    [unit] = subjects
    assert unit.clean_correct
    before = subjects.under(unit, "fgsm").adversarial
    assert np.array_equal(subjects.under(unit, "fgsm").adversarial, before)
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    monkeypatch.setitem(dp.attacks.ATTACKS, "fgsm", replace(find_attack("fgsm"), epsilon=2 / 255))
    after = subjects.under(unit, "fgsm").adversarial
    assert abs(after - unit.clean).max() < 2.1 / 255 < abs(before - unit.clean).max()
    assert len(list(tmp_path.rglob("*.npz"))) == 2


def test_certificates_are_measured_once_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "rows.jsonl"
    threads = torch.get_num_threads()
    try:
        for _ in range(2):
            certification.run("samples", ["none"], 0.05, 10, 0.001, 1, out)
        certification.run("samples", ["dct"], 0.2, 10, 0.01, 1, out, views=True, radius=0.05)
    finally:
        torch.set_num_threads(threads)
    row, asked = rows.read(out)
    assert asked["certified"] == 0 or asked["certified"] >= 0.05
    assert (row["denoiser"], row["sigma"], row["samples"]) == ("none", 0.05, 10)
    assert 0 <= row["count"] <= 10
    assert (row["prediction"] is None) == (row["certified"] == 0)
    monkeypatch.setattr(certification, "ROWS", out)
    assert "| none | 0.05 | 10 |" in certification.certified()
    [line] = [line for line in certification.certified().splitlines() if "| 0.2 |" in line]
    assert [cell.strip() == "–" for cell in line.split("|")[4:10]] == [True, False, True, True, True, True]
    assert line.split("|")[5].strip()[0].isdigit()
    assert "Of 1 of 100 images so far" in certification.certified()
