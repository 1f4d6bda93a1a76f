"""Docstrings as the site shows them: roles become links or code, doctests become code. mkdocs.yml names this file."""

import re
from pathlib import Path
from typing import Any

import griffe

REFERENCE = Path(__file__).parents[2] / "docs/reference.md"
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([\w.]+)`")
_DOCTEST = re.compile(r"^([ ]*)>>> .*(?:\n\1\S.*)*", re.MULTILINE)
_FLAGS = re.compile(r"\s*# doctest:.*$", re.MULTILINE)


class Readable(griffe.Extension):
    """Rewrites each docstring once it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.public = {name.rpartition(".")[2]: name for name in public_names()}

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value, self.public)


def public_names() -> list[str]:
    """What docs/reference.md tells about, and so has an address to link to."""
    return re.findall(r"^::: (\S+)", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def readable(text: str, public: dict[str, str]) -> str:
    """Markdown from a docstring; ``public`` has the full names of what can be linked to."""

    def linked(role: re.Match[str]) -> str:
        name = role[1].rpartition(".")[2]
        return f"[`{name}`][{public[name]}]" if name in public else f"`{name}`"

    return _DOCTEST.sub(_fenced, _ROLE.sub(linked, text))


def _fenced(block: re.Match[str]) -> str:
    lines = [f"```pycon\n{_FLAGS.sub('', block[0])}\n```".splitlines()]
    return "\n".join(line if line.startswith(block[1]) else block[1] + line for line in lines[0])
