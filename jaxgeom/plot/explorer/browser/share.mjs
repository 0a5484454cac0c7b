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

/** Copies a link, or leaves it in the address bar where that is not allowed. */
export async function copyLink(fragment) {
  try {
    await navigator.clipboard.writeText(`${location.href.split("#")[0]}#${fragment}`);
    toast("Link copied");
  } catch {
    location.hash = fragment;
    toast("The link is in the address bar");
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
      if (text === null) return;
      try {
        history.replaceState(null, "", `#${text}`);
      } catch {
        // a page inside of another one has no address to change
      }
    }, 200);
  };
}
