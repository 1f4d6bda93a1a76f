"""Reports of experiments: tables and figures as Markdown and HTML."""

from deep_protection.evaluation.report.rows import Rows as Rows
from deep_protection.evaluation.report.tables import fidelity as fidelity
from deep_protection.evaluation.report.tables import recovery as recovery
from deep_protection.evaluation.report.tables import suggested as suggested
from deep_protection.evaluation.report.tiers import tiers as tiers
from deep_protection.evaluation.report.tuning import write_tuning as write_tuning
from deep_protection.evaluation.report.write import write_report as write_report
