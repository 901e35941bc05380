"use strict";
// What the page of a scene and the live page have in common: colours, canvases, and turning by mouse and touch.

function isDark() { return document.documentElement.dataset.theme === "dark"; }

/** The colours of the theme, from the style sheet. */
function readPaint() {
  const style = getComputedStyle(document.documentElement), dark = isDark();
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["ink", "quiet", "line", "floor", "grid", "shadow", "hollow", "picture"];
  return {
    ...Object.fromEntries(names.map((name) => [name, colour(name)])),
    person: (hex) => mixed(hex, "#ffffff", dark ? 0.3 : 0),
    left: (hex) => mixed(hex, "#ffffff", dark ? 0.68 : 0.5),
    pale: (hex) => (dark ? mixed(hex, "#1c2027", 0.15) : mixed(hex, "#ffffff", 0.35)),
    onPerson: dark ? "#10131a" : "#ffffff",
    font: (size, bold) => `${bold ? "600 " : ""}${size}px system-ui, sans-serif`,
  };
}

/** A canvas as large as it is shown: its pen, width and height. */
function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
  const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) { canvas.width = pixelWidth; canvas.height = pixelHeight; }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return [pen, width, height];
}

/** Turn, move and zoom `orbit()`, if there is one yet, on a canvas; `byHand` is called after each, `reset` by a double click. */
function listenToPointers(space, orbit, byHand, reset) {
  const held = new Map();
  space.addEventListener("pointerdown", (event) => {
    space.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) space.addEventListener(name, (event) => held.delete(event.pointerId));
  space.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId);
    if (!last || !orbit()) return;
    const dx = event.clientX - last[0], dy = event.clientY - last[1], height = space.clientHeight || 1;
    if (held.size === 2) {
      const other = [...held].find(([id]) => id !== event.pointerId)[1];
      const span = (x, y) => Math.max(10, Math.hypot(x - other[0], y - other[1]));
      orbit().zoom(span(last[0], last[1]) / span(event.clientX, event.clientY));
      orbit().move(dx / 2 / height, dy / 2 / height);
    } else if (event.shiftKey || event.buttons === 2) {
      orbit().move(dx / height, dy / height);
    } else {
      orbit().turn(dx * 0.008, dy * 0.006);
    }
    held.set(event.pointerId, [event.clientX, event.clientY]);
    byHand();
  });
  space.addEventListener("contextmenu", (event) => event.preventDefault());
  space.addEventListener("dblclick", reset);
  space.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (!orbit()) return;
    orbit().zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.003));
    byHand();
  }, { passive: false });
}
