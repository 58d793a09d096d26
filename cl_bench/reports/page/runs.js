"use strict";

// The list of runs. Only one page of it is in the document at a time.
const PER_PAGE = 50;
const MOST_PICKED = 12;
const runs = JSON.parse(byId("entries").textContent);
const SETTINGS_DIFFER = runs.some((run) => run.settings);
const COLUMNS = [
  { name: "method", key: "method" },
  ...(SETTINGS_DIFFER ? [{ name: "settings", key: "settings" }] : []),
  { name: "scenario", key: "scenario" },
  { name: "trainer", key: "trainer" },
  { name: "merger", key: "merger" },
  { name: "λ", key: "scaling", digits: null },
  { name: "seed", key: "seed", digits: 0 },
  { name: "accuracy", key: "accuracy", digits: 2, first: "descending" },
  { name: "forgetting", key: "forgetting", digits: 2 },
  { name: "seconds", key: "seconds", digits: 1 },
  { name: "memory", key: "memory", digits: 0 },
  { name: "folder", key: "place" },
];
const PICK_LISTS = ["sweep", "scenario", "encoder", "method", "trainer", "merger", "seed", "split"];

runs.forEach((run, index) => {
  run.index = index;
  run.text = [run.place, run.sweep, run.scenario, run.method, run.settings, run.encoder, run.trainer, run.merger, `seed ${run.seed}`, run.split].join(" ");
});

let listed = [...runs];
let page = 0;
let sorted = null;
const picked = new Set(firstPicks());

// To begin with: one run of each method on the first scenario, with the first encoder and head.
function firstPicks() {
  const methods = new Map();
  for (const run of runs) {
    if (run.scenario === runs[0].scenario && run.encoder === runs[0].encoder && !methods.has(run.method)) methods.set(run.method, run.index);
  }
  return [...methods.values()].slice(0, 8);
}

// What a line of a plot is called: what tells the runs apart, and no more.
function runName(run) {
  const parts = [run.method, ...(run.settings ? [run.settings] : [])];
  if (new Set(runs.map((one) => one.scenario)).size > 1) parts.push(run.scenario);
  parts.push(`seed ${run.seed}`);
  return parts.join(", ");
}

function numberText(value, digits) {
  return digits === null ? String(value ?? "") : shown(value, digits);
}

function header(column) {
  const cell = element("th", { scope: "col", class: column.digits === undefined ? null : "number" });
  const sort = () => {
    const direction = nextDirection(cell, column.first || "ascending");
    markSorted(cell, direction);
    sorted = { key: column.key, direction };
    list();
  };
  cell.append(element("button", { type: "button", onclick: sort }, column.name));
  return cell;
}

function row(run) {
  const cells = COLUMNS.slice(1).map((column) => element(
    "td",
    { class: column.digits === undefined ? null : "number" },
    column.digits === undefined ? run[column.key] : numberText(run[column.key], column.digits),
  ));
  const open = element("button", { type: "button", class: "open", "aria-label": `open ${run.place}`, onclick: () => openRun(run.index) }, run.method);
  const pick = element("input", {
    type: "checkbox", checked: picked.has(run.index), "aria-label": `pick ${run.place}`, onchange: () => togglePick(run.index),
  });
  const name = element("th", { scope: "row" }, open);
  return element("tr", { class: picked.has(run.index) ? "picked" : null }, element("td", {}, pick), name, ...cells);
}

function togglePick(index) {
  if (!picked.delete(index)) picked.add(index);
  changePicks();
}

function changePicks() {
  showPage();
  document.dispatchEvent(new Event("picks"));
}

function list() {
  const search = byId("run-search").value;
  const lists = PICK_LISTS.map((key) => [key, byId(`pick-${key}`)?.value ?? ""]);
  listed = runs.filter((run) => matches(run.text, search) && lists.every(([key, value]) => value === "" || String(run[key]) === value));
  if (sorted) listed.sort((a, b) => compare(a[sorted.key], b[sorted.key], sorted.direction));
  page = 0;
  showPage();
  document.dispatchEvent(new Event("listing"));
}

function shownRuns() {
  return listed.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
}

function showPage() {
  const pages = Math.max(1, Math.ceil(listed.length / PER_PAGE)), focused = document.activeElement?.getAttribute("aria-label");
  byId("run-table").tBodies[0].replaceChildren(...shownRuns().map(row));
  if (focused) byId("run-table").querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  byId("run-count").textContent = listed.length === runs.length ? plural(runs.length, "run") : `${listed.length} of ${plural(runs.length, "run")}`;
  byId("page-number").textContent = `Page ${page + 1} of ${pages}`;
  byId("page-before").disabled = page === 0;
  byId("page-after").disabled = page >= pages - 1;
}

function turnPage(by) {
  page += by;
  showPage();
}

function pickList(key) {
  const values = [...new Set(runs.map((run) => run[key]))].sort((a, b) => compare(a, b, "ascending"));
  if (values.length < 2) return [];
  const options = values.map((value) => element("option", { value }, value));
  const select = element("select", { id: `pick-${key}`, onchange: list }, element("option", { value: "" }, "all"), ...options);
  return [element("label", {}, `${key} `, select)];
}

byId("run-table").tHead.append(element("tr", {}, element("td", {}), ...COLUMNS.map(header)));
byId("run-filters").append(...PICK_LISTS.flatMap(pickList));
byId("run-search").addEventListener("input", list);
byId("page-before").addEventListener("click", () => turnPage(-1));
byId("page-after").addEventListener("click", () => turnPage(1));
byId("pick-none").addEventListener("click", () => { picked.clear(); changePicks(); });
byId("pick-shown").addEventListener("click", () => {
  picked.clear();
  for (const run of shownRuns().slice(0, MOST_PICKED)) picked.add(run.index);
  changePicks();
});
showPage();
