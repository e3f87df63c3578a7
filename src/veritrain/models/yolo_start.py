"""Where a YOLOv5 network starts when not from scratch: backbone and neck of a local file, and the heads that fit.

Backbone and neck are taken whole or not at all: half of them would be another start than the one that is told. A head
is taken where its tensors have the shapes of this network's, else it starts from scratch; both are told. The heads are
known by their names, not by their layer's number: files of a detector, of a joint network, of a view network and of two
networks side by side all serve. Anchors stay those of the run: its losses and its decoding read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.errors import CheckpointError
from veritrain.models.state_match import demand_usable, listed, mismatch
from veritrain.models.weight_file import demand_weight_file
from veritrain.models.yolo import MULTIPLES, Yolo, level_widths
from veritrain.models.yolo_view import DualYolo, YoloView
from veritrain.models.yolo_weights import read_weights
from veritrain.record import sha256_of

NAME = re.compile(r"(.*?)model\.(\d+)\.(.+)")
"""What stands before the layers (the name of an outer module, or nothing), the layer's number, the tensor in it."""
DETECTION = re.compile(r"m\.\d+\.(weight|bias)|anchors")
TRUNK, DETECTOR, VIEWER = "backbone and neck", "detection head", "view head"
PREFIXES = {TRUNK: "model.", DETECTOR: "detect.", VIEWER: "view."}
ANCHORS = "detect.anchors"
COUNTER = "num_batches_tracked"
TWO = ("detector.", "viewer.")
"""What stands before the tensors of two networks side by side (``models.yolo_view.DualYolo``)."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a network takes from a file.

    Attributes:
        file: its name without folders. sha256: of its bytes.
        taken: part of the network -> how many of its tensors are in the file.
        from_scratch: part of the network -> why the file has nothing for it.
        left_out: part of the file -> why it is not taken.
        tensors: name in the network -> value in the file, for all that is taken.
    """

    file: str
    sha256: str
    taken: Mapping[str, int]
    from_scratch: Mapping[str, str]
    left_out: Mapping[str, str]
    tensors: Mapping[str, Tensor] = field(repr=False)

    def told(self) -> str:
        """A sentence for the log."""
        parts = ["taken: " + ", ".join(f"{name} ({count} tensors)" for name, count in self.taken.items())]
        for word, those in (("from scratch", self.from_scratch), ("left out of the file", self.left_out)):
            if those:
                parts.append(f"{word}: " + ", ".join(f"{name} ({reason})" for name, reason in those.items()))
        return f"starts from {self.file} (sha256 {self.sha256[:12]}); {'; '.join(parts)}"

    def as_json(self) -> dict[str, Any]:
        """Everything but the tensors."""
        parts = {"taken": self.taken, "from_scratch": self.from_scratch, "left_out": self.left_out}
        return {"file": self.file, "sha256": self.sha256, **{name: dict(part) for name, part in parts.items()}}


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A weight file that must stay what it was when it was chosen.

    Attributes:
        path: a local .safetensors file, or a .pt or .pth with a plain state dict.
        sha256: of its bytes.
    """

    path: Path
    sha256: str

    @staticmethod
    def of(path: str | Path) -> WeightFile:
        """The file as it is now.

        Raises:
            ConfigError: no such file, or none of a kind that is read.
        """
        demand_weight_file(Path(path))
        return WeightFile(path=Path(path), sha256=sha256_of(Path(path)))

    def start(self, network: nn.Module) -> Start:
        """Give a YOLOv5 network what fits of the file; the rest of it stays as it is.

        Raises:
            ConfigError, CheckpointError: as :meth:`matched`.
        """
        found = self.matched(network)
        network.load_state_dict({**network.state_dict(), **found.tensors})
        return found

    def matched(self, network: nn.Module) -> Start:
        """What a YOLOv5 network would take of the file; it is not changed.

        Raises:
            ConfigError: the file has gone.
            CheckpointError: it changed, cannot be read, holds no YOLOv5 network or one of another size, or holds
                numbers that are no weights.
        """
        demand_weight_file(self.path)
        self._demand_unchanged()
        there, others = _networks_in(read_weights(self.path))
        match = _Match(self.path, there)
        for prefix, own in _networks_of(network).items():
            match.network(prefix, own)
        if others:
            match.left_out["other tensors"] = f"of no layer: {listed(others)}"
        match.demand_numbers()
        return Start(
            file=self.path.name,
            sha256=self.sha256,
            taken=match.taken,
            from_scratch=match.from_scratch,
            left_out={**match.unused(), **match.left_out},
            tensors=match.tensors,
        )

    def _demand_unchanged(self) -> None:
        now = sha256_of(self.path)
        if now != self.sha256:
            raise CheckpointError(
                "the weight file changed since the run started from it",
                expected=f"sha256 {self.sha256}",
                found=f"sha256 {now}",
                fix="put the file back, or train a new run",
                file=self.path,
            )


class _Match:
    """Fills the fields of a :class:`Start`, network by network."""

    def __init__(self, file: Path, there: Mapping[str, Tensors]) -> None:
        self.file, self.there = file, there
        self.taken: dict[str, int] = {}
        self.from_scratch: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.tensors: Tensors = {}
        self._used: dict[str, set[str]] = {prefix: set() for prefix in there}

    def network(self, prefix: str, own: nn.Module) -> None:
        """Match one network, whose tensors have ``prefix`` before their names."""
        state = own.state_dict()
        full = {_named(*_split(name)[1:]): name for name in state}
        here = {name: state[whole] for name, whole in full.items()}
        source = self._source(prefix, own)
        given, word = self.there[source], prefix.replace(".", ": ") if prefix else ""
        for part in PREFIXES:
            ours, theirs = _of_part(part, here), _of_part(part, given)
            if not ours:
                continue
            if part == TRUNK:
                theirs = self._demand_trunk(ours, theirs)
            elif reason := _why_not(part, ours, theirs, source):
                self.from_scratch[word + part] = reason
                continue
            elif ANCHORS in theirs:
                self._used[source].add(ANCHORS)
                if not torch.equal(theirs.pop(ANCHORS).float(), ours[ANCHORS]):
                    self.left_out["anchors"] = "those of this run are used: fitted to its training boxes, or COCO's"
            self.taken[word + part] = len(theirs)
            self._used[source] |= set(theirs)
            self.tensors |= {prefix + full[name]: value for name, value in theirs.items()}

    def _source(self, prefix: str, own: nn.Module) -> str:
        """What stands before the names of the file's network that serves this one."""
        if len(self.there) == 1:
            return next(iter(self.there))
        if set(self.there) == set(TWO):
            return prefix or (TWO[0] if isinstance(own, Yolo) else TWO[1])
        raise CheckpointError(
            f"the weight file holds {'several networks' if self.there else 'no YOLOv5 network'}",
            expected="layers named model.0, model.1, ... once, or those of two networks, detector and viewer",
            found=f"layers of {listed(sorted(self.there))}" if self.there else "no such name",
            fix="give the plain state dict of one network",
            file=self.file,
        )

    def _demand_trunk(self, ours: Tensors, theirs: Tensors) -> Tensors:
        """The file's tensors for these layers. Counters may be missing: nothing reads them under a momentum."""
        layers = {_layer(name) for name in ours}
        theirs = {name: value for name, value in theirs.items() if _layer(name) in layers}
        known = {name: value for name, value in ours.items() if name in theirs or not name.endswith(COUNTER)}
        if at_fault := mismatch(known, theirs):
            size = _size_of(theirs)
            raise CheckpointError(
                "the weight file is of another network",
                expected=f"backbone and neck of YOLOv5{_size_of(ours)}: {len(ours)} tensors, all of them",
                found=at_fault,
                fix="choose another file"
                if size in ("", _size_of(ours))
                else f"the file is of size {size}: --size {size}, or another file",
                file=self.file,
            )
        return theirs

    def demand_numbers(self) -> None:
        """Raises CheckpointError where what is taken holds no weights."""
        weights = {name: value for name, value in self.tensors.items() if not name.endswith(COUNTER)}
        demand_usable(weights, self.file)

    def unused(self) -> dict[str, str]:
        """Parts of the file that no network takes."""
        found: dict[str, str] = {}
        for source, tensors in self.there.items():
            word = source.replace(".", ": ") if len(self.there) > 1 else ""
            for part in PREFIXES:
                rest = set(_of_part(part, tensors)) - self._used[source]
                if rest:
                    layers = [_layer(name) for name in rest]
                    name = f"layers {min(layers)} to {max(layers)}" if part == TRUNK else part
                    tried = any(one.endswith(part) for one in self.from_scratch)
                    found[word + name] = "does not fit" if tried else "this run has no such part"
        return found


