// Folding: a frame becomes one box, what was in it is hidden, and the rest closes up. Where
// things are is squeezed along each axis, in order, so no line crosses what it did not cross.

const GAP = 34; // what stays of a stretch in which all is hidden: room for an arrow
const HEIGHT = 30;

class Folding {
  constructor(stage, view) {
    this.stage = stage;
    this.view = view;
    this.folded = new Set();
    const part = (id) => stage.svg.querySelector(`[data-id="${id}"]`);
    this.boxes = new Map(Object.entries(view.boxes).map(([id, [name, frame]]) =>
      [id, { id, name, frame, group: part(id), rect: rectOf(part(id).getBBox()) }]));
    this.frames = view.frames.map((frame) => this.frame(frame, part(frame.id)));
    this.arrivals = []; // where lines begin that come from the copy before
    this.edges = view.edges.map((ends, i) => this.edge(ends, part(`e${i}`), part(`ce${i}`)));
    this.sheet = stage.root.querySelector("polygon");
    this.captions = [...stage.root.querySelectorAll(":scope > text")].map((text) =>
      ({ text, y: number(text, "y"), size: text.getComputedTextLength() + 24 }));
    this.extent = rectOf(this.sheet.getBBox());
  }

  frame(frame, group) {
    const path = group.querySelector("path, polygon");
    const texts = [...group.querySelectorAll("text")].map((text) =>
      ({ text, x: number(text, "x"), y: number(text, "y"), size: text.getComputedTextLength() }));
    const rect = rectOf(path.getBBox());
    const proxy = make("svg:g", { class: "proxy", hidden: "" });
    proxy.append(make("svg:rect", { rx: 6 }), make("svg:path", { class: "sign" }),
      make("svg:text", { class: "name" }, frame.title),
      make("svg:text", { class: "facts" }, frame.facts));
    const outline = make("svg:rect", { rx: 9, class: "outline" });
    for (const name of ["fill", "stroke", "stroke-dasharray"]) {
      if (path.hasAttribute(name)) outline.setAttribute(name, path.getAttribute(name));
    }
    path.replaceWith(outline);
    const sign = group.appendChild(make("svg:path", { class: "sign" }));
    this.stage.root.append(proxy);
    const size = Math.max(...[...proxy.querySelectorAll("text")].map((t) =>
      t.getComputedTextLength())) + 44;
    return { ...frame, id: null, group, outline, sign, texts, proxy, rect, size };
  }

  edge(ends, group, arrival) {
    const [source, target] = ends.map((id) => this.boxes.get(id));
    const from = arrival ? this.arrival(arrival, target.frame) : source;
    const path = group.querySelector("path"), head = group.querySelector("polygon");
    const text = group.querySelector("text");
    return { ends: [from, target], group, path, head, text, d: path.getAttribute("d"),
      points: head && head.getAttribute("points"), width: number(path, "stroke-width") || 1,
      at: text && { x: number(text, "x"), y: number(text, "y") } };
  }

  /** What stands for the copy before, in the frame of what repeats. */
  arrival(group, around) {
    let frame = around;
    while (frame >= 0 && this.frames[frame].copies === 1) frame = this.frames[frame].within;
    const arrival = { id: group.dataset.id, frame, group, rect: rectOf(group.getBBox()) };
    this.arrivals.push(arrival);
    return arrival;
  }

  /** The outermost folded frame around a box or a frame, or none. */
  hider(frame) {
    let outermost = -1;
    for (let at = frame; at >= 0; at = this.frames[at].within) {
      if (this.folded.has(at)) outermost = at;
    }
    return outermost;
  }

  toggle(frame, fold = !this.folded.has(frame)) {
    if (fold) this.folded.add(frame); else this.folded.delete(frame);
    this.draw();
  }

  all(fold) {
    this.folded = new Set(fold ? this.frames.keys() : []);
    this.draw();
  }

  /** Unfold whatever hides a box. */
  reveal(id) {
    const before = this.folded.size;
    for (let at = this.boxes.get(id).frame; at >= 0; at = this.frames[at].within) {
      this.folded.delete(at);
    }
    if (this.folded.size !== before) this.draw();
  }

