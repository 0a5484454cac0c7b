// Sliders for the axes of the population, buttons that stay pressed, and keys.

/** One slider for each axis; `choose(name, place)` is called when one moves. Returns what sets them. */
export function axisSliders(element, population, choose) {
  element.replaceChildren();
  const sliders = population.axes
    .filter(({ values }) => values.length > 1)
    .map(({ name, values }) => {
      const label = document.createElement("label"), input = document.createElement("input");
      const text = Object.assign(document.createElement("span"), { className: "name", textContent: name.replaceAll("_", " ") });
      const value = document.createElement("output");
      Object.assign(input, { type: "range", min: 0, max: values.length - 1, step: 1 });
      input.dataset.axis = name;
      input.addEventListener("input", () => choose(name, Number(input.value)));
      label.append(text, input, value);
      element.append(label);
      return { name, values, input, value };
    });
  return (places) => {
    for (const { name, values, input, value } of sliders) {
      input.value = places[name];
      const shown = values[places[name]];
      value.textContent = typeof shown === "number" ? +shown.toPrecision(4) : shown;
      input.setAttribute("aria-valuetext", value.textContent);
    }
  };
}

export const KEYS = [
  [" ", "space", "play or pause"],
  ["ArrowRight", "→ ←", "next or previous frame"],
  ["ArrowUp", "↑ ↓", "next or previous network"],
  ["Home", "Home End", "first or last frame"],
  ["Enter", "Enter", "bias and weights of a unit, in the diagram (to which Tab leads, and arrows to units)"],
  ["r", "r", "colour by output or by region"],
  ["d", "d", "plane or sheet in space"],
  ["w", "w", "the way through the network large"],
  ["c", "c", "two networks side by side"],
  ["n", "n", "train networks in the page"],
  ["t", "t", "dark or light"],
  ["s", "s v", "save as PNG or SVG"],
  ["l", "l", "copy a link to what is seen"],
  ["Escape", "Esc", "let go of a unit"],
  ["?", "?", "this help"],
];

/** Calls `act[key]` for a key that is pressed outside of sliders and lists. */
export function onKeys(act) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const isControl = /^(INPUT|SELECT)$/.test(event.target.tagName);
    const isButton = event.target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key);
    const isTyped = isControl && event.key !== "Escape" && (event.target.type === "number" || !/^[a-z?]$/.test(event.key));
    if (isButton || isTyped || !act[event.key]) return;
    event.preventDefault();
    act[event.key]();
  });
}

export function press(button, isPressed) {
  button.setAttribute("aria-pressed", String(isPressed));
}
