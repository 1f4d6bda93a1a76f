"""When to end a fit. A new stop rule is one file here and one row of ``STOP_RULES``."""

from deep_protection.stopping.fixed import Fixed as Fixed
from deep_protection.stopping.oracle import Oracle as Oracle
from deep_protection.stopping.parse import STOP_RULES as STOP_RULES
from deep_protection.stopping.parse import parse_stop as parse_stop
from deep_protection.stopping.replay import replay as replay
from deep_protection.stopping.rule import Decision as Decision
from deep_protection.stopping.rule import StopRule as StopRule
from deep_protection.stopping.trajectory import Checkpoint as Checkpoint
from deep_protection.stopping.trajectory import Trajectory as Trajectory
from deep_protection.stopping.trajectory import psnr as psnr
