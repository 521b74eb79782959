"""Daybook: a notebook research workbench for systematic crypto trading.

The parts, lowest first (a part imports only from parts above it in this list):

    core       errors, time, settings, seeds, files, logging, parallel map, published store
    market     bars, candle store, import, quality, the built-in synthetic market
    features   the catalog of causal features and the feature store
    strategy   specs: typed expressions, parameters, stops; their evaluation
    execution  spread and fee as per-bar cost arrays
    backtest   the fused kernel, sweeps, the single-run replay
    design     the evolutionary designer
    models     five daily models, forward validation, three ensembles
    rank       score, pools, archive, trial ledger
    report     report.json, charts, HTML pages, the site of runs
    pipeline   steps of the day, notebook execution, manifest, publish, command line
"""

__version__ = "0.1.0"
