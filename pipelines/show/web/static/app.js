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
$("button#who")?.addEventListener("click", () => nameDialog.showModal());
$("[data-close]", nameDialog ?? document)?.addEventListener("click", () => nameDialog.close());
$("#name-form")?.addEventListener("submit", async (event) => {
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

/* Filters that are kept under a name. */

async function keep(url, body, words) {
  try {
    await post(url, body);
    sessionStorage.setItem("told", words);
    location.reload();
  } catch (error) {
    tell(error.message);
  }
}
$("#save")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const [{ url, query }, name] = [event.target.dataset, $("#save-name").value];
  keep(url, { name, query }, "Filter saved");
});
$("#saved")?.addEventListener("click", (event) => {
  const button = event.target.closest(".remove");
  if (button) keep($("#saved").dataset.url, { name: button.dataset.name }, "Filter removed");
});

function walk(step) {
  const links = $$(".rows .open");
  const at = links.indexOf(document.activeElement);
  const link = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  if (link) link.focus();
  else $(step > 0 ? ".pages [rel=next]" : ".pages [rel=prev]")?.focus();
}

/* The image: regions on demand; boxes and turns light each other up. */

document.addEventListener("change", (event) => {
  if (event.target.matches(".show-regions")) {
    event.target.closest(".legend").previousElementSibling.classList.toggle("with-regions", event.target.checked);
  }
});
function light(place, turn) {
  for (const gaze of $$(".scene .gaze", place)) {
    gaze.classList.toggle("lit", turn !== null && gaze.dataset.turn === turn);
    gaze.classList.toggle("dimmed", turn !== null && gaze.dataset.turn !== turn);
  }
}
function lightUp() {
  for (const place of $$(".columns, .side")) {
    const gazes = new Set($$(".gaze", place).map((gaze) => gaze.dataset.turn));
    for (const item of $$(".turn, .legend [data-turn]", place)) {
      if (!gazes.has(item.dataset.turn)) continue;
      for (const on of ["mouseenter", "focusin"]) item.addEventListener(on, () => light(place, item.dataset.turn));
      for (const off of ["mouseleave", "focusout"]) item.addEventListener(off, () => light(place, null));
    }
  }
  reachable();
}
// What is too long for its place scrolls, with keys too. All are measured before any is changed.
function reachable() {
  const places = $$(".clip, .scroll, pre").filter((place) => place.checkVisibility());
  const long = places.map((place) => place.scrollHeight > place.clientHeight + 1 || place.scrollWidth > place.clientWidth + 1);
  places.forEach((place, at) => { if (long[at]) place.tabIndex = 0; else place.removeAttribute("tabindex"); });
}
lightUp();
addEventListener("resize", lightUp);
addEventListener("toggle", lightUp, true);

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

/* Accepting in bulk. */

const bulk = $("#bulk");
async function changeAll(body) {
  try {
    const { changed } = JSON.parse(await post(bulk.dataset.url, body));
    sessionStorage.setItem("told", `${changed.toLocaleString("en")} changed`);
    location.reload();
  } catch (error) {
    tell(error.message);
  }
}
$(".accept-all", bulk ?? document)?.addEventListener("click", () => changeAll({ most: Number(bulk.dataset.most) }));
$(".take-back", bulk ?? document)?.addEventListener("click", () => changeAll({ take_back: true }));
if (sessionStorage.getItem("told")) {
  tell(sessionStorage.getItem("told"));
  sessionStorage.removeItem("told");
}

/* Keys. A page's own script may take one first: then it says true. */

const takers = [];
const AUDIT_KEYS = {
  r: () => say($("[data-word=right]", audit)),
  w: () => say($("[data-word=wrong]", audit)),
  s: () => say($("[data-word=skip]", audit)),
  b: () => $("#previous")?.click(),
};
const KEYS = {
  "/": () => ($("#q") ? $("#q").select() : $("#back")?.click()),
  "?": () => help.showModal(),
  j: () => ($("#next") ? $("#next").click() : filter ? walk(1) : tell("This is the last one")),
  k: () => ($("#previous") ? $("#previous").click() : filter ? walk(-1) : tell("This is the first one")),
  l: () => $("#back")?.click(),
  o: () => $("#seed")?.click(),
  q: () => $("#queue")?.click(),
  ...(audit ? AUDIT_KEYS : {}),
};
const inField = (event) => event.target.matches("input:not([type=checkbox], [type=radio]), textarea, select");
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("dialog[open]")) return;
  if (takers.some((take) => take(event))) return event.preventDefault();
  if (inField(event)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = KEYS[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});
