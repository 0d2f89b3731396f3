"use strict";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// What the server says, for a moment and for screen readers.
let telling = 0;
function tell(text) {
  const place = $("#told");
  place.textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { place.textContent = ""; }, 6000);
}

async function post(url, body) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Gog-Token": $("meta[name=gog-token]").content },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("not saved: the server does not answer; is `gog view` still running?");
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(`not saved: ${text.trim().slice(0, 300)}`);
  return text;
}

/* Who reviews. */

const nameDialog = $("#name");
$("#who").addEventListener("click", () => nameDialog.showModal());
$("[data-close]", nameDialog).addEventListener("click", () => nameDialog.close());
$("#name-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await post("/reviewer", { name: $("#name-field").value });
    location.reload();
  } catch (error) {
    nameDialog.close();
    tell(error.message);
  }
});
const help = $("#help");
$("#help-open").addEventListener("click", () => help.showModal());

/* The list: filters apply when they are chosen. */

const filter = $("#filter");
if (filter) {
  const facets = $(".facets", filter);
  facets.open = matchMedia("(min-width: 901px)").matches;
  filter.addEventListener("change", (event) => { if (event.target.matches("select")) filter.requestSubmit(); });
  filter.addEventListener("submit", () => {
    // Empty choices stay out of the address.
    for (const field of $$("select, input", filter)) field.disabled = field.value === "";
  });
  addEventListener("pageshow", () => { for (const field of $$("select, input", filter)) field.disabled = false; });
}

function walk(step) {
  const links = $$(".rows .open");
  const at = links.indexOf(document.activeElement);
  const link = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (link) link.focus();
  else $(step > 0 ? ".pages [rel=next]" : ".pages [rel=prev]")?.focus();
}

/* The image: regions on demand; boxes and turns light each other up. */

for (const box of $$(".show-regions")) {
  const scene = box.closest(".legend").previousElementSibling;
  box.addEventListener("change", () => scene.classList.toggle("with-regions", box.checked));
}
function light(place, turn) {
  for (const gaze of $$(".scene .gaze", place)) {
    gaze.classList.toggle("lit", turn !== null && gaze.dataset.turn === turn);
    gaze.classList.toggle("dimmed", turn !== null && gaze.dataset.turn !== turn);
  }
}
for (const place of $$(".columns, .side")) {
  const gazes = new Set($$(".gaze", place).map((gaze) => gaze.dataset.turn));
  for (const item of $$(".turn, .legend [data-turn]", place)) {
    if (!gazes.has(item.dataset.turn)) continue;
    for (const on of ["mouseenter", "focusin"]) item.addEventListener(on, () => light(place, item.dataset.turn));
    for (const off of ["mouseleave", "focusout"]) item.addEventListener(off, () => light(place, null));
  }
}

/* Review of a trajectory. */

const review = $("#review");
const scene = $("#scene");
const SVG = "http://www.w3.org/2000/svg";
const SIDES = ["left", "top", "right", "bottom"];
let editing = null; // { turn, box, before } while a box is being corrected

function rect(box, kind) {
  const [width, height] = size();
  const made = document.createElementNS(SVG, "rect");
  if (kind) made.setAttribute("class", kind);
  made.setAttribute("x", box[0] * width);
  made.setAttribute("y", box[1] * height);
  made.setAttribute("width", (box[2] - box[0]) * width);
  made.setAttribute("height", (box[3] - box[1]) * height);
  return made;
}
function size() {
  const { width, height } = $("svg", scene).dataset;
  return [Number(width), Number(height)];
}
function gazeOf(turn) {
  return $$(".gaze", scene).find((gaze) => gaze.dataset.turn === turn);
}
function boxOf(gaze) {
  const [width, height] = size();
  const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number($("rect", gaze).getAttribute(name)));
  return [x / width, y / height, Math.min(1, (x + w) / width), Math.min(1, (y + h) / height)];
}
function corrected() {
  return new Map($$(".boxes [data-turn]", review).map((item) => [item.dataset.turn, item.dataset.box.split(" ").map(Number)]));
}
function draw() {
  const boxes = corrected();
  if (editing?.box) boxes.set(editing.turn, editing.box);
  const drawn = [...boxes].map(([turn, box]) => {
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", [...gazeOf(turn)?.classList ?? []].filter((name) => /^g\d$/.test(name)).join(" "));
    group.append(rect(box, "under"), rect(box));
    return group;
  });
  $(".corrections", scene).replaceChildren(...drawn);
}

