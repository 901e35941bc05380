"use strict";
// What is shown and from where: the scene's numbers and the viewpoint. Nothing is drawn here.

const MISSING = -32768, NEAR_M = 0.1;

function bytesOf(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function numbersOf(packed) {
  return packed && { scale: packed.scale, values: new Int16Array(bytesOf(packed.data).buffer) };
}

/** The scene: rows of people by frame of the page, in world metres (right, forward, up) and in pixels. */
class Scene {
  constructor(content) {
    Object.assign(this, content);
    this.count = Math.max(1, Math.ceil(content.frames / content.stride));
    this.rate = content.fps / content.stride;
    this.people = content.people.map((person) => ({
      ...person,
      refined: numbersOf(person.refined),
      lifted: numbersOf(person.lifted),
      keypoints_2d: numbersOf(person.keypoints_2d),
      confidence: bytesOf(person.confidence),
      observed: bytesOf(person.observed),
      shown: true,
    }));
    this.leftJoints = new Set(content.left);
    this.images = content.pictures ? content.pictures.jpegs.map(() => null) : [];
    this.whenLoaded = () => {};
    this.comparable = this.people.some((person) => person.lifted);
  }

  /** The video's picture that lies nearest before a frame of the page; null until it is decoded, or without a video. */
  pictureAt(frame) {
    const index = Math.floor(frame * this.stride / (this.pictures?.every || 1));
    if (index >= this.images.length) return null;
    if (!this.images[index]) {
      const image = this.images[index] = new Image();
      image.onload = () => this.whenLoaded();
      image.src = `data:image/jpeg;base64,${this.pictures.jpegs[index]}`;
    }
    const image = this.images[index];
    return image.complete && image.naturalWidth ? image : null;
  }

  isLeft(bone) { return bone.some((joint) => this.leftJoints.has(joint)); }

  firstFrame() { return Math.min(this.count - 1, ...this.people.filter((one) => one.length).map((one) => one.start)); }

  /** Over the floor, in m/s, from where the hip is a quarter of a second before and after; null where it is unknown. */
  speed(person, kind, row) {
    const reach = Math.max(1, Math.round(this.rate / 4));
    const [from, to] = [Math.max(0, row - reach), Math.min(person.length - 1, row + reach)];
    const [a, b] = [from, to].map((one) => this.world(this.joint(person, kind, one, this.joints.hip)));
    return a && b && to > from ? Math.hypot(b[0] - a[0], b[1] - a[1]) / (to - from) * this.rate : null;
  }

  row(person, frame) {
    const row = frame - person.start;
    return row >= 0 && row < person.length ? row : -1;
  }

  /** Joint j of a row in camera coordinates, mm; null where it is missing. */
  joint(person, kind, row, j) {
    const { scale, values } = person[kind] || person.refined, at = 3 * (row * this.joints.count + j);
    return values[at] === MISSING ? null : [values[at] * scale, values[at + 1] * scale, values[at + 2] * scale];
  }

  world(point) {
    if (!point) return null;
    const [x, y, z] = this.axes.map((axis) => axis[0] * point[0] + axis[1] * point[1] + axis[2] * point[2]);
    return [x / 1000, y / 1000, (z - this.floor) / 1000];
  }

  pose(person, kind, row) {
    return Array.from({ length: this.joints.count }, (_, j) => this.world(this.joint(person, kind, row, j)));
  }

  isObserved(person, row, j) {
    return (person.observed[row * Math.ceil(this.joints.count / 8) + (j >> 3)] >> (j & 7) & 1) === 1;
  }

  /** Fraction of the joints that rest on what was seen in that frame. */
  observedFraction(person, row) {
    let seen = 0;
    for (let j = 0; j < this.joints.count; j++) seen += this.isObserved(person, row, j);
    return seen / this.joints.count;
  }

  project(point) {
    const [fx, fy, cx, cy] = this.camera;
    return point && point[2] > 1 ? [fx * point[0] / point[2] + cx, fy * point[1] / point[2] + cy] : null;
  }
}

/** The viewpoint: looks at `target` from `distance` m; azimuth and elevation in radians; focal as a fraction of the height. */
class Orbit {
  constructor(scene) { this.scene = scene; this.set("oblique", 1.6); }

  set(name, aspect) {
    const [low, high] = this.scene.extent, degree = Math.PI / 180;
    const [azimuth, elevation] = { oblique: [28, 20], camera: [0, 0], side: [90, 8], top: [0, 89.9] }[name];
    Object.assign(this, { azimuth: azimuth * degree, elevation: elevation * degree, focal: 1.3 });
    this.target = low.map((value, axis) => (value + high[axis]) / 2);
    if (name === "camera") this.standAtCamera(aspect);
    else this.fit(low, high, aspect);
  }

  /** The place from which the box fills the picture: nearer or farther and sideways, a few times over. */
  fit(low, high, aspect) {
    const corners = [];
    for (const x of [low[0], high[0]]) for (const y of [low[1], high[1]]) for (const z of [0, high[2]]) corners.push([x, y, z]);
    this.distance = 2 * Math.hypot(...low.map((value, axis) => high[axis] - value));
    for (let round = 0; round < 12; round++) {
      const seen = corners.map(this.projector(aspect, 1)).filter(Boolean);
      const span = (i) => [Math.min(...seen.map((p) => p[i])), Math.max(...seen.map((p) => p[i]))];
      const [[left, right], [top, bottom]] = [span(0), span(1)];
      this.move((aspect - left - right) / 2, (1 - top - bottom) / 2);
      this.distance *= Math.max((right - left) / aspect, bottom - top) / 0.9;
    }
  }

  standAtCamera(aspect) {
    const { axes, camera, floor } = this.scene, [, fy, , , width, height] = camera;
    const forward = axes.map((axis) => axis[2]), eye = [0, 0, -floor / 1000];
    this.azimuth = Math.atan2(forward[0], forward[1]);
    this.elevation = Math.asin(Math.max(-1, Math.min(1, -forward[2])));
    this.focal = fy / height * Math.min(1, aspect / (width / height));
    this.distance = Math.max(1, dot(this.target.map((value, axis) => value - eye[axis]), forward));
    this.target = eye.map((value, axis) => value + this.distance * forward[axis]);
  }

  axes() {
    const sa = Math.sin(this.azimuth), ca = Math.cos(this.azimuth);
    const se = Math.sin(this.elevation), ce = Math.cos(this.elevation);
    return { right: [ca, -sa, 0], down: [-sa * se, -ca * se, -ce], forward: [sa * ce, ca * ce, -se] };
  }

  turn(dx, dy) {
    this.azimuth += dx;
    this.elevation = Math.max(-0.3, Math.min(Math.PI / 2 - 0.002, this.elevation + dy));
  }

  zoom(factor) { this.distance = Math.max(0.5, Math.min(200, this.distance * factor)); }

  /** Move by parts of the picture's height. */
  move(dx, dy) {
    const { right, down } = this.axes(), reach = this.distance / this.focal;
    this.target = this.target.map((value, axis) => value - reach * (dx * right[axis] + dy * down[axis]));
  }

  /** A function: world point -> [x, y, depth] in px and m, null before the near plane. */
  projector(width, height) {
    const { right, down, forward } = this.axes(), focal = this.focal * height;
    return (point) => {
      if (!point) return null;
      const d = point.map((value, axis) => value - this.target[axis]), depth = dot(d, forward) + this.distance;
      if (depth < NEAR_M) return null;
      return [width / 2 + focal * dot(d, right) / depth, height / 2 + focal * dot(d, down) / depth, depth];
    };
  }
}

function dot(a, b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
