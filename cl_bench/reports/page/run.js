"use strict";

// Everything about one run, built when it is opened.
let lines = null;

function details(index) {
  lines ??= byId("details").textContent.trim().split("\n");
  return JSON.parse(lines[index]);
}

function flatten(value, under = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return [[under, Array.isArray(value) ? JSON.stringify(value) : String(value)]];
  }
  return Object.entries(value).flatMap(([name, item]) => flatten(item, under ? `${under}.${name}` : name));
}

function grid(head, body, classes = "") {
  const cells = (row) => row.map((value, i) => element(i ? "td" : "th", { scope: i ? null : "row", class: i && typeof value === "number" ? "number" : null }, value ?? ""));
  return element("div", { class: "scroll", tabindex: 0 }, element(
    "table",
    { class: classes },
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...body.map((row) => element("tr", {}, ...cells(row)))),
  ));
}

// From white to blue; the contrast of the text is 4.6 at least.
function shade(value) {
  const part = Math.max(0, Math.min(1, value / 100));
  const mix = (light, dark) => Math.round(light + (dark - light) * part);
  return `background: rgb(${mix(255, 8)} ${mix(255, 81)} ${mix(255, 156)}); color: ${part > 0.76 ? "#fff" : "#000"}`;
}

function rowNames(matrix, all) {
  const joint = matrix.length === 2 && all.tasks.length > 1;
  return matrix.map((_, i) => (i === 0 ? "zero-shot" : joint ? "all tasks at once" : `after ${all.task_names ? all.task_names[i - 1] : `task ${i}`}`));
}

// Domains and data sets are called by their names, tasks of classes by their numbers.
function matrixTable(matrix, all) {
  const tasks = all.tasks, names = rowNames(matrix, all), joint = matrix.length !== tasks.length + 1;
  const made = grid(["", ...(all.task_names ?? tasks.map((_, j) => j + 1))], matrix.map((row, i) => [names[i], ...row.map((value) => shown(value, 1))]), "matrix");
  [...made.querySelectorAll("tbody tr")].forEach((line, i) => [...line.cells].slice(1).forEach((cell, j) => {
    if (matrix[i][j] === null) return;
    cell.style.cssText = shade(matrix[i][j]);
    cell.title = tasks[j][0];
    if (i > 0 && (j < i || joint)) cell.className = "learned";
  }));
  return made;
}

function section(title, open, ...children) {
  return element("details", { open }, element("summary", {}, title), ...children);
}

function openRun(index) {
  const run = runs[index], all = details(index);
  const spoken = { task_agnostic: "among all classes", task_aware: "among the task's classes" };
  const matrices = Object.entries(all.matrix).filter(([, kinds]) => kinds).flatMap(([model, kinds]) =>
    Object.entries(kinds).map(([kind, matrix]) => section(
      `Accuracy matrix, ${model}, ${spoken[kind]}`, model === "merged" && kind === run.kind, matrixTable(matrix, all),
    )));
  const facts = [
    ["accuracy", all.unchosen ? `of each λ, below: none was chosen. ${all.unchosen}.` : run.accuracy === null ? "none among all classes" : `${shown(run.accuracy)} % (${run.kind.replace("_", "-")}, ${run.split} images)`],
    ["method", `${run.method}: ${run.trainer} + ${run.merger}${run.scaling === null ? "" : `, λ = ${run.scaling}`}`],
    ...Object.entries(all.left_out).map(([kind, reason]) => [`${kind.replace("_", "-")} left out`, reason]),
    ...all.notes.map((note) => ["note", note]),
    ["scenario", `${run.scenario}, ${plural(run.tasks, "task")}`],
    ["seed", run.seed],
    ["fingerprint of the training", all.fingerprint],
    ["devices", `${all.devices.count} × ${all.devices.kind}`],
    ...all.datasets.map((data) => [`data set ${data.name}`, `split ${data.split}, SHA-256 of the images ${data.images}`]),
  ];
  byId("run-title").textContent = run.place;
  byId("run-content").replaceChildren(
    element("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    ...matrices,
    ...(run.scalings.length ? [section("Each λ", true, grid(["λ", "accuracy", "on validation images"], run.scalings))] : []),
    all.unchosen ? "" : section("Metrics", false, grid(["metric", ...Object.keys(all.metrics)], Object.keys(all.metrics[run.kind]).map((name) => [name, ...Object.values(all.metrics).map((of) => of[name])]))),
    section("Time and memory", false,
      grid(["stage", "seconds", "peak MiB"], Object.keys(all.seconds).map((stage) => [stage, all.seconds[stage], all.memory[stage]])),
      grid(["training of task", "seconds", "peak MiB", "steps", "from the store"], all.training.map((row, i) => [i + 1, ...row.slice(0, 3), row[3] ? "yes" : "no"]))),
    section("Tasks", false, grid(["task", "name", "classes", "test images", "training images"], all.tasks.map((task, i) => [i + 1, ...task]), "wrap")),
    section("Configuration", false, grid(["setting", "value"], flatten(all.config), "wrap")),
    section("Versions", false, grid(["package", "version"], Object.entries(all.versions))),
  );
  byId("run").showModal();
  byId("run").scrollTop = 0;
}
