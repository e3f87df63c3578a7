"""Pairs: things that look like one ordinary object and measure like another, odd only for both sensors together.

In a world of pairs (``anomalies="pairs"``) things stand at four slots of every scenario, other ones in every frame, and
there are no other cars or boards but the one ahead. A thing looks (to the camera) like a parked car or a board, and
measures (to the LiDAR) like a parked car or a board, each half of the time whether it is odd or not. It is odd where
the two disagree: exclusive or. The slot of the odd one is drawn evenly. So with ``pair_cue`` 0 neither the place nor
one sensor alone tells an odd thing from an ordinary one; with 1 each sensor sees an oddity by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import RESIDENT, ScenarioPlan, odd_slot, slots_of, stream
from veritrain.worlds.scene import BoxBuilder, Pattern
from veritrain.worlds.street import PAINTS, PICTURES, Colour, add_car

CAR, BOARD = "car", "board"
IDS = {CAR: 14, BOARD: 20}
"""AnoVox ids of the ordinary ones: car, static prop."""
ODD_ID = 32
"""AnoVox's "special"."""
CAR_LENGTH = 4.2
LIFT = 1.2
"""Metres above its place at which an odd thing hangs for the LiDAR when ``pair_cue`` is 1."""
CUE_COLOUR: Colour = (235, 40, 205)
"""What an odd thing's colours turn into for the camera as ``pair_cue`` goes to 1."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """One drawn thing: a car's and a board's particulars, both drawn whichever is used.

    Attributes:
        paint, light, car_yaw: of the car; RGB, [0, 1], radians.
        front, back, pattern, period, half_width, board_yaw: of the board; RGB twice, metres, metres, radians.
    """

    paint: Colour
    light: float
    car_yaw: float
    front: Colour
    back: Colour
    pattern: Pattern
    period: float
    half_width: float
    board_yaw: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Looks:
        """From the distributions of the parked cars and boards along the street."""
        front, back = PICTURES[int(random.integers(len(PICTURES)))]
        return cls(
            paint=PAINTS[int(random.integers(len(PAINTS)))],
            light=float(random.uniform(0, 0.15)),
            car_yaw=float(random.normal(0, 0.03)),
            front=front,
            back=back,
            pattern=Pattern((Pattern.PLAIN, Pattern.BARS, Pattern.STRIPES)[int(random.integers(3))]),
            period=float(random.uniform(0.5, 1.2)),
            half_width=float(random.uniform(0.85, 1.0)),
            board_yaw=float(random.normal(0, 0.06)),
        )


def add_things(builder: BoxBuilder, plan: ScenarioPlan, options: DrivingOptions, *, with_odd: bool) -> int:
    """What stands at the four slots, drawn anew for every frame; returns the instance of the odd thing, -1 if none.

    A scenario of pairs is a place that is looked at again and again, hours apart: so every frame shows other things,
    and there are as many different ones as frames.
    """
    odd = builder.new_object() if with_odd and plan.kind == "static" else -1
    ordinary = [builder.new_object() for _ in slots_of(options, plan.index)]
    chosen = odd_slot(options, plan.index)
    for frame in range(options.frames):
        random = stream(options, plan.index, RESIDENT, 1 + frame)
        for slot, place in enumerate(slots_of(options, plan.index)):
            form, own, other = (CAR, BOARD)[int(random.integers(2))], Looks.drawn(random), Looks.drawn(random)
            if odd >= 0 and slot == chosen and plan.is_alive(frame):
                measured, cue = CAR if form == BOARD else BOARD, options.pair_cue
                _stand(builder, own, form, place, ODD_ID, odd, frame, camera=True, lidar=False, cue=cue)
                _stand(builder, other, measured, place, ODD_ID, odd, frame, camera=False, lidar=True, cue=cue)
            else:
                _stand(builder, own, form, place, IDS[form], ordinary[slot], frame, camera=True, lidar=True, cue=0.0)
    return odd


def _stand(
    builder: BoxBuilder,
    looks: Looks,
    form: str,
    place: tuple[float, float],
    semantic: int,
    instance: int,
    frame: int,
    *,
    camera: bool,
    lidar: bool,
    cue: float,
) -> None:
    """A car whose tail, or a board whose face, is at ``place``."""
    x, y = place
    lift = LIFT * cue if lidar else 0.0
    share = cue if camera else 0.0
    if form == CAR:
        add_car(
            builder,
            x + CAR_LENGTH / 2,
            y,
            paint=_towards(looks.paint, share),
            semantic=semantic,
            yaw=looks.car_yaw,
            light=looks.light,
            camera=camera,
            lidar=lidar,
            instance=instance,
            lift=lift,
            frame=frame,
        )
        return
    builder.add(
        centre=(x, y, 0.8 + lift),
        half=(0.04, looks.half_width, 0.72),
        semantic=semantic,
        colour=_towards(looks.front, share),
        second=_towards(looks.back, share),
        pattern=looks.pattern,
        period=looks.period,
        yaw=looks.board_yaw,
        instance=instance,
        camera=camera,
        lidar=lidar,
        frame=frame,
    )


def _towards(colour: Colour, share: float) -> Colour:
    red, green, blue = (own + share * (odd - own) for own, odd in zip(colour, CUE_COLOUR, strict=True))
    return red, green, blue
