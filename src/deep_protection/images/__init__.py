"""Pictures in and out: every type, mode and file format is turned into pixels here, once, and back here at the end."""

from deep_protection.images.arrays import has_plain_values as has_plain_values
from deep_protection.images.decode import check_header as check_header
from deep_protection.images.decode import file_bytes as file_bytes
from deep_protection.images.decode import read_image as read_image
from deep_protection.images.decode import upright as upright
from deep_protection.images.encode import bytes_format as bytes_format
from deep_protection.images.encode import check_side as check_side
from deep_protection.images.encode import encode as encode
from deep_protection.images.encode import format_for as format_for
from deep_protection.images.encode import is_writable_suffix as is_writable_suffix
from deep_protection.images.encode import write_atomically as write_atomically
from deep_protection.images.kinds import HEAD as HEAD
from deep_protection.images.kinds import is_picture as is_picture
from deep_protection.images.limits import MAX_PIXELS as MAX_PIXELS
from deep_protection.images.limits import check_size as check_size
from deep_protection.images.picture import Picture as Picture
from deep_protection.images.pillow import from_pillow as from_pillow
from deep_protection.images.pillow import in_rgb as in_rgb
from deep_protection.images.pillow import to_pillow as to_pillow
from deep_protection.images.take import Taken as Taken
from deep_protection.images.take import take as take
from deep_protection.images.take import take_picture as take_picture
from deep_protection.images.values import ROUNDING as ROUNDING
from deep_protection.images.values import check_unit_range as check_unit_range
