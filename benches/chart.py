"""The race as a picture: bars of rows a second per core, on a logarithmic scale."""

import math
import re

import pygal
from pygal.style import Style

# The page behind the picture is light or dark, as its reader has it.
INKS = """
    #chart-race text, #chart-race text.title, #chart-race .text-overlay .color-0 text { fill: #24292f !important }
    #chart-race .text-overlay text.value { text-anchor: start !important }
    #chart-race .axis .guide.line { stroke: #8c959f !important; stroke-opacity: .5 }
    @media (prefers-color-scheme: dark) {
        #chart-race text, #chart-race text.title, #chart-race .text-overlay .color-0 text { fill: #e6edf3 !important }
    }
"""
FLOOR, INTAKE, OTHERS = "#8c959f", "#2da44e", "#4184e4"


def drawn(rates):
    """An SVG of rows a second per core by competitor; the same rates give the same bytes."""
    style = Style(background="transparent", plot_background="transparent", opacity="1", opacity_hover="1",
                  font_family="system-ui, sans-serif", label_font_size=13, major_label_font_size=13, value_font_size=13,
                  title_font_size=16, colors=(INTAKE,))
    config = pygal.Config(js=[], css=["file://style.css", "file://graph.css", f"inline:{INKS}"])
    powers = range(math.floor(math.log10(min(rates.values()))), math.ceil(math.log10(max(rates.values()))) + 1)
    chart = pygal.HorizontalBar(config, style=style, logarithmic=True, show_legend=False, print_values=True,
                                print_values_position="top", width=900, height=90 + 34 * len(rates), truncate_label=-1,
                                title="Small rows written a second per core (logarithmic)",
                                range=(10 ** powers[0], 10 ** powers[-1] * 2), zero=10 ** powers[0], disable_xml_declaration=True,
                                value_formatter=lambda rate: f"{rate:,.0f}")
    chart.y_labels = [10**power for power in powers]
    chart.uuid = "race"
    # The first bar stands at the bottom.
    bars = sorted(rates.items(), key=lambda bar: bar[1])
    chart.x_labels = [name for name, _ in bars]
    chart.add("", [{"value": rate, "color": color(name)} for name, rate in bars])
    # pygal writes the day into a comment.
    return re.sub(r" on \d{4}-\d\d-\d\d-->", "-->", chart.render(is_unicode=True)) + "\n"


def color(name):
    """A competitor's colour."""
    return FLOOR if name == "the floor" else INTAKE if name.startswith("Intake") else OTHERS
