// The walk: one step is shown, and in the picture its box, and the lines that it sends back along.

const steps = [...document.querySelectorAll(".step")];
const slider = document.getElementById("slider");
const where = document.getElementById("where");
const stage = new Stage(document.querySelector("svg.graph"));
const over = stage.root.appendChild(make("svg:g", { class: "over", "aria-hidden": "true" }));
const part = (id) => stage.svg.querySelector(`[data-id="${id}"]`);
let now = 0;

function go(to) {
  now = Math.min(Math.max(to, 0), steps.length - 1);
  steps.forEach((step, i) => { step.hidden = i !== now; });
  slider.value = now;
  const title = steps[now].querySelector("h2").textContent;
  slider.setAttribute("aria-valuetext", title);
  where.textContent = `Step ${now + 1} of ${steps.length}`;
  for (const button of document.querySelectorAll("[data-go]")) {
    // Not disabled: that would take the focus from whoever just pressed it.
    button.setAttribute("aria-disabled", String(destination(button.dataset.go) === now));
  }
  mark();
}

/** Draw over the picture where the walk is, by outline, sign and word. */
function mark() {
  over.replaceChildren();
  DATA.steps.slice(0, now).forEach(({ box }) => sign(box, "✓", "done"));
  const { box, back } = DATA.steps[now] || { box: null, back: [] };
  for (const { edge, to } of back) {
    const line = part(edge).querySelector("path");
    const tip = head(line, part(`c${edge}`) || part(to)); // of what is carried, the way in
    over.append(make("svg:path", { d: line.getAttribute("d"), class: "flow" }), tip);
  }
  if (!box) { stage.current = null; return; }
  const { x, y, width, height } = part(box).getBBox();
  over.append(make("svg:rect",
    { x: x - 5, y: y - 5, width: width + 10, height: height + 10, rx: 9, class: "current" }));
  sign(box, "now", "here");
  stage.current = part(box);
  stage.show(stage.current);
}

/** Point to where a gradient goes: a line is drawn from there, but for some that are turned. */
function head(line, to) {
  const box = to.getBBox(), length = line.getTotalLength();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const away = (at) => Math.hypot((at.x - middle.x) / box.width, (at.y - middle.y) / box.height);
  const ends = [0, length].map((at) => line.getPointAtLength(at));
  const first = away(ends[0]) < away(ends[1]);
  const tip = ends[first ? 0 : 1];
  const foot = line.getPointAtLength(first ? Math.min(14, length) : Math.max(length - 14, 0));
  const [dx, dy] = [tip.x - foot.x, tip.y - foot.y].map((n) => n / 2);
  return make("svg:polygon", { class: "head", points: [[tip.x, tip.y],
    [foot.x - dy, foot.y + dx], [foot.x + dy, foot.y - dx]].join(" ") });
}

function sign(box, text, kind) {
  const { x, y, width } = part(box).getBBox();
  const label = make("svg:g", { class: kind });
  const at = kind === "here" ? { x: x - 1, y: y - 7 } : { x: x + width - 2, y: y + 3 };
  const letters = make("svg:text", at, text);
  label.append(letters);
  over.append(label);
  const size = letters.getBBox();
  label.prepend(make("svg:rect",
    { x: size.x - 3, y: size.y - 1, width: size.width + 6, height: size.height + 2, rx: 4 }));
}

/** Go to the turn of a box; of what has none, to where its gradient is complete. */
function goTo(id) {
  const own = DATA.steps.findIndex(({ box }) => box === id);
  const last = DATA.steps.findLastIndex(({ back }) => back.some(({ to }) => to === id));
  if (Math.max(own, last) >= 0) go(own >= 0 ? own : last);
}

function destination(name) {
  return { first: 0, back: Math.max(now - 1, 0), next: Math.min(now + 1, steps.length - 1),
    last: steps.length - 1 }[name];
}

document.body.addEventListener("click", (event) => {
  const button = event.target.closest("[data-go]");
  if (button) go(destination(button.dataset.go));
  const box = event.target.closest("[data-id]");
  if (box) goTo(box.dataset.id);
});
slider.addEventListener("input", () => go(Number(slider.value)));
document.addEventListener("keydown", (event) => {
  if (event.target === slider || event.ctrlKey || event.metaKey || event.altKey) return;
  const name = { ArrowLeft: "back", ArrowUp: "back", PageUp: "back", ArrowRight: "next",
    ArrowDown: "next", PageDown: "next", Home: "first", End: "last" }[event.key];
  if (!name) return;
  event.preventDefault();
  go(destination(name));
});

awaken();
go(0);
