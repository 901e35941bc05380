"""The documentation: its examples give what the pages say, its links lead somewhere, every public module is in it.

`make docs` builds the site, where every warning is an error.
"""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from tests.experiments.test_compose import composed

REPO = Path(__file__).resolve().parents[1]
DOCS = REPO / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PUBLIC = ["pose", "fileio", "refinement", "data", "lightning_modules", "inference"]


@pytest.mark.parametrize("page", ["conventions.md", "evaluate_your_own.md"])
def test_examples(page: str) -> None:
    failed, tried = doctest.testfile(str(DOCS / page), module_relative=False)
    assert tried > 15
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_examples_are_code(page: Path) -> None:
    """Outside of a block Markdown takes `>>>` for a quotation."""
    assert not re.search(r"^>>>", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S), re.M)


def sentences(page: Path) -> set[str]:
    """Those of eight words or more, in lower case, without code blocks and without what is no letter or digit."""
    text = re.sub(r"```.*?```|^>>>.*?$|<!--.*?-->", "\n\n", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    text = re.sub(r"\]\([^)]*\)", "]", text)  # where a link leads
    parts = re.split(r"[.:;?!](?=\s)|\n\s*\n|\n(?=[-#|*\d>])|\|", text)
    words = (re.findall(r"\w+", part.lower()) for part in parts)
    return {" ".join(found) for found in words if len(found) >= 8}


def test_no_sentence_stands_twice() -> None:
    """What two pages say gets out of step: one says it, the other links to it."""
    pages = [REPO / "README.md", REPO / "examples/multiview/README.md", *PAGES]
    where: dict[str, list[str]] = {}
    for page in pages:
        for sentence in sentences(page):
            where.setdefault(sentence, []).append(page.name)
    assert len(where) > 800, "the pages were read"
    assert not {sentence: names for sentence, names in where.items() if len(names) > 1}


def test_commands_compose() -> None:
    """Those of blocks, but the ones with parts of the user's own (tests/test_extending.py)."""
    tried = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", "")
        for line in "".join(re.findall(r"```(?:bash)?\n(.*?)```", text, re.S)).splitlines():
            if re.match(r"python run.py (?!.*(--config-dir|\.\.\.|hydra/|NAME|\[camera))|temporal-smoothing ", line):
                words = [word for word in shlex.split(line) if "=" in word]
                composed(*(re.sub(r"^([^=]+=[^,\[{]+),.*", r"\1", word) for word in words))
                tried += 1
    assert tried > 20


@pytest.mark.parametrize("page", [REPO / "README.md", DOCS / "index.md"], ids=["README", "index"])
def test_the_tutorials_are_the_first_links_and_end_in_a_picture(page: Path) -> None:
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", page.read_text(encoding="utf-8"))[:3]
    assert [Path(link).name.split("#")[0] for link in links] == [
        "own_videos.md",
        "evaluate_your_own.md",
        "extending.md",
    ]
    for link in links:
        name, anchor = Path(link).name.split("#")
        section = (DOCS / name).read_text(encoding="utf-8").split("\n## Tutorial: ")[1].split("\n## ")[0]
        heading = re.sub(r"[^\w -]", "", section.splitlines()[0].lower()).replace(" ", "-")
        assert anchor == f"tutorial-{heading}"
        assert "](images/" in section
        commands = re.findall(r"```bash\n(.*?)```", section, re.S)[0].replace("\\\n", "").splitlines()
        assert len(commands) < 10


def test_pictures_stay_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "images").iterdir()) < 1_500_000


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"^([\w/]+)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.M))
    assert listed >= {page.stem for page in DOCS.glob("*.md")} - {"index"}


def test_the_site_lists_the_experiments_that_exist() -> None:
    text = (DOCS / "experiments.md").read_text(encoding="utf-8").split("## Lifters")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.M))
    assert listed == {path.stem for path in (REPO / "conf/experiment").glob("*.yaml")}


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_module_is_in_the_reference(package: str) -> None:
    """Shown with its members, or named among those that a user would not call."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    listed = set(re.findall(rf"(?:automodule:: |`)({package}[.\w]*)", pages))
    modules = {".".join(path.relative_to(REPO).with_suffix("").parts) for path in (REPO / package).rglob("[!_]*.py")}
    rooms = {".".join(path.parent.relative_to(REPO).parts) for path in (REPO / package).rglob("__init__.py")}
    assert modules <= listed, "modules that no page lists"
    assert listed <= modules | rooms, "listed modules that are not there"
