"""Fitting generators to images: one (``fit``) or many at once (``fit_all``)."""

from deep_protection.fitting.devices import effective_precision as effective_precision
from deep_protection.fitting.devices import find_device as find_device
from deep_protection.fitting.devices import usable_cores as usable_cores
from deep_protection.fitting.devices import use_threads as use_threads
from deep_protection.fitting.engine import BatchedFit as BatchedFit
from deep_protection.fitting.engine import FitRequest as FitRequest
from deep_protection.fitting.engine import fit as fit
from deep_protection.fitting.engine import result_or_raise as result_or_raise
from deep_protection.fitting.operators import Downsampling as Downsampling
from deep_protection.fitting.operators import ForwardOperator as ForwardOperator
from deep_protection.fitting.operators import Masking as Masking
from deep_protection.fitting.optim import Adam as Adam
from deep_protection.fitting.progress import Progress as Progress
from deep_protection.fitting.progress import ProgressCallback as ProgressCallback
from deep_protection.fitting.recipe import Detail as Detail
from deep_protection.fitting.recipe import Recipe as Recipe
from deep_protection.fitting.scheduler import fit_all as fit_all
from deep_protection.fitting.task import FitTask as FitTask
