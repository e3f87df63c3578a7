"""Running, stalled, dead, finished, interrupted or failed: each from what is recorded and who holds the lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from veritrain.monitor.clock import ago, local_time
from veritrain.monitor.story import Story
from veritrain.record import Holder

Word = Literal["waiting", "running", "stalled", "died", "finished", "interrupted", "failed"]

LEAST_SILENCE_SECONDS = 60.0
SILENCE_TIMES_MEDIAN = 10.0
SILENCE_TIMES_VALIDATION = 2.0
QUIET_PHASE_SECONDS = 1800.0
"""Reading data before the first line, and controls after training, write nothing for a long time."""

TAKEN_UP_SECONDS = 10.0
"""A run that ended is let go at once; one that is held for longer was taken up again and is reading its data."""

PHASES = {"preparing": "preparing", "training": "training", "validating": "validating",
          "judging": "testing and making evidence", "over": "over"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class State:
    """How a run stands.

    Attributes:
        word: waiting (not begun), running, stalled, died, finished, interrupted or failed.
        text: one sentence with the evidence.
    """

    word: Word
    text: str

    @property
    def over(self) -> bool:
        """Nothing more will be written, unless somebody resumes the run."""
        return self.word in ("died", "finished", "interrupted", "failed")

    @property
    def exit_code(self) -> int:
        """0 finished, or nothing wrong so far; 1 died, failed, interrupted or stalled."""
        return 0 if self.word in ("finished", "running", "waiting") else 1


def allowed_silence(story: Story) -> float:
    """Seconds without a line that are nothing unusual: a minute, or ten times the median of the recent steps; while
    validating at least twice the longest validation so far; much longer where nothing is written by design."""
    median = story.median_step() or 0.0
    least = max(LEAST_SILENCE_SECONDS, SILENCE_TIMES_MEDIAN * median)
    if story.phase == "validating":
        return max([least, *(SILENCE_TIMES_VALIDATION * seconds for seconds in story.validations)])
    return max(least, QUIET_PHASE_SECONDS) if story.phase in ("preparing", "judging") else least


def state_of(story: Story, holder: Holder, *, silence: float | None) -> State:
    """The state of a run.

    Args:
        holder: looked at *before* the record was read, so that a run that ends in between is not called dead.
        silence: seconds since the newest line (or since the lock was made, without lines); None when unknown.
    """
    ended = _ended(story)
    if (
        ended is not None
        and ended.word != "finished"
        and holder.state == "held"
        and (silence or 0.0) > TAKEN_UP_SECONDS
    ):
        return State(word="running", text=f"a process holds the run again, no line yet (before: {ended.word})")
    if ended is not None:
        return ended
    if story.last is None and holder.state != "held":
        return _not_begun(holder)
    if holder.state == "free":
        since = "" if story.last is None else f"; its last line is of {local_time(story.last_utc())}{_where(story)}"
        return State(word="died", text=f"no process holds the run and its record has no end{since}")
    limit = allowed_silence(story)
    doing = PHASES[story.phase]
    if silence is not None and silence > limit:
        alive = _alive(holder)
        return State(word="stalled", text=f"no new line for {ago(silence)} while {doing}{_where(story)}; {alive}")
    if silence is None:
        return State(word="running", text=doing)
    lines = "no line yet, for" if story.last is None else "last line"
    return State(word="running", text=f"{doing}, {lines} {ago(silence)}" + ("" if story.last is None else " ago"))


def _ended(story: Story) -> State | None:
    """What the record itself says about an end of this segment."""
    if story.end is not None:
        status = story.end.get("status")
        when = local_time(story.last_utc())
        word: Word = "finished" if status == "done" else "failed"
        return State(word=word, text=f"trained, tested and judged, {when}" if status == "done" else f"ended: {status}")
    reason = None if story.stop is None else story.stop.get("reason")
    if reason == "nonfinite":
        names = ", ".join(dict.fromkeys(f"{line.get('name')} = {line.get('found')}" for line in story.nonfinite[-8:]))
        return State(word="failed", text=f"stopped before the update{_where(story)}: not finite: {names or 'a loss'}")
    if story.signal is not None or reason in ("SIGINT", "SIGTERM"):
        name = reason if story.signal is None else story.signal.get("name")
        return State(word="interrupted", text=f"by {name}{_where(story)}; what was done is saved, --resume goes on")
    return None


def _not_begun(holder: Holder) -> State:
    if holder.state == "free":
        return State(word="died", text="no process holds the run and its record has no line")
    return State(word="waiting", text="not begun: there is no line yet")


def _where(story: Story) -> str:
    return "" if story.step is None else f" (step {story.step})"


def _alive(holder: Holder) -> str:
    if holder.state == "unknown":
        return "whether its process lives cannot be told from here"
    return "its process is alive" if holder.pid is None else f"its process {holder.pid} is alive"
