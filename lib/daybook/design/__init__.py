"""The embedded designer: it breeds typed specs and is handed the function that scores them."""

from daybook.design.evolve import propose
from daybook.design.gate import GateRules, Refusal
from daybook.design.request import (
    Candidate,
    DesignError,
    DesignRequest,
    DesignResult,
    Evaluation,
    Parent,
    ScoreFunction,
)
from daybook.design.templates import seed_templates
from daybook.design.words import retold

__all__ = [
    "Candidate",
    "DesignError",
    "DesignRequest",
    "DesignResult",
    "Evaluation",
    "GateRules",
    "Parent",
    "Refusal",
    "ScoreFunction",
    "propose",
    "retold",
    "seed_templates",
]
