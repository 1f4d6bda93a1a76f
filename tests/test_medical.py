"""DICOM files written here with pydicom, read and restored; and experiments on images that nobody has labelled."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import refused, run
from numpy.typing import NDArray
from PIL import Image

import deep_protection as dp
from deep_protection import Classifier, ImageError
from deep_protection.evaluation.experiment import make_settings, run_experiment
from deep_protection.evaluation.experiment.images import labelled_images
from deep_protection.evaluation.experiment.record import keep_settings
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.fidelity import detail_kept
from deep_protection.evaluation.report import write_report
from deep_protection.images import as_image, read_image
from deep_protection.images.convert import to_rgb8

RAMP = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 5
"""12 bits, from 0 to 3835."""


def dicom(values: NDArray[Any] = RAMP, **elements: Any) -> bytes:
    """A secondary capture of 12 bits, MONOCHROME2, or of RGB; elements are added, or for None left out."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    colour = values.ndim == 3 and values.shape[-1] == 3
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.PatientName = "Nobody^Drawn"
    dataset.Rows, dataset.Columns = values.shape[-3:-1] if colour else values.shape[-2:]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = 8 * values.itemsize
    dataset.BitsStored = 8 if values.itemsize == 1 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = values.tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def shown(data: bytes) -> NDArray[np.uint16]:
    """The image in a DICOM file, 0 to 65535."""
    image, name, notes = read_image(data)
    assert name == "DICOM"
    assert "not a DICOM" in notes[0]
    assert image.mode == "I;16"
    return np.asarray(image)


def test_without_a_window_all_values_are_shown() -> None:
    values = shown(dicom())
    assert (values.min(), values.max()) == (0, 65535)
    assert np.abs(values - RAMP / 3835 * 65535).max() <= 0.5
    assert any("no window" in note for note in read_image(dicom())[2])


def test_a_window_is_applied() -> None:
    values = shown(dicom(WindowCenter=2000, WindowWidth=1000))
    assert (values[RAMP < 1500] == 0).all()
    assert (values[RAMP > 2500] == 65535).all()
    inside = (RAMP > 1510) & (RAMP < 2490)
    assert np.abs(values[inside] / 65535 - (RAMP[inside] - 1500) / 1000).max() < 0.002


def test_units_are_those_of_the_window() -> None:
    hounsfield: dict[str, Any] = {
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "WindowCenter": 3000,
        "WindowWidth": 2000,
    }
    assert np.abs(shown(dicom(**hounsfield)) - shown(dicom(WindowCenter=2000, WindowWidth=1000)).astype(int)).max() < 99


def test_signed_values_are_shown_too() -> None:
    values = shown(dicom(RAMP.astype(np.int16) - 2000, WindowCenter=0, WindowWidth=1000))
    assert np.abs(values - shown(dicom(WindowCenter=2000, WindowWidth=1000)).astype(int)).max() < 99


def test_what_is_white_where_it_is_low_is_turned_round() -> None:
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000}
    one, two = (shown(dicom(PhotometricInterpretation=kind, **window)) for kind in ("MONOCHROME1", "MONOCHROME2"))
    assert np.abs(65535 - one.astype(int) - two).max() <= 1


def test_a_table_of_values_is_looked_up() -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.sqrt(np.arange(4096) / 4095 * 65535.0**2).astype(np.uint16).tobytes()
    values = shown(dicom(VOILUTSequence=Sequence([table])))
    assert np.abs(values / 65535 - np.sqrt(RAMP / 4095)).max() < 0.001


WINDOW: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000}
ODD: dict[str, dict[str, Any]] = {
    "empty window": {"WindowCenter": "", "WindowWidth": ""},
    "half a window": {"WindowCenter": 500},
    "width of 0": {"WindowCenter": 500, "WindowWidth": 0},
    "negative width": {"WindowCenter": 500, "WindowWidth": -4},
    "no tables": {"VOILUTSequence": []},
    "empty scale": {"RescaleSlope": "", "RescaleIntercept": ""},
    "slope alone": {"RescaleSlope": 2},
    "slope of 0": {"RescaleSlope": 0, "RescaleIntercept": 3},
    "empty padding": {"PixelPaddingValue": ""},
}


@pytest.mark.parametrize("kind", ODD)
def test_empty_and_odd_elements_are_shown_from_least_to_greatest(kind: str) -> None:
    data = dicom(**ODD[kind])
    assert np.array_equal(shown(data), shown(dicom()))
    assert "from its least to its greatest value" in read_image(data)[2][-1]


@pytest.mark.parametrize("odd", [{"VOILUTSequence": []}, {"VOILUTFunction": ""}, {"RescaleSlope": ""}])
def test_a_window_beside_an_empty_element_is_applied(odd: dict[str, Any]) -> None:
    assert np.array_equal(shown(dicom(**WINDOW, **odd)), shown(dicom(**WINDOW)))


def test_an_empty_table_of_values_gives_way_to_the_window() -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]  # and no data
    data = dicom(VOILUTSequence=Sequence([table]), **WINDOW)
    assert np.array_equal(shown(data), shown(dicom(**WINDOW)))
    assert any("cannot be used" in note for note in read_image(data)[2])


def test_padding_is_no_least_value() -> None:
    values = RAMP.astype(np.int16) + 1000
    padded = values.copy()
    padded[0] = -2000
    alone = (values[1:].astype(float) - values[1:].min()) / np.ptp(values[1:])
    found = shown(dicom(padded, PixelPaddingValue=-2000, BitsStored=16, HighBit=15)) / 65535
    assert np.abs(found[1:] - alone).max() < 1e-4
    assert (found[0] == 0).all()


