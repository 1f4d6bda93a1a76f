"""What can go wrong, one class for each kind of remedy.

Every message says what was got, what was expected and what to do. Each class also derives from the built-in
exception a caller would look for (``ValueError``, ``OSError``, ``ImportError``), so no caller needs to know ours.
"""


class DeepProtectionError(Exception):
    """Base of every error this package raises on purpose."""


class ImageError(DeepProtectionError, ValueError):
    """The image cannot be used: not an image, truncated, out of range, too large, wrong shape."""


class ImageTooLargeError(ImageError):
    """The image has more pixels or bytes than are taken; nothing of it was decoded."""


class OptionError(DeepProtectionError, ValueError):
    """An argument has a value that cannot be used."""


class OutputError(DeepProtectionError, OSError):
    """The result cannot be written where it was asked to go."""


class ClassifierError(DeepProtectionError, ValueError):
    """The classifier cannot be found, loaded or used."""


class MissingExtraError(DeepProtectionError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class FitError(DeepProtectionError, RuntimeError):
    """The generator could not be fitted to the image at all."""


class CancelledError(DeepProtectionError):
    """The caller asked a running fit to stop."""
