"""Experiments end to end: real attacks, real fits, real processes that are really killed."""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from served import descendants

import deep_protection as dp
from deep_protection.detection import Responses
from deep_protection.evaluation.experiment import Experiment, make_settings, run_experiment
from deep_protection.evaluation.experiment.adaptive import CONFIDENCE, _as_one
from deep_protection.evaluation.experiment.black_box import Asking, NoneLeftError, Questions
from deep_protection.evaluation.experiment.images import labelled_images, recognised
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.judging import as_array
from deep_protection.evaluation.experiment.record import commit_of, keep_settings
from deep_protection.evaluation.experiment.store import RESULT_KEY, Store, read_rows, read_table
from deep_protection.evaluation.experiment.tune import Setting
from deep_protection.evaluation.experiment.units import UNTOUCHED, Attacked, AttackUnit, DefenceUnit, Judged
from deep_protection.evaluation.experiment.worker import Worker
from deep_protection.evaluation.report import Rows, write_report, write_tuning
from deep_protection.evaluation.report.stops import fault, oracle_stops
from deep_protection.stopping import replay

tuning = import_module("deep_protection.evaluation.experiment.tune")  # a function of that name hides it

SMALL = {
    "limit": 2,
    "attacks": "fgsm",
    "defences": "fast,jpeg25,none",
    "stops": "fixed:4,oracle:top1",
    "iterations": 8,
    "workers": 2,
}
TIMES = ("cpu_seconds", "seconds", "attack_seconds", "commit")


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small experiment that has run to its end."""
    out = tmp_path_factory.mktemp("experiment") / "out"
    run_experiment(make_settings(SMALL), out)
    return out


def test_there_is_a_row_for_every_image_attack_defence_and_stop(finished: Path) -> None:
    rows = read_table(finished / "results.parquet")
    keys = {tuple(row[name] for name in RESULT_KEY) for row in rows}
    assert len(keys) == len(rows) == 2 * 2 * (2 + 1 + 1)
    assert {row["stop"] for row in rows if row["defence"] == "fast"} == {"fixed:4", "oracle:top1"}
    assert {row["iterations_run"] for row in rows if row["stop"] == "fixed:4"} == {4}
    points = read_table(finished / "trajectories.parquet")
    assert sorted({row["iteration"] for row in points}) == [2, 4, 6, 8]
    assert {len(row["predicted"]) for row in points} == {5}
    for row in rows:
        if row["attack"] == "none":
            assert row["top1_correct"] == row["clean_correct"] or row["defence"] != "none"
            assert (row["linf"], row["attack_success"]) == (0, False)
        else:
            assert row["linf"] == pytest.approx(8 / 255, abs=1e-5)
            assert row["attack_success"] != row["top1_correct"] or row["defence"] != "none"


def test_a_row_says_what_purify_gives(finished: Path, lite0: dp.Classifier) -> None:
    """The experiment fits longer and keeps everything; what it reports for a stop is what a user of it gets."""
    row = next(r for r in read_table(finished / "results.parquet") if (r["attack"], r["stop"]) == ("fgsm", "fixed:4"))
    image = next(p for p in labelled_images("samples", lite0) if p.name == row["image"])
    clean = image.pixels(lite0)
    unit = AttackUnit(image.name, image.label, "fgsm", 0, True, as_array(clean))
    attacked = InputStore(finished / "inputs", "lite0", make_settings(SMALL).parameters).load(unit)
    assert attacked is not None
    restored = dp.purify(torch.from_numpy(attacked.adversarial), preset="fast", stop="fixed:4", workers=1)
    [[best]] = lite0.top(restored[None], 1)
    assert best.index == row["predicted"]
    with torch.no_grad():
        probabilities = lite0(restored[None]).softmax(-1)[0]
    assert probabilities[image.label].item() == pytest.approx(row["probability_true"], abs=2e-3)


@pytest.mark.parametrize("stop", ["auto", "fixed:4"])
def test_a_row_of_several_fits_says_what_protect_answers(stop: str, lite0: dp.Classifier) -> None:
    pixels = labelled_images("samples", lite0)[0].pixels(lite0)[:, 96:128, 96:128]
    clean = as_array(pixels)
    made = Attacked(clean, UNTOUCHED)
    unit = DefenceUnit("tiny", 3, "none", "thorough", (stop,), 5, True, False, None, clean, made)
    judged = Worker("lite0", "cpu")(unit)
    assert isinstance(judged, Judged)
    [row] = judged.results
    with torch.no_grad():
        model = dp.protect(lite0, answer="restored", preset="thorough", stop=stop, seed=5, workers=1)
        probabilities = model(pixels[None]).softmax(dim=-1)[0]
    assert probabilities[3] > 1e-4, "of less nothing is told apart"
    assert row["predicted"] == probabilities.argmax()
    assert row["probability_true"] == pytest.approx(probabilities[3].item(), rel=1e-3)


def test_running_again_computes_nothing_and_a_new_stop_only_what_is_new(finished: Path) -> None:
    before = (finished / "results.parquet").read_bytes()
    seen: list[tuple[int, int, str]] = []
    run_experiment(make_settings(SMALL), finished, lambda *now: seen.append(now))
    assert seen == [(0, 0, "")]
    assert (finished / "results.parquet").read_bytes() == before


RUN = """
import sys
from deep_protection.evaluation.experiment import Experiment, make_settings, run_experiment

