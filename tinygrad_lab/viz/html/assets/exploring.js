// The page of a picture to explore: what is pointed at is told, what is looked for is shown.

const tip = document.querySelector("main").appendChild(make("div", { id: "tip", role: "tooltip", hidden: "" }));
const search = document.getElementById("search");
const count = document.getElementById("matches");
const chooser = document.getElementById("view");

/** One view: its picture, the items that can be reached in it, and its table. */
class View {
  constructor(section, data) {
    this.section = section;
    section.hidden = false; // where nothing is drawn, nothing can be measured
    this.stage = new Stage(section.querySelector("svg.graph"));
    this.folding = new Folding(this.stage, data);
    this.stage.first = this.folding.boxes.values().next().value.group;
    this.items = [];
    this.collect(data);
    const { svg } = this.stage;
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", "Computation graph: arrow keys move, Enter folds and unfolds");
    svg.addEventListener("keydown", (event) => this.key(event));
    section.querySelector("table").addEventListener("click", (event) => this.row(event));
    this.draw();
  }

  /** List frames and boxes in the order of the computation, as buttons. */
  collect(data) {
    const listed = new Set();
    const frame = (i) => {
      if (i < 0 || listed.has(i)) return;
      frame(this.folding.frames[i].within);
      listed.add(i);
      const { group, proxy, title, holds } = this.folding.frames[i];
      for (const [element, open] of [[group, true], [proxy, false]]) {
        this.button(element, `${title}. ${holds}`, () => this.toggle(i), { frame: i, open });
      }
    };
    for (const [id, [, around]] of Object.entries(data.boxes)) {
      frame(around);
      const { group } = this.folding.boxes.get(id);
      const title = group.querySelector("title");
      this.button(group, title ? title.textContent : id, null, { box: id });
      if (title) title.remove(); // the page's own tooltip is there for fingers and keys too
    }
    for (const edge of this.folding.edges) {
      const title = edge.group.querySelector("title");
      if (!title) continue;
      const text = title.textContent;
      title.remove();
      edge.group.addEventListener("pointerenter", () => tell(text, edge.path));
      edge.group.addEventListener("pointerleave", hush);
    }
  }

