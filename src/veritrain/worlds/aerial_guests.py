"""Small sites beside the main one, where there is room."""

from __future__ import annotations

from veritrain.worlds.aerial_cover import yard
from veritrain.worlds.aerial_land import ON_SITE, Land
from veritrain.worlds.aerial_sites_play import court_rows, court_size, park_somewhere
from veritrain.worlds.aerial_sites_work import tank_rows
from veritrain.worlds.aerial_sketch import rectangle


def guests(land: Land) -> None:
    """Small sites beside the main one, where there is room."""
    turn = land.uniform(-0.8, 0.8)
    for _ in range(int(land.rng.choice([0, 1, 2], p=(0.45, 0.35, 0.2)))):
        kind = str(land.rng.choice(["tennis", "ball", "tanks", "cars", "chimney", "windmill"], p=_GUESTS))
        if kind == "tennis":
            size = court_size(land, 0.5)
            spot = land.search((2 * size[1] + 22, size[0] + 18), turn)
            if spot:
                court_rows(land, "tenniscourt", spot, turn, size, (1, int(land.rng.integers(1, 3))))
        elif kind == "ball":
            spot = land.search((82, 82), turn)
            if spot:
                yard(land, rectangle(spot, (78, 78), turn))
                land.place("baseballfield", spot, turn, (land.uniform(52, 62), 62), avoid=ON_SITE)
        elif kind == "tanks":
            tank_rows(land, (land.search((70, 48), turn), turn), (2, 3), land.uniform(13, 18))
        elif kind == "cars":
            park_somewhere(land, turn)
        else:
            spot = land.search((40, 70), 0.0)
            if spot:
                tall = (land.uniform(34, 52), land.uniform(9, 13)) if kind == "chimney" else (land.uniform(34, 48),) * 2
                land.place(kind, spot, 0.0, tall)


_GUESTS = (0.30, 0.22, 0.24, 0.10, 0.08, 0.06)
