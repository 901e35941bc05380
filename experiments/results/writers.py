"""A table as Markdown, CSV, LaTeX (booktabs) and one figure.

The best number of a column is bold, the second underlined; arrows say which way is better. The CSV has the numbers at
full precision, the others as many digits as can be compared.
"""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path
from typing import Any

from experiments.results.table import SYNTHETIC, Row, Table, column_title, part_title
from fileio.atomic import atomic_path
from fileio.json_yaml import write_text
from pose.metrics.occlusion import PARTS

#: LaTeX of what is not plain text in our headings and settings.
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$",
    "²": "$^2$", "<": r"$<$", ">": r"$>$",
}  # fmt: skip

#: Distinct in colour, on a grey print and to most eyes (Okabe and Ito's palette), with markers for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = "osD^vPX*"


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write table.md, table.csv, table.tex and, where there are some, differences.* and figure.png, figure.pdf; show
    the table; the files' paths."""
    more = table.differences
    whole = markdown_text(table) if more is None else markdown_text(table, more)
    texts = {"table.md": whole, "table.csv": csv_text(table), "table.tex": tex_text(table)}
    if more is not None:
        texts |= {"differences.csv": csv_text(more), "differences.tex": tex_text(more)}
    for name, text in texts.items():
        write_text(folder / name, text, show=name == "table.md")
    files = [folder / name for name in texts]
    if write_figure(table, folder / "figure.png"):
        files += [folder / "figure.png", folder / "figure.pdf"]
    return files