  button(element, text, act, about) {
    const item = { element, text, act, ...about };
    element.setAttribute("role", "button");
    element.setAttribute("tabindex", "-1");
    if ("open" in about) element.setAttribute("aria-expanded", String(about.open));
    element.classList.add("item");
    element.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") tell(text, item.element);
    });
    element.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") hush();
    });
    element.addEventListener("focus", () => { this.arrive(item); });
    element.addEventListener("blur", hush);
    element.addEventListener("click", (event) => {
      // A frame is folded by its title or sign: a click inside it may mean anything.
      if (item.open && event.target === this.folding.frames[item.frame].outline) return;
      element.focus({ preventScroll: true });
      if (act) act(); else tell(text, element);
    });
    this.items.push(item);
  }

  shown() {
    return this.items.filter(({ element }) => !element.closest("[hidden]"));
  }

  /** One item can be reached with Tab: where the reader was last. */
  arrive(item) {
    for (const { element } of this.items) {
      element.setAttribute("tabindex", "-1");
      element.removeAttribute("aria-describedby");
    }
    item.element.setAttribute("tabindex", "0");
    item.element.setAttribute("aria-describedby", "tip"); // its name is what can be read in it
    this.at = item;
    this.stage.show(this.spot(item));
    tell(item.text, item.element);
    for (const row of this.section.querySelectorAll("tbody tr")) {
      row.classList.toggle("at", row.dataset.box === item.box && Boolean(item.box));
    }
  }

  spot(item) {
    return item.open ? this.folding.frames[item.frame].sign : item.element;
  }

  key(event) {
    const shown = this.shown(), now = shown.indexOf(this.at);
    const to = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1,
      Home: 0, End: shown.length - 1 }[event.key];
    if (to !== undefined) {
      shown[Math.min(Math.max(to, 0), shown.length - 1)].element.focus({ preventScroll: true });
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.at && this.at.act) this.at.act();
    } else {
      return;
    }
    event.preventDefault();
  }

  toggle(frame) {
    this.folding.toggle(frame);
    this.draw();
    const item = this.items.find((one) => one.frame === frame && !one.element.closest("[hidden]"));
    if (!item) return;
    item.element.focus({ preventScroll: true });
    if (!item.element.matches(":focus-visible")) hush(); // a finger sees what it did
  }

  all(fold) {
    this.folding.all(fold);
    this.draw();
    this.stage.fit();
  }

  /** After folding: what Tab reaches, what the table shows, what matches. */
  draw() {
    if (!this.drawn) { this.folding.draw(); this.drawn = true; }
    const shown = this.shown();
    if (!shown.includes(this.at)) this.at = shown[0];
    for (const item of this.items) item.element.setAttribute("tabindex", item === this.at ? 0 : -1);
    this.look();
  }

  look() {
    const wanted = search.value.trim().toLowerCase();
    const matching = wanted ? [...this.folding.boxes.values()].filter((box) =>
      this.words(box).includes(wanted)) : [];
    this.matching = matching;
    const ids = new Set(matching.map((box) => box.id));
    for (const box of this.folding.boxes.values()) {
      box.group.classList.toggle("match", ids.has(box.id));
    }
    for (const frame of this.folding.frames) {
      const inside = matching.some((box) => this.folding.frames[box.hider] === frame);
      frame.proxy.classList.toggle("match", inside);
    }
    for (const row of this.section.querySelectorAll("tbody tr")) {
      const { box, frame } = row.dataset;
      const around = box ? this.folding.boxes.get(box).frame : Number(frame.slice(1));
      const outer = box ? around : this.folding.frames[around].within;
      row.hidden = wanted ? !ids.has(box) : this.folding.hider(outer) >= 0;
      const button = row.querySelector("[data-toggle]");
      if (button) button.setAttribute("aria-expanded", String(!this.folding.folded.has(around)));
    }
    count.textContent = wanted ? `${matching.length} of ${this.folding.boxes.size} boxes` : "";
  }

  words(box) {
    const names = [box.name];
    for (let at = box.frame; at >= 0; at = this.folding.frames[at].within) {
      names.push(this.folding.frames[at].title);
    }
    return names.join(" ").toLowerCase();
  }

  find(id) {
    this.folding.reveal(id);
    this.draw();
    this.folding.boxes.get(id).group.focus({ preventScroll: true });
  }

  row(event) {
    const row = event.target.closest("tr");
    if (event.target.closest("[data-find]")) this.find(row.dataset.box);
    if (!event.target.closest("[data-toggle]")) return;
    this.folding.toggle(Number(row.dataset.frame.slice(1)));
    this.draw();
  }

  /** Go to the match after the one that was gone to last. */
  next() {
    if (!this.matching.length) return;
    this.turn = ((this.turn ?? -1) + 1) % this.matching.length;
    const box = this.matching[this.turn];
    this.folding.reveal(box.id);
    this.draw();
    this.stage.show(box.group);
    tell(this.items.find((item) => item.box === box.id).text, box.group);
  }
}

/** Say something beside a part of the picture, where there is room for it. */
function tell(text, element) {
  tip.replaceChildren(...text.split("\n").map((line) => make("div", {}, line)));
  tip.hidden = false;
  const at = element.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const below = at.bottom + 8 + own.height < innerHeight;
  const y = below ? at.bottom + 8 : Math.max(at.top - own.height - 8, 4);
  tip.style.top = `${Math.min(y, innerHeight - own.height - 4)}px`;
  tip.style.left = `${Math.max(Math.min(at.left, innerWidth - own.width - 8), 4)}px`;
}

function hush() {
  tip.hidden = true;
}

const views = [];
const sections = [...document.querySelectorAll("[data-view]")];

/** Show a view; it is measured and made ready when it is first shown. */
function choose(number) {
  hush();
  sections.forEach((section, i) => { section.hidden = i !== number; });
  views[number] ??= new View(sections[number], DATA.views[number]);
  current = views[number];
  for (const id of ["fold", "unfold"]) {
    document.getElementById(id).hidden = !current.folding.frames.length;
  }
  current.look();
}
let current = null;

awaken();
choose(0);
chooser.addEventListener("change", () => choose(Number(chooser.value)));
search.addEventListener("input", () => { current.turn = -1; current.look(); });
search.addEventListener("keydown", (event) => { if (event.key === "Enter") current.next(); });
document.getElementById("fold").addEventListener("click", () => current.all(true));
document.getElementById("unfold").addEventListener("click", () => current.all(false));
document.getElementById("larger").addEventListener("click", () => current.stage.zoom(1.25));
document.getElementById("smaller").addEventListener("click", () => current.stage.zoom(0.8));
document.getElementById("fit").addEventListener("click", () => current.stage.fit(null, 0));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });
