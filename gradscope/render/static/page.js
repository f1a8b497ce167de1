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

const PIXELS_PER_POINT = 4 / 3;

// One picture of the graph: a window on it that moves and zooms.
function picture(svg) {
  const { x, y, width, height } = svg.viewBox.baseVal;
  const home = [x, y, width, height];
  let box = home;
  const show = (next) => {
    box = next;
    svg.setAttribute("viewBox", box.join(" "));
  };
  const perPixel = () => Math.max(box[2] / svg.clientWidth, box[3] / svg.clientHeight);
  return {
    show,
    view: () => box,
    fit() { // the first time that it can be seen: keep the height, take all the width, so that there is room to move
      if (svg.style.height || !svg.clientHeight) return;
      svg.style.height = `${svg.clientHeight}px`;
      svg.style.width = "100%";
      svg.querySelectorAll("[data-opens]").forEach(markOpener);
    },
    reset: () => show(home),
    move: (right, down) => show([box[0] + right * box[2], box[1] + down * box[3], box[2], box[3]]),
    drag: (right, down) => show([box[0] - right * perPixel(), box[1] - down * perPixel(), box[2], box[3]]),
    zoom(factor, right = 0.5, down = 0.5) {
      const wide = Math.min(home[2] * 2, Math.max(home[2] / 200, box[2] * factor));
      const ratio = wide / box[2];
      show([box[0] + box[2] * right * (1 - ratio), box[1] + box[3] * down * (1 - ratio), wide, box[3] * ratio]);
    },
    zoomAt(factor, event) {
      const at = svg.getBoundingClientRect();
      const right = (event.clientX - at.left - at.width / 2) * perPixel() / box[2];
      const down = (event.clientY - at.top - at.height / 2) * perPixel() / box[3];
      this.zoom(factor, 0.5 + right, 0.5 + down);
    },
    lookAt(parts) { // some of its boxes, all of them with room around, and no larger than they were drawn
      const ends = parts.map((part) => {
        const { x: left, y: top, width: wide, height: high } = part.getBBox();
        const to = svg.getScreenCTM().inverse().multiply(part.getScreenCTM());
        return [new DOMPoint(left, top).matrixTransform(to), new DOMPoint(left + wide, top + high).matrixTransform(to)];
      });
      const [left, top] = ["x", "y"].map((axis) => Math.min(...ends.map((end) => end[0][axis])));
      const [right, bottom] = ["x", "y"].map((axis) => Math.max(...ends.map((end) => end[1][axis])));
      const room = 0.1 * Math.max(right - left, bottom - top);
      const [wide, high] = [right - left + 2 * room, bottom - top + 2 * room];
      const factor = Math.max(1, Math.min(svg.clientWidth / wide, svg.clientHeight / high) / PIXELS_PER_POINT);
      show([(left + right - wide * factor) / 2, (top + bottom - high * factor) / 2, wide * factor, high * factor]);
    },
  };
}

function markOpener(box) {
  const { x, y, width } = box.getBBox();
  const sign = document.createElementNS("http://www.w3.org/2000/svg", "text");
  sign.setAttribute("class", "opener");
  sign.setAttribute("x", x + width - 13);
  sign.setAttribute("y", y + 14);
  sign.setAttribute("aria-hidden", "true");
  sign.textContent = "+";
  box.append(sign);
  box.setAttribute("tabindex", "0");
  box.setAttribute("role", "button");
  box.setAttribute("aria-label", `Open ${box.querySelector("title").textContent.split(", ")[0]}`);
}

function graph(section) {
  const paper = section.querySelector(".paper");
  const pictures = new Map([...paper.querySelectorAll(".level")].map((each) => [each, picture(each.querySelector("svg"))]));
  const choices = [...section.querySelectorAll("input[name=depth]")];
  const seen = () => [...pictures.keys()].find((level) => level.offsetParent !== null);
  const now = () => pictures.get(seen());
  const turnTo = (level) => { // a depth, or a module that is opened alone
    const choice = choices.find((each) => each.dataset.depth === level.dataset.depth);
    if (choice) choice.checked = true;
    section.classList.toggle("opened", !choice);
    pictures.forEach((_, each) => each.classList.toggle("open", each === level));
    now().fit();
  };
  choices.forEach((choice) => choice.addEventListener("click", () => {
    turnTo([...pictures.keys()].find((level) => level.dataset.depth === choice.dataset.depth));
  }));
  const trail = []; // where one was before each module that was opened
  const open = (box) => {
    trail.push([seen(), now().view(), box]);
    back.disabled = false;
    const parts = box.dataset.opens.split(" ").map((id) => document.getElementById(id));
    turnTo(parts[0].closest(".level"));
    now().lookAt(parts);
    (parts.find((part) => part.dataset.opens) || paper).focus({ preventScroll: true });
  };
  const close = () => {
    if (!trail.length) return;
    const [level, view, box] = trail.pop();
    turnTo(level);
    now().show(view);
    box.focus({ preventScroll: true });
    back.disabled = !trail.length;
  };
  const keys = {
    Backspace: close,
    ArrowLeft: () => now().move(-0.1, 0),
    ArrowRight: () => now().move(0.1, 0),
    ArrowUp: () => now().move(0, -0.1),
    ArrowDown: () => now().move(0, 0.1),
    "+": () => now().zoom(0.8),
    "=": () => now().zoom(0.8),
    "-": () => now().zoom(1.25),
    0: () => now().reset(),
  };
  paper.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const box = event.target.closest("[data-opens]");
    const act = box && (event.key === "Enter" || event.key === " ") ? () => open(box) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  // A bare wheel scrolls the page: a picture must not trap the reader.
  paper.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    now().zoomAt(Math.exp(event.deltaY / 300), event);
  }, { passive: false });
  let start = null;
  paper.addEventListener("pointerdown", (event) => {
    start = event.button === 0 ? event : null;
  });
  paper.addEventListener("pointermove", (event) => {
    if (!start || !(event.buttons & 1)) return;
    if (Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 4) paper.setPointerCapture(event.pointerId);
    if (paper.hasPointerCapture(event.pointerId)) now().drag(event.movementX, event.movementY);
  });
  paper.addEventListener("click", (event) => {
    const box = event.target.closest("[data-opens]");
    if (box) open(box);
  });
  now().fit();
  const bar = toolbar([["Zoom in", keys["+"]], ["Zoom out", keys["-"]], ["Show all", keys[0]], ["Close module", close]]);
  const back = bar.lastChild;
  back.disabled = true;
  back.hidden = !paper.querySelector("[data-opens]");
  paper.before(bar);
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
document.querySelectorAll("div.graph").forEach(graph);
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.source, .many)").forEach((each) => (each.open = true)));