def _networks_of(network: nn.Module) -> dict[str, nn.Module]:
    """What stands before the names of a network's tensors -> the network; two where it is two."""
    if isinstance(network, DualYolo):
        return {TWO[0]: network.detector, TWO[1]: network.viewer}
    assert isinstance(network, Yolo | YoloView)
    return {"": network}


def _networks_in(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensors], list[str]]:
    """What stands before the layers -> tensors by part and name; and the names that belong to no layer."""
    there: dict[str, Tensors] = {}
    others = []
    for name, value in tensors.items():
        if NAME.fullmatch(name):
            before, layer, rest = _split(name)
            there.setdefault(before, {})[_named(layer, rest)] = value
        else:
            others.append(name)
    return there, others


def _split(name: str) -> tuple[str, int, str]:
    match = NAME.fullmatch(name)
    assert match is not None
    return match[1], int(match[2]), match[3]


def _named(layer: int, rest: str) -> str:
    """A name without the number where that depends on the network: of the heads."""
    if DETECTION.fullmatch(rest):
        return f"detect.{rest}"
    return f"view.{rest}" if rest.startswith("fc.") else f"model.{layer}.{rest}"


def _of_part(part: str, tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: value for name, value in tensors.items() if name.startswith(PREFIXES[part])}


def _layer(name: str) -> int:
    """Of ``model.17.cv3...``: 17; -1 of a head's."""
    return int(name.split(".")[1]) if name.startswith(PREFIXES[TRUNK]) else -1


