"""``python -m deep_protection`` is the command ``deep-protection``."""

from deep_protection.cli import main

main()
