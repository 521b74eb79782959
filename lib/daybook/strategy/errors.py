"""What a person or model is told when a spec or an expression is refused."""

from __future__ import annotations

from daybook.core.errors import UsageError

_EXCERPT = 100


class SpecError(UsageError):
    """A spec that is not valid JSON, has unknown or ill-typed keys, or whose parts do not fit together."""


class ExpressionError(UsageError):
    """An expression that the language does not allow; `at` is the character (0 = first) that the caret marks."""

    def __init__(self, problem: str, *, at: int = 0, text: str = "", where: str = "expression") -> None:
        self.problem, self.at, self.text, self.where = problem, at, text, where
        message = f"{where}: {problem}"
        if text:
            message = f"{where}, character {at + 1}: {problem}\n{_pointed(text, at)}"
        super().__init__(message)

    def within(self, text: str, where: str) -> ExpressionError:
        """The same error, now showing the text it belongs to."""
        return ExpressionError(self.problem, at=self.at, text=text, where=where)


def _pointed(text: str, at: int) -> str:
    """The text, printable characters only and cut around `at`, with a caret below."""
    start = max(0, min(at - _EXCERPT // 2, len(text) - _EXCERPT))
    shown = "".join(char if " " <= char <= "~" else "?" for char in text[start:start + _EXCERPT])
    return f"    {shown}\n    {' ' * (at - start)}^"
