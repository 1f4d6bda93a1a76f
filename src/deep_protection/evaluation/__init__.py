"""Measuring defences: sample images, baselines, accuracy, figures. A new baseline is one row in its file."""

from deep_protection.evaluation.accuracy import Accuracy as Accuracy
from deep_protection.evaluation.accuracy import accuracy as accuracy
from deep_protection.evaluation.accuracy import wilson_interval as wilson_interval
from deep_protection.evaluation.baselines import BASELINES as BASELINES
from deep_protection.evaluation.baselines import Baseline as Baseline
from deep_protection.evaluation.baselines import find_baseline as find_baseline
from deep_protection.evaluation.corruptions import CORRUPTIONS as CORRUPTIONS
from deep_protection.evaluation.corruptions import Corruption as Corruption
from deep_protection.evaluation.corruptions import find_corruption as find_corruption
from deep_protection.evaluation.panel import PanelRow as PanelRow
from deep_protection.evaluation.panel import draw_panel as draw_panel
from deep_protection.evaluation.panel import figure_class as figure_class
from deep_protection.evaluation.real_world import RealWorld as RealWorld
from deep_protection.evaluation.real_world import real_world as real_world
from deep_protection.evaluation.samples import imagenet_samples as imagenet_samples
from deep_protection.evaluation.samples import sample_files as sample_files
from deep_protection.evaluation.side_by_side import draw_side_by_side as draw_side_by_side
from deep_protection.evaluation.side_by_side import markdown as markdown