run_experiment(make_settings(eval(sys.argv[1])), sys.argv[2], lambda *now: print(*now, flush=True))
"""
"""Tells each unit when its rows are on disk."""


def started(settings: dict[str, Any], out: Path) -> "subprocess.Popen[str]":
    """An experiment in a process of its own, to be killed."""
    command = [sys.executable, "-c", RUN.replace("sys.argv[2]", "__import__('pathlib').Path(sys.argv[2])")]
    return subprocess.Popen([*command, repr(settings), str(out)], stdout=subprocess.PIPE, text=True)


def wait_for(process: "subprocess.Popen[str]", count: int, what: str) -> None:
    """Until so many units have been told whose title has ``what`` in it."""
    assert process.stdout is not None
    for line in process.stdout:
        count -= what in line
        if count == 0:
            return
    raise AssertionError("the run ended before it could be killed")


@pytest.mark.campaign
def test_kill_9_at_random_moments_loses_nothing_and_doubles_nothing(finished: Path, tmp_path: Path) -> None:
    out, generator = tmp_path / "killed", random.Random(7)  # noqa: S311
    kept = 0
    for _ in range(2):
        process = started({**SMALL, "workers": 1}, out)
        wait_for(process, generator.randint(1, 3), " of ")  # defences, which leave rows
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "results.parquet").exists() or kept
        now = read_rows(out, "results")
        assert len(now) > kept
        kept = len(now)
        assert len({tuple(row[name] for name in RESULT_KEY) for row in now}) == kept
    assert Rows(out).results  # a report can be made of what there is
    run_experiment(make_settings(SMALL), out)
    assert untimed(read_table(out / "results.parquet")) == untimed(read_table(finished / "results.parquet"))
    assert untimed(read_table(out / "trajectories.parquet")) == untimed(read_table(finished / "trajectories.parquet"))
    assert {path.name for path in out.iterdir()} == {path.name for path in finished.iterdir()}


@pytest.mark.campaign
def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    process = started({"attacks": "pgd16", "defences": "fast", "workers": 1}, tmp_path / "out")
    wait_for(process, 1, " of ")  # a worker works
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists() or not hasattr(os, "pidfd_open"):
        process.kill()
        process.communicate()
        pytest.skip("needs Linux's list of child processes")
    born = [os.pidfd_open(int(each)) for each in children.read_text().split()]
    process.kill()
    process.communicate()
    assert born
    for each in born:
        ended, _, _ = select.select([each], [], [], 60)
        os.close(each)
        assert ended, "a worker outlived the run"


@pytest.mark.campaign
def test_one_seed_gives_the_same_rows_by_any_number_of_workers_even_when_one_is_killed(
    tmp_path: Path, finished: Path
) -> None:
    out = tmp_path / "out"
    killed: list[int] = []

    def kill_one(done: int, *_: object) -> None:
        if done >= 3 and not killed:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            workers = [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    run_experiment(make_settings({**SMALL, "workers": 1}), out, kill_one)
    assert killed
    assert untimed(read_table(out / "results.parquet")) == untimed(read_table(finished / "results.parquet"))
    assert untimed(read_table(out / "trajectories.parquet")) == untimed(read_table(finished / "trajectories.parquet"))


@pytest.mark.campaign
def test_ray_gives_the_same_rows_even_when_a_worker_is_killed(tmp_path: Path, finished: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out"
    killed: list[int] = []

    def kill_one(done: int, *_: object) -> None:
        if done >= 3 and not killed:
            killed.extend(sorted(descendants(b"ray::_work"))[:1])
            for each in killed:
                os.kill(each, signal.SIGKILL)

    run_experiment(make_settings({**SMALL, "engine": "ray"}), out, kill_one)
    assert killed
    assert untimed(read_table(out / "results.parquet")) == untimed(read_table(finished / "results.parquet"))
    assert untimed(read_table(out / "trajectories.parquet")) == untimed(read_table(finished / "trajectories.parquet"))


def test_what_is_in_sqlite_and_in_parquet_is_taken_once_and_old_journals_are_read(tmp_path: Path) -> None:
    row = {"image": "a", "attack": "none", "defence": "none", "stop": "none", "seed": 0, "views": False, "label": 1}
    with Store(tmp_path) as store:
        store.add(results=[row])
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]
    before = (tmp_path / "results.parquet").read_bytes()
    line = json.dumps({"results": [{**row, "image": "b"}], "checkpoints": []})
    (tmp_path / "journal.jsonl").write_text(f"{line}\n{line.replace('b', 'c')[:40]}")  # cut off by a kill
    store = Store(tmp_path)
    store.add(results=[row])  # as a kill between the export and the end leaves it
    for found in (store.rows("results"), read_rows(tmp_path, "results")):
        assert sorted(each["image"] for each in found) == ["a", "b"]
    with store:
        pass
    assert [each["image"] for each in read_table(tmp_path / "results.parquet")] == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.parquet"]
    assert before != (tmp_path / "results.parquet").read_bytes()


def test_a_folder_takes_one_run_at_a_time_and_one_experiment(finished: Path, tmp_path: Path, image_file: Path) -> None:
    with Store(tmp_path), pytest.raises(dp.OutputError, match="another run is writing"):
        Store(tmp_path)
    folder = tmp_path / "images" / "0"
    folder.mkdir(parents=True)
    image_file.rename(folder / "x.png")
    with pytest.raises(dp.OptionError, match=r"holds an experiment with images 'samples'"):
        run_experiment(make_settings({**SMALL, "images": str(folder.parent)}), finished)


def test_an_attack_that_breaks_is_a_row() -> None:
    worker = Worker("lite0", "cpu")
    clean = np.full((3, 32, 32), 0.5, np.float32)
    made = worker(AttackUnit("tiny", 2000, "pgd", 0, False, clean))  # there is no class 2000
    assert isinstance(made, Attacked)
    assert made.measured["error"]
    assert not made.measured["attack_success"]
    assert np.array_equal(made.adversarial, clean)


@pytest.mark.parametrize("attack", ["pgd8-random", "pgd8-least@lite1"])
def test_a_targeted_attack_has_succeeded_where_the_target_is_hit(attack: str, lite0: dp.Classifier) -> None:
    worker, image = Worker("lite0", "cpu"), labelled_images("samples", lite0)[0]
    clean = as_array(image.pixels(lite0))
    made = worker(AttackUnit(image.name, image.label, attack, 0, True, clean))
    assert isinstance(made, Attacked)
    assert made.measured["error"] is None
    assert 0 < made.measured["linf"] <= 8 / 255 + 1e-6
    unit = DefenceUnit(image.name, image.label, attack, "none", (), 0, True, False, None, clean, made)
    judged = worker(unit)
    assert isinstance(judged, Judged)
    [row] = judged.results
    assert row["top1_correct"] == (row["predicted"] == image.label)
    # On the classifier itself the target is hit; what was made on another one misses it, whatever it is taken for.
    assert row["attack_success"] == ("@" not in attack)


def test_the_report_says_what_the_rows_say(finished: Path, tmp_path: Path) -> None:
    for name in ("results.parquet", "trajectories.parquet"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    written = write_report(tmp_path)
    assert {path.name for path in written} == {"report.md", "report.html", "stops-fast.png", "course-fast.png"}
    rows = [row for row in read_table(tmp_path / "results.parquet") if row["clean_correct"]]
    own = [row for row in rows if (row["defence"], row["attack"]) == ("jpeg25", "fgsm")]
    share = round(100 * sum(row["top1_correct"] for row in own) / len(own))
    line = next(line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("| JPEG 25"))
    assert line.split("|")[3].strip().startswith(f"{share} /")
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page  # nothing is fetched from anywhere
    with pytest.raises(dp.OptionError, match="holds no results yet"):
        write_report(tmp_path / "nowhere")
    table = pq.read_table(tmp_path / "results.parquet")
    place = table.schema.get_field_index("clean_correct")
    wrong = table.set_column(place, "clean_correct", pa.array([False] * len(table)))
    pq.write_table(wrong, tmp_path / "results.parquet")
    with pytest.raises(dp.OptionError, match="are the labels those of this classifier"):
        write_report(tmp_path)


def test_rows_of_some_attacks_and_defences_only(finished: Path) -> None:
    assert Rows(finished).attacks == ["fgsm"]
    assert Rows(finished, attacks=("pgd",)).attacks == []
    rows = Rows(finished, attacks=("fgsm",), defences=("none", "jpeg25", "protected"))
    assert [each.title for each in rows.groups] == ["nothing", "JPEG 25"]
    assert rows.groups == {key: rows for key, rows in Rows(finished).groups.items() if key.name != "fast"}


def _point(iteration: int, first: int) -> dict[str, Any]:
    return {"iteration": iteration, "label": 1, "predicted": [first, 8, 7, 6, 5]}


@pytest.mark.parametrize(
    ("answers", "count", "kind", "stop"),
    [
        ([9, 1, 1], 20, None, 20),
        ([9, 1, 9], 30, "overfit", 20),
        ([9, 9, 1], 20, "underfit", 30),
        ([1, 9, 1], 20, "overfit", 10),
        ([9, 9, 9], 20, "never right", None),
    ],
)
def test_faults_of_a_fixed_count_and_the_oracles_stop(
    answers: list[int], count: int, kind: str | None, stop: int | None
) -> None:
    points = [_point(10 * (number + 1), answer) for number, answer in enumerate(answers)]
    assert fault(points, count, k=1) == kind
    assert oracle_stops([points], k=1) == [stop]


@pytest.mark.campaign
def test_an_attacker_who_knows_the_defence_gets_through_jpeg(tmp_path: Path) -> None:
    """The control: BPDA must beat what an attacker who does not know cannot."""
    given = {"limit": 2, "attacks": "pgd@lite0", "adaptive": "bpda,bpda-low", "adaptive_samples": 1, "judgements": 1}
    run_experiment(make_settings({**given, "defences": "jpeg25"}), tmp_path)
    rows = read_table(tmp_path / "results.parquet")
    right = {name: sum(row["top1_correct"] for row in rows if row["attack"] == name) for name in ("pgd@lite0", "bpda")}
    assert right["bpda"] < right["pgd@lite0"]
    assert {row["tier"] for row in rows} == {"oblivious", "transfer", "adaptive"}


def test_a_matching_attacker_pushes_what_is_not_yet_wrong_by_the_margin() -> None:
    """The image's own answer, which is moved most easily, does not run away alone."""
    own, views, restored = torch.zeros(3, requires_grad=True), torch.zeros(4, 3, requires_grad=True), torch.zeros(4, 3)
    far = torch.tensor([0.0, CONFIDENCE + 1, 0.0])
    right = torch.tensor([2.0, 0.0, -1.0])
    seen = Responses(own + far, views + right, restored + far, restored + far, restored + far)
    logits = _as_one(seen, label=0)
    assert logits.argmax() == 1, "most answers are wrong by the margin"
    logits[0].backward()
    assert own.grad is not None
    assert views.grad is not None
    assert (own.grad == 0).all()
    assert (views.grad[:, 0] > 0).sum() == 3  # of the references; the first view is the image, which counts as such
    assert _as_one(replace(seen, original=right), label=0)[0] > logits[0]


