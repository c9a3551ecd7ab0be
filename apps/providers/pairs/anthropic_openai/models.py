# SPDX-License-Identifier: Apache-2.0
"""What is known of OpenAI's models by their names, where the form of a request depends on it.

A name that is not known here belongs to some other server: it is asked for what it may be able to do.
"""

import re

_gpt = re.compile(r"^gpt-(\d+)(?:\.(\d+))?")
_mute = re.compile(r"^(?:gpt-3\.5|gpt-4|chatgpt-4)")
_reasons = re.compile(r"^(?:o\d|gpt-5(?!-chat))")
_FIRST_NONE, _FIRST_MINIMAL, _FIRST_BREAKPOINTS = (5, 1), (5, 0), (5, 6)


def version(model: str) -> tuple[int, int] | None:
    """Generation and step of a GPT; None for other models."""
    found = _gpt.match(model)
    return (int(found[1]), int(found[2] or 0)) if found else None


def never_reasons(model: str) -> bool:
    """Whether a model is known to refuse `reasoning_effort`."""
    return _mute.match(model) is not None


def samples(model: str, effort: str | None) -> bool:
    """Whether a model takes temperature and top_p: those that reason do not, unless they can be told not to."""
    if _reasons.match(model) is None:
        return True
    return (version(model) or (0, 0)) >= _FIRST_NONE and effort in {None, "none"}


def least_effort(model: str) -> str:
    """The word for "do not reason" where a model has one; empty where nothing is to be said."""
    found = version(model) or (0, 0)
    if found >= _FIRST_NONE:
        return "none"
    return "minimal" if found >= _FIRST_MINIMAL else ""


def takes_breakpoints(model: str) -> bool:
    """Whether a model takes explicit marks for its prompt cache; others cache by themselves."""
    return (version(model) or (0, 0)) >= _FIRST_BREAKPOINTS
