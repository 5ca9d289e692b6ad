"""Reads a chart as what it is: XML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    says: str


def parsed(svg: Markup | str) -> ET.Element:
    return ET.fromstring(str(svg))


def titles(svg: Markup | str) -> list[str]:
    """What its marks say."""
    return [mark.findtext("title", "") for mark in parsed(svg).iter() if is_mark(mark)]


def is_mark(mark: ET.Element) -> bool:
    return "m" in mark.get("class", "").split()


def rectangles(svg: Markup) -> list[Rectangle]:
    return [
        Rectangle(
            x=float(mark.get("x", "nan")),
            y=float(mark.get("y", "nan")),
            width=float(mark.get("width", "nan")),
            height=float(mark.get("height", "nan")),
            says=mark.findtext("title", ""),
        )
        for mark in parsed(svg).iter("rect")
    ]


def points(svg: Markup) -> list[tuple[float, float]]:
    """Where the points of its lines are that can be pointed at."""
    return [
        (float(mark.get("cx", "nan")), float(mark.get("cy", "nan")))
        for mark in parsed(svg).iter("circle")
    ]


def words(svg: Markup) -> list[str]:
    """What is written in it."""
    return ["".join(text.itertext()) for text in parsed(svg).iter("text")]
