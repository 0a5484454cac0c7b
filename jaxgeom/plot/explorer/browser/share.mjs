// Links and pictures of what is seen.

import { download, pngOf, svgOf } from "./save.mjs";

const TOAST = 1600; // milliseconds

/** Words that go away by themselves. */
export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.classList.add("seen");
  setTimeout(() => element.classList.remove("seen"), TOAST);
}

/** Puts a link into the address bar, without following it; whether that is possible: a page inside of another one has none. */
function writeAddress(fragment) {
  try {
    history.replaceState(null, "", `#${fragment}`);
    return true;
  } catch {
    return false;
  }
}

/** Copies a link, or leaves it in the address bar where that is not allowed. */
export async function copyLink(fragment) {
  try {
    await navigator.clipboard.writeText(`${location.href.split("#")[0]}#${fragment}`);
    toast("Link copied");
  } catch {
    const isWritten = writeAddress(fragment);
    toast(isWritten ? "The link is in the address bar" : "Links can not be copied here");
  }
}

/** Offers a picture, "png" or "svg", of all panels. */
export async function savePicture(kind, panels, title, look) {
  download(await (kind === "png" ? pngOf : svgOf)(panels, title, look), `explorer.${kind}`);
}

/** Puts the state behind the #, soon: of many changes, the last one. */
export function addressWriter(fragment) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const text = fragment();
      if (text !== null) writeAddress(text);
    }, 200);
  };
}
