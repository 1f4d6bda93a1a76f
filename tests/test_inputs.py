"""Images and classifiers as strangers have them: what comes in, what comes out, and in which words it is refused."""

import copy
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor, nn

import deep_protection as dp
from deep_protection import ClassifierError, ImageError, OptionError, OutputError
from deep_protection.cli.folders import images_in
from deep_protection.cli.places import name_error
from deep_protection.cli.purify import purify_command
from deep_protection.cli.restore import inpaint_command
from deep_protection.images import as_image

RAMP = np.repeat(np.arange(40, dtype=np.float32)[None] / 39, 30, axis=0)
HOLES = np.zeros((30, 40), bool)
HOLES[5:9, 5:9] = True
with torch.random.fork_rng():  # or it would depend on which files were imported before this one
    torch.manual_seed(3)  # whose first two answers are not so close that rounding pixels would choose between them
    NETWORK = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4))
NETWORK.eval().requires_grad_(False)
PIXELS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def tiff(values: np.ndarray[Any, Any], **settings: Any) -> bytes:
    data = io.BytesIO()
    tifffile.imwrite(data, values, **settings)
    return data.getvalue()


# Files.

WHITE_IS_ZERO: dict[str, bytes] = {
    "1 bit": tiff(RAMP <= 0.5, photometric="miniswhite"),
    "8 bits": tiff((255 - 255 * RAMP).round().astype(np.uint8), photometric="miniswhite"),
    "16 bits": tiff((65535 - 65535 * RAMP).round().astype(np.uint16), photometric="miniswhite"),
    "16 bits, compressed": tiff(
        (65535 - 65535 * RAMP).round().astype(np.uint16), photometric="miniswhite", compression="zlib"
    ),
    "floats": tiff(1 - RAMP, photometric="miniswhite"),
}


@pytest.mark.parametrize("kind", WHITE_IS_ZERO)
def test_tiff_that_is_white_at_zero_is_as_bright_as_meant(kind: str) -> None:
    seen = as_image(WHITE_IS_ZERO[kind]).pixels[0].numpy()
    meant = RAMP > 0.5 if kind == "1 bit" else RAMP
    assert np.abs(seen - meant).max() < 1 / 255


def test_signed_values_are_said_or_refused() -> None:
    [note] = as_image(tiff((32767 * RAMP).astype(np.int16))).notes
    assert "signed values; they are taken as 16-bit ones" in note
    with pytest.raises(ImageError, match="signed values of 8 bits"):
        as_image(tiff((127 * RAMP).astype(np.int8)))
    with pytest.raises(ImageError, match="integer image with values -100 to"):
        as_image(tiff((32000 * RAMP - 100).astype(np.int16)))


