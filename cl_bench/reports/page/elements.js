"use strict";

// Elements are made here and nowhere else: text is set as text, so nothing that people named can become HTML.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

// A number as it is shown; nothing where there is none.
function shown(value, digits = 2) {
  return typeof value === "number" ? value.toFixed(digits) : "";
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
