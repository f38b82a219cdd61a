"""Arrays that take a moment to make are made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from corpuskit.text import characters, language
from corpuskit.text.kept import Arrays, cache_folder, kept


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Making:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Arrays:
        self.times += 1
        return {"one": np.arange(7, dtype=np.uint32), "two": np.array(["a", "ß"])}


def test_arrays_are_made_once_and_then_mapped() -> None:
    make = Making()
    first, second = kept("thing", b"1", make), kept("thing", b"1", make)
    assert make.times == 1
    for arrays in (first, second):
        assert arrays["one"].tolist() == list(range(7))
        assert arrays["two"].tolist() == ["a", "ß"]
        assert not arrays["one"].flags.writeable
        assert type(arrays["one"]) is np.ndarray


def test_another_version_is_made_anew() -> None:
    make = Making()
    kept("thing", b"1", make)
    kept("thing", b"2", make)
    assert make.times == 2


def test_a_damaged_file_is_made_anew() -> None:
    make = Making()
    kept("thing", b"1", make)
    (file,) = cache_folder().glob("thing-*/one.npy")
    file.write_bytes(file.read_bytes()[:-5])
    assert kept("thing", b"1", make)["one"].tolist() == list(range(7))
    assert make.times == 2


def test_without_a_folder_that_can_be_written_arrays_are_made_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    make = Making()
    for _ in range(2):
        arrays = kept("thing", b"1", make)
        assert arrays["one"].tolist() == list(range(7))
        assert not arrays["one"].flags.writeable
    assert make.times == 2


def test_nothing_is_left_but_the_arrays(home: Path) -> None:
    kept("thing", b"1", Making())
    (folder,) = cache_folder().iterdir()
    assert sorted(each.name for each in folder.iterdir()) == ["names", "one.npy", "two.npy"]


def test_what_characters_are_is_the_same_from_the_cache() -> None:
    characters.properties.cache_clear()
    made = characters.properties().copy()
    characters.properties.cache_clear()
    assert (characters.properties() == made).all()
    assert (made == characters._made()).all()
    assert (language._properties_made() == language._properties()).all()
