"use strict";

/* Review of a trajectory: decide and go on, without loading the page anew. Each side of a comparison has a panel. */

const SVG = "http://www.w3.org/2000/svg";
const SIDES = ["left", "top", "right", "bottom"];
const panel = () => $("#review");
const scene = () => $("#scene");
let editing = null; // { turn, box, before } while a box is being corrected

/* Saving: one after the other, so that the last one shown is the last one kept. */

let saving = Promise.resolve();
function save(place, change, done) {
  saving = saving.then(async () => {
    const field = $(".comment", place);
    const comment = field.value;
    const typed = comment !== field.defaultValue;
    try {
      const html = await post(place.dataset.url, typed ? { comment, ...change } : change);
      const [focused, at] = [document.activeElement, field.value];
      const kept = place.contains(focused) ? ["comment", "correct", "note"].find((name) => focused.classList.contains(name)) : null;
      place.innerHTML = html;
      if (at !== comment) $(".comment", place).value = at; // typed on while it was being saved
      if (kept) $(`.${kept}`, place)?.focus();
      prepare();
      tell(done);
      return true;
    } catch (error) {
      tell(error.message);
      return false;
    }
  });
  return saving;
}

/* Deciding. */

const pressed = (place, kind) => $(`[data-${kind}][aria-pressed=true]`, place)?.dataset[kind] ?? null;
const WORDS = { accept: "Accepted", reject: "Rejected" };

// Decisions are taken one after the other; one on what is not shown any more is none.
let turn = Promise.resolve();
function inTurn(action) {
  turn = turn.then(action).catch((error) => tell(error.message));
  return turn;
}
const decide = (place, decision, why = null) => inTurn(() => place.isConnected && decideNow(place, decision, why));

async function decideNow(place, decision, why) {
  const before = { decision: pressed(place, "decision"), why: pressed(place, "why") };
  const alone = place === panel();
  const next = alone && decision && $(".go-on", place).checked && $("#next")?.href;
  const page = location.href;
  const saved = save(place, why ? { decision, why } : { decision }, WORDS[decision] ?? "Not decided any more");
  // The next one is shown while this is being saved; where that fails, this one comes back.
  const goBack = next && ahead?.url === next && ahead.found ? show(ahead.found) : null;
  if (!await saved) return goBack?.();
  if (alone && decision) remember({ page, url: place.dataset.url, before });
  if (next && !goBack) await go(next);
  if (next) $(".progress", panel()).innerHTML = $(".progress", place).innerHTML;
}
function askWhy(place) {
  const why = $(".why", place);
  why.hidden = false;
  why.classList.add("asked");
  prepare();
  tell(matchMedia("(max-width: 900px)").matches ? "Why?" : "Why? 1 to 6; Enter gives no reason");
}
const asked = (place) => place && $(".why.asked", place);
function forget(place) {
  tell("");
  $(".why", place).classList.remove("asked");
  $(".why", place).hidden = pressed(place, "decision") !== "reject";
}

/* Undo: of this browser's decisions, the last first. */

function decisions() {
  return JSON.parse(sessionStorage.getItem("decisions") ?? "[]");
}
function remember(decision) {
  sessionStorage.setItem("decisions", JSON.stringify([...decisions(), decision].slice(-200)));
}
const undo = () => inTurn(async () => {
  const all = decisions();
  const last = all.pop();
  if (!last) return pressed(panel(), "decision") ? decideNow(panel(), null, null) : tell("There is nothing to undo");
  const { decision, why } = last.before;
  await post(last.url, why ? { decision, why } : { decision });
  sessionStorage.setItem("decisions", JSON.stringify(all));
  await go(last.page);
  tell("Undone");
});

/* The next trajectory is fetched while this one is being looked at. */

let ahead = null; // { url, page }
async function read(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // Loaded and decoded before it is shown; in a page that is not shown, nothing loads.
  const pictures = $$("#scene img", page).map((drawn) => document.importNode(drawn));
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
  return { page, url: answer.url, pictures };
}
function lookAhead() {
  const url = $("#next")?.href;
  const found = url ? { url, read: read(url), found: null } : null;
  ahead = found;
  found?.read.then((page) => { found.found = page; }).catch(() => {});
}
async function go(url) {
  let found;
  try {
    found = await (ahead?.url === url ? ahead.read : read(url));
  } catch {
    return location.assign(url);
  }
  show(found);
}
const PARTS = ["main", ".crumbs", ".step"];
// Shows a page that was read; returns what brings back the one before.
function show({ page, url, pictures }) {
  // What stands at the end of a list is no trajectory.
  if (!$("#review", page)) return location.assign(url);
  const [title, address, parts] = [document.title, location.href, PARTS.map((name) => $(name))];
  const next = PARTS.map((name) => document.adoptNode($(name, page)));
  $$("#scene img", next[0]).forEach((drawn, at) => drawn.replaceWith(pictures[at]));
  put(page.title, url, next);
  return () => {
    const words = $("#told").textContent;
    put(title, address, parts);
    tell(words);
  };
}
function put(title, url, parts) {
  document.title = title;
  history.pushState(null, "", url);
  editing = null;
  tell("");
  PARTS.forEach((name, at) => $(name).replaceWith(parts[at]));
  scrollTo(0, 0);
  lightUp();
  prepare();
  lookAhead();
  $("main").focus({ preventScroll: true });
}
addEventListener("popstate", () => location.reload());

