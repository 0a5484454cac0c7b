// What the explorer's modules compute, as JSON: `node tests/explorer_truth.mjs page.html` (see test_explorer.py).

import { readFileSync } from "node:fs";

const modules = new URL("../jaxgeom/plot/explorer/browser/", import.meta.url);
const load = (name) => import(new URL(`${name}.mjs`, modules));
const { unpack } = await load("bytes");
const { decisionBoundary } = await load("boundary");
const { codeAt, forward, mapOfCode } = await load("network");
const { layersAt, memberAt, placesOf, quantiles, readPopulation, siblings, stepAt, timeOf } = await load("population");
const { cutRegions } = await load("cut");
const { area, edgesOf, engineRegions, faceAt, numFaces } = await load("regions");
const { partsOf } = await load("parts");
const { firstState, read, written } = await load("state");
const { projection, ABOVE } = await load("camera");
const { ticksOf } = await load("curves");
const { coordinates, viewOf } = await load("axes");

const page = readFileSync(process.argv[2], "utf8");
const script = (name) => new RegExp(`id="${name}">([^<]*)<`).exec(page)[1];
const about = JSON.parse(script("about"));
const arrays = await unpack(about.arrays, script("bytes"));
const population = readPopulation(about, arrays);
const engine = engineRegions(arrays);

const listed = (regions) => {
  const faces = Array.from({ length: numFaces(regions) }, (_, face) => face);
  const { units, outputs } = regions;
  return {
    areas: faces.map((face) => area(regions, face)),
    codes: faces.map((face) => Array.from(regions.codes.subarray(face * units, (face + 1) * units)).join("")),
    maps: faces.map((face) => Array.from(regions.maps.subarray(3 * face * outputs, 3 * (face + 1) * outputs))),
    sizes: faces.map((face) => regions.offsets[face + 1] - regions.offsets[face]),
    lengths: Array.from({ length: units }, (_, unit) => lengthOf(edgesOf(regions, unit))),
    boundary: lengthOf(decisionBoundary(regions)),
    parts: partsOf(regions).length,
  };
};

function lengthOf(pieces) {
  let length = 0;
  for (let i = 0; i < pieces.length; i += 4) length += Math.hypot(pieces[i + 2] - pieces[i], pieces[i + 3] - pieces[i + 1]);
  return length;
}

const networks = [...population.homes.keys()].map((member) => {
  const last = population.numFrames - 1, layers = layersAt(population, member, last);
  const found = engine(member, last, layers), cut = cutRegions(layers, population.domain);
  const x = arrays["data/x"];
  const points = [...Array(20).keys()].map((i) => [x[2 * i], x[2 * i + 1]]);
  return {
    member,
    places: placesOf(population, member),
    back: memberAt(population, placesOf(population, member)),
    siblings: siblings(population, placesOf(population, member)),
    engine: found && listed(found),
    cut: listed(cut),
    outputs: Array.from(forward(layers, x).at(-1).z),
    hits: points.map(([px, py]) => [faceAt(cut, px, py), codeAt(layers, px, py).join("")]),
    byCode: points.map(([px, py]) => Array.from(mapOfCode(layers, codeAt(layers, px, py)))),
    half: last > 0 ? Array.from(layersAt(population, member, last - 0.5)[0].kernel) : null,
    outside: faceAt(cut, 1e6, 0),
  };
});

const state = firstState(population);
Object.assign(state, { time: 1, compare: true, sheet: true, color: "regions", picked: { layer: 0, unit: 2 }, through: 1.5 });
state.show.data = false;
const camera = projection(ABOVE, [100, 100], 50);
const rows = Float64Array.from({ length: 40 }, (_, i) => (i % 4 === 2 ? 5 * Math.sin(i) : i % 4 === 1 ? Math.cos(i) : 0.1));
console.log(
  JSON.stringify({
    networks,
    quantiles: population.curves.length ? quantiles(population.curves[0], [...population.homes.keys()], [0, 0.5, 1]).map((q) => q[0]) : null,
    times: population.steps.map((step) => timeOf(population, step)),
    half: population.numFrames > 1 ? stepAt(population, 0.5) : null,
    link: written(state, population),
    again: written(read(`#${written(state, population)}`, population), population),
    nonsense: read("#step=x&seed=99&unit=a&theme=pink", population),
    corner: camera(1, 1, 0.3),
    ticks: [
      ticksOf(0, 10, false), ticksOf(1e-4, 1, true), ticksOf(11, 29, false), ticksOf(0.011, 0.9, true), ticksOf(4, 5, false),
    ],
    axis: Array.from(viewOf(rows, 4).axes[0]),
    along: coordinates(Float64Array.of(1, 2, 3, 4), 2, { center: [1, 1], axes: [[0, 1]] }).length,
  }),
);
