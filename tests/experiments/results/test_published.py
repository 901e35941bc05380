"""The published rows: beside which columns they stand, and what is said of single numbers where these are shown."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf

from experiments.results.report import run_tables
from experiments.results.table import COLUMNS
from experiments.results.writers import markdown_text

FILE = Path(__file__).resolve().parents[3] / "conf" / "published" / "mupots_3d.yaml"


def line(system: str, *columns: str) -> str:
    """The published row of a system in a table of these columns."""
    cfg = OmegaConf.create({"table": {"title": "t", "columns": columns}, "published": OmegaConf.load(FILE)})
    scores = {"lifted": dict.fromkeys(columns, 1.0)}
    found = {
        "data": "mupots_3d", "train_data": "both", "coordinates": "universal", "per_sequence": {}, "protocols": {},
        "protocol": {"people": "all", "pairing": "given"}, "metrics": scores,
    }  # fmt: skip
    text = markdown_text(*run_tables(cfg, found))
    (row,) = [row for row in text.splitlines() if system in row]
    return " ".join(row.split())


def test_which_ap_of_root_gast_is_shown_is_said_beside_it_and_nowhere_else() -> None:
    whole = line("Root-GAST-Net 2022", "a_pck_pct", "ap_root_25cm_pct")
    assert "matched; AP root 25 cm %: 56.8 in its Table 3, its Table 1 prints 58.9; not the A-PCK" in whole
    assert whole.endswith("| 56.8 | 56.8 |")
    assert line("Root-GAST-Net 2022", "r_pck_pct", "a_pck_pct") == "| Root-GAST-Net 2022 | matched | 82.5 | 56.8 |"


def test_every_number_and_note_is_of_a_column() -> None:
    for row in OmegaConf.load(FILE).rows:
        assert set(row.get("notes", {})) <= set(row["values"]) <= set(COLUMNS), row["system"]