  draw() {
    const shown = [], hidden = [];
    for (const box of this.standing()) {
      box.hider = this.hider(box.frame);
      (box.hider < 0 ? shown : hidden).push(box.rect);
    }
    this.frames.forEach((frame, i) => {
      frame.isProxy = this.folded.has(i) && this.hider(frame.within) < 0;
      frame.isHidden = !frame.isProxy && this.hider(i) >= 0;
      if (frame.isProxy) frame.place = this.placeOf(frame);
      if (frame.isProxy || frame.isHidden) hidden.push(frame.rect);
      else shown.push(...borders(frame.rect));
    });
    this.makeRoom(shown);
    const axes = ["x", "y"].map((axis) => squeeze(axis, shown, hidden));
    const wider = this.widened(axes[0]);
    this.squeezed = (x, y) => [wider(x), axes[1](y)];
    for (const box of this.standing()) this.drawBox(box);
    for (const frame of this.frames) this.drawFrame(frame);
    const drawn = new Map();
    for (const edge of this.edges) this.drawEdge(edge, drawn);
    this.drawSheet();
  }

  /** Where a folded frame stands: where what leaves it stood, inside of what was its outline. */
  placeOf(frame) {
    const main = this.boxes.get(frame.main).rect, { rect } = frame;
    const x = middle(main.x, main.width);
    const room = Math.max(rect.width - frame.size, 0) / 2, centre = middle(rect.x, rect.width);
    const left = Math.min(Math.max(x, centre - room), centre + room) - frame.size / 2;
    return { x: left, y: middle(main.y, main.height) - HEIGHT / 2, width: frame.size,
      height: HEIGHT };
  }

  /** Of folded frames that would overlap something, make what is in their place wider. */
  makeRoom(shown) {
    const proxies = this.frames.filter((frame) => frame.isProxy);
    const all = [...shown, ...proxies.map((frame) => frame.place)];
    for (const frame of proxies) {
      const { place, rect } = frame;
      frame.isTight = all.some((other) => other !== place && overlap(other, place));
      if (frame.isTight) {
        frame.place = { ...place, x: rect.x, width: Math.min(place.width, rect.width) };
      }
    }
    shown.push(...proxies.map((frame) => frame.place));
  }

  widened(along) {
    const more = []; // where there is more room, and how much
    const to = (x) => along(x) + more.reduce((sum, [at, by]) => sum + (at < x ? by : 0), 0);
    const tight = this.frames.filter((frame) => frame.isProxy && frame.isTight);
    for (const { place, size } of tight.sort((a, b) => a.place.x - b.place.x)) {
      const end = place.x + place.width;
      const missing = size + GAP - (to(end) - to(place.x));
      if (missing > 0) more.push([end - 0.5, missing]);
    }
    return to;
  }

  drawBox(box) {
    box.group.toggleAttribute("hidden", box.hider >= 0);
    const [x, y] = this.squeezed(box.rect.x, box.rect.y);
    box.now = { ...box.rect, x, y };
    box.group.setAttribute("transform", `translate(${x - box.rect.x} ${y - box.rect.y})`);
  }

  drawFrame(frame) {
    frame.group.toggleAttribute("hidden", frame.isProxy || frame.isHidden);
    frame.proxy.toggleAttribute("hidden", !frame.isProxy);
    if (frame.isProxy) {
      const [x, y] = this.squeezed(frame.place.x, frame.place.y);
      frame.now = { ...frame.place, x, y, width: frame.size };
      const [name, facts] = frame.proxy.querySelectorAll("text");
      place(frame.proxy.querySelector("rect"), frame.now);
      place(name, { x: x + 28, y: y + 13 });
      place(facts, { x: x + 28, y: y + 24 });
      frame.proxy.querySelector(".sign").setAttribute("d", sign(x + 8, y + 9, true));
    } else if (!frame.isHidden) {
      const { rect } = frame;
      const [x, y] = this.squeezed(rect.x, rect.y);
      const [right, bottom] = this.squeezed(rect.x + rect.width, rect.y + rect.height);
      frame.now = { x, y, width: Math.max(right - x, this.titleSize(frame)), height: bottom - y };
      place(frame.outline, frame.now);
      for (const { text, x: at, y: line } of frame.texts) {
        place(text, { x: x + 24 + at - frame.texts[0].x, y: y + 13 + line - frame.texts[0].y });
      }
      frame.sign.setAttribute("d", sign(x + 7, y + 4, false));
    }
  }

  titleSize(frame) {
    const ends = frame.texts.map(({ x, size }) => x + size - frame.texts[0].x);
    return Math.max(...ends, 0) + 34;
  }

