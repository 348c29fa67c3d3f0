"use strict";
// The picture on a page: pan, zoom, and what is drawn over it. Both kinds of page use it.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 0.9; // pixels a point of the picture: below that, letters are too small to read

/** Make an element with attributes; text only ever as text. */
function make(name, attributes = {}, text = "") {
  const element = name.startsWith("svg:")
    ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

/** Make an SVG fill its frame, and let it be moved and zoomed. */
class Stage {
  constructor(svg) {
    this.svg = svg;
    this.frame = svg.parentElement;
    const { x, y, width, height } = svg.viewBox.baseVal;
    this.whole = [x, y, width, height];
    this.root = svg.querySelector("g");
    this.frame.classList.add("live");
    svg.removeAttribute("width");
    svg.removeAttribute("height");
    this.touches = new Map();
    this.moved = false;
    this.isChosen = false; // the reader has chosen what to look at
    this.listen();
    this.fit();
  }

  /** Show all of it, or as much as is large enough to be read. */
  fit(around = null, least = NARROWEST) {
    const { clientWidth } = this.frame;
    const widest = Math.max(Math.min(clientWidth / this.whole[2], 1.6), NARROWEST);
    this.frame.style.height = `${Math.ceil(this.whole[3] * widest) + 2}px`; // CSS has the limit
    const { clientHeight } = this.frame;
    const scale = Math.min(clientWidth / this.whole[2], clientHeight / this.whole[3], 1.6);
    this.least = Math.min(scale, NARROWEST);
    const [x, y, width] = this.whole, start = Math.max(scale, least);
    this.look(x + width / 2, y + clientHeight / 2 / start, start);
    this.isChosen = false;
    if (around || this.first) this.show(around || this.first);
  }

  /** Centre a point at a scale, in pixels a point; of what fits, all stays in view. */
  look(x, y, scale) {
    this.scale = Math.min(Math.max(scale, this.least), 6);
    const size = [this.frame.clientWidth / this.scale, this.frame.clientHeight / this.scale];
    this.centre = [x, y].map((at, i) => {
      const low = this.whole[i], high = low + this.whole[i + 2];
      if (size[i] >= high - low) return (low + high) / 2;
      return Math.min(Math.max(at, low + size[i] / 2), high - size[i] / 2);
    });
    const corner = this.centre.map((at, i) => at - size[i] / 2);
    this.svg.setAttribute("viewBox", [...corner, ...size].map((n) => n.toFixed(2)).join(" "));
    const fits = size[1] >= this.whole[3] - 1 && size[0] >= this.whole[2] - 1;
    this.frame.classList.toggle("movable", !fits);
  }

  /** Take the extent of the picture from what lies under it. */
  reach(sheet) {
    const { x, y, width, height } = this.box(sheet);
    this.whole = [x, y, width, height];
    if (this.isChosen) this.look(...this.centre, this.scale); else this.fit();
  }

  zoom(factor, at = null) {
    this.isChosen = true;
    const before = this.point(at), scale = Math.min(Math.max(this.scale * factor, this.least), 6);
    const shift = this.scale / scale;
    this.look(before[0] + (this.centre[0] - before[0]) * shift,
      before[1] + (this.centre[1] - before[1]) * shift, scale);
  }

  pan(dx, dy) {
    this.isChosen = true;
    this.look(this.centre[0] - dx / this.scale, this.centre[1] - dy / this.scale, this.scale);
  }

  /** Bring a part into view, if it is not. */
  show(part) {
    const box = this.box(part), half = [this.frame.clientWidth, this.frame.clientHeight]
      .map((n) => n / this.scale / 2);
    const middle = [box.x + box.width / 2, box.y + box.height / 2];
    const size = [box.width / 2, box.height / 2];
    const away = middle.some((at, i) => Math.abs(at - this.centre[i]) > half[i] - size[i] - 8);
    if (away) this.look(...middle, this.scale);
  }

  /** Where a part is, in the picture's own measure. */
  box(part) {
    const box = part.getBBox(), own = part.getCTM(), all = this.svg.getCTM();
    const to = all.inverse().multiply(own);
    const at = new DOMPoint(box.x, box.y).matrixTransform(to);
    return { x: at.x, y: at.y, width: box.width * to.a, height: box.height * to.d };
  }

  point(at) {
    if (!at) return this.centre;
    const toPicture = this.svg.getScreenCTM().inverse();
    const point = new DOMPoint(at.x, at.y).matrixTransform(toPicture);
    return [point.x, point.y];
  }

  listen() {
    const { frame } = this;
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // else nobody could scroll past a picture
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button) return;
      this.touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.moved = false;
      this.way = 0;
    });
    frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      frame.addEventListener(end, (event) => this.touches.delete(event.pointerId));
    }
    // A click that ends a move is none.
    frame.addEventListener("click", (event) => {
      if (this.moved) event.stopPropagation();
      this.moved = false;
    }, true);
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const act = { "+": () => this.zoom(1.25), "=": () => this.zoom(1.25),
        "-": () => this.zoom(0.8), "0": () => this.fit() }[event.key];
      if (act) { act(); event.preventDefault(); }
    });
    new ResizeObserver(() => this.fit(this.current)).observe(frame);
  }

  drag(event) {
    const before = this.touches.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const others = [...this.touches].filter(([id]) => id !== event.pointerId);
    this.way += Math.hypot(now.x - before.x, now.y - before.y);
    if (this.way > 5) this.moved = true;
    this.touches.set(event.pointerId, now);
    if (others.length) {
      const [, other] = others[0];
      const apart = (a) => Math.max(Math.hypot(a.x - other.x, a.y - other.y), 1);
      this.zoom(apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else if (this.moved && !isStill(this.frame, event)) {
      this.pan(now.x - before.x, now.y - before.y);
    }
  }
}

/** Whether a finger scrolls the page rather than the picture: where all of that is in view. */
function isStill(frame, event) {
  return event.pointerType === "touch" && !frame.classList.contains("movable");
}

/** Show what works with scripts only, and let the reader choose the theme. */
function awaken() {
  for (const element of document.querySelectorAll("[data-live]")) element.hidden = false;
  const button = document.getElementById("theme"), root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    tell();
  });
  prefersDark.addEventListener("change", tell);
  tell();
}
