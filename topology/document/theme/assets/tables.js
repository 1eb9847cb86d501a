/* Sortable, filterable tables: plain scripts, no library, nothing fetched. */
(function () {
  "use strict";

  function number(text) {
    var part = text.match(/^[-+]?[\d.,]+/);
    if (!part) { return NaN; }
    return parseFloat(document.documentElement.lang === "id"
      ? part[0].replace(/\./g, "").replace(",", ".") : part[0].replace(/,/g, ""));
  }

  /* An address is sorted by its numbers, other text as people read it. */
  var collator = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });

  function sort(table, column, head) {
    var falling = head.getAttribute("aria-sort") === "ascending";
    var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
    var right = head.style.textAlign === "right";
    var keyed = rows.map(function (row) { return { row: row, text: row.cells[column].textContent.trim() }; });
    keyed.sort(function (a, b) {
      if (!a.text || !b.text) { return (a.text ? 0 : 1) - (b.text ? 0 : 1); }
      var order;
      if (right) {
        order = number(a.text) - number(b.text);
        if (isNaN(order)) { order = collator.compare(a.text, b.text); }
      } else {
        order = collator.compare(a.text, b.text);
      }
      return falling ? -order : order;
    });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) { cell.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    var all = document.createDocumentFragment();
    keyed.forEach(function (item) { all.appendChild(item.row); });
    body.appendChild(all);
  }

  function prepare(box) {
    var table = box.querySelector("table");
    if (!table || !table.tBodies.length || table.tBodies[0].rows.length < 6) { return; }
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      head.tabIndex = 0;
      head.addEventListener("click", function () { sort(table, column, head); });
      head.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(table, column, head); }
      });
    });
    var rows = Array.prototype.slice.call(table.tBodies[0].rows).map(function (row) {
      return { row: row, text: row.textContent.toLowerCase() };
    });
    var line = document.createElement("div"), input = document.createElement("input");
    var count = document.createElement("span"), timer;
    line.className = "filter";
    input.type = "search";
    input.className = "filter__input";
    input.placeholder = document.querySelector("meta[name=filter-label]").content;
    input.setAttribute("aria-label", input.placeholder);
    count.className = "filter__count";
    count.setAttribute("aria-live", "polite");
    function apply() {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
      rows.forEach(function (item) {
        var hit = words.every(function (word) { return item.text.indexOf(word) >= 0; });
        item.row.hidden = !hit;
        shown += hit ? 1 : 0;
      });
      count.textContent = shown + " / " + rows.length;
    }
    input.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(apply, 80); });
    line.appendChild(input);
    line.appendChild(count);
    box.insertBefore(line, box.firstChild);
    box.classList.add("filterable--ready");
    apply();
  }

  function start() { document.querySelectorAll(".filterable").forEach(prepare); }
  if (document.readyState === "loading") { document.addEventListener("DOMContentLoaded", start); } else { start(); }
})();
