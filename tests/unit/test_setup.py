"""Set-up: what it needs, and when a step is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from content_signals.settings import PROJECT


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch):
    """The folder of the tools on the path, as Python puts it there for `python3 tools/setup.py`."""
    monkeypatch.syspath_prepend(str(PROJECT / "tools"))


def test_it_needs_the_standard_library_alone() -> None:
    words = [sys.executable, "-S", "-E", "tools/setup.py", "--help"]  # -S: nothing that is installed is found
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--test" in done.stdout


def test_every_target_says_what_it_is_for() -> None:
    lines = (PROJECT / "Makefile").read_text().splitlines()
    (targets,) = (line.split()[1:] for line in lines if line.startswith(".PHONY:"))
    assert [name for name in targets if not any(line.startswith(f"{name}:") and "## " in line for line in lines)] == []


def test_ci_lints_then_tests() -> None:
    lines = (PROJECT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make test"]


def test_a_step_is_run_until_its_stamp_fits(tools, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from steps import Step, perform

    made, later, ran = tmp_path / "made", tmp_path / "later", []

    def run() -> None:
        ran.append(None)
        made.touch()

    def step(key: str) -> Step:
        return Step("a step", tmp_path / ".stamp-a", key, [made], run, [later])

    def runs(key: str) -> int:
        before = len(ran)
        perform(step(key))
        return len(ran) - before

    later.touch()
    assert runs("one") == 1
    assert not later.exists()
    assert runs("one") == 0
    assert capsys.readouterr().out.endswith("in place\n")
    assert runs("two") == 1
    made.unlink()
    assert runs("two") == 1


def test_a_step_that_failed_leaves_no_stamp(tools, tmp_path: Path) -> None:
    from steps import SetupError, Step, in_place, perform

    def run() -> None:
        raise SetupError("no network")

    step = Step("a step", tmp_path / ".stamp-a", "one", [], run, [])
    with pytest.raises(SetupError):
        perform(step)
    assert not in_place(step)


def test_jars_are_pinned_by_hash_and_fetched_without_what_they_need(tools) -> None:
    from spark_files import ivy_module, pinned_jars

    jars = pinned_jars()
    assert "delta-spark_4.1_2.13" in {jar.artifact for jar in jars}
    assert ivy_module(jars).count('transitive="false"') == len(jars)


def test_models_are_put_in_place_only_when_they_are_the_pinned_ones(tools, tmp_path: Path) -> None:
    from model_files import require_pinned
    from steps import SetupError

    file = tmp_path / "model"
    with pytest.raises(SetupError, match="incomplete"):
        require_pinned(file, "0" * 64)
    file.write_bytes(b"")
    with pytest.raises(SetupError, match="expected 0000"):
        require_pinned(file, "0" * 64)
    require_pinned(file, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")  # of nothing


def test_a_model_written_again_has_the_same_bytes(tools, tmp_path: Path) -> None:
    from model_files import CONVERTER, packaged, pins, require_pinned

    words = [sys.executable, str(CONVERTER), str(packaged(pins()["weights"]["package_file"])), str(tmp_path / "again")]
    subprocess.run(words, check=True)
    require_pinned(tmp_path / "again", pins()["model"]["sha256"])
