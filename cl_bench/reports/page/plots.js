"use strict";

// Plots are drawn when they come into view, and plotly.js is read when the first one does.
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F"]; // Okabe and Ito's
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const MOST_LINES = 12;
const CONFIG = {
  displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"],
  showSendToCloud: false, plotlyServerURL: "", // plotly has a button that uploads what is drawn
};

function plotly() {
  if (!window.Plotly) document.head.append(element("script", {}, byId("plotly").textContent));
  return window.Plotly;
}

// No two of 64 lines look the same, and neighbors differ in color, symbol and dash.
function style(i) {
  const color = COLORS[i % COLORS.length], round = Math.floor(i / COLORS.length);
  const symbol = SYMBOLS[(i + round) % SYMBOLS.length], dash = DASHES[(i + round) % DASHES.length];
  return { line: { color, dash, width: 2 }, marker: { color, symbol, size: 8 } };
}

function layout(x, y, more = {}) {
  const narrow = window.innerWidth < 700;
  const axis = (title) => ({ title: { text: title }, automargin: true, zeroline: false, gridcolor: "#e3e7ed", linecolor: "#566072" });
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "#1c2430" },
    margin: { l: 55, r: 15, t: 30, b: 45 },
    height: narrow ? 520 : 440,
    hovermode: "closest",
    showlegend: true,
    legend: narrow ? { orientation: "h", y: -0.3, yanchor: "top" } : {},
    xaxis: axis(x),
    yaxis: axis(y),
    ...more,
  };
}

