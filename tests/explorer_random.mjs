async (seed, num) => {
  // Uses a page at random: buttons, lists, sliders, numbers, keys and the address. Returns what is wrong afterwards, with what was
  // done before; what the console says is for who opened the page.
  let state = seed;
  const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const one = (list) => list[Math.floor(uniform() * list.length)];
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const seenOf = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.offsetParent && !each.disabled);
  const told = (element, type) => element.dispatchEvent(new Event(type, { bubbles: true }));
  const { own, population } = explorer, done = [], wrong = [];
  const sums = () => Object.values(own.recorded.arrays).map((array) => array.reduce((sum, value, at) => (7 * sum + value * at) % 1e6, 0));
  const recorded = () => JSON.stringify([population.axes, population.steps, population.numFrames, population.curves.length, sums()]);
  const before = recorded();

  const acts = {
    press() {
      const button = one(seenOf("main button, header button, .bar button").filter(({ id }) => !["png", "svg", "help"].includes(id)));
      button.click();
      return button.id || button.title || button.textContent;
    },
    train: () => own.isOn() || document.getElementById("train").click(),
    play: () => document.getElementById("play").click(),
    next: () => document.getElementById("next").click(),
    choose() {
      const list = one(seenOf("select"));
      if (!list) return "nothing";
      list.value = one([...list.options].filter(({ disabled, value }) => !disabled && !(list.dataset.set === "seeds" && value > 9))).value;
      told(list, "change");
      return `${list.dataset.set}=${list.value}`;
    },
    slide() {
      const slider = one(seenOf("input[type=range]")), least = Number(slider?.min);
      if (!slider) return "nothing";
      slider.value = least + uniform() * (slider.max - least);
      told(slider, "input");
      return `${slider.id}=${slider.value}`;
    },
    type() {
      const input = one(seenOf("input[type=number]"));
      if (!input) return "nothing";
      input.value = one(["", "0", "-1", "3", "70", "0.5", "-1000", "1e300"]);
      told(input, "change");
      return `${input.id || input.title}=${input.value}`;
    },
    pick() {
      const { layers } = explorer.sceneOf(0), layer = Math.floor(uniform() * layers.length), canvas = document.querySelector("#network canvas");
      const [x, y] = explorer.unitPlace(layer, 0), [x0, y0] = layer > 0 && uniform() < 0.5 ? explorer.unitPlace(layer - 1, 0) : [x, y];
      const { left, top } = canvas.getBoundingClientRect(), place = { clientX: left + (x + x0) / 2, clientY: top + (y + y0) / 2 };
      for (const type of ["pointermove", "click"]) canvas.dispatchEvent(new PointerEvent(type, { ...place, bubbles: true, pointerType: "mouse" }));
    },
    key() {
      const key = one([" ", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End", "r", "d", "w", "c", "n", "t", "Escape"]);
      one([document.body, ...seenOf("canvas, select, button")]).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      return key;
    },
    async go() {
      location.hash = one(["", "seed=2", "t.seed=1&t.hidden=", "t.seed=3&t.step=40&t.beside=9", "t.seed=-1&t.data=xor", "t.seed=2&t.start=1&t.step=12",
        "t.seed=1&t.seeds=4&t.member=3&unit=1.2&through=2.5", "t.seed=1&t.step=1e9", "t.seed=1&t.features=x1~x1^2&t.hidden=3~0"]);
      await new Promise((ready) => setTimeout(ready, 20));
      return location.hash;
    },
  };

  function check() {
    const { numFrames, steps, curves, axes, homes, arrays, room } = population, { time, places } = explorer.state, found = [];
    const need = (isRight, text) => isRight || found.push(text);
    need(numFrames === steps.length, "frames");
    need(time >= 0 && time <= numFrames - 1, "time");
    need(places.every((each) => axes.every(({ name, values }) => each[name] in values)), "places");
    need(!/NaN|undefined|Infinity/.test(document.body.innerText), "words");
    need(!/NaN|null,null/.test(JSON.stringify([explorer.state.own, time, places])), "state");
    if (!own.isOn()) return found;
    need(steps.every((step, at) => at === 0 || step > steps[at - 1]) && own.step() === steps.at(-1), "steps");
    need(curves.every(({ num, values }) => num === numFrames && values.length === num * homes.size && values.every(Number.isFinite)), "curves");
    own.run().networks.forEach(({ layers }, place) => layers.forEach((layer, depth) => ["kernel", "bias"].forEach((part) => {
      const size = layer[part].length, start = (place * room + numFrames - 1) * size, array = arrays[`0/${part}/${depth}`];
      need(layer[part].every((value, at) => Number.isFinite(value) && value === array[start + at]), "weights");
    })));
    return found;
  }

  const names = Object.keys(acts), often = ["train", "next", "next", "choose", "choose", "slide", "pick", "play"];
  for (let turn = 0; turn < num && !wrong.length; turn++) {
    const name = one([...names, ...often]);
    await frame();
    await frame(); // what is pressed has been drawn
    done.push(`${name} ${await acts[name]()}`);
    wrong.push(...check());
  }
  if (own.isOn()) own.toggle();
  if (recorded() !== before) wrong.push("what was recorded");
  return wrong.length ? [...wrong, ...done.slice(-12)] : [];
}
