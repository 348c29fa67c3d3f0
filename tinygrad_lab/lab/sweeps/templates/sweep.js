// Moving about in the drawing of all settings: without this it is complete, and stands still.
const plot = document.querySelector(".parallel svg");
const picked = document.getElementById("picked");
const runs = [...plot.querySelectorAll(".run")].map((line) => ({
  line,
  places: line.dataset.places.split(" ").map(Number),
  title: line.querySelector("title").textContent,
}));
const [height, distance] = [Number(plot.dataset.height), Number(plot.dataset.distance)];
const ranges = new Map(); // what is chosen on an axis, by its number: from and to, 0 to 1
const invitation = "Point at a line to read it; drag along an axis to keep the lines that cross it there.";
picked.textContent = invitation;

function placeOf(event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
  return { x: x / distance, y: 1 - y / height };
}

function isIn(run) {
  return [...ranges].every(([axis, [low, high]]) => run.places[axis] >= low && run.places[axis] <= high);
}

function choose() {
  const left = runs.filter((run) => {
    const stays = isIn(run);
    run.line.classList.toggle("out", !stays);
    return stays;
  });
  const best = left.at(-1); // they are drawn from the worst to the best
  picked.textContent = ranges.size
    ? `${left.length} of ${runs.length} settings${best ? `; the best of them: ${best.title}` : ""}. Click an axis to choose all of it again.`
    : invitation;
}

plot.querySelectorAll(".axis").forEach((axis, number) => {
  const grip = axis.querySelector(".grip");
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  mark.setAttribute("class", "chosen");
  let start = null;
  const drag = (event) => {
    if (start === null) return;
    const end = Math.min(1.02, Math.max(-0.02, placeOf(event).y));
    const [low, high] = [Math.min(start, end), Math.max(start, end)];
    if (high - low < 0.02) {
      ranges.delete(number);
      mark.remove();
    } else {
      ranges.set(number, [low, high]);
      const box = { x: -7, width: 14, y: (1 - high) * height, height: (high - low) * height };
      Object.entries(box).forEach(([name, value]) => mark.setAttribute(name, value));
      axis.append(mark);
    }
    choose();
  };
  grip.addEventListener("pointerdown", (event) => {
    start = placeOf(event).y;
    grip.setPointerCapture(event.pointerId);
    drag(event);
  });
  grip.addEventListener("pointermove", drag);
  for (const end of ["pointerup", "pointercancel"]) {
    grip.addEventListener(end, () => { start = null; });
  }
});

let now = null;
plot.addEventListener("pointermove", (event) => {
  const { x, y } = placeOf(event);
  const axis = Math.min(runs[0].places.length - 2, Math.max(0, Math.floor(x)));
  const gap = (run) => Math.abs(run.places[axis] + (run.places[axis + 1] - run.places[axis]) * (x - axis) - y);
  const near = runs.filter(isIn).reduce((a, b) => (a && gap(a) < gap(b) ? a : b), null);
  now?.line.classList.remove("now");
  now = near && gap(near) < 0.04 && event.buttons === 0 ? near : null;
  now?.line.classList.add("now");
  if (now) picked.textContent = now.title;
  else choose();
});
plot.addEventListener("pointerleave", () => {
  now?.line.classList.remove("now");
  choose();
});
