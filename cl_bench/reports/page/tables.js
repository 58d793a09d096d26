"use strict";

// The papers' tables stand in the page already; here they learn to be sorted and filtered.
function cellValue(row, column) {
  const cell = row.cells[column];
  return cell.classList.contains("number") ? (cell.dataset.value ? Number(cell.dataset.value) : null) : cell.textContent;
}

function makeSortable(table) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const first = header.classList.contains("number") && header.dataset.best !== "low" ? "descending" : "ascending";
    header.querySelector("button").addEventListener("click", () => {
      const direction = nextDirection(header, first);
      const rows = [...body.rows].sort((a, b) => compare(cellValue(a, column), cellValue(b, column), direction));
      markSorted(header, direction);
      body.append(...rows);
    });
  });
}

function makeFilterable(article) {
  const rows = [...article.querySelector("tbody").rows], count = article.querySelector(".count");
  article.querySelector(".row-filter").addEventListener("input", (event) => {
    for (const row of rows) row.hidden = !matches(row.cells[0].textContent, event.target.value);
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = left === rows.length ? "" : `${left} of ${plural(rows.length, "row")}`;
  });
  article.querySelector(".show-references")?.addEventListener("change", (event) => {
    article.classList.toggle("hide-references", !event.target.checked);
  });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("article.results").forEach(makeFilterable);
