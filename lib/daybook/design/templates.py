"""Classic ideas, written by hand: the first population of a search that has nothing to start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daybook.core.time import TIMEFRAMES
from daybook.design.genome import Genome, strategy_of
from daybook.strategy import ParameterRange, Strategy, parse_expression


def _window(low: int, default: int, high: int) -> ParameterRange:
    return ParameterRange(low=float(low), high=float(high), default=float(default), integer=True)


def _level(low: float, default: float, high: float) -> ParameterRange:
    return ParameterRange(low=low, high=high, default=default)


_TEMPLATES: dict[str, dict[str, Any]] = {
    "rsi-reversion": {
        "entry": "rsi(close, period) < level", "exit": "rsi(close, period) > 50",
        "parameters": {"period": _window(5, 14, 30), "level": _level(15.0, 28.0, 40.0)}, "stop_loss": 0.03},
    "rsi-turn": {
        "entry": "cross_above(rsi(close, period), level)", "exit": "rsi(close, period) > 60",
        "parameters": {"period": _window(5, 10, 30), "level": _level(20.0, 30.0, 40.0)}, "stop_loss": 0.03},
    "ema-cross": {
        "entry": "cross_above(ema(close, fast), ema(close, slow))",
        "exit": "cross_below(ema(close, fast), ema(close, slow))",
        "parameters": {"fast": _window(5, 12, 25), "slow": _window(26, 48, 90)}},
    "macd-signal": {
        "entry": "cross_above(ema(close, fast) - ema(close, slow), sma(ema(close, fast) - ema(close, slow), 9))",
        "exit": "ema(close, fast) < ema(close, slow)",
        "parameters": {"fast": _window(6, 12, 20), "slow": _window(21, 26, 60)}, "stop_loss": 0.03},
    "bollinger-breakout": {
        "entry": "cross_above(close, sma(close, window) + width * std(close, window))",
        "exit": "close < sma(close, window)",
        "parameters": {"window": _window(10, 20, 60), "width": _level(1.0, 2.0, 3.5)}},
    "bollinger-reversion": {
        "entry": "close < sma(close, window) - width * std(close, window) and adx(14) < 25",
        "exit": "close > sma(close, window)",
        "parameters": {"window": _window(10, 30, 60), "width": _level(1.5, 2.2, 3.5)}, "stop_loss": 0.03},
    "donchian-breakout": {
        "entry": "close > highest(delay(high, 1), window)", "exit": "close < lowest(delay(low, 1), leave)",
        "parameters": {"window": _window(20, 55, 120), "leave": _window(5, 20, 60)}},
    "volume-surge": {
        "entry": "volume > surge * sma(volume, 240) and close_position > place",
        "parameters": {"surge": _level(2.0, 5.0, 10.0), "place": _level(0.7, 0.85, 0.95)}, "max_holding": 15},
    "volume-exhaustion": {
        "entry": "volume > surge * sma(volume, 120) and close_position < 0.2 and zscore(close, 60) < -depth",
        "exit": "zscore(close, 60) > 0",
        "parameters": {"surge": _level(1.5, 3.0, 6.0), "depth": _level(0.5, 1.5, 3.0)}, "stop_loss": 0.03},
    "session-momentum": {
        "entry": "roc(close, window) > strength * std(return_1, 120) and (london or newyork)",
        "exit": "roc(close, window) < 0",
        "parameters": {"window": _window(6, 20, 60), "strength": _level(1.0, 3.0, 6.0)}, "stop_loss": 0.03},
    "volatility-breakout": {
        "entry": "close > delay(close, 1) + width * atr(14) and atr(14) > atr(48)", "exit": "close < ema(close, 20)",
        "parameters": {"width": _level(0.8, 1.5, 3.0)}, "stop_loss": 0.02},
    "zscore-reversion": {
        "entry": "zscore(close, window) < -depth", "exit": "zscore(close, window) > 0",
        "parameters": {"window": _window(20, 60, 180), "depth": _level(1.5, 2.2, 3.5)}, "stop_loss": 0.03},
    "vwap-reversion": {
        "entry": "close < vwap(window) - width * atr(14)", "exit": "close > vwap(window)",
        "parameters": {"window": _window(30, 60, 240), "width": _level(1.0, 2.5, 5.0)}, "stop_loss": 0.03},
    "squeeze-breakout": {
        "entry": "rank(std(close, 20), 120) < calm and close > highest(delay(high, 1), window)",
        "parameters": {"calm": _level(0.1, 0.3, 0.6), "window": _window(5, 10, 30)}, "stop_loss": 0.02,
        "max_holding": 30},
    "trend-pullback": {
        "entry": "slope(close, 120) > 0 and rsi(close, 5) < level", "exit": "rsi(close, 5) > 60",
        "parameters": {"level": _level(15.0, 28.0, 40.0)}, "stop_loss": 0.03},
    "efficient-trend": {
        "entry": "efficiency_ratio(close, window) > level and roc(close, window) > 0",
        "exit": "roc(close, window) < 0",
        "parameters": {"window": _window(10, 30, 90), "level": _level(0.25, 0.4, 0.6)}},
    "stochastic-turn": {
        "entry": "cross_above(stoch(window), level) and close > sma(close, 120)", "exit": "stoch(window) > 0.85",
        "parameters": {"window": _window(8, 14, 40), "level": _level(0.1, 0.2, 0.35)}, "stop_loss": 0.03},
    "up-streak-fade": {
        "entry": "count(close < open, 8) >= streak and volume < sma(volume, 60)", "exit": "close > sma(close, 8)",
        "parameters": {"streak": _window(5, 7, 8)}, "max_holding": 24},
}


def template_genomes(timeframes: Sequence[str] = TIMEFRAMES) -> dict[str, Genome]:
    """Name -> genome of each hand-written idea; the short side mirrors the long one."""
    genomes = {}
    for name, template in _TEMPLATES.items():
        parameters = template["parameters"]
        trees = {f"long_{side}": parse_expression(template[side], parameters, where=name)
                 for side in ("entry", "exit") if side in template}
        genomes[name] = Genome(trees, parameters, True, template.get("stop_loss"), None, template.get("max_holding"),
                               tuple(timeframes))
    return genomes


def seed_templates(timeframes: Sequence[str] = TIMEFRAMES) -> tuple[Strategy, ...]:
    """The hand-written ideas as strategies, in a fixed order."""
    made = (strategy_of(genome, name) for name, genome in template_genomes(timeframes).items())
    return tuple(strategy for strategy in made if strategy is not None)
