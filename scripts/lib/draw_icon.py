"""Draw the brand icon: a house that listens to a small sensor. Our own drawing, made from distances to simple shapes.

Run with `python scripts/lib/draw_icon.py`; writes icon.png (256 pixels) and icon@2x.png (512) into the brand folder.
"""

import math
import struct
import zlib
from pathlib import Path

BRAND = Path(__file__).parents[2] / "custom_components" / "lwm2m" / "brand"
TOP, BOTTOM, WHITE, SPOT = (22, 118, 140), (10, 66, 92), (255, 255, 255), (255, 183, 77)

type Colour = tuple[int, int, int]
type Point = tuple[float, float]

# The house, in units of the icon's width.
HOUSE: tuple[Point, ...] = ((0.5, 0.185), (0.80, 0.455), (0.80, 0.79), (0.20, 0.79), (0.20, 0.455))
SENSOR: Point = (0.5, 0.685)
ARCS = (0.115, 0.205, 0.295)


def rounded_square(x: float, y: float, half: float, radius: float) -> float:
    """Return the signed distance to a square around the centre, negative inside."""
    dx, dy = abs(x - 0.5) - half + radius, abs(y - 0.5) - half + radius
    return math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - radius


def polygon_edge(x: float, y: float, corners: tuple[Point, ...]) -> float:
    """Return the distance to the nearest edge of a polygon."""
    nearest = math.inf
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        along = min(1.0, max(0.0, ((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)))
        nearest = min(nearest, math.hypot(x - ax - along * ex, y - ay - along * ey))
    return nearest


def arc(x: float, y: float, radius: float) -> float:
    """Return the distance to the quarter circle of that radius above the sensor."""
    dx, dy = x - SENSOR[0], y - SENSOR[1]
    if abs(dx) <= -dy:
        return abs(math.hypot(dx, dy) - radius)
    end = radius / math.sqrt(2)
    return math.hypot(abs(dx) - end, dy + end)


def blend(under: Colour, over: Colour, share: float) -> Colour:
    """Mix two colours, `share` of the second."""
    red, green, blue = (round(u + (o - u) * share) for u, o in zip(under, over, strict=True))
    return red, green, blue


def pixel(x: float, y: float, size: int) -> bytes:
    """Return the RGBA bytes of one point."""

    def cover(distance: float) -> float:
        return min(1.0, max(0.0, 0.5 - distance * size))

    colour = blend(TOP, BOTTOM, y)
    colour = blend(colour, WHITE, cover(polygon_edge(x, y, HOUSE) - 0.024))
    for radius in ARCS:
        colour = blend(colour, WHITE, 0.92 * cover(arc(x, y, radius) - 0.021))
    colour = blend(colour, SPOT, cover(math.hypot(x - SENSOR[0], y - SENSOR[1]) - 0.052))
    return bytes((*colour, round(255 * cover(rounded_square(x, y, 0.48, 0.11)))))


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return one PNG chunk (PNG specification, section 5.3)."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: int) -> bytes:
    """Return the icon as a PNG file of that many pixels square."""
    rows = (
        b"\0" + b"".join(pixel((column + 0.5) / size, (row + 0.5) / size, size) for column in range(size))
        for row in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    body = zlib.compress(b"".join(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


if __name__ == "__main__":
    BRAND.mkdir(exist_ok=True)
    for name, size in (("icon.png", 256), ("icon@2x.png", 512)):
        (BRAND / name).write_bytes(png(size))
