"use strict";
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column], key = cell.dataset.v;
    return key === undefined ? cell.textContent : Number(key);
  };
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [value(row, column), row]);
      keyed.sort(([a], [b]) => {
        const blank = (typeof a === "string") - (typeof b === "string");
        return blank || (down ? order(b, a) : order(a, b));
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll(".chart title")) {
  const owner = title.parentNode;  // a chart's own label says more than its title
  if (!owner.hasAttribute("aria-label")) owner.setAttribute("aria-label", title.textContent);
  title.remove();  // the browser would show it beside ours
}
for (const chart of document.querySelectorAll("svg.chart")) {
  const marks = [...chart.querySelectorAll(".m")];
  const points = marks.filter((mark) => mark.matches("circle"));
  let shown = null;
  const near = (event) => {
    if (event.target.classList.contains("m")) return event.target;
    let best = null, least = 24;
    for (const mark of points) {
      const box = mark.getBoundingClientRect();
      const far = Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
      if (far < least) [best, least] = [mark, far];
    }
    return best;
  };
  const show = (mark, event) => {
    if (shown) shown.classList.remove("on");
    shown = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("on");
    tip.textContent = mark.getAttribute("aria-label");
    const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, event.clientY - tip.offsetHeight - 12) + "px";
  };
  chart.addEventListener("pointermove", (event) => show(near(event), event));
  chart.addEventListener("pointerdown", (event) => show(near(event), event));
  chart.addEventListener("pointerleave", (event) => show(null, event));
}
