"""The command line. One file a command; what they share is in ``console.py`` and ``plan.py``."""

import sys


def main() -> None:
    """Run the command ``deep-protection``."""
    try:
        from deep_protection.cli.app import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            f"error: the command needs {error.name}, which is not installed; run: pip install 'deep-protection[cli]'"
        )
    run()