@pytest.mark.campaign
def test_an_attacker_who_matches_the_first_look_is_through_unflagged(tmp_path: Path) -> None:
    """Five answers made wrong by a margin, without one fit."""
    given = {"limit": 1, "attacks": "", "adaptive": "bpda-first", "adaptive_samples": 1, "judgements": 1, "workers": 1}
    given |= {"adaptive_epsilon": 8, "recognised": True}
    run_experiment(make_settings({**given, "defences": "protected"}), tmp_path)
    clean, row = sorted(read_table(tmp_path / "results.parquet"), key=lambda row: row["tier"] == "adaptive")
    assert clean["top1_correct"]
    assert (row["tier"], row["answer"], row["top1_correct"]) == ("adaptive", "own", False)
    assert row["p_value"] > 0.3, "the look with a fit was needed"


def test_an_error_of_the_defended_model_is_no_failed_attack() -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = 3

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            self.left -= 1
            if not self.left:
                raise ValueError("broken")
            return torch.tensor([[1.0, 0.0]]).expand(len(pixels), -1)

    spec = Asking(queries=30).spec("query-hopskipjump")
    with pytest.raises(ValueError, match="broken"):
        dp.attack(Broken(), torch.full((1, 3, 8, 8), 0.5), torch.tensor([0]), spec)


