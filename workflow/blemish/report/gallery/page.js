"use strict";

const PER_PAGE = 60;
const SMALL = 128; // images up to this side are enlarged pixel by pixel
const STEP = 5; // of the slider, in percent
const LAYERS = ["found", "mask"]; // the mask's outline is drawn last
const KEYS = { m: "mask", p: "found" };

const content = JSON.parse(document.getElementById("content").textContent);
const find = (id) => document.getElementById(id);
const controls = find("controls");
const fields = Object.fromEntries([...controls.elements].filter((e) => e.id).map((e) => [e.id, e]));
const detail = find("detail");

// One row per image, with what is filtered and sorted by; "Infinity" comes as text, null stays null.
const rows = content.images.map((image) => {
  const [pool, recipe, backbone] = content.sets[image.set];
  const values = image.values.map((value) => (value === null ? null : Number(value)));
  return { ...image, pool, recipe, backbone, values, clean: content.clean[image.clean] };
});
const layers = { mask: true, found: false };
let shown = rows; // those that the filters leave, sorted
let page = 0;
let current = 0; // position in `shown` of the image in the dialog

// Small helpers

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function amount(value, measure) {
  if (value === null) return "–";
  const number = value === Infinity ? "∞" : value.toFixed(measure.unit ? 1 : 2);
  return measure.unit ? `${number} ${measure.unit}` : number;
}

function picture(element, image, size) {
  element.src = `data:image/webp;base64,${image}`;
  element.classList.toggle("small", Math.max(...size) <= SMALL);
}

// Overlays

/** The border of a mask and the area inside it as SVG path data, in pixels of the image. */
function trace(runs, [width, height]) {
  // Where each row's stretches inside the mask begin and end, in turn; an empty row above and below.
  const ends = Array.from({ length: height + 2 }, () => []);
  let start = 0;
  runs.forEach((length, i) => {
    const end = start + length;
    for (let y = Math.floor(start / width); i % 2 && y * width < end; y++) {
      ends[y + 1].push(Math.max(start - y * width, 0), Math.min(end - y * width, width));
    }
    start = end;
  });
  let edge = "";
  let area = "";
  for (let y = 0; y <= height; y++) {
    const [above, here] = [ends[y], ends[y + 1]];
    // In order, they come in pairs: from one to the other just one of the two rows is inside.
    const both = [...above, ...here].sort((a, b) => a - b);
    for (let i = 0; i < both.length; i += 2) {
      if (both[i] < both[i + 1]) edge += `M${both[i]} ${y}H${both[i + 1]}`;
    }
    for (let i = 0; i < here.length; i += 2) {
      edge += `M${here[i]} ${y}v1M${here[i + 1]} ${y}v1`;
      area += `M${here[i]} ${y}H${here[i + 1]}v1H${here[i]}z`;
    }
  }
  return { edge, area };
}

