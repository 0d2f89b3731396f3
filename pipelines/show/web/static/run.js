"use strict";

/* A live run's page keeps up with it: what changed is changed, what is there stays, with its focus and its place. */

const EVERY_MS = 4000;
const PATIENCE_MS = 60000;
const live = $("#live");

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined);

function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // What a person opened stays open, and what scrolls stays in the order of the keys.
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "tabindex") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const keyed = new Map([...old.children].filter((child) => keyOf(child) !== undefined).map((child) => [keyOf(child), child]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = keyOf(child) === undefined ? undefined : keyed.get(keyOf(child));
    if (same && same !== at) old.insertBefore(same, at);
    else if (!same && (!at || keyOf(at) !== undefined)) {
      old.insertBefore(child, at);
      continue;
    }
    const here = same ?? at;
    at = here.nextSibling;
    renew(here, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const isLive = () => $("[data-live]", live)?.dataset.live === "yes";

// What has to stay where it is on the screen: what has the focus, where that can be seen, else what stands on top.
const TOP = 64;
function anchor(focused) {
  const { top, bottom } = focused.getBoundingClientRect();
  if (live.contains(focused) && top >= 0 && bottom <= innerHeight) return focused;
  return scrollY > 0 ? document.elementFromPoint(innerWidth / 2, TOP)?.closest("#live [data-key]") : null;
}

async function look() {
  const answer = await fetch(live.dataset.url);
  if (!answer.ok) throw new Error(`${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = $(".summed", page);
  if (!fresh) throw new Error("no such part");
  const focused = document.activeElement;
  const steady = anchor(focused);
  const before = steady?.getBoundingClientRect().top;
  renew($(".summed", live), document.adoptNode(fresh));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  if (steady?.isConnected) scrollBy({ top: steady.getBoundingClientRect().top - before, behavior: "instant" });
  dispatchEvent(new Event("resize")); // what is too long for its place scrolls, with keys too
  if (!isLive()) tell("The run has ended");
}

let pause = EVERY_MS;
let waiting = 0;
function later() {
  clearTimeout(waiting);
  if (isLive() && !document.hidden) waiting = setTimeout(keepUp, pause);
}
async function keepUp() {
  try {
    await look();
    pause = EVERY_MS;
  } catch {
    pause = Math.min(2 * pause, PATIENCE_MS);
    if (pause >= 8 * EVERY_MS) tell("gog view does not answer; this page asks again");
  }
  later();
}
if (live) {
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(waiting) : isLive() && keepUp()));
  later();
}
