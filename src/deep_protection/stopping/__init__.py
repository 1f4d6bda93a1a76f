"""When to end a fit. A new stop rule is one file here and one row of ``STOP_RULES``."""

from deep_protection.stopping.agreement import Agreement as Agreement
from deep_protection.stopping.auto import Auto as Auto
from deep_protection.stopping.companions import COMPANIONS as COMPANIONS
from deep_protection.stopping.discrepancy import Discrepancy as Discrepancy
from deep_protection.stopping.early_stopping import EarlyStopping as EarlyStopping
from deep_protection.stopping.fixed import Fixed as Fixed
from deep_protection.stopping.noise_level import CLOSER as CLOSER
from deep_protection.stopping.noise_level import NoiseLevel as NoiseLevel
from deep_protection.stopping.noise_level import noise_deviation as noise_deviation
from deep_protection.stopping.oracle import Oracle as Oracle
from deep_protection.stopping.parse import STOP_RULES as STOP_RULES
from deep_protection.stopping.parse import parse_stop as parse_stop
from deep_protection.stopping.replay import replay as replay
from deep_protection.stopping.rule import Decision as Decision
from deep_protection.stopping.rule import StopRule as StopRule
from deep_protection.stopping.self_referenced import SelfReferenced as SelfReferenced
from deep_protection.stopping.stability import Stability as Stability
from deep_protection.stopping.sub_images import SubImages as SubImages
from deep_protection.stopping.trajectory import Checkpoint as Checkpoint
from deep_protection.stopping.trajectory import Trajectory as Trajectory
from deep_protection.stopping.trajectory import psnr as psnr
from deep_protection.stopping.variance import MovingVariance as MovingVariance
from deep_protection.stopping.variance import WindowedVariance as WindowedVariance
from deep_protection.stopping.worst_tile import WorstTile as WorstTile
