"""Attacks, most of them foolbox's. A new attack is one row of ``ATTACKS`` in ``table.py``."""

from deep_protection.attacks._attack import AttackResult as AttackResult
from deep_protection.attacks._attack import attack as attack
from deep_protection.attacks._attack import find_attack as find_attack
from deep_protection.attacks._attack import is_fooled as is_fooled
from deep_protection.attacks.table import ATTACKS as ATTACKS
from deep_protection.attacks.table import POSTER as POSTER
from deep_protection.attacks.table import AttackSpec as AttackSpec