/* Boxes on the images of the question, each on its own. */

function rect(box, svg, kind) {
  const [width, height] = size(svg);
  const made = document.createElementNS(SVG, "rect");
  if (kind) made.setAttribute("class", kind);
  made.setAttribute("x", box[0] * width);
  made.setAttribute("y", box[1] * height);
  made.setAttribute("width", (box[2] - box[0]) * width);
  made.setAttribute("height", (box[3] - box[1]) * height);
  return made;
}
function size(svg) {
  const { width, height } = svg.dataset;
  return [Number(width), Number(height)];
}
function gazeOf(turn) {
  return $$(".gaze", scene()).find((gaze) => gaze.dataset.turn === turn);
}
function boxOf(gaze) {
  const [width, height] = size(gaze.ownerSVGElement);
  const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number($("rect", gaze).getAttribute(name)));
  return [x / width, y / height, Math.min(1, (x + w) / width), Math.min(1, (y + h) / height)];
}
function corrected() {
  return new Map($$(".corrected [data-turn]", panel()).map((item) => [item.dataset.turn, item.dataset.box.split(" ").map(Number)]));
}
function draw() {
  if (!scene()) return;
  const boxes = corrected();
  if (editing?.box) boxes.set(editing.turn, editing.box);
  for (const place of $$(".corrections", scene())) place.replaceChildren();
  for (const [turn, box] of boxes) {
    const gaze = gazeOf(turn);
    if (!gaze) continue;
    const svg = gaze.ownerSVGElement;
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", [...gaze.classList].filter((name) => /^g\d$/.test(name)).join(" "));
    group.append(rect(box, svg, "under"), rect(box, svg));
    $(".corrections", svg).append(group);
  }
}

/* Correcting a box: drag, type or use the arrow keys. */

const MIN = 0.004;
const clamp = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));

