"""What is answered, as models: for the OpenAPI description."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from deep_protection.protection import AnswerBy


class ErrorBody(BaseModel):
    code: str = Field(examples=["too_large"])
    message: str = Field(examples=["the body has 40000000 bytes or more, the limit is 32000000; send a smaller image"])


class ErrorDocument(BaseModel):
    """Every answer that is not a success: a problem document (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int = Field(examples=[413])
    detail: str
    code: str = Field(examples=["too_large"])
    error: ErrorBody = Field(description="Code and detail once more.")


class ProgressDocument(BaseModel):
    iteration: int
    limit: int
    psnr: float | None = Field(description="Of the image of the moment to the one that came, in dB.")
    phase: str | None = Field(description="What is being done, as fitting, answering or reading.")


class JobDocument(BaseModel):
    """A job, from queued to its end."""

    id: str = Field(examples=["0f3c9a5e6d7b4c2f8a1e0d9c8b7a6f5e"])
    kind: str = Field(examples=["protect"])
    state: Literal["queued", "running", "done", "failed", "cancelled", "expired"]
    created: str = Field(examples=["2026-01-31T12:00:00.000Z"])
    started: str | None
    ended: str | None
    position: int | None = Field(description="In the queue; 1 is next.")
    progress: ProgressDocument | None
    error: ErrorBody | None
    answer: dict[str, Any] | None
    files: dict[str, str] = Field(description="Name to address.", examples=[{"result": "/v1/jobs/ID/result"}])
    threat_model: str


class AttackDocument(BaseModel):
    name: str
    label: str
    has_epsilon: bool
    can_aim: bool = Field(description="Whether it takes a target.")
    seconds: float = Field(description="That it is likely to take here.")


class EstimateDocument(BaseModel):
    """How long a job is likely to run, once a worker has it."""

    seconds: float = Field(description="Learnt from the jobs of this kind that ended here.", examples=[1.4])
    budget: float = Field(description="After so many seconds a fit ends with what it has.", examples=[600.0])


class SampleDocument(BaseModel):
    name: str
    url: str


class AboutDocument(BaseModel):
    """What this service is and can do."""

    version: str
    classifier: str
    answer: AnswerBy = Field(description="How protect answers unless it is asked fallback.")
    kinds: list[str]
    attacks: list[AttackDocument]
    limits: dict[str, int]
    samples: list[SampleDocument]
    needs_token: bool
