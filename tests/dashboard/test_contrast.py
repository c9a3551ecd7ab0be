# SPDX-License-Identifier: Apache-2.0
"""Every pair of ink and ground in tokens.css reaches its WCAG 2.2 ratio, in the light and in the dark theme."""

import re
from pathlib import Path

import pytest

TOKENS = (Path(__file__).resolve().parents[2] / "static" / "tokens.css").read_text()
PAIR = re.compile(r"--([a-z0-9-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
COLOURS = {name: (light, dark) for name, light, dark in PAIR.findall(TOKENS)}
GROUNDS = ("canvas", "surface", "sunken", "raised", "hover")
VERDICTS = ("allow", "redact", "block", "hold")
TEXT = [(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in GROUNDS]
TEXT += [(ink, "brand-soft") for ink in ("ink", "ink-2", "brand")]
TEXT += [("brand", ground) for ground in GROUNDS] + [("brand-hover", "surface")]
TEXT += [("on-brand", "brand"), ("on-brand", "brand-hover"), ("canvas", "ink")]
TEXT += [(verdict, f"{verdict}-soft") for verdict in VERDICTS]
TEXT += [(verdict, ground) for verdict in VERDICTS for ground in ("canvas", "surface", "hover")]
MARKS = [("control", ground) for ground in ("canvas", "surface")]
MARKS += [(f"{verdict}-solid", "surface") for verdict in VERDICTS]
MARKS += [("ramp-1", "surface"), ("ramp-2", "surface"), ("brand", "canvas")]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    """The contrast ratio of two colours."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_the_formula_gives_the_ends_of_the_scale() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT, ids="-on-".join)
def test_words_can_be_read(ink: str, ground: str, theme: int) -> None:
    assert ratio(COLOURS[ink][theme], COLOURS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("mark", "ground"), MARKS, ids="-on-".join)
def test_borders_and_marks_can_be_seen(mark: str, ground: str, theme: int) -> None:
    assert ratio(COLOURS[mark][theme], COLOURS[ground][theme]) >= 3


def test_raw_colours_live_in_the_tokens_alone() -> None:
    static = Path(__file__).resolve().parents[2] / "static"
    for name in ("app.css", "admin.css"):
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*;)", (static / name).read_text()) == []
