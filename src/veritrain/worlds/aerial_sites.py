"""THE list of sites: how each is laid out, what it is for, what may lie around it, and how often it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from veritrain.worlds import aerial_sites_play as play
from veritrain.worlds import aerial_sites_travel as travel
from veritrain.worlds import aerial_sites_water as water
from veritrain.worlds import aerial_sites_work as work
from veritrain.worlds.aerial_land import Land, Look
from veritrain.worlds.aerial_sport import (
    baseball_field,
    basketball_court,
    golf_field,
    stadium,
    tennis_court,
    track_field,
)
from veritrain.worlds.aerial_vehicles import airplane, ship, vehicle
from veritrain.worlds.aerial_ways import airport, bridge, harbor, overpass, service_area, toll_station, train_station
from veritrain.worlds.aerial_works import chimney, dam, storage_tank, windmill

LOOKS: dict[str, Look] = {
    "airplane": airplane,
    "airport": airport,
    "baseballfield": baseball_field,
    "basketballcourt": basketball_court,
    "bridge": bridge,
    "chimney": chimney,
    "dam": dam,
    "Expressway-Service-area": service_area,
    "Expressway-toll-station": toll_station,
    "golffield": golf_field,
    "groundtrackfield": track_field,
    "harbor": harbor,
    "overpass": overpass,
    "ship": ship,
    "stadium": stadium,
    "storagetank": storage_tank,
    "tenniscourt": tennis_court,
    "trainstation": train_station,
    "vehicle": vehicle,
    "windmill": windmill,
}
"""Class, as DIOR spells it -> its look."""


@dataclass(frozen=True)
class Site:
    """A kind of scene.

    Attributes:
        lay: lays it out.
        mains: the classes that images of it are centred on, in turns.
        covers: what may lie around it.
        weight: how often it is chosen, next to the others, where counts are long-tailed.
        busy: whether its roads are full of vehicles.
        zoom: (least, most) pixels for a scene unit, next to the usual.
    """

    lay: Callable[[Land], None]
    mains: tuple[str, ...]
    covers: tuple[str, ...]
    weight: float
    busy: bool = False
    zoom: tuple[float, float] = (0.85, 1.2)


SITES: dict[str, Site] = {
    "airport": Site(
        travel.airport, ("airport", "airport", "airplane"), ("farmland", "grassland", "desert"), 6.0, zoom=(0.9, 1.1)
    ),
    "apron": Site(travel.apron, ("airplane",), ("grassland", "farmland", "desert"), 3.5),
    "port": Site(water.port, ("harbor", "ship"), ("town", "grassland", "desert"), 6.0),
    "sea": Site(water.open_sea, ("ship",), ("grassland",), 4.0),
    "river": Site(water.river_bridges, ("bridge",), ("town", "farmland", "grassland", "forest"), 6.5),
    "dam": Site(water.dam, ("dam",), ("forest", "grassland", "desert"), 4.0),
    "tennis": Site(play.tennis_club, ("tenniscourt",), ("town", "grassland", "town"), 5.5),
    "courts": Site(play.courts, ("basketballcourt", "tenniscourt"), ("town", "grassland"), 5.0),
    "campus": Site(play.campus, ("groundtrackfield",), ("town", "grassland", "farmland"), 7.5),
    "ballpark": Site(play.ball_park, ("baseballfield",), ("town", "grassland", "farmland"), 6.5),
    "arena": Site(play.arena, ("stadium",), ("town", "grassland"), 5.0),
    "golf": Site(play.golf, ("golffield",), ("grassland", "forest", "desert", "farmland"), 4.0),
    "tanks": Site(work.tank_farm, ("storagetank",), ("grassland", "desert", "town"), 4.5),
    "power": Site(work.power_plant, ("chimney",), ("grassland", "farmland", "desert"), 4.0),
    "wind": Site(work.wind_farm, ("windmill",), ("farmland", "grassland", "desert", "forest"), 6.0, zoom=(0.8, 1.2)),
    "interchange": Site(travel.interchange, ("overpass",), ("farmland", "town", "grassland"), 6.5, busy=True),
    "rest": Site(travel.rest_stop, ("Expressway-Service-area",), ("farmland", "grassland", "forest"), 4.5, busy=True),
    "toll": Site(travel.toll, ("Expressway-toll-station",), ("farmland", "grassland", "desert"), 4.5, busy=True),
    "station": Site(travel.station, ("trainstation",), ("town", "town", "grassland"), 4.0),
    "streets": Site(play.streets, ("vehicle",), ("town",), 5.0, busy=True),
}
"""Name -> site. A world of more scenes than that has each of them."""
