"use strict";

// Empty values come last, whichever way is sorted; words are compared as people do, with the numbers in them as numbers.
function compare(one, other, direction) {
  const missing = (value) => value === null || value === undefined || value === "";
  if (missing(one) || missing(other)) return missing(one) - missing(other);
  const order = typeof one === "number" && typeof other === "number"
    ? one - other
    : String(one).localeCompare(String(other), "en", { numeric: true });
  return direction === "ascending" ? order : -order;
}

// The next direction of a column that was clicked: first the one that `header` asks for, then the other.
function nextDirection(header, first) {
  const other = { ascending: "descending", descending: "ascending" };
  return other[header.getAttribute("aria-sort")] || first;
}

function markSorted(header, direction) {
  for (const one of header.parentElement.children) one.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
}

// Whether every word of a search is in the text.
function matches(text, search) {
  const lower = text.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => lower.includes(word));
}
