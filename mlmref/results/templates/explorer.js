"use strict";
(() => {
  const explorer = document.getElementById("explorer");
  const panel = document.getElementById("answers");
  if (!explorer || !panel) return;
  const chunks = [...explorer.querySelectorAll(".chunk")];
  let shown = null, pinned = false, timer = 0, pointer = "";

  function show(target, pin) {
    clearTimeout(timer);
    if (shown && shown !== target) shown.setAttribute("aria-expanded", "false");
    shown = target;
    pinned = pin;
    target.setAttribute("aria-expanded", "true");
    const row = document.getElementById(target.dataset.row);
    for (const part of panel.querySelectorAll("[data-part]")) {
      const cell = row.querySelector("." + part.dataset.part);
      part.replaceChildren(...[...cell.childNodes].map(node => node.cloneNode(true)));
    }
    panel.hidden = false;
    const at = target.getBoundingClientRect(), own = panel.getBoundingClientRect();
    const left = Math.min(at.left, document.documentElement.clientWidth - own.width - 8);
    const below = at.bottom + 6 + own.height <= innerHeight || at.top < own.height + 6;
    panel.style.left = Math.max(8, left) + scrollX + "px";
    panel.style.top = (below ? at.bottom + 6 : at.top - own.height - 6) + scrollY + "px";
  }

  function hide() {
    clearTimeout(timer);
    if (shown) shown.setAttribute("aria-expanded", "false");
    shown = null;
    pinned = false;
    panel.hidden = true;
  }

  function later() {
    clearTimeout(timer);
    if (!pinned) timer = setTimeout(hide, 250);
  }

  function toggle(target) {
    if (shown === target && pinned) hide();
    else show(target, true);
  }

  const targetOf = event => event.target.closest(".target");

  // A page that scrolls under a pointer at rest has events of it too, which nobody meant.
  const placeOf = event => event.screenX + " " + event.screenY;
  const moved = event => event.pointerType === "mouse" && placeOf(event) !== pointer;

  for (const chunk of chunks) {
    const targets = [...chunk.querySelectorAll(".target")];
    targets.forEach((target, nth) => {
      target.setAttribute("role", "button");
      target.setAttribute("aria-expanded", "false");
      target.tabIndex = nth ? -1 : 0;  // one stop a chunk; arrows go on from there
      target.removeAttribute("title");
    });
    chunk.addEventListener("keydown", event => {
      const target = targetOf(event);
      if (!target) return;
      const nth = targets.indexOf(target);
      const to = {
        ArrowRight: nth + 1, ArrowDown: nth + 1, ArrowLeft: nth - 1, ArrowUp: nth - 1,
        Home: 0, End: targets.length - 1,
      }[event.key];
      if (event.key === "Enter" || event.key === " ") toggle(target);
      else if (to === undefined) return;
      else if (targets[to]) targets[to].focus();
      event.preventDefault();
    });
    chunk.addEventListener("pointerover", event => {
      const target = targetOf(event);
      if (target && moved(event) && !pinned) show(target, false);
    });
    chunk.addEventListener("pointerout", event => {
      if (targetOf(event) && moved(event)) later();
    });
    chunk.addEventListener("focusin", event => {
      const target = targetOf(event);
      if (!target) return;
      for (const one of targets) one.tabIndex = one === target ? 0 : -1;
      if (target.matches(":focus-visible")) show(target, false);
    });
    chunk.addEventListener("focusout", event => {
      if (!panel.contains(event.relatedTarget)) later();
    });
    chunk.addEventListener("click", event => {
      const target = targetOf(event);
      if (target) toggle(target);
    });
  }

  panel.addEventListener("pointerenter", event => { if (moved(event)) clearTimeout(timer); });
  panel.addEventListener("pointerleave", event => { if (moved(event)) later(); });
  panel.querySelector("button").addEventListener("click", hide);
  document.addEventListener("pointermove", event => { pointer = placeOf(event); });
  document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
  document.addEventListener("click", event => {
    if (!targetOf(event) && !panel.contains(event.target)) hide();
  });
})();
