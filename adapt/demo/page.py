"""The page: an image to drop or to pick, and the bench where it is clicked on; each answer comes from a `Tab`."""

import html
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapt.demo.tab import Tab, View
from adapt.demo.tabs import Tabs
from adapt.errors import AdaptError, DataError
from adapt.formats.extras import extra
from adapt.predict.inputs import Input
from adapt.recipe import DataSettings

with extra("demo", reads="adapt demo"):
    import gradio as gr

HERE = Path(__file__).parent
LEGEND = """
<p class="legend">
<span><svg width="18" height="18" aria-hidden="true"><circle cx="9" cy="9" r="8" fill="#007a5a"/><path d="M5 9h8M9 5v8"
stroke="#fff" stroke-width="2"/></svg>left click: on the object</span>
<span><svg width="18" height="18" aria-hidden="true"><rect x="1" y="1" width="16" height="16" fill="#c44e00"/><path
d="M5 9h8" stroke="#fff" stroke-width="2"/></svg>right click: not there</span>
<span><svg width="22" height="18" aria-hidden="true"><rect x="2" y="2" width="18" height="14" fill="none" stroke="#000"
stroke-width="2"/><rect x="2" y="2" width="18" height="14" fill="none" stroke="#fff" stroke-width="2"
stroke-dasharray="4 3"/></svg>drag: a box around it</span>
<span><svg width="22" height="18" aria-hidden="true"><rect x="2" y="2" width="18" height="14" fill="#0072b2"
fill-opacity=".4" stroke="#0072b2" stroke-width="2.5"/></svg>the mask that counts</span>
<span><kbd>Z</kbd>undo</span>
<span><kbd>Tab</kbd><kbd>arrows</kbd><kbd>Enter</kbd><kbd>Backspace</kbd>without a mouse</span>
</p>"""


def make_page(
    tabs: Tabs, *, models: Sequence[str], title: str, facts: str, offered: Sequence[tuple[Input, DataSettings]]
) -> gr.Blocks:
    """The page, whose state is in `tabs` alone.

    Args:
        tabs: of this page.
        models: their names, as a `Tab` has them.
        title: of the page.
        facts: one line on what is seen.
        offered: images to pick from; their names go to the browser, their paths do not.
    """

    def begin(request: gr.Request) -> View:
        tab = tabs.begin(_name(request))
        if not offered:
            return {}
        return _answer(lambda: tab.open_input(*offered[0]))

    def drop(path: str, request: gr.Request) -> tuple[View, None]:
        return _answer(lambda: tabs.of(_name(request)).open_upload(Path(path)), hidden=path), None

    def pick(place: int, request: gr.Request) -> View:
        one, settings = offered[place]
        return _answer(lambda: tabs.of(_name(request)).open_input(one, settings), hidden=str(one.path))

    def ask(event: gr.EventData, request: gr.Request) -> View:
        asked: dict[str, Any] = event._data
        return {**_answer(lambda: _do(tabs.of(_name(request)), asked)), "turn": asked.get("turn")}

    def end(request: gr.Request) -> None:
        tabs.end(_name(request))

    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(f"<h1 style='font-size:1.3rem;margin:0'>{html.escape(title)}</h1><p>{html.escape(facts)}</p>")
        with gr.Row(equal_height=True):
            file = gr.File(label="Your image: it stays on this machine", height=110, elem_id="drop", scale=2)
            picked = gr.Dropdown(
                [(one.path.name, place) for place, (one, _) in enumerate(offered)],
                value=0 if offered else None,
                label="or one of these",
                visible=bool(offered),
                elem_id="pick",
            )
        bench = gr.HTML(
            value=None,
            html_template=_bench(models),
            css_template=(HERE / "page.css").read_text(encoding="utf-8"),
            js_on_load=(HERE / "page.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            elem_id="bench",
        )
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        page.load(begin, outputs=bench, **quick)
        file.upload(drop, inputs=file, outputs=[bench, file], **quick)  # and emptied, for the next
        picked.input(pick, inputs=picked, outputs=bench, **quick)
        bench.ask(ask, outputs=bench, trigger_mode="multiple", **quick)
        page.unload(end)
    return page


def _name(request: gr.Request) -> str:
    """What the browser calls the tab: random, and new with each load."""
    return str(request.session_hash)


def _do(tab: Tab, asked: dict[str, Any]) -> View:
    """What the bench asks for.

    Raises:
        DataError: it makes no sense, or cannot be done.
    """
    try:
        match asked["do"]:
            case "click":
                return tab.click(float(asked["x"]), float(asked["y"]), int(bool(asked["label"])))
            case "box":
                return tab.box(*(float(value) for value in asked["box"]))
            case "choose":
                return tab.choose(str(asked["model"]), int(asked["place"]))
            case "show":
                return tab.show(int(asked["part"]))
            case "save":
                return tab.save(str(asked["model"]), str(asked["as"]))
            case "encode":
                return tab.encode()
            case "undo":
                return tab.undo()
            case "clear":
                return tab.clear()
    except (KeyError, TypeError, ValueError):
        pass
    raise DataError("the page asked for something that is not there; reload it")


def _answer(call: Callable[[], View], *, hidden: str = "") -> View:
    """What a call returns, or what was wrong; the page goes on in any case.

    Args:
        call: to answer with.
        hidden: path of which the message shows the name alone.
    """
    try:
        return call()
    except AdaptError as error:
        text = str(error)
        return {"fault": text.replace(hidden, Path(hidden).name) if hidden else text}
    except Exception as error:
        traceback.print_exc()
        return {"fault": f"this failed ({type(error).__name__}); what happened is printed where adapt demo was started"}


def _bench(models: Sequence[str]) -> str:
    """HTML of the bench: a panel a model."""
    panels = "".join(
        f"""
<section data-model="{name}">
<header><h2>{name.capitalize()}</h2><span class="figure" aria-live="polite"></span></header>
<canvas hidden tabindex="0" role="application" aria-label="Image with the mask of the {name} model. Arrow keys move,
Enter adds a click, Backspace takes away."></canvas>
<div class="below">
<div><p class="note"></p>
<div class="candidates" role="radiogroup" aria-label="Candidates of the {name} model, with predicted IoU"></div></div>
<div class="saving"><button type="button" class="save" data-kind="png" disabled>Save mask (PNG)</button>
<button type="button" class="save" data-kind="json" disabled>Save COCO</button></div>
</div>
</section>"""
        for name in map(html.escape, models)
    )
    return f"""
<div class="bench">{LEGEND}
<div class="bar"><span class="name"></span>
<label class="parts" hidden><span></span> <input type="range" min="0" step="1"> <output></output></label>
<button type="button" class="undo" disabled>Undo</button>
<button type="button" class="clear" disabled>Clear</button>
<span class="said"><span class="status" role="status"></span><span class="fault" role="alert"></span></span></div>
<div class="panels">{panels}
</div></div>"""
