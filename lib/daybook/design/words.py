"""A spec in plain words: what it trades on, when it enters and leaves, why it might work, and a readable name."""

from __future__ import annotations

from collections.abc import Mapping

from daybook.design.genome import Genome, genome_of
from daybook.strategy import ParameterRange, Strategy
from daybook.strategy.canonical import number_text
from daybook.strategy.nodes import Call, Field, Node, Number, Parameter, walk

_FAMILIES = (
    ("volume", ("volume",)), ("rsi", ("rsi",)), ("zscore", ("zscore",)), ("stochastic", ("stoch",)),
    ("breakout", ("highest", "lowest")), ("quantile", ("rank", "quantile")), ("vwap", ("vwap",)),
    ("range", ("close_position", "argmax", "argmin")), ("momentum", ("roc", "slope", "delta")),
    ("correlation", ("correlation", "skew")), ("streak", ("count",)), ("band", ("std", "atr")),
    ("trend", ("ema", "sma", "wma", "adx", "efficiency_ratio")))
"""Families by the first operator or column that a tree contains, most telling first."""

_REASONS = {
    ("volume", "follow"): "A burst of volume that closes at one end of its range shows one-sided demand that is not "
                          "yet filled; the move may go on while it is worked off.",
    ("volume", "fade"): "A burst of volume against the move may be forced selling or buying that ends with the burst.",
    ("breakout", "follow"): "A price beyond its recent extreme runs into stops and late followers, which may carry it.",
    ("breakout", "fade"): "Beyond a recent extreme there is often little interest; the price may fall back into range.",
    ("", "fade"): "After a stretch of one-sided trading liquidity returns and the price may come back to its mean.",
    ("", "follow"): "Information and position changes spread slowly, so a move that has begun may go on.",
}

_NAMES = {
    "sma": "the {1}-bar mean of {0}", "ema": "the {1}-bar exponential mean of {0}",
    "wma": "the {1}-bar weighted mean of {0}", "std": "the {1}-bar deviation of {0}",
    "skew": "the {1}-bar skewness of {0}", "zscore": "the {1}-bar z-score of {0}", "sum": "the {1}-bar sum of {0}",
    "slope": "the {1}-bar slope of {0}", "highest": "the {1}-bar high of {0}", "lowest": "the {1}-bar low of {0}",
    "argmax": "the age of the {1}-bar high of {0}", "argmin": "the age of the {1}-bar low of {0}",
    "rank": "the {1}-bar percentile rank of {0}", "quantile": "the {2}-quantile of {0} over {1} bars",
    "correlation": "the {2}-bar correlation of {0} and {1}", "efficiency_ratio": "the {1}-bar efficiency ratio of {0}",
    "delay": "{0} {1} bars ago", "delta": "the {1}-bar change of {0}", "roc": "the {1}-bar return of {0}",
    "rsi": "the {1}-bar RSI of {0}", "atr": "the {0}-bar average true range", "adx": "the {0}-bar ADX",
    "stoch": "the place of the close in the {0}-bar range", "vwap": "the {0}-bar volume-weighted price",
    "count": "the number of the last {1} bars on which {0}", "abs": "the size of {0}", "sign": "the sign of {0}",
    "log": "the logarithm of {0}", "min": "the smaller of {0} and {1}", "max": "the larger of {0} and {1}",
    "where": "({1} if {0}, else {2})", "div": "{0} over {1}", "not": "not ({0})",
    "gt": "{0} is above {1}", "lt": "{0} is below {1}", "ge": "{0} is at least {1}", "le": "{0} is at most {1}",
    "eq": "{0} is {1}", "ne": "{0} is not {1}", "cross_above": "{0} crosses above {1}",
    "cross_below": "{0} crosses below {1}",
}
_FIELDS = {"return_1": "the last return", "close_position": "the place of the close in its bar",
           "range": "the bar range",
           "hour": "the hour (UTC)", "weekday": "the weekday", "london": "London is open",
           "newyork": "New York is open", "tokyo": "Tokyo is open", "weekend": "it is the weekend"}
_INFIX = {"add": " plus ", "sub": " minus ", "mul": " times ", "and": " and ", "or": " or "}
_LONGEST = 1900


