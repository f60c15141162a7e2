"""A picture of many laws: for each scenario the abandon rate against the occupancy, each law a cross of its intervals.

Written with svg.py: typed elements of the SVG standard and no dependency, where matplotlib brings a tree of packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isnan
from xml.sax.saxutils import escape

import svg

from simulator.floor.summary import Estimate, Summary

PANEL_W, PANEL_H = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 42, 42
COLUMNS = 2
LEGEND_ROW, LEGEND_COLUMNS = 20, 4
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
    "#000000",
    "#7f7f7f",
    "#8c564b",
    "#6a3d9a",
    "#b3de1d",
    "#a50f15",
)
FONT = "system-ui, sans-serif"
MOST_ABANDONED = 1.0


def draw(summaries: Sequence[Summary], targets: dict[str, float]) -> str:
    """All scenarios' panels as one SVG; `targets` are the abandon rates that are not to be exceeded."""
    scenarios = list(dict.fromkeys(each.scenario for each in summaries))
    policies = list(dict.fromkeys(each.policy for each in summaries))
    colours = {policy: COLOURS[place % len(COLOURS)] for place, policy in enumerate(policies)}
    columns = min(COLUMNS, len(scenarios))
    rows = ceil(len(scenarios) / columns)
    legend_h = LEGEND_ROW * ceil(len(policies) / LEGEND_COLUMNS) + 12
    width, height = max(columns, 2) * PANEL_W, rows * PANEL_H + legend_h
    elements: list[svg.Element] = [svg.Rect(width=width, height=height, fill="white")]
    elements += _legend(colours, width)
    for place, scenario in enumerate(scenarios):
        panel = _panel([each for each in summaries if each.scenario == scenario], targets[scenario], colours)
        x, y = place % columns * PANEL_W, place // columns * PANEL_H + legend_h
        elements.append(svg.G(transform=[svg.Translate(x, y)], elements=panel))
    return str(svg.SVG(viewBox=svg.ViewBoxSpec(0, 0, width, height), elements=elements))


def _legend(colours: dict[str, str], width: int) -> list[svg.Element]:
    found: list[svg.Element] = []
    for place, (policy, colour) in enumerate(colours.items()):
        x = 12 + place % LEGEND_COLUMNS * width / LEGEND_COLUMNS
        y = 14 + place // LEGEND_COLUMNS * LEGEND_ROW
        found += [svg.Circle(cx=x, cy=y, r=5, fill=colour), _text(policy, x + 10, y + 4, 12)]
    return found


def _panel(summaries: Sequence[Summary], target: float, colours: dict[str, str]) -> list[svg.Element]:
    most = min(MOST_ABANDONED, max([2 * target, *(each.abandon.high for each in summaries)]) * 1.05)
    least = max(0.0, min(each.occupancy.value for each in summaries) - 0.08)
    across, up = PANEL_W - LEFT - RIGHT, PANEL_H - TOP - BOTTOM

    def x(abandon: float) -> float:
        return LEFT + min(abandon, most) / most * across

    def y(occupancy: float) -> float:
        return TOP + (1 - (min(max(occupancy, least), 1.0) - least) / (1 - least)) * up

    found: list[svg.Element] = [
        _text(summaries[0].scenario, LEFT, TOP - 22, 14, "bold"),
        svg.Rect(x=x(0), y=TOP, width=x(target) - x(0), height=up, fill="#e8f4ea"),
        svg.Rect(x=LEFT, y=TOP, width=across, height=up, fill="none", stroke="#999999"),
        _text("abandoned of answered, %", LEFT + across / 2, PANEL_H - 8, 11, anchor="middle"),
        _text("occupancy, %", LEFT, TOP - 6, 11),
    ]
    for share in _ticks(0.0, most):
        found += [_line(x(share), TOP + up, x(share), TOP + up + 4, "#999999", 1)]
        found += [_text(f"{share * 100:g}", x(share), TOP + up + 16, 10, anchor="middle")]
    for share in _ticks(least, 1.0):
        found += [_line(LEFT - 4, y(share), LEFT, y(share), "#999999", 1)]
        found += [_text(f"{share * 100:g}", LEFT - 8, y(share) + 4, 10, anchor="end")]
    for each in summaries:
        colour, abandon, occupancy = colours[each.policy], each.abandon, _known(each.occupancy)
        middle_x, middle_y = x(abandon.value), y(occupancy.value)
        found += [
            _line(x(abandon.low), middle_y, x(abandon.high), middle_y, colour, 1.5),
            _line(middle_x, y(occupancy.low), middle_x, y(occupancy.high), colour, 1.5),
            svg.Circle(
                cx=middle_x, cy=middle_y, r=4.5, fill=colour, elements=[svg.Title(text=escape(each.policy))]
            ),
        ]
    return found


def _known(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, estimate.value, estimate.value) if isnan(estimate.low) else estimate


def _ticks(low: float, high: float) -> list[float]:
    """Round shares between two, at most seven."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if (high - low) / step <= 7:
            break
    first = ceil(low / step - 1e-9)
    return [round(place * step, 4) for place in range(first, int(high / step + 1e-9) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> svg.Line:
    return svg.Line(
        x1=round(x1, 1), y1=round(y1, 1), x2=round(x2, 1), y2=round(y2, 1), stroke=colour, stroke_width=width
    )


def _text(
    what: str, x: float, y: float, size: int, weight: str = "normal", anchor: str = "start"
) -> svg.Text:
    return svg.Text(
        text=escape(what),  # svg.py writes it as it comes
        x=round(x, 1),
        y=round(y, 1),
        font_family=FONT,
        font_size=size,
        font_weight=weight,  # type: ignore[arg-type]
        text_anchor=anchor,  # type: ignore[arg-type]
        fill="#222222",
    )
