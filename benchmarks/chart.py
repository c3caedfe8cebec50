"""Bars in groups on a logarithmic scale, as SVG: enough for the pictures of the documentation, and nothing more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

__all__ = ["chart"]

_STYLE = (
    'text { font: 12px "DejaVu Sans", system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2933; }'
    " .title { font-size: 15px; font-weight: 600; } .grid { stroke: #d9e2ec; } .value { font-size: 9px; }"
)
_COLOURS = ("#bcccdc", "#9fb3c8", "#829ab1", "#627d98", "#486581", "#334e68", "#243b53")
_MARKED = "#e8871e"
_WIDTH, _LEFT, _TOP, _HEIGHT, _BELOW = 1000, 66, 70, 260, 60


def chart(title: str, groups: Mapping[str, Mapping[str, float]], *, marked: str) -> str:
    """Return a picture of values above 1.

    Args:
        title: Its title.
        groups: Values by name, by group; each group has the same names.
        marked: The name whose bars stand out.
    """
    names = list(next(iter(groups.values())))
    top = math.ceil(math.log10(max(max(values.values()) for values in groups.values())))
    colours = {name: _MARKED if name == marked else _COLOURS[at] for at, name in enumerate(names)}
    parts = [f'<text x="{_LEFT}" y="24" class="title">{escape(title)}</text>']
    for at, name in enumerate(names):
        x = _LEFT + at * 140
        parts += [f'<rect x="{x}" y="38" width="12" height="12" fill="{colours[name]}"/>']
        parts += [f'<text x="{x + 18}" y="49">{escape(name)}</text>']
    for power in range(top + 1):
        y = _TOP + _HEIGHT * (1 - power / top)
        parts += [f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.0f}" y2="{y:.0f}" class="grid"/>']
        parts += [f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{10**power:,} s</text>']
    step = (_WIDTH - _LEFT - 10) / len(groups)
    bar = (step - 24) / len(names)
    for number, (group, values) in enumerate(groups.items()):
        left = _LEFT + number * step + 12
        for at, (name, value) in enumerate(values.items()):
            height = max(1.0, _HEIGHT * math.log10(max(value, 1.0)) / top)
            x, y = left + at * bar, _TOP + _HEIGHT - height
            parts += [
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar - 2:.1f}" height="{height:.1f}" fill="{colours[name]}"/>'
            ]
            shown = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"  # noqa: PLR2004  two figures
            middle = x + bar / 2 - 1
            parts += [f'<text x="{middle:.1f}" y="{y - 4:.1f}" class="value" text-anchor="middle">{shown}</text>']
        for line, words in enumerate(group.split(", ")):
            y = _TOP + _HEIGHT + 18 + 15 * line
            parts += [f'<text x="{left + step / 2 - 12:.1f}" y="{y}" text-anchor="middle">{escape(words)}</text>']
    size = f"0 0 {_WIDTH} {_TOP + _HEIGHT + _BELOW}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{escape(title)}">'
    back = '<rect width="100%" height="100%" rx="10" fill="#ffffff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", back, *parts, "</svg>"]) + "\n"
