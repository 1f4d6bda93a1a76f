"""What an experiment consists of, checked before anything is computed."""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deep_protection.attacks import POSTER, AttackSpec, find_attack
from deep_protection.errors import OptionError
from deep_protection.evaluation.baselines import BASELINES, Baseline
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.defences import find_defence, name_of
from deep_protection.evaluation.experiment.adaptive import ADAPTIVE, Knowing
from deep_protection.evaluation.experiment.black_box import BLACK_BOX, Asking
from deep_protection.fitting import usable_cores
from deep_protection.restoration import Preset, find_device
from deep_protection.seeds import checked_seed
from deep_protection.stopping import parse_stop

ATTACK_SETS = {"poster": POSTER, "corruptions": tuple(CORRUPTIONS)}
"""Names that mean several attacks."""

ORACLES = ("oracle", "oracle:top5", "oracle:top1")


class Settings(BaseModel):
    """Everything that decides the rows of an experiment, and how it is run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: str = "samples"
    """A folder with one folder a class, or "samples"."""
    labels: Literal["folders", "predicted"] = "folders"
    """Where labels come from: the names of the folders, or the classifier's own first answers on clean images."""
    classifier: str = "lite0"
    attacks: tuple[str, ...] = POSTER
    """Of attackers who do not ask the defended classifier; common corruptions too, such as "noise-1"."""
    defences: tuple[str, ...] = ("protected", "fast", *BASELINES)
    """Names, functions and classes; your own as ``module:name``: :mod:`deep_protection.evaluation.defences`."""
    stops: tuple[str, ...] = ("preset", "oracle")
    """Stop rules for what is fitted; "preset" is the preset's own."""
    iterations: int | None = Field(None, ge=1)
    """Length of a fit, where longer than the longest fixed count."""
    black_box: tuple[str, ...] = ()
    """Attacks by someone who may only ask the defended classifier: "query-square", "query-hopskipjump"."""
    queries: int = Field(200, ge=1)
    """How often such an attacker may ask about an image."""
    adaptive: tuple[str, ...] = ()
    """Attacks by someone who knows the defence, each made through every defence (:data:`ADAPTIVE`)."""
    adaptive_steps: int = Field(20, ge=1)
    adaptive_samples: int = Field(2, ge=1)
    """Restorations whose answers are averaged at every step (EOT)."""
    adaptive_epsilon: float = Field(4, gt=0, le=255)
    """Linf, in 255ths; of the black-box attacks too."""
    judgements: int = Field(3, ge=1)
    """Fresh seeds by which each image of such an attacker is judged."""
    views: bool = False
    """Average the classifier's answers over views of the restored image, for every defence alike."""
    limit: int | None = Field(None, ge=1)
    """At most so many images."""
    recognised: bool = False
    """Only images that the classifier gets right untouched; a limit counts those."""
    seed: int = 0
    device: str = "cpu"
    workers: int = Field(default_factory=usable_cores, ge=1)
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    inputs: Path | None = None
    """Folder of attacked images; None is ``inputs`` beside the tables."""

    @field_validator("attacks", "defences", "stops", "black_box", "adaptive", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Names may be joined by commas; a set's name means all that are in it; twice is once."""
        names = (
            [name.strip() for name in value.split(",")] if isinstance(value, str) else [name_of(each) for each in value]
        )
        return tuple(dict.fromkeys(each for name in names if name for each in ATTACK_SETS.get(name, (name,))))

    @model_validator(mode="after")
    def _known(self) -> Self:
        for attack in self.attacks:
            if attack not in CORRUPTIONS:
                find_attack(attack.partition("@")[0])
        for kind, given, known in (
            ("adaptive", self.adaptive, ADAPTIVE),
            ("black-box", self.black_box, tuple(BLACK_BOX)),
        ):
            for attack in given:
                if attack not in known:
                    raise OptionError(f"unknown {kind} attack {attack!r}; there are: {', '.join(known)}")
        for defence in self.defences:
            find_defence(defence)
            if self.engine == "ray" and defence.startswith("__main__:"):
                raise OptionError(f"{defence!r} is in no module that a cluster could import; give it one of its own")
        if not self.defences or not self.stops:
            raise OptionError("an experiment needs at least one defence and one stop rule")
        for stop in self.stops:
            if stop.startswith("oracle"):
                if stop not in ORACLES:
                    raise OptionError(f"unknown oracle {stop!r}; there are: {', '.join(ORACLES)}")
            elif stop != "preset":
                parse_stop(stop)
        checked_seed(self.seed)
        find_device(self.device)
        return self

    def stops_of(self, defence: str) -> tuple[str, ...]:
        """The rules that a defence is judged by, under the names that its rows bear; "none" for what is not fitted."""
        found = find_defence(defence)
        if not isinstance(found, Preset):
            return ("none",)
        own = found.stop
        return tuple(dict.fromkeys(own if stop == "preset" else stop for stop in self.stops))

    def fresh_seeds(self, defence: str) -> list[int]:
        """Seeds that an attacker who knows the defence has not seen; filters draw nothing at random."""
        count = 1 if isinstance(find_defence(defence), Baseline) else self.judgements
        return [self.seed + 1 + number for number in range(count)]

    def through_the_defence(self, attack: str) -> AttackSpec | None:
        """An attack that is made on the defended classifier; None for any other name."""
        if attack in ADAPTIVE:
            return Knowing(self.adaptive_steps, self.adaptive_samples, self.adaptive_epsilon / 255).spec(attack)
        if attack in BLACK_BOX:
            return Asking(self.queries, self.adaptive_epsilon / 255).spec(attack)
        return None

    def parameters(self, attack: str) -> dict[str, Any]:
        """Everything that decides what an attack makes of an image."""
        if (spec := self.through_the_defence(attack)) is not None:
            return spec.parameters()
        if attack in CORRUPTIONS:
            return CORRUPTIONS[attack].parameters()
        name, _, other = attack.partition("@")
        return find_attack(name).parameters() | ({"made_on": other} if other else {})

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change from one run into a folder to the next."""
        return {"images": self.images, "labels": self.labels, "classifier": self.classifier}


NAMED: dict[str, dict[str, Any]] = {
    "quick": {"limit": 8, "attacks": ("pgd", "fgsm", "saltpepper"), "iterations": 100},
    "poster": {"attacks": POSTER, "defences": ("paper", *BASELINES), "stops": ("fixed:1750", "oracle")},
}
"""Configurations by name."""


def make_settings(given: dict[str, Any], config: str | None = None) -> Settings:
    """Settings from options that were given, over a named configuration or a TOML file, over defaults.

    Raises :class:`OptionError` for what is unknown or out of range.
    """
    base: dict[str, Any] = {}
    if config in NAMED:
        base = NAMED[config]
    elif config is not None:
        base = _read(Path(config))
    try:
        return Settings(**{**base, **given})
    except ValidationError as error:
        faults = [
            (".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")) for fault in error.errors()
        ]
        told = "; ".join(f"{where}: {what}" if where else what for where, what in faults)
        raise OptionError(f"these settings cannot be used: {told}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(
            f"{path} cannot be read ({error.strerror}); give a TOML file or one of: {', '.join(NAMED)}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML ({error})") from None