  drawEdge(edge, drawn) {
    const { ends } = edge;
    const stands = ends.map((box) => box.hider < 0 ? box : this.frames[box.hider]);
    edge.group.toggleAttribute("hidden", stands[0] === stands[1] && ends[0].hider >= 0);
    const isOwn = ends.every((box) => box.hider < 0);
    if (edge.text) edge.text.toggleAttribute("hidden", !isOwn);
    if (isOwn) {
      edge.path.setAttribute("d", this.moved(edge.d));
      if (edge.head) edge.head.setAttribute("points", this.shifted(edge.points));
      if (edge.at) {
        const [x, y] = this.squeezed(edge.at.x, edge.at.y);
        place(edge.text, { x, y });
      }
    } else if (!edge.group.hasAttribute("hidden")) {
      this.drawBetween(edge, stands, drawn);
    }
  }

  /** Draw a line to or from a folded frame; of several between the same two, the widest. */
  drawBetween(edge, stands, drawn) {
    const key = stands.map((one) => one.id || one.title + one.main).join(" ");
    const other = drawn.get(key);
    if (other) {
      const less = other.width < edge.width ? other : edge;
      less.group.setAttribute("hidden", "");
      if (less === edge) return;
    }
    drawn.set(key, edge);
    const { from, to, bend } = between(stands[0].now, stands[1].now, this.inWay());
    edge.path.setAttribute("d", `M${from}C${bend[0]} ${bend[1]} ${to}`);
    if (edge.head) edge.head.setAttribute("points", arrow(bend[1], to, edge.width));
  }

  standing() {
    return [...this.boxes.values(), ...this.arrivals];
  }

  /** Where all is that a line should not run through. */
  inWay() {
    const boxes = this.standing().filter((box) => box.hider < 0);
    return [...boxes, ...this.frames.filter((frame) => frame.isProxy)].map((one) => one.now);
  }

  moved(d) {
    return d.replace(/(-?[\d.]+),(-?[\d.]+)/g, (_, x, y) =>
      this.squeezed(Number(x), Number(y)).map((n) => n.toFixed(1)).join(","));
  }

  /** Move an arrow's head as one piece, by as much as its tip. */
  shifted(points) {
    const all = points.trim().split(/\s+/).map((p) => p.split(",").map(Number));
    const centre = [0, 1].map((i) => all.reduce((sum, p) => sum + p[i], 0) / all.length);
    const by = this.squeezed(...centre).map((n, i) => n - centre[i]);
    return all.map((p) => p.map((n, i) => (n + by[i]).toFixed(1)).join(",")).join(" ");
  }

  drawSheet() {
    const { x, y, width, height } = this.extent;
    const [left, top] = this.squeezed(x, y), [right, low] = this.squeezed(x + width, y + height);
    const wide = Math.max(right - left, ...this.captions.map(({ size }) => size));
    const from = (left + right - wide) / 2;
    for (const { text, y: line } of this.captions) {
      place(text, { x: from + wide / 2, y: low + line - (y + height), "text-anchor": "middle" });
    }
    const ends = [from, top, from + wide, low];
    this.sheet.setAttribute("points", `${ends[0]},${ends[1]} ${ends[2]},${ends[1]} ` +
      `${ends[2]},${ends[3]} ${ends[0]},${ends[3]}`);
    this.stage.reach(this.sheet);
  }
}

/** The strips inside of a frame's outline, which hold its title and keep boxes off the line. */
function borders({ x, y, width, height }) {
  const edge = 8, title = 22;
  return [{ x, y, width: edge, height: title },
    { x: x + width - edge, y: y + height - edge, width: edge, height: edge }];
}

const number = (element, name) => Number(element.getAttribute(name));
const rectOf = ({ x, y, width, height }) => ({ x, y, width, height });
const middle = (at, size) => at + size / 2;

const overlap = (a, b) => a.x < b.x + b.width + 8 && b.x < a.x + a.width + 8 &&
  a.y < b.y + b.height && b.y < a.y + a.height;

