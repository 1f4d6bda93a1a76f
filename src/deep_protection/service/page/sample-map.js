/** A small map drawn in the browser, for those who have none at hand. The town does not exist. */

import { blobOf } from "./dom.js";

const PAPER = "#f2ecdb", INK = "#26241f", BROWN = "#b98a5a", BLUE = "#7fa9c4", WATER = "#d5e3ea", GREEN = "#dbe3c6";
const WIDTH = 520, HEIGHT = 380;

export function drawnMap() {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext("2d");
  pen.fillStyle = PAPER;
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  ground(pen);
  roads(pen);
  houses(pen);
  lettering(pen);
  return blobOf(canvas);
}

function ground(pen) {
  pen.fillStyle = GREEN;
  pen.beginPath();
  pen.ellipse(420, 92, 92, 66, 0.2, 0, 7);
  pen.fill();
  pen.strokeStyle = BROWN;
  pen.lineWidth = 1.3;
  for (let ring = 0; ring < 7; ring++) {
    pen.beginPath();
    pen.ellipse(418 + 2 * ring, 90 - ring, 128 - 17 * ring, 88 - 12 * ring, 0.2, 0, 7);
    pen.stroke();
  }
  river(pen, WATER, 26);
  river(pen, BLUE, 28, true);
}

function river(pen, colour, width, isBank = false) {
  for (const side of isBank ? [-width / 2, width / 2] : [0]) {
    pen.strokeStyle = colour;
    pen.lineWidth = isBank ? 1.5 : width;
    pen.beginPath();
    pen.moveTo(-10, 292 + side);
    pen.bezierCurveTo(120, 248 + side, 210, 352 + side, 340, 316 + side);
    pen.bezierCurveTo(420, 296 + side, 470, 262 + side, 530, 276 + side);
    pen.stroke();
  }
}

function roads(pen) {
  const ways = [[[18, 176], [322, 196]], [[150, -10], [186, 400]], [[322, 196], [530, 232]]];
  for (const [width, colour] of [[15, INK], [12.4, "#fbf8ee"]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    for (const [from, to] of ways) {
      pen.beginPath();
      pen.moveTo(...from);
      pen.lineTo(...to);
      pen.stroke();
    }
  }
}

function houses(pen) {
  pen.fillStyle = "#8d8676";
  const places = [[36, 150], [62, 152], [92, 152], [206, 158], [236, 162], [262, 204], [206, 210], [40, 200], [70, 204], [104, 206], [120, 90], [118, 120], [192, 244], [126, 226]];
  for (const [x, y] of places) pen.fillRect(x, y, 16, 11);
}

function lettering(pen) {
  pen.fillStyle = INK;
  pen.textBaseline = "alphabetic";
  const write = (words, x, y, size, { turn = 0, weight = 500, halo = null } = {}) => {
    pen.save();
    pen.translate(x, y);
    pen.rotate(turn);
    pen.font = `${weight} ${size}px "Hanken Grotesk", sans-serif`;
    if (halo) {
      pen.strokeStyle = halo;
      pen.lineWidth = 6;
      pen.lineJoin = "round";
      pen.strokeText(words, 0, 0);
    }
    pen.fillText(words, 0, 0);
    pen.restore();
  };
  write("MORWIN", 22, 62, 30, { weight: 600 });
  write("Chapel", 214, 140, 20);
  write("Castle Hill", 372, 96, 21, { halo: GREEN });
  write("Mill", 250, 286, 19);
  write("Station", 372, 258, 20);
  write("Bridge", 196, 352, 19);
  write("Meadow", 30, 344, 22, { turn: -0.02 });
}
