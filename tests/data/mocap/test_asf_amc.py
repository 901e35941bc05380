"""ASF/AMC: a hand-made skeleton computed by hand, angles of every kind, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.mocap.asf_amc import read_amc, read_asf
from pose.errors import DataError

ASF = """# a comment
:version 1.10
:name TEST
:units
  mass 1.0
  length 0.5
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 1 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name arm
     direction 1 0 0
     length 2
     axis 0 0 90 XYZ
    dof rx ry rz
    limits (-10 10)
           (-10 10)
           (-10 10)
  end
  begin
     id 2
     name hand
     direction 1 0 0
     length 1
     axis 0 0 0 XYZ
    dof rz
  end
  begin
     id 3
     name tail
     direction 0 -1 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root arm tail
    arm hand
  end
"""
AMC = """#!OML:ASF test
:FULLY-SPECIFIED
:DEGREES
5
root 10 20 30 0 0 0
arm 0 0 0
hand 90
6
root 0 0 0 0 90 0
arm 90 0 0
hand 0
7
root 0 0 0 0 0 0
arm 30 0 90
hand 0
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    asf, amc = tmp_path / "1.asf", tmp_path / "1_1.amc"
    asf.write_text(ASF)
    amc.write_text(AMC)
    return asf, amc


def test_positions_computed_by_hand(files):
    skeleton = read_asf(files[0])
    assert skeleton.mm_per_unit == pytest.approx(25.4 / 0.5)
    motion = read_amc(files[1], skeleton)
    assert motion.names == ("root", "arm", "tail", "hand")
    first, second, third = motion.positions
    np.testing.assert_allclose(first, [[10, 21, 30], [12, 21, 30], [10, 18, 30], [12, 22, 30]], atol=1e-12)
    # the root turns x to -z; the arm's x axis is the root's y, about which 90 degrees turn x to -z as well
    np.testing.assert_allclose(second, [[0, 1, 0], [-2, 1, 0], [0, -2, 0], [-3, 1, 0]], atol=1e-12)
    # first 30 degrees about the arm's x (root's y), then 90 about z: the order of the file, about fixed axes
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose(third[1], [0, 1 + 2 * c, -2 * s], atol=1e-12)


def test_radians_and_bones_in_any_order(files, tmp_path):
    expected = read_amc(files[1], read_asf(files[0])).positions
    quarter = f"{np.pi / 2:.12f}"
    turned = AMC.replace(":DEGREES", ":RADIANS").replace("90", quarter).replace("arm 30", f"arm {np.pi / 6:.12f}")
    files[1].write_text(turned)
    files[0].write_text(ASF.replace("angle deg", "angle rad").replace("axis 0 0 90", f"axis 0 0 {quarter}"))
    np.testing.assert_allclose(read_amc(files[1], read_asf(files[0])).positions, expected, atol=1e-9)
    files[1].write_text(turned.replace("arm 0 0 0\nhand " + quarter, "hand " + quarter + "\narm 0 0 0"))
    np.testing.assert_allclose(read_amc(files[1], read_asf(files[0])).positions, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length 0.5", "length zero", "line 6: 1 finite number is expected; found 'length zero'"),
        ("length 0.5", "length 0", "length 0.0: a positive number"),
        ("order TX TY TZ RX RY RZ", "order TX TY TZ", "line 9: an order of TX TY TZ RX RY RZ"),
        ("orientation 0 0 0", "orientation 0 5 0", "line 12: a root without a turn"),
        ("name hand", "name arm", "a new bone's name"),
        ("direction 1 0 0", "direction 1 0", "line 17: 3 finite numbers"),
        ("     length 2\n", "", "no length of arm"),
        ("axis 0 0 90 XYZ", "axis 0 0 90", "line 19: three angles and their order"),
        ("dof rz", "dof rz l", "rotations only"),
        ("arm hand\n", "arm hand claw\n", "found 'claw'"),
        ("arm hand\n", "arm hand\nhand arm\n", "each with one parent"),
        ("root arm tail", "root tail", "does not reach arm, hand"),
    ],
)
def test_damaged_skeletons_are_refused(files, old, new, message):
    files[0].write_text(ASF.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        read_asf(files[0])
    assert str(files[0]) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n6\n", "\n8\n", "line 8: frame 6 is expected"),
        ("hand 0\n7", "7", "line 11: frame 2 lacks hand"),
        ("arm 30 0 90\nhand 0\n", "arm 30 0 90\n", "line 15: frame 3 lacks hand.*the file ends"),
        ("arm 0 0 0", "arm 0 0", "line 6: 3 values expected; found 'arm 0 0'"),
        ("hand 90", "claw 90", "line 7: a bone that the skeleton lets move"),
        ("hand 90", "arm 1 2 3", "line 7: arm once per frame"),
        ("hand 90", "hand 9o", "line 7: 1 finite number is expected; found 'hand 9o'"),
        ("arm 90", "arm nan", "line 10: 3 finite numbers are expected"),
        (AMC[AMC.index("5\n") :], "", "no frames"),
        ("5\nroot", "root", "line 4: root once per frame"),
    ],
)
def test_damaged_trials_are_refused(files, old, new, message):
    files[1].write_text(AMC.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        read_amc(files[1], read_asf(files[0]))
    assert str(files[1]) in str(caught.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        read_asf(tmp_path / "none.asf")
    (tmp_path / "a.asf").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="no bones"):
        read_asf(tmp_path / "a.asf")
