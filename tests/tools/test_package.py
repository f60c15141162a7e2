"""What is released has every file of the product, and runs without the source tree; `make package` runs it whole."""

from __future__ import annotations

import sysconfig
import tarfile
import zipfile
from pathlib import Path

from scripts.package import ROOT, beside, build, run

ROOMS = ("dialer", "pacing", "cti", "campaigns", "simulator")


def test_wheel_and_sdist_have_every_file_and_run_elsewhere(tmp_path: Path) -> None:
    wheel, sdist = build(tmp_path / "dist")
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    files = {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped == files
    assert files <= sources

    commands = beside(Path(sysconfig.get_path("purelib")), wheel, tmp_path)
    where = "import dialer, campaigns; print(dialer.__file__, campaigns.__file__)"
    assert run(commands, tmp_path, "python", "-c", where).count(str(tmp_path)) == 2
    assert "yardstick-5" in run(commands, tmp_path, "dialer", "simulate")
    migrations = "from campaigns.database import newest_revision; print(newest_revision())"
    newest = max((ROOT / "campaigns/migrations/versions").glob("[0-9]*.py")).name[:4]
    assert run(commands, tmp_path, "python", "-c", migrations).strip() == newest
