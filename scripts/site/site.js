// Quizzes, light and dark, search. Without scripts every page can be read, reasons of quizzes too.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const kept = (() => { try { return localStorage.getItem("theme") } catch { return null } })();
  if (kept) root.dataset.theme = kept;
  const button = document.querySelector("#site-theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const say = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Show the page in ${dark() ? "light" : "dark"} colours`) };
  if (button) {
    button.hidden = false;
    say();
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme) } catch { /* a page of a file has no store */ }
      say();
    });
  }
  if (matchMedia("(max-width: 52rem)").matches) document.querySelectorAll(".side details[open]").forEach(fold => { fold.open = false });
  // What scrolls sideways can be reached by keyboard, and only that: a stop at every line of code would
  // be a nuisance. Chromium and Firefox do so by themselves, Safari does not.
  const reachable = () => {
    for (const box of document.querySelectorAll("main pre, main .display, main .scroll, main .out")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", reachable);
  addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);
  for (const fieldset of document.querySelectorAll(".quiz fieldset")) {
    const reasons = [...fieldset.querySelectorAll(".reason")];
    const answer = fieldset.querySelector(".answer");
    reasons.forEach(reason => { reason.hidden = true });
    fieldset.addEventListener("change", event => {
      answer.replaceChildren();
      const chosen = reasons.find(reason => reason.dataset.of === event.target.id);
      const shown = chosen.cloneNode(true);
      shown.hidden = false;
      answer.append(shown);
    });
  }
  const field = document.querySelector("#site-search");
  if (!field || typeof INDEX === "undefined") return;
  const found = document.querySelector("#site-found"), count = document.querySelector("#site-count");
  const plain = text => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  const search = () => {
    const words = plain(field.value).split(/[^\p{L}\p{N}]+/u).filter(word => word.length > 1);
    found.replaceChildren();
    count.textContent = "";
    if (!words.length) return;
    const hits = INDEX.map(entry => {
      const head = plain(`${entry.page} ${entry.head}`), text = plain(entry.text);
      let score = 0;
      for (const word of words) {
        const inside = text.split(word).length - 1, above = head.includes(word);
        if (!inside && !above) return null;
        score += Math.min(inside, 5) + 8 * above;
      }
      return { entry, score };
    }).filter(Boolean).sort((a, b) => b.score - a.score);
    count.textContent = `${hits.length} ${hits.length === 1 ? "place" : "places"}`;
    for (const { entry } of hits.slice(0, 30)) {
      const li = document.createElement("li"), a = document.createElement("a"), p = document.createElement("p");
      a.href = entry.at;
      a.textContent = entry.head ? `${entry.page}: ${entry.head}` : entry.page;
      const at = Math.max(0, plain(entry.text).indexOf(words[0]) - 60);
      p.textContent = (at ? "…" : "") + entry.text.slice(at, at + 200) + "…";
      li.append(a, p);
      found.append(li);
    }
  };
  field.addEventListener("input", search);
  field.value = new URLSearchParams(location.search).get("q") || "";
  search();
})();
