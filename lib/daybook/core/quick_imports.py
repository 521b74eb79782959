"""Keep jsonschema's import quick."""

from __future__ import annotations

import sys
from typing import Any


def skip_iri_grammar() -> None:
    """Make jsonschema skip its optional IRI checks: compiling their grammar on import costs 1 to 3 seconds.

    Call it before the first import of jsonschema, nbformat or nbconvert. No schema of ours uses an IRI format.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("rfc3987_syntax", None)
