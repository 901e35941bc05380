"use strict";
// What draws: figures, the 3D view, the camera's picture and the strips over time. No controls here.

const BONE_M = 0.05, HEAD_M = 0.1, TRAIL_S = 1.0;

function mixed(colour, other, fraction) {
  const part = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(part(colour, i) * (1 - fraction) + part(other, i) * fraction)).join(",")})`;
}

/**
 * A figure of points [x, y] or null: `sure(j)` false makes joint j and its bones hollow, or dashed where thin.
 * style.left: { has(bone), colour } of the bones of the left side, where they differ.
 */
function drawFigure(pen, points, bones, sure, style) {
  const { colour, hollow, width, edge = 0, ball = 0, head = -1, left = null } = style;
  const isSure = ([a, b]) => sure(a) && sure(b), drawn = bones.filter(([a, b]) => points[a] && points[b]);
  const stroke = (some, paint, size, dash = []) => {
    if (!some.length || size <= 0) return;
    pen.strokeStyle = paint; pen.lineWidth = size; pen.setLineDash(dash);
    pen.beginPath();
    for (const [a, b] of some) { pen.moveTo(points[a][0], points[a][1]); pen.lineTo(points[b][0], points[b][1]); }
    pen.stroke();
    pen.setLineDash([]);
  };
  const coloured = (some, size, dash) => {
    stroke(left ? some.filter((bone) => !left.has(bone)) : some, colour, size, dash);
    if (left) stroke(some.filter(left.has), left.colour, size, dash);
  };
  const disc = (paint, radius) => {
    pen.fillStyle = paint; pen.beginPath();
    pen.arc(points[head][0], points[head][1], Math.max(0, radius), 0, 2 * Math.PI); pen.fill();
  };
  pen.lineCap = pen.lineJoin = "round";
  const known = drawn.filter(isSure), guessed = drawn.filter((bone) => !isSure(bone));
  const round = ball > 0 && points[head], wall = Math.min(2.2, 0.3 * width);
  if (edge) { stroke(drawn, hollow, width + 2 * edge); if (round) disc(hollow, ball + edge); }
  if (width < 3.4) {
    coloured(guessed, width, [2.4 * width, 2.4 * width]);
  } else {
    coloured(guessed, width);
    if (round && !sure(head)) disc(colour, ball);
    stroke(guessed, hollow, width - 2 * wall);
    if (round && !sure(head)) disc(hollow, ball - wall);
  }
  coloured(known, width);
  if (round && (sure(head) || width < 3.4)) disc(colour, ball);
}

/** How the left side of a person is drawn. */
function leftOf(scene, person, paint) {
  return { has: (bone) => scene.isLeft(bone), colour: paint.left(person.colour) };
}

function drawSpace(pen, width, height, scene, orbit, state, paint) {
  const see = orbit.projector(width, height), frame = state.frame;
  pen.clearRect(0, 0, width, height);
  drawFloor(pen, scene, see, paint);
  drawCamera(pen, width, scene, see, paint);
  const here = scene.people.filter((person) => person.shown && scene.row(person, frame) >= 0);
  const poses = new Map();
  for (const person of here) {
    const row = scene.row(person, frame), main = state.poses === "lifted" ? "lifted" : "refined";
    const pose = scene.pose(person, main, row), hip = see(pose[scene.joints.hip]);
    poses.set(person, { row, pose, depth: hip ? hip[2] : Infinity, metre: hip ? orbit.focal * height / hip[2] : 0 });
  }
  for (const person of here) {
    const { pose, metre } = poses.get(person), flat = pose.map((point) => point && see([point[0], point[1], 0]));
    drawFigure(pen, flat, scene.bones.ball, () => true, { colour: paint.shadow, hollow: paint.shadow, width: BONE_M * metre });
  }
  if (state.trails) for (const person of here) drawTrail(pen, scene, person, see, frame, state, paint);
  here.sort((a, b) => poses.get(b).depth - poses.get(a).depth);
  for (const person of here) {
    const { row, pose, metre } = poses.get(person), sure = (j) => scene.isObserved(person, row, j);
    if (!metre) continue;
    if (state.poses === "both" && person.lifted) {
      const lifted = scene.pose(person, "lifted", row).map(see);
      drawFigure(pen, lifted, scene.bones.line, () => true, { colour: paint.pale(person.colour), hollow: paint.hollow, width: 2 });
    }
    drawFigure(pen, pose.map(see), scene.bones.ball, sure, {
      colour: paint.person(person.colour), hollow: paint.hollow, width: Math.min(40, Math.max(3.6, BONE_M * metre)),
      edge: 1.3, ball: HEAD_M * metre, head: scene.joints.head, left: leftOf(scene, person, paint),
    });
    drawLabel(pen, scene, person, row, see(pose[scene.joints.head_top]), HEAD_M * metre, paint);
  }
}

function drawFloor(pen, scene, see, paint) {
  const [low, high] = scene.extent;
  const corners = [[low[0], low[1], 0], [high[0], low[1], 0], [high[0], high[1], 0], [low[0], high[1], 0]].map(see);
  if (corners.every(Boolean)) {
    pen.fillStyle = paint.floor; pen.beginPath();
    for (const [x, y] of corners) pen.lineTo(x, y);
    pen.fill();
  }
  const step = gridStep(scene), pieces = 8;
  pen.strokeStyle = paint.grid; pen.lineWidth = 1; pen.beginPath();
  for (const axis of [0, 1]) {
    for (let k = Math.ceil(low[axis] / step); k * step <= high[axis]; k++) {
      let before = null;
      for (let i = 0; i <= pieces; i++) {  // in pieces, of which some may lie at the viewer's back
        const along = low[1 - axis] + (high[1 - axis] - low[1 - axis]) * i / pieces;
        const point = see(axis === 0 ? [k * step, along, 0] : [along, k * step, 0]);
        if (before && point) { pen.moveTo(before[0], before[1]); pen.lineTo(point[0], point[1]); }
        before = point;
      }
    }
  }
  pen.stroke();
}

/** Width of the floor's squares, m. */
function gridStep(scene) {
  const [low, high] = scene.extent, span = Math.max(high[0] - low[0], high[1] - low[1]);
  return span < 12 ? 0.5 : Math.ceil(span / 24);
}

/** The camera as a small pyramid whose base is its picture. */
function drawCamera(pen, width, scene, see, paint) {
  const [fx, fy, cx, cy, imageWidth, imageHeight] = scene.camera, depth = 350;
  const eye = see(scene.world([0, 0, 0]));
  const base = [[0, 0], [imageWidth, 0], [imageWidth, imageHeight], [0, imageHeight]].map(
    ([x, y]) => see(scene.world([(x - cx) / fx * depth, (y - cy) / fy * depth, depth])));
  if (!eye || eye[0] < 0 || eye[0] > width || !base.every(Boolean)) return;
  pen.strokeStyle = paint.quiet; pen.lineWidth = 1.2; pen.lineJoin = "round"; pen.beginPath();
  base.forEach((point, i) => {
    const next = base[(i + 1) % 4];
    pen.moveTo(eye[0], eye[1]); pen.lineTo(point[0], point[1]); pen.lineTo(next[0], next[1]);
  });
  pen.stroke();
  pen.fillStyle = paint.quiet; pen.font = paint.font(11); pen.textAlign = "center";
  pen.fillText("camera", eye[0], eye[1] + 14);
}

/** The path of the hip over the last second, on the floor. */
function drawTrail(pen, scene, person, see, frame, state, paint) {
  const reach = Math.max(1, Math.round(TRAIL_S * scene.rate)), step = Math.max(1, Math.round(reach / 40));
  let before = null;
  pen.lineCap = "round"; pen.lineWidth = 2.5; pen.strokeStyle = paint.person(person.colour);
  for (let back = reach; back >= 0; back -= step) {
    const row = scene.row(person, frame - back);
    const hip = row < 0 ? null : scene.world(scene.joint(person, state.poses === "lifted" ? "lifted" : "refined", row, scene.joints.hip));
    const point = hip && see([hip[0], hip[1], 0]);
    if (before && point) {
      pen.globalAlpha = 0.15 + 0.75 * (1 - back / reach);
      pen.beginPath(); pen.moveTo(before[0], before[1]); pen.lineTo(point[0], point[1]); pen.stroke();
    }
    before = point;
  }
  pen.globalAlpha = 1;
}

function drawLabel(pen, scene, person, row, top, gap, paint) {
  if (!top) return;
  const text = scene.observedFraction(person, row) > 0 ? `${person.number}` : `${person.number} inferred`;
  pen.font = paint.font(12, true); pen.textAlign = "center"; pen.textBaseline = "middle";
  const half = pen.measureText(text).width / 2 + 6, x = top[0], y = top[1] - 0.35 * gap - 13;
  pen.fillStyle = paint.person(person.colour); pen.beginPath(); pen.roundRect(x - half, y - 9, 2 * half, 18, 6); pen.fill();
  pen.fillStyle = paint.onPerson; pen.fillText(text, x, y + 0.5);
  pen.textBaseline = "alphabetic";
}

/** The camera's picture: what was detected and the poses projected back. */
function drawImage(pen, width, height, scene, state, paint) {
  const [, , , , imageWidth, imageHeight] = scene.camera, top = 36, margin = 10;
  const scale = Math.min((width - 2 * margin) / imageWidth, (height - top - margin) / imageHeight);
  const left = (width - scale * imageWidth) / 2, above = top + (height - top - margin - scale * imageHeight) / 2;
  const place = (point) => point && [left + scale * point[0], above + scale * point[1]];
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = paint.picture; pen.strokeStyle = paint.line; pen.lineWidth = 1;
  pen.beginPath(); pen.rect(left, above, scale * imageWidth, scale * imageHeight); pen.fill(); pen.stroke();
  pen.save(); pen.clip();
  const picture = scene.pictureAt(state.frame);
  if (picture) pen.drawImage(picture, left, above, scale * imageWidth, scale * imageHeight);
  const ink = scene.pictures ? "#ffffff" : paint.ink;
  const here = scene.people.filter((person) => person.shown && scene.row(person, state.frame) >= 0);
  const depth = (person) => (scene.joint(person, "refined", scene.row(person, state.frame), scene.joints.hip) || [0, 0, 1e9])[2];
  here.sort((a, b) => depth(b) - depth(a));
  for (const person of here) {
    const row = scene.row(person, state.frame), sure = (j) => scene.isObserved(person, row, j);
    const bone = Math.max(2.2, BONE_M * 1000 * scene.camera[1] / depth(person) * scale * 0.7);
    for (const kind of ["lifted", "refined"]) {
      const main = state.poses !== "both" || kind === "refined" || !person.lifted;
      if (state.poses !== "both" && kind !== state.poses) continue;
      const points = Array.from({ length: scene.joints.count }, (_, j) => place(scene.project(scene.joint(person, kind, row, j))));
      drawFigure(pen, points, scene.bones.line, main ? sure : () => true, {
        colour: main ? paint.person(person.colour) : paint.pale(person.colour), hollow: paint.picture,
        width: main ? bone : 1.3, edge: main ? 1 : 0, left: main ? leftOf(scene, person, paint) : null,
      });
    }
    drawDetection(pen, scene, person, row, place, ink);
  }
  pen.restore();
}

function drawDetection(pen, scene, person, row, place, ink) {
  const count = person.confidence.length / person.length, { scale, values } = person.keypoints_2d;
  const points = Array.from({ length: count }, (_, k) => {
    const at = row * count + k;
    return person.confidence[at] / 255 < scene.min_confidence ? null : place([values[2 * at] * scale, values[2 * at + 1] * scale]);
  });
  pen.globalAlpha = 0.55;
  drawFigure(pen, points, scene.bones.detected, () => true, { colour: ink, hollow: ink, width: 1 });
  pen.fillStyle = ink;
  points.forEach((point, k) => {
    if (!point) return;
    const score = person.confidence[row * count + k] / 255;
    pen.globalAlpha = 0.25 + 0.75 * score;
    pen.beginPath(); pen.arc(point[0], point[1], 1.2 + 1.3 * score, 0, 2 * Math.PI); pen.fill();
  });
  pen.globalAlpha = 1;
}

/** One person over time: bars as high as the fraction of observed joints, over a hatched band of inferred ones. */
function drawStrip(pen, width, height, scene, person, inset, paint) {
  const colour = paint.person(person.colour), inner = width - 2 * inset, last = Math.max(1, scene.count - 1);
  const at = (frame) => inset + inner * frame / last, half = inner / last / 2;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = paint.line; pen.fillRect(inset, height - 1, inner, 1);
  if (!person.length) return;
  const from = Math.max(0, at(person.start) - half), to = Math.min(width, at(person.start + person.length - 1) + half);
  pen.save(); pen.beginPath(); pen.rect(from, 0, Math.max(1, to - from), height); pen.clip();
  pen.strokeStyle = colour; pen.lineWidth = 1; pen.globalAlpha = 0.65; pen.beginPath();
  for (let x = Math.floor((from - height) / 5) * 5; x < to; x += 5) { pen.moveTo(x, height); pen.lineTo(x + height, 0); }
  pen.stroke();
  pen.globalAlpha = 1; pen.fillStyle = colour;
  const rowAt = (x) => Math.max(0, Math.min(person.length - 1, Math.round((x - inset) / inner * last) - person.start));
  for (let x = Math.floor(from); x < to; x++) {  // per column of pixels the mean of its frames
    const first = rowAt(x), end = Math.max(first + 1, rowAt(x + 1));
    let seen = 0;
    for (let row = first; row < end; row++) seen += scene.observedFraction(person, row);
    const fraction = seen / (end - first);
    const tall = fraction > 0.8 ? height : height * fraction;  // two or three of 17 joints are hidden nearly always
    pen.fillRect(x, height - tall, 1.02, tall);
  }
  pen.strokeRect(from + 0.5, 0.5, Math.max(1, to - from - 1), height - 1);
  pen.restore();
}