@pytest.mark.parametrize(
    "values", [RAMP.astype(np.float64), np.dstack([RAMP] * 3), RAMP.astype(np.float16)], ids=["64", "colours", "16"]
)
def test_tiff_of_kinds_that_are_not_read_is_called_that(values: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ImageError, match=r"is TIFF, but .* of a sort that is not read .*save it as PNG"):
        as_image(tiff(values, photometric="rgb" if values.ndim == 3 else "minisblack"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_dots_an_inch_turn_with_every_format(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    Image.fromarray((255 * RAMP).astype(np.uint8)).save(data, kind, exif=exif, dpi=(300, 200))
    turned = Image.open(io.BytesIO(dp.purify(data.getvalue(), stop="fixed:1")))
    assert turned.size == (30, 40)
    assert turned.info["dpi"] == pytest.approx((200, 300), abs=0.1)


@pytest.mark.parametrize("kind", ["image", "bytes", "path", "array", "tensor"])
def test_what_lies_under_a_mask_need_be_no_pixel_in_any_kind_of_floats(kind: str, tmp_path: Path) -> None:
    holed = RAMP.copy()
    holed[HOLES] = np.nan
    (tmp_path / "holed.tif").write_bytes(tiff(holed))
    given: Any = {
        "image": Image.fromarray(holed),
        "bytes": tiff(holed),
        "path": tmp_path / "holed.tif",
        "array": holed,
        "tensor": torch.from_numpy(holed),
    }[kind]
    made = dp.inpaint(given, HOLES, stop="fixed:2", fits=1)
    values = np.asarray(Image.open(io.BytesIO(made)) if kind == "bytes" else made)
    assert np.isfinite(values).all()
    assert np.allclose(values[~HOLES], RAMP[~HOLES], atol=1e-6)
    with pytest.raises(ImageError, match="NaN or infinite"):
        dp.inpaint(given, np.roll(HOLES, 10), stop="fixed:2", fits=1)


def test_the_command_fills_floats_with_holes_too(tmp_path: Path) -> None:
    holed = RAMP.copy()
    holed[HOLES] = np.nan
    (tmp_path / "holed.tif").write_bytes(tiff(holed))
    Image.fromarray(HOLES).save(tmp_path / "mask.png")
    out = str(tmp_path / "out.tif")
    assert inpaint_command([str(tmp_path / "holed.tif")], out, mask=tmp_path / "mask.png", stop="fixed:2", fits=1) == 0
    with Image.open(out) as made:
        assert np.isfinite(np.asarray(made)).all()


@pytest.mark.parametrize("kind", [lambda mask: mask.to_sparse(), lambda mask: mask.to("meta")], ids=["sparse", "meta"])
def test_masks_without_values_are_refused(kind: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ImageError, match="the mask is"):
        dp.inpaint(RAMP, kind(torch.from_numpy(HOLES)))


def test_a_transparent_shade_of_sixteen_bits_is_said_to_be_lost() -> None:
    image = Image.fromarray((65535 * RAMP).astype(np.uint16))
    image.info["transparency"] = 0
    assert as_image(image).notes == ("one shade of this 16-bit image is transparent, which is not kept",)


@pytest.mark.parametrize(("ink", "paper"), [(255, 0), (200, 0), (0, 1), (100, 1)])
def test_ink_on_transparent_ground_is_seen_on_the_paper_that_shows_it(ink: int, paper: int) -> None:
    drawn = np.zeros((30, 40, 4), np.uint8)
    drawn[HOLES] = (ink, ink, ink, 255)
    seen = as_image(drawn).on_paper
    assert (seen[:, ~torch.from_numpy(HOLES)] == paper).all()
    assert torch.allclose(seen[:, torch.from_numpy(HOLES)], torch.tensor(ink / 255))


# Folders and outputs.


def test_pipes_among_images_are_left_out_and_counted(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "c")
    found = images_in(tmp_path)
    assert found.images == [tmp_path / "a.png"]
    assert found.notes == (f"{tmp_path}: left out 2 that are pipes or devices (b.png, c)",)


def test_an_output_that_is_a_pipe_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert "not a file that can be replaced" in str(name_error(tmp_path / "b.png"))
    with pytest.raises(OutputError, match="not a file that can be replaced"):
        purify_command([str(tmp_path / "a.png")], str(tmp_path / "b.png"), overwrite=True)


# Tensors.

WRONG: dict[str, Callable[[], Tensor]] = {
    "torch.sparse_coo": lambda: PIXELS.to_sparse(),
    "device meta": lambda: PIXELS.to("meta"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_tensors_without_values_are_refused_everywhere(kind: str) -> None:
    given = WRONG[kind]()
    for do in (
        lambda: dp.purify(given, stop="fixed:1"),
        lambda: dp.protect(NETWORK, quick=True)(given),
        lambda: dp.load_classifier(NETWORK).top(given),
        lambda: dp.attack(NETWORK, given, [0, 1], "fgsm"),
        lambda: dp.detect(given, "lite0"),
    ):
        with pytest.raises(ImageError, match=f"the (batch|tensor) is .*{kind}.*, and pixels are needed one by one"):
            do()


def test_pixels_a_little_outside_are_clamped_with_a_word() -> None:
    """As an attack leaves them, or as normalised ones of a pale image lie."""
    protected = dp.protect(NETWORK, quick=True)
    pale = (PIXELS - 0.5) * 1.08 + 0.5
    for ask in (protected, protected.explain, protected.purify):
        with pytest.warns(UserWarning, match=r"pixels lie up to 0\.0\d+ outside \[0, 1\] and are clamped"):
            ask(pale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        protected(PIXELS)
        protected(pale.clone().requires_grad_())  # an attack on its way


@pytest.mark.parametrize("wrong", [PIXELS * 255, (PIXELS - 0.45) / 0.22, PIXELS.where(PIXELS < 0.9, torch.nan)])
def test_a_classifier_names_no_class_of_what_is_not_pixels(wrong: Tensor) -> None:
    model = dp.load_classifier(NETWORK)
    with pytest.raises(ImageError, match=r"divide by 255|undo the normalisation|NaN"):
        model.top(wrong)
    assert len(model.top((PIXELS - 0.5) * 1.05 + 0.5)) == 2  # as resizing leaves them
    assert model.top(PIXELS[:0]) == []


def test_the_same_photograph_is_judged_the_same_in_every_type(lite0: dp.Classifier, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    array = np.asarray(image)
    image.save(tmp_path / "image.png")
    expected = dp.detect(image, lite0, quick=True)
    for given in (
        array / np.float32(255),
        torch.from_numpy(array.copy()).permute(2, 0, 1),
        array[None],
        (tmp_path / "image.png").read_bytes(),
    ):
        found = dp.detect(given, lite0, quick=True)
        assert (found[0] if isinstance(found, list) else found).evidence == expected.evidence


# DICOM.


def dicom(values: np.ndarray[Any, Any], **elements: Any) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.Rows, file.Columns = values.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
    file.PixelRepresentation, file.PixelData = int(values.dtype.kind == "i"), values.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    data = io.BytesIO()
    file.save_as(data, enforce_file_format=True)
    return data.getvalue()


def test_dicom_padding_of_signed_pixels_may_be_written_unsigned() -> None:
    from pydicom import dcmread

    values = (3000 * RAMP).astype(np.int16)
    values[:, :5] = -2000
    file = dcmread(io.BytesIO(dicom(values)))
    file.add_new("PixelPaddingValue", "US", 65536 - 2000)
    data = io.BytesIO()
    file.save_as(data)
    seen = as_image(data.getvalue()).pixels[0].numpy()
    expected = (values - values[:, 5:].min()) / np.ptp(values[:, 5:])
    assert np.allclose(seen[:, 5:], expected[:, 5:], atol=1e-4)
    assert (seen[:, :5] == 0).all()


def test_dicom_bits_that_lie_high_are_the_same_values() -> None:
    values = (4095 * RAMP).astype(np.uint16)
    low, high = dicom(values, BitsStored=12, HighBit=11), dicom(values << 4, BitsStored=12, HighBit=15)
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    assert torch.equal(as_image(low).pixels, as_image(high).pixels)
    shown = [
        as_image(dicom(each, BitsStored=12, HighBit=bit, **window)).pixels
        for each, bit in ((values, 11), (values << 4, 15))
    ]
    assert torch.equal(*shown)


def test_dicom_of_floats_or_without_pixels_is_called_that() -> None:
    values = (4095 * RAMP).astype(np.uint16)
    for message, elements in {
        "without an image": {"PixelData": b""},
        "pixels of floats": {"FloatPixelData": RAMP.tobytes()},
    }.items():
        with pytest.raises(ImageError, match=message):
            as_image(dicom(values, **elements))


# Classifiers.


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (31, 33), (1, 200)], ids=str)
def test_images_smaller_than_a_networks_kernels_are_one_clear_error(size: tuple[int, int], lite0: Any) -> None:
    pixels = torch.full((1, 3, *size), 0.5)
    shape = f"1×3×{size[0]}×{size[1]}"
    for do in (
        lambda: dp.protect(lite0, quick=True)(pixels),
        lambda: dp.protect(lite0, answer="restored", stop="fixed:1")(pixels),
        lambda: dp.attack(lite0, pixels, [0], "fgsm"),
        lambda: dp.detect(pixels[0], lite0, quick=True),
        lambda: lite0.top(pixels),
    ):
        with pytest.raises(ClassifierError, match=r"cannot answer about \d×3×.* pixels \(.*Kernel size.*\); give it"):
            do()
    with pytest.raises(ClassifierError, match=shape):
        lite0.top(pixels)
    image = Image.new("RGB", size[::-1], "red")  # is resized
    assert isinstance(dp.detect(image, lite0, quick=True), dp.Detection)


def test_weights_of_two_types_are_one_clear_error() -> None:
    network = copy.deepcopy(NETWORK)
    network[4].double()
    for do in (
        lambda: dp.protect(network, quick=True)(PIXELS),
        lambda: dp.attack(network, PIXELS, [0, 1], "pgd"),
        lambda: dp.load_classifier(network).top(PIXELS),
    ):
        with pytest.raises(ClassifierError, match=r"Sequential cannot answer about \d×3×16×16 pixels"):
            do()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_pixels_of_half_precision_are_answered(kind: torch.dtype) -> None:
    for options in ({"quick": True}, {"stop": "fixed:1"}, {"answer": "restored", "views": True, "stop": "fixed:1"}):
        half, whole = (dp.protect(NETWORK, **options)(PIXELS.to(to)) for to in (kind, torch.float32))
        assert half.shape == whole.shape
        assert torch.allclose(half.float(), whole, atol=0.05)


class _Answering(nn.Module):
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.change = NETWORK, change

    def forward(self, pixels: Tensor) -> Tensor:
        return self.change(self.network(pixels))


def test_an_answer_that_is_no_number_is_said() -> None:
    for do in (
        lambda network: dp.protect(network, quick=True)(PIXELS),
        lambda network: dp.protect(network, answer="restored", stop="fixed:1")(PIXELS),
        lambda network: dp.load_classifier(network).top(PIXELS),
        lambda network: dp.attack(network, PIXELS, [0, 1], "fgsm"),
    ):
        with pytest.raises(ClassifierError, match="answer is not finite; its arithmetic may overflow: try float32"):
            do(_Answering(lambda logits: logits * torch.nan))


def test_an_attack_that_gets_no_gradient_says_so() -> None:
    network = _Answering(lambda logits: logits.detach())
    with pytest.raises(ClassifierError, match=r"_Answering gives no gradient.*saltpepper"):
        dp.attack(network, PIXELS, [0, 1], "pgd")
    assert dp.attack(network, PIXELS, network(PIXELS).argmax(dim=1), "saltpepper").adversarial.shape == PIXELS.shape


LABELS: list[Any] = [
    *(np.array([0, 1], kind) for kind in (">i4", "u2", "u8", "i1")),
    *(torch.tensor([0, 1], dtype=kind) for kind in (torch.int16, torch.uint8, torch.int32)),
    (0, 1),
    range(2),
    [np.int64(0), np.uint8(1)],
    [torch.tensor(0), torch.tensor(1)],
]


def test_labels_of_every_whole_type_are_the_same_labels() -> None:
    fixed = np.array([0, 1])
    fixed.setflags(write=False)
    expected = dp.attack(NETWORK, PIXELS, [0, 1], "fgsm").adversarial
    for labels in [*LABELS, fixed]:
        assert torch.equal(dp.attack(NETWORK, PIXELS, labels, "fgsm").adversarial, expected)
    for wrong in ([0.0, 1.0], [True, False], ["0", "1"], None, {0, 1}, [[0], [1]], [2**70, 0], [0]):
        with pytest.raises(OptionError, match="whole"):
            dp.attack(NETWORK, PIXELS, wrong, "fgsm")  # type: ignore[arg-type]
