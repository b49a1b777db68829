"""A report as Markdown and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e8ee; }
th { border-bottom: 2px solid #b6c2cf; font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.lead { font-size: 1.05rem; background: #f3f6f9; border-left: 4px solid #1f3a5f; padding: .7rem 1rem; }
.scroll { overflow-x: auto; } figure { display: inline-block; margin: .3rem 1rem .3rem 0; } svg { max-width: 100%; }
@media (prefers-color-scheme: dark) {
  body { background: #11171d; color: #d7dee6; } .lead { background: #1a232c; border-color: #66a5ad; }
  th, td { border-color: #2b3640; } figure { background: #fff; padding: .3rem; }
}
"""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: the first column says what a row is, the others hold figures that are formatted already."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: words, tables, pictures (SVG)."""

    title: str
    words: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    pictures: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A report. `lead`: what it all means, in plain words."""

    title: str
    about: str
    lead: str
    sections: Sequence[Section]

    def markdown(self) -> str:
        """All but the pictures."""
        lines = [f"# {self.title}", "", self.about, "", f"**{self.lead}**", ""]
        for section in self.sections:
            lines += [f"## {section.title}", ""]
            for grid in section.grids:
                lines += [_row(grid.head), _row(["---", *["---:"] * (len(grid.head) - 1)])]
                lines += [*map(_row, grid.rows), ""]
            for words in section.words:
                lines += [words, ""]
        return "\n".join(lines)

    def html(self) -> str:
        """The page."""
        parts = [f"<h1>{escape(self.title)}</h1>", f"<p>{escape(self.about)}</p>"]
        parts.append(f'<p class="lead">{escape(self.lead)}</p>')
        for section in self.sections:
            parts.append(f"<h2>{escape(section.title)}</h2>")
            parts += [_table(grid) for grid in section.grids]
            parts += [f"<p>{escape(words)}</p>" for words in section.words]
            parts += [f"<figure>{picture}</figure>" for picture in section.pictures]
        head = f'<meta charset="utf-8"><title>{escape(self.title)}</title><style>{STYLE}</style>'
        viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        body = "\n".join(parts)
        return f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head>\n<body>\n{body}\n</body></html>\n'


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in grid.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
