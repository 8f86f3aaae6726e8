// The page stands in a sandboxed frame of Airflow's UI, of the same origin; opened by itself it has no frame around it.
(() => {
  "use strict";
  const root = document.documentElement;
  let outer = null;
  try {
    outer = parent === window ? null : parent.document;
  } catch {
    outer = null; // a frame of somebody else's: nothing of it can be read
  }

  // Airflow's theme is a class of its own page's root, and changes without a reload.
  const show = (dark) => {
    root.classList.toggle("dark", dark);
    root.style.colorScheme = dark ? "dark" : "light";
  };
  if (outer) {
    const follow = () => show(outer.documentElement.classList.contains("dark"));
    follow();
    new parent.MutationObserver(follow).observe(outer.documentElement, { attributeFilter: ["class"] });
  } else {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      chosen = null;
    }
    const system = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => show(chosen === "dark" || (chosen !== "light" && system.matches));
    follow();
    system.addEventListener("change", follow);
  }

  // What a drawing shows, in words, for the pointer too: not sent twice.
  addEventListener("mouseover", (event) => {
    const drawing = event.target.closest?.("svg[aria-label]");
    if (!drawing || drawing.querySelector("title")) return;
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = drawing.getAttribute("aria-label");
    drawing.prepend(title);
  });

  // The sandbox keeps a link in here from opening a tab or leaving the frame: a link in the page around it may.
  addEventListener("click", (event) => {
    const link = event.target.closest("a[data-top]");
    if (!link || !outer) return;
    event.preventDefault();
    const stand_in = outer.createElement("a");
    stand_in.href = link.href;
    stand_in.rel = "noopener";
    if (link.dataset.top === "new" || event.ctrlKey || event.metaKey) stand_in.target = "_blank";
    outer.body.append(stand_in);
    stand_in.click();
    stand_in.remove();
  });
})();