def markdown_text(*tables: Table) -> str:
    """The tables for reading, one below the other; rows that failed say so."""
    marks = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}
    blocks: list[str] = []
    for table in tables:
        rows = []
        for row in table.rows:
            numbers = [
                marks[table.rank(row, key)].format(row.cells[key]) if key in row.cells else "" for key in table.columns
            ]
            rows.append([*row.labels, *numbers, *([row.note] if table.failed else [])])
        blocks.append(f"{'##' if blocks else '#'} {table.title}")
        blocks += [f"**{note}**" for note in table.notes if note == SYNTHETIC]
        blocks.append("\n".join(f"- {note}" for note in table.notes if note != SYNTHETIC))
        head = [*table.labels, *table.columns.values(), *([""] if table.failed else [])]
        blocks += [_grid(head, rows), "Bold: best; underlined: second." if table.ranked else ""]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _grid(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def csv_text(table: Table) -> str:
    """One line per row: labels, runs, state, test data, then mean and standard deviation of each column, or mean and
    ends of the interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = any(cell.interval for row in table.rows for cell in row.cells.values())
    parts = ("", "_low", "_high") if ends else ("", "_std")
    numbers = [f"{column}{part}" for column in table.columns for part in parts]
    writer.writerow([*table.labels, "runs", "state", "data", *numbers])
    for row in table.rows:
        cells: list[Any] = []
        for column in table.columns:
            if (cell := row.cells.get(column)) is None:
                cells += [""] * len(parts)
            else:
                cells += [cell.mean, *(cell.interval or ("" if cell.std is None else cell.std,))]
        writer.writerow([*row.labels, row.runs, row.note or "finished", row.data, *cells])
    return out.getvalue()


def tex_text(table: Table) -> str:
    r"""A `tabular` for \input; the document needs \usepackage{booktabs}."""
    marks = {0: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    width = len(table.labels) + len(table.columns)
    lines = [r"% needs \usepackage{booktabs}", f"% {table.title}"]
    lines += [f"% {line}" for note in table.notes for line in note.splitlines()]
    alignment = "l" * len(table.labels) + "r" * len(table.columns)
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", *_tex_head(table), r"\midrule"]
    for row in table.rows:
        if row.cells:
            cells = [
                marks[table.rank(row, column)].format(_tex(str(row.cells[column]))) if column in row.cells else "--"
                for column in table.columns
            ]
            if row.error is not None:
                cells[-1] += f" ({_tex(row.note)})"
        else:
            cells = [rf"\multicolumn{{{len(table.columns)}}}{{c}}{{{row.note or 'no numbers'}}}"]
        lines.append(_tex_line([*map(_tex, row.labels), *cells]))
    lines.append(r"\bottomrule")
    if SYNTHETIC in table.notes:
        lines.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{_tex(SYNTHETIC)}}}}} \\")
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def _tex_head(table: Table) -> list[str]:
    """The headings; where columns are parts of a metric, the metric stands once above its parts."""
    if not any("/" in column for column in table.columns):
        return [_tex_line(map(_tex, [*table.labels, *table.columns.values()]))]
    above, rules, first = [""] * len(table.labels), [], len(table.labels) + 1
    for metric, group in itertools.groupby(table.columns, key=lambda column: column.partition("/")[0]):
        count = len(list(group))
        above.append(rf"\multicolumn{{{count}}}{{c}}{{{_tex(' '.join(column_title(metric)))}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        first += count
    below = [part_title(column.partition("/")[2]) for column in table.columns]
    return [_tex_line(above), " ".join(rules), _tex_line(map(_tex, [*table.labels, *below]))]


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _tex_line(cells: Any) -> str:
    return " & ".join(cells) + r" \\"


# --- the figure ------------------------------------------------------------------------------------------------------


def write_figure(table: Table, path: Path) -> bool:
    """Draw `table.figure` of the configuration, also as PDF beside `path`; False where there is none, or no row with
    numbers."""
    kind, columns = table.figure["kind"], list(table.figure["columns"]) or list(table.columns)
    drawers = {"bars": _bars, "lengths": _lengths, "differences": _differences}
    if kind == "none":
        return False
    drawn = table.differences if kind == "differences" else table
    rows = [row for row in drawn.rows if row.cells] if drawn else []
    if drawn is None or not rows or not columns:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    drawers[kind](figure, table, rows, columns)
    figure.suptitle(
        table.title if drawn is table else f"{table.title}: {drawn.title[0].lower() + drawn.title[1:]}", fontsize=10
    )
    if SYNTHETIC in table.notes:
        figure.supxlabel("synthetic data", fontsize=8, color="#666666")
    options: dict[str, Any]
    for place, options in ((path, {"dpi": 200}), (path.with_suffix(".pdf"), {"metadata": {"CreationDate": None}})):
        with atomic_path(place) as part:
            figure.savefig(part, format=place.suffix[1:], **options)
    return True


def _bars(figure: Any, table: Table, rows: list[Row], columns: list[str]) -> None:
    """A panel per column, a bar per row, its number beside it; lifted ones are hatched."""
    figure.set_size_inches(1.6 + 1.9 * len(columns), 1.1 + 0.26 * len(rows))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for panel, column, colour in zip(panels, columns, _COLOURS * len(columns), strict=False):
        title, arrow = column_title(column)
        for place, row in enumerate(rows):
            cell = row.cells.get(column)
            if cell is not None:
                light = {"facecolor": "white", "hatch": "////"} if "lifted" in row.labels else {"facecolor": colour}
                panel.barh(place, cell.mean, xerr=cell.std, height=0.7, edgecolor=colour, ecolor="#333333", **light)
                panel.text(cell.mean + (cell.std or 0), place, f" {cell.mean:.1f}", va="center", fontsize=7)
        panel.set_title(f"{title} {arrow}", fontsize=8)
        panel.margins(x=0.28)
        panel.set_xlim(left=0)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), [", ".join(row.labels) for row in rows])
    panels[0].invert_yaxis()


def _differences(figure: Any, table: Table, rows: list[Row], columns: list[str]) -> None:
    """A panel per column, a row's difference and its interval, filled where that leaves out zero."""
    figure.set_size_inches(1.6 + 1.9 * len(columns), 1.3 + 0.26 * len(rows))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for panel, column, colour in zip(panels, columns, _COLOURS * len(columns), strict=False):
        panel.axvline(0, color="#999999", linewidth=0.8)
        for place, row in enumerate(rows):
            if (cell := row.cells.get(column)) is not None:
                low, high = cell.interval or (cell.mean, cell.mean)
                clear = cell.interval is not None and low * high > 0
                panel.plot([low, high], [place, place], color=colour)
                panel.plot(cell.mean, place, "o", color=colour, markerfacecolor=colour if clear else "white")
        panel.set_title(" ".join(column_title(column)), fontsize=8)
        panel.margins(x=0.15, y=0.4)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(rows)), [", ".join(row.labels) for row in rows])
    panels[0].invert_yaxis()


def _lengths(figure: Any, table: Table, rows: list[Row], columns: list[str]) -> None:
    """A panel per metric: errors of visible frames and by the length of the occlusion, a line per row."""
    figure.set_size_inches(3.6 * len(columns), 3.2)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    parts = [part for part in PARTS if part != "occluded"]
    for panel, metric in zip(panels, columns, strict=True):
        title, arrow = column_title(metric)
        for number, row in enumerate(rows):
            cells = [(i, row.cells.get(f"{metric}/{part}")) for i, part in enumerate(parts)]
            known = [(i, cell) for i, cell in cells if cell is not None]
            style = {"color": _COLOURS[number % len(_COLOURS)], "marker": _MARKERS[number % len(_MARKERS)]}
            panel.errorbar(
                [i for i, _ in known], [cell.mean for _, cell in known], [cell.std or 0 for _, cell in known],
                label=", ".join(row.labels), linewidth=1.3, markersize=4,
                linestyle=("-", "--", "-.", ":")[number % 4], **style,
            )  # fmt: skip
        panel.set_xticks(range(len(parts)), [part_title(part).removeprefix("occluded ") for part in parts])
        panel.set_xlabel("length of the occlusion, frames", fontsize=8)
        panel.set_title(f"{title} {arrow}", fontsize=8)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panels[0].legend(fontsize=7, frameon=False)