def test_the_question_that_fools_most_within_bounds_is_remembered() -> None:
    clean = torch.full((3, 8, 8), 0.5)

    class Steps(torch.nn.Module):
        """Right up to a brightness of 0.55, then the wronger the brighter."""

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            change = pixels.mean(dim=(1, 2, 3)) - 0.55
            return torch.stack([torch.zeros_like(change), change], dim=1)

    questions = Questions(Steps(), clean, 0, Asking(queries=6, epsilon=0.1))
    for shift in (0.01, 0.3, 0.2, 0.07, 0.09, 0.02):
        questions(clean[None] + shift)
    assert torch.allclose(questions.best, clean + 0.09)
    with pytest.raises(NoneLeftError):
        questions(clean[None])


def test_tuning_goes_on_where_it_was_and_says_what_came_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings({"limit": 1, "attacks": "fgsm", "iterations": 10, "defences": "fast"})
    chosen = [Setting(), Setting("momentum", "relu", 3.0, 8, 2)]
    monkeypatch.setattr(tuning, "grid", lambda: chosen[:1])
    tuning.tune(settings, tmp_path)
    first = read_table(tmp_path / "results.parquet")
    monkeypatch.setattr(tuning, "grid", lambda: chosen)
    seen: list[str] = []
    tuning.tune(settings, tmp_path, lambda done, total, last: seen.append(f"{done}/{total} {last}"))
    rows = read_table(tmp_path / "results.parquet")
    assert len(seen) == 1
    assert "momentum 3, relu, 8×2" in seen[0]
    assert [row for row in rows if row["optimiser"] == "adam"] == first
    assert {row["defence"] for row in rows} == {setting.name for setting in chosen}
    assert len({row["probability_true"] for row in rows}) == len(rows)
    (file,) = (tmp_path / "inputs" / "fgsm").glob("*.npz")
    given = torch.from_numpy(np.load(file)["adversarial"])
    own = dp.load_classifier("lite0")(dp.purify(given, stop="fixed:10", workers=1)[None]).softmax(dim=-1)
    assert first[0]["probability_true"] == pytest.approx(own[0, first[0]["label"]].item(), abs=1e-5)
    tuning.tune(settings, tmp_path, lambda *_: pytest.fail("done already"), only=[Setting().name])
    with pytest.raises(dp.OptionError, match="no setting 'adam'"):
        tuning.tune(settings, tmp_path, only=["adam"])
    write_tuning(tmp_path)
    assert "(shipped)" in (tmp_path / "tune.md").read_text()


