"""The script that makes the table of object definitions."""

import subprocess
import sys
from pathlib import Path

from custom_components.lwm2m.protocol.objects import Registry
from custom_components.lwm2m.protocol.objects.table import read_rows

from .test_objects import XML

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_object_table.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_table_of_a_folder(tmp_path: Path) -> None:
    history = tmp_path / "version_history"
    history.mkdir()
    (tmp_path / "32000.xml").write_text(XML)
    (history / "32000-1_0.xml").write_text(XML.replace("<ObjectVersion>1.2<", "<ObjectVersion>1.0<"))
    (history / "32000-1_2.xml").write_text(XML.replace("Fountain", "Older words for it"))
    (tmp_path / "10244.xml").write_text(XML.replace("32000", "10244"))
    (tmp_path / "Common.xml").write_text("<LWM2M/>")
    (tmp_path / "bad.xml").write_text("<LWM2M/>")
    result = run(tmp_path, tmp_path / "table")
    assert result.returncode == 1
    assert result.stderr == "bad.xml: 0 Object elements, one is expected\n"
    assert result.stdout.startswith("2 versions of 1 objects")
    definitions = list(Registry(read_rows((tmp_path / "table").read_bytes())).all())
    assert [(found.id, found.version, found.name) for found in definitions] == [
        (32000, "1.0", "Fountain"),
        (32000, "1.2", "Fountain"),
    ]


def test_no_folder() -> None:
    result = run("/nonexistent")
    assert result.returncode == 2
    assert "usage:" in result.stderr
