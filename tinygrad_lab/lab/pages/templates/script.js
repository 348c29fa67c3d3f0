// Conveniences alone: without this the page is complete.
const root = document.documentElement;
const contents = document.getElementById("contents");
const [unfold, theme] = ["unfold", "theme"].map((id) => document.getElementById(id));
const parts = () => [...document.querySelectorAll("details.part")];
const dark = matchMedia("(prefers-color-scheme: dark)");

document.querySelector(".switches").hidden = false;

// A link to a section opens it.
function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  for (let each = target; each; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
  }
  target?.scrollIntoView();
}
addEventListener("hashchange", reveal);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  if (contents.matches(":popover-open")) contents.hidePopover();
  if (link.hash === location.hash) reveal();
});
if (location.hash) reveal();

unfold.addEventListener("click", () => {
  const open = parts().some((each) => !each.open);
  parts().forEach((each) => { each.open = open; });
});
addEventListener("toggle", () => {
  unfold.textContent = parts().some((each) => !each.open) ? "Open all" : "Fold all";
}, true);

// The system's theme, or the other one.
const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const label = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  label();
});
dark.addEventListener("change", label);
label();

// On paper everything is open, but for long tables, which are files too.
const folded = [];
addEventListener("beforeprint", () => {
  folded.push(...document.querySelectorAll("details:not([open], .long)"));
  folded.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => {
  folded.splice(0).forEach((each) => { each.open = false; });
});

// The section that is being read is marked in the contents.
const links = new Map([...contents.querySelectorAll("li a")].map((a) => [a.hash.slice(1), a]));
const reading = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const link = links.get(target.id);
    if (isIntersecting) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0px -65% 0px" });
for (const id of links.keys()) reading.observe(document.getElementById(id));