def test_every_setting_of_the_grid_is_another() -> None:
    names = [setting.name for setting in tuning.grid()]
    assert len(names) == len(set(names)) == 51
    assert "adam 0.01, swish, 16×3" in names


def test_replay_ends_a_fit_as_the_rule_would_have() -> None:
    image = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    long = dp.purify(image, stop="fixed:30", return_details=True, keep_outputs=True, workers=1)
    short = dp.purify(image, stop="fixed:10", return_details=True, workers=1)
    ended = replay(dp.Fixed(10), long.trajectory)
    assert ended.iterations_run == ended.iteration_chosen == 10
    assert torch.equal(ended.restored, short.image)
    assert ended.reason == short.stop_reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attacks": "magic"}, "unknown attack 'magic'; there are: autoattack"),
        ({"defences": "magic"}, "unknown defence 'magic'; there are: protected, protected-quick"),
        ({"stops": "magic"}, "unknown stop rule 'magic'"),
        ({"stops": "oracle:top9"}, "unknown oracle 'oracle:top9'"),
        ({"black_box": "bpda"}, "unknown black-box attack 'bpda'; there are: query-square"),
        ({"limit": 0}, "limit: Input should be greater"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_wrong_settings_are_told_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(dp.OptionError, match=message):
        make_settings(given)


def test_what_cannot_be_run_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(dp.ClassifierError, match="unknown classifier 'magic'"):
        run_experiment(make_settings({**SMALL, "attacks": "pgd@magic"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(dp.OutputError, match="choose another --out"):
        run_experiment(make_settings(SMALL), tmp_path / "file")


def test_settings_come_from_a_file_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text('attacks = ["poster", "pgd8"]\nlimit = 3\n')
    settings = make_settings({"limit": 5}, str(file))
    assert settings.limit == 5
    assert len(settings.attacks) == 9
    with pytest.raises(dp.OptionError, match="cannot be read"):
        make_settings({}, str(tmp_path / "missing.toml"))
    file.write_text("limit = ")
    with pytest.raises(dp.OptionError, match="is not TOML"):
        make_settings({}, str(file))


def test_images_that_are_wrong_anyway_can_be_left_out(lite0: dp.Classifier) -> None:
    everything = labelled_images("samples", lite0)
    right = [each for each in everything if lite0.top(each.pixels(lite0)[None])[0][0].index == each.label]
    assert len(right) < len(everything)
    assert recognised(everything, lite0) == right
    assert recognised(everything, lite0, 3) == right[:3]


def test_folders_are_classes_by_id_index_or_name(tmp_path: Path, lite0: dp.Classifier, image_file: Path) -> None:
    folder = tmp_path / "images"
    for name in ("n01440764", "1", "great white shark"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x.png").write_bytes(image_file.read_bytes())
    assert sorted(each.label for each in labelled_images(str(folder), lite0)) == [0, 1, 2]
    assert len(labelled_images(str(folder), lite0, limit=2)) == 2
    (folder / "magic").mkdir()
    with pytest.raises(dp.OptionError, match="folders that name no class of lite0: magic"):
        labelled_images(str(folder), lite0)
    with pytest.raises(dp.OptionError, match="is no folder"):
        labelled_images(str(tmp_path / "nowhere"), lite0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(dp.OptionError, match="no images in"):
        labelled_images(str(tmp_path / "empty"), lite0)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_packages_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of whatever repository lies around the environment: a row would name a state that never made it."""

    def git(*command: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
        command = ("git", "-C", str(tmp_path), *who, *command)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    own, installed = (tmp_path / part / "deep_protection" for part in ("src", "env/lib/site-packages"))
    for package in (own, installed):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
    git("init", "-q")
    git("add", "env")
    git("commit", "-q", "-m", "an environment that was committed")
    assert commit_of(own) is None, "it is not tracked"
    git("add", "src")
    git("commit", "-q", "-m", "the package")
    assert commit_of(own) == git("rev-parse", "--short=12", "HEAD")
    assert commit_of(installed) is None
    assert commit_of(tmp_path / "nothing") is None
    (own / "__init__.py").write_text("changed = True")
    changed = git("rev-parse", "--short=12", "HEAD") + "-dirty"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as in a hook of another repository
    assert commit_of(own) == changed


OWN = """
import torch
from types import SimpleNamespace
from dataclasses import replace
from deep_protection.restoration import PRESETS

def grainy(images):
    assert images.shape[0] == 1
    return (images + 0.01 * torch.randn(images.shape)).clamp(0, 1)

class Sure:
    def __init__(self, classifier):
        self.classifier = classifier

    def explain(self, images):
        return [SimpleNamespace(logits=each) for each in self.classifier(images)]

SHORT = replace(PRESETS["fast"], stop="fixed:3")

def smaller(images):
    return images[..., :-1]

def brighter(images):
    return images + 0.5

def broken(images):
    raise RuntimeError("no such thing")

NUMBER = 5
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module with defences, in the folder that we are in."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.campaign
def test_an_attacker_who_knows_goes_through_the_fit_and_is_judged_by_fresh_seeds(own: str, tmp_path: Path) -> None:
    given = {"limit": 1, "attacks": "", "adaptive": "bpda", "adaptive_steps": 2, "judgements": 2, "stops": "preset"}
    run_experiment(make_settings({**given, "defences": f"{own}:SHORT", "workers": 1}), tmp_path)
    rows = [row for row in read_table(tmp_path / "results.parquet") if row["tier"] == "adaptive"]
    assert [(row["seed"], row["error"]) for row in rows] == [(1, None), (2, None)]
    assert all(0 < row["linf"] <= 4 / 255 + 1e-6 for row in rows)
    assert rows[0]["probability_true"] != rows[1]["probability_true"]


@pytest.mark.parametrize(("attack", "queries", "limit"), [("query-square", 60, 1), ("query-hopskipjump", 24, 1)])
@pytest.mark.campaign
def test_an_attacker_who_may_only_ask_keeps_to_the_budget(
    attack: str, queries: int, limit: int, own: str, tmp_path: Path
) -> None:
    """Against nothing at all Square finds something in 60 questions, where one without a budget would go on."""
    if attack == "query-square":
        pytest.importorskip("torchattacks")
    given = {"limit": limit, "attacks": "", "black_box": attack, "queries": queries, "workers": 1}
    given["adaptive_epsilon"] = 24
    short = f"{own}:SHORT"  # every question costs a whole fit
    run_experiment(make_settings({**given, "defences": ("none", short), "stops": "preset", "judgements": 2}), tmp_path)
    rows = [row for row in read_table(tmp_path / "results.parquet") if row["tier"] == "black-box"]
    assert {(row["defence"], row["seed"]) for row in rows} == {("none", 1), (short, 1), (short, 2)}
    for row in rows:
        assert row["error"] is None
        assert row["linf"] <= 24 / 255 + 1e-6
        assert row["queries"] == queries or row["attack_success"]
        assert row["linf"] > 0 or not row["attack_success"]
    if attack == "query-square":  # HopSkipJump needs thousands of questions to come so near
        assert any(row["attack_success"] for row in rows if row["defence"] == "none")
    write_report(tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert f"{attack} (black-box)" in report
    assert "median questions" in report


@pytest.mark.campaign
def test_your_own_defences_are_run_beside_the_others(own: str, tmp_path: Path) -> None:
    defences = [import_module(own).grainy, f"{own}:Sure", f"{own}:SHORT", "none"]
    given = {"adaptive": "bpda", "adaptive_steps": 1, "judgements": 1, "stops": "preset", "defences": defences}
    rows = Experiment(None, attacks="fgsm", limit=1, **given).run(tmp_path / "out")
    of = {(row["defence"].partition(":")[2] or row["defence"], row["attack"]): row for row in rows}
    assert {name for name, _ in of} == {"grainy", "Sure", "SHORT", "none"}
    assert {attack for _, attack in of} == {"none", "fgsm", "bpda"}
    assert all(row["error"] is None for row in rows)
    for attack in ("none", "fgsm"):  # Sure answers what the classifier does
        assert of["Sure", attack]["predicted"] == of["none", attack]["predicted"]
        assert of["grainy", attack]["probability_true"] != of["none", attack]["probability_true"]
    assert of["SHORT", "none"]["stop"] == "fixed:3"
    assert of["SHORT", "none"]["iterations_run"] == 3
    assert all(0 < of[name, "bpda"]["linf"] <= 4 / 255 + 1e-6 for name in ("grainy", "Sure", "SHORT"))
    again = Experiment(attacks="fgsm", defences=[f"{own}:grainy"], limit=1).run(tmp_path / "again")
    own_rows = [row for row in rows if "grainy" in row["defence"] and row["attack"] != "bpda"]
    columns = again[0]  # of one that answers by itself there are more
    assert untimed(again) == untimed([{name: row[name] for name in columns} for row in own_rows])
    write_report(tmp_path / "out")
    assert f"`{own}:grainy`" in (tmp_path / "out/report.md").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smaller", r"has to give images of shape \(1, 3, 224, 224\), got \(1, 3, 224, 223\)"),
        ("brighter", "has to give values from 0 to 1, got 0.5"),
        ("broken", "failed: RuntimeError: no such thing"),
        ("NUMBER", "is neither a function of images"),
        ("missing", "cannot be imported"),
    ],
)
def test_a_defence_that_cannot_defend_is_refused_before_anything_is_computed(
    name: str, message: str, own: str, tmp_path: Path
) -> None:
    with pytest.raises(dp.OptionError, match=message):
        Experiment(attacks="fgsm", defences=f"{own}:{name}", limit=1).run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_defence_that_has_changed_does_not_go_on_under_its_name(own: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"attacks": "", "defences": f"{own}:grainy", "limit": 1}
    (tmp_path / "out").mkdir()
    keep_settings(make_settings(given), tmp_path / "out")  # as a run begins
    record = tmp_path / "out/experiment.json"
    kept = json.loads(record.read_text())
    kept["own"] = dict.fromkeys(kept["own"], "another")
    record.write_text(json.dumps(kept))
    with pytest.raises(dp.OptionError, match=r"holds rows of own_.*:grainy with other settings"):
        Experiment(**given).run(tmp_path / "out")


def test_a_function_that_worker_processes_cannot_find_is_refused() -> None:
    with pytest.raises(dp.OptionError, match="cannot be found by worker processes"):
        Experiment(defences=[lambda images: images])
