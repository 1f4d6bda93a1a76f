"""What a service is started with, checked once and never changed afterwards."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from deep_protection.errors import OptionError

SHORTEST_TOKEN = 16
"""Characters; shorter ones can be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All options of a service. Sizes are in bytes, times in seconds."""

    data: Path
    """Folder of the job table and the images; nothing is written anywhere else."""
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    """Asked of every request under /v1; needed where the service listens on more than this machine."""
    classifier: str = "lite0"
    calibration: str | None = None
    device: str = "auto"
    workers: int | None = None
    """Processes that fit; None is one a core, or one a GPU."""
    batch: int | None = None
    """Images that a worker takes at once; None is 1 on the CPU and 64 on a GPU."""
    queue: int = 256
    """Jobs that may wait; what comes beyond is refused."""
    client_header: str | None = None
    """Header that names the client, set by a proxy that is trusted; None: the address that connects."""
    max_bytes: int = 32_000_000
    max_pixels: int = 16_000_000
    max_uploads: int = 32
    """Bodies that are written to the disk at once; together with ``max_bytes`` it bounds what they take there."""
    body_seconds: float = 60.0
    """For a body to arrive whole."""
    header_seconds: float = 10.0
    """For the headers of a request to arrive after the connection was made."""
    budget: float = 600.0
    """Fitting time of a job; it ends there with what it has. A job that goes on for as long again is killed."""
    retention: float = 24 * 3600.0
    """How long results are kept."""
    attacks: bool | None = None
    """Whether attacks on the classifier are offered; None: only where the service listens to this machine alone."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port must be from 0 to 65535, got {self.port}")
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise OptionError(
                f"the token must have at least {SHORTEST_TOKEN} ASCII characters, got {len(self.token)}; make one "
                "with: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if self.token is None and not self.is_local:
            raise OptionError(
                f"listening on {self.host} lets others in, and no token was given; add --token (or set "
                "DEEP_PROTECTION_TOKEN), or listen on 127.0.0.1"
            )
        for name in ("queue", "max_bytes", "max_pixels", "max_uploads"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("body_seconds", "header_seconds", "budget", "retention"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("workers", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} must be at least 1, got {value}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def offers_attacks(self) -> bool:
        return self.is_local if self.attacks is None else self.attacks


def max_per_client(places: int) -> int:
    """How many of so many places a single client may hold, so that another still finds one."""
    return max(1, places * 3 // 4)
