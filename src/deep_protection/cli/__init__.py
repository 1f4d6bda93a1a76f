"""The command line. One file a command; what they share is in ``console.py`` and ``plan.py``."""

from deep_protection.cli.app import main as main
