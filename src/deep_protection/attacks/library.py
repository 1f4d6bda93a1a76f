"""The door to foolbox: imported late, quietly, and with a clear word when it is missing."""

from typing import Any

from deep_protection.errors import MissingExtraError
from deep_protection.quiet import warnings_silenced


def foolbox() -> Any:
    """The foolbox module (Rauber et al. 2020, https://doi.org/10.21105/joss.02607)."""
    try:
        with warnings_silenced():  # its last release still uses SciPy's old names
            import foolbox
            import foolbox.attacks
            import foolbox.criteria
    except ImportError as error:
        raise MissingExtraError(
            f"attacks need foolbox, which is not installed ({error}); run: pip install 'deep-protection[attacks]'"
        ) from error
    return foolbox