function place(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Draw a small square with − or + in it. */
function sign(x, y, plus) {
  const cross = plus ? `M${x + 6} ${y + 3}v6` : "";
  return `M${x} ${y}h12v12h-12zM${x + 3} ${y + 6}h6${cross}`;
}

/** Give the function that closes up along an axis what is hidden, and leaves what is shown. */
function squeeze(axis, shown, hidden) {
  const spans = joined(along(axis, shown)), gone = along(axis, hidden), pieces = [];
  let by = 0; // how far everything from here on moves up
  spans.forEach(([low, high], i) => {
    const start = i ? spans[i - 1][1] : Math.min(low, ...gone.map((s) => s[0]));
    const inside = gone.filter((s) => s[1] > start && s[0] < low);
    if (inside.length) {
      const first = Math.max(inside[0][0], start);
      const last = Math.min(Math.max(...inside.map((s) => s[1])), low);
      const before = low - start, after = Math.min(before, i ? GAP : before - (last - first));
      pieces.push([start, low, start - by, low - by - (before - after)]);
      by += before - after;
    }
    pieces.push([low, high, low - by, high - by]);
  });
  const end = spans[spans.length - 1][1], beyond = gone.filter((s) => s[1] > end);
  if (beyond.length) {
    const first = Math.max(beyond[0][0], end), last = Math.max(...beyond.map((s) => s[1]));
    pieces.push([end, last, end - by, first - by]);
  }
  return (at) => moved(at, pieces);
}

/** Give where rectangles begin and end along an axis, the first first. */
function along(axis, rects) {
  const size = axis === "x" ? "width" : "height";
  return rects.map((r) => [r[axis], r[axis] + r[size]]).sort((a, b) => a[0] - b[0]);
}

/** Make one span of those that overlap. */
function joined(spans) {
  const all = [];
  for (const [low, high] of spans) {
    const last = all[all.length - 1];
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else all.push([low, high]);
  }
  return all;
}

/** Move a place with the piece that it is in: each says from where to where it goes. */
function moved(at, pieces) {
  for (const [low, high, to, end] of pieces) {
    if (at >= low && at <= high) {
      return high > low ? to + (at - low) * (end - to) / (high - low) : to;
    }
  }
  const passed = pieces.filter((piece) => piece[1] < at).pop();
  return passed ? at - (passed[1] - passed[3]) : at;
}

/** Where a line leaves one box and meets another, and how it bends: past what stands between. */
function between(a, b, standing) {
  const [start, end] = [a, b].map((r) => ({ x: middle(r.x, r.width), y: middle(r.y, r.height) }));
  const below = b.y >= a.y + a.height, above = b.y + b.height <= a.y;
  const inWay = standing.filter((r) => r !== a && r !== b && isBetween(r, start, end));
  if (below && !inWay.length && Math.abs(start.x - end.x) < b.width * 1.5) {
    const from = [start.x, a.y + a.height], to = [end.x, b.y - 1];
    const half = (from[1] + to[1]) / 2;
    return { from, to, bend: [[from[0], half], [to[0], half]] };
  }
  if (above || (below && inWay.length && Math.abs(start.x - end.x) < b.width)) {
    const edge = rightOf(a, b, standing);
    const from = [a.x + a.width, start.y], to = [b.x + b.width + 1, end.y];
    const far = edge + (edge - Math.min(from[0], to[0])) / 3 + 24;
    return { from, to, bend: [[far, from[1]], [far, to[1]]] };
  }
  const right = end.x >= start.x, to = [right ? b.x - 1 : b.x + b.width + 1, end.y];
  if (below) {
    const from = [start.x, a.y + a.height];
    return { from, to, bend: [[start.x, end.y], [(start.x + to[0]) / 2, end.y]] };
  }
  const from = [right ? a.x + a.width : a.x, start.y], half = (from[0] + to[0]) / 2;
  return { from, to, bend: [[half, from[1]], [half, to[1]]] };
}

/** Where there is room on the right of two boxes, and of all that stands beside and between. */
function rightOf(a, b, standing) {
  const top = Math.min(a.y, b.y), bottom = Math.max(a.y + a.height, b.y + b.height);
  const beside = standing.filter((r) => r.y < bottom && r.y + r.height > top);
  return beside.sort((r, s) => r.x - s.x).reduce(
    (edge, r) => r.x < edge + 30 ? Math.max(edge, r.x + r.width) : edge,
    Math.max(a.x + a.width, b.x + b.width));
}

/** Whether a straight line from one point to another meets a rectangle. */
function isBetween(rect, from, to) {
  for (let i = 1; i < 20; i += 1) {
    const x = from.x + (to.x - from.x) * i / 20, y = from.y + (to.y - from.y) * i / 20;
    if (x > rect.x && x < rect.x + rect.width && y > rect.y && y < rect.y + rect.height) return true;
  }
  return false;
}

/** An arrow's head at the end of a line that comes from a point. */
function arrow(from, to, width) {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const [dx, dy] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  const back = 6 + width * 0.6, side = 2.2 + width * 0.3;
  const foot = [to[0] - dx * back, to[1] - dy * back];
  return [to, [foot[0] - dy * side, foot[1] + dx * side], [foot[0] + dy * side, foot[1] - dx * side]]
    .map((p) => p.map((n) => n.toFixed(1)).join(",")).join(" ");
}
