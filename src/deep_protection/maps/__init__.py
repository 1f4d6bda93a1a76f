"""Text out of maps by the Deep Image Residual."""

from deep_protection.maps.export import as_record as as_record
from deep_protection.maps.export import to_csv as to_csv
from deep_protection.maps.export import to_geojson as to_geojson
from deep_protection.maps.export import to_json as to_json
from deep_protection.maps.extract import ExtractedText as ExtractedText
from deep_protection.maps.extract import extract_text as extract_text
from deep_protection.maps.legibility import Legibility as Legibility
from deep_protection.maps.legibility import dark_ink as dark_ink
from deep_protection.maps.residual import deep_image_residual as deep_image_residual
from deep_protection.maps.scripts import Script as Script
from deep_protection.maps.scripts import check_script as check_script
from deep_protection.maps.words import Word as Word
