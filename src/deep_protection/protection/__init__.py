"""Classifiers behind the restoration."""

from deep_protection.protection._protect import protect as protect
from deep_protection.protection.contrast import Decision as Decision
from deep_protection.protection.contrast import Kind as Kind
from deep_protection.protection.contrast import decide as decide
from deep_protection.protection.explanation import Explanation as Explanation
from deep_protection.protection.protected_classifier import AnswerBy as AnswerBy
from deep_protection.protection.protected_classifier import ProtectedClassifier as ProtectedClassifier
from deep_protection.protection.protected_classifier import ProtectKeywords as ProtectKeywords
from deep_protection.protection.protected_classifier import When as When
from deep_protection.protection.straight_through import straight_through as straight_through
