// The mark of what is chosen, a network or a unit: a frame with a rim of paper on both sides, which no size of an output has.

const RIM = 1.5; // pixels

/** Draws it inside of a box, and dashed for the second of two networks that are compared. */
export function frameChosen(context, [x, y, width, height], { color, isSecond = false }, look, line = 3) {
  const inset = line / 2 + RIM, box = [x + inset, y + inset, width - 2 * inset, height - 2 * inset];
  context.lineWidth = line + 2 * RIM;
  context.strokeStyle = look.paper;
  context.strokeRect(...box);
  context.lineWidth = line;
  context.strokeStyle = color;
  context.setLineDash(isSecond ? [7, 3] : []);
  context.strokeRect(...box);
  context.setLineDash([]);
}
