"""How a service is asked and how its answers are read: configuration, checked before anything is sent."""

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import jmespath
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from deep_protection.classifiers.function import LONGEST_SIDE
from deep_protection.classifiers.remote.errors import Fault, by_status
from deep_protection.classifiers.responses import Answer, ClassProbabilities, LabelScores, probability, read_answer
from deep_protection.errors import ClassifierError

IMAGE = "{image}"
"""Where the image goes in a JSON template: base64 of a PNG."""


def _compiles(expression: Any) -> Any:
    try:
        jmespath.compile(expression)
    except (jmespath.exceptions.JMESPathError, TypeError) as error:
        raise ValueError(f"{expression!r} is no JMESPath ({' '.join(str(error).split())})") from None
    return expression


JmesPath = Annotated[str, BeforeValidator(_compiles)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(_Part):
    """What is sent: always the image as an 8-bit PNG."""

    kind: Literal["json", "raw", "multipart"] = "json"
    template: Any = {"image": IMAGE}
    """For "json": any document; ``{image}`` in one of its strings is where base64 of the PNG goes."""
    field: str = "image"
    """For "multipart": the name of the file's field."""
    fields: dict[str, str] = {}
    """For "multipart": further fields."""

    @model_validator(mode="after")
    def _has_image(self) -> Self:
        if self.kind == "json" and IMAGE not in str(self.template):
            raise ValueError(f"template has no {IMAGE}, where the image goes")
        return self

    def document(self, base64: str) -> Any:
        """The template with an image in it."""
        return _filled(self.template, base64)


class Reading(_Part):
    """Where labels and probabilities are in an answer: JMESPath, see https://jmespath.org."""

    labels: JmesPath | None = None
    probabilities: JmesPath | None = None
    classes: tuple[str, ...] | None = None
    """The labels of a service that knows no others, in the order of its probabilities if it sends no labels."""

    @model_validator(mode="after")
    def _finds_something(self) -> Self:
        if self.labels is None and self.probabilities is None:
            raise ValueError("give the JMESPath of labels, of probabilities or of both")
        return self


class Service(_Part):
    """A classifier behind an address."""

    url: str
    name: str
    headers: dict[str, str] = {}
    """``${NAME}`` stands for an environment variable, read at every request and kept nowhere."""
    body: Body = Body()
    answer: Reading
    timeout: float = Field(default=30.0, gt=0)
    """Seconds for one try."""
    attempts: int = Field(default=4, ge=1)
    backoff: float = Field(default=0.5, ge=0)
    """Seconds before the second try, doubled before each further one, where the service names none."""
    parallel: int = Field(default=4, ge=1, le=64)
    """Questions at once."""
    longest_side: int = Field(default=LONGEST_SIDE, ge=1)
    """Pixels. Larger images are made smaller."""
    allow_unencrypted: bool = False
    """Send what comes from the environment through plain HTTP to another machine."""

    @field_validator("headers")
    @classmethod
    def _templates(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not Template(value).is_valid():
                raise ValueError(f"header {name} has a $ that starts no ${{NAME}}; write $$ for the sign itself")
        return headers

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must begin with https:// or http:// and name a machine")
        if parts.scheme == "http" and self.variables and not self.allow_unencrypted and not _is_here(parts.hostname):
            raise ValueError("a key would be sent unencrypted; use https, or set allow_unencrypted = true")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables in the headers."""
        return tuple(
            dict.fromkeys(name for value in self.headers.values() for name in Template(value).get_identifiers())
        )

    @property
    def address(self) -> str:
        """The URL without what may be secret in it: user, password and query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def check_environment(self) -> None:
        """Raise :class:`ClassifierError` when a variable of the headers is not set, or cannot be in a header."""
        for name in self.variables:
            value = os.environ.get(name, "").strip()
            if not value:
                raise ClassifierError(f"{self.name} needs the environment variable {name}, which is not set")
            if not (value.isascii() and value.isprintable()):
                raise ClassifierError(f"{name} holds characters that no HTTP header can; set it to the key alone")

    def headers_now(self) -> dict[str, str]:
        """The headers with their secrets. Not to be kept."""
        self.check_environment()
        return {name: Template(value).substitute(os.environ).strip() for name, value in self.headers.items()}

    def redacted(self, text: str) -> str:
        """``text`` without the values of the variables, which a service may repeat in what it says."""
        for name in self.variables:
            if secret := os.environ.get(name, "").strip():
                text = text.replace(secret, "***")
        return text

    def fault(self, status: int, document: Any, said: str) -> Fault | None:
        """What is wrong with an answer, if anything. ``said`` are its first words."""
        del document
        return by_status(status, said)

    def read(self, document: Any) -> Answer:
        """The answer in a document that has no fault."""
        who, find = self.name, self.answer
        if find.labels is None:
            assert find.probabilities is not None  # noqa: S101  (validated)
            said = self._found(find.probabilities, document)
            answer = read_answer(said, f"{who} at {find.probabilities}")
            if isinstance(answer, ClassProbabilities) or answer.probabilities:
                return answer
            raise ClassifierError(f"{who}: nothing is at {find.probabilities} in the answer {short(document)}")
        labels = self._found(find.labels, document)
        if find.probabilities is None:
            return read_answer(labels, f"{who} at {find.labels}")
        values = self._found(find.probabilities, document)
        if not isinstance(labels, list) or not isinstance(values, list) or len(labels) != len(values):
            raise ClassifierError(
                f"{who}: {find.labels} and {find.probabilities} are not two lists of one length in the answer "
                f"{short(document)}"
            )
        if not labels:
            return LabelScores({})
        for value in values:
            probability(value, f"{who} at {find.probabilities}")
        return read_answer(list(zip(labels, values, strict=True)), f"{who} at {find.labels}")

    def _found(self, path: str, document: Any) -> Any:
        try:
            found = jmespath.search(path, document)
        except jmespath.exceptions.JMESPathError:  # a function of it was given what it does not take
            found = None
        if found is None:
            raise ClassifierError(f"{self.name}: nothing is at {path} in the answer {short(document)}")
        return found


def short(document: Any) -> str:
    """The beginning of a document, on one line."""
    text = " ".join(str(document).split())
    return text if len(text) <= 120 else f"{text[:120]}…"


def read_service(path: str) -> Service:
    """The service that a TOML file describes. Raises :class:`ClassifierError` for what cannot be used."""
    if path.startswith("//"):
        raise ClassifierError(
            f"http:{path} is an address; how to ask it and how to read its answer must be told too: write a TOML file "
            "(docs/remote.md) and give http:FILE.toml"
        )
    file = Path(path)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read ({error.strerror}); give http: and a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClassifierError(f"{path} is not TOML ({error})") from None
    try:
        return Service(**{"name": f"http:{file.stem}", **values})
    except ValidationError as error:
        raise ClassifierError(f"{path} cannot be used: {faults_of(error)}") from None


def faults_of(error: ValidationError) -> str:
    """What is wrong, without the values, on one line."""
    told = []
    for fault in error.errors(include_input=False, include_url=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        told.append(f"{where}: {what}" if where else what)
    return "; ".join(told)


def _filled(template: Any, base64: str) -> Any:
    if isinstance(template, str):
        return template.replace(IMAGE, base64)
    if isinstance(template, dict):
        return {key: _filled(value, base64) for key, value in template.items()}
    return [_filled(each, base64) for each in template] if isinstance(template, list) else template


def _is_here(host: str) -> bool:
    """Whether a host name is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