// What people named themselves is text, and plotly would read some HTML in it.
function plain(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function say(place, words) {
  if (place.data) plotly().purge(place);
  place.replaceChildren(element("p", { class: "empty" }, words));
}

function draw(place, traces, settings) {
  if (!place.data) place.replaceChildren();
  return plotly().react(place, traces, settings, CONFIG);
}

function pickedRuns() {
  return [...picked].sort((a, b) => a - b).map((index) => runs[index]);
}

function drawAfter(place) {
  const chosen = pickedRuns().slice(0, MOST_LINES);
  if (!chosen.length) return say(place, "Pick runs in the list above.");
  const reported = chosen.filter((run) => !details(run.index).unchosen);
  if (!reported.length) return say(place, "No λ was chosen in these runs: the plot over λ has each.");
  const traces = reported.map((run, i) => {
    const after = details(run.index).after[run.kind];
    const name = plain(run.accuracy === null ? `${runName(run)}, ${run.kind.replace("_", "-")}` : runName(run));
    return {
      ...style(i), name, mode: "lines+markers",
      x: after.map((_, task) => (after.length === 2 ? task * run.tasks : task)), y: after,
      hovertemplate: `%{y:.2f} % after %{x} tasks<extra>${name}</extra>`,
    };
  });
  return draw(place, traces, layout("tasks learned", "accuracy (%)"));
}

// Below this line lies what was learned. Tasks are counted from 1 to the right, rows from 0 downwards.
function learnedLine(tasks) {
  let path = "M 0.5 0.5";
  for (let task = 1; task <= tasks; task++) path += ` L ${task + 0.5} ${task - 0.5} L ${task + 0.5} ${task + 0.5}`;
  return { type: "path", path, line: { color: "#ffffff", width: 2 } };
}

function drawMatrix(place, run) {
  const all = details(run.index), kind = byId("matrix-kind").value, matrices = all.matrix[byId("matrix-model").value];
  if (!matrices && all.unchosen && byId("matrix-model").value === "merged") return say(place, `${runName(run)}: no λ was chosen.`);
  if (!matrices) return say(place, `${runName(run)}: its fine-tuned models were not evaluated.`);
  const matrix = matrices[kind];
  if (!matrix) return say(place, `${runName(run)}: ${kind.replace("_", "-")} is left out, ${all.left_out[kind]}.`);
  const names = rowNames(matrix, all), every = run.tasks <= 12;
  const trace = {
    type: "heatmap", showlegend: false, z: matrix, zmin: 0, zmax: 100, colorscale: "Cividis", xgap: every ? 1 : 0, ygap: every ? 1 : 0,
    text: every ? matrix.map((row) => row.map((value) => shown(value, 0))) : null, texttemplate: every ? "%{text}" : null,
    customdata: matrix.map((_, i) => all.tasks.map((task) => [plain(names[i]), plain(task[0])])),
    hovertemplate: "%{z:.2f} % on task %{x}, %{customdata[1]}<br>%{customdata[0]}<extra></extra>",
    x: all.tasks.map((_, j) => j + 1), y: names.map((_, i) => i), colorbar: { title: { text: "%" }, thickness: 12 },
  };
  const step = Math.ceil(names.length / 14), kept = names.map((_, i) => i).filter((i) => i % step === 0);
  const settings = layout("evaluated on task", "", {
    title: { text: plain(runName(run)), font: { size: 14 }, x: 0.02 },
    margin: { l: 55, r: 15, t: 60, b: 45 }, // the buttons that plotly shows do not hide the title
    shapes: matrix.length === run.tasks + 1 ? [learnedLine(run.tasks)] : [],
  });
  const named = all.task_names ? { tickvals: trace.x, ticktext: all.task_names.map(plain) } : { dtick: Math.ceil(run.tasks / 14) };
  Object.assign(settings.xaxis, { showgrid: false, ...named });
  Object.assign(settings.yaxis, { showgrid: false, autorange: "reversed", tickvals: kept, ticktext: kept.map((i) => plain(names[i])) });
  return draw(place, [trace], settings);
}

function drawMatrices(place) {
  const chosen = pickedRuns().slice(0, 4);
  if (!chosen.length) return say(place, "Pick runs in the list above.");
  [...place.children].forEach((one) => one.data && plotly().purge(one));
  place.replaceChildren(...chosen.map(() => element("div")));
  return Promise.all(chosen.map((run, i) => drawMatrix(place.children[i], run)));
}

// Runs that differ in λ alone, and lists of λ within one run, are one line.
function linesOverScalings() {
  const groups = new Map();
  for (const run of listed) {
    const points = run.scalings.length ? run.scalings : [[run.scaling, run.accuracy, null]];
    const key = [run.scenario, run.method, run.settings, run.trainer, run.merger, run.seed, run.split].join("\n");
    if (!groups.has(key)) groups.set(key, { run, points: new Map() });
    for (const point of points) if (point[0] !== null) groups.get(key).points.set(point[0], point);
  }
  return [...groups.values()].filter((group) => group.points.size > 1);
}

function drawScalings(place) {
  const groups = linesOverScalings(), note = byId("note-scalings");
  note.textContent = groups.length > MOST_LINES ? `The first ${MOST_LINES} of ${groups.length}: filter the list to see others.` : "";
  if (!groups.length) return say(place, "No runs in the list differ in λ alone.");
  const traces = groups.slice(0, MOST_LINES).flatMap(({ run, points }, i) => {
    const inOrder = [...points.values()].sort((a, b) => a[0] - b[0]), name = `${runName(run)}`;
    const x = inOrder.map((point) => point[0]), chosen = inOrder.filter((point) => point[2] !== null);
    const validation = {
      ...style(i), mode: "markers", name: plain(`${name}, validation`), showlegend: false, x: chosen.map((point) => point[0]), y: chosen.map((point) => point[2]),
      hovertemplate: `λ = %{x}: %{y:.2f} % on validation images<extra>${plain(name)}</extra>`,
    };
    validation.marker = { ...validation.marker, symbol: `${validation.marker.symbol}-open` };
    const test = { ...style(i), mode: "lines+markers", name: plain(name), x, y: inOrder.map((point) => point[1]), hovertemplate: `λ = %{x}: %{y:.2f} %<extra>${plain(name)}</extra>` };
    return chosen.length ? [test, validation] : [test];
  });
  return draw(place, traces, layout("λ", "accuracy (%)"));
}

// Points of one look are of one method on one data set.
function drawTime(place) {
  const several = new Set(runs.map((run) => run.scenario)).size > 1;
  const name = (run) => (several ? `${run.method}, ${run.scenario}` : run.method);
  const traces = [...new Set(runs.map(name))].sort().flatMap((method, i) => {
    const own = listed.filter((run) => name(run) === method);
    if (!own.length) return [];
    return [{
      ...style(i), name: plain(method), mode: "markers", x: own.map((run) => run.seconds), y: own.map((run) => run.accuracy),
      customdata: own.map((run) => run.index), text: own.map((run) => plain(run.place)),
      hovertemplate: "%{text}<br>%{y:.2f} % in %{x:.1f} s<extra></extra>",
    }];
  });
  if (!traces.length) return say(place, "No runs in the list.");
  const settings = layout("seconds", "accuracy (%)");
  return Promise.resolve(draw(place, traces, settings)).then(() => {
    place.removeAllListeners("plotly_click");
    place.on("plotly_click", (event) => openRun(event.points[0].customdata));
  });
}

const PLOTS = [
  { id: "plot-after", draw: drawAfter, on: "picks" },
  { id: "plot-matrices", draw: drawMatrices, on: "picks" },
  { id: "plot-scalings", draw: drawScalings, on: "listing" },
  { id: "plot-time", draw: drawTime, on: "listing" },
];

for (const plot of PLOTS) {
  const place = byId(plot.id);
  let inView = false, old = true;
  plot.refresh = () => {
    old = true;
    if (inView) show();
  };
  const show = () => {
    old = false;
    plot.draw(place);
  };
  document.addEventListener(plot.on, plot.refresh);
  new IntersectionObserver((entries) => {
    inView = entries.at(-1).isIntersecting;
    if (inView && old) show();
  }, { rootMargin: "100px" }).observe(place);
}
for (const id of ["matrix-kind", "matrix-model"]) byId(id).addEventListener("change", PLOTS[1].refresh);

function countPicks() {
  const most = picked.size > MOST_LINES ? `, of which the first ${MOST_LINES} are drawn` : "";
  byId("picked").textContent = `${picked.size} of ${plural(runs.length, "run")} picked${most}. The boxes in the list of runs pick others.`;
}
document.addEventListener("picks", countPicks);
countPicks();
