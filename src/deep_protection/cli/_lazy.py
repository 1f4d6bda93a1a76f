"""A group whose commands are imported when they run: ``--help`` and ``--version`` need no PyTorch."""

from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import typer.main
from typer.core import TyperCommand, TyperGroup


class Lazy(NamedTuple):
    """A command that is not imported yet."""

    place: str
    """``module:attribute`` beside this file, a function or a :class:`typer.Typer`."""
    help: str
    """One line, in the help of all commands."""


class LazyGroup(TyperGroup):
    """A subclass lists its commands in ``panels``; what shows in the group's help is what stands there."""

    panels: ClassVar[dict[str, dict[str, Lazy]]]
    """Heading to commands by name."""

    @property
    def lazy(self) -> dict[str, Lazy]:
        """All commands, by name."""
        return {name: each for panel in self.panels.values() for name, each in panel.items()}

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows its name and its line."""
        del ctx
        for heading, panel in self.panels.items():
            if cmd_name in panel:
                return TyperCommand(cmd_name, help=panel[cmd_name].help, rich_help_panel=heading)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.load(name), rest

    def load(self, name: str) -> Any:
        """The command itself."""
        return _command(name, self.lazy[name].place)


@cache
def _command(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f".{module}", __package__), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command
