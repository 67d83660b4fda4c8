"""The documentation as a site: `make docs`. Its pages are the Markdown files beside this one, as GitHub shows them."""

import re

from sphinx.application import Sphinx

from adapt import __version__

project = "adapt"
copyright = ""
html_show_copyright = False
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["images"]

myst_heading_anchors = 4  # the anchors that GitHub gives to headings
myst_links_external_new_tab = False

nitpicky = True
nitpick_ignore_regex = [
    # Other projects' own pages are not asked for: the site is built, and read, without a network.
    (r"py:.*", r"(?!adapt\.).*"),
    # Parts of a recipe have a page of their own, recipe-keys.md.
    (r"py:class", r"adapt\.recipe\..*"),
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"  # `name` in a docstring is code, as in Markdown
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes in the text of their class: the code lists them once already
napoleon_attr_annotations = False  # the signature has them

highlight_language = "text"  # of blocks that name none: folders, and what is printed
html_theme = "furo"
html_title = f"adapt {__version__}"
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "default", "monokai"


def _with_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Make the lists of links of the first page the navigation: each heading a caption, each link a page below it."""
    if name != root_doc:
        return
    for section in source[0].split("\n## ")[1:]:
        caption = section.splitlines()[0]
        pages = re.findall(r"^- \[[^]]*\]\(([\w/.-]+)\.(?:md|rst)\)", section, flags=re.MULTILINE)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def _within_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead links to pages at the top of the repository to their copies here."""
    source[0] = re.sub(r"\]\(\.\./(SECURITY|CHANGELOG|CONTRIBUTING)\.md", lambda m: f"]({m[1].lower()}.md", source[0])


def _without_types(app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what stands in front of a colon for the type of a constant or a property."""
    if what in ("data", "attribute", "property") and lines and ": " in lines[0]:
        head, _, tail = lines[0].partition(": ")
        lines[0:1] = [f"{head}:", tail]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _with_navigation)
    app.connect("source-read", _within_the_site)
    app.connect("autodoc-process-docstring", _without_types, priority=400)  # before napoleon
