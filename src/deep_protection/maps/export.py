"""Words as JSON, CSV and GeoJSON. All places are pixels of the sheet, x to the right and y downwards."""

import csv
import json
from io import StringIO
from typing import Any

from deep_protection.maps.words import Word

COMMENT = (
    "Coordinates are pixels of the image, x to the right and y downwards, from its top left corner; "
    "they are no longitudes and latitudes."
)
"""In every GeoJSON file: its format means degrees, where nothing is said."""


def as_record(word: Word) -> dict[str, Any]:
    """A word as plain values; places to a tenth of a pixel."""
    return {
        "text": word.text,
        "confidence": round(word.confidence, 4),
        "angle": round(word.angle, 1),
        "box": [round(value, 1) for value in word.box],
        "corners": [[round(x, 1), round(y, 1)] for x, y in word.corners],
        "source": word.source,
        "read_as": word.read_as,
    }


def to_json(words: list[Word], name: str, size: tuple[int, int]) -> str:
    """All of them with the sheet's name, width and height."""
    about = {"image": name, "width": size[0], "height": size[1], "words": [as_record(word) for word in words]}
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def to_csv(words: list[Word]) -> str:
    """One line a word."""
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["text", "confidence", "angle", "left", "top", "right", "bottom", "source", "read_as"])
    for word in words:
        record = as_record(word)
        about = record["text"], record["confidence"], record["angle"]
        lines.writerow([*about, *record["box"], record["source"], record["read_as"]])  # None is written as nothing
    return text.getvalue()


def to_geojson(words: list[Word]) -> str:
    """Polygons whose coordinates are pixels, y downwards: for a GIS that knows where the sheet's corners lie."""
    features = []
    for word in words:
        record = as_record(word)
        corners = record.pop("corners")
        outline = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
        features.append({"type": "Feature", "geometry": outline, "properties": record})
    return (
        json.dumps({"type": "FeatureCollection", "comment": COMMENT, "features": features}, ensure_ascii=False) + "\n"
    )
