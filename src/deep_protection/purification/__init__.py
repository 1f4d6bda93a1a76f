"""Pictures in, restored pictures out."""

from deep_protection.fitting.devices import find_device as find_device
from deep_protection.purification.presets import PRESETS as PRESETS
from deep_protection.purification.presets import Preset as Preset
from deep_protection.purification.presets import find_preset as find_preset
from deep_protection.purification.purify import joined as joined
from deep_protection.purification.purify import purify as purify
from deep_protection.purification.purify import purify_each as purify_each
from deep_protection.purification.result import Purified as Purified
from deep_protection.purification.seen import Seen as Seen
from deep_protection.purification.seen import factor_of as factor_of
from deep_protection.purification.seen import with_holes as with_holes
