"""The command as a user runs it: real files, real pipes, a real process where it matters that it is one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import refused, run, run_apart
from PIL import Image
from torch import Tensor

import deep_protection as dp
from deep_protection.cli import doctor
from deep_protection.cli.given import seen_by
from deep_protection.cli.plan import plan
from deep_protection.cli.restore import inpaint_command
from deep_protection.errors import DeepProtectionError
from deep_protection.images import encode, read_image, to_pillow

QUICK = ["--stop", "fixed:4"]


def opened(path: Path) -> Image.Image:
    """The image, decoded, its file closed."""
    with Image.open(path) as image:
        image.load()
        return image.copy()


def test_one_file(image_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.webp"
    result = run("purify", image_file, "-o", out, *QUICK)
    assert result.returncode == 0, result.stderr
    assert b"1 image restored" in result.stderr
    with Image.open(out) as restored:
        assert (restored.format, restored.size) == ("WEBP", (40, 30))
    assert not list(tmp_path.glob(".*")), "something was left behind"


def test_the_command_and_the_library_agree(image_file: Path, tmp_path: Path) -> None:
    run("purify", image_file, "-o", tmp_path / "out.png", "--seed", "5", *QUICK)
    expected = np.array(dp.purify(image_file, stop="fixed:4", seed=5))
    assert (np.array(opened(tmp_path / "out.png")) == expected).all()


def test_existing_output_is_kept_unless_told(image_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    refused(run("purify", image_file, "-o", out, *QUICK), "add --overwrite")
    assert out.read_bytes() == b"precious"
    assert run("purify", image_file, "-o", out, "--overwrite", *QUICK).returncode == 0
    assert opened(out).size == (40, 30)


@pytest.fixture
def tree(small: Image.Image, tmp_path: Path) -> Path:
    """A folder as people have it: subfolders, several formats, a hidden file, a text, a broken image."""
    root = tmp_path / "in"
    (root / "deep" / "er").mkdir(parents=True)
    small.save(root / "a.png")
    small.convert("L").save(root / "deep" / "b.jpg")
    small.save(root / "deep" / "er" / "c.gif")
    (root / "notes.txt").write_text("no image")
    (root / ".hidden.png").write_bytes(b"x")
    (root / "deep" / "broken.png").write_bytes((root / "a.png").read_bytes()[:200])
    return root


def test_a_folder_keeps_its_tree_and_one_bad_file_does_not_stop_the_rest(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("purify", tree, "-o", out, "--json", *QUICK)
    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert report["summary"] == {"restored": 3, "left": 0, "skipped": 0, "failed": 1}
    assert "broken.png is truncated or damaged" in result.stderr.decode()
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == ["a.png", "deep/b.jpg", "deep/er/c.gif.png"]
    assert opened(out / "deep" / "b.jpg").mode == "L"
    one = next(row for row in report["results"] if row["output"].endswith("a.png"))
    assert (one["status"], one["iteration_chosen"], one["preset"], one["tiles"]) == ("restored", 4, "fast", 1)

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    again = run("purify", tree, "-o", out, "--json", *QUICK)
    assert json.loads(again.stdout)["summary"] == {"restored": 0, "left": 0, "skipped": 3, "failed": 1}
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}


def test_an_output_folder_inside_the_input_is_not_read_as_input(tree: Path) -> None:
    (tree / "deep" / "broken.png").unlink()
    for _ in range(2):
        assert run("purify", tree, "-o", tree / "restored", *QUICK).returncode == 0
    assert len([path for path in (tree / "restored").rglob("*") if path.is_file()]) == 3


def test_pipes(image_file: Path) -> None:
    result = run_apart("purify", "-", "-o", "-", *QUICK, stdin=image_file.read_bytes())
    assert result.returncode == 0, result.stderr
    (image_file.parent / "piped.png").write_bytes(result.stdout)
    with Image.open(image_file.parent / "piped.png") as restored:
        assert (restored.format, restored.size) == ("PNG", (40, 30))


def test_bad_input_is_one_line_on_stderr(image_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    text = tmp_path / "text.png"
    text.write_text("hello")
    empty = tmp_path / "empty"
    empty.mkdir()
    cases: list[tuple[list[Any], str]] = [
        (["purify", tmp_path / "no.png", "-o", out], "does not exist"),
        (["purify", empty, "-o", tmp_path / "o"], "holds no images"),
        (["purify", image_file, "-o", tmp_path / "out.xyz"], "has suffix .xyz"),
        (["purify", image_file, "-o", tmp_path / "missing" / "out.png"], "choose another output"),
        (["purify", image_file, "-o", out, "--stop", "soon"], "unknown stop rule"),
        (["purify", image_file, "-o", out, "--stop", "oracle"], "needs the true labels"),
        (["purify", image_file, "-o", out, "--preset", "x"], "unknown preset"),
        (["purify", image_file, "-o", out, "--device", "cuda:77"], "cannot be used here"),
        (["purify", image_file, "-o", out, "--seed", "x"], "--seed"),
        (["purify", image_file], "--output"),
        (["purify", "-", image_file, "-o", tmp_path / "o"], "from standard input needs a file"),
        (["purify", image_file, image_file, "-o", "-"], "only one image can go to standard output"),
        (["purify", image_file, "-o", "-", "--json"], "both want standard output"),
        (["classify", image_file, "--classifier", "x"], "unknown classifier"),
        (["purify", image_file, image_file.parent, "-o", tmp_path / "both.png"], "names one image"),
        (["purify", "", "-o", out], "an empty name is no file"),
        (["fly"], "No such command"),
    ]
    for arguments, message in cases:
        refused(run(*arguments), message)
    refused(run_apart(*cases[0][0]), cases[0][1])
    assert not out.exists()

    more: list[tuple[list[Any], str]] = [
        (["purify", text, "-o", out, "--quiet"], "not an image"),
        (["purify", "-", "-o", out, "--quiet"], "is empty"),
    ]
    for arguments, message in more:
        refused(run(*arguments), message)
    assert not out.exists()


def test_two_images_for_one_place_are_refused_before_any_work(small: Image.Image, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        small.save(tmp_path / name / "same.png")
    with pytest.raises(DeepProtectionError, match="would both be written to"):
        plan([str(tmp_path / "one"), str(tmp_path / "two" / "same.png")], str(tmp_path / "out"))


def test_ctrl_c_keeps_what_is_finished_and_goes_on_later(small: Image.Image, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(16):
        small.rotate(number).save(folder / f"{number:02}.png")
    command = [sys.executable, "-m", "deep_protection", "purify", str(folder), "-o", str(out), "--stop", "fixed:300"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored in what a shell runs behind itself
    )
    while len(list(out.glob("*.png"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.decode().splitlines()[-1].startswith("error: interrupted; what was written is whole")
    done = list(out.glob("*.png"))
    assert 2 <= len(done) < 16
    for path in done:
        opened(path)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    finished = json.loads(run("purify", folder, "-o", out, "--stop", "fixed:2", "--json").stdout)["summary"]
    assert finished == {"restored": 16 - len(done), "left": 0, "skipped": len(done), "failed": 0}


def test_an_animation_is_said_to_be_one(small: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    small.save(path, save_all=True, append_images=[Image.new("RGB", small.size)])
    result = run("purify", path, "-o", tmp_path / "still.png", *QUICK)
    assert result.returncode == 0
    assert "note: " in result.stderr.decode()
    assert "only the first is used" in " ".join(result.stderr.decode().split())


@pytest.fixture(scope="module")
def pair(
    attacked: Tensor, recognised: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An image that was attacked and the same as it was, as files of which lite0 sees just these pixels."""
    folder = tmp_path_factory.mktemp("pair")
    for name, pixels in (("attacked", attacked[0]), ("clean", recognised[0][0])):
        around = Image.new("RGB", (256, 256))
        around.paste(to_pillow(pixels), (16, 16))
        around.save(folder / f"{name}.png")
    return folder / "attacked.png", folder / "clean.png"


