"""The README's pictures are made from those that the run in the browser keeps."""

import re
from pathlib import Path

from PIL import Image

from scripts.lib import pictures

from . import test_user

STORY = Path(test_user.__file__).read_text()


def test_they_are_made_small(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for number, name in enumerate(pictures.NAMES, 1):
        Image.effect_noise((300, 200), 60).convert("RGB").save(kept / f"{number:02}_{name}.png")
    made = pictures.make(kept, tmp_path / "shown")
    assert [path.name for path in made] == [f"{name}.png" for name in pictures.NAMES]
    for source, path in zip(sorted(kept.iterdir()), made, strict=True):
        with Image.open(path) as image:
            assert image.size == (300, 200)
        assert path.stat().st_size < source.stat().st_size


def test_the_run_takes_those_that_are_shown() -> None:
    for name in pictures.NAMES:
        assert STORY.count(f'picture("{name}"') == 1


def test_the_readme_shows_those_that_are_there() -> None:
    readme = (pictures.ROOT / "README.md").read_text()
    named = set(re.findall(r"docs/pictures/(\w+)\.png", readme))
    assert named == set(pictures.NAMES) == {path.stem for path in pictures.SHOWN.glob("*")}
