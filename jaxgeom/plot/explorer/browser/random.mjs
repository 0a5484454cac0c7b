// Random numbers from a seed, the same in every browser: mulberry32, a generator with 32 bits of state.

/** A stream of numbers: `uniform()` in [0, 1), `normal()`, and `shuffled(num)`, the numbers below `num` in some order; `copy()`
 * goes on from here as this one does. */
export function randomOf(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const shuffled = (num) => {
    const order = Uint32Array.from({ length: num }, (_, place) => place);
    for (let last = num - 1; last > 0; last--) {
      const other = Math.floor(uniform() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  };
  return { uniform, normal, shuffled, copy: () => randomOf(state) };
}

/** A seed for each of several purposes, so that one can change without the others. */
export const seedFor = (...numbers) => numbers.reduce((seed, number) => (Math.imul(seed, 0x9e3779b1) + number + 1) >>> 0, 0x2545f491);
