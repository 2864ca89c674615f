// Arrow keys go from slide to slide; where one types or chooses, they keep their meaning.
(() => {
  const slides = [...document.querySelectorAll("section")], frame = document.querySelector("main");
  const now = () => Math.round(frame.scrollTop / frame.clientHeight);
  document.addEventListener("keydown", event => {
    if (event.target.matches("input, summary, a, button")) return;
    const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? slides.length - 1 : now() + (step || NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    slides[Math.max(0, Math.min(slides.length - 1, to))].scrollIntoView();
  });
})();
