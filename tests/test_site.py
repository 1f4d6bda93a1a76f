"""The site: what it makes of docstrings, and that its own settings let no warning pass."""

import re
from pathlib import Path

from benchmarks.pages.docstrings import public_names, readable

import deep_protection as dp

ROOT = Path(__file__).parents[1]
PUBLIC = {"OptionError": "deep_protection.OptionError", "purify": "deep_protection.purify"}


def test_roles_become_links_where_there_is_something_to_link_to() -> None:
    text = "Raises :class:`~deep_protection.errors.OptionError`, as :func:`purify`; see :mod:`deep_protection.seeds`."
    assert readable(text, PUBLIC) == (
        "Raises [`OptionError`][deep_protection.OptionError], as [`purify`][deep_protection.purify]; see `seeds`."
    )


def test_a_doctest_becomes_code_with_its_output_and_without_its_flags() -> None:
    text = "Restore.\n\n>>> import x\n>>> x.f()                # doctest: +SKIP\n(16, 16)\n\nArgs:\n    a: of it"
    expected = "Restore.\n\n```pycon\n>>> import x\n>>> x.f()\n(16, 16)\n```\n\nArgs:\n    a: of it"
    assert readable(text, PUBLIC) == expected


def test_the_reference_tells_of_public_names_alone() -> None:
    names = public_names()
    assert len(names) == len(set(names)) > 30
    assert {name.removeprefix("deep_protection.") for name in names} <= set(dp.__all__)


def test_every_page_is_in_the_navigation_under_a_title_of_its_own() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\nstrict: true\n" in settings
    assert ": ignore" not in settings
    pages = [path for path in (ROOT / "docs").rglob("*.md") if not path.name.startswith(".")]
    listed = re.findall(r": ([\w/-]+\.md)$", settings, flags=re.MULTILINE)
    assert sorted(str(path.relative_to(ROOT / "docs")) for path in pages) == sorted(listed)
    titles = [path.read_text(encoding="utf-8").partition("\n")[0] for path in pages]
    assert len(titles) == len(set(titles)), "the search shows headings"


def test_nothing_is_installed_by_a_name_that_no_registry_has() -> None:
    told = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/guides/*.md"), *ROOT.glob("examples/*")]
    for document in told:
        lines = [line for line in document.read_text(encoding="utf-8").splitlines() if "pip install" in line]
        assert not [line for line in lines if re.search(r"install[^;&]*['\" ]deep-protection", line)], document.name
