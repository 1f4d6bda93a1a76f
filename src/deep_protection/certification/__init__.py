"""Answers that no small change of an image can move, whoever makes it: randomised smoothing."""

from deep_protection.certification._certify import Certificate as Certificate
from deep_protection.certification._certify import certify as certify
from deep_protection.certification._certify import certify_each as certify_each
from deep_protection.certification.denoisers import DENOISERS as DENOISERS
from deep_protection.certification.denoisers import total_variation as total_variation
from deep_protection.certification.smoothing import Smoothing as Smoothing
from deep_protection.certification.table import UNKNOWN as UNKNOWN
from deep_protection.certification.table import CertifiedRow as CertifiedRow
from deep_protection.certification.table import CertifiedTable as CertifiedTable
from deep_protection.certification.table import certified_accuracy as certified_accuracy