def test_an_old_file_without_a_header_is_read(tmp_path: Path) -> None:
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(dicom(BitsStored=None, HighBit=None, PixelRepresentation=None)))
    del dataset.file_meta
    dataset.save_as(tmp_path / "OLD.DCM", implicit_vr=True, little_endian=True)
    image, _, notes = read_image(tmp_path / "OLD.DCM")
    assert np.array_equal(np.asarray(image), shown(dicom()))
    assert "taken for granted: BitsStored 16, HighBit 15, PixelRepresentation 0, TransferSyntaxUID" in notes[1]


def test_a_flat_image_is_black() -> None:
    assert (shown(dicom(np.full((4, 4), 7, np.uint16))) == 0).all()


def test_colours_are_kept() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(read_image(dicom(colours))[0]), colours)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dicom(np.stack([RAMP, RAMP]), NumberOfFrames=2), "2 frames"),
        (dicom(PixelData=None), "without an image"),
        (dicom()[:600], "damaged|without an image"),
        (dicom()[:-200], "truncated or damaged|cannot be decoded"),
        (dicom(Rows=60000, Columns=60000), "million pixels"),
        (dicom(PhotometricInterpretation="CMYK"), "CMYK"),
    ],
    ids=["frames", "none", "cut-header", "cut-pixels", "huge", "kind"],
)
def test_what_cannot_be_used_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        dp.purify(data)


def test_a_name_alone_makes_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ImageError, match=r"a\.dcm"):
        dp.purify(path)


def test_sixteen_bits_come_back_and_no_dicom_does(tmp_path: Path) -> None:
    path = tmp_path / "chest.dcm"
    path.write_bytes(dicom(WindowCenter=2000, WindowWidth=3000))
    with pytest.warns(UserWarning, match="not a DICOM"):
        restored = dp.purify(path, stop="fixed:2")
    assert restored.mode == "I;16"
    assert restored.size == (32, 24)
    with pytest.warns(UserWarning, match="not a DICOM"):
        content = dp.purify(path.read_bytes(), stop="fixed:2")
    assert content.startswith(b"\x89PNG")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(restored))


@pytest.mark.filterwarnings("ignore::UserWarning")  # notes on how it is shown, tested elsewhere
def test_what_the_document_tells_to_type_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chest.dcm").write_bytes(dicom())
    monkeypatch.chdir(tmp_path)
    document = (Path(__file__).parents[1] / "docs/medical.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(snippet, "docs/medical.md", "exec"), names)  # noqa: S102  (our own document)
    assert names["restored"].startswith(b"\x89PNG")


def test_the_command_writes_pngs_beside_other_images(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "chest.dcm").write_bytes(dicom())
    (source / "film.dcm").write_bytes(dicom(np.stack([RAMP, RAMP]), NumberOfFrames=2))
    Image.fromarray(RAMP).save(source / "grey.png")
    done = run("denoise", source, "-o", out, "--stop", "fixed:2", "--json")
    assert done.returncode == 1
    said = done.stderr.decode()
    assert "2 frames" in said
    assert "not a DICOM" in said
    assert json.loads(done.stdout)["summary"] == {"restored": 2, "left": 0, "skipped": 0, "failed": 1}
    assert sorted(path.name for path in out.iterdir()) == ["chest.dcm.png", "grey.png"]
    assert {read_image(path)[0].mode for path in out.iterdir()} == {"I;16"}
    refused(run("denoise", source / "chest.dcm", "-o", tmp_path / "restored.dcm"), "suffix .dcm")


def test_a_classifier_sees_sixteen_bits_scaled() -> None:
    deep = Image.fromarray(RAMP * 17)
    assert np.array_equal(np.asarray(to_rgb8(deep))[..., 0], np.round(np.asarray(deep) / 257).astype(np.uint8))


def test_detail_that_is_kept_is_counted() -> None:
    image = as_image(Image.effect_noise((64, 64), 60)).pixels
    smooth = as_image(Image.effect_noise((64, 64), 60).resize((8, 8)).resize((64, 64))).pixels
    assert detail_kept(image, image) == pytest.approx(1)
    assert detail_kept((image + 0.1).clamp(0, 1), image) > 0.9
    assert abs(detail_kept(smooth, image)) < 0.2
    assert detail_kept(image, image * 0) == 1


def test_what_nobody_has_labelled_is_labelled_by_the_classifier(
    lite0: Classifier, photograph: Image.Image, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    (folder / "any").mkdir(parents=True)
    photograph.save(folder / "a.png")
    photograph.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(folder / "any" / "b.png")
    (folder / "chest.dcm").write_bytes(dicom())
    images = labelled_images(str(folder), lite0, labels="predicted")
    assert sorted(each.name for each in images) == ["a.png", "any/b.png", "chest.dcm"]
    given = {"images": str(folder), "labels": "predicted", "attacks": "fgsm", "defences": "jpeg25,none", "workers": 1}
    run_experiment(make_settings(given), tmp_path / "out")
    rows = read_table(tmp_path / "out" / "results.parquet")
    assert len(rows) == 3 * 2 * 2
    assert all(row["clean_correct"] for row in rows)
    assert {row["label"] for row in rows} == {each.label for each in images}
    for row in rows:
        if (row["attack"], row["defence"]) == ("none", "none"):
            assert row["top1_correct"]
            assert row["detail_kept"] == pytest.approx(1)
    write_report(tmp_path / "out")
    report = (tmp_path / "out" / "report.md").read_text()
    assert "Nobody has labelled" in report
    assert "small structure kept" in report
    assert "poster" not in report
    with pytest.raises(dp.OptionError, match="labels 'predicted', not 'folders'"):
        keep_settings(make_settings({**given, "labels": "folders"}), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(dp.OptionError, match="no images"):
        labelled_images(str(tmp_path / "empty"), lite0, labels="predicted")
