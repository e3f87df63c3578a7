"""The twenty classes of DIOR as the released files write them, and how other places write the same names.

Source: the names were counted in all released annotation files; the variants are those of published lists of classes,
of code that lower-cases them, and one known misprint. Nothing is mapped by likeness: a name that is not here is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

DIOR_CLASSES = (
    "airplane",
    "airport",
    "baseballfield",
    "basketballcourt",
    "bridge",
    "chimney",
    "dam",
    "Expressway-Service-area",
    "Expressway-toll-station",
    "golffield",
    "groundtrackfield",
    "harbor",
    "overpass",
    "ship",
    "stadium",
    "storagetank",
    "tenniscourt",
    "trainstation",
    "vehicle",
    "windmill",
)
"""In the order of the class numbers."""

OTHER_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "airplane": ("Airplane",),
    "airport": ("Airport",),
    "baseballfield": ("baseball field", "baseball-field", "baseball_field", "Baseball field"),
    "basketballcourt": ("basketball court", "basketball-court", "basketball_court", "Basketball court"),
    "bridge": ("Bridge",),
    "chimney": ("Chimney",),
    "dam": ("Dam",),
    "Expressway-Service-area": (
        "Expressway Service Area",
        "Expressway service area",
        "Expressway-service-area",
        "Expressway_Service_area",
        "expressway service area",
        "expressway-service-area",
        "expressway_service_area",
    ),
    "Expressway-toll-station": (
        "Expressway Toll Station",
        "Expressway toll station",
        "Expressway-Toll-Station",
        "Expressway_toll_station",
        "expressway toll station",
        "expressway-toll-station",
        "expressway_toll_station",
    ),
    "golffield": ("golf field", "golf-field", "golf_field", "golf course", "golf-course", "Golf course", "goldfield"),
    "groundtrackfield": ("ground track field", "ground-track-field", "ground_track_field", "Ground track field"),
    "harbor": ("Harbor", "harbour"),
    "overpass": ("Overpass",),
    "ship": ("Ship",),
    "stadium": ("Stadium",),
    "storagetank": ("storage tank", "storage-tank", "storage_tank", "Storage tank"),
    "tenniscourt": ("tennis court", "tennis-court", "tennis_court", "Tennis court"),
    "trainstation": ("train station", "train-station", "train_station", "Train station"),
    "vehicle": ("Vehicle",),
    "windmill": ("wind mill", "wind-mill", "wind_mill", "Wind mill"),
}

NUMBER_OF_NAME: Mapping[str, int] = {
    spelling: number for number, name in enumerate(DIOR_CLASSES) for spelling in (name, *OTHER_SPELLINGS.get(name, ()))
}
"""Every known spelling -> class number."""


def class_number(name: str) -> int | None:
    """The number of a class name in any known spelling; None of another name."""
    return NUMBER_OF_NAME.get(name)