def said(node: Node, parameters: Mapping[str, ParameterRange]) -> str:
    """An expression in words; a parameter is given by its default and its name."""
    if isinstance(node, Number):
        return number_text(node.value)
    if isinstance(node, Parameter):
        return f"{number_text(parameters[node.name].default)} ({node.name})"
    if isinstance(node, Field):
        return _FIELDS.get(node.name, f"the {node.name}" if node.name != "volume" else "volume")
    parts = [said(argument, parameters) for argument in node.arguments]
    if node.operator in _INFIX:
        mixed = {"and", "or", "add", "sub"} - {node.operator}
        nested = [isinstance(argument, Call) and argument.operator in mixed for argument in node.arguments]
        return _INFIX[node.operator].join(f"({part})" if inner else part
                                          for part, inner in zip(parts, nested, strict=True))
    return _NAMES[node.operator].format(*parts)


def family(strategy: Strategy) -> str:
    """The idea a spec is filed under, by the most telling operator of its entries."""
    entries = [node for signal, node in strategy.expressions.items() if signal.endswith("entry")]
    used = {part.operator if isinstance(part, Call) else getattr(part, "name", "")
            for entry in entries for part in walk(entry)}
    for name, marks in _FAMILIES:
        if used.intersection(marks):
            return name
    return "rule"


def flavour(strategy: Strategy) -> str:
    """`follow` where the long entry buys strength, `fade` where it buys weakness, by a vote of its comparisons."""
    node = strategy.expressions.get("long_entry")
    votes = _votes(node) if node else -_votes(strategy.expressions["short_entry"])
    return "fade" if votes < 0 else "follow"


def _votes(node: Node) -> int:
    if not isinstance(node, Call):
        return 0
    if node.operator in ("and", "or"):
        return sum(_votes(argument) for argument in node.arguments)
    upward = {"gt": 1, "ge": 1, "cross_above": 1, "lt": -1, "le": -1, "cross_below": -1}.get(node.operator, 0)
    undirected = {"volume", "adx", "efficiency_ratio", "std", "atr", "correlation", "hour", "weekday", "skew", "count"}
    main = node.arguments[0]
    name = main.operator if isinstance(main, Call) else getattr(main, "name", "")
    return 0 if name in undirected else upward


def slug(strategy: Strategy, digits: int = 4) -> str:
    """A readable, deterministic name such as `rsi-fade-3fa2`."""
    return f"{family(strategy)}-{flavour(strategy)}-{strategy.identity[:digits]}"


def rationale(strategy: Strategy, genome: Genome) -> str:
    """Two to five plain sentences: entry, exit, short side, why it might work. At most 2,000 characters."""
    ranges, trees, spec = strategy.parameters, strategy.expressions, strategy.spec
    sentences = []
    if "long_entry" in trees:
        sentences.append(f"Buys when {said(trees['long_entry'], ranges)}.")
    if "long_exit" in trees:
        sentences.append(f"Sells again when {said(trees['long_exit'], ranges)}.")
    if genome.mirror and "short_entry" in trees:
        sentences.append("Sells short on the mirror image.")
    elif "short_entry" in trees:
        sentences.append(f"Sells short when {said(trees['short_entry'], ranges)}.")
    stops = [f"{label} {_stop(value, ranges)}" for label, value in
             (("a stop-loss of", spec.stop_loss), ("a take-profit of", spec.take_profit),
              ("a longest holding of", spec.max_holding), ("a trailing stop of", spec.trailing_stop),
              ("a stop at the entry price after a move of", spec.break_even)) if value is not None]
    if stops:
        sentences.append(f"Also closed by {' and '.join(stops)}.")
    kind, way = family(strategy), flavour(strategy)
    sentences.append(_REASONS.get((kind, way)) or _REASONS["", way])
    told = " ".join(sentences)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST].rsplit(' ', 1)[0]} ..."


def retold(strategy: Strategy) -> str:
    """The rationale of any strategy from its rules as they are now, for one whose parameters were tuned."""
    return rationale(strategy, genome_of(strategy))


def _stop(value: float | str, ranges: Mapping[str, ParameterRange]) -> str:
    number = ranges[value].default if isinstance(value, str) else value
    return f"{number:g} bars" if number >= 1 else f"{number * 100:g} percent"
