// SPDX-License-Identifier: Apache-2.0
// Theme, navigation, drawer, dialogs, copy, keys. Loaded in <head> without defer so that a pinned theme never flashes.
// Everything works without it: the server renders data-theme from a cookie, drawers are links, forms post.
(() => {
  const root = document.documentElement;
  const find = (selector) => document.querySelector(selector);

  // The Django admin keeps the theme in local storage, the server reads the cookie: whoever changed it last wins here.
  const keep = (theme) => {
    localStorage.setItem("theme", theme);
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };
  const saved = localStorage.getItem("theme");
  if (saved === "dark" || saved === "light") {
    if (root.dataset.theme !== saved) keep(saved);
    root.dataset.theme = saved;
  } else if (saved === "auto") {
    delete root.dataset.theme;
    document.cookie = "theme=; Path=/; Max-Age=0; SameSite=Lax";
  } else if (root.dataset.theme) {
    localStorage.setItem("theme", root.dataset.theme);
  }
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const switchTheme = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
  };

  let opener = null;
  const show = (dialog, from) => {
    if (!dialog || dialog.open) return;
    opener = from || document.activeElement;
    dialog.showModal();
  };
  const closeNav = () => {
    root.dataset.nav = "closed";
    document.querySelectorAll("[data-do=nav][aria-expanded]").forEach((b) => b.setAttribute("aria-expanded", "false"));
  };

  addEventListener("click", (event) => {
    const hit = event.target.closest("[data-do]");
    if (!hit || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const target = hit.dataset.for && document.getElementById(hit.dataset.for);
    switch (hit.dataset.do) {
      case "theme":
        event.preventDefault();
        switchTheme();
        break;
      case "nav":
        if (root.dataset.nav === "open") { closeNav(); find("[data-do=nav][aria-expanded]")?.focus(); break; }
        root.dataset.nav = "open";
        hit.setAttribute("aria-expanded", "true");
        find("#side a")?.focus();
        break;
      case "open":
        event.preventDefault();
        show(target, hit);
        break;
      case "close":
        event.preventDefault();
        hit.closest("dialog").close();
        opener?.focus();
        break;
      case "copy":
        navigator.clipboard?.writeText(target.textContent.trim());
        if ("done" in hit.dataset) break;
        hit.dataset.done = hit.lastChild.textContent;
        hit.lastChild.textContent = hit.dataset.said;
        setTimeout(() => { hit.lastChild.textContent = hit.dataset.done; delete hit.dataset.done; }, 1600);
        break;
    }
  });

  // Single letters work outside fields only, and a person can switch them off (WCAG 2.1.4).
  const lettersOff = () => localStorage.getItem("letters") === "off";
  addEventListener("DOMContentLoaded", () => {
    const box = find("#letters");
    if (!box) return;
    box.checked = !lettersOff();
    box.addEventListener("change", () => localStorage.setItem("letters", box.checked ? "on" : "off"));
  });
  const follow = (selector) => {
    const link = find(selector);
    if (link) link.click();
    return Boolean(link);
  };
  const step = (by) => {
    const links = [...document.querySelectorAll("[data-row]")];
    if (!links.length) return false;
    const here = links.indexOf(document.activeElement);
    const current = here < 0 ? links.findIndex((link) => link.closest("[aria-current=true]")) : here;
    const next = current < 0 ? 0 : Math.min(links.length - 1, Math.max(0, current + by));
    links[next].focus();
    return true;
  };
  let going = 0;
  const letters = {
    j: () => step(1),
    k: () => step(-1),
    t: () => (switchTheme(), true),
    "/": () => { const more = find("#filter"); if (more) { more.open = true; more.querySelector("input, select").focus(); } return Boolean(more); },
    "[": () => follow("[data-key='[']"),
    "]": () => follow("[data-key=']']"),
    "?": () => (show(find("#keys")), true),
  };
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "k" && find("#goto")) {
      event.preventDefault();
      show(find("#goto"));
      return;
    }
    if (event.key === "Escape" && root.dataset.nav === "open") { closeNav(); find("[data-do=nav]")?.focus(); return; }
    if (event.key === "Escape" && !find("dialog:modal") && follow("[data-key='Escape']")) return;
    const busy = event.target.closest?.("input, select, textarea, [contenteditable]") || find("dialog:modal");
    if (busy || event.ctrlKey || event.metaKey || event.altKey || lettersOff()) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      if (/^[a-z]$/.test(event.key) && follow(`.side [data-go='${event.key}']`)) event.preventDefault();
      return;
    }
    if (event.key === "g") going = Date.now();
    else if (letters[event.key]?.()) event.preventDefault();
  });
})();
