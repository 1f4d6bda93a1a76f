"""Deep Image Prior's other uses: pictures that are noisy, compressed too far, too small, or have holes."""

from deep_protection.restoration.presets import DEJPEG as DEJPEG
from deep_protection.restoration.presets import DENOISE as DENOISE
from deep_protection.restoration.presets import INPAINT as INPAINT
from deep_protection.restoration.presets import UPSCALE as UPSCALE
from deep_protection.restoration.presets import with_fits as with_fits
from deep_protection.restoration.restore import dejpeg as dejpeg
from deep_protection.restoration.restore import denoise as denoise
from deep_protection.restoration.restore import inpaint as inpaint
from deep_protection.restoration.restore import missing_pixels as missing_pixels
from deep_protection.restoration.restore import stop_for as stop_for
from deep_protection.restoration.restore import with_missing as with_missing
from deep_protection.restoration.upscale import check_factor as check_factor
from deep_protection.restoration.upscale import enlargeable as enlargeable
from deep_protection.restoration.upscale import upscale as upscale
