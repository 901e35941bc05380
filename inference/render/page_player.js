"use strict";
// What plays: the state, the controls and keys, and when to draw. `window.player` steers the page from outside.

(() => {
  const scene = new Scene(JSON.parse(document.getElementById("scene").textContent));
  const orbit = new Orbit(scene);
  const element = (id) => document.getElementById(id);
  const [space, image, slider] = [element("space"), element("image"), element("slider")];
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const SPEEDS = [...element("speed").options].map((option) => Number(option.value)), CHOICES = ["refined", "lifted", "both"];
  const THUMB = 7;  // half of the slider's thumb, px: where its first and last place are
  const state = { frame: 0, poses: "refined", trails: true, playing: false, speed: 1, exact: 0, selected: null };
  const tracks = [];
  let paint = null, view = "oblique", dirty = true, before = 0;

  // --- colours ---
  function repaint() {
    paint = readPaint();
    for (const track of tracks) { track.swatch.style.background = paint.person(track.person.colour); track.stale = true; }
    dirty = true;
  }

  // --- drawing ---
  function draw() {
    drawSpace(...prepared(space), scene, orbit, state, paint);
    drawImage(...prepared(image), scene, state, paint);
    for (const track of tracks) drawTrack(track);
    const number = state.frame * scene.stride, seconds = number / scene.fps;
    const clock = `${seconds.toFixed(2)} s of ${(scene.frames / scene.fps).toFixed(2)} s`;
    element("clock").textContent = `${clock}, frame ${number}`;
    element("selected").textContent = selectedWords();
    slider.value = state.frame;
    slider.setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds, frame ${number}`);
  }

  /** What is known of the selected person. */
  function selectedWords() {
    const person = scene.people.find(({ number }) => number === state.selected);
    if (!person) return "";
    const row = scene.row(person, state.frame), kind = state.poses === "lifted" ? "lifted" : "refined";
    const speed = row < 0 ? null : scene.speed(person, kind, row);
    const hip = row < 0 ? null : scene.joint(person, kind, row, scene.joints.hip);
    const parts = [
      person.stature_m === null ? "" : `stature ${person.stature_m.toFixed(2)} m`,
      speed === null ? "" : `speed ${speed.toFixed(1)} m/s`,
      hip ? `${(hip[2] / 1000).toFixed(1)} m from the camera` : "absent",
    ];
    return `Person ${person.number}: ${parts.filter(Boolean).join(", ")}`;
  }

  function drawTrack(track) {
    const [pen, width, height] = prepared(track.canvas);
    if (track.stale || !track.strip || track.strip.width !== track.canvas.width) {
      track.strip = document.createElement("canvas");
      [track.strip.width, track.strip.height] = [track.canvas.width, track.canvas.height];
      const brush = track.strip.getContext("2d");
      brush.setTransform(pen.getTransform());
      drawStrip(brush, width, height, scene, track.person, THUMB, paint);
      track.stale = false;
    }
    pen.clearRect(0, 0, width, height);
    if (track.strip.width) pen.drawImage(track.strip, 0, 0, width, height);
    const x = THUMB + (width - 2 * THUMB) * state.frame / Math.max(1, scene.count - 1);
    pen.fillStyle = paint.hollow; pen.fillRect(x - 2, 0, 4, height);
    pen.fillStyle = paint.ink; pen.fillRect(x - 1, 0, 2, height);
    const row = scene.row(track.person, state.frame);
    const fraction = row < 0 ? 0 : scene.observedFraction(track.person, row);
    const words = row < 0 ? "absent" : fraction === 0 ? "inferred" : `${Math.round(100 * fraction)}% observed`;
    if (track.status.textContent !== words) track.status.textContent = words;
  }

  function tick(now) {
    if (state.playing) {
      state.exact += (now - before) / 1000 * scene.rate * state.speed;
      if (state.exact >= scene.count) state.exact %= scene.count;
      const frame = Math.floor(state.exact);
      if (frame !== state.frame) { state.frame = frame; dirty = true; }
    }
    before = now;
    if (dirty) { dirty = false; draw(); }
    requestAnimationFrame(tick);
  }

  // --- what can be done ---
  function seek(frame) {
    if (!Number.isFinite(frame)) return;
    state.frame = state.exact = Math.max(0, Math.min(scene.count - 1, Math.round(frame)));
    dirty = true;
  }

  function play(on = true) {
    if (on && state.frame === scene.count - 1) seek(0);
    state.playing = on; state.exact = state.frame;
    element("play").setAttribute("aria-label", on ? "Pause" : "Play");
    element("play-shape").setAttribute("d", on ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4l13 8-13 8z");
  }

  function setPoses(kind) {
    if (!CHOICES.includes(kind) || (kind !== "refined" && !scene.comparable)) return;
    state.poses = kind; dirty = true;
    document.querySelector(`input[name=poses][value=${kind}]`).checked = true;
  }

  function setPerson(number, on) {
    for (const track of tracks.filter(({ person }) => person.number === number)) {
      track.person.shown = track.box.checked = on;
      track.line.classList.toggle("off", !on);
      dirty = true;
    }
  }

  function select(number) {
    if (!tracks.some(({ person }) => person.number === number)) return;
    state.selected = number; dirty = true;
    for (const track of tracks) track.line.classList.toggle("selected", track.person.number === number);
  }

  function setSpeed(speed) { state.speed = speed; element("speed").value = String(speed); }

  /** After the user turned, moved or zoomed. */
  function byHand() { view = ""; dirty = true; }

  function setView(name) { view = name; orbit.set(name, space.clientWidth / Math.max(1, space.clientHeight)); dirty = true; }

  function turn(dx, dy) { orbit.turn(dx, dy); byHand(); }

  function zoom(factor) { orbit.zoom(factor); byHand(); }

  function setTheme(theme) { document.documentElement.dataset.theme = theme; repaint(); }

  // --- controls ---
  function addTrack(person) {
    const line = document.createElement("div"), head = document.createElement("label"), canvas = document.createElement("canvas");
    const [box, swatch, name, status] = ["input", "span", "span", "span"].map((tag) => document.createElement(tag));
    line.className = "track"; head.className = "track-head"; swatch.className = "swatch"; status.className = "status";
    box.type = "checkbox"; box.checked = true; name.textContent = `Person ${person.number}`;
    box.addEventListener("change", () => setPerson(person.number, box.checked));
    canvas.setAttribute("role", "img");
    const first = person.start * scene.stride, last = (person.start + person.length - 1) * scene.stride;
    canvas.setAttribute("aria-label", `Person ${person.number}: in frames ${first} to ${last}; ${inferredWords(person)}`);
    canvas.title = canvas.getAttribute("aria-label");
    const go = (event) => {
      const { left, width } = canvas.getBoundingClientRect();
      seek((event.clientX - left - THUMB) / Math.max(1, width - 2 * THUMB) * (scene.count - 1));
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); go(event); });
    canvas.addEventListener("pointermove", (event) => { if (canvas.hasPointerCapture(event.pointerId)) go(event); });
    line.addEventListener("pointerdown", () => select(person.number));
    box.addEventListener("focus", () => select(person.number));
    line.title = "Click for stature and speed";
    head.append(box, swatch, name, status);
    line.append(head, canvas);
    element("people").append(line);
    tracks.push({ person, line, box, swatch, status, canvas, strip: null, stale: true });
  }

  function inferredWords(person) {
    let inferred = 0;
    for (let row = 0; row < person.length; row++) inferred += scene.observedFraction(person, row) === 0;
    return inferred ? `wholly inferred in ${inferred * scene.stride} of ${person.length * scene.stride}` : "never wholly inferred";
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || element("help").open) return;
    const { target, key } = event;
    if (target.matches("select")) return;
    if (target.matches("button, input[type=checkbox]") && (key === " " || key === "Enter")) return;
    if (target.matches("input[type=radio]") && key.startsWith("Arrow")) return;
    const small = event.shiftKey ? Math.max(1, Math.round(scene.rate)) : 1;
    const speed = SPEEDS.indexOf(state.speed);
    const actions = {
      " ": () => play(!state.playing),
      ArrowLeft: () => { play(false); seek(state.frame - small); }, ArrowRight: () => { play(false); seek(state.frame + small); },
      Home: () => seek(0), End: () => seek(scene.count - 1),
      ",": () => setSpeed(SPEEDS[Math.max(0, speed - 1)]), ".": () => setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, speed + 1)]),
      v: () => setPoses(CHOICES[(CHOICES.indexOf(state.poses) + 1) % 3]),
      r: () => setView("oblique"), c: () => setView("camera"), s: () => setView("side"), t: () => setView("top"),
      w: () => turn(0, 0.08), x: () => turn(0, -0.08), a: () => turn(-0.1, 0), f: () => turn(0.1, 0),
      "+": () => zoom(0.88), "=": () => zoom(0.88), "-": () => zoom(1.14),
      d: () => setTheme(isDark() ? "light" : "dark"), "?": () => element("help").showModal(),
    };
    const digit = /^[0-9]$/.test(key) && tracks.find(({ person }) => person.number === Number(key));
    const action = digit ? () => setPerson(digit.person.number, !digit.person.shown) : actions[key.length === 1 ? key.toLowerCase() : key];
    if (!action) return;
    event.preventDefault();
    action();
    dirty = true;
  }

  function start() {
    const people = scene.people.length === 1 ? "1 person" : `${scene.people.length} people`;
    element("facts").textContent = `${people}, ${scene.frames} frames at ${+scene.fps.toFixed(3)} fps, ${scene.coordinates} coordinates`;
    for (const note of scene.people.length ? scene.notes : ["No person was found in this video.", ...scene.notes]) {
      element("notes").appendChild(document.createElement("li")).textContent = note;
    }
    element("squares").textContent = `squares of the floor: ${gridStep(scene)} m`;
    scene.people.forEach(addTrack);
    scene.whenLoaded = () => { dirty = true; };
    if (scene.people.length) select(scene.people[0].number);
    seek(scene.firstFrame());
    slider.max = scene.count - 1;
    element("image-figure").style.aspectRatio = `${scene.camera[4]} / ${scene.camera[5] * 1.02 + scene.camera[4] * 0.075}`;
    slider.addEventListener("input", () => seek(Number(slider.value)));
    element("play").addEventListener("click", () => play(!state.playing));
    element("back").addEventListener("click", () => { play(false); seek(state.frame - 1); });
    element("forward").addEventListener("click", () => { play(false); seek(state.frame + 1); });
    element("speed").addEventListener("change", (event) => setSpeed(Number(event.target.value)));
    element("trails").addEventListener("change", (event) => { state.trails = event.target.checked; dirty = true; });
    element("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
    element("help-button").addEventListener("click", () => element("help").showModal());
    for (const radio of document.querySelectorAll("input[name=poses]")) {
      radio.disabled = radio.value !== "refined" && !scene.comparable;
      radio.addEventListener("change", () => setPoses(radio.value));
    }
    for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => setView(button.dataset.view));
    document.addEventListener("keydown", onKey);
    system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
    // After a click by mouse the space bar plays again instead of pressing that button once more.
    document.addEventListener("click", (event) => event.detail > 0 && event.target.closest("button, input")?.blur());
    listenToPointers(space, () => orbit, byHand, () => setView("oblique"));
    const resized = new ResizeObserver(() => {
      if (view) setView(view);  // a view by hand stays
      dirty = true;
    });
    resized.observe(space); resized.observe(image); resized.observe(element("people"));
    setTheme(system.matches ? "dark" : "light");
    setView("oblique");
    requestAnimationFrame((now) => { before = now; tick(now); });
  }

  window.player = {
    play: () => play(true), pause: () => play(false), seek, setPoses, setPerson, select, setSpeed, setView, setTheme,
    /** What is shown, for tests and scripts. `frame` counts the video's frames, `seek` the page's. */
    state: () => ({
      frame: state.frame * scene.stride, count: scene.count, playing: state.playing, poses: state.poses, speed: state.speed,
      selected: state.selected,
      shown: scene.people.filter((person) => person.shown).map((person) => person.number),
      azimuth: orbit.azimuth, elevation: orbit.elevation, distance: orbit.distance,
    }),
  };
  start();
})();
