// The part of a canvas' drawing context that the panels use, which writes SVG instead of pixels.

const number = (value) => +value.toFixed(2);
const escaped = (text) => String(text).replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

export function svgContext() {
  const body = [], defs = [], saved = [];
  let path = "", offset = [0, 0], clip = null, dashes = [];
  const place = (x, y) => `${number(x + offset[0])} ${number(y + offset[1])}`;
  const paint = (style) => (typeof style === "string" ? style : `url(#${style.name})`);
  const clipped = () => (clip ? ` clip-path="url(#${clip})"` : "");
  const context = {
    fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, globalAlpha: 1, lineCap: "butt", lineJoin: "miter",
    font: "12px sans-serif", textAlign: "left", textBaseline: "alphabetic", imageSmoothingEnabled: true,
    /** Moves all that follows. */
    moveOrigin(x, y) {
      offset = [x, y];
    },
    beginPath() {
      path = "";
    },
    moveTo(x, y) {
      path += `M${place(x, y)}`;
    },
    lineTo(x, y) {
      path += `${path ? "L" : "M"}${place(x, y)}`;
    },
    bezierCurveTo(a, b, c, d, x, y) {
      path += `C${place(a, b)} ${place(c, d)} ${place(x, y)}`;
    },
    closePath() {
      path += "Z";
    },
    arc(x, y, radius) {
      const r = number(radius);
      path += `M${place(x - radius, y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
    },
    rect(x, y, width, height) {
      path += `M${place(x, y)}h${number(width)}v${number(height)}h${number(-width)}Z`;
    },
    clip() {
      clip = `c${defs.length}`;
      defs.push(`<clipPath id="${clip}"><path d="${path}"/></clipPath>`);
    },
    save() {
      saved.push(clip);
    },
    restore() {
      clip = saved.pop() ?? null;
    },
    setLineDash(given) {
      dashes = given;
    },
    fill() {
      body.push(`<path d="${path}" fill="${paint(context.fillStyle)}" opacity="${context.globalAlpha}"${clipped()}/>`);
    },
    stroke() {
      if (!path) return;
      const dash = dashes.length ? ` stroke-dasharray="${dashes.join(" ")}"` : "";
      body.push(
        `<path d="${path}" fill="none" stroke="${paint(context.strokeStyle)}" stroke-width="${number(context.lineWidth)}" ` +
          `stroke-linecap="${context.lineCap}" stroke-linejoin="round" opacity="${context.globalAlpha}"${dash}${clipped()}/>`,
      );
    },
    fillRect(x, y, width, height) {
      path = "";
      context.rect(x, y, width, height);
      context.fill();
    },
    strokeRect(x, y, width, height) {
      path = "";
      context.rect(x, y, width, height);
      context.stroke();
    },
    clearRect() {},
    fillText(text, x, y) {
      const anchor = { left: "start", center: "middle", right: "end" }[context.textAlign];
      const [left, top] = [number(x + offset[0]), number(y + offset[1])];
      body.push(
        `<text x="${left}" y="${top}" fill="${context.fillStyle}" text-anchor="${anchor}" ` +
          `style="font:${escaped(context.font)}">${escaped(text)}</text>`,
      );
    },
    drawImage(canvas, x, y, width, height) {
      const [left, top] = [number(x + offset[0]), number(y + offset[1])];
      const source = canvas.toDataURL("image/png");
      body.push(
        `<image x="${left}" y="${top}" width="${number(width)}" height="${number(height)}" href="${source}" ` +
          `preserveAspectRatio="none"/>`,
      );
    },
    createLinearGradient(x0, y0, x1, y1) {
      const name = `g${defs.length}`, stops = [], at = defs.push("") - 1;
      const [a, b, c, d] = [x0 + offset[0], y0 + offset[1], x1 + offset[0], y1 + offset[1]].map(number);
      return {
        name,
        addColorStop(share, color) {
          stops.push(`<stop offset="${share}" stop-color="${color}"/>`);
          defs[at] =
            `<linearGradient id="${name}" gradientUnits="userSpaceOnUse" x1="${a}" y1="${b}" x2="${c}" y2="${d}">` +
            `${stops.join("")}</linearGradient>`;
        },
      };
    },
    /** The whole picture. */
    text(width, height) {
      return (
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${number(width)} ${number(height)}" ` +
        `width="${number(width)}" height="${number(height)}"><defs>${defs.join("")}</defs>${body.join("\n")}</svg>\n`
      );
    },
  };
  return context;
}
