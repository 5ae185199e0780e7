"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, parent, text = "", cls = "") => {
  const element = parent.appendChild(document.createElement(name));
  element.textContent = text;
  if (cls) element.className = cls;
  return element;
};

// A plot: what lies nearest to the pointer tells about itself; the legend hides and shows groups.
function plot(box) {
  const points = JSON.parse(document.getElementById(box.dataset.points).textContent);
  const canvas = box.querySelector(".canvas"), links = box.querySelector(".links");
  const tip = make("div", canvas, "", "tip off"), hidden = new Set();
  let pinned = -1;

  function nearest(event) {
    const frame = canvas.getBoundingClientRect();
    let best = -1, least = 28 * 28;  // px: further away nothing is meant
    points.forEach((point, i) => {
      if (hidden.has(point.g)) return;
      const x = frame.left + point.x / 100 * frame.width - event.clientX;
      const y = frame.bottom - point.y / 100 * frame.height - event.clientY;
      if (x * x + y * y < least) [best, least] = [i, x * x + y * y];
    });
    return best;
  }

  function show(i) {
    all(".on, .near", canvas).forEach(dot => dot.classList.remove("on", "near"));
    links?.replaceChildren();
    tip.classList.toggle("off", i < 0);
    if (i < 0) return;
    const point = points[i];
    tip.replaceChildren();
    make("b", tip, point.title);
    if (point.note) make("small", tip, point.note);
    if (point.text) make("p", tip, point.text);
    if (point.near) make("p", tip, "nearest: " + point.near.join(", "));
    tip.style.left = point.x < 50 ? `calc(${point.x}% + 14px)` : "";
    tip.style.right = point.x < 50 ? "" : `calc(${100 - point.x}% + 14px)`;
    tip.style.top = point.y > 50 ? `calc(${100 - point.y}% + 10px)` : "";
    tip.style.bottom = point.y > 50 ? "" : `calc(${point.y}% + 10px)`;
    canvas.querySelector(`[data-i="${i}"]`)?.classList.add("on");
    for (const other of point.to ?? []) {
      canvas.querySelector(`[data-i="${other}"]`).classList.add("near");
      const line = links.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "line"));
      const ends = {x1: point.x, y1: 100 - point.y, x2: points[other].x, y2: 100 - points[other].y};
      Object.entries(ends).forEach(([key, value]) => line.setAttribute(key, value));
    }
  }

  canvas.addEventListener("pointermove", event => { const i = nearest(event); show(i < 0 ? pinned : i); });
  canvas.addEventListener("pointerleave", () => show(pinned));
  canvas.addEventListener("click", event => show(pinned = nearest(event)));
  box.querySelector("input[type=search]")?.addEventListener("input", event => {
    const wanted = event.target.value.trim().toLowerCase();
    show(pinned = wanted ? points.findIndex(point => point.title.toLowerCase() === wanted) : -1);
  });
  all(".legend button", box).forEach(button => button.addEventListener("click", () => {
    const group = +button.dataset.group, visible = hidden.has(group);
    visible ? hidden.delete(group) : hidden.add(group);
    button.setAttribute("aria-pressed", visible);
    all(`[data-group="${group}"]`, canvas).forEach(element => element.classList.toggle("off", !visible));
  }));
}

// Rows of single dictionaries open below what they have in common.
function opener(button) {
  const rows = all("tr.one", button.closest("tbody"));
  const turn = open => { button.setAttribute("aria-expanded", open); rows.forEach(row => row.hidden = !open); };
  button.addEventListener("click", () => turn(button.getAttribute("aria-expanded") === "false"));
  turn(button.getAttribute("aria-expanded") === "true");
}

// Several panels of one figure: one at a time, chosen by its name.
function tabs(box) {
  const panels = all(":scope > .panel", box);
  if (panels.length < 2) return;
  const bar = document.createElement("div");
  bar.className = "tabs";
  bar.setAttribute("role", "tablist");
  const turn = chosen => panels.forEach((panel, i) => {
    panel.hidden = i !== chosen;
    bar.children[i].setAttribute("aria-selected", i === chosen);
  });
  panels.forEach((panel, i) => {
    const heading = panel.querySelector("h3"), button = make("button", bar, heading.textContent);
    heading.hidden = true;
    button.type = "button";
    button.setAttribute("role", "tab");
    button.addEventListener("click", () => turn(i));
  });
  box.prepend(bar);
  turn(0);
}

// A link to an artifact opens it.
const reveal = () => { const made = location.hash && document.getElementById(location.hash.slice(1)); if (made?.tagName === "DETAILS") made.open = true; };

all(".plot").forEach(plot);
all(".opener").forEach(opener);
all(".panels").forEach(tabs);
addEventListener("hashchange", reveal);
reveal();
document.documentElement.dataset.ready = "yes";