let saving = Promise.resolve();
function save(change, done) {
  // One after the other, so that the last one shown is the last one kept.
  saving = saving.then(async () => {
    const comment = $("#comment").value;
    const typed = comment !== $("#comment").defaultValue;
    try {
      const html = await post(review.dataset.url, typed ? { comment, ...change } : change);
      const [field, at] = [document.activeElement?.id, $("#comment").value];
      review.innerHTML = html;
      if (at !== comment) $("#comment").value = at; // typed on while it was being saved
      if (field && review.contains($(`#${field}`))) $(`#${field}`).focus();
      prepareReview();
      draw();
      tell(done);
      return true;
    } catch (error) {
      tell(error.message);
      return false;
    }
  });
  return saving;
}
async function decide(decision) {
  const words = { accept: "Accepted", reject: "Rejected" }[decision] ?? "Not decided any more";
  if (await save({ decision }, words) && decision && $("#go-on").checked) $("#next")?.click();
}
function prepareReview() {
  const goOn = $("#go-on");
  goOn.checked = localStorage.getItem("go-on") === "yes";
  goOn.addEventListener("change", () => localStorage.setItem("go-on", goOn.checked ? "yes" : "no"));
  for (const button of $$("[data-decision]", review)) {
    button.addEventListener("click", () => decide(button.getAttribute("aria-pressed") === "true" ? null : button.dataset.decision));
  }
  for (const button of $$("[data-undo]", review)) {
    button.addEventListener("click", () => save({ boxes: { [button.dataset.undo]: null } }, "The box is as the teacher had it"));
  }
  $("#save-comment").addEventListener("click", () => save({ comment: $("#comment").value }, "Comment saved"));
  $("#comment").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save({ comment: $("#comment").value }, "Comment saved");
    if (event.key === "Escape") event.target.blur();
  });
  $("#correct").hidden = $$(".gaze", scene).length === 0;
  $("#correct").addEventListener("click", nextBox);
}

/* Correcting a box: drag, type or use the arrow keys. */

const MIN = 0.004;
const clamp = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));

function nextBox() {
  const turns = $$(".gaze", scene).map((gaze) => gaze.dataset.turn);
  if (!turns.length) return tell("There is no box to correct: nothing was gazed at");
  edit(turns[(turns.indexOf(editing?.turn) + 1) % turns.length]);
}
function edit(turn) {
  const gaze = gazeOf(turn);
  editing = { turn, box: corrected().get(turn) ?? boxOf(gaze), before: boxOf(gaze) };
  scene.classList.add("editing");
  $("#edit").hidden = false;
  $("#edit-number").textContent = $("text", gaze).textContent;
  light(document, turn);
  fill();
  draw();
  scene.scrollIntoView({ block: "nearest" });
  $("#edit-left").focus({ preventScroll: true });
}
function fill() {
  SIDES.forEach((side, at) => { $(`#edit-${side}`).value = Math.round(editing.box[at] * 1000); });
}
function stopEditing() {
  editing = null;
  scene.classList.remove("editing");
  $("#edit").hidden = true;
  light(document, null);
  draw();
  $("#correct").focus({ preventScroll: true });
}
function keepBox() {
  const { turn, box, before } = editing;
  if (!(box[2] - box[0] >= MIN && box[3] - box[1] >= MIN)) return tell("The box needs some width and height");
  stopEditing();
  const same = box.every((value, at) => Math.abs(value - before[at]) < 0.0005);
  save({ boxes: { [turn]: same ? null : box } }, same ? "The box is as the teacher had it" : "Box corrected");
}
function nudge(event) {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!step) return false;
  const [dx, dy] = step.map((value) => value * 0.005);
  const [x1, y1, x2, y2] = editing.box;
  if (event.shiftKey) {
    editing.box = [x1, y1, clamp(x2 + dx, x1 + MIN), clamp(y2 + dy, y1 + MIN)];
  } else {
    const [mx, my] = [clamp(dx, -x1, 1 - x2), clamp(dy, -y1, 1 - y2)];
    editing.box = [x1 + mx, y1 + my, x2 + mx, y2 + my];
  }
  fill();
  draw();
  return true;
}

