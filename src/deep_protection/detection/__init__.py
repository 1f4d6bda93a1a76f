"""Which pictures were tampered with. A new kind of evidence is one row of ``EVIDENCE``."""

from deep_protection.detection.calibration import Calibration as Calibration
from deep_protection.detection.calibration import calibrate as calibrate
from deep_protection.detection.detect import ITERATIONS as ITERATIONS
from deep_protection.detection.detect import Detection as Detection
from deep_protection.detection.detect import classifier_pixels as classifier_pixels
from deep_protection.detection.detect import detect as detect
from deep_protection.detection.detect import kinds as kinds
from deep_protection.detection.detect import look as look
from deep_protection.detection.detect import partial_restorations as partial_restorations
from deep_protection.detection.evidence import EVIDENCE as EVIDENCE
from deep_protection.detection.evidence import gather as gather
from deep_protection.detection.evidence import margin as margin
from deep_protection.detection.opinions import Opinions as Opinions
from deep_protection.detection.opinions import joined as joined
from deep_protection.detection.opinions import rate_each as rate_each
from deep_protection.detection.responses import Responses as Responses
from deep_protection.detection.responses import agreement as agreement
from deep_protection.detection.responses import centred as centred
from deep_protection.detection.responses import compress as compress
from deep_protection.detection.responses import compress_range as compress_range
from deep_protection.detection.responses import respond as respond
from deep_protection.detection.specks import repair_specks as repair_specks
