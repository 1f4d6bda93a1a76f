/** Words of a map: which of them are shown, and as files with the fields of the command `extract-text`. */

/** @typedef {{text: string, confidence: number, angle: number, box: number[], corners: number[][], source: string, read_as: string | null}} Word */

const COMMENT = "Coordinates are pixels of the image, x to the right and y downwards, from its top left corner; they are no longitudes and latitudes.";

/** One letter or figure, or none: trees are read as 4, towers as o. */
export const isSign = ({ text }) => [...text.replace(/[^\p{L}\p{N}]/gu, "")].length < 2;

/** @param {Word[]} words */
export const asJson = (words, image, { width, height }) => `${JSON.stringify({ image, width, height, words }, null, 1)}\n`;

/** One line a word. */
export function asCsv(words) {
  const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const lines = words.map(({ text, confidence, angle, box, source, read_as }) =>
    [quoted(text), confidence, angle, ...box, quoted(source), quoted(read_as ?? "")].join(","));
  return ["text,confidence,angle,left,top,right,bottom,source,read_as", ...lines, ""].join("\n");
}

/** Polygons whose coordinates are pixels, y downwards: for a GIS that knows where the sheet's corners lie. */
export function asGeoJson(words) {
  const features = words.map(({ corners, ...properties }) => ({
    type: "Feature",
    geometry: { type: "Polygon", coordinates: [[...corners, corners[0]]] },
    properties,
  }));
  return `${JSON.stringify({ type: "FeatureCollection", comment: COMMENT, features })}\n`;
}
