// A canvas that is as sharp as its screen, and is drawn again when its size or content changes.

/** `draw(context, width, height)` in CSS pixels; the panel remembers it, for pictures that are saved. */
export function panel(canvas, draw) {
  const context = canvas.getContext("2d");
  return {
    canvas,
    draw,
    paint() {
      const { clientWidth: width, clientHeight: height } = canvas, sharp = Math.min(3, window.devicePixelRatio || 1);
      if (!width || !height) return;
      const [across, down] = [Math.round(width * sharp), Math.round(height * sharp)];
      if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
      context.setTransform(sharp, 0, 0, sharp, 0, 0);
      context.clearRect(0, 0, width, height);
      draw(context, width, height);
    },
  };
}

/** The place of a pointer on a canvas, in CSS pixels. */
export function placeOf(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const ARROWS = { ArrowRight: [10, 0], ArrowLeft: [-10, 0], ArrowDown: [0, 10], ArrowUp: [0, -10] };

/** Calls `move(right, down)` for arrow keys on a canvas, which go no further if it says that it moved. */
export function onArrows(canvas, move) {
  canvas.addEventListener("keydown", (event) => {
    if (ARROWS[event.key] && move(...ARROWS[event.key])) event.preventDefault();
  });
}

/** Calls `move(right, down)` while a pointer drags, and `tap(event)` if it hardly moved. */
export function onDrag(canvas, move, tap = () => {}) {
  let last = null, far = 0;
  canvas.addEventListener("pointerdown", (event) => {
    [last, far] = [[event.clientX, event.clientY], 0];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const [right, down] = [event.clientX - last[0], event.clientY - last[1]];
    far += Math.hypot(right, down);
    last = [event.clientX, event.clientY];
    if (far > 3) move(right, down);
  });
  const end = (event) => {
    if (last && far <= 3 && event.type === "pointerup") tap(event);
    last = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}
