"""Results that show as a table: text in a terminal, HTML in a notebook."""

from .escapes import NO_FORMULAS, in_html, one_line


class Table:
    """Shows `rows()`: the first is the header, and the first column names the row."""

    def rows(self):
        raise NotImplementedError

    def __repr__(self) -> str:
        rows = [[one_line(cell) for cell in row] for row in self.rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join(
                [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
            ).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        head, *rows = [[in_html(cell) for cell in row] for row in self.rows()]
        lines = ["<tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr>"]
        lines += [
            f'<tr><th scope="row" style="text-align:left">{row[0]}</th>'
            + "".join(f"<td>{cell}</td>" for cell in row[1:])
            + "</tr>"
            for row in rows
        ]
        body = "".join(lines)
        kind = f" {NO_FORMULAS}" if "$" in body or "\\" in body else ""
        return f"<table{kind}>{body}</table>"


def table(rows) -> Table:
    """A table of the given rows."""
    found = Table()
    found.rows = lambda: rows
    return found
