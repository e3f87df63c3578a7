"""The YOLOv5 networks of the catalogue, by name; their shapes stand in ``models.options.named_yolo``."""

from __future__ import annotations

from veritrain.models.options import named_yolo
from veritrain.models.yolo import Yolo


def _named(name: str) -> Yolo:
    return Yolo(named_yolo()[name])


def yolov5n_nc80() -> Yolo:
    """YOLOv5n for 80 classes of boxes (1,872,157 parameters)."""
    return _named("yolov5n-nc80")


def yolov5s_nc80() -> Yolo:
    """YOLOv5s for 80 classes of boxes (7,235,389 parameters)."""
    return _named("yolov5s-nc80")


def yolov5m_nc80() -> Yolo:
    """YOLOv5m for 80 classes of boxes (21,190,557 parameters)."""
    return _named("yolov5m-nc80")


def yolov5l_nc80() -> Yolo:
    """YOLOv5l for 80 classes of boxes (46,563,709 parameters)."""
    return _named("yolov5l-nc80")


def yolov5x_nc80() -> Yolo:
    """YOLOv5x for 80 classes of boxes (86,749,405 parameters)."""
    return _named("yolov5x-nc80")


def yolov5n_nc4() -> Yolo:
    """YOLOv5n for 4 classes of boxes (1,769,329 parameters)."""
    return _named("yolov5n-nc4")


def yolov5s_nc4() -> Yolo:
    """YOLOv5s for 4 classes of boxes (7,030,417 parameters)."""
    return _named("yolov5s-nc4")


def yolov5m_nc4() -> Yolo:
    """YOLOv5m for 4 classes of boxes (20,883,441 parameters)."""
    return _named("yolov5m-nc4")


def yolov5l_nc4() -> Yolo:
    """YOLOv5l for 4 classes of boxes (46,154,449 parameters)."""
    return _named("yolov5l-nc4")


def yolov5x_nc4() -> Yolo:
    """YOLOv5x for 4 classes of boxes (86,238,001 parameters)."""
    return _named("yolov5x-nc4")


def yolov5s_nc4_view() -> Yolo:
    """YOLOv5s for 4 classes of boxes with report 004's head for 3 views on P3 (7,030,804 parameters)."""
    return _named("yolov5s-nc4-view")
