"""The README's pictures: some of those that the tests in a browser keep, in fewer colours and so in fewer bytes."""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
KEPT, SHOWN = ROOT / "build" / "screenshots", ROOT / "docs" / "pictures"
NAMES = ("discovered_card", "key_form", "success", "device_page", "generated_key")
COLOURS = 256


def make(kept: Path, shown: Path) -> list[Path]:
    """Make a picture in `shown` from each of the named ones in `kept`, which begin with a number; return them."""
    shown.mkdir(parents=True, exist_ok=True)
    made = []
    for name in NAMES:
        (source,) = kept.glob(f"[0-9][0-9]_{name}.png")
        with Image.open(source) as image:
            few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        made.append(shown / f"{name}.png")
        few.save(made[-1], optimize=True)
    return made


def main() -> None:
    """Make them, and say so."""
    for path in make(KEPT, SHOWN):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
