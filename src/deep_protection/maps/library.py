"""The doors to OpenCV, Shapely and rapidocr: imported late, and with a clear word when they are missing."""

from typing import Any

from deep_protection.errors import MissingExtraError
from deep_protection.quiet import importing_quietly

_HOW = "run: pip install 'deep-protection[ocr]'"


def opencv() -> Any:
    """The cv2 module."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(f"text layers need OpenCV, which is not installed ({error}); {_HOW}") from error
    return cv2


def rapidocr() -> Any:
    """An engine of rapidocr's on one core; its models come with its wheel."""
    try:
        with importing_quietly():
            from rapidocr import RapidOCR
    except ImportError as error:
        raise MissingExtraError(f"reading text needs rapidocr, which is not installed ({error}); {_HOW}") from error
    return RapidOCR(params={"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1})


def geometry() -> Any:
    """The shapely module."""
    try:
        import shapely
    except ImportError as error:
        raise MissingExtraError(f"chains of letters need Shapely, which is not installed ({error}); {_HOW}") from error
    return shapely
