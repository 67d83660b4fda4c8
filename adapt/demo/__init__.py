"""A local page to try a model on: click, draw a box, compare untouched and tuned, save the mask. Gradio is an extra."""

from adapt.demo.models import Models
from adapt.demo.opening import inputs_of
from adapt.demo.tab import Look, Tab
from adapt.demo.tabs import Tabs

__all__ = ["Look", "Models", "Tab", "Tabs", "inputs_of"]
