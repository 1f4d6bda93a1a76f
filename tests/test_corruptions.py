from pathlib import Path

import pytest
import torch
from PIL import Image

import deep_protection as dp
from deep_protection.evaluation import CORRUPTIONS, find_corruption
from deep_protection.evaluation.experiment import make_settings, run_experiment
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.report import write_report
from deep_protection.images import as_image
from deep_protection.stopping import psnr

KINDS = list(dict.fromkeys(name.rpartition("-")[0] for name in CORRUPTIONS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_keeps_size_and_range_and_does_more_the_stronger_it_is(kind: str, photograph: Image.Image) -> None:
    image = as_image(photograph.resize((60, 44))).pixels
    before = image.clone()
    left = []
    for level in (1, 2, 3):
        row = CORRUPTIONS[f"{kind}-{level}"]
        made = row(image, seed=3)
        assert (made.shape, made.dtype) == (image.shape, torch.float32)
        assert made.min() >= 0
        assert made.max() <= 1
        assert torch.equal(made, row(image, seed=3))
        assert torch.equal(made, row(image, seed=4)) == (kind not in {"noise", "haze"})
        assert row.parameters() == {"corruption": row.name, "strength": row.strength}
        left.append(psnr(made, image))
    assert 35 > left[0] > left[1] > left[2] > 6
    assert torch.equal(image, before)


def test_there_are_seven_kinds_of_three_strengths() -> None:
    assert len(CORRUPTIONS) == 21
    assert len(KINDS) == 7
    assert [CORRUPTIONS[f"jpeg-{level}"].strength for level in (1, 2, 3)] == [50, 30, 15]
    assert find_corruption("haze-2").title == "haze, 1.2"
    with pytest.raises(dp.OptionError, match="unknown corruption 'noise-4'; there are: noise-1, noise-2"):
        find_corruption("noise-4")


@pytest.mark.parametrize("wrong", ["noise-4", "noise-1@lite2"])
def test_an_experiment_knows_them_by_name(wrong: str) -> None:
    assert make_settings({"attacks": "corruptions,fgsm"}).attacks == (*CORRUPTIONS, "fgsm")
    with pytest.raises(dp.OptionError, match="unknown attack"):
        make_settings({"attacks": wrong})


def test_they_are_rows_of_nobodys_attack_in_experiment_and_report(tmp_path: Path) -> None:
    names = ("noise-1", "noise-3", "pixelation-2")
    settings = make_settings({"limit": 1, "attacks": names, "defences": "jpeg50,none", "workers": 1})
    run_experiment(settings, tmp_path)
    rows = [row for row in read_table(tmp_path / "results.parquet") if row["tier"] == "corruption"]
    assert len(rows) == len(names) * 2
    assert {row["attack"] for row in rows} == set(names)
    for row in rows:
        assert (row["attack_success"], row["attack_success_8bit"], row["queries"]) == (False, False, 0)
        assert row["error"] is None
        assert row["linf"] > 0
        assert row["top1_correct"] == (row["predicted"] == row["label"])
    write_report(tmp_path)
    report = (tmp_path / "report.md").read_text()
    [line] = [line for line in report.splitlines() if line.startswith("| defence | noise")]
    assert line == "| defence | noise | pixelation | mean | n |"
    assert "Attackers who know more" not in report
