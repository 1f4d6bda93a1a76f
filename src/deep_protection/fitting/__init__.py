"""Fitting generators to pictures: one (``fit``) or many at once (``fit_all``)."""

from deep_protection.fitting.adam import Adam as Adam
from deep_protection.fitting.degradation import Degradation as Degradation
from deep_protection.fitting.degradation import Holes as Holes
from deep_protection.fitting.degradation import Shrunk as Shrunk
from deep_protection.fitting.detail import Detail as Detail
from deep_protection.fitting.fit import Seat as Seat
from deep_protection.fitting.fit import Stack as Stack
from deep_protection.fitting.fit import fit as fit
from deep_protection.fitting.fit import opened as opened
from deep_protection.fitting.pool import fit_all as fit_all
from deep_protection.fitting.precision import effective_precision as effective_precision
from deep_protection.fitting.progress import Progress as Progress
from deep_protection.fitting.progress import ProgressCallback as ProgressCallback
from deep_protection.fitting.recipe import Recipe as Recipe
from deep_protection.fitting.task import FitTask as FitTask
from deep_protection.fitting.threads import usable_cores as usable_cores
from deep_protection.fitting.threads import use_threads as use_threads
