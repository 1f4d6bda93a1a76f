"""The options of every kind of job, as strict types. They come as a query or as parts of a form."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from deep_protection.attacks import ATTACKS
from deep_protection.errors import OptionError
from deep_protection.maps import Script
from deep_protection.maps.vocabulary import split_words
from deep_protection.protection import AnswerBy, When
from deep_protection.restoration import check_factor, find_preset
from deep_protection.stopping import parse_stop

LONGEST_STOP = 5000
"""Iterations that a job may ask for."""


class Options(BaseModel):
    """What every kind takes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    wait: bool = Field(False, description="Answer when the job has ended, not when it was accepted.")

    def check(self) -> None:
        """Raise :class:`~deep_protection.errors.OptionError` for what types cannot tell."""


Seed = Annotated[int, Field(ge=0, le=2**63 - 1, description="Same image, same seed: same result.")]
Stop = Annotated[
    str | None, Field(max_length=40, description="When to end a fit, as auto or fixed:50.", examples=["auto"])
]

Rate = Annotated[float, Field(gt=0, lt=1, description="How many clean images may be flagged.")]


def check_stop(stop: str | None, longest: int) -> None:
    """That ``stop`` can be read and does not go on for ever."""
    if stop is not None:
        rule = parse_stop(stop, longest)
        if not 1 <= rule.max_iterations <= LONGEST_STOP:
            raise OptionError(
                f"stop={stop} asks for {rule.max_iterations} iterations; from 1 to {LONGEST_STOP} are possible"
            )


class ProtectOptions(Options):
    """Classify an image as if it had not been attacked, and restore it."""

    answer: AnswerBy | None = Field(
        None,
        description="How a suspicious image is answered. contrast: from several restorations of what the classifier "
        "sees of it, which has the classifier's size; result is the restored one of these, seen what it is of. "
        "restored: by the restored image alone, which has the size of the one sent. Left out: contrast, but restored "
        "where the classifier is a service that is paid for each question.",
    )
    quick: bool = Field(False, description="By contrast, fit nothing: quicker, and a little less often right.")
    when: When | None = Field(
        None,
        description="Which images are taken for attacked: suspicious, those that the detector flags, or always. Left "
        "out: suspicious by contrast, always with answer=restored.",
    )
    false_positive_rate: Rate = 0.05
    preset: Literal["fast", "thorough", "paper"] = "fast"
    stop: Stop = None
    seed: Seed = 0
    views: bool = Field(
        False,
        description="With answer=restored, average the answer over the image, its mirror image and two sizes of it; "
        "by contrast that is always done.",
    )
    frames: bool = Field(
        False,
        description="Also make the file frames: the image at every point of the trajectory, one beside the other, all "
        "of one width.",
    )

    def check(self) -> None:
        check_stop(self.stop, find_preset(self.preset).max_iterations)
        if self.quick and self.answer == "restored":
            raise OptionError("quick fits nothing, so there is no restored image to answer to; use answer=contrast")


class DetectOptions(Options):
    """Say whether an image was tampered with."""

    false_positive_rate: Rate = 0.05
    quick: bool = Field(False, description="Fit nothing: quicker, a little less sure.")


class ClassifyOptions(Options):
    """Classify an image as it is."""

    top: int = Field(5, ge=1, le=10)
    seen: bool = Field(False, description="Also make the file seen: the image as the classifier is given it.")


class AttackOptions(Options):
    """Attack the bare classifier on an image, to see what the restoration makes of it."""

    attack: str = Field("pgd", max_length=40, description="A name that /v1/about lists.")
    epsilon_255: float | None = Field(
        None, gt=0, le=32, description="Largest change of a value, of 255; for attacks that have one."
    )
    target: str | None = Field(
        None, min_length=1, max_length=100, description="Class to aim at, by label or index; left out, any wrong one."
    )
    seed: Seed = 0

    def check(self) -> None:
        if self.attack not in OFFERED:
            raise OptionError(f"unknown attack {self.attack!r}; there are: {', '.join(OFFERED)}")
        if self.epsilon_255 is not None and ATTACKS[self.attack].norm != "Linf":
            raise OptionError(f"{self.attack} has no epsilon in 255ths; leave epsilon_255 out")
        if self.target is not None and self.attack not in AIMING:
            raise OptionError(f"{self.attack} cannot aim; leave target out, or use one of: {', '.join(AIMING)}")


OFFERED = ("fgsm", "pgd", "mifgsm", "l2pgd", "deepfool", "saltpepper", "ddn", "cw", "gaussianblur")
"""Attacks that end within seconds or a few minutes."""
AIMING = ("pgd", "mifgsm", "l2pgd", "ddn", "cw")
"""Those of them that can be told which class to make of an image."""


class RestoreOptions(Options):
    """Take compression out of an image, or fill its holes."""

    fits: int | None = Field(
        None,
        ge=0,
        le=8,
        description="Of the prior, averaged with what filters make; 0: none. Left out: as many as help.",
    )
    stop: Stop = None
    seed: Seed = 0

    def check(self) -> None:
        check_stop(self.stop, LONGEST_STOP)


class DenoiseOptions(RestoreOptions):
    """Take noise out of an image."""

    sigma: float | None = Field(None, gt=0, lt=255, description="Of the noise, in 8-bit steps; estimated if left out.")


class UpscaleOptions(RestoreOptions):
    """Draw an image twice or four times as long on each side."""

    factor: int = Field(2, description="2 or 4.")

    def check(self) -> None:
        super().check()
        check_factor(self.factor)


class ExtractTextOptions(Options):
    """Separate the lettering of a map, and read it."""

    ocr: bool = Field(True, description="Read words; without, only the layer and the map are made.")
    script: Script = Field(
        "latin",
        description="Of the words: what is read in letters of another script, and single signs that are symbols, are "
        "left out, and notes say how many; any keeps all.",
    )
    vocabulary: str = Field(
        "generic",
        min_length=1,
        max_length=2000,
        description="What a word read a letter off may be: generic (what maps in English call things), none, or words "
        "of your own, parted by spaces or commas, beside the generic ones where script is latin.",
    )
    seed: Seed = 0

    def check(self) -> None:
        split_words(self.vocabulary)
