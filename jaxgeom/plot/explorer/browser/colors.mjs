// Colours: of regions by their codes, of outputs by their sign and size, of layers and classes; light and dark.

/** Okabe and Ito's colours, told apart by colour-blind readers too. */
export const CLASSES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442"];

const LOOKS = {
  light: {
    lightness: [0.94, 0.87], chroma: 0.06, paper: "#ffffff", ink: "#16181d", faint: "#8a929e", line: "#dfe3e8",
    strong: ["#0f5a91", "#d9691a"], side: ["#5b9fcc", "#f7b78c"], weak: ["#dcebf5", "#fbe7d8"],
    boundary: "#16181d", picked: "#f0005a", chosen: ["#16181d", "#009970"], points: CLASSES, depths: [1.3, 1, 0.5],
    layers: ["#5c4a2e", "#0072b2", "#b34700", "#009970", "#8c2f6b"],
  },
  dark: {
    lightness: [0.36, 0.29], chroma: 0.075, paper: "#12161d", ink: "#e8ecf2", faint: "#8b95a5", line: "#2a313c",
    strong: ["#2f8fd6", "#ffb070"], side: ["#175a8a", "#c8753c"], weak: ["#12273a", "#3a2214"],
    boundary: "#ffffff", picked: "#ffd84d", chosen: ["#e8ecf2", "#8dc096"],
    points: ["#4a8ae0", "#f0683a", "#4fdfae", "#bd7ba6", "#bfe6ff", "#ffae1a", "#faf28a"], depths: [0.5, 1, 1.4],
    layers: ["#c4c9cf", "#6cc0f2", "#f2a365", "#8dc096", "#d06aa6"],
  },
};

// `strong` colours points and weights below and above zero, `side` what lies behind them far from zero, `weak` near it;
// `points` are of classes where there are more than two: on dark, as far apart as those on light, and lighter than
// what is behind them. `depths` are of the areas of the first classes, which differ in lightness, too. `picked` is a unit,
// `chosen` are the networks that are seen, the first and the second: neither is a colour of outputs.

/** What a theme looks like. */
export const lookOf = (theme) => LOOKS[theme];

/** The colour of the edges that a layer makes. */
export const layerColor = (look, layer) => look.layers[layer % look.layers.length];

/** The colour of a class. */
export const classColor = (number) => CLASSES[number % CLASSES.length];

/** The colour of its points, which are seen on the side where it is decided. */
export const classPoint = (look, number) => look.points[number % look.points.length];

/** The colour of the area where it is decided: so much of its own colour, on average. */
export const classTint = (look, number, share) =>
  mixed(look.paper, classColor(number), share * (look.depths[number % CLASSES.length] ?? 1));

const TONES = 256;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** A function of a code: every active unit turns the hue by an angle of its own, and an odd number darkens. */
export function codeColors(look) {
  const tones = look.lightness.map((lightness) =>
    Array.from({ length: TONES }, (_, tone) => oklab(lightness, look.chroma, (2 * Math.PI * tone) / TONES)),
  );
  return (codes, start, units) => {
    let angle = 0, num = 0;
    for (let unit = 0; unit < units; unit++) {
      if (!codes[start + unit]) continue;
      angle += 0.2 + 0.6 * ((unit * GOLDEN) % 1);
      num++;
    }
    return tones[num % 2][Math.floor(TONES * (angle % 1))];
  };
}

/** OKLab (Ottosson 2020) as sRGB. */
export function oklab(lightness, chroma, angle) {
  const a = chroma * Math.cos(angle), b = chroma * Math.sin(angle);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return rgb(linear.map((v) => 255 * (v <= 0.0031308 ? 12.92 * Math.max(v, 0) : 1.055 * v ** (1 / 2.4) - 0.055)));
}

const rgb = (channels) => `rgb(${channels.map((v) => Math.round(Math.min(255, Math.max(0, v)))).join(",")})`;

export const channels = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

/** Between two colours. */
export function mixed(first, second, share) {
  const [a, b] = [channels(first), channels(second)];
  return rgb(a.map((value, place) => value + share * (b[place] - value)));
}

const tables = new Map();

/** Colours of 256 outputs from -1 to 1: blue below zero, orange above, stronger further out; as texts and as channels. */
export function sideTable(look) {
  if (!tables.has(look)) {
    const texts = Array.from({ length: 256 }, (_, place) => {
      const value = place / 127.5 - 1, side = value < 0 ? 0 : 1;
      return mixed(look.weak[side], look.side[side], Math.abs(value));
    });
    tables.set(look, { texts, channels: texts.map((text) => text.match(/\d+/g).map(Number)) });
  }
  return tables.get(look);
}

/** The place of an output in the table. */
export const toneOf = (value) => Math.round(127.5 * (Math.max(-1, Math.min(1, value)) + 1));

/** The colour of an output from -1 to 1. */
export const sideColor = (look, value) => sideTable(look).texts[toneOf(value)];
