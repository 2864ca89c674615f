"""Controls beside what a function shows: `explore(show, keep=[0.9, 0.5], seed=0)`.

`show` gets a value for each control and returns what is to be seen: a `Picture`, a table, a text,
or a list of those. What it shows at the start stays in the notebook for readers without a kernel,
and is hidden while the controls are there.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..measuring.escapes import NO_FORMULAS, in_html

LONGEST = 5000  # characters of a text that is shown


class Page:
    """What `show` returned at the start, for readers without a running kernel."""

    def __init__(self, shown):
        self.shown, self.hidden_by = shown, ""

    def _repr_html_(self) -> str:
        return f'<div class="{self.hidden_by}">{_html(self.shown)}</div>'

    def __repr__(self) -> str:
        parts = self.shown if isinstance(self.shown, list) else [self.shown]
        return "\n".join(map(str, parts))


def explore(show: Callable, start: dict | None = None, **controls) -> None:
    """Show `show(**values)` with a control for each value, which answers when it is moved.

    A control is given by what it can be: a list of numbers is a slider over them, a list of texts a
    row of buttons, a text a field to type in, a whole number a button that counts up ("again": a
    new seed), a bool tensor of two dimensions a grid of boxes to tick, with a button for each row,
    named after the control, and one for all. start: values to begin with, where not the first of a
    list. A `ValueError` of `show` is shown as a sentence.

    Raises `ValueError` if a control cannot be made of what is given.
    """
    begin = {name: _first(name, given) for name, given in controls.items()} | (start or {})
    unknown = begin.keys() - controls.keys()
    if unknown:
        raise ValueError(f"start: has {sorted(unknown)}, must have names of controls only")
    for name, given in controls.items():
        if _is_grid(given) and not (_is_grid(begin[name]) and begin[name].shape == given.shape):
            raise ValueError(f"start: has another shape or type for {name!r}, must be as the grid")
    page = Page(_shown(show, begin))
    try:
        from IPython.display import display
    except ImportError:
        print(page)
        return
    try:
        live = _live(show, begin, controls, page)
    except ImportError:
        live = None
    display(page)
    if live is not None:
        display(live)


def _first(name: str, given):
    if isinstance(given, list) and given:
        return given[0]
    if _is_grid(given) or isinstance(given, (str, int)) and not isinstance(given, bool):
        return given
    raise ValueError(
        f"{name}: is {given!r}, must be a list, a text, a whole number, or a bool tensor of two "
        f"dimensions"
    )


def _is_grid(given) -> bool:
    return (
        isinstance(given, Tensor)
        and given.dtype == torch.bool
        and given.dim() == 2
        and given.numel() > 0
    )


def _shown(show: Callable, values: dict):
    try:
        return show(**values)
    except ValueError as error:
        return str(error)


def _html(shown) -> str:
    if isinstance(shown, list):
        return "".join(map(_html, shown))
    if hasattr(shown, "_repr_html_"):
        return shown._repr_html_()
    lines = "<br>".join(in_html(line, LONGEST) for line in str(shown).split("\n"))
    return f"<p {NO_FORMULAS}>{lines}</p>"


def _live(show: Callable, begin: dict, controls: dict, page: Page):
    """The controls and the answer, which hide the page; `ImportError` without ipywidgets."""
    import ipywidgets

    class Explorer(ipywidgets.VBox):
        def __repr__(self) -> str:  # what stands in a notebook that is not running
            return "To try other values, run this cell."

    made = {name: _control(name, given, begin[name]) for name, given in controls.items()}
    answer, style = ipywidgets.HTML(), ipywidgets.HTML(layout=ipywidgets.Layout(display="none"))
    answer.layout.width = "auto"
    counts = {name: begin[name] for name, given in controls.items() if isinstance(given, int)}

    def update(_=None):
        values = {name: counts.get(name, getattr(c, "value", None)) for name, c in made.items()}
        answer.value = f'<div aria-live="polite">{_html(_shown(show, values))}</div>'

    def count(name):
        def pressed(_):
            counts[name] += 1
            update()

        return pressed

    for name, control in made.items():
        if name in counts:
            control.on_click(count(name))
        else:
            control.observe(update, "value")
    update()
    row = ipywidgets.HBox(list(made.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
    live = Explorer([style, row, answer])
    live.add_class("pruning-lessons-explore")
    answer.add_class("pruning-lessons-answer")
    page.hidden_by = f"pruning-lessons-explore-{live.model_id}"
    style.value = f"<style>.{page.hidden_by}{{display:none}}</style>"
    return live


def _control(name: str, given, value):
    import ipywidgets

    said = name.replace("_", " ")
    style, wide = {"description_width": "initial"}, ipywidgets.Layout(width="auto")
    if isinstance(given, str):
        field = ipywidgets.Layout(width="420px")
        return ipywidgets.Text(
            value, description=said, continuous_update=False, layout=field, style=style
        )
    if isinstance(given, int):
        return ipywidgets.Button(description=said, layout=wide)
    if _is_grid(given):
        return _grid(said, value)
    if all(isinstance(option, str) for option in given):
        return ipywidgets.ToggleButtons(
            options=given, value=value, description=said, style=style | {"button_width": "auto"}
        )
    return ipywidgets.SelectionSlider(
        options=given, value=value, description=said, continuous_update=False, style=style
    )


def _grid(said: str, value: Tensor):
    """A box for each place of `value`, ticked for True. Boxes, since browsers tell screen readers
    whether they are ticked: ipywidgets' toggle buttons show it by their colour alone.
    """
    import ipywidgets
    import traitlets

    class Grid(ipywidgets.VBox):
        value = traitlets.Any()  # a bool tensor

    place = lambda width: ipywidgets.Layout(width=width, height="22px", margin="0 1px")
    boxes = [
        [
            ipywidgets.Checkbox(
                ticked, indent=False, tooltip=f"{said} {i}, {j}", layout=place("24px")
            )
            for j, ticked in enumerate(row)
        ]
        for i, row in enumerate(value.tolist())
    ]
    every, busy = [box for row in boxes for box in row], []

    def read(_=None):
        if not busy:
            grid.value = torch.tensor([[box.value for box in row] for row in boxes])

    def switch(name: str, group: list):
        """A button that ticks all of a group, or none if all are ticked."""

        def pressed(_):
            ticked = not all(box.value for box in group)
            busy.append(True)
            for box in group:
                box.value = ticked
            busy.clear()
            read()

        button = ipywidgets.Button(
            description=name, tooltip=f"{name}: tick all, or none", layout=place("84px")
        )
        button.on_click(pressed)
        return button

    heads = [ipywidgets.HTML(str(j), layout=place("24px")) for j in range(value.shape[1])]
    rows = [[switch("all", every), *heads]]
    rows += [[switch(f"{said} {i}", row), *row] for i, row in enumerate(boxes)]
    grid = Grid([ipywidgets.HBox(row) for row in rows])
    read()
    for box in every:
        box.observe(read, "value")
    return grid