if (review) {
  prepareReview();
  draw();
  const svg = $("svg", scene);
  const at = (event) => {
    const frame = svg.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width), clamp((event.clientY - frame.top) / frame.height)];
  };
  let from = null;
  svg.addEventListener("pointerdown", (event) => {
    if (!editing || event.button) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    from = at(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!editing || !from) return;
    const to = at(event);
    const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
    if (box[2] - box[0] < MIN || box[3] - box[1] < MIN) return;
    editing.box = box;
    fill();
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => { from = null; });
  $("#edit").addEventListener("submit", (event) => { event.preventDefault(); keepBox(); });
  $("#edit-cancel").addEventListener("click", stopEditing);
  $("#edit-undo").addEventListener("click", () => { editing.box = editing.before; fill(); draw(); });
  SIDES.forEach((side, number) => $(`#edit-${side}`).addEventListener("input", (event) => {
    if (!event.target.validity.valid) return;
    editing.box = editing.box.with(number, event.target.valueAsNumber / 1000);
    if (editing.box[2] > editing.box[0] && editing.box[3] > editing.box[1]) draw();
  }));
  addEventListener("beforeunload", (event) => {
    if ($("#comment").value !== $("#comment").defaultValue) event.preventDefault();
  });
}

/* An audit: a word on a verdict, then the next one. */

const audit = $("#audit");
async function say(button) {
  if (audit.ariaBusy) return;
  audit.ariaBusy = "true";
  try {
    await post(audit.dataset.url, { word: button.dataset.word });
    location.assign(audit.dataset.next);
  } catch (error) {
    audit.ariaBusy = null;
    tell(error.message);
  }
}
for (const button of audit ? $$("[data-word]", audit) : []) button.addEventListener("click", () => say(button));

/* Keys. */

const AUDIT_KEYS = {
  r: () => say($("[data-word=right]", audit)),
  w: () => say($("[data-word=wrong]", audit)),
  s: () => say($("[data-word=skip]", audit)),
  b: () => $("#previous")?.click(),
};
const KEYS = {
  "/": () => ($("#q") ? $("#q").select() : $("#back")?.click()),
  "?": () => help.showModal(),
  j: () => ($("#next") ? $("#next").click() : filter ? walk(1) : review && tell("This is the last one")),
  k: () => ($("#previous") ? $("#previous").click() : filter ? walk(-1) : review && tell("This is the first one")),
  l: () => $("#back")?.click(),
  s: () => $("#seed")?.click(),
  a: () => review && decide("accept"),
  r: () => review && decide("reject"),
  u: () => review && decide(null),
  e: () => review && nextBox(),
  c: () => $("#comment")?.focus(),
  ...(audit ? AUDIT_KEYS : {}),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("dialog[open]")) return;
  if (editing) {
    if (event.key === "Escape") return event.preventDefault(), stopEditing();
    if (event.key === "Enter" && !event.target.matches("button")) return event.preventDefault(), keepBox();
    if (event.target.matches("input")) {
      // In a field, arrows count up and down and letters do nothing; `e` goes on to the next box.
      if (event.key === "e") return event.preventDefault(), nextBox();
      if (!(event.key.startsWith("Arrow"))) return;
    }
    if (nudge(event)) return event.preventDefault();
  }
  if (event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = KEYS[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