def test_classify_protected_by_contrast(
    pair: tuple[Path, Path], lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    result = run("classify", *pair, "--protect", "--json")
    assert result.returncode == 0, result.stderr
    attacked, clean = json.loads(result.stdout)["results"]
    right = lite0.label(int(recognised[1][0]))
    assert attacked["top5"][0]["label"] != right
    assert [each["top5_protected"][0]["label"] for each in (attacked, clean)] == [right, right]
    pixels = torch.stack([lite0.preprocess(opened(path)) for path in pair])
    with torch.no_grad():
        expected = dp.protect(lite0).explain(pixels)
    for found, ours in zip((attacked, clean), expected, strict=True):
        told = found["explanation"]
        assert set(told) == {"answer", "reason", "is_suspicious", "p_value", "agreement", "strength"}
        assert {name: told[name] for name in ("answer", "reason")} == {"answer": ours.answer, "reason": ours.reason}
        assert told["agreement"] == pytest.approx(ours.agreement, abs=1e-4)
    assert [each["explanation"]["answer"] for each in (attacked, clean)] == ["contrast", "own"]
    for ours, theirs in zip(clean["top5_protected"], clean["top5"], strict=True):
        assert ours == {**theirs, "probability": pytest.approx(theirs["probability"], abs=1e-5)}


def test_classify_tells_which_answer_was_taken(pair: tuple[Path, Path]) -> None:
    shown = " ".join(re.sub("[│┃]", " ", run("classify", pair[0], "--protect", "--quick").stdout.decode()).split())
    assert "suspicious" in shown
    assert re.search(r"\(contrast, p 0\.0\d\)", shown), shown
    bare = run("classify", pair[1]).stdout.decode()
    assert "%" in bare
    assert "suspicious" not in bare


def test_classify_by_the_restored_image_alone(pair: tuple[Path, Path], lite0: dp.Classifier) -> None:
    options = ("--protect", "--answer", "restored", "--stop", "fixed:6")
    (found,) = json.loads(run("classify", pair[0], *options, "--json").stdout)["results"]
    assert found["explanation"] is None
    pixels = lite0.preprocess(opened(pair[0]))
    best = lite0.top(dp.purify(pixels, stop="fixed:6")[None])[0]
    assert [each["index"] for each in found["top5_protected"]] == [each.index for each in best]
    # Only where the detector flags something is there anything to restore.
    (left,) = json.loads(run("classify", pair[1], *options, "--when", "suspicious", "--json").stdout)["results"]
    assert [each["index"] for each in left["top5_protected"]] == [each["index"] for each in left["top5"]]
    assert "restored image" in run("classify", pair[1], *options).stdout.decode()


def test_options_of_the_protection_are_checked(pair: tuple[Path, Path], tmp_path: Path) -> None:
    refused(run("classify", pair[1], "--protect", "--answer", "best"), "answer must be one of contrast, restored")
    refused(run("classify", pair[1], "--protect", "--when", "never"), "when must be one of always, suspicious")
    refused(run("classify", pair[1], "--protect", "--answer", "restored", "--quick"), "quick fits nothing")
    refused(run("classify", pair[1], "--protect", "--false-positive-rate", "0"), "false-positive rate must be between")
    other = tmp_path / "other.json"
    replace(dp.Calibration.shipped("lite0"), classifier="lite1", first_look=None).save(other)
    refused(run("classify", pair[1], "--protect", "--calibration", other), "not 'lite0'")


def test_names_that_look_like_markup_are_shown_as_they_are(photograph: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "shot [draft] [red].png"
    photograph.save(path)
    result = run("classify", path.name, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "shot [draft] [red].png" in result.stdout.decode()


def test_classify_reports_bad_files_and_goes_on(photograph: Image.Image, tmp_path: Path) -> None:
    photograph.save(tmp_path / "dog.png")
    (tmp_path / "bad.png").write_bytes(b"bad")
    result = run("classify", tmp_path, "--json")
    report = json.loads(result.stdout)
    assert result.returncode == 1
    assert (len(report["results"]), len(report["failed"])) == (1, 1)


@pytest.mark.campaign
def test_demo_makes_the_table_the_numbers_and_the_image(tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo", "--images", "2", "--stop", "fixed:3")
    assert result.returncode == 0, result.stderr
    table = result.stdout.decode()
    assert "JPEG 25" in table
    assert "protected" in table
    assert "best of" in table
    numbers = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert [row["attack"] for row in numbers["results"]] == ["none", "pgd", "fgsm", "saltpepper"]
    clean, pgd = numbers["results"][:2]
    assert (clean["defences"]["protected"]["top1"], clean["answered"]["own"]) == (1.0, 2)
    assert (pgd["n"], pgd["defences"]["none"]["top1"]) == (2, 0.0)
    assert {"quantise", "jpeg50", "median3", "tv", "protected"} <= set(pgd["defences"])
    with Image.open(tmp_path / "demo" / "demo.png") as image:
        assert image.width > 800
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 50
    assert {each.name for each in (tmp_path / "demo").iterdir()} == {"results.json", "demo.png"}


@pytest.mark.campaign
def test_demo_ends_at_ctrl_c_with_all_its_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "deep_protection", "demo", "--out", str(tmp_path / "demo")]
    demo = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    if not children.exists():
        demo.kill()
        demo.communicate()
        pytest.skip("needs Linux's list of child processes")
    while demo.poll() is None and len(children.read_text().split()) < 2:  # one of them tracks what is shared
        time.sleep(0.1)
    time.sleep(1)  # they are still importing, and would print a traceback
    os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: every process of the group
    out, err = demo.communicate(timeout=120)  # both pipes are closed once the last process has gone
    assert (demo.returncode, out) == (130, b""), err
    assert err.decode().splitlines() == ["error: interrupted; what was written is whole"]
    assert not list((tmp_path / "demo").iterdir())


def test_doctor_proves_that_it_works() -> None:
    result = run("doctor", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["fit"]["works"]
    assert report["fit"]["iterations"] > 0
    assert report["classifiers"]["lite0"] == "here, works offline"
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(report["extras"]) == set(declared["optional-dependencies"])
    assert report["extras"]["attacks"] == f"foolbox {version('foolbox')}"
    assert f"foolbox {version('foolbox')}" in report["extras"]["demo"].split(", "), "of an extra that it is made of"
    said = run("doctor").stdout
    assert b"short fit" in said
    assert b"extra [demo]" in said


def test_doctor_calls_absent_what_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra lacks what the extras that it is made of lack."""

    def found(package: str) -> str:
        if package == "foolbox":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", found)
    assert [doctor._extra_state(extra) for extra in ("attacks", "demo", "experiment")] == ["absent: foolbox"] * 3
    assert doctor._extra_state("plots") == f"matplotlib {version('matplotlib')}"


def test_help_and_version() -> None:
    said = run("--help").stdout.decode()
    headings = ["Protect a classifier", "Restore images", "Maps", "Evaluate", "Serve", "This installation"]
    places = [said.index(f"─ {heading} ─") for heading in headings]
    assert places == sorted(places)
    assert places[2] < said.index("extract-text") < places[3]
    assert b"--stop" in run("purify", "--help").stdout
    assert run_apart("--version").stdout.strip().count(b".") == 2


@pytest.mark.parametrize("arguments", [[], ["detect"], ["experiment"]])
def test_no_arguments_give_help(arguments: list[str]) -> None:
    """With the exit code of an error, for nothing was done; and nothing more is said."""
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (2, b"")
    assert result.stdout == run(*arguments, "--help").stdout.removesuffix(b"\n")


def test_the_help_of_detect_shows_its_options_and_its_other_command() -> None:
    said = run("detect", "--help").stdout
    assert all(word in said for word in (b"IN...", b"--false-positive-rate", b"--json", b"calibrate"))
    refused(run("detect", "calibrate"), "See deep-protection detect calibrate --help.")


def test_a_folder_may_have_the_name_of_the_command_that_has_none(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    refused(run("detect", "images", cwd=tmp_path), "images holds no images")


@contextmanager
def piped(data: bytes) -> Iterator[str]:
    """A name under which ``data`` can be read once, as ``<(cat FILE)`` gives one."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    yield f"/dev/fd/{read}"
    os.close(read)


def test_what_comes_through_a_pipe_is_read_once(lite0: dp.Classifier, tmp_path: Path) -> None:
    given = b"".join([(b"P6 16 16 255\n"), bytes(range(256)) * 3])
    Image.new("L", (16, 16)).save(tmp_path / "black.png")
    out = tmp_path / "out.png"
    with piped(to_png(given)) as name:
        assert inpaint_command([name], str(out), mask=tmp_path / "black.png", quiet=True) == 0
    assert out.read_bytes() == to_png(given)
    with piped(given) as name:
        pixels, _ = seen_by(name, [lite0, lite0], quiet=True)  # several classifiers, one reading
        assert len(pixels) == 2


def to_png(data: bytes) -> bytes:
    return encode(read_image(data)[0], "PNG")
