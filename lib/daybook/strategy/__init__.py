"""Strategies as data: specs with typed expressions, their identity, and the signals they give on bars."""

from daybook.strategy.compiled import Stops, Strategy, parse_spec
from daybook.strategy.errors import ExpressionError, SpecError
from daybook.strategy.fields import fields
from daybook.strategy.operators import operators
from daybook.strategy.parser import parse_expression
from daybook.strategy.plan import SignalPlan, signal_bits
from daybook.strategy.positions import positions_from_bits
from daybook.strategy.spec import ParameterRange, StrategySpec

__all__ = [
    "ExpressionError",
    "ParameterRange",
    "SignalPlan",
    "SpecError",
    "Stops",
    "Strategy",
    "StrategySpec",
    "fields",
    "operators",
    "parse_expression",
    "parse_spec",
    "positions_from_bits",
    "signal_bits",
]