function overlay(row) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${row.size[0]} ${row.size[1]}`);
  svg.setAttribute("aria-hidden", "true");
  for (const layer of LAYERS) {
    if (!layers[layer] || !row[layer]) continue;
    const { edge, area } = trace(row[layer], row.size);
    // The mask's line has a dark rim, which shows it on green; the prediction is tinted, so that not hue alone tells them apart.
    const under = layer === "mask" ? ["rim", edge] : ["tint", area];
    for (const [name, data] of [under, [`edge ${layer}`, edge]]) {
      const path = document.createElementNS(svg.namespaceURI, "path");
      path.setAttribute("class", name);
      path.setAttribute("d", data);
      svg.append(path);
    }
  }
  return svg;
}

function toggle(layer) {
  layers[layer] = !layers[layer];
  for (const button of document.querySelectorAll(`[data-layer="${layer}"]`)) button.ariaPressed = layers[layer];
  for (const card of find("grid").querySelectorAll(".card")) {
    card.querySelector("svg").replaceWith(overlay(shown[card.dataset.position]));
  }
  if (detail.open) find("overlay").replaceChildren(overlay(shown[current]));
}

// Filters and order

function between(value, name) {
  const from = fields[`${name}-from`].valueAsNumber;
  const to = fields[`${name}-to`].valueAsNumber;
  if (Number.isNaN(from) && Number.isNaN(to)) return true;
  return value !== null && !(value < from) && !(value > to);
}

function compare(a, b) {
  const by = fields.sort.value;
  const [left, right] = [a, b].map((row) => (by in a ? row[by] : row.values[by]));
  if (left === right) return 0;
  if (left === null) return 1; // what has no value comes last in either order
  if (right === null) return -1;
  return (left < right ? -1 : 1) * fields.order.value;
}

function select() {
  const chosen = ["recipe", "pool", "backbone"].filter((name) => fields[name].value);
  const strength = fields.strength.value;
  shown = rows
    .filter((row) => chosen.every((name) => row[name] === fields[name].value))
    .filter((row) => between(row.values[0], "iou") && between(row.values[strength], "strength"))
    .sort(compare);
  page = 0;
  draw();
}

// The grid

function card(row, position) {
  const image = make("img");
  image.alt = "";
  image.decoding = "async";
  picture(image, row.image, row.size);
  const by = fields.sort.value;
  const sorted = Number(by) > 0 ? amount(row.values[by], content.measures[by]) : "";
  const iou = row.values[0] === null ? "" : `IoU ${amount(row.values[0], content.measures[0])}`;
  const button = make(
    "button",
    "card",
    make("span", "stage", image, overlay(row)),
    make("span", "caption", make("span", "", row.recipe), make("span", "", iou)),
    make("span", "subcaption", make("span", "", `${row.pool} · ${row.backbone}`), make("span", "", sorted)),
  );
  button.type = "button";
  button.ariaLabel = [row.recipe, row.pool, row.backbone, row.clean.id, iou || "no prediction"].join(", ");
  button.dataset.position = position;
  return make("li", "", button);
}

function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
  const first = page * PER_PAGE;
  find("grid").replaceChildren(...shown.slice(first, first + PER_PAGE).map((row, i) => card(row, first + i)));
  find("count").textContent = `${shown.length} of ${rows.length} images`;
  find("page").textContent = `${page + 1} of ${pages}`;
  find("back").disabled = page === 0;
  find("forward").disabled = page === pages - 1;
  find("nothing").hidden = shown.length > 0;
}

function turn(by) {
  page += by;
  draw();
  scrollTo(0, 0);
}

/** Moves the focus to an image's card, on whichever page it lies. */
function focusCard(position) {
  const wanted = Math.min(Math.max(position, 0), shown.length - 1);
  if (wanted < 0) return;
  if (Math.floor(wanted / PER_PAGE) !== page) {
    page = Math.floor(wanted / PER_PAGE);
    draw();
  }
  find("grid").querySelector(`[data-position="${wanted}"]`).focus();
}

function columns() {
  return getComputedStyle(find("grid")).gridTemplateColumns.split(" ").length;
}

function gridKey(event) {
  const focused = document.activeElement.closest(".card");
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  if (focused) Object.assign(steps, { ArrowUp: -columns(), ArrowDown: columns() }); // elsewhere they scroll
  if (!(event.key in steps)) return;
  event.preventDefault();
  focusCard(focused ? Number(focused.dataset.position) + steps[event.key] : page * PER_PAGE);
}

// One image

function open(position) {
  current = position;
  const row = shown[position];
  picture(find("corrupted"), row.image, row.size);
  picture(find("clean"), row.clean.image, row.size);
  find("stage").style.aspectRatio = `${row.size[0]} / ${row.size[1]}`;
  find("overlay").replaceChildren(overlay(row));
  find("heading").textContent = `${row.recipe} · ${row.pool} · ${row.backbone}`;
  find("prompt").textContent = row.clean.prompt;
  find("remark").textContent = row.found ? "" : "No detector of this run was trained on this set.";
  const facts = [
    ...content.measures.map((measure, i) => [measure.label, amount(row.values[i], measure)]),
    ["Image", row.clean.id],
    ["Source", row.clean.source],
  ];
  find("facts").replaceChildren(...facts.flatMap(([term, text]) => [make("dt", "", term), make("dd", "", text)]));
  find("position").textContent = `${position + 1} of ${shown.length}`;
  find("previous").disabled = position === 0;
  find("next").disabled = position === shown.length - 1;
  if (!detail.open) {
    detail.showModal();
    find("stage").focus();
  }
}

function go(by) {
  if (shown[current + by]) open(current + by);
}

function slide(value) {
  const slider = find("slider");
  slider.value = value;
  slider.ariaValueText = `${slider.value} % clean`;
  find("clean").style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
  find("divider").style.left = `${slider.value}%`;
}

function drag(event) {
  if (event.buttons !== 1) return;
  const box = find("stage").getBoundingClientRect();
  slide((100 * (event.clientX - box.left)) / box.width);
}

function detailKey(event) {
  const slider = find("slider");
  if (event.key === "c") return slide(slider.valueAsNumber > 50 ? 0 : 100);
  if (document.activeElement === slider) return; // it moves by itself
  const actions = {
    ArrowLeft: () => go(-1),
    ArrowRight: () => go(1),
    ArrowUp: () => slide(slider.valueAsNumber + STEP),
    ArrowDown: () => slide(slider.valueAsNumber - STEP),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

// What starts it all

const distinct = (name) => [...new Set(rows.map((row) => row[name]))].sort();
const measured = content.measures.map((measure, i) => [measure.unit ? `${measure.label} in ${measure.unit}` : measure.label, i]);
const choices = {
  recipe: [["all", ""], ...distinct("recipe").map((name) => [name, name])],
  pool: [["all", ""], ...distinct("pool").map((name) => [name, name])],
  backbone: [["all", ""], ...distinct("backbone").map((name) => [name, name])],
  strength: measured.slice(1),
  sort: [["recipe", "recipe"], ["set", "pool"], ["backbone", "backbone"], ...measured],
};
for (const [name, options] of Object.entries(choices)) {
  fields[name].append(...options.map(([text, value]) => new Option(text, value)));
}

// A number counts as it is typed; its `change` comes too late, when a click has already begun on a card.
controls.addEventListener("input", (event) => event.target.matches("input") && select());
controls.addEventListener("change", (event) => event.target.matches("select") && select());
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("reset", () => setTimeout(select)); // the fields are reset after this event
find("grid").addEventListener("click", (event) => {
  const chosen = event.target.closest(".card");
  if (chosen) open(Number(chosen.dataset.position));
});
find("back").addEventListener("click", () => turn(-1));
find("forward").addEventListener("click", () => turn(1));
find("previous").addEventListener("click", () => go(-1));
find("next").addEventListener("click", () => go(1));
find("close").addEventListener("click", () => detail.close());
find("slider").addEventListener("input", (event) => slide(event.target.value));
find("stage").addEventListener("pointerdown", (event) => {
  find("stage").setPointerCapture(event.pointerId);
  drag(event);
});
find("stage").addEventListener("pointermove", drag);
detail.addEventListener("click", (event) => event.target === detail && detail.close()); // on what is behind it
detail.addEventListener("close", () => focusCard(current));
for (const button of document.querySelectorAll("[data-layer]")) {
  button.addEventListener("click", () => toggle(button.dataset.layer));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=number]")) return;
  if (KEYS[event.key]) toggle(KEYS[event.key]);
  else if (detail.open) detailKey(event);
  else gridKey(event);
});

slide(50);
select();
