"""A reproduction as Markdown and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .published import Table
from .reproduction import Cell

TITLES = ("method", "data set", "published", "ours", "seeds", "difference", "95 % interval", "verdict")


def number(value: float) -> str:
    """A metric with as many digits as its size calls for."""
    return f"{value:.2f}" if abs(value) >= 0.05 else f"{value:.2e}"


def row(cell: Cell) -> tuple[str, ...]:
    """A cell as a line of the table."""
    theirs, verdict = cell.published, cell.verdict
    ours = verdict.ours
    published = f"{number(theirs.mean)} ± {number(theirs.sd)}"
    if not ours.values:
        return theirs.row, theirs.column, published, "-", "0", "-", "-", str(verdict)
    many = len(ours.values) > 1
    found = f"{number(ours.mean)} ± {number(ours.sd)}" if many else number(ours.mean)
    low, high = verdict.interval
    difference = f"{verdict.difference:+.2f}" if abs(theirs.mean) >= 0.05 else f"{verdict.difference:+.1e}"
    interval = f"{number(low)} .. {number(high)}" if many else "-"
    return theirs.row, theirs.column, published, found, str(len(ours.values)), difference, interval, str(verdict)


def markdown(table: Table, cells: Sequence[Cell], command: str) -> str:
    """The page of a table: ours beside theirs, and the command that makes it."""
    lines = [TITLES, ("---",) * len(TITLES), *(row(cell) for cell in cells)]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    counted = sum(len(cell.verdict.ours.values) for cell in cells)
    stopped = sum(cell.would_stop for cell in cells)
    return (
        f"# {table.title}\n\n{table.source}, `{command}`\n\n{body}\n\n"
        f"Of our {counted} runs the published early stop (training accuracy below 40 %, on CIFAR-10 25 %, from the sixth "
        f"epoch on) would have dropped {stopped}.\n"
    )


def picture(table: Table, cells: Sequence[Cell], path: Path) -> None:
    """Ours and theirs side by side, a panel per data set."""
    columns = [column for column in table.columns if any(cell.published.column == column for cell in cells)]
    rows = max(sum(cell.published.column == column for cell in cells) for column in columns)
    figure = Figure(figsize=(4.2 * len(columns), 0.45 * rows + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        shown = [cell for cell in cells if cell.published.column == column]
        for i, cell in enumerate(shown):
            theirs, ours = cell.published, cell.verdict.ours
            axes.errorbar(theirs.mean, i - 0.12, xerr=theirs.sd, fmt="o", color="#888888", label="published", capsize=3)
            axes.plot(ours.values, [i + 0.12] * len(ours.values), "|", color="#0072B2", markersize=9)
            if ours.values:
                axes.plot(ours.mean, i + 0.12, "D", color="#0072B2", label="ours", markersize=5)
        axes.set_yticks(range(len(shown)), [cell.published.row for cell in shown])
        axes.invert_yaxis()
        axes.set(title=column, xlabel="test error (%)" if table.metric == "test_error" else "training loss")
        if table.metric == "train_loss":
            axes.set_xscale("log")
        axes.grid(alpha=0.3, axis="x", linewidth=0.5)
    handles, labels = [], []
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=150)


def save(table: Table, cells: Sequence[Cell], command: str, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.md` and `NAME.png`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, image = folder / f"{table.name}.md", folder / f"{table.name}.png"
    page.write_text(markdown(table, cells, command))
    picture(table, cells, image)
    return page, image
