"""Which images were tampered with. A new kind of evidence is one row of ``EVIDENCE``."""

from deep_protection.detection._detect import ITERATIONS as ITERATIONS
from deep_protection.detection._detect import Detection as Detection
from deep_protection.detection._detect import calibrate as calibrate
from deep_protection.detection._detect import classifier_images as classifier_images
from deep_protection.detection._detect import classifier_responses as classifier_responses
from deep_protection.detection._detect import detect as detect
from deep_protection.detection._detect import first_looks as first_looks
from deep_protection.detection._detect import partial_restorations as partial_restorations
from deep_protection.detection._detect import reference_images as reference_images
from deep_protection.detection.calibration import Calibration as Calibration
from deep_protection.detection.ensemble import EnsembleDetection as EnsembleDetection
from deep_protection.detection.ensemble import combine as combine
from deep_protection.detection.ensemble import per_classifier_rate as per_classifier_rate
from deep_protection.detection.evidence import EVIDENCE as EVIDENCE
from deep_protection.detection.evidence import compute_evidence as compute_evidence
from deep_protection.detection.evidence import margin as margin
from deep_protection.detection.responses import Responses as Responses
from deep_protection.detection.responses import agreement as agreement
from deep_protection.detection.responses import centred as centred
from deep_protection.detection.responses import compress as compress
from deep_protection.detection.responses import compress_range as compress_range
from deep_protection.detection.responses import look_first as look_first
from deep_protection.detection.responses import respond as respond
from deep_protection.detection.specks import repair_specks as repair_specks
