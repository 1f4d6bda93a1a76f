"""Arrays, tensors and Pillow images drawn at random: the same kind, size and type comes back, or one clear error.

What is sound is restored, what is not is refused before anything is fitted, and nothing that was given is changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.studies.inputs.trial import tiny_classifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import deep_protection as dp
from deep_protection import Calibration, Classifier
from deep_protection.errors import DeepProtectionError, ImageError

Draw = st.DrawFn
# A fit is slow on a busy machine, and the fixture that watches the host's state is meant to watch the whole test.
SAME_EVERY_TIME = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def examples(count: int) -> Callable[[Any], Any]:
    return settings(SAME_EVERY_TIME, max_examples=count)


@dataclass(frozen=True)
class Given:
    """Something to restore."""

    value: Any
    is_sound: bool
    """Whether it is of a layout, type and range that are taken."""


SOUND_KINDS = ("uint8", "uint16", "float16", "float32", "float64", "longdouble", ">u2", ">f4")
ODD_KINDS = ("bool", "int8", "int16", "int32", "int64", "uint32", "uint64", "complex64", "O")
TENSOR_KINDS = (torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float32, torch.float64)
ODD_TENSOR_KINDS = (torch.bool, torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64)
SIDES = st.one_of(st.integers(16, 24), st.integers(1, 3))


@st.composite
def shapes(draw: Draw, *, channels_last: bool) -> tuple[tuple[int, ...], bool]:
    """A shape, and whether it is of an image or a batch."""
    size = (draw(SIDES), draw(SIDES))
    match draw(st.sampled_from(("flat", "image", "image", "batch", "odd"))):
        case "flat":
            return size, True
        case "image":
            count = draw(st.sampled_from((1, 3, 4)))
            return ((*size, count) if channels_last else (count, *size)), True
        case "batch":
            several, count = draw(st.integers(0, 2)), draw(st.sampled_from((1, 3, 4)))
            return ((several, *size, count) if channels_last else (several, count, *size)), True
        case _:
            odd = ((), (5,), (5, 0), (2, 5, 7), (2, 2, 3, 3, 3), (0, 5, 3), (5, 6, 2), (3, 6, 5, 5))
            return draw(st.sampled_from(odd)), False


@st.composite
def values(draw: Draw, shape: tuple[int, ...], *, is_float: bool) -> tuple[np.ndarray[Any, Any], bool]:
    """Floats in [0, 1], and whether all are: some are not where ``is_float``."""
    chance = np.random.default_rng(draw(st.integers(0, 99)))
    made = np.asarray(chance.random(shape) * draw(st.sampled_from((1.0, 0.0, 0.01))))
    bad = draw(st.sampled_from((None, None, None, np.nan, np.inf, -np.inf, -0.5, 200.0, 1e300))) if is_float else None
    if bad is not None and made.size:
        made.flat[chance.integers(made.size)] = bad
    return made, bad is None or not made.size


def laid_out(array: np.ndarray[Any, Any], how: str) -> np.ndarray[Any, Any]:
    """The same values in another order of bytes in memory, or in one that cannot be written to."""
    if not array.ndim:
        return array
    if how == "fortran":
        return np.asfortranarray(array)
    if how == "negative":
        return np.ascontiguousarray(array[tuple(slice(None, None, -1) for _ in array.shape)])[
            tuple(slice(None, None, -1) for _ in array.shape)
        ]
    if how == "apart":
        apart = np.repeat(array, 2, axis=-1)
        return apart[..., ::2]
    if how == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if how == "masked":
        return np.ma.masked_array(array, mask=np.zeros(array.shape, bool))
    return array


@st.composite
def arrays(draw: Draw) -> Given:
    shape, is_image = draw(shapes(channels_last=True))
    kind = draw(st.sampled_from((*SOUND_KINDS, *SOUND_KINDS, *ODD_KINDS)))
    is_float = np.dtype(kind).kind == "f"
    made, in_range = draw(values(shape, is_float=is_float))
    if not is_float:
        top = np.iinfo(kind).max if np.dtype(kind).kind in "iu" else 1
        made = (made * min(int(top), 2**53)).astype(np.int64)
    with np.errstate(over="ignore"):
        made = np.asarray(made).astype(kind)
    made = laid_out(made, draw(st.sampled_from(("plain", "fortran", "negative", "apart", "read-only", "masked"))))
    return Given(made, is_image and in_range and kind in SOUND_KINDS)


@st.composite
def tensors(draw: Draw) -> Given:
    shape, is_image = draw(shapes(channels_last=False))
    kind = draw(st.sampled_from((*TENSOR_KINDS, *TENSOR_KINDS, *ODD_TENSOR_KINDS)))
    made, in_range = draw(values(shape, is_float=kind.is_floating_point))
    top = 1 if kind.is_floating_point or kind.is_complex or kind == torch.bool else torch.iinfo(kind).max
    scaled = made if top == 1 else (made * min(top, 2**53)).astype(np.int64)
    tensor = torch.from_numpy(np.asarray(scaled)).to(kind)
    how = draw(st.sampled_from(("plain", "gradient", "parameter", "turned", "apart", "expanded", "nowhere", "sparse")))
    match how:
        case "gradient" if kind.is_floating_point:
            tensor.requires_grad_()
        case "parameter" if kind.is_floating_point:
            tensor = torch.nn.Parameter(tensor)
        case "turned" if tensor.ndim > 1:
            tensor = tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
        case "apart" if tensor.ndim:
            tensor = tensor.repeat_interleave(2, dim=-1)[..., ::2]
        case "expanded" if tensor.ndim > 2 and tensor.shape[0] > 0:
            tensor = tensor[:1].expand(tensor.shape)
            in_range = in_range or bool(((tensor >= 0) & (tensor <= 1)).all())
        case "nowhere":
            tensor = tensor.to("meta")
        case "sparse" if kind != torch.uint16:  # PyTorch makes none
            tensor = tensor.to_sparse()
    held = tensor.device.type == "cpu" and tensor.layout == torch.strided
    return Given(tensor, is_image and in_range and held and kind in TENSOR_KINDS)


MODES = ("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
NUMBERS = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
INFO: dict[str, tuple[Any, ...]] = {
    "dpi": ((300, 300), (0, 0), (float("nan"), 1), 300, "many", (1,), (10**9, 10**9)),
    "icc_profile": (b"", b"not a profile", None, "text"),
    "gamma": (0.45, -1.0, 1e30, "bright"),
    "transparency": (3, 999, (1, 2, 3), b"\x00\x80", b"", "none", None),
    "exif": (b"", b"Exif\0\0garbage", b"MM"),
    "chromaticity": ((1.0,) * 8, (1,), (1e30,) * 8),
    "srgb": (0, 999, "yes"),
}


@st.composite
def pillow_images(draw: Draw) -> Given:
    size = (draw(SIDES), draw(SIDES))
    mode = draw(st.sampled_from((*MODES, *NUMBERS)))
    chance = np.random.default_rng(draw(st.integers(0, 99)))
    in_range = True
    if mode in NUMBERS:
        made, in_range = draw(values((size[1], size[0]), is_float=mode in ("F", "I")))
        in_range = in_range or (mode == "I" and size == (0, 0))
        scale = 1 if mode == "F" else 65535
        with np.errstate(all="ignore"):
            kept = np.nan_to_num(made, nan=-1, posinf=2**30, neginf=-(2**30)).clip(-9, 9) if mode == "I" else made
            kind = {"F": np.float32, "I": np.int32}.get(mode, np.uint16)
            image = Image.fromarray((kept * scale).astype(kind))
        if mode.startswith("I;16") and mode != image.mode:
            image = Image.frombytes(mode, size, np.asarray(image).astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        content = chance.integers(0, 256, (size[1], size[0] * bands), np.uint8).tobytes()
        image = Image.frombytes(mode, size, content if mode != "1" else content * 2)
    for name in draw(st.lists(st.sampled_from(sorted(INFO)), max_size=2)):
        image.info[name] = draw(st.sampled_from(INFO[name]))
    return Given(image, in_range)


def looks(value: Any) -> tuple[Any, ...]:
    """Kind, size and type."""
    if isinstance(value, Image.Image):
        return Image.Image, value.size, _COMES_BACK.get(value.mode, "RGB")
    kind = torch.Tensor if isinstance(value, torch.Tensor) else np.ndarray
    return kind, tuple(value.shape), value.dtype


_COMES_BACK = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "PA": "RGBA", "RGBA": "RGBA", "RGBa": "RGBA", "F": "F"} | {
    **dict.fromkeys(NUMBERS[2:], "I;16"),
    "I": "I",
}


def content(value: Any) -> Any:
    """All that is to be as it was afterwards."""
    if isinstance(value, Image.Image):
        return value.mode, value.size, value.tobytes(), repr(value.info)
    if isinstance(value, torch.Tensor):
        dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        return "nowhere" if dense.is_meta else dense.to(torch.complex128).numpy().tobytes()
    return value.tolist().__repr__(), value.flags.writeable


def check(case: Given, act: Callable[[Any, Callable[[Any], None]], Any]) -> None:
    """What is sound comes back as it should; a refusal comes before anything was fitted."""
    before = content(case.value)
    steps: list[Any] = []
    made: Any = None
    refusal = None
    try:
        made = act(case.value, steps.append)
    except DeepProtectionError as error:
        refusal = error
    assert content(case.value) == before, "what was given is another now"
    if refusal is not None:
        assert not case.is_sound, f"refused what is sound: {refusal}"
        assert not steps, "refused after something was fitted"
        return
    if not isinstance(case.value, Image.Image) or "transparency" not in case.value.info:
        assert looks(made) == looks(case.value)
    assert isinstance(made, Image.Image) or case.is_sound or made.shape[0] == 0  # of no images none is unsound


def purified(value: Any, progress: Callable[[Any], None]) -> Any:
    return dp.purify(value, stop="fixed:1", workers=1, progress=progress)


@pytest.mark.filterwarnings("ignore:the largest value of a 16-bit image")  # which is one of ours
@examples(150)
@given(case=arrays())
def test_arrays_are_restored_or_refused(case: Given) -> None:
    check(case, purified)


@pytest.mark.filterwarnings("ignore:the largest value of a 16-bit image")
@pytest.mark.filterwarnings("ignore:one shade of this 16-bit image")
@examples(150)
@given(case=tensors())
def test_tensors_are_restored_or_refused(case: Given) -> None:
    check(case, purified)


@pytest.mark.filterwarnings("ignore:the largest value of a 16-bit image")
@pytest.mark.filterwarnings("ignore:one shade of this 16-bit image")
@examples(120)
@given(case=pillow_images())
def test_pillow_images_are_restored_or_refused(case: Given) -> None:
    check(case, purified)


@pytest.mark.filterwarnings("ignore:the largest value of a 16-bit image")
@pytest.mark.filterwarnings("ignore:one shade of this 16-bit image")
@examples(40)
@given(cases=st.lists(st.one_of(arrays(), tensors(), pillow_images()), max_size=3))
def test_of_a_list_all_are_restored_or_it_is_refused(cases: list[Given]) -> None:
    one_each = [case for case in cases if not hasattr(case.value, "ndim") or case.value.ndim < 4]
    steps: list[Any] = []
    try:
        made = dp.purify([case.value for case in one_each], stop="fixed:1", workers=1, progress=steps.append)
    except ImageError:
        assert not all(case.is_sound for case in one_each)
        assert not steps
    else:
        assert [type(each) for each in made] == [
            Image.Image if isinstance(case.value, Image.Image) else looks(case.value)[0] for case in one_each
        ]


@st.composite
def masks(draw: Draw) -> Any:
    """For images of 20×18, most of the time."""
    chance = np.random.default_rng(draw(st.integers(0, 99)))
    hidden = chance.random((18, 20)) < draw(st.sampled_from((0.0, 0.3, 1.0)))
    kind = draw(st.sampled_from((*("bool", "uint8", "uint16", "int64", "float32", "float64") * 2, "complex64", "O")))
    size = draw(st.sampled_from((*[(18, 20)] * 9, (20, 18), (0, 0), (18, 20, 1), (18,))))
    with np.errstate(invalid="ignore"):
        made = np.resize(hidden, size) * draw(st.sampled_from((1, 1, 1, 255, 65535, -1, np.nan)))
        mask = made.astype(kind if np.isfinite(made).all() else "float32")
    match draw(st.sampled_from(("array", "array", "tensor", "image", "read-only", "masked"))):
        case "tensor" if mask.dtype != object:
            return torch.from_numpy(np.ascontiguousarray(mask))
        case "image" if mask.ndim == 2 and mask.size and mask.dtype.kind in "bu" and mask.dtype.itemsize < 3:
            return Image.fromarray(mask)
        case "masked":
            return np.ma.masked_array(mask)
        case _:
            return laid_out(mask, "read-only")


@pytest.mark.filterwarnings("ignore:the largest value of a 16-bit image")
@pytest.mark.filterwarnings("ignore:one shade of this 16-bit image")
@examples(80)
@given(mask=masks(), is_masked_nan=st.booleans(), kind=st.sampled_from(("float32", "uint8", "tensor")))
def test_masks_fill_or_are_refused(mask: Any, is_masked_nan: bool, kind: str) -> None:
    image = np.random.default_rng(0).random((18, 20, 3)).astype(np.float32)
    if is_masked_nan:
        image[3] = np.nan
    value: Any = (np.nan_to_num(image) * 255).astype(np.uint8) if kind == "uint8" else image
    value = torch.from_numpy(image).permute(2, 0, 1) if kind == "tensor" else value
    before = content(value), content(mask)
    steps: list[Any] = []
    try:
        made = dp.inpaint(value, mask, stop="fixed:1", fits=1, workers=1, progress=steps.append)
    except DeepProtectionError:
        assert not steps
    else:
        assert looks(made) == looks(value)
        assert bool((made >= 0).all())
    assert (content(value), content(mask)) == before


@pytest.fixture(scope="module")
def judge() -> tuple[Classifier, Calibration]:
    return tiny_classifier()


@examples(60)
@given(case=st.one_of(arrays(), tensors(), pillow_images()))
def test_everything_is_judged_or_refused(judge: tuple[Classifier, Calibration], case: Given) -> None:
    before = content(case.value)
    try:
        found = dp.detect(case.value, judge[0], calibration=judge[1], workers=1)
    except DeepProtectionError:
        assert not case.is_sound
    else:
        several = hasattr(case.value, "ndim") and case.value.ndim == 4
        assert all(0 < each.p_value <= 1 for each in (found if several else [found]))
    assert content(case.value) == before
