// @ts-check
// Texts and numbers in the language of the page, which brings the texts that its scripts say.

/** @type {Record<string, string>} */
const known = JSON.parse(document.getElementById("words")?.textContent || "{}");

/** A text; English where the page brings none. @param {string} message
 * @param {Record<string, string>} values of what it inserts: `%(name)s` */
export function _(message, values = {}) {
  return (known[message] ?? message).replace(/%\((\w+)\)s/g, (whole, name) => values[name] ?? whole);
}

/** A number with so many places. @param {number} value @param {number} most @param {number} least */
export function number(value, most, least = most) {
  return value.toLocaleString(document.documentElement.lang, {
    minimumFractionDigits: least, maximumFractionDigits: most, useGrouping: false,
  });
}
