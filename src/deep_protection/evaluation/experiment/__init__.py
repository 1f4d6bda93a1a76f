"""Experiments: images × attacks × defences × stop rules, as rows that can be gone on with, and a report of them."""

from deep_protection.evaluation.experiment.run import Experiment as Experiment
from deep_protection.evaluation.experiment.run import run_experiment as run_experiment
from deep_protection.evaluation.experiment.settings import NAMED as NAMED
from deep_protection.evaluation.experiment.settings import Settings as Settings
from deep_protection.evaluation.experiment.settings import make_settings as make_settings
from deep_protection.evaluation.experiment.store import Store as Store
from deep_protection.evaluation.experiment.subjects import Subjects as Subjects
from deep_protection.evaluation.experiment.tune import tune as tune
