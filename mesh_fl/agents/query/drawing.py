"""The data of a chart, from the rows of a result."""

from mesh_fl.agents.query.answer import ChartData, Series
from mesh_fl.agents.query.result import Cell, Found


def chart_of(found: Found) -> ChartData | None:
    """Return what a result's chart draws; None where there is nothing to draw."""
    chart = found.chart
    if chart is None:
        return None
    places = {column.name: place for place, column in enumerate(found.columns)}
    if not {*chart.y, *filter(None, (chart.x,))} <= set(places):
        return None
    drawn = [found.columns[places[name]] for name in chart.y]
    series = tuple(
        Series(
            name=column.title,
            unit=column.unit,
            values=tuple(_number(row[places[column.name]]) for row in found.rows),
        )
        for column in drawn
    )
    if chart.x is None:
        return ChartData(kind=chart.kind, x=None, labels=(), series=series)
    along = places[chart.x]
    labels = tuple(_label(row[along]) for row in found.rows)
    return ChartData(kind=chart.kind, x=found.columns[along].title, labels=labels, series=series)


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, int | float) else None


def _label(cell: Cell) -> str:
    return "none" if cell is None else str(cell)
