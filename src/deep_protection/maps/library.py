"""The doors to OpenCV, Shapely and rapidocr: imported late, and with a clear word when they are missing."""

from typing import Any

from deep_protection.optional import import_optional


def opencv() -> Any:
    """The cv2 module."""
    return import_optional("cv2", needed_for="a text layer", extra="ocr")


def rapidocr() -> Any:
    """An engine of rapidocr's on one core; its models come with its wheel.

    It pads what it recognises to 160 pixels at a height of 48, not to 320: half the time, and a tree beside much
    nothing is no longer read as 88.
    """
    library = import_optional("rapidocr", needed_for="reading text", extra="ocr")
    return library.RapidOCR(
        params={
            "Global.log_level": "error",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "Rec.rec_img_shape": [3, 48, 160],
        }
    )


def geometry() -> Any:
    """The shapely module."""
    return import_optional("shapely", needed_for="a chain of letters", extra="ocr")
