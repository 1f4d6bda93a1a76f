"""Classifiers and where they come from. A new named one is one file here and one row of ``CLASSIFIERS``."""

from deep_protection.classifiers.adapter import ClassifierAdapter as ClassifierAdapter
from deep_protection.classifiers.adapter import ask as ask
from deep_protection.classifiers.adapter import evaluating as evaluating
from deep_protection.classifiers.adapter import name_of as name_of
from deep_protection.classifiers.adapter import try_out as try_out
from deep_protection.classifiers.black_box import FLOOR as FLOOR
from deep_protection.classifiers.black_box import BlackBox as BlackBox
from deep_protection.classifiers.classifier import Classifier as Classifier
from deep_protection.classifiers.classifier import Prediction as Prediction
from deep_protection.classifiers.classifier import is_multi_label as is_multi_label
from deep_protection.classifiers.classifier import log_probabilities as log_probabilities
from deep_protection.classifiers.classifier import mean_answer as mean_answer
from deep_protection.classifiers.classifier import probabilities as probabilities
from deep_protection.classifiers.classifier import refuse_multi_label as refuse_multi_label
from deep_protection.classifiers.folders import class_folders as class_folders
from deep_protection.classifiers.hub import is_cached as is_cached
from deep_protection.classifiers.imagenet import class_names as class_names
from deep_protection.classifiers.imagenet import wordnet_ids as wordnet_ids
from deep_protection.classifiers.load import CLASSIFIERS as CLASSIFIERS
from deep_protection.classifiers.load import HUB_IDS as HUB_IDS
from deep_protection.classifiers.load import is_remote as is_remote
from deep_protection.classifiers.load import load_classifier as load_classifier
from deep_protection.classifiers.tta import mean_logits as mean_logits
from deep_protection.classifiers.tta import views as views
from deep_protection.classifiers.tta import zoomed as zoomed
