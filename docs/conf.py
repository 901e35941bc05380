"""The documentation site: `make docs` builds it into build/site, which opens from the disk without a network.

Pages are Markdown. Docstrings are plain text with `code`, items, tables and doctests: `_as_rst` tells Sphinx
so. Formulas become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

project = "3D people through occlusions"
copyright = "the authors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style = "tango"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # commands with an ellipsis

default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"


#: `name: what it is`, or a name with a shape: an argument, a field or a key.
_ITEM = re.compile(r"([a-z][\w*]*(?:, [a-z][\w*]*)*)(?=: | \([A-Z\d.(])")
#: `errors      torch functions`: a row of a table of modules.
_ROW = re.compile(r"[\w.,` ]*[\w`] {2,}\S")


def _as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A docstring of this project as reStructuredText, paragraph by paragraph."""
    rst: list[str] = []
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if blank or paragraph[0].lstrip().startswith(">>>"):
            rst += paragraph
        elif paragraph[0].startswith("  ") or _ROW.match(paragraph[0]):
            rst += ["::", "", *(f"    {line}" for line in paragraph)]
        elif _ITEM.match(paragraph[0]):
            rst += [_item(line) if _ITEM.match(line) else f"  {_text(line.strip())}" for line in paragraph]
        elif re.match(r"- |\d+\. ", paragraph[0]):
            rst += [_text(line) for line in paragraph]
        else:
            rst += [_text(line.strip()) for line in paragraph]
    lines[:] = rst


def _item(line: str) -> str:
    names = line[: _ITEM.match(line).end()]  # type: ignore[union-attr]
    return f"- {', '.join(f'``{name}``' for name in names.split(', '))}{_text(line[len(names) :])}"


def _text(line: str) -> str:
    """`code` as a literal, nothing else as markup."""
    parts = re.split(r"`([^`]+)`", line)
    parts[::2] = [re.sub(r"[*|\\`]|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
    for i in range(1, len(parts), 2):
        before = "\\ " if parts[i - 1][-1:].isalnum() else ""
        after = "\\ " if parts[i + 1][:1].isalnum() else ""
        parts[i] = f"{before}``{parts[i]}``{after}"
    return "".join(parts)


def _inline_math(self: Any, node: nodes.math) -> None:
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block_math(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _as_rst)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
