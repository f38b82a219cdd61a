"""docs/trainers.md: its Python runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "trainers.md"
SNIPPETS = {
    match[1]: match[2]
    for match in re.finditer(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.M | re.S)
}
NEEDS = {"A loop of your own": ("torch",), "transformers": ("torch", "transformers", "accelerate")}


@pytest.fixture(scope="module")
def folder(chain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from corpuskit.cli import main

    made = tmp_path_factory.mktemp("trainers")
    (made / "blocks").symlink_to(chain["blocks"])
    for name in ("nanogpt", "llmc", "olmo"):
        assert main(["--quiet", "export", str(made / "blocks"), str(made / name), "--format", name]) == 0
    return made


@pytest.mark.parametrize("section", SNIPPETS)
def test_the_snippet_runs(section: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in NEEDS.get(section, ()):
        pytest.importorskip(package, reason=f"needs {package}")
    monkeypatch.chdir(folder)
    scope: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(SNIPPETS[section], f"{PAGE.name}: {section}", "exec"), scope)


def test_there_is_a_section_with_code_for_each_that_can_run_here() -> None:
    assert list(SNIPPETS) == [
        "A loop of your own", "transformers", "datasets", "nanoGPT", "llm.c and modded-nanogpt", "OLMo-core",
    ]  # fmt: skip
