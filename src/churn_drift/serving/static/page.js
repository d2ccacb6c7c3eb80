/* What moves on the page: charts, the live part, the form. Everything that is told once stands in the HTML already. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const score = (value) => (value === null ? "n/a" : value.toFixed(3).replace("0.", "."));
const percent = (share) => (share === null ? "n/a" : `${Math.round(100 * share)} %`);
const count = (number) => number.toLocaleString("en-US");

/** A new element with attributes and children; texts are texts, never markup. */
function make(name, attributes = {}, ...children) {
  const svg = name === "svg" || name === "rect" || name === "line";
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/* --- charts: uPlot, in the page's colours, drawn anew where these or the width change --------------------------- */

const probe = document.body.appendChild(make("span", { hidden: "" }));

function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const charts = [];

/** Draw a chart into a box; options are made anew for each look of the page. */
function chart(box, options, values) {
  const draw = () => {
    box.replaceChildren();
    return new uPlot({ width: box.clientWidth, height: box.clientHeight, ...options() }, values, box);
  };
  let drawn = draw();
  charts.push(() => { drawn.destroy(); drawn = draw(); });
  new ResizeObserver(() => drawn.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  return (fresh) => { values = fresh; drawn.setData(fresh); };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((again) => again()));

function axis(more = {}) {
  const font = "12px system-ui, sans-serif";
  return { stroke: colour("faint"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font, labelFont: font, ...more };
}

/** An axis of batches: as many names as there is room for. */
function batchAxis(names, more) {
  const splits = (u) => {
    const every = Math.max(1, Math.ceil((names.length * 34) / Math.max(1, u.bbox.width / devicePixelRatio)));
    return names.map((_, i) => i).filter((i) => i % every === 0);
  };
  return axis({ splits, values: (_, at) => at.map((i) => names[i]), grid: { show: false }, ...more });
}

/** Draw on top of a chart, in CSS pixels of its canvas. */
function onTop(paint) {
  return (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    paint(ctx, (i) => u.valToPos(i, "x", true), (v) => u.valToPos(v, "y", true), devicePixelRatio, u.bbox);
    ctx.restore();
  };
}

function timeline() {
  const t = data.timeline;
  if (!t) return;
  const places = t.name.map((_, i) => i);
  const known = [...t.auc, ...t.low, ...t.high, ...t.never].filter((value) => value !== null);
  const low = Math.min(0.5, ...known), high = Math.max(0.6, ...known);
  const x = { time: false, range: [-0.5, t.name.length - 0.5] };
  const cursor = { y: false, drag: { x: false, y: false }, sync: { key: "batches" } };
  const told = { setCursor: [(u) => tell(u.cursor.idx)] };
  const size = t.name.length > 60 ? 0 : 8;

  chart(at("auc"), () => ({
    scales: { x, y: { range: [low - 0.01, high + 0.01] } },
    legend: { show: false },
    cursor,
    axes: [batchAxis(t.name, { size: 30 }), axis({ label: "AUC", size: 46, labelSize: 20, values: (_, v) => v.map((y) => y.toFixed(2)) })],
    series: [
      {},
      { stroke: colour("never"), width: 2, dash: [6, 4], points: { show: size > 0, size, fill: colour("paper") } },
      { stroke: colour("policy"), width: 2, points: { show: size > 0, size, fill: colour("policy") } },
    ],
    hooks: {
      ...told,
      drawAxes: [onTop((ctx, px, py, ratio) => {
        ctx.strokeStyle = colour("band");
        ctx.lineWidth = Math.max(1, (size ? 5 : 2) * ratio);
        for (const i of places) if (t.low[i] !== null && t.high[i] !== null) {
          ctx.beginPath();
          ctx.moveTo(px(i), py(t.low[i]));
          ctx.lineTo(px(i), py(t.high[i]));
          ctx.stroke();
        }
      })],
      draw: [onTop((ctx, px, _, ratio, box) => {
        ctx.fillStyle = colour("yes");
        const s = 5 * ratio, bottom = box.top + box.height - 2 * ratio;
        for (const i of places) if (t.promoted[i]) {
          ctx.beginPath();
          ctx.moveTo(px(i) - s, bottom);
          ctx.lineTo(px(i) + s, bottom);
          ctx.lineTo(px(i), bottom - 1.8 * s);
          ctx.fill();
        }
      })],
    },
  }), [places, t.never, t.auc]);

  chart(at("share"), () => ({
    scales: { x, y: { range: [0, 1] } },
    legend: { show: false },
    cursor,
    axes: [batchAxis(t.name, { size: 30 }), axis({ label: "features", size: 46, labelSize: 20, splits: () => [0, 0.5, 1], values: (_, v) => v.map(percent) })],
    series: [{}, { fill: colour("share"), width: 0, paths: uPlot.paths.bars({ size: [0.6, 60] }), points: { show: false } }],
    hooks: {
      ...told,
      draw: [onTop((ctx, _, py, ratio, box) => {
        ctx.strokeStyle = colour("alarm");
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash([2 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(box.left, py(data.drift_share));
        ctx.lineTo(box.left + box.width, py(data.drift_share));
        ctx.stroke();
      })],
    },
  }), [places, t.drifted]);

  function tell(i) {
    if (i === null || i === undefined) return;
    const auc = t.auc[i] === null ? "no labels yet" : `AUC ${score(t.auc[i])} (${score(t.low[i])} to ${score(t.high[i])}), never retrained ${score(t.never[i])}`;
    at("told").textContent = `Batch ${t.name[i]}: ${count(t.customers[i])} customers, ${percent(t.drifted[i])} of the features drifted, ${auc}; ${t.decision[i]}: ${t.reason[i]}.`;
  }
  tell(t.name.length - 1);
}

/* --- bars: a table, so that everybody can read it --------------------------------------------------------------- */

/** Two shares a cell, one above the other. */
function bars(cells, first, second) {
  const widest = Math.max(1e-9, ...first, ...second);
  const rows = cells.map((cell, i) => make("tr", {},
    make("th", { scope: "row" }, cell),
    make("td", { class: "wide" }, make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      make("rect", { class: "first", x: 0, y: 0.3, height: 4.4, width: (100 * first[i]) / widest }),
      make("rect", { class: "second", x: 0, y: 5.3, height: 4.4, width: (100 * second[i]) / widest }))),
    make("td", { class: "number" }, percent(first[i])),
    make("td", { class: "number" }, percent(second[i]))));
  const head = make("tr", {}, make("th", { scope: "col" }, "cell"), make("td", {}), make("th", { scope: "col", class: "number" }, "reference"), make("th", { scope: "col", class: "number" }, "now"));
  return make("table", { class: "bars" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

/** What moves a risk, around zero. */
function pushes(contributions) {
  const widest = Math.max(1e-9, ...contributions.map((c) => Math.abs(c.contribution)));
  return make("table", { class: "bars" }, make("tbody", {}, ...contributions.map((c) => {
    const wide = (48 * Math.abs(c.contribution)) / widest, up = c.contribution > 0;
    return make("tr", {},
      make("th", { scope: "row" }, c.text),
      make("td", { class: "wide" }, make("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        make("rect", { class: up ? "towards" : "against", x: up ? 50 : 50 - wide, y: 1.5, height: 7, width: wide }),
        make("line", { class: "zero", x1: 50, x2: 50, y1: 0, y2: 10, "vector-effect": "non-scaling-stroke" }))),
      make("td", { class: "number" }, `${up ? "+" : "−"}${Math.abs(c.contribution).toFixed(2)}`));
  })));
}

/* --- drift ------------------------------------------------------------------------------------------------------ */

function drift() {
  const buttons = [...document.querySelectorAll(".heat button")];
  const show = (button) => {
    const { feature, batch } = button.dataset;
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const found = data.distributions[feature];
    at("cells").hidden = false;
    at("cells-title").textContent = `${feature}, batch ${batch}`;
    at("cells-batch").textContent = `batch ${batch}`;
    at("cells-about").textContent = found ? found.about : "";
    const shares = found && found.batches[batch];
    at("cells-bars").replaceChildren(shares
      ? bars(found.cells, found.reference, shares)
      : make("p", { class: "absent" }, `No distribution: ${data.distributions_why || "this run did not write one"}.`));
  };
  for (const button of buttons) button.addEventListener("click", () => show(button));
  if (buttons.length) {
    const first = buttons[0].closest("tr").querySelectorAll("button");
    show(first[first.length - 1]);
  }
  const all = at("all");
  if (all) all.addEventListener("click", () => {
    const hidden = at("others").toggleAttribute("hidden");
    all.setAttribute("aria-expanded", String(!hidden));
    all.textContent = hidden ? `All ${document.querySelectorAll(".heat tbody tr").length} features` : "Fewer features";
  });
}

/* --- live ------------------------------------------------------------------------------------------------------- */

const EVERY = 5000, MINUTES = 10, MOMENTS = (MINUTES * 60000) / EVERY;

/** The document, or an error with the problem's own words. */
async function fetched(path, options) {
  const answer = await fetch(path, options);
  const document_ = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(document_.detail || document_.title), { problem: document_ });
  return document_;
}

/** Seconds within which a share of the requests was answered, from a histogram's cumulated counts; null without any. */
function quantile(seconds, share) {
  const bounds = Object.entries(seconds).map(([le, n]) => [le === "+Inf" ? Infinity : Number(le), n]).sort((a, b) => a[0] - b[0]);
  const total = bounds.length ? bounds[bounds.length - 1][1] : 0;
  if (!total) return null;
  let before = 0, below = 0;
  for (const [bound, n] of bounds) {
    if (n >= share * total) return bound === Infinity ? below : below + (bound - below) * ((share * total - before) / (n - before));
    [before, below] = [n, bound];
  }
  return below;
}

/** Two digits: 3.8 ms, 75 ms, 120 ms. */
const milliseconds = (seconds) => (seconds === null ? "–" : `${Number((1000 * seconds).toPrecision(2))} ms`);

function sum(routes, of) {
  const total = {};
  for (const route of Object.values(routes)) for (const [key, n] of Object.entries(route[of])) total[key] = (total[key] || 0) + n;
  return total;
}

function less(now, before) {
  return Object.fromEntries(Object.entries(now).map(([key, n]) => [key, n - (before[key] || 0)]));
}

const total = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

function traffic() {
  let last = null, draw = null;
  const moments = [], rates = [];

  async function look() {
    if (document.hidden) return;
    let now;
    try {
      now = await fetched("/traffic");
    } catch (error) {
      at("traffic-why").textContent = `Traffic cannot be shown: ${error.message}.`;
      at("traffic-why").hidden = false;
      return;
    }
    at("traffic-why").hidden = true;
    const requests = sum(now.routes, "requests"), seconds = sum(now.routes, "seconds");
    const asked = total(requests), failed = asked - (requests["2xx"] || 0);
    const since = last && less(seconds, last.seconds), fresh = last ? asked - last.asked : 0;
    const rate = last ? Math.max(0, fresh) / Math.max(0.001, now.at - last.at) : 0;
    at("rate").textContent = last ? rate.toFixed(rate < 10 ? 1 : 0) : "–";
    at("rate-more").textContent = `${count(asked)} since the server began`;
    at("p50").textContent = milliseconds(quantile(fresh > 0 ? since : seconds, 0.5));
    at("p99").textContent = asked ? `p99 ${milliseconds(quantile(fresh > 0 ? since : seconds, 0.99))}, ${fresh > 0 ? "just now" : "since the server began"}` : "nothing asked yet";
    const { churn = 0, stay = 0 } = now.decisions;
    at("scored").textContent = count(churn + stay);
    at("scored-more").textContent = churn + stay ? `${percent(churn / (churn + stay))} flagged to leave` : "";
    at("failed").textContent = count(failed);
    const dropped = now.log.dropped || 0;
    at("failed-more").textContent = `${count(requests["5xx"] || 0)} by the server's fault${dropped ? `; ${count(dropped)} rows dropped from the log` : ""}`;
    const { yes = 0, no = 0 } = now.shadow;
    if (at("shadow")) at("shadow").textContent = yes + no ? `It decided alike for ${percent(yes / (yes + no))} of ${count(yes + no)} customers.` : "";
    if (last) {
      moments.push(now.at);
      rates.push(rate);
      if (moments.length > MOMENTS) { moments.shift(); rates.shift(); }
      const shown = [moments.map((moment) => (moment - now.at) / 60), rates];
      if (draw) draw(shown);
      else draw = chart(at("rates"), () => ({
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [-MINUTES, 0] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          axis({ size: 30, grid: { show: false }, values: (_, v) => v.map((x) => (x ? `${-x} min ago` : "now")) }),
          axis({ label: "requests/s", size: 46, labelSize: 20 }),
        ],
        series: [{}, { stroke: colour("policy"), width: 2, fill: colour("band"), points: { show: false } }],
      }), shown);
    }
    last = { at: now.at, asked, seconds };
  }
  look();
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
}

function liveDrift() {
  async function look() {
    if (document.hidden) return;
    let found;
    try {
      found = await fetched(`/drift?hours=${at("hours").value}`);
    } catch (error) {
      at("live-verdict").textContent = `Cannot be shown: ${error.message}.`;
      return;
    }
    const many = found.rows_batch;
    const words = { drifted: "drifted", stable: "no drift", insufficient: "too few to tell whether they have drifted" };
    at("live-verdict").textContent = many ? `${count(many)} customers: ${words[found.verdict]}.` : "Nobody was scored in it.";
    if (found.verdict === "insufficient") return;
    const { cells, reference, window: live } = found.scores;
    if (cells.length) at("live-scores").replaceChildren(bars(cells, reference, live));
    const moved = found.features.filter((f) => f.psi !== null).sort((a, b) => b.psi - a.psi).slice(0, 10);
    at("live-features").replaceChildren(make("table", {},
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "feature"), make("th", { scope: "col", class: "number" }, "PSI"), make("th", { scope: "col" }, ""))),
      make("tbody", {}, ...moved.map((f) => make("tr", {}, make("th", { scope: "row" }, f.name), make("td", { class: "number" }, f.psi.toFixed(2)), make("td", {}, f.drifted ? "drifted" : ""))))));
  }
  look();
  setInterval(look, 6 * EVERY);
  at("hours").addEventListener("change", look);
}

/* --- a customer ------------------------------------------------------------------------------------------------- */

function form() {
  const fields = at("form").elements;
  const named = () => [...fields].filter((field) => field.name);

  at("fill").addEventListener("click", () => {
    for (const field of named()) field.value = data.example[field.name] ?? "";
    wrong([]);
  });
  at("form").addEventListener("reset", () => { wrong([]); at("answer").replaceChildren(); });
  at("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const record = {};
    for (const field of named()) {
      const text = field.value.trim();
      // A number goes as a number; what is none goes as it is, for the server to say what is wrong with it.
      if (text) record[field.name] = "number" in field.dataset && Number.isFinite(Number(text)) ? Number(text) : text;
    }
    try {
      const found = await fetched("/predict?explain=1&trial=1", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(record) });
      wrong([]);
      answer(found);
    } catch (error) {
      const faults = (error.problem && error.problem.errors) || [];
      wrong(faults);
      at("answer").replaceChildren(make("p", {}, make("strong", {}, faults.length ? `Not scored: ${error.message}.` : `Not scored: ${error.message || "the server does not answer"}.`)));
    }
  });

  /** Say at each field what is wrong with it, and go to the first. */
  function wrong(faults) {
    const details = Object.fromEntries(faults.map((fault) => [fault.pointer.slice(1), fault.detail]));
    for (const field of named()) {
      const detail = details[field.name] || "";
      at(`why-${field.name}`).textContent = detail;
      if (detail) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
      if (detail && field.closest("details")) field.closest("details").open = true;
    }
    const first = named().find((field) => details[field.name]);
    if (first) first.focus();
  }

  function answer({ predictions: [found], threshold, model_version: version }) {
    const shown = (share) => `${(100 * share).toFixed(1)} %`;
    const verdict = found.decision ? "Flagged: likely to leave" : "Not flagged: likely to stay";
    const unseen = found.unseen.length ? [make("p", {}, `New to the model, so scored as missing: ${found.unseen.join(", ")}.`)] : [];
    at("answer").replaceChildren(
      make("p", {}, make("span", { class: "figure" }, shown(found.probability)), make("strong", {}, verdict), ` (the model flags from ${shown(threshold)} on).`),
      ...unseen,
      make("h3", {}, "What moves this risk most"),
      make("p", { class: "legend" }, "Log odds before calibration: to the right the risk rises, to the left it falls."),
      pushes(found.contributions),
      make("p", { class: "more" }, `By model ${version}; not logged.`));
    at("answer").scrollIntoView({ block: "nearest" });
  }
}

timeline();
drift();
form();
traffic();
liveDrift();