function nextBox() {
  const turns = $$(".gaze", scene()).map((gaze) => gaze.dataset.turn);
  if (!turns.length) return tell("There is no box to correct: nothing was gazed at");
  const turn = turns[(turns.indexOf(editing?.turn) + 1) % turns.length];
  const gaze = gazeOf(turn);
  editing = { turn, box: corrected().get(turn) ?? boxOf(gaze), before: boxOf(gaze), from: null };
  const image = gaze.closest(".scene");
  $(".editing")?.classList.remove("editing");
  image.classList.add("editing");
  $("#edit").hidden = false;
  $("#edit-number").textContent = $("text", gaze).textContent + (image.dataset.image ? ` on image ${image.dataset.image}` : "");
  light(document, turn);
  fill();
  draw();
  image.scrollIntoView({ block: "nearest" });
  $("#edit-left").focus({ preventScroll: true });
}
function fill() {
  SIDES.forEach((side, at) => { $(`#edit-${side}`).value = Math.round(editing.box[at] * 1000); });
}
function stopEditing() {
  editing = null;
  $(".editing").classList.remove("editing");
  $("#edit").hidden = true;
  light(document, null);
  draw();
  $(".correct", panel()).focus({ preventScroll: true });
}
function keepBox() {
  const { turn, box, before } = editing;
  if (!(box[2] - box[0] >= MIN && box[3] - box[1] >= MIN)) return tell("The box needs some width and height");
  stopEditing();
  const same = box.every((value, at) => Math.abs(value - before[at]) < 0.0005);
  save(panel(), { boxes: { [turn]: same ? null : box } }, same ? "The box is as the teacher had it" : "Box corrected");
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
const at = (event) => {
  const frame = $(".editing svg").getBoundingClientRect();
  return [clamp((event.clientX - frame.left) / frame.width), clamp((event.clientY - frame.top) / frame.height)];
};
document.addEventListener("pointerdown", (event) => {
  if (!editing || event.button || !event.target.closest(".editing svg")) return;
  event.preventDefault();
  $(".editing svg").setPointerCapture(event.pointerId);
  editing.from = at(event);
});
document.addEventListener("pointermove", (event) => {
  if (!editing?.from) return;
  const [from, to] = [editing.from, at(event)];
  const box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
  if (box[2] - box[0] < MIN || box[3] - box[1] < MIN) return;
  editing.box = box;
  fill();
  draw();
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { if (editing) editing.from = null; });

/* Writing: an answer, a comment. */

function unfold(form, field) {
  form.hidden = false;
  prepare();
  reachable();
  $(field, form).focus();
}
function keepAnswer(place) {
  save(place, { answer: $(".answer-field", place).value }, "Answer corrected");
}
function keepComment(place) {
  save(place, { comment: $(".comment", place).value }, "Comment saved");
}

/* What is clicked and sent; the panel comes anew with each answer of the server, so nothing hangs on its parts. */

const CLICKS = {
  ".skip-one": () => $("#next")?.click(),
  ".correct": () => nextBox(),
  ".write": (place) => unfold($(".answering", place), ".answer-field"),
  ".note": (place) => unfold($(".noting", place), ".comment"),
  ".undo": () => undo(),
  "[data-undo]": (place, button) => save(place, { boxes: { [button.dataset.undo]: null } }, "The box is as the teacher had it"),
  "[data-undo-answer]": (place) => save(place, { answer: null }, "The answer is as the model gave it"),
  "[data-why]": (place, button) => decide(place, "reject", button.dataset.why),
  "[data-decision]": (place, button) => {
    if (button.getAttribute("aria-pressed") === "true") return decide(place, null);
    return button.dataset.decision === "reject" && !asked(place) ? askWhy(place) : decide(place, button.dataset.decision);
  },
};
document.addEventListener("click", (event) => {
  const place = event.target.closest(".panel");
  for (const [selector, action] of place ? Object.entries(CLICKS) : []) {
    const button = event.target.closest(selector);
    if (button) return action(place, button);
  }
  const next = event.target.closest("#next");
  if (next && panel() && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    inTurn(() => go(next.href));
  }
  if (event.target.matches("#edit-cancel")) stopEditing();
  if (event.target.matches("#edit-undo")) editing.box = editing.before, fill(), draw();
});
document.addEventListener("submit", (event) => {
  const place = event.target.closest(".panel");
  if (!place && event.target.id !== "edit") return;
  event.preventDefault();
  if (event.target.id === "edit") keepBox();
  else if (event.target.matches(".answering")) keepAnswer(place);
  else keepComment(place);
});
document.addEventListener("input", (event) => {
  const side = SIDES.findIndex((name) => event.target.id === `edit-${name}`);
  if (side < 0 || !event.target.validity.valid) return;
  editing.box = editing.box.with(side, event.target.valueAsNumber / 1000);
  if (editing.box[2] > editing.box[0] && editing.box[3] > editing.box[1]) draw();
});
document.addEventListener("change", (event) => {
  if (event.target.matches(".go-on")) localStorage.setItem("go-on", event.target.checked ? "yes" : "no");
});
addEventListener("beforeunload", (event) => {
  if ($$(".comment").some((field) => field.value !== field.defaultValue)) event.preventDefault();
});

function prepare() {
  for (const box of $$(".go-on")) box.checked = localStorage.getItem("go-on") !== "no";
  for (const place of $$(".panel")) $(".correct", place).hidden = !scene() || $$(".gaze", scene()).length === 0;
  if (panel()) draw();
}

/* Keys of the panel. */

const REVIEW_KEYS = {
  a: () => decide(panel(), "accept"),
  r: () => askWhy(panel()),
  s: () => $("#next") ? $("#next").click() : tell("This is the last one"),
  u: () => undo(),
  e: () => nextBox(),
  w: () => $(".write", panel())?.click(),
  c: () => $(".note", panel()).click(),
};
takers.push((event) => {
  const place = panel();
  if (!place) return false;
  if (event.repeat && !editing && !inField(event)) return true; // nobody decides with a key held down
  if (editing) {
    if (event.key === "Escape") return stopEditing(), true;
    if (event.key === "Enter" && !event.target.matches("button")) return keepBox(), true;
    if (event.target.matches("input")) {
      // In a field, arrows count up and down and letters do nothing; `e` goes on to the next box.
      if (event.key === "e") return nextBox(), true;
      if (!event.key.startsWith("Arrow")) return false;
    }
    if (nudge(event)) return true;
  }
  if (inField(event)) {
    if (event.key === "Escape" && event.target.matches(".answer-field")) $(".answering", place).hidden = true;
    return false;
  }
  if (asked(place)) {
    const button = $$("[data-why]", place)[Number(event.key) - 1];
    if (button) return forget(place), decide(place, "reject", button.dataset.why), true;
    if (event.key === "Enter") return forget(place), decide(place, "reject"), true;
    if (event.key === "Escape") return forget(place), true;
  }
  const action = REVIEW_KEYS[event.key];
  if (!action) return false;
  if (event.key !== "r" && asked(place)) forget(place);
  action();
  return true;
});
// In a comment, Ctrl and Enter save.
addEventListener("keydown", (event) => {
  const place = event.target.closest?.(".panel");
  if (place && event.target.matches(".comment") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) keepComment(place);
});

prepare();
if (panel()) lookAhead();
