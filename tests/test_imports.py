"""What importing Veritrain may load: the base install judges runs without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "veritrain"
GROUND = ("errors", "catalog", "config", "record", "metrics", "statistics", "readers", "audit", "report", "monitor")
HEAVY = ("torch", "torchvision", "lightning", "lightning_fabric", "open_clip", "torchjd", "sklearn", "webdataset")


def modules_under(*tops: str) -> list[str]:
    """Dotted names of every module of these packages or files."""
    files = [path for top in tops for path in ((PACKAGE / f"{top}.py"), *sorted((PACKAGE / top).rglob("*.py")))]
    dotted = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files if path.is_file()]
    return [name.removesuffix(".__init__") for name in dotted]


def loaded_by(modules: list[str]) -> set[str]:
    """Top-level packages in ``sys.modules`` after importing ``modules`` in a fresh process."""
    lines = [f"import {name}" for name in modules]
    lines.append("import sys; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def base_distributions() -> set[str]:
    text = (ROOT / "requirements" / "base.lock").read_text(encoding="utf-8")
    return {match.lower().replace("_", "-") for match in re.findall(r"^([A-Za-z0-9_.-]+)==", text, flags=re.M)}


def options_modules() -> list[str]:
    paths = sorted(PACKAGE.rglob("*options.py"))
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths]


def test_importing_the_package_loads_only_the_standard_library():
    third_party = {name for name in loaded_by(["veritrain"]) - loaded_by([]) if name in packages_distributions()}
    assert third_party == {"veritrain"}


def test_the_second_road_loads_no_torch():
    modules = modules_under(*GROUND)
    assert "veritrain.record" in modules
    found = loaded_by(modules) & set(HEAVY)
    assert not found, f"judging a run must not load {sorted(found)}"


def test_the_second_road_loads_only_the_base_install():
    owners = packages_distributions()
    allowed = base_distributions() | {"veritrain", "setuptools"}
    loaded = {name: owners[name] for name in loaded_by(modules_under(*GROUND)) if name in owners}
    extra = [name for name, dists in loaded.items() if not {d.lower().replace("_", "-") for d in dists} & allowed]
    assert not extra, f"not in requirements/base.lock: {extra}"


def test_the_command_line_loads_no_torch():
    if not modules_under("cli"):
        pytest.fail("src/veritrain/cli.py is missing: pyproject.toml names veritrain.cli:main")
    found = loaded_by(modules_under("cli")) & set(HEAVY)
    assert not found, f"--help must not load {sorted(found)}"


def test_options_load_no_torch():
    found = loaded_by(["veritrain", *options_modules()]) & set(HEAVY)
    assert not found, f"an options.py loads {sorted(found)}"
