
"use strict";
(function () {
  var root = document.documentElement;
  var hosts = Array.prototype.slice.call(document.querySelectorAll(".chart"));
  function explain(text) {
    hosts.forEach(function (host) { host.querySelector(".chart-text").append(" " + text); });
  }
  function themed(chart) {
    var look = getComputedStyle(root);
    var ink = look.getPropertyValue("--ink-2").trim(), paper = look.getPropertyValue("--card").trim();
    chart.layout = chart.layout || {};
    chart.layout.font = Object.assign({}, chart.layout.font, { color: ink });
    chart.layout.hoverlabel = Object.assign({}, chart.layout.hoverlabel, { bgcolor: paper, bordercolor: ink });
    chart.layout.title = Object.assign({}, chart.layout.title);
    chart.layout.title.font = Object.assign({}, chart.layout.title.font, { color: look.getPropertyValue("--ink").trim() });
    chart.layout.autosize = true;
    delete chart.layout.width;
    return chart;
  }
  function stacked(chart, width) {
    // Panels side by side need about 120 px each; on a phone they go below one another at their own height.
    var grid = chart.layout.grid, margin = chart.layout.margin;
    if (!grid || grid.columns < 2 || width >= 120 * grid.columns) { return chart; }
    var panels = grid.rows * grid.columns, around = margin.t + margin.b;
    chart.layout.height = around + Math.round((chart.layout.height - around) / grid.rows * panels);
    chart.layout.grid = Object.assign({}, grid, { rows: panels, columns: 1 });
    return chart;
  }
  function draw(host) {
    var target = host.querySelector(".chart-plot");
    var chart = stacked(themed(JSON.parse(host.querySelector("script").textContent)), target.clientWidth);
    var options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
    return Plotly.newPlot(target, chart.data, chart.layout, options).then(function () {
      host.classList.add("drawn");
    });
  }
  function start() {
    hosts.reduce(function (before, host) {
      return before.then(function () { return draw(host); }).catch(function (error) {
        host.querySelector(".chart-text").append(" (this chart could not be drawn: " + error.message + ")");
      });
    }, Promise.resolve()).then(function () { root.dataset.charts = document.querySelectorAll(".chart.drawn").length; });
  }
  if (!hosts.length) { return; }
  var library = document.createElement("script");
  library.src = document.body.dataset.plotly;
  library.onload = start;
  library.onerror = function () {
    explain("(charts need the file " + document.body.dataset.plotly + " beside the runs)");
    root.dataset.charts = "missing";
  };
  document.head.appendChild(library);
}());
