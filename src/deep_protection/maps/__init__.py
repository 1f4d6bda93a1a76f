"""Text out of maps by the Deep Image Residual."""

from deep_protection.maps.extract import ExtractedText as ExtractedText
from deep_protection.maps.extract import extract_text as extract_text
from deep_protection.maps.residual import dark_ink as dark_ink
from deep_protection.maps.residual import deep_image_residual as deep_image_residual
from deep_protection.maps.words import Word as Word
