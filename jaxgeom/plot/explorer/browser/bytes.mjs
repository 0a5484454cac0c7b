// Arrays from the page's text: a table {name: [dtype, shape, first byte]}, and compressed bytes in base64.

const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };

/** Typed arrays by name. */
export async function unpack(table, text) {
  const compressed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const [name, [kind, shape, start]] of Object.entries(table)) {
    arrays[name] = new KINDS[kind](bytes, start, shape.reduce((product, size) => product * size, 1));
    arrays[name].shape = shape;
  }
  return arrays;
}
