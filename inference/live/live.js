"use strict";
// Shows what the server sends: "scene" whenever up and floor are learnt anew, "frame" the newest poses, "end". `window.live`
// tells tests what is shown.

(() => {
  const element = (id) => document.getElementById(id);
  const [space, image] = [element("space"), element("image")];
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const TRAIL = 60;  // messages that are kept, for paths
  const state = { frame: 0, poses: "refined", trails: true };
  let scene = null, orbit = null, paint = null, view = "oblique", dirty = false, frames = [], ended = false, newest = 0;

  function setView(name) {
    view = name;
    if (orbit) orbit.set(name, space.clientWidth / Math.max(1, space.clientHeight));
    dirty = true;
  }

  function byHand() { view = ""; dirty = true; }

  function setTheme(theme) { document.documentElement.dataset.theme = theme; paint = readPaint(); dirty = true; }

  /** What `Scene` holds of each person of the newest message: the rows of the messages in a row that have it. */
  function peopleOf() {
    return frames.at(-1).people.map(({ number, colour }) => {
      const rows = [];
      for (let i = frames.length - 1; i >= 0; i--) {
        const row = frames[i].people.find((person) => person.number === number);
        if (!row) break;
        rows.unshift(row);
      }
      const all = (key) => rows.flatMap((row) => row[key]);
      return {
        number, colour, start: frames.length - rows.length, length: rows.length, shown: true, lifted: null,
        refined: { scale: 1, values: all("pose") }, keypoints_2d: { scale: 1, values: all("keypoints_2d") },
        confidence: all("confidence"), observed: all("observed"),
      };
    });
  }

  function onScene(content) {
    scene = new Scene({ ...content, frames: 1, stride: 1, people: [], pictures: null, notes: [] });
    element("source").textContent = content.source;
    element("squares").textContent = `squares of the floor: ${gridStep(scene)} m`;
    element("image-figure").style.aspectRatio = `${scene.camera[4]} / ${scene.camera[5] * 1.02 + scene.camera[4] * 0.075}`;
    if (!orbit) orbit = new Orbit(scene);
    orbit.scene = scene;
    if (view) setView(view);
    dirty = true;
  }

  function onFrame(message) {
    frames = [...frames.slice(1 - TRAIL), message];
    if (!scene) return;
    scene.people = peopleOf();
    scene.rate = message.rate;
    state.frame = frames.length - 1;
    newest = message.number;
    const people = message.people.length === 1 ? "1 person" : `${message.people.length} people`;
    element("facts").textContent = `${people}, frame ${message.number}`;
    element("lag").textContent = `${message.lag_s.toFixed(2)} s behind the camera`;
    const held = `${scene.lag_s.toFixed(2)} s of it to look at later frames`;
    element("live-facts").textContent = `${held}; ${message.rate.toFixed(1)} frames/s of ${+scene.fps.toFixed(2)}, ${message.dropped} dropped`;
    dirty = true;
  }

  function tick() {
    if (dirty && scene && paint) {
      dirty = false;
      drawSpace(...prepared(space), scene, orbit, state, paint);
      drawImage(...prepared(image), scene, state, paint);
    }
    requestAnimationFrame(tick);
  }

  const events = new EventSource("/events");
  events.addEventListener("scene", (event) => onScene(JSON.parse(event.data)));
  events.addEventListener("frame", (event) => onFrame(JSON.parse(event.data)));
  events.addEventListener("end", () => {
    ended = true;
    events.close();
    element("lag").textContent = "The stream has ended";
    element("facts").textContent = "the files of the recording are being written";
  });
  events.addEventListener("error", () => { if (!ended) element("lag").textContent = "No connection"; });

  for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => setView(button.dataset.view));
  element("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
  listenToPointers(space, () => orbit, byHand, () => setView("oblique"));
  const resized = new ResizeObserver(() => { if (view) setView(view); dirty = true; });
  resized.observe(space); resized.observe(image);
  setTheme(system.matches ? "dark" : "light");
  requestAnimationFrame(tick);
  window.live = { state: () => ({ frame: newest, people: scene ? scene.people.map((one) => one.number) : [], ended, view }) };
})();