def _why_not(part: str, ours: Tensors, theirs: Tensors, source: str) -> str:
    """Why the file's head is not this network's; empty where it is."""
    if not theirs:
        return f"the file's {source.rstrip('.')} has none" if source else "the file has none"
    plain = [{name: value for name, value in head.items() if name != ANCHORS} for head in (ours, theirs)]
    at_fault, facts = mismatch(*plain), [_facts_of(part, one) for one in (theirs, ours)]
    return f"{facts[0]} in the file, {facts[1]} here" if at_fault and facts[0] != facts[1] else at_fault


def _facts_of(part: str, head: Tensors) -> str:
    """What a head answers, in words; empty where its weight is missing."""
    weight = head.get("detect.m.0.weight" if part == DETECTOR else "view.fc.weight")
    if weight is None:
        return ""
    if part == VIEWER:
        return f"{weight.shape[0]} views from {weight.shape[1]} channels"
    per_cell = head[ANCHORS].shape[1] if ANCHORS in head and head[ANCHORS].ndim == 3 else 3
    return f"{weight.shape[0] / per_cell - 5:g} classes with {per_cell} anchors a cell"


def _size_of(tensors: Mapping[str, Tensor]) -> str:
    """n, s, m, l or x by the channels of P3; empty where they are those of none."""
    closing = tensors.get("model.17.cv3.conv.weight")
    sizes = {level_widths(size)[0]: size for size in MULTIPLES}
    return "" if closing is None else sizes.get(closing.shape[0], "")
