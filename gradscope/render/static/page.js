"use strict";
// The page reads whole without this file: it sorts and filters tables, moves the graph, and opens what is printed.
document.documentElement.classList.add("js");

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
}

function compare(a, b) {
  const numbers = (typeof a === "number") - (typeof b === "number");
  if (numbers) return -numbers; // a dash stands after every number
  if (typeof a === "number") return a - b || Number.isNaN(a) - Number.isNaN(b);
  return a.localeCompare(b, undefined, { numeric: true });
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [cellValue(row, column), row]);
      rows.sort((x, y) => (falling && typeof x[0] === typeof y[0] ? compare(y[0], x[0]) : compare(x[0], y[0])));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}

function filterable(input) {
  const table = document.getElementById(input.dataset.filter);
  const output = document.querySelector(`[data-count="${input.dataset.filter}"]`);
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  const all = output.textContent;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    output.textContent = words.length ? `${shown} of ${all}` : all;
  });
}

function zoomable(view) {
  const svg = view.querySelector("svg");
  const whole = svg && svg.viewBox.baseVal;
  if (!whole || !whole.width) return;
  svg.style.height = `${svg.clientHeight}px`;
  svg.style.width = "100%"; // room to move sideways
  const home = [whole.x, whole.y, whole.width, whole.height];
  let box = [...home];
  const show = () => svg.setAttribute("viewBox", box.join(" "));
  const perPixel = () => Math.max(box[2] / svg.clientWidth, box[3] / svg.clientHeight);
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const width = Math.min(home[2] * 2, Math.max(home[2] / 200, box[2] * factor));
    const ratio = width / box[2];
    box = [box[0] + box[2] * x * (1 - ratio), box[1] + box[3] * y * (1 - ratio), width, box[3] * ratio];
    show();
  };
  const move = (x, y) => {
    box[0] += x;
    box[1] += y;
    show();
  };
  const reset = () => {
    box = [...home];
    show();
  };
  const keys = {
    ArrowLeft: () => move(-box[2] / 10, 0),
    ArrowRight: () => move(box[2] / 10, 0),
    ArrowUp: () => move(0, -box[3] / 10),
    ArrowDown: () => move(0, box[3] / 10),
    "+": () => zoom(0.8),
    "=": () => zoom(0.8),
    "-": () => zoom(1.25),
    0: reset,
  };
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  // A bare wheel scrolls the page: a picture must not trap the reader.
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const at = svg.getBoundingClientRect();
    const x = (event.clientX - at.left - at.width / 2) * perPixel();
    const y = (event.clientY - at.top - at.height / 2) * perPixel();
    zoom(Math.exp(event.deltaY / 300), 0.5 + x / box[2], 0.5 + y / box[3]);
  }, { passive: false });
  view.addEventListener("pointerdown", (event) => {
    if (event.button === 0) view.setPointerCapture(event.pointerId);
  });
  view.addEventListener("pointermove", (event) => {
    if (view.hasPointerCapture(event.pointerId)) move(-event.movementX * perPixel(), -event.movementY * perPixel());
  });
  view.before(toolbar([["Zoom in", () => zoom(0.8)], ["Zoom out", () => zoom(1.25)], ["Show all", reset]]));
}

function toolbar(actions) {
  const bar = document.createElement("div");
  bar.className = "tools";
  for (const [name, action] of actions) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", action);
    bar.append(button);
  }
  return bar;
}

document.querySelectorAll("table.all").forEach(sortable);
document.querySelectorAll("[data-filter]").forEach(filterable);
document.querySelectorAll("[data-zoom]").forEach(zoomable);
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.source)").forEach((each) => (each.open = true)));
