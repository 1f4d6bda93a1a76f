"""A group whose commands are imported when they run: ``--help`` and ``--version`` need no PyTorch."""

from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import typer.main
from typer.core import TyperCommand, TyperGroup


class LazyGroup(TyperGroup):
    """A subclass lists its commands in ``lazy``; what shows in the group's help is the line there."""

    lazy: ClassVar[dict[str, tuple[str, str]]]
    """Name to ``module:attribute`` beside this file, a function or a :class:`typer.Typer`, and to one line of help."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that knows its name and its line."""
        del ctx
        return TyperCommand(cmd_name, help=self.lazy[cmd_name][1]) if cmd_name in self.lazy else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.load(name), rest

    def load(self, name: str) -> Any:
        """The command itself."""
        return _command(name, self.lazy[name][0])


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
