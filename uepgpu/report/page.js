"use strict";
(() => {
  const root = document.documentElement;
  const complain = (what) => {
    root.dataset.errors = (root.dataset.errors ? root.dataset.errors + " | " : "") + what;
    const alert = document.getElementById("trouble");
    alert.hidden = false;
    alert.append(document.createElement("br"), what);
  };
  addEventListener("error", (e) => complain(e.message || "a part of the page could not be loaded"), true);
  addEventListener("unhandledrejection", (e) => complain(String(e.reason)));
  document.addEventListener("securitypolicyviolation", (e) => complain("blocked: " + e.blockedURI + " (" + e.violatedDirective + ")"));

  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  const hidden = new Map();

  // Colours are the style sheet's, so that they follow light, dark and paper in one place.
  const themed = (id) => {
    const style = getComputedStyle(root);
    const color = (name) => style.getPropertyValue(name).trim();
    const off = hidden.get(document.getElementById(id).dataset.section) || new Set();
    const data = figures[id].data.map((t) => {
      const c = color("--c" + t.meta.color);
      const own = { visible: !off.has(t.meta.series) };
      if (t.marker) own.marker = { ...t.marker, color: c, line: { ...t.marker.line, color: c } };
      if (t.line) own.line = { ...t.line, color: c };
      if (t.error_y) own.error_y = { ...t.error_y, color: c };
      return { ...t, ...own };
    });
    const ink = color("--ink"), rule = color("--rule"), paper = color("--paper");
    const axis = (a) => ({ ...a, gridcolor: rule, linecolor: ink, tickcolor: ink });
    const layout = {
      ...figures[id].layout, xaxis: axis(figures[id].layout.xaxis), yaxis: axis(figures[id].layout.yaxis),
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 12, t: 30, b: 50 },
      font: { color: ink, size: 11, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: { bgcolor: paper, bordercolor: rule, font: { color: ink } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--soft"), activecolor: color("--link") },
    };
    return [data, layout];
  };
  const plots = [...document.querySelectorAll(".plot")];
  const draw = (div, size = {}) => {
    const [data, layout] = themed(div.id);
    return Plotly.react(div, data, { ...layout, ...size }, config);
  };
  const redraw = (wanted = () => true) => plots.filter(wanted).forEach((div) => draw(div));

  let drawn = 0;
  const next = () => {
    if (drawn === plots.length) {
      root.dataset.drawn = String(drawn);
      return;
    }
    const done = () => { drawn += 1; setTimeout(next, 0); };
    try {
      draw(plots[drawn]).then(done, (e) => { complain("figure " + plots[drawn].id + ": " + e); done(); });
    } catch (e) {
      complain("figure " + plots[drawn].id + ": " + e);
      done();
    }
  };
  next();

  dark.addEventListener("change", () => redraw());
  document.querySelectorAll("input[data-series]").forEach((box) => box.addEventListener("change", () => {
    const off = hidden.get(box.dataset.section) || new Set();
    off[box.checked ? "delete" : "add"](box.dataset.series);
    hidden.set(box.dataset.section, off);
    redraw((div) => div.dataset.section === box.dataset.section);
  }));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details.printed").forEach((d) => { d.open = true; });
    // The style of paper is in force from here on; sizes are those of the print style sheet, in CSS pixels.
    plots.forEach((div) => draw(div, { width: div.closest(".wide") ? 672 : 332, height: 234 }));
  });
  addEventListener("afterprint", () => redraw());
})();
