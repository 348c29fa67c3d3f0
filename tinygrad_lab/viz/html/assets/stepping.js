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
    button.disabled = destination(button.dataset.go) === now;
  }
  mark();
}

/** Draw over the picture where the walk is, by outline, sign and word. */
function mark() {
  over.replaceChildren();
  DATA.steps.slice(0, now).forEach(({ box }) => sign(box, "✓", "done"));
  const { box, back } = DATA.steps[now] || { box: null, back: [] };
  for (const { edge } of back) {
    const line = part(edge).querySelector("path");
    over.append(make("svg:path", { d: line.getAttribute("d"), class: "flow" }));
  }
  if (!box) { stage.current = null; return; }
  const { x, y, width, height } = part(box).getBBox();
  over.append(make("svg:rect",
    { x: x - 5, y: y - 5, width: width + 10, height: height + 10, rx: 9, class: "current" }));
  sign(box, "now", "here");
  stage.current = part(box);
  stage.show(stage.current);
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

function destination(name) {
  return { first: 0, back: Math.max(now - 1, 0), next: Math.min(now + 1, steps.length - 1),
    last: steps.length - 1 }[name];
}

document.body.addEventListener("click", (event) => {
  const button = event.target.closest("[data-go]");
  if (button) go(destination(button.dataset.go));
  const box = event.target.closest("[data-id]");
  const step = box ? DATA.steps.findIndex((s) => s.box === box.dataset.id) : -1;
  if (step >= 0) go(step);
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
